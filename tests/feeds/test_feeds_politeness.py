"""Servers are asked the way they want: where a feed has moved to, at a distance, and not while they rest."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from ipaddress import IPv4Network

import pytest
from aiohttp import web

from newsletter.errors import NewsletterError
from newsletter.feeds import guard
from newsletter.feeds.asking import FetchLimits, Secret
from newsletter.feeds.fetch import fetch_all
from newsletter.model import Failed, Feed, Fetched, FetchOutcome, NotModified, Spared, Validators
from tests.conftest import START, FakeClock
from tests.feeds.site import RSS, Handler, answer_to, failed, fetch, fetched, listening, serving


def hops(**steps: tuple[int, str]) -> Handler:
    """A site whose paths redirect so; any other has the feed."""

    async def handler(request: web.BaseRequest) -> web.Response:
        if step := steps.get(request.path.strip("/")):
            return web.Response(status=step[0], headers={"Location": step[1]})
        if request.headers.get("If-None-Match"):
            return web.Response(status=304)
        return web.Response(body=RSS, headers={"ETag": '"1"'})

    return handler


@pytest.mark.parametrize(
    ("steps", "moved"),
    [
        ({}, None),
        ({"feed": (301, "/new")}, "/new"),
        ({"feed": (308, "/new")}, "/new"),
        ({"feed": (301, "/b"), "b": (308, "/new#top")}, "/new"),
        ({"feed": (302, "/new")}, None),
        ({"feed": (303, "/new")}, None),
        ({"feed": (307, "/new")}, None),
        ({"feed": (301, "/b"), "b": (302, "/new")}, None),
        ({"feed": (307, "/b"), "b": (301, "/new")}, None),
    ],
)
@pytest.mark.parametrize("validators", [None, Validators(etag='"1"')])
def test_a_feed_has_moved_only_if_every_step_says_so(
    steps: dict[str, tuple[int, str]], moved: str | None, validators: Validators | None
) -> None:
    outcome = answer_to(hops(**steps), validators=validators)

    assert isinstance(outcome, NotModified if validators else Fetched)
    assert (None if moved is None else outcome.feed.url.replace("/feed", moved)) == outcome.moved_to


def ask(handler: Handler, path: str, moved: str) -> tuple[FetchOutcome, str]:
    """What comes of a feed that is now elsewhere on the same server."""

    async def scenario() -> tuple[FetchOutcome, str]:
        async with serving(handler) as base:
            feed = Feed(url=base + path, allow_private=True)
            [outcome] = await fetch_all(
                [feed], {}, moved={feed.url: base + moved}, limits=FetchLimits(), clock=FakeClock()
            )
            return outcome, base

    return asyncio.run(scenario())


def test_a_feed_that_has_moved_is_asked_there_at_once() -> None:
    asked: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(body=RSS)

    outcome, base = ask(handler, "/feed", "/new")

    assert ["/new"] == asked
    assert (base + "/feed", base + "/new") == (fetched(outcome).feed.url, fetched(outcome).moved_to)


def test_a_feed_that_moves_on_is_remembered_where_it_is_for_good() -> None:
    further, base = ask(hops(new=(301, "/newer")), "/feed", "/new")
    lent, _ = ask(hops(new=(302, "/elsewhere")), "/feed", "/new")
    back, _ = ask(hops(new=(301, "/feed")), "/feed", "/new")

    assert base + "/newer" == fetched(further).moved_to
    assert (fetched(lent).moved_to or "").endswith("/new")
    assert None is fetched(back).moved_to


def test_nobody_moves_for_good_from_a_safe_place_to_an_open_one() -> None:
    """https answers 301 to http: followed, as ever, but asked at https the next time."""
    import ssl

    import trustme

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def scenario(monkeypatch: pytest.MonkeyPatch) -> FetchOutcome:
        trusted = ssl.create_default_context()
        authority.configure_trust(trusted)
        monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusted)
        async with serving(hops()) as open_:

            async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(f"HTTP/1.1 301 Go\r\nLocation: {open_}/new\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
                writer.close()

            server = await asyncio.start_server(handler, "127.0.0.1", 0, ssl=context)
            async with server:
                port = server.sockets[0].getsockname()[1]
                return (await fetch([Feed(url=f"https://127.0.0.1:{port}/feed", allow_private=True)]))[0]

    with pytest.MonkeyPatch.context() as patch:
        outcome = asyncio.run(scenario(patch))

    assert None is fetched(outcome).moved_to


# ------------------------------------------------------------------------------ pacing


def begun(count: int, *, gap: float, private: bool) -> list[float]:
    """When the requests for so many feeds of one host came in, in seconds from the first; 127.0.0.2 plays the internet."""
    times: list[float] = []

    async def scenario() -> None:
        async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            times.append(asyncio.get_running_loop().time())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(RSS) + RSS)

        async with listening(handler, "127.0.0.2") as port:
            feeds = [Feed(url=f"http://127.0.0.2:{port}/{number}", allow_private=private) for number in range(count)]
            for outcome in await fetch(feeds, limits=FetchLimits(host_gap=gap)):
                fetched(outcome)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "_CLOSED_V4", (IPv4Network("127.0.0.1/32"),))
        asyncio.run(scenario())
    return [moment - times[0] for moment in times]


def test_requests_to_one_host_keep_their_distance() -> None:
    times = begun(5, gap=0.1, private=False)

    # A turn may come late, then the next is near: over all of them the distance holds.
    assert times[-1] >= 0.35


def test_a_private_network_needs_no_pacing() -> None:
    assert begun(5, gap=10.0, private=True)[-1] < 9


def rests(status: int, headers: Mapping[str, str], count: int = 4) -> tuple[list[FetchOutcome], list[str]]:
    asked: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers=headers)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base:
            feeds = [Feed(url=f"{base}/{number}", allow_private=True) for number in range(count)]
            return await fetch(feeds, limits=FetchLimits(per_host=1))

    return asyncio.run(scenario()), asked


@pytest.mark.parametrize(
    ("status", "headers", "rest"),
    [
        (429, {"Retry-After": "7200"}, timedelta(hours=2)),
        (429, {"Retry-After": format_datetime(START + timedelta(days=2), usegmt=True)}, timedelta(days=2)),
        (503, {"Retry-After": "7200"}, timedelta(hours=2)),
        (429, {}, timedelta(hours=1)),
    ],
)
def test_a_host_that_wants_a_rest_gets_it_for_all_of_its_feeds(
    status: int, headers: dict[str, str], rest: timedelta
) -> None:
    """One is refused, and the others, which nobody has asked, are no failures."""
    [first, *others], asked = rests(status, headers)

    assert ["/0"] == asked
    assert START + rest == failed(first).wish.retry_at
    assert [START + rest] * 3 == [one.until for one in others if isinstance(one, Spared)]


def test_a_server_in_trouble_that_says_nothing_is_asked_for_its_other_feeds() -> None:
    outcomes, asked = rests(503, {})

    assert 4 == len(asked)
    assert [True] * 4 == [isinstance(one, Failed) for one in outcomes]


def test_gone_is_gone_and_missing_is_not() -> None:
    [gone], _ = rests(410, {}, 1)
    [missing], _ = rests(404, {}, 1)

    assert (True, False) == (failed(gone).gone, failed(missing).gone)


# ----------------------------------------------------------------------------- secrets


def seen_with(secret: Secret | None, path: str = "/feed", **headers: str) -> tuple[list[dict[str, str]], FetchOutcome]:
    """What servers see of a feed with a secret; /away leads to another one."""
    seen: list[dict[str, str]] = []

    async def scenario() -> FetchOutcome:
        async def last(request: web.BaseRequest) -> web.Response:
            seen.append({name.title(): value for name, value in request.headers.items()})
            return web.Response(body=RSS)

        async with serving(last) as other:

            async def first(request: web.BaseRequest) -> web.Response:
                if request.path != "/away":
                    return await last(request)
                seen.append({name.title(): value for name, value in request.headers.items()})
                return web.Response(status=301, headers={"Location": other})

            async with serving(first) as base:
                feed = Feed(url=base + path, allow_private=True, headers=headers)
                secrets = {feed.url: secret} if secret else {}
                return (await fetch_all([feed], {}, limits=FetchLimits(), clock=FakeClock(), secrets=secrets))[0]

    outcome = asyncio.run(scenario())
    return seen, outcome


def test_a_secret_goes_to_its_own_server_only() -> None:
    seen, outcome = seen_with(lambda: {"Authorization": "Basic abc"}, "/away", Accept="text/xml")

    assert ["Basic abc", None] == [one.get("Authorization") for one in seen]
    assert "abc" not in repr(outcome)


def test_a_secret_that_cannot_be_had_fails_its_feed_and_asks_nobody() -> None:
    def nothing() -> Mapping[str, str]:
        raise NewsletterError("no feed password: the environment variable X is not set", hint="export X=…")

    seen, outcome = seen_with(nothing)

    assert ([], "no feed password: the environment variable X is not set", "export X=…") == (
        seen,
        failed(outcome).reason,
        failed(outcome).hint,
    )


def test_who_is_waited_for_is_told_as_it_begins_and_ends() -> None:
    told: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=RSS)

    async def scenario() -> None:
        async with serving(handler) as base:
            feeds = [Feed(url=f"{base}/{number}", allow_private=True) for number in range(3)]
            await fetch_all(
                feeds,
                {},
                limits=FetchLimits(connections=1),
                clock=FakeClock(),
                on_start=lambda feed: told.append(f"ask {feed.url[-1]}"),
                on_done=lambda outcome: told.append(f"got {outcome.feed.url[-1]}"),
            )

    asyncio.run(scenario())

    assert sorted(["ask 0", "got 0", "ask 1", "got 1", "ask 2", "got 2"]) == sorted(told)
    assert ["ask", "got"] * 3 == [word.split()[0] for word in told]

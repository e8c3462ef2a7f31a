"""Pictures come from real servers, good and bad ones, within one deadline and never from where they may not."""

import asyncio
import zlib
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web

from newsletter.feeds.asking import FetchLimits
from newsletter.feeds.pictures import PictureLimits, fetch_pictures, to_ask_for
from newsletter.model import Picture
from tests.conftest import FakeClock
from tests.feeds.site import Handler, listening, serving
from tests.feeds.test_feeds_guard import TwoFaced
from tests.painted import jpeg, opened

JPEG = jpeg((300, 200))
Found = Mapping[str, Picture | str]


async def asked(wanted: Mapping[str, bool], **limits: Any) -> dict[str, Picture | str]:
    return await fetch_pictures(
        wanted,
        domain="wire.example.com",
        limits=FetchLimits(user_agent="newsletter tests"),
        clock=FakeClock(),
        pictures=PictureLimits(**limits),
    )


def found_at(handler: Handler, *paths: str, allow_private: bool = True, **limits: Any) -> list[Picture | str]:
    """What comes of these addresses on a server with this handler."""

    async def scenario() -> list[Picture | str]:
        async with serving(handler) as base:
            wanted = {base + path: allow_private for path in paths}
            found = await asked(wanted, **limits)
            assert list(wanted) == list(found)
            return [one if isinstance(one, Picture) else one.replace(base, "BASE") for one in found.values()]

    return asyncio.run(scenario())


def giving(body: bytes, kind: str = "image/jpeg") -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind)

    return handler


def test_a_picture_comes_with_a_name_made_from_its_bytes() -> None:
    one, two = found_at(giving(JPEG), "/a.jpg", "/b.jpg")

    assert isinstance(one, Picture)
    assert ("image/jpeg", 300, 200) == (one.media_type, one.width, one.height)
    assert (300, 200) == opened(one.data).size
    assert one.cid.endswith("@wire.example.com")
    assert one == two, "the same bytes are one picture"
    assert one != found_at(giving(jpeg((400, 200))), "/a.jpg")[0]


def test_what_the_server_calls_it_does_not_count() -> None:
    named_wrongly, no_picture = (
        found_at(giving(JPEG, "text/html"), "/x")[0],
        found_at(giving(b"<html>", "image/png"), "/x")[0],
    )

    assert isinstance(named_wrongly, Picture)
    assert no_picture == "it is no picture in JPEG, PNG, GIF, WebP or AVIF"


def test_a_server_hears_nothing_but_what_we_accept() -> None:
    heard: list[dict[str, str]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(dict(request.headers))
        return web.Response(body=JPEG)

    found_at(handler, "/x")
    [headers] = heard
    assert {"Host", "User-Agent", "Accept", "Accept-Encoding"} == set(headers)
    assert headers["Accept"].startswith("image/jpeg")


@pytest.mark.parametrize(
    ("status", "told"), [(404, "has nothing at this address (404)"), (403, "forbids it (403)"), (500, "(500)")]
)
def test_a_refusal_is_the_reason(status: int, told: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, body=JPEG)

    [reason] = found_at(handler, "/x")
    assert isinstance(reason, str)
    assert told in reason


def test_a_private_address_is_not_dialled_unless_the_feed_may() -> None:
    calls: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(request.path)
        return web.Response(body=JPEG)

    [reason] = found_at(handler, "/x", allow_private=False)
    assert "127.0.0.1 is not on the public internet" == reason
    assert [] == calls
    assert isinstance(found_at(handler, "/x", allow_private=True)[0], Picture)


def test_a_redirect_is_followed_but_not_to_a_private_address() -> None:
    """The first hop may be private here, so that there is a server; what it names is dialled under the same rule."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/away":
            return web.Response(status=302, headers={"Location": "file:///etc/passwd"})
        if request.path == "/round":
            return web.Response(status=302, headers={"Location": "/round"})
        if request.path == "/moved":
            return web.Response(status=301, headers={"Location": "/x.jpg"})
        return web.Response(body=JPEG)

    moved, away, around = found_at(handler, "/moved", "/away", "/round")
    assert isinstance(moved, Picture)
    assert "redirects to something other than http and https" in str(away)
    assert "redirects in a circle" in str(around)


def test_a_public_name_that_leads_to_a_private_address_is_refused() -> None:
    async def scenario() -> Found:
        async with serving(giving(JPEG)) as base:
            port = base.rpartition(":")[2]
            return await fetch_pictures(
                {f"http://pictures.example:{port}/x": False},
                domain="example.com",
                limits=FetchLimits(),
                clock=FakeClock(),
                resolver=TwoFaced(["127.0.0.1"]),
            )

    [reason] = asyncio.run(scenario()).values()
    assert reason == "pictures.example is not on the public internet (127.0.0.1)"


def test_more_bytes_than_allowed_are_not_read() -> None:
    sent = 0

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while sent < 500_000_000:
                await response.write(bytes(100_000))
                sent += 100_000
        except ConnectionError:
            pass
        return response

    async def packed(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=zlib.compress(bytes(100_000_000)), headers={"Content-Encoding": "deflate"})

    assert ["the answer is larger than 1 MB"] == found_at(endless, "/x", max_bytes=1_000_000)
    assert sent < 50_000_000
    assert ["the answer is larger than 1 MB"] == found_at(packed, "/x", max_bytes=1_000_000)


def test_a_slow_one_delays_only_itself_and_all_of_them_end_at_the_deadline() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/slow"):
            await asyncio.sleep(1.5)
        return web.Response(body=JPEG)

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    slow, quick = found_at(handler, "/slow", "/quick", each=0.3)
    assert slow == "no complete answer within 0.3 s"
    assert isinstance(quick, Picture)

    async def scenario() -> tuple[Found, float]:
        async with listening(dripping) as port, serving(handler) as base:
            started = asyncio.get_running_loop().time()
            wanted = {f"http://127.0.0.1:{port}/{n}": True for n in range(12)} | {f"{base}/quick": True}
            found = await asked(wanted, deadline=1.5, each=60)
            return found, asyncio.get_running_loop().time() - started

    found, seconds = asyncio.run(scenario())
    assert ["it took more than 1.5 s to get it"] * 12 == list(found.values())[:-1]
    assert seconds < 6


def test_only_so_many_are_asked_for() -> None:
    calls: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(request.path)
        return web.Response(body=JPEG)

    found = found_at(handler, "/1", "/2", "/3", "/4", count=2)
    assert [True, True, False, False] == [isinstance(one, Picture) for one in found]
    assert "it is more than the 2 pictures a letter asks for" == found[3]
    assert ["/1", "/2"] == sorted(calls)


@pytest.mark.parametrize("url", ["https://[bad/x", "http://", "ftp://example.com/x", "https://no.such.host.invalid/x"])
def test_an_address_that_leads_nowhere_is_a_reason(url: str) -> None:
    [reason] = asyncio.run(asked({url: True}, each=5)).values()

    assert isinstance(reason, str)
    assert reason


def test_an_address_that_two_feeds_name_is_private_only_if_both_may() -> None:
    assert {"a": False, "b": True, "c": False} == to_ask_for(
        [("a", True), ("b", True), ("a", False), ("b", True), ("c", False), ("c", True)]
    )


def test_nothing_is_asked_for_where_nothing_is_wanted() -> None:
    assert {} == asyncio.run(asked({}))

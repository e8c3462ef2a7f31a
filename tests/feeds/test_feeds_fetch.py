"""Feeds arrive over HTTP and from files, politely, and in the order they were asked for."""

import asyncio
import gzip
import os
import zlib
from base64 import b64encode
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from aiohttp import web

from newsletter import __version__
from newsletter.feeds.asking import FetchLimits
from newsletter.feeds.fetch import fetch_all
from newsletter.model import Failed, Feed, Fetched, FetchOutcome, NotModified, Validators
from tests.conftest import START, FakeClock
from tests.feeds.site import RSS, Handler, answer_to, failed, fetch, fetched, serving


def serve(body: bytes = RSS, **headers: str) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return handler


def test_a_feed_arrives_as_it_was_sent() -> None:
    outcome = fetched(
        answer_to(
            serve(
                Content_Type="application/rss+xml; charset=utf-8",
                ETag='"v1"',
                Last_Modified="Mon, 02 Mar 2026 06:00:00 GMT",
            )
        )
    )

    assert RSS == outcome.body
    assert "application/rss+xml; charset=utf-8" == outcome.content_type
    assert Validators(etag='"v1"', last_modified="Mon, 02 Mar 2026 06:00:00 GMT") == outcome.validators
    assert outcome.feed.url == outcome.final_url


def test_an_unchanged_feed_is_not_sent_again() -> None:
    asked: list[tuple[str | None, str | None]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append((request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since")))
        return web.Response(status=304)

    outcome = answer_to(handler, validators=Validators(etag='W/"v1"', last_modified="Mon, 02 Mar 2026 06:00:00 GMT"))

    assert isinstance(outcome, NotModified)
    assert [('W/"v1"', "Mon, 02 Mar 2026 06:00:00 GMT")] == asked


def test_a_304_that_nobody_asked_for_is_a_failure() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=304)

    assert "127.0.0.1 answers 'not modified' (304)" == failed(answer_to(handler)).reason


@pytest.mark.parametrize("value", ["x" * 501, '"\u00e9"', '"a\tb"'])
def test_a_validator_that_is_none_is_not_kept(value: str) -> None:
    assert Validators() == fetched(answer_to(serve(ETag=value, Last_Modified="y" * 501))).validators


def test_we_say_who_we_are_and_what_we_want() -> None:
    seen: list[dict[str, str]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(dict(request.headers))
        return web.Response(body=RSS)

    answer_to(handler)

    [headers] = seen
    assert f"newsletter/{__version__} (feed reader)" == headers["User-Agent"]
    assert "gzip, deflate, br, zstd" == headers["Accept-Encoding"]
    assert "application/feed+json" in headers["Accept"]
    assert {"Host", "User-Agent", "Accept", "Accept-Encoding"} == headers.keys() - {"Connection"}


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(RSS)),
        ("x-gzip", gzip.compress(RSS)),
        ("GZip, identity", gzip.compress(RSS)),
        ("gzip", gzip.compress(RSS[:100]) + gzip.compress(RSS[100:])),
        ("gzip", gzip.compress(RSS) + b"\0" * 600),
        ("deflate", zlib.compress(RSS)),
        ("deflate", zlib.compress(RSS)[2:-4]),
        ("identity", RSS),
        ("", RSS),
        ("gzip", b""),
    ],
)
def test_a_compressed_feed_is_unpacked(coding: str, body: bytes) -> None:
    outcome = fetched(answer_to(serve(body, Content_Encoding=coding)))

    assert (RSS if body else b"") == outcome.body


def test_redirects_are_followed_to_where_the_feed_is() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        steps = {
            "/feed": (301, "/old#top"),
            "/old": (302, "?page=2"),
            "/old?page=2": (307, "/new"),
            "/new": (308, "last"),
        }
        if request.path_qs in steps:
            status, location = steps[request.path_qs]
            return web.Response(status=status, headers={"Location": location})
        return web.Response(body=RSS)

    outcome = fetched(answer_to(handler))

    assert RSS == outcome.body
    assert outcome.feed.url.replace("/feed", "/last") == outcome.final_url


def test_a_circle_of_redirects_is_named() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": "/b" if request.path == "/feed" else "/feed"})

    assert "127.0.0.1 redirects in a circle" == failed(answer_to(handler)).reason


def test_redirects_without_end_end() -> None:
    asked: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked.append(request.path)
        return web.Response(status=301, headers={"Location": f"/{len(asked)}"})

    outcome = failed(answer_to(handler, limits=FetchLimits(max_redirects=5)))

    assert "more than 5 redirects, the last one to 127.0.0.1" == outcome.reason
    assert 6 == len(asked)


def test_a_redirect_to_nowhere_is_a_failure() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302)

    assert "127.0.0.1 redirects (302), but does not say where" == failed(answer_to(handler)).reason


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [
        (401, "127.0.0.1 wants a login (401)", "password_env"),
        (403, "127.0.0.1 forbids it (403)", "password_env"),
        (404, "127.0.0.1 has nothing at this address (404)", "newsletter feed remove"),
        (410, "127.0.0.1 says the feed is gone for good (410)", "newsletter feed remove"),
        (429, "127.0.0.1 says it is asked too often (429)", "next fetch"),
        (500, "127.0.0.1 answers 'internal server error' (500)", "next fetch"),
        (503, "127.0.0.1 answers 'service unavailable' (503)", "next fetch"),
        (299, "127.0.0.1 answers 'an unknown status' (299)", None),
        (204, "127.0.0.1 answers 'no content' (204)", None),
        (206, "127.0.0.1 answers 'partial content' (206)", None),
    ],
)
def test_a_status_is_said_in_words(status: int, reason: str, hint: str | None) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=None if status == 204 else b"whatever")

    outcome = failed(answer_to(handler))

    assert reason == outcome.reason
    assert hint is None if outcome.hint is None else hint is not None and hint in outcome.hint


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("30", "30 seconds"),
        ("1", "1 second"),
        ("90", "2 minutes"),
        ("3600", "1 hour"),
        ("172800", "2 days"),
        (format_datetime(START + timedelta(hours=3), usegmt=True), "3 hours"),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_how_long_to_wait_is_passed_on(status: int, retry_after: str, wait: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": retry_after})

    assert f"it asks to be left alone for {wait}" == failed(answer_to(handler)).hint


@pytest.mark.parametrize(
    "retry_after", ["", "-5", "0", "soon", "9" * 30, "Mon, 02 Mar 2020 07:00:00 GMT", "Mon, 99 Foo 9999 99:99:99", "１"]
)
def test_a_wait_that_makes_no_sense_is_left_out(retry_after: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": retry_after})

    assert "nothing to do: it is asked again at the next fetch" == failed(answer_to(handler)).hint


def test_outcomes_come_in_the_order_of_the_feeds_and_each_is_reported_once() -> None:
    done: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.05 if request.path == "/0" else 0)
        return web.Response(status=404 if request.path == "/3" else 200, body=RSS)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base:
            feeds = [Feed(url=f"{base}/{number}", allow_private=True) for number in range(8)]
            return await fetch(feeds, on_done=lambda outcome: done.append(outcome.feed.url[-1]))

    outcomes = asyncio.run(scenario())

    assert list("01234567") == [outcome.feed.url[-1] for outcome in outcomes]
    assert Counter("01234567") == Counter(done)
    assert "0" != done[0]
    assert ["3"] == [outcome.feed.url[-1] for outcome in outcomes if isinstance(outcome, Failed)]


def test_a_host_is_never_asked_for_more_than_two_feeds_at_once() -> None:
    now, most = 0, 0

    async def handler(request: web.BaseRequest) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.Response(body=RSS)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base:
            feeds = [Feed(url=f"{base}/{number}", allow_private=True) for number in range(10)]
            return await fetch(feeds, limits=FetchLimits(per_host=2))

    outcomes = asyncio.run(scenario())

    assert (10, 2) == (len([one for one in outcomes if isinstance(one, Fetched)]), most)


def test_waiting_for_a_turn_does_not_use_up_the_deadline() -> None:
    """Ten feeds of one host, 0.1 s each, one at a time: a second in all, within deadlines shorter than that."""

    async def handler(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.1)
        return web.Response(body=RSS)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base:
            feeds = [Feed(url=f"{base}/{number}", allow_private=True) for number in range(10)]
            return await fetch(feeds, limits=FetchLimits(per_host=1, deadline=0.8))

    assert [] == [one for one in asyncio.run(scenario()) if not isinstance(one, Fetched)]


# ------------------------------------------------------------------------ secrets


def headers_seen(
    feed_of: str, *, location: str | None = None, headers: dict[str, str] | None = None
) -> list[dict[str, str]]:
    """What two servers see of a feed that the first one may redirect to the second."""
    seen: list[dict[str, str]] = []

    async def scenario() -> None:
        async with AsyncExitStack() as stack:

            async def last(request: web.BaseRequest) -> web.Response:
                seen.append({name.title(): value for name, value in request.headers.items()})
                return web.Response(body=RSS)

            other = await stack.enter_async_context(serving(last))

            async def first(request: web.BaseRequest) -> web.Response:
                if location is None or request.path == "/same":
                    return await last(request)
                seen.append(dict(request.headers))
                return web.Response(status=302, headers={"Location": location.format(other=other)})

            base = await stack.enter_async_context(serving(first))
            url = feed_of.format(host=base.removeprefix("http://"))
            fetched((await fetch([Feed(url=url, allow_private=True, headers=headers or {})]))[0])

    asyncio.run(scenario())
    return seen


def test_a_login_in_the_address_is_used() -> None:
    [headers] = headers_seen("http://ada:p%40ss@{host}/feed")

    assert f"Basic {b64encode(b'ada:p@ss').decode()}" == headers["Authorization"]


def test_the_feeds_own_headers_win() -> None:
    [headers] = headers_seen("http://{host}/feed", headers={"x-key": "k", "user-agent": "me", "ACCEPT": "text/xml"})

    assert ("k", "me", "text/xml") == (headers["X-Key"], headers["User-Agent"], headers["Accept"])


def test_secrets_follow_a_redirect_on_the_same_host() -> None:
    seen = headers_seen("http://ada:pw@{host}/feed", location="/same", headers={"X-Key": "k"})

    assert [True, True] == ["Authorization" in one and "X-Key" in one for one in seen]


def test_secrets_do_not_follow_a_redirect_to_another_host() -> None:
    seen = headers_seen("http://ada:pw@{host}/feed", location="{other}/feed", headers={"X-Key": "k", "Cookie": "c=1"})

    assert [True, False] == ["Authorization" in one for one in seen]
    assert [True, False] == ["X-Key" in one for one in seen]
    assert [True, False] == ["Cookie" in one for one in seen]


def test_no_login_is_ever_shown() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        status = {"/404": 404, "/away": 302}.get(request.path, 200)
        return web.Response(status=status, headers={"Location": "/404"} if status == 302 else {}, body=None)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base:
            host = base.removeprefix("http://")
            urls = [
                f"http://ada:hunter2@{host}/404",
                f"http://ada:hunter2@{host}/away",
                f"https://ada:hunter2@{host}/tls",
                f"http://ada:hunter2@{host}:99999/port",
                "http://ada:hunter2@nobody.invalid/dns",
                "http://ada:hunter2@[::1/broken",
                f"http://ada:hunter2@{host}/ok",
            ]
            return await fetch([Feed(url=url, allow_private=True) for url in urls])

    *bad, good = asyncio.run(scenario())

    assert [] == [one for one in bad if "hunter2" in failed(one).reason + (failed(one).hint or "")]
    assert "hunter2" not in fetched(good).final_url


# -------------------------------------------------------------------------- files


def read(url: str, limits: FetchLimits | None = None) -> FetchOutcome:
    return asyncio.run(fetch([Feed(url=url)], limits=limits))[0]


def test_a_feed_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "my feed #1.xml"
    path.write_bytes(RSS)

    assert [RSS, RSS] == [fetched(read(url)).body for url in (str(path), path.as_uri())]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("{0}/missing.xml", "{0}/missing.xml: no such file or directory"),
        ("{0}", "{0}/large.xml is larger than 0.001 MB"),
        ("{0}/pipe", "{0}/pipe is not a file"),
        ("/dev/zero", "/dev/zero is not a file"),
        ("file://other.example/etc/feed", "a file: address cannot name another machine"),
        ("file:///nul%00.xml", "/nul .xml: not a path"),
        ("{0}/large.xml", "{0}/large.xml is larger than 0.001 MB"),
    ],
)
def test_a_file_that_cannot_be_a_feed_is_refused(tmp_path: Path, url: str, reason: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.xml").write_bytes(b"x" * 1001)

    outcome = failed(read(url.format(tmp_path), FetchLimits(max_bytes=1000)))

    assert reason.format(tmp_path) == outcome.reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.com/feed", "feeds are read over http and https and from files, not over 'ftp'"),
        ("localhost:8080/feed", "feeds are read over http and https and from files, not over 'localhost'"),
        ("javascript:alert(1)", "feeds are read over http and https and from files, not over 'javascript'"),
        ("http://", "the address names no host"),
        ("https:///feed", "the address names no host"),
        ("http://[::1", "this is not an address"),
        ("http://exa mple.com/", None),
        ("http://" + "a" * 300 + ".example/", None),
        ("http://a..b.example/", None),
        ("http://example.com:0x50/", "this is not an address"),
        ("example.com/feed", "example.com/feed: no such file or directory"),
        ("", "there is no address"),
        ("http://\udcff.example/", None),
    ],
)
def test_an_address_that_is_none_is_a_failure_in_words(url: str, reason: str | None) -> None:
    outcome = failed(read(url))

    assert reason in (None, outcome.reason)
    assert outcome.reason == outcome.reason.strip().rstrip(".")


def test_a_header_that_cannot_be_sent_fails_its_feed_only() -> None:
    async def scenario() -> list[FetchOutcome]:
        async with serving(serve()) as base:
            bad = Feed(url=f"{base}/1", allow_private=True, headers={"X-Key": "a\r\nHost: evil.example"})
            return await fetch([bad, Feed(url=f"{base}/2", allow_private=True)])

    bad, good = asyncio.run(scenario())

    assert "evil" not in failed(bad).reason
    assert RSS == fetched(good).body


def test_durations_come_from_the_clock() -> None:
    clock = FakeClock()

    async def handler(request: web.BaseRequest) -> web.Response:
        clock.advance(1.5)
        return web.Response(body=RSS)

    async def scenario() -> list[FetchOutcome]:
        async with serving(handler) as base:
            return await fetch_all([Feed(url=base, allow_private=True)], {}, limits=FetchLimits(), clock=clock)

    assert [1.5] == [fetched(outcome).seconds for outcome in asyncio.run(scenario())]

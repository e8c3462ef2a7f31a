"""More ways to write what is not the public internet, each also as the target of a redirect and as a picture."""

import asyncio
from contextlib import AsyncExitStack
from ipaddress import IPv4Network

import pytest
from aiohttp import web

from newsletter.feeds import guard
from newsletter.feeds.asking import FetchLimits
from newsletter.feeds.pictures import PictureLimits, fetch_pictures
from newsletter.model import Feed, FetchOutcome
from tests.conftest import FakeClock
from tests.feeds.site import failed, fetch, listening, serving
from tests.feeds.test_feeds_guard import WAYS, Doorman

#: This machine once more: digits of other scripts, zones, Teredo, mixed bases.
MORE_WAYS = [
    "0x7f.1",
    "127.0x1",
    "0177.1",
    "0x0000000000007f000001",
    "4294967297",
    "127.0.0.1%00.example.com",
    "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
    "١٢٧.٠.٠.١",
    "127．0．0．1",
    "127｡0｡0｡1",
    "0x7F000001",
    "[::ffff:127.0.0.1%25lo]",
    "[::7f00:1]",
    "[0::1]",
    "[::0001]",
    "[2001:0:7f00:1:0:0:80ff:fffe]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",
    "[2002:7f00:1::7f00:1]",
    "[64:ff9b:1:ffff::127.0.0.1]",
    "[64:ff9b:0:0:0:0:7f00:1]",
    "[fe80::1%25lo]",
    "localhost.localdomain",
    "ip6-localhost",
    "example.com:80#@127.0.0.1",
    "127.0.0.1:80@127.0.0.1",
]
#: Neighbours behind the router, and where clouds keep their keys.
BEHIND = [
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.16689662",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[::a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:a9fe:a9fe::]",
    "[fd00:ec2::254]",
    "[fe80::a9fe:a9fe%25eth0]",
    "10.0.0.1",
    "012.0.0.1",
    "0xa000001",
    "167772161",
    "172.16.0.1",
    "192.168.1.1",
    "100.100.100.200",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "[ff02::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[::]",
]
#: What may be said of an address that is not dialled.
NOT_DIALLED = ("is not on the public internet", "cannot be found", "not an address", "address names no host")


@pytest.fixture
def loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.2, and only that, plays the public internet."""
    others = tuple(net for net in guard._CLOSED_V4 if net != IPv4Network("127.0.0.0/8"))
    rest = IPv4Network("127.0.0.0/8").address_exclude(IPv4Network("127.0.0.2/32"))
    monkeypatch.setattr(guard, "_CLOSED_V4", (*others, *rest))


def test_there_are_enough_of_them() -> None:
    assert len({*WAYS, *MORE_WAYS}) >= 40
    assert 100 <= len({*WAYS, *MORE_WAYS, *BEHIND})


@pytest.mark.parametrize("ways", [MORE_WAYS, BEHIND])
def test_no_way_is_dialled(ways: list[str]) -> None:
    doorman = Doorman()

    async def scenario() -> list[FetchOutcome]:
        async with AsyncExitStack() as stack:
            port = await doorman.watch(stack)
            return await fetch([Feed(url=f"http://{way}:{port}/feed") for way in ways])

    reasons = [failed(outcome).reason for outcome in asyncio.run(scenario())]

    assert 0 == doorman.visitors
    assert [] == [
        (way, reason)
        for way, reason in zip(ways, reasons, strict=True)
        if not any(words in reason for words in NOT_DIALLED)
    ]


@pytest.mark.usefixtures("loopback_is_public")
def test_no_redirect_leads_to_any_of_them() -> None:
    doorman = Doorman()
    ways = [way for way in (*WAYS, *MORE_WAYS, *BEHIND) if way != "127.0.0.2"]
    redirects = 0

    async def scenario() -> list[FetchOutcome]:
        async with AsyncExitStack() as stack:
            port = await doorman.watch(stack)

            async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                nonlocal redirects
                number = int((await reader.readuntil(b"\r\n\r\n")).split()[1].decode().strip("/"))
                redirects += 1
                location = f"http://{ways[number]}:{port}/".encode()
                writer.write(b"HTTP/1.1 302 Go\r\nLocation: " + location + b"\r\nContent-Length: 0\r\n\r\n")

            public = await stack.enter_async_context(listening(redirect, "127.0.0.2"))
            feeds = [Feed(url=f"http://127.0.0.2:{public}/{number}") for number in range(len(ways))]
            return await fetch(feeds, limits=FetchLimits(deadline=10, host_gap=0, per_host=16))

    reasons = [failed(outcome).reason for outcome in asyncio.run(scenario())]

    assert (len(ways), 0) == (redirects, doorman.visitors)
    assert [] == [
        (way, reason)
        for way, reason in zip(ways, reasons, strict=True)
        if not any(words in reason for words in (*NOT_DIALLED, "redirects to something"))
    ]


def test_no_picture_comes_from_any_of_them() -> None:
    doorman = Doorman()

    async def scenario() -> dict[str, object]:
        async with AsyncExitStack() as stack:
            port = await doorman.watch(stack)

            async def redirect(request: web.BaseRequest) -> web.Response:
                return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{port}/"})

            base = await stack.enter_async_context(serving(redirect))
            wanted = {f"http://{way}:{port}/p.png": False for way in (*WAYS, *MORE_WAYS)} | {base: False}
            return dict(
                await fetch_pictures(
                    wanted,
                    domain="wire.example.com",
                    limits=FetchLimits(),
                    clock=FakeClock(),
                    pictures=PictureLimits(count=len(wanted)),
                )
            )

    found = asyncio.run(scenario())

    assert 0 == doorman.visitors
    assert [] == [one for one in found.values() if not isinstance(one, str)]

"""No feed leads to this machine or to the networks behind it, however its address is written."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from ipaddress import IPv4Network
from itertools import cycle

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from newsletter.feeds import guard
from newsletter.feeds.guard import PrivateAddressError, is_public, socket_factory
from newsletter.model import Feed, Fetched, FetchOutcome
from tests.feeds.site import RSS, answer_to, failed, fetch, listening

CLOSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456:789a::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "localhost",
    "example.com",
    "",
    "127.1",
    "2130706433",
    "0x7f000001",
    "8.8.8.8 ",
    "08.8.8.8",
    "8.8.8.8/32",
]
OPEN = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
]
#: Ways to write this machine, each to be followed by a port.
WAYS = [
    "127.0.0.1",
    "127.0.0.2",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "00000000",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.0x0.0x0.0x1",
    "017700000001",
    "0177.0.0.1",
    "0177.0000.0000.0001",
    "127.0.0.1.",
    "127.000.000.001",
    "127.0.0.%31",
    "%31%32%37.0.0.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001:0000:0000:0000:0000:0001]",
    "[::1%25lo]",
    "[::ffff:0.0.0.0]",
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    "localhost..",
    "ｌocalhost",
    "example.com@127.0.0.1",
    "user:secret@127.0.0.1",
    "example.com%40127.0.0.1@127.0.0.1",
    "127.0.0.1@127.0.0.1",
]


@pytest.mark.parametrize("ip", CLOSED)
def test_an_address_that_is_not_plainly_public_is_closed(ip: str) -> None:
    assert not is_public(ip)


@pytest.mark.parametrize("ip", OPEN)
def test_the_neighbours_of_the_closed_ranges_are_open(ip: str) -> None:
    assert is_public(ip)


def test_a_refused_address_gets_no_socket_at_all() -> None:
    factory = socket_factory(allow_private=False)

    for ip in CLOSED:
        with pytest.raises(PrivateAddressError, match="not a public address"):
            factory((socket.AF_INET, socket.SOCK_STREAM, 0, "", (ip, 80)))


def test_an_owner_may_open_private_addresses_for_a_feed() -> None:
    with socket_factory(allow_private=True)((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))) as opened:
        assert (socket.AF_INET, socket.SOCK_STREAM) == (opened.family, opened.type)


class Doorman:
    """Counts who comes to a port of this machine, on IPv4 and, where there is one, IPv6."""

    def __init__(self) -> None:
        self.visitors = 0

    async def admit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visitors += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(RSS) + RSS)

    async def watch(self, stack: AsyncExitStack) -> int:
        port = await stack.enter_async_context(listening(self.admit, "0.0.0.0"))
        with suppress(OSError):  # a machine without IPv6: its forms are tried all the same
            await stack.enter_async_context(listening(self.admit, "::1", port))
        return port


def visits(
    addresses: Callable[[int], list[str]], *, resolver: AbstractResolver | None = None, private: bool = False
) -> tuple[int, list[FetchOutcome]]:
    """Fetch these addresses; returns how many connections came in, and the outcomes."""
    doorman = Doorman()

    async def scenario() -> list[FetchOutcome]:
        async with AsyncExitStack() as stack:
            port = await doorman.watch(stack)
            feeds = [Feed(url=address, allow_private=private) for address in addresses(port)]
            return await fetch(feeds, resolver=resolver)

    outcomes = asyncio.run(scenario())
    return doorman.visitors, outcomes


def test_no_way_to_write_this_machine_reaches_it() -> None:
    assert len(WAYS) >= 40

    visitors, outcomes = visits(lambda port: [f"http://{way}:{port}/feed" for way in WAYS])

    assert 0 == visitors
    assert [] == [outcome for outcome in outcomes if isinstance(outcome, Fetched)]


def test_the_doorman_sees_who_is_let_in() -> None:
    visitors, outcomes = visits(lambda port: [f"http://127.0.0.1:{port}/", f"http://localhost:{port}/"], private=True)

    assert 2 == visitors
    assert [RSS, RSS] == [outcome.body for outcome in outcomes if isinstance(outcome, Fetched)]


def test_the_refusal_says_what_to_write_where_it_is_meant() -> None:
    _, [outcome, named] = visits(lambda port: [f"http://127.0.0.1:{port}/", f"http://localhost:{port}/"])

    assert "127.0.0.1 is not on the public internet" == failed(outcome).reason
    assert "allow_private: true" in (failed(outcome).hint or "")
    assert failed(named).reason.startswith("localhost is not on the public internet")


class TwoFaced(AbstractResolver):
    """A name server that gives another answer every time (DNS rebinding)."""

    def __init__(self, *faces: list[str]) -> None:
        self._faces: Iterator[list[str]] = cycle(faces)
        self.asked = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked += 1
        return [
            ResolveResult(hostname=host, host=ip, port=port, family=socket.AF_INET, proto=6, flags=0)
            for ip in next(self._faces)
        ]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(
    "faces",
    [
        (["127.0.0.1"],),
        (["203.0.113.7"], ["127.0.0.1"]),
        (["127.0.0.1", "203.0.113.7"],),
        (["::1"], ["::ffff:127.0.0.1"]),
        (["localhost"],),  # a resolver that hands a name on to the dial
    ],
)
def test_what_a_name_resolves_to_is_checked_at_every_dial(faces: tuple[list[str], ...]) -> None:
    resolver = TwoFaced(*faces)
    names = [f"rebind{number}.example" for number in range(4)]

    visitors, outcomes = visits(lambda port: [f"http://{name}:{port}/" for name in names], resolver=resolver)

    assert (0, 4) == (visitors, resolver.asked)
    assert ["not on the public internet"] * 4 == [
        failed(one).reason.split(" is ")[1].split(" (")[0] for one in outcomes
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["http://127.0.0.1:{}/secret", "//127.0.0.1:{}/secret", "http://localhost:{}/"])
def test_a_redirect_to_this_machine_is_refused(monkeypatch: pytest.MonkeyPatch, status: int, target: str) -> None:
    """127.0.0.2 plays the public internet; only the table of closed ranges is another one."""
    monkeypatch.setattr(guard, "_CLOSED_V4", (IPv4Network("127.0.0.1/32"),))
    doorman = Doorman()
    asked: list[str] = []

    async def scenario() -> FetchOutcome:
        async with AsyncExitStack() as stack:
            port = await doorman.watch(stack)

            async def redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
                location = target.format(port)
                writer.write(f"HTTP/1.1 {status} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

            public = await stack.enter_async_context(listening(redirect, "127.0.0.2"))
            return (await fetch([Feed(url=f"http://127.0.0.2:{public}/feed")]))[0]

    outcome = asyncio.run(scenario())

    assert (1, 0) == (len(asked), doorman.visitors)
    assert "is not on the public internet" in failed(outcome).reason


@pytest.mark.parametrize(
    "target", ["file:///etc/hostname", "ftp://127.0.0.1/", "data:,hello", "gopher://x/", "http://["]
)
def test_a_redirect_leads_to_the_web_only(target: str) -> None:
    async def redirect(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": target})

    outcome = failed(answer_to(redirect))

    assert outcome.reason.startswith("127.0.0.1 redirects to something")

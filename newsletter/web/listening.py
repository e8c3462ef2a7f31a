"""Listening for HTTP: connections that carry one request each, which must come in time, and only so many at once."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from aiohttp import web

from newsletter.errors import NewsletterError

#: Seconds in which a whole request line with its headers must have come.
_HEADERS_IN: Final = 10.0
#: Seconds a connection may last, whoever is slow.
_LONGEST: Final = 60.0
#: Seconds in which what has begun may end.
DRAIN: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where we listen; `names` is what we may be called there, as in a Host header."""

    address: str
    port: int
    names: frozenset[str]


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, *, connections: int, what: str, hint: str
) -> AsyncIterator[Listening]:
    """Serve while the block lasts; what is waiting at its end is done first.

    Args:
        app: what answers.
        host: where to listen.
        port: where; 0 takes a free one.
        connections: at most so many at once.
        what: is served, in words.
        hint: what to do where that cannot be.

    Raises:
        NewsletterError: the address is taken, or not ours.
    """
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=DRAIN)
    await runner.setup()
    try:
        server = await _listen(runner, host, port, connections)
    except OSError as error:
        await runner.cleanup()
        raise NewsletterError(
            f"{what} cannot be served at {_shown(host)}:{port}: "
            f"{(error.strerror or os.strerror(error.errno or 0)).lower()}",
            hint=hint,
        ) from error
    port = server.sockets[0].getsockname()[1]
    try:
        yield Listening(address=f"http://{_shown(host)}:{port}", port=port, names=frozenset(_own_names(host, port)))
    finally:
        server.close()
        await runner.shutdown()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, connections: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    manager = runner.server
    assert manager is not None

    def visitor() -> asyncio.BaseProtocol:
        if len(manager.connections) >= connections:
            return _Refused()
        return _Visitor(manager, loop=loop, keepalive_timeout=_HEADERS_IN, lingering_time=1.0, logger=_SILENT)

    return await loop.create_server(visitor, host, port)


class _Visitor(web.RequestHandler):
    """One connection: cut when it lasts too long; what is not HTTP gets an answer that says nothing about us."""

    __slots__ = ("_end",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._end = asyncio.get_running_loop().call_later(_LONGEST, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)

    def handle_error(self, request: web.BaseRequest, status: int = 500, *_: object, **__: object) -> web.StreamResponse:  # noqa: ARG002 - aiohttp's
        response = web.Response(status=status, text="that is no request\n", headers={"Server": "newsletter"})
        response.force_close()
        return response


class _Refused(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


def _silent_logger() -> logging.Logger:
    logger = logging.getLogger("newsletter.web")
    # Paths have tokens in them: what aiohttp would say of a broken request is not for a log.
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


_SILENT: Final = _silent_logger()


def _own_names(host: str, port: int) -> set[str]:
    """What we may be called besides our public name: a proxy may pass our own address on."""
    names = {host}
    try:
        if ip_address(host).is_loopback:
            names |= {"127.0.0.1", "localhost", "[::1]"}
    except ValueError:
        names |= {"127.0.0.1", "localhost", "[::1]"} if host == "localhost" else set()
    return {f"{_shown(name)}:{port}" for name in names}


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host

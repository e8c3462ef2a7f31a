"""A web server on loopback that answers as a test says, and a way to fetch from it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractResolver

from newsletter.feeds.asking import FetchLimits
from newsletter.feeds.fetch import fetch_all
from newsletter.model import Failed, Feed, Fetched, FetchOutcome, Validators
from tests.conftest import FakeClock

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
RawHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

RSS = (
    b'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>https://example.com/</link>'
    b"<item><guid>1</guid><title>One</title><link>https://example.com/1</link></item></channel></rss>"
)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Serve HTTP on a free port of 127.0.0.1; gives the address without a final slash."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def listening(handler: RawHandler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Accept connections and hand over their bytes; gives the port."""

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
            await writer.drain()
        except ConnectionError:
            pass  # the client may hang up at any time: most of these tests want it to
        finally:
            writer.close()

    server = await asyncio.start_server(closing, host, port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def fetch(
    feeds: Sequence[Feed],
    validators: Mapping[str, Validators] | None = None,
    *,
    limits: FetchLimits | None = None,
    on_done: Callable[[FetchOutcome], None] = lambda outcome: None,
    resolver: AbstractResolver | None = None,
) -> list[FetchOutcome]:
    """Fetch with defaults for all that a test does not care about."""
    return await fetch_all(
        feeds,
        validators or {},
        limits=limits or FetchLimits(deadline=10),
        clock=FakeClock(),
        on_done=on_done,
        resolver=resolver,
    )


def answer_to(
    handler: Handler, path: str = "/feed", *, limits: FetchLimits | None = None, validators: Validators | None = None
) -> FetchOutcome:
    """What comes of one feed on a server with this handler."""

    async def scenario() -> FetchOutcome:
        async with serving(handler) as base:
            feed = Feed(url=base + path, allow_private=True)
            [outcome] = await fetch([feed], {feed.url: validators} if validators else {}, limits=limits)
            return outcome

    return asyncio.run(scenario())


def failed(outcome: FetchOutcome) -> Failed:
    """The outcome, which must be a failure."""
    assert isinstance(outcome, Failed), outcome
    return outcome


def fetched(outcome: FetchOutcome) -> Fetched:
    """The outcome, which must be a document."""
    assert isinstance(outcome, Fetched), outcome
    return outcome

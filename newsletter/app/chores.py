"""What one of all workers does once a minute: digests whose slot has come, and feeds whose time has."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol
from urllib.parse import urlsplit

from newsletter import pipeline
from newsletter.app.due import Looks, send_due
from newsletter.app.project import App
from newsletter.app.pulse import Pulse
from newsletter.model import FetchResult, Poll, Round
from newsletter.stages import Watch

#: Hosts are dealt out to so many parts; a part is asked by one worker at a time.
_PARTS: Final = 16


class Hears(Protocol):
    """Who is told what came of it."""

    def looked(self, found: Looks) -> None:
        """All digests were looked at."""

    def polled(self, results: list[FetchResult]) -> None:
        """Feeds whose time had come were asked."""


class Chores:
    """The chores of one worker, each on a thread of its own, so that no message waits for it.

    Args:
        app: the project; each chore opens it for itself.
        pulse: told that something happens.
        watch: sees digests come to be.
        hears: is told what came of it.
        ending: once set, what is in flight is finished.
        poll_soon: has somebody poll a part of all hosts.
    """

    def __init__(
        self,
        app: App,
        pulse: Pulse,
        *,
        watch: Watch,
        hears: Hears,
        ending: asyncio.Event,
        poll_soon: Callable[[int], Awaitable[None]],
    ) -> None:
        self._app = app
        self._pulse = pulse
        self._watch = watch
        self._hears = hears
        self._ending = ending
        self._poll_soon = poll_soon

    async def due(self) -> None:
        """Send every digest whose slot has come, and tell the owner what has changed.

        Raises:
            NewsletterError: as `send_due`.
        """

        async def send(app: App, stop: asyncio.Event) -> None:
            self._hears.looked(await send_due(app, None, watch=self._watch, stop=stop, enqueue=True))

        await self._apart(send)

    async def poll_due(self) -> None:
        """See to it that the feeds are asked whose time has come.

        Raises:
            StoreError: the database does not answer.
        """
        now, feeds = self._app.clock.now(), self._app.config.feeds
        polls = self._app.store.polls([feed.url for feed in feeds])
        for part in sorted({_part(feed.url) for feed in feeds if _is_due(polls.get(feed.url), now)}):
            await self._poll_soon(part)

    async def poll(self, part: int) -> None:
        """Ask the feeds of one part of all hosts.

        Raises:
            StoreError: the database does not answer.
        """

        async def ask(app: App, stop: asyncio.Event) -> None:
            feeds = [feed for feed in app.config.feeds if _part(feed.url) == part]
            if feeds and not stop.is_set():
                results = await pipeline.fetch(
                    app.parts(), feeds, kind=Round.due, on_result=lambda _: self._pulse.beat()
                )
                self._hears.polled(results)

        await self._apart(ask)

    async def _apart(self, work: Callable[[App, asyncio.Event], Awaitable[None]]) -> None:
        """Do something that takes long on a thread of its own, so that no message waits for it."""
        loop_of: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def there() -> None:
            stop = asyncio.Event()
            loop_of.append((asyncio.get_running_loop(), stop))
            app = App.open(self._app.config.path, clock=self._app.clock, ids=self._app.ids)
            try:
                await work(app, stop)
            finally:
                app.close()

        async def pass_on() -> None:
            await self._ending.wait()
            for loop, stop in loop_of:
                with suppress(RuntimeError):
                    loop.call_soon_threadsafe(stop.set)

        passing = asyncio.ensure_future(pass_on())
        try:
            await asyncio.to_thread(lambda: asyncio.run(there()))
        finally:
            passing.cancel()


def _part(url: str) -> int:
    """Which part of all hosts a feed's is in: no two workers ask one host at the same time."""
    host = urlsplit(url).hostname or ""
    return int.from_bytes(sha256(host.encode()).digest()[:2], "big") % _PARTS


def _is_due(poll: Poll | None, now: datetime) -> bool:
    return poll is None or (poll.paused is None and (poll.next_at is None or poll.next_at <= now))

"""`run`: stay up, ask each feed when its time has come, and send every digest on its schedule.

Nothing is kept in mind that the store does not know: a process that dies, two of
them at once, and `send --due` from cron beside it, come to the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Protocol

from newsletter import pipeline
from newsletter.app.due import Looks, send_due
from newsletter.app.notices import Telling, tell
from newsletter.app.notify import watched_by_systemd
from newsletter.app.project import App
from newsletter.app.pulse import Pulse
from newsletter.app.schedules import upcoming
from newsletter.clock import Clock, SystemClock
from newsletter.errors import BusyError, NewsletterError
from newsletter.model import FetchResult, Round
from newsletter.stages import Watch

#: So often it looks at the clock at least, in seconds: the clock may be set, and the machine may sleep.
_LONGEST_REST: Final = 60.0
_SHORTEST_REST: Final = 1.0


class Listener(Protocol):
    """Who is told what happens."""

    def began(self, app: App) -> None:
        """The project is open, for the first time or as it has been changed."""

    def monitored(self, address: str) -> None:
        """Monitors are answered there."""

    def looked(self, found: Looks) -> None:
        """All digests were looked at."""

    def polled(self, results: Sequence[FetchResult]) -> None:
        """Feeds whose time had come were asked."""

    def troubled(self, error: NewsletterError) -> None:
        """Something does not work, and is tried again; told once, until something else is the matter."""

    def recovered(self) -> None:
        """It works again."""


async def run(
    path: Path | None,
    *,
    watch: Watch,
    listener: Listener,
    stop: asyncio.Event,
    listen: tuple[str, int] | None = None,
    clock: Clock | None = None,
    rest: Callable[[float], Awaitable[None]] | None = None,
) -> None:
    """Stay up until `stop` is set; what is in flight then is finished.

    A change of newsletter.yaml is followed at the next look; while it has
    mistakes, nothing is sent.

    Args:
        path: the project's folder or its newsletter.yaml; None: the one around the current folder.
        watch: sees each send happen.
        listener: is told the rest.
        stop: ends it.
        listen: host and port at which monitors are answered, /healthz and /metrics; None: nowhere.
        clock: what time it is.
        rest: waits for seconds; until `stop` is set, unless somebody says otherwise.

    Raises:
        ConfigError: the project has mistakes at the start.
        StoreError: its store cannot be used at the start.
        NewsletterError: nobody can listen there.
    """
    clock = clock or SystemClock()
    trouble = ""
    pulse = Pulse(clock)
    runner = _Runner(path, clock, watch, pulse, listener)
    async with AsyncExitStack() as around:
        around.callback(runner.close)
        runner.open()
        if listen is not None:
            listener.monitored(await around.enter_async_context(pulse.monitored(*listen)))
        await around.enter_async_context(watched_by_systemd(lambda: not pulse.is_late))
        while not stop.is_set():
            try:
                until = await runner.look(stop)
                pulse.looked()
            except BusyError:
                pulse.looked()
                # Somebody sends by hand, or cron does: they do what we would.
                until = clock.now() + timedelta(seconds=_LONGEST_REST)
            except NewsletterError as error:
                runner.close()
                pulse.looked(error)
                until = clock.now() + timedelta(seconds=_LONGEST_REST)
                if str(error) != trouble:
                    trouble = str(error)
                    listener.troubled(error)
            else:
                if trouble:
                    trouble = ""
                    listener.recovered()
            seconds = (until - clock.now()).total_seconds()
            await (rest or _until(stop))(min(max(seconds, _SHORTEST_REST), _LONGEST_REST))


def _until(stop: asyncio.Event) -> Callable[[float], Awaitable[None]]:
    async def rest(seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await stop.wait()
        except TimeoutError:
            return

    return rest


class _Runner:
    """The project, opened anew when its file has changed."""

    def __init__(self, path: Path | None, clock: Clock, watch: Watch, pulse: Pulse, listener: Listener) -> None:
        self._path = path
        self._clock = clock
        self._watch = pulse.hearing(watch)
        self._pulse = pulse
        self._listener = listener
        self._app: App | None = None
        self._text = b""

    def open(self) -> App:
        """The project as it is now."""
        if self._app is not None and self._app.config.path.read_bytes() == self._text:
            return self._app
        self.close()
        app = App.open(self._path, clock=self._clock)
        self._text = app.config.path.read_bytes()
        # Only a store that can be used is a beginning.
        app.store.info()
        self._app = app
        self._pulse.opened(app)
        self._listener.began(app)
        return app

    def close(self) -> None:
        """Let go of the store."""
        if self._app is not None:
            self._pulse.opened(None)
            self._app.close()
            self._app = None

    async def look(self, stop: asyncio.Event) -> datetime:
        """Send what is due, ask the feeds that are due; when to look again at the latest."""
        self._pulse.beat()
        try:
            app = self.open()
        except OSError as error:
            raise NewsletterError(f"newsletter.yaml cannot be read: {error.strerror}") from error
        if any(digest.schedule for digest in app.config.digests):
            self._listener.looked(await send_due(app, None, watch=self._watch, stop=stop))
        elif (telling := await tell(app)) != Telling():
            self._listener.looked(Looks(finished=(), looked=(), telling=telling))
        if not stop.is_set() and app.config.feeds:
            results = await pipeline.fetch(
                app.parts(), app.config.feeds, kind=Round.due, on_result=lambda _: self._pulse.beat()
            )
            if results:
                self._listener.polled(results)
        return self._next(app)

    def _next(self, app: App) -> datetime:
        now = self._clock.now()
        slots = [slot.at for one in upcoming(app.config, now, count=1) for slot in one.slots]
        polls = [
            poll.next_at
            for poll in app.store.polls([feed.url for feed in app.config.feeds]).values()
            if poll.next_at is not None and poll.paused is None
        ]
        openings = [
            opens_at
            for issue in app.store.unfinished()
            if (opens_at := app.store.postponed(issue.id)[1]) is not None and not issue.waits_for_a_person
        ]
        return min([*slots, *polls, *openings], default=now + timedelta(seconds=_LONGEST_REST))

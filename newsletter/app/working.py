"""`worker`: one of any number of processes, on any number of machines, that send what waits and do what is due.

Each takes jobs from the queue, and a job only says where to look: what is to be
sent, and by whom, stands in the database.  Once a minute one of them sweeps (puts
a job for whatever has none), sends digests whose slot has come, and has feeds
polled, each host by one worker at a time (docs/scale.md).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import urlsplit

from newsletter import jobs, pipeline
from newsletter.app.due import Looks, send_due
from newsletter.app.notices import Telling, tell
from newsletter.app.notify import watched_by_systemd
from newsletter.app.project import App
from newsletter.app.pulse import Pulse
from newsletter.app.send import require_shared
from newsletter.clock import Clock, SystemClock
from newsletter.delivery.ports import Progress
from newsletter.dispatch import Hand, at_work, clock_words, judge
from newsletter.errors import BusyError, MovedError, NewsletterError, SchemaError, StoreError
from newsletter.model import UNSETTLED, DeliveryState, FetchResult, Poll, Round, SendReport, Shard
from newsletter.stages import Watch
from newsletter.text import one_line

#: Hosts are dealt out to so many parts; a part is asked by one worker at a time.
_PARTS: Final = 16
#: Seconds between two looks at the project's file, and at whether all is well.
_LOOK: Final = 5.0
#: Seconds between two looks of a worker that ends when nothing is left.
_IDLE: Final = 0.5
#: Seconds of the first wait for a database that does not answer, and of the longest.
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 30.0


_SET_IT: Final = "set it, with NTP say; other machines go on meanwhile"


class Listener(Protocol):
    """Who is told what happens."""

    def began(self, app: App, who: str) -> None:
        """The worker takes jobs, for the first time or with a changed project."""

    def monitored(self, address: str) -> None:
        """Monitors are answered there."""

    def delivered(self, shard: Shard, report: SendReport) -> None:
        """A shard has come to its end, or to a stop."""

    def looked(self, found: Looks) -> None:
        """All digests were looked at."""

    def polled(self, results: list[FetchResult]) -> None:
        """Feeds whose time had come were asked."""

    def troubled(self, error: NewsletterError) -> None:
        """Something does not work, and is tried again; told once, until something else is the matter."""

    def recovered(self) -> None:
        """It works again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a worker leaves that has nothing more to do: messages that wait for a server, for their hours or for a person."""

    deferred: int = 0
    waiting: int = 0
    others: int = 0
    stopped: str | None = None


async def work(
    path: Path | None,
    *,
    concurrency: int,
    until_idle: bool,
    watch: Watch,
    listener: Listener,
    stop: asyncio.Event,
    listen: tuple[str, int] | None = None,
    clock: Clock | None = None,
) -> Left | None:
    """Work until `stop` is set, or until nothing is left that may go now; what is in flight then is finished.

    A change of newsletter.yaml is followed.  A database that does not answer is waited
    for; nothing is sent meanwhile.

    Args:
        path: the project's folder or its newsletter.yaml; None: the one around the current folder.
        concurrency: how many shards are sent at once; they share the connections that the project allows.
        until_idle: end when nothing is left; no schedule is kept and no feed polled.
        watch: sees digests come to be.
        listener: is told the rest.
        stop: ends it.
        listen: host and port at which monitors are answered.
        clock: what time it is.

    Returns:
        what is left, where it was to end by itself.

    Raises:
        ConfigError, UsageError: the project has mistakes, or can have no workers.
        SchemaError: another version of the program has changed the database: start this one anew.
        StoreError: the database cannot be used at the start, or nothing may be sent from it any more.
        NewsletterError: procrastinate is not installed.
    """
    clock = clock or SystemClock()
    pulse = Pulse(clock)
    trouble, wait, has_begun = "", _FIRST_WAIT, False
    async with AsyncExitStack() as around:
        if listen is not None:
            listener.monitored(await around.enter_async_context(pulse.monitored(*listen)))
        await around.enter_async_context(watched_by_systemd(lambda: not pulse.is_late))
        while not stop.is_set():
            try:
                async with _opened(
                    path, concurrency, clock=clock, pulse=pulse, watch=watch, listener=listener
                ) as worker:
                    has_begun = True
                    if trouble:
                        trouble, wait = "", _FIRST_WAIT
                        listener.recovered()
                    left = await worker.work(stop, until_idle=until_idle)
                    if left is not None:
                        return left
            except NewsletterError as error:
                pulse.looked(error)
                if not has_begun or not isinstance(error, StoreError) or isinstance(error, SchemaError | MovedError):
                    raise
                if str(error) != trouble:
                    trouble = str(error)
                    listener.troubled(error)
                await _rest(stop, wait)
                wait = min(2 * wait, _LONGEST_WAIT)
    return None


class _Worker:
    """One process at work on the project as it is now; it ends when the project's file changes."""

    def __init__(self, app: App, hand: Hand, pulse: Pulse, watch: Watch, listener: Listener) -> None:
        self._app = app
        self._store = app.store
        self._hand = hand
        self._keeper = hand.keeper
        self._pulse = pulse
        self._watch = pulse.hearing(watch)
        self._listener = listener
        self._text = app.config.path.read_bytes()
        self._ending = asyncio.Event()
        self._failure: NewsletterError | None = None
        self._stopped: str | None = None
        url, schema, lines = self._store.queue(jobs.prepare)
        self._queue = jobs.Queue(
            url,
            schema,
            lines,
            deliver=self._deliver,
            poll=self._poll,
            chores={
                "sweep": self._safely(self._sweep),
                "due": self._safely(self._due),
                "poll_due": self._safely(self._poll_due),
            },
        )

    # ---------------------------------------------------------------- the two ways to work

    async def work(self, stop: asyncio.Event, *, until_idle: bool) -> Left | None:
        """Work until asked to stop, until the project's file changes, or until nothing is left (not None).

        Raises:
            StoreError: the database does not answer, or this process must send no more.
        """
        looking = asyncio.ensure_future(self._look_after(stop))
        left = None
        try:
            async with self._queue.opened():
                if until_idle:
                    left = await self._until_idle()
                else:
                    await self._queue.work(self._keeper.concurrency, self._ending)
        except NewsletterError:
            raise
        except Exception as error:
            # Other people's exceptions, of which there are many: procrastinate's, the driver's, its pool's.
            if not jobs.is_about_the_database(error):
                raise
            self._failure = self._failure or StoreError(
                f"the database {self._store.name} does not answer: {one_line(str(error), 200)}",
                hint="nothing is lost; it goes on when the server is back",
            )
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        if self._failure is not None:
            raise self._failure
        return left

    async def _until_idle(self) -> Left | None:
        while not self._ending.is_set():
            if self._keeper.is_clock_off:
                raise NewsletterError(_refused(self._keeper.clock_off), hint=_SET_IT)
            ready = await self._sweep()
            if (not ready and not self._store.senders()) or self._stopped is not None:
                return self._left()
            if ready:
                await self._queue.until_empty(self._keeper.concurrency)
            else:
                await _rest(self._ending, _IDLE)
        return None

    async def _look_after(self, stop: asyncio.Event) -> None:
        """Notice that it is time to end."""
        was_off = False
        while not self._ending.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await stop.wait()
            if self._keeper.is_clock_off != was_off:
                was_off = self._keeper.is_clock_off
                if was_off:
                    self._listener.troubled(NewsletterError(_refused(self._keeper.clock_off), hint=_SET_IT))
                else:
                    self._listener.recovered()
            self._failure = self._failure or self._keeper.trouble
            if self._keeper.trouble is None:
                self._pulse.looked()
            if stop.is_set() or self._failure is not None or self._has_changed():
                self._ending.set()

    def _has_changed(self) -> bool:
        try:
            return self._app.config.path.read_bytes() != self._text
        except OSError:
            # Half written, or on its way; what it was goes on.
            return False

    def _fail(self, error: NewsletterError) -> None:
        self._failure = self._failure or error
        self._ending.set()

    # ------------------------------------------------------------------------- jobs

    async def _deliver(self, issue_id: int, number: int) -> None:
        shard = Shard(issue_id=issue_id, number=number)
        if self._ending.is_set():
            return
        try:
            report = await self._hand.deliver(shard, self._ending, on_progress=self._progressed)
        except BusyError:
            # Somebody writes for longer than is usual; the shard is found again.
            return
        except StoreError as error:
            self._fail(error)
        except NewsletterError as error:
            # The letter cannot be made: no worker can, and no other letter is the worse for it.
            self._stopped = str(error)
            self._listener.troubled(error)
        else:
            if report is not None:
                self._listener.delivered(shard, report)
                self._stopped = report.stopped if report.stopped and not self._ending.is_set() else self._stopped

    def _progressed(self, progress: Progress) -> None:  # noqa: ARG002 - whatever it is, something happens
        self._pulse.beat()

    async def _sweep(self) -> list[Shard]:
        """See to it that there is a job for every shard of which something may go now; returns those shards."""
        store = self._store
        await self._queue.drop_stalled()
        judge(self._app.parts())
        store.forget_shards()
        for issue in store.unfinished():
            store.share_out(issue.id)
        ready = store.ready_shards()
        waiting = await self._queue.waiting()
        if new := [shard for shard in ready if (shard.issue_id, shard.number) not in waiting]:
            store.hand_out(jobs.hand_out, new)
        return ready

    async def _due(self) -> None:
        if any(digest.schedule for digest in self._app.config.digests):
            await self._apart(self._send_due)
        else:
            await self._apart(self._tell)

    async def _send_due(self, app: App, stop: asyncio.Event) -> None:
        self._listener.looked(await send_due(app, None, watch=self._watch, stop=stop, enqueue=True))

    async def _tell(self, app: App, stop: asyncio.Event) -> None:  # noqa: ARG002 - it does not take long
        if (telling := await tell(app)) != Telling():
            self._listener.looked(Looks(finished=(), looked=(), telling=telling))

    async def _poll_due(self) -> None:
        now, feeds = self._app.clock.now(), self._app.config.feeds
        polls = self._store.polls([feed.url for feed in feeds])
        for part in sorted({_part(feed.url) for feed in feeds if _is_due(polls.get(feed.url), now)}):
            await self._queue.poll_soon(part)

    async def _poll(self, part: int) -> None:
        async def poll(app: App, stop: asyncio.Event) -> None:
            feeds = [feed for feed in app.config.feeds if _part(feed.url) == part]
            if feeds and not stop.is_set():
                results = await pipeline.fetch(
                    app.parts(), feeds, kind=Round.due, on_result=lambda _: self._pulse.beat()
                )
                self._listener.polled(results)

        await self._safely(lambda: self._apart(poll))()

    def _safely(self, chore: Callable[[], Awaitable[object]]) -> jobs.Chore:
        """A chore of which nothing that goes wrong is raised: it is tried again a minute later."""

        async def run() -> None:
            if self._ending.is_set() or self._keeper.is_clock_off:
                return
            try:
                await chore()
            except BusyError:
                # Somebody does it by hand.
                return
            except StoreError as error:
                self._fail(error)
            except NewsletterError as error:
                self._listener.troubled(error)

        return run

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

    # ------------------------------------------------------------------ what is left

    def _left(self) -> Left:
        deferred = waiting = others = 0
        for issue in self._store.unfinished():
            counts = self._store.counts(issue.id)
            later = self._store.postponed(issue.id)[0]
            deferred += counts.get(DeliveryState.deferred, 0)
            waiting += later
            others += sum(counts.get(state, 0) for state in UNSETTLED) - counts.get(DeliveryState.deferred, 0) - later
        return Left(deferred=deferred, waiting=waiting, others=others, stopped=self._stopped)


@asynccontextmanager
async def _opened(
    path: Path | None, concurrency: int, *, clock: Clock, pulse: Pulse, watch: Watch, listener: Listener
) -> AsyncIterator[_Worker]:
    app = App.open(path, clock=clock)
    try:
        require_shared(app)
        barred = app.barred()
        if barred is not None:
            raise MovedError(barred.why, hint=barred.hint)
        smtp = app.smtp_for_issues()
        # All shards that are sent at once together open no more connections than the project allows.
        smtp = replace(smtp, connections=max(1, smtp.connections // concurrency))
        parts, me = app.parts(), app.identity()
        with at_work(parts, me, concurrency=concurrency) as keeper:
            hand = Hand(parts, keeper, smtp)
            try:
                worker = _Worker(app, hand, pulse, watch, listener)
                pulse.opened(app)
                listener.began(app, me.who)
                yield worker
            finally:
                pulse.opened(None)
                await hand.transport.close()
    finally:
        app.close()


def _part(url: str) -> int:
    """Which part of all hosts a feed's is in: no two workers ask one host at the same time."""
    host = urlsplit(url).hostname or ""
    return int.from_bytes(sha256(host.encode()).digest()[:2], "big") % _PARTS


def _is_due(poll: Poll | None, now: datetime) -> bool:
    return poll is None or (poll.paused is None and (poll.next_at is None or poll.next_at <= now))


def _refused(off: float) -> str:
    return f"{clock_words(off)}: nothing is sent from here until it is set"


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()

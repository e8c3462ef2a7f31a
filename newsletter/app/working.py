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
from pathlib import Path
from typing import Any, Final, Protocol

from newsletter import jobs, pipeline
from newsletter.app.chores import Chores, Hears
from newsletter.app.notify import watched_by_systemd
from newsletter.app.project import App
from newsletter.app.pulse import Pulse
from newsletter.app.send import require_shared
from newsletter.clock import Clock, SystemClock
from newsletter.delivery.ports import Progress
from newsletter.dispatch import Hand, judge
from newsletter.errors import BusyError, MovedError, NewsletterError, SchemaError, StoreError
from newsletter.keeper import at_work, clock_words
from newsletter.model import UNSETTLED, DeliveryState, IssueState, SendReport, Shard
from newsletter.stages import Watch
from newsletter.text import one_line

#: Seconds between two looks at the project's file, and at whether all is well.
_LOOK: Final = 5.0
#: Seconds between two looks of a worker that ends when nothing is left.
_IDLE: Final = 0.5
#: Seconds of the first wait for a database that does not answer, and of the longest.
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 30.0


_SET_IT: Final = "set it, with NTP say; other machines go on meanwhile"


class Listener(Hears, Protocol):
    """Who is told what happens."""

    def began(self, app: App, who: str) -> None:
        """The worker takes jobs, for the first time or with a changed project."""

    def monitored(self, address: str) -> None:
        """Monitors are answered there."""

    def delivered(self, shard: Shard, report: SendReport) -> None:
        """A shard has come to its end, or to a stop."""

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
    asyncio.get_running_loop().set_exception_handler(_told_already)
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
        self._listener = listener
        self._text = app.config.path.read_bytes()
        self._ending = asyncio.Event()
        self._failure: NewsletterError | None = None
        #: Set while no jobs are to be taken: it is time to end, or the clock cannot be believed.
        self._resting = asyncio.Event()
        #: By issue, why a worker that ends when nothing is left does not go on with it.
        self._stopped: dict[int, str] = {}
        self._stays = True
        self._running: set[asyncio.Future[None]] = set()
        self._told = ""
        chores = Chores(
            app,
            pulse,
            watch=pulse.hearing(watch),
            hears=listener,
            ending=self._ending,
            poll_soon=lambda part: self._queue.poll_soon(part),  # noqa: PLW0108 - there is no queue yet
        )
        url, schema, lines = self._store.queue(jobs.prepare)
        self._queue = jobs.Queue(
            url,
            schema,
            lines,
            deliver=self._deliver,
            poll=lambda part: self._safely(lambda: chores.poll(part))(),
            chores={
                jobs.SWEEP: self._safely(self._sweep),
                "due": self._safely(chores.due),
                "poll_due": self._safely(chores.poll_due),
            },
        )

    # ---------------------------------------------------------------- the two ways to work

    async def work(self, stop: asyncio.Event, *, until_idle: bool) -> Left | None:
        """Work until asked to stop, until the project's file changes, or until nothing is left (not None).

        Raises:
            StoreError: the database does not answer, or this process must send no more.
        """
        self._stays = not until_idle
        looking = asyncio.ensure_future(self._look_after(stop))
        left = None
        try:
            async with self._queue.opened():
                if until_idle:
                    left = await self._until_idle()
                else:
                    await self._until_stopped()
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
            # Where the queue broke off, it has left its jobs alone.
            self._ending.set()
            if self._running:
                await asyncio.wait(self._running)
        if self._failure is not None:
            raise self._failure
        return left

    async def _until_stopped(self) -> None:
        while not self._ending.is_set():
            if self._keeper.is_clock_off:
                # Jobs are left to those who can do them.
                await _rest(self._ending, _LOOK)
            else:
                self._resting.clear()
                await self._queue.work(self._keeper.concurrency, self._resting)

    async def _until_idle(self) -> Left | None:
        while not self._ending.is_set():
            if self._keeper.is_clock_off:
                raise NewsletterError(_refused(self._keeper.clock_off), hint=_SET_IT)
            ready = await self._sweep()
            if not ready and not self._store.senders():
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
            if self._ending.is_set() or self._keeper.is_clock_off:
                self._resting.set()

    def _has_changed(self) -> bool:
        try:
            return self._app.config.path.read_bytes() != self._text
        except OSError:
            # Half written, or on its way; what it was goes on.
            return False

    def _fail(self, error: NewsletterError) -> None:
        self._failure = self._failure or error
        self._ending.set()
        self._resting.set()

    # ------------------------------------------------------------------------- jobs

    async def _deliver(self, issue_id: int, number: int) -> None:
        if not self._ending.is_set():
            sending = asyncio.ensure_future(self._send(Shard(issue_id=issue_id, number=number)))
            self._running.add(sending)
            sending.add_done_callback(self._running.discard)
            await sending

    async def _send(self, shard: Shard) -> None:
        issue_id = shard.issue_id
        try:
            report = await self._hand.deliver(shard, self._ending, on_progress=self._progressed)
        except BusyError:
            # Somebody writes for longer than is usual; the shard is found again.
            return
        except StoreError as error:
            self._fail(error)
        except NewsletterError as error:
            # The letter cannot be made, or the server is left alone: no worker can, and what else there is may go on.
            self._leave(issue_id, str(error))
            self._tell_once(error)
        else:
            if report is not None:
                self._told = "" if report.sent_now else self._told
                is_asked_to = self._ending.is_set()
                self._listener.delivered(shard, replace(report, stopped=None) if is_asked_to else report)
                if report.stopped and not is_asked_to:
                    self._leave(issue_id, report.stopped)

    def _leave(self, issue_id: int, why: str) -> None:
        """Do not go on with an issue; who stays tries again with every sweep, and one that is paused is nobody's."""
        if not self._stays and self._store.issue_by_id(issue_id).state is IssueState.open:
            self._stopped[issue_id] = why

    def _tell_once(self, error: NewsletterError) -> None:
        if str(error) != self._told:
            self._told = str(error)
            self._listener.troubled(error)

    def _progressed(self, progress: Progress) -> None:  # noqa: ARG002 - whatever it is, something happens
        self._pulse.beat()

    async def _sweep(self) -> list[Shard]:
        """See to it that there is a job for every shard of which something may go now; returns those shards."""
        store = self._store
        await self._queue.drop_stalled()
        judge(self._app.parts())
        store.forget_shards()
        # Those that wait for their hours wait by the ones that the project has now.
        for issue in pipeline.to_finish(self._app.parts()):
            store.share_out(issue.id)
        ready = [shard for shard in store.ready_shards() if shard.issue_id not in self._stopped]
        waiting = await self._queue.waiting()
        if new := [shard for shard in ready if (shard.issue_id, shard.number) not in waiting]:
            store.hand_out(jobs.hand_out, new)
        return ready

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
                self._tell_once(error)

        return run

    # ------------------------------------------------------------------ what is left

    def _left(self) -> Left:
        deferred = waiting = others = 0
        reasons = list(self._stopped.values())
        for issue in self._store.unfinished():
            counts = self._store.counts(issue.id)
            later = self._store.postponed(issue.id)[0]
            deferred += counts.get(DeliveryState.deferred, 0)
            waiting += later
            others += sum(counts.get(state, 0) for state in UNSETTLED) - counts.get(DeliveryState.deferred, 0) - later
            if issue.state is IssueState.paused and issue.state_reason:
                reasons.append(issue.state_reason)
        return Left(deferred=deferred, waiting=waiting, others=others, stopped=next(iter(reasons), None))


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


def _told_already(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What is left of a job when the database goes away is no news: whoever waits for the queue has said so."""
    error = context.get("exception")
    if not isinstance(error, Exception) or not jobs.is_about_the_database(error):
        loop.default_exception_handler(context)


def _refused(off: float) -> str:
    return f"{clock_words(off)}: nothing is sent from here until it is set"


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()

"""One run over an issue's outbox: its rows handed out to lanes (`lane`), one lane per connection.

First everybody gets an attempt; then, in a second pass, those whom nobody
refused and of whom it is not known that they got it: a connection broke before
the final dot, or went silent after it (then only with `on_unknown: resend`).
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Final, TypeVar

from newsletter.clock import Clock
from newsletter.delivery.ahead import Ahead
from newsletter.delivery.attempt import Outcome
from newsletter.delivery.circuit import Circuit
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.lane import Lane
from newsletter.delivery.learning import Learner, is_about_connections, is_about_rate
from newsletter.delivery.ports import Carrier, Outbox, Progress, Transport, Writer
from newsletter.delivery.related import PicturePart, picture_parts
from newsletter.delivery.replies import Phase, Verdict
from newsletter.delivery.settling import settle
from newsletter.delivery.sharing import pacers_for
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import TransportError
from newsletter.hours import Hours
from newsletter.model import (
    UNSETTLED,
    Delivery,
    DeliveryState,
    Format,
    Issue,
    IssueState,
    OnUnknown,
    Settlement,
)

_Result = TypeVar("_Result")

#: Rows read at a time.
_CHUNK: Final = 500
_PASSES: Final = 2
#: So many rows are looked at for one whose domain may have a message now.
_LOOKED_AT: Final = 200
#: Encoded renderings kept; a project with more of them encodes some again.
_SKELETONS: Final = 16
#: Messages signed before their turn, per connection.
_AHEAD: Final = 2
#: Seconds that what is in flight may take when the run is asked to stop.
_GRACE: Final = 25.0
#: So many messages refused one after the other, and it is not the recipients.
_REFUSALS: Final = 10


def is_open(outbox: Outbox, issue: Issue) -> bool:
    """Whether messages of the issue may begin, as the outbox says now."""
    now = outbox.issue(issue.number, issue.digest)
    return now is not None and now.state is IssueState.open


class Run:
    """What the lanes of one run share: the rows, the skeletons, the server's standing, the end.

    Args:
        issue: frozen.
        outbox: where rows come from.
        writer: where intents and results go.
        transport: what opens connections.
        smtp: how many connections, how fast, how patient.
        clock: what time it is.
        on_unknown: what becomes of a message of which nobody knows whether it arrived.
        on_progress: told after every message.
        sleep: waits for seconds.
        hours: when messages may begin.
    """

    def __init__(
        self,
        issue: Issue,
        outbox: Outbox,
        writer: Writer,
        transport: Transport,
        smtp: SmtpSettings,
        *,
        clock: Clock,
        on_unknown: OnUnknown,
        on_progress: Callable[[Progress], None],
        sleep: Callable[[float], Awaitable[None]],
        hours: Hours | None = None,
    ) -> None:
        counts = outbox.counts(issue.id)
        waiting = 0 if hours is None else outbox.postponed(issue.id)[0]
        self.progress = Progress(total=sum(counts.get(state, 0) for state in UNSETTLED) - waiting)
        #: Why the run ended before its rows did; None if it did not.
        self.stopped: str | None = None
        #: Whether nothing more is to be begun.
        self.is_over = False
        #: In which time zones somebody was left waiting because their hours are closed; None is the digest's.
        self.closed: set[str | None] = set()
        self._hours = hours
        #: Whether the next run must wait until somebody has changed something.
        self.must_pause = False
        #: Whether it ended because of the server, and others had better leave it alone too.
        self.is_server_down = False
        self.issue = issue
        self.writer = writer
        self._transport = transport
        self._server = smtp.server
        self._per_connection = smtp.per_connection
        taken = outbox.taken_since if outbox.is_shared else None
        self.learner = Learner(outbox.server_limits(smtp.server), clock=clock, taken=taken)
        #: What this run has found out about the server's limits, in words.
        self.learned: list[str] = []
        self._most_connected = 0
        self._has_too_many = False
        self._has_worked = False
        self.circuit = Circuit(patience=smtp.patience, back_off=smtp.back_off, rest=self.rest)
        self._return_path = smtp.return_path
        self.pacers = pacers_for(smtp, outbox, clock, self.learner.limits)
        self._may_choose = bool(smtp.per_domain)
        self._outbox = outbox
        self.clock = clock
        self._on_unknown = on_unknown
        self._on_progress = on_progress
        self._sleep = sleep
        self._secret = outbox.secret(issue.envelope.links_secret)
        self._skeletons: OrderedDict[tuple[str, Format], Skeleton] = OrderedDict()
        self._pictures: tuple[PicturePart, ...] | None = None
        self._signers = smtp.signers
        self._ahead = Ahead(_AHEAD * smtp.connections * smtp.window) if smtp.signers else None
        connections = min(smtp.connections, self.learner.limits.connections or smtp.connections)
        self._lanes = [Lane(self, smtp.window) for _ in range(connections)]
        self._chunk: deque[Delivery] = deque()
        self._after_id = 0
        self._is_read = False
        self._is_last_pass = False
        self._refused = 0
        self._halting = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------- begin and end

    async def all(self, stop: asyncio.Event) -> None:
        """Attempt every row that is due; returns when all results are on disk."""
        watch = asyncio.create_task(self._watch(stop))
        try:
            for number in range(1, _PASSES + 1):
                self._chunk.clear()
                self._after_id, self._is_read = 0, False
                self._is_last_pass = number == _PASSES
                await self._pass()
                if self.is_over:
                    break
            if self._has_too_many and (limit := self.learner.connections_refused(self._most_connected)) is not None:
                self._learn(f"{limit:,} {'connection' if limit == 1 else 'connections'} at a time")
            await asyncio.gather(*(lane.close() for lane in self._lanes))
            await self.pacers.close()
        finally:
            watch.cancel()
            if self._deadline is not None:
                self._deadline.cancel()
            for lane in self._lanes:
                lane.abort()
            if self._ahead is not None:
                self._ahead.close()

    async def _pass(self) -> None:
        # All lanes get a first message before any gets a second.
        most = max(lane.slots for lane in self._lanes)
        tasks = [
            asyncio.create_task(lane.work()) for number in range(most) for lane in self._lanes if number < lane.slots
        ]
        try:
            _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            if left:
                self.halt("the run failed")
                self._hurry()
                await asyncio.wait(left)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        failures = [failure for task in tasks if (failure := task.exception()) is not None]
        if failures:
            raise failures[0]

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.halt("stopped when asked to; what is left waits in the outbox")
        self._hurry()

    def _hurry(self) -> None:
        def give_up() -> None:
            for lane in self._lanes:
                lane.abort()

        self._deadline = self._deadline or asyncio.get_running_loop().call_later(_GRACE, give_up)

    def halt(self, reason: str, *, pause: bool = False, is_server_down: bool = False) -> None:
        """Begin nothing more; the first reason given stands."""
        if not self.is_over:
            self.stopped = reason
            self.must_pause = pause
            self.is_server_down = is_server_down
            self.is_over = True
            self._halting.set()

    async def rest(self, seconds: float) -> None:
        """Wait, but not longer than the run goes on."""
        await self._unless_over(self._sleep(seconds))

    async def connect(self) -> Carrier | None:
        """Open a connection; None if the run ended first.

        Raises:
            TransportError: it could not be opened.
        """
        return await self._unless_over(self._transport.open())

    async def _unless_over(self, work: Awaitable[_Result]) -> _Result | None:
        done = asyncio.ensure_future(work)
        over = asyncio.ensure_future(self._halting.wait())
        try:
            await asyncio.wait((done, over), return_when=asyncio.FIRST_COMPLETED)
            return await done if done.done() else None
        finally:
            for task in (done, over):
                task.cancel()
            await asyncio.gather(done, over, return_exceptions=True)

    # ------------------------------------------------------------------------- rows

    async def take(self) -> Delivery | None:
        """The next row to attempt; None when this pass has no more."""
        delivery = await self._next()
        while delivery is not None and self.is_closed_to(delivery):
            delivery = await self._next()
        return delivery

    def is_closed_to(self, delivery: Delivery) -> bool:
        """Whether the hours are closed in which a message to this person may begin; then its row stays as it is."""
        hours = self._hours
        if hours is None or hours.are_open(self.clock.now(), delivery.timezone):
            return False
        self.closed.add(delivery.timezone)
        return True

    async def _next(self) -> Delivery | None:
        while not (self.is_over or (self.closed and self._hours is not None and not self._hours.by_person)):
            if not self._chunk and not self._is_read:
                self._chunk.extend(self._outbox.due(self.issue.id, after_id=self._after_id, limit=_CHUNK))
                self._is_read = len(self._chunk) < _CHUNK
                if self._chunk:
                    self._after_id = self._chunk[-1].id
            if self._may_choose:
                # A domain that has had enough for now does not hold up the others.
                for place, delivery in zip(range(_LOOKED_AT), self._chunk, strict=False):
                    if not self.pacers.wait(delivery.domain):
                        del self._chunk[place]
                        return delivery
                if await self._asked(Counter(delivery.domain for delivery in islice(self._chunk, _LOOKED_AT))):
                    continue
            return self._chunk.popleft() if self._chunk else None
        return None

    async def _asked(self, domains: Mapping[str, int]) -> bool:
        """Whether others had to be asked what may start, and have been."""
        lacking = self.pacers.lacks(domains)
        if lacking:
            await self._unless_over(self.pacers.ask(lacking))
        return bool(lacking)

    async def turn(self, domain: str) -> None:
        """Wait until a message to this domain may start, or the run is over; `pacers` keeps its place from then on."""
        while not self.is_over and (seconds := self.pacers.wait(domain)):
            if not await self._asked({domain: 1}):
                await self.rest(seconds)
        self.pacers.reserve(domain)

    async def keeps_turn(self, domain: str) -> bool:
        """Wait until a message that has had its turn may start now; False: the run is over."""
        while not self.pacers.holds(domain):
            if self.is_over:
                return False
            if not await self._asked({domain: 1}):
                await self.rest(self.pacers.wait(domain))
        return True

    def may_go(self, delivery: Delivery) -> bool:
        """Whether a message that has waited since its intent may still begin."""
        return self._outbox.may_go(delivery.id)

    def sender(self, delivery: Delivery) -> str:
        """Where reports on this message go: the sender of its envelope."""
        return self.issue.envelope.from_email if self._return_path is None else self._return_path.of(delivery.id)

    def skeleton(self, delivery: Delivery) -> Skeleton:
        """The encoded rendering this delivery is filled into.

        Raises:
            MessageError: the rendering cannot be made into messages.
        """
        key = (delivery.rendering, delivery.format)
        skeleton = self._skeletons.get(key)
        if skeleton is None:
            rendering = self._outbox.rendering(self.issue.id, delivery.rendering)
            if self._pictures is None:
                self._pictures = picture_parts(self._outbox.pictures(self.issue.id))
            skeleton = Skeleton.build(
                self.issue,
                rendering,
                delivery.format,
                secret=self._secret,
                pictures=self._pictures,
                signers=self._signers,
            )
            self._skeletons[key] = skeleton
            if len(self._skeletons) > _SKELETONS:
                self._skeletons.popitem(last=False)
        self._skeletons.move_to_end(key)
        return skeleton

    @property
    def is_signing(self) -> bool:
        """Whether messages are to be had from `signed`; making one without takes no longer than a switch of threads."""
        return self._ahead is not None

    async def signed(self, delivery: Delivery, skeleton: Skeleton) -> list[bytes]:
        """The message, as pieces; it is signed off the event loop, and so are the next few meanwhile.

        Raises:
            MessageError: a value of this person cannot be written safely.
        """
        ahead = self._ahead
        assert ahead is not None
        ahead.begin(delivery, skeleton)
        for following in islice(self._chunk, ahead.depth):
            known = self._skeletons.get((following.rendering, following.format))
            if known is not None:
                ahead.begin(following, known)
        return await ahead.pieces(delivery, skeleton)

    def judge(self, delivery: Delivery, outcome: Outcome) -> Settlement:
        """What is to be written to the row."""
        return settle(
            delivery,
            outcome,
            now=self.clock.now(),
            on_unknown=self._on_unknown,
            is_last_pass=self._is_last_pass,
        )

    @property
    def per_connection(self) -> int | None:
        """How many messages a connection may carry: as the publisher says, or fewer if the server does."""
        known = [limit for limit in (self._per_connection, self.learner.limits.per_connection) if limit is not None]
        return min(known, default=None)

    def heed(self, outcome: Outcome, began: float) -> None:
        """What an attempt means for those to come; told before anything waits, so that none of them begins meanwhile.

        Args:
            outcome: of the attempt.
            began: when it began, on the clock that never jumps.
        """
        if outcome.verdict is Verdict.sent:
            if self._outbox.is_shared and not self._has_worked:
                self._has_worked = True
                self._outbox.server_worked(self._server)
            if (rate := self.learner.accepted()) is not None:
                self.pacers.slow_down(rate, began)
                self._learn(f"{rate.count:,} messages in {rate.window}")
        elif is_about_rate(outcome) and (seconds := self.learner.held_back(began)) is not None:
            self.circuit.held_back(seconds)
            if self._outbox.is_shared:
                self._outbox.hold_server(self._server, seconds, str(outcome))
            if self.learner.has_waited_enough:
                self.halt(f"the mail server takes no more for now: {outcome}", is_server_down=True)
        if outcome.verdict is Verdict.refused:
            self.halt(f"the mail server refused us: {outcome}", pause=True)
        elif outcome.verdict is Verdict.rejected:
            self.halt(f"the mail server rejected the message: {outcome}", pause=True)
        self._count_refusals(outcome)

    def connection_ended(self, taken: int) -> None:
        """A connection would carry no more, after so many messages."""
        if (limit := self.learner.connection_ended(taken)) is not None:
            self._learn(f"{limit:,} {'message' if limit == 1 else 'messages'} over one connection")

    def connected(self) -> None:
        """A lane has a connection."""
        self._most_connected = max(self._most_connected, sum(lane.is_connected for lane in self._lanes))

    def connection_refused(self, refusal: TransportError) -> bool:
        """Whether a connection was turned away because the server has enough of them: then it gets no more."""
        if not is_about_connections(str(refusal)) or not self._most_connected or self._is_last_pass:
            # In the last pass nobody comes after a lane that gives its rows up.
            return False
        self._has_too_many = True
        return True

    def _learn(self, what: str) -> None:
        self.learned.append(what)
        self._outbox.learn_limits(self._server, self.learner.limits)

    def note(self, outcome: Outcome, settlement: Settlement) -> None:
        """Count what a row has come to, for whoever watches; not if the second pass finds it again."""
        if self._is_last_pass or self.is_over or not _comes_again(outcome, settlement):
            self._count(settlement)

    def withheld(self) -> None:
        """A row turned out not to be ours to send; so may be all of them."""
        self.progress = replace(self.progress, suppressed=self.progress.suppressed + 1)
        self._on_progress(self.progress)
        if not is_open(self._outbox, self.issue):
            self.halt(f"issue {self.issue.number} of {self.issue.digest} was paused or cancelled meanwhile")

    def _count_refusals(self, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.sent:
            self._refused = 0
        elif outcome.verdict is Verdict.failed and outcome.phase in (Phase.data, Phase.dot):
            self._refused += 1
            if self._refused == _REFUSALS:
                self.halt(f"the mail server refused {_REFUSALS} messages one after the other: {outcome}", pause=True)

    def _count(self, settlement: Settlement) -> None:
        was, state = self.progress, settlement.state
        sent, failed, held = state is DeliveryState.sent, state is DeliveryState.failed, state is DeliveryState.held
        # Not replace(): this comes once a message.
        self.progress = Progress(
            total=was.total,
            sent=was.sent + sent,
            failed=was.failed + failed,
            held=was.held + held,
            deferred=was.deferred + (not (sent or failed or held)),
            suppressed=was.suppressed,
        )
        self._on_progress(self.progress)


def _comes_again(outcome: Outcome, settlement: Settlement) -> bool:
    """Whether the second pass finds the row."""
    return outcome.verdict is Verdict.back_off or settlement.state is DeliveryState.queued

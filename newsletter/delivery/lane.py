"""A lane: one connection at a time, and the deliveries that go over it, a few of them at once.

A lane has a place for each message of the window, and one more: while the
places of the window wait for the server, the next message is made ready and
announced.  Each place takes a row, and sees it through to its result.
"""

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from newsletter.address import is_reserved
from newsletter.delivery.attempt import Outcome
from newsletter.delivery.learning import is_about_rate
from newsletter.delivery.ports import Carrier
from newsletter.delivery.replies import Verdict
from newsletter.delivery.smtp import ServerRefused
from newsletter.errors import MessageError, TransportError
from newsletter.model import Delivery

if TYPE_CHECKING:
    from newsletter.delivery.run import Run

#: Seconds after which an intent is looked at again before its message goes: it may have waited for the server, for
#: a connection or for its place, and its person may have left meanwhile.
_FRESH: Final = 0.02


class Lane:
    """One connection at a time, and those places.

    Args:
        run: whose rows go over it.
        window: how many messages may be on the wire without an answer.
    """

    def __init__(self, run: "Run", window: int) -> None:
        #: How many `work` at the same time.
        self.slots = window + 1
        self.run = run
        #: Between a durable intent and its result, so many of them at most.
        self.places = _Places(window)
        self._link: _Link | None = None
        self._linking = asyncio.Lock()
        #: Whether the server has no connection left for it; the others go on, and take its rows in the second pass.
        self._is_retired = False

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection that works."""
        return self._link is not None and self._link.connection.is_usable

    async def work(self) -> None:
        """Take rows until there are no more; returns when their results are on disk."""
        run = self.run
        settled: asyncio.Future[None] | None = None
        while not self._is_retired and (delivery := await run.take()) is not None:
            settled = await self._deliver(delivery) or settled
        if settled is not None:
            # Those before it are on disk: the writer works in order.
            await settled

    async def close(self) -> None:
        """Take leave of the server."""
        link, self._link = self._link, None
        if link is not None:
            await link.connection.close()

    def abort(self) -> None:
        """Give the connection up."""
        if self._link is not None:
            self._link.connection.abort("it took too long, and the run was to stop")

    async def _deliver(self, delivery: Delivery) -> "asyncio.Future[None] | None":
        """See one delivery through; returns when its result will be on disk, None where there is none."""
        intent = _Intent(self, delivery)
        try:
            return await self._record(intent, await self._handed_over(intent))
        finally:
            intent.free_place()

    async def _handed_over(self, intent: "_Intent") -> Outcome | None:
        """Try until there is an outcome; None if the run ended first."""
        run, delivery = self.run, intent.delivery
        skeleton = run.skeleton(delivery)
        try:
            message = await run.signed(delivery, skeleton) if run.is_signing else skeleton.pieces(delivery)
        except MessageError as error:
            return Outcome(verdict=Verdict.failed, text=str(error))
        outcome = None
        while outcome is None and not self._is_over:
            alone = await run.circuit.turn()
            try:
                # Only here: what is learned about rates while waiting for the server must hold for this one too.
                await intent.take_turn()
                if not intent.is_asked and run.is_closed_to(delivery):
                    return None
                if not self._is_over and (link := self._free_link or await self._linked()) is not None:
                    outcome = await self._attempt(link, intent, message)
            finally:
                # Whoever waits for the server must not keep others from their turn.
                intent.free_turn()
                run.circuit.done(alone=alone)
        return outcome

    @property
    def _is_over(self) -> bool:
        return self._is_retired or self.run.is_over

    async def _record(self, intent: "_Intent", outcome: Outcome | None) -> "asyncio.Future[None] | None":
        """Hand the result in, if the row is ours; returns when it will be on disk."""
        run = self.run
        if outcome is None or outcome.verdict is Verdict.withheld:
            if not intent.is_asked:
                return None
            # A row that is on the wire gets a result, also when the run ended before its second try, or its turn.
            outcome = Outcome(verdict=Verdict.back_off, text="the run ended")
        if not (intent.is_granted or await intent.granted()):
            run.withheld()
            return None
        settlement = run.judge(intent.delivery, outcome)
        settled = run.writer.settle(settlement)
        run.note(outcome, settlement)
        return settled

    @property
    def _free_link(self) -> "_Link | None":
        """The lane's connection, if another message may begin over it."""
        link = self._link
        return link if link is not None and link.has_room(self.run.per_connection) else None

    async def _linked(self) -> "_Link | None":
        """The lane's connection, opened where there is none; None if that failed, of which the circuit knows."""
        async with self._linking:
            link = self._link
            if link is not None and not link.has_room(self.run.per_connection):
                # That it ends now says nothing about the server.
                link.is_known_ended = link.is_known_ended or link.connection.is_usable
                await link.connection.close()
                self._link = link = None
            if link is None and not self._is_over:
                link = await self._link_up()
            return link

    async def _link_up(self) -> "_Link | None":
        run = self.run
        cohort = run.circuit.cohort
        try:
            connection = await run.connect()
        except ServerRefused as refusal:
            run.halt(_told(refusal), pause=True, is_server_down=True)
        except TransportError as error:
            if run.connection_refused(error):
                self._is_retired = True
            else:
                self._failed(cohort, _told(error))
        else:
            if connection is not None:
                self._link = _Link(connection, cohort)
                run.connected()
                return self._link
        return None

    async def _attempt(self, link: "_Link", intent: "_Intent", message: list[bytes]) -> Outcome | None:
        """Try once; None if the connection turned out to have ended before, and another one is worth a try."""
        run, connection, delivery = self.run, link.connection, intent.delivery
        if not connection.is_local and is_reserved(delivery.domain):
            text = f"{delivery.domain} is reserved (RFC 2606): mailed only through a server on this machine"
            return Outcome(verdict=Verdict.failed, text=text)
        began = run.clock.monotonic()
        outcome = await connection.transaction(
            sender=run.sender(delivery), recipient=delivery.wire_email, gate=intent, message=message
        )
        holds_back = is_about_rate(outcome)
        if outcome.is_stale and not holds_back and not link.is_known_ended:
            link.is_known_ended = True
            run.connection_ended(connection.accepted)
        if holds_back or not outcome.is_stale:
            run.heed(outcome, began)
        if outcome.is_stale:
            intent.free_place()
            return None
        if outcome.verdict in (Verdict.back_off, Verdict.unknown) and not holds_back:
            self._failed(link.cohort, str(outcome))
        elif outcome.phase is not None and not holds_back:
            run.circuit.worked()
        return outcome

    def _failed(self, cohort: int, reason: str) -> None:
        circuit = self.run.circuit
        circuit.failed(cohort)
        if circuit.is_dead:
            self.run.halt(f"it failed several times in a row; the last time: {reason}", is_server_down=True)


@dataclass(slots=True)
class _Link:
    """A connection, and since which failure of the server it is there."""

    connection: Carrier
    cohort: int
    #: Whether it has been counted as ended by the server.
    is_known_ended: bool = False

    def has_room(self, limit: int | None) -> bool:
        """Whether another message may begin over it."""
        return self.connection.is_usable and (limit is None or self.connection.begun < limit)


class _Places:
    """The places of a window, given in the order in which they are asked for."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_free(self) -> bool:
        """Take a place if there is one for the taking."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Wait for a place and take it."""
        if not self.take_free():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    def give_back(self) -> None:
        """Hand the place on to whoever has waited longest."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._free += 1


class _Intent:
    """The gate of one delivery (`attempt.Gate`): a place in the window, then the intent on disk.

    The place is given back when the result is handed in, or when an attempt has
    led to nothing; the intent is written once, however many attempts it takes.
    Whoever waits between the intent and the message opens the gate again.
    """

    def __init__(self, lane: Lane, delivery: Delivery) -> None:
        self.delivery = delivery
        self._domain = delivery.domain
        self._lane = lane
        self._has_place = False
        self._has_turn = False
        self._has_begun = False
        self._answer: asyncio.Future[bool] | None = None
        #: When it was last known that the message may go, on the loop's clock.
        self._seen = -math.inf

    async def take_turn(self) -> None:
        """Wait until the rates let it start; a second try needs no turn of its own."""
        if not self._has_begun:
            await self._lane.run.turn(self._domain)
            self._has_turn = True

    def free_turn(self) -> None:
        """Let another message start; nothing happens if this one has."""
        if self._has_turn:
            self._has_turn = False
            self._lane.run.pacers.release(self._domain)

    async def ready(self) -> bool:
        """Wait until the rates let it start now, although it has had its turn; False: the run ended first."""
        return self._has_begun or await self._lane.run.keeps_turn(self._domain)

    def begin(self) -> None:
        """It starts now."""
        self.free_turn()
        self._has_begun = True
        self._lane.run.pacers.begin(self._domain)

    @property
    def is_granted(self) -> bool:
        """Whether it has its place, and its intent is on disk."""
        return self._has_place and self._answer is not None and self._answer.done() and self._answer.result()

    @property
    def is_asked(self) -> bool:
        """Whether the intent has been handed in."""
        return self._answer is not None

    def hurry(self) -> None:
        """Hand the intent in if there is a place for it."""
        if self._has_place or self._lane.places.take_free():
            self._has_place = True
            self._ask()

    async def open(self) -> bool:
        """Wait for a place and for the intent; False also if the run is over before it was handed in.

        An intent that is there already and not fresh any more is looked at again.
        """
        run, clock = self._lane.run, asyncio.get_running_loop().time
        if not self._has_place:
            await self._take_place()
        if self._answer is None and run.is_over:
            return False
        is_stale = self._answer is not None and self._answer.done() and clock() - self._seen > _FRESH
        if is_stale and not run.may_go(self.delivery):
            # To be decided by the writer, and written down.
            self._answer = run.writer.renew(self.delivery.id)
        is_open = await self._ask()
        self._seen = clock()
        return is_open

    async def granted(self) -> bool:
        """Wait for the intent: there is a result to be written."""
        if not self._has_place:
            await self._take_place()
        return await self._ask()

    def free_place(self) -> None:
        """Let another message have the place."""
        if self._has_place:
            self._has_place = False
            self._lane.places.give_back()

    async def _take_place(self) -> None:
        await self._lane.places.take()
        self._has_place = True

    def _ask(self) -> "asyncio.Future[bool]":
        if self._answer is None:
            self._answer = self._lane.run.writer.intend(self.delivery.id)
        return self._answer


def _told(error: TransportError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)

"""The gated group commit: no final dot before its intent is on disk.

Every connection hands its intents and results to one thread (`hands`), which
writes all that is waiting in one transaction and answers after the commit.
While one commit is under way the next batch gathers, so durability costs a
batch and not a message (ARCHITECTURE.md, "The outbox").
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, suppress
from types import TracebackType
from typing import Any, Final, NamedTuple, Protocol, Self

from sqlalchemy.engine import Connection

from newsletter.clock import Clock
from newsletter.errors import StoreError
from newsletter.model import DeliveryState, IssueState, Lease, Settlement
from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.fence import named
from newsletter.store.prepared import Prepared, for_dialect
from newsletter.store.statements import Candidate, Result, Statements
from newsletter.store.suppressions import suppressed_among
from newsletter.text import one_line

#: More than any number of connections hands in at once; bounds one transaction.
_BATCH: Final = 1000
#: How much of a server's reply is kept; it may send any amount.
_REPLY: Final = 1000

_READY = (DeliveryState.queued, DeliveryState.deferred)
_OVER = (
    DeliveryState.sent,
    DeliveryState.failed,
    DeliveryState.held,
    DeliveryState.suppressed,
    DeliveryState.cancelled,
)


class Answer(Protocol):
    """What a request is answered through: a future, of a thread or of an event loop."""

    def set_result(self, result: Any, /) -> None:
        """What was decided."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Why it could not be written."""

    def done(self) -> bool:
        """Whether it has been answered or cancelled."""
        ...


class _Request(NamedTuple):
    """An intent, perhaps one that was granted before, or a result where there is a settlement."""

    delivery_id: int
    answer: Answer
    settlement: Settlement | None = None
    is_again: bool = False


class _Writer(ABC):
    """Writes intents and results, by hands and over a database connection of its own.

    A context manager: leaving it writes what was handed in and lets the hands
    go.  If one commit fails (disk full, damage, a lost server), every future of
    its batch and every later one fails with that `StoreError`: the gate does
    not open again.

    Args:
        erased: the secret by which erased people are recognised.
        trace: told "intent:before-commit", "intent:after-commit",
            "settle:before-commit" and "settle:after-commit", once a batch.
        lease: of the shard that is sent: once it is another's, no gate opens, and of
            results only that a message has arrived is written.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        erased: bytes,
        trace: Callable[[str], None],
        *,
        lease: Lease | None = None,
    ) -> None:
        self._lease = lease
        self._database = database
        self._clock = clock
        self._erased = erased
        self._trace = trace
        self._sql = for_dialect(Statements, database.engine.dialect)
        self._waiting: deque[_Request] = deque()
        self._turn = threading.Lock()
        self._refusal: StoreError | None = StoreError("the outbox writer is not open")
        self._hands = database.hands()
        self._connected = ExitStack()
        self._begin: Callable[[], AbstractContextManager[Connection]] | None = None

    def __enter__(self) -> Self:
        self._refusal = None
        self._hands.start(self._write_batch)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write all that was handed in, then stop; calling it again does nothing."""
        with self._turn:
            self._refusal = self._refusal or StoreError("the outbox writer is closed")
        self._hands.finish()
        self._connected.close()

    def _hand_in(self, requests: Sequence[_Request]) -> None:
        """Give the hands more to write."""
        with self._turn:
            refusal = self._refusal
            if refusal is None:
                self._waiting.extend(requests)
        if refusal is None:
            self._hands.wake()
        else:
            self._answer([(request.answer, _again(refusal)) for request in requests])

    @abstractmethod
    def _claim(self, request: _Request) -> bool:
        """Whether somebody still wants it written; from now on it cannot be cancelled."""

    def _answer(self, answers: "Sequence[tuple[Answer, bool | StoreError | None]]") -> None:
        """Answer requests after their commit; called by the hands, or where one was refused."""
        for answer, result in answers:
            _give(answer, result)

    # -------------------------------------------------------------- for the hands

    def _write_batch(self) -> bool:
        """Write all that is waiting; False if there was nothing."""
        batch: list[_Request] = []
        try:
            if batch := self._next_batch():
                if self._begin is None:
                    self._begin = self._connected.enter_context(self._database.writer())
                self._write(self._begin, batch)
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody waits for an answer
            self._break(error, batch)
        return bool(batch)

    def _next_batch(self) -> list[_Request]:
        """Take all the work there is.

        A delivery comes once at most: its result is written before its next intent.
        """
        batch: dict[int, _Request] = {}
        with self._turn:
            while self._waiting and len(batch) < _BATCH and self._waiting[0].delivery_id not in batch:
                request = self._waiting.popleft()
                if request.settlement is not None or self._claim(request):
                    batch[request.delivery_id] = request
        return list(batch.values())

    def _write(self, begin: Callable[[], AbstractContextManager[Connection]], batch: Sequence[_Request]) -> None:
        intents = [request for request in batch if request.settlement is None]
        results = [request.settlement for request in batch if request.settlement is not None]
        steps = [step for step, some in (("intent", intents), ("settle", results)) if some]
        with begin() as connection:
            if not self._database.is_sqlite:
                self._hold_still(connection, [request.delivery_id for request in batch], gate=bool(intents))
            is_ours = self._lease is None or bool(self._sql.held.rows(connection, named(self._lease)))
            allowed = self._intend(connection, intents) if intents and is_ours else frozenset[int]()
            if results:
                self._settle(connection, results, self._sql.settle if is_ours else self._sql.settle_late)
            for step in steps:
                self._trace(f"{step}:before-commit")
        for step in steps:
            self._trace(f"{step}:after-commit")
        self._answer([(one.answer, one.delivery_id in allowed if one.settlement is None else None) for one in batch])

    def _hold_still(self, connection: Connection, ids: Sequence[int], *, gate: bool) -> None:
        """On PostgreSQL: let nobody suppress a person or stop an issue until this batch is committed.

        Always in the order suppressions, issues, shards, deliveries, so that no two
        transactions wait for each other.  SQLite's write lock does all of it.
        """
        if gate:
            self._database.lock_table(connection, t.suppressions, "SHARE")
        self._sql.lock_issues.rows(connection, self._sql.among(ids))

    def _intend(self, connection: Connection, intents: Sequence[_Request]) -> Collection[int]:
        """Decide which deliveries may go, and write that they do, or that they do not go after all."""
        sql = self._sql
        asked = {request.delivery_id: request.is_again for request in intents}
        rows = [Candidate(*row) for row in sql.candidates.rows(connection, sql.among(list(asked)))]
        again = {row.id for row in rows if row.state is DeliveryState.sending and asked[row.id]}
        ready = [row for row in rows if row.id in again or (row.state in _READY and not asked[row.id])]
        ready = [row for row in ready if row.issue_state is IssueState.open]
        stopped = {row.id for row in ready if row.suppressed is not None}
        if any(row.anybody_erased for row in ready):
            for digest in {row.digest for row in ready}:
                keys = [row.key for row in ready if row.digest == digest]
                barred = suppressed_among(connection, keys, self._erased, digest)
                stopped |= {row.id for row in ready if row.digest == digest and row.key in barred}
        allowed = [row.id for row in ready if row.id not in stopped]
        if stopped:
            sql.stop.run(connection, {**sql.among(list(stopped)), "now": self._clock.now()})
        if paused := again.difference(stopped, allowed):
            sql.back.run(connection, sql.among(list(paused)))
        if new := [id_ for id_ in allowed if id_ not in again]:
            sql.go.run(connection, sql.among(new))
        return allowed

    def _settle(self, connection: Connection, results: Sequence[Settlement], settle: Prepared) -> None:
        """Write the results of those rows that wait for one."""
        now = self._clock.now()
        records = [
            Result(
                delivery=result.delivery_id,
                state=result.state,
                code=result.code,
                reply=one_line(result.reply[: 2 * _REPLY], _REPLY),
                next_at=result.next_attempt_at if result.state is DeliveryState.deferred else None,
                over_at=now if result.state in _OVER else None,
                doubtful=result.doubtful,
                in_truth=result.state in (DeliveryState.sent, DeliveryState.failed),
            )
            for result in results
        ]
        settle.run(connection, {"results": self._sql.results.written(records)})

    def _break(self, error: Exception, batch: Sequence[_Request]) -> None:
        """Answer everybody, now and later, that the gate stays shut."""
        refusal = error if isinstance(error, StoreError) else StoreError(f"the outbox could not be written: {error!r}")
        refusal.__cause__ = refusal.__cause__ or (error if error is not refusal else None)
        with self._turn:
            self._refusal = refusal
            left = [*batch, *self._waiting]
            self._waiting.clear()
        self._answer([(request.answer, _again(refusal)) for request in left])


class OutboxWriter(_Writer):
    """A writer for any number of threads; see `_Writer` for what it does and does not do."""

    def intend(self, delivery_id: int) -> "Future[bool]":
        """Ask to send a delivery; answered after the commit, so that the message may end only then.

        True: the row is `sending` and its attempts count one more.  False: it
        may not go, because the person is suppressed by now (the row says so),
        the issue is not open, or the row is not waiting any more.  A future
        cancelled before its batch begins leaves no trace.

        Raises (in the future):
            StoreError: it could not be written.
        """
        future: Future[bool] = Future()
        self._hand_in([_Request(delivery_id, future)])
        return future

    def renew(self, delivery_id: int) -> "Future[bool]":
        """Take the intent back of a message that has waited, if it may not go any more (see `Store.may_go`).

        True: it may, and nothing was written.  False: the person is suppressed by now,
        or the issue paused or cancelled, and the row is not `sending` any more.

        Raises (in the future):
            StoreError: it could not be written.
        """
        future: Future[bool] = Future()
        self._hand_in([_Request(delivery_id, future, is_again=True)])
        return future

    def settle(self, settlement: Settlement) -> "Future[None]":
        """Write how an attempt ended; answered after the commit.

        Only a row that is on the wire moves.  Of a cancelled issue only what
        is final counts: its deliveries are not queued again.  The future cannot
        be cancelled: the server has given its answer.

        Raises (in the future):
            StoreError: it could not be written.
        """
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        self._hand_in([_Request(settlement.delivery_id, future, settlement)])
        return future

    def _claim(self, request: _Request) -> bool:
        assert isinstance(request.answer, Future)
        return request.answer.set_running_or_notify_cancel()


class LoopOutboxWriter(_Writer):
    """The same for one event loop: all answers of a batch cross over from the hands in one step.

    Args:
        loop: where `intend` and `settle` are called and answered.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        erased: bytes,
        trace: Callable[[str], None],
        loop: asyncio.AbstractEventLoop,
        *,
        lease: Lease | None = None,
    ) -> None:
        super().__init__(database, clock, erased, trace, lease=lease)
        self._loop = loop
        self._gathered: list[_Request] = []

    def intend(self, delivery_id: int) -> "asyncio.Future[bool]":
        """Ask to send a delivery; see `OutboxWriter.intend`."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._gather(_Request(delivery_id, future))
        return future

    def renew(self, delivery_id: int) -> "asyncio.Future[bool]":
        """Take an intent back if its message may not go any more; see `OutboxWriter.renew`."""
        future: asyncio.Future[bool] = self._loop.create_future()
        self._gather(_Request(delivery_id, future, is_again=True))
        return future

    def settle(self, settlement: Settlement) -> "asyncio.Future[None]":
        """Write how an attempt ended; see `OutboxWriter.settle`."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._gather(_Request(settlement.delivery_id, future, settlement))
        return future

    def close(self) -> None:
        """Write all that was handed in, then stop; calling it again does nothing."""
        self._hand_in_gathered()
        super().close()

    def _gather(self, request: _Request) -> None:
        """Keep a request until the loop has called whoever else is ready: their requests go to disk together."""
        if not self._gathered:
            self._loop.call_soon(self._hand_in_gathered)
        self._gathered.append(request)

    def _hand_in_gathered(self) -> None:
        if gathered := self._gathered:
            self._gathered = []
            self._hand_in(gathered)

    def _claim(self, request: _Request) -> bool:
        return not request.answer.done()

    def _answer(self, answers: "Sequence[tuple[Answer, bool | StoreError | None]]") -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(super()._answer, answers)


def _give(answer: Answer, result: "bool | StoreError | None") -> None:
    if answer.done():
        return
    if not isinstance(result, StoreError):
        answer.set_result(result)
        return
    answer.set_exception(result)
    if isinstance(answer, asyncio.Future):
        # Whoever still waits for it is told; of one that nobody waits for, asyncio need not complain.
        answer.exception()


def _again(refusal: StoreError) -> StoreError:
    """The same refusal as an exception of its own: each is raised on another task."""
    another = type(refusal)(refusal.message, hint=refusal.hint)
    another.__cause__ = refusal.__cause__
    return another

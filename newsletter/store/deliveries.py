"""The outbox as rows: what is due, what became of it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from operator import itemgetter
from typing import Any, Final, overload

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import EVERY_DIGEST, Delivery, DeliveryState, IssueState, Lease, OnUnknown
from newsletter.store import tables as t
from newsletter.store.fence import holds
from newsletter.store.freeze import silent
from newsletter.store.outbox import LoopOutboxWriter, OutboxWriter
from newsletter.store.postponing import Postponing
from newsletter.store.prepared import Prepared
from newsletter.store.rows import DELIVERY, delivery_of
from newsletter.store.suppressions import ANYBODY_ERASED, Suppressions

#: States that tell of a message that a server has answered for.
_ANSWERED = (DeliveryState.sent, DeliveryState.failed, DeliveryState.held)
#: A row that is on the wire for an open issue, and whether its person is suppressed.
_MAY_GO = (
    sa.select(
        t.deliveries.c.key,
        t.issues.c.digest,
        t.suppressions.c.key.label("suppressed"),
        sa.select(ANYBODY_ERASED).scalar_subquery().label("anybody_erased"),
    )
    .join(t.issues, t.issues.c.id == t.deliveries.c.issue_id)
    .outerjoin(
        t.suppressions,
        (t.suppressions.c.key == t.deliveries.c.key)
        & ((t.suppressions.c.digest == t.issues.c.digest) | (t.suppressions.c.digest == EVERY_DIGEST)),
    )
    .where(
        t.deliveries.c.id == sa.bindparam("id"),
        t.deliveries.c.state == DeliveryState.sending,
        t.issues.c.state == IssueState.open,
    )
)


_NOW: Final = sa.bindparam("now", type_=t.deliveries.c.next_attempt_at.type, required=True)
#: After every id there is.
_LAST: Final = 2**63 - 1


def _due(condition: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The first `size` deliveries of an issue between two ids that fit a condition."""
    row = t.deliveries.c
    issue, after, before = (
        sa.bindparam(name, type_=row.id.type, required=True) for name in ("issue", "after", "before")
    )
    size = sa.bindparam("size", type_=sa.Integer, required=True)
    return (
        DELIVERY.where(row.issue_id == issue, row.id > after, row.id < before, condition).order_by(row.id).limit(size)
    )


def is_ready(state: DeliveryState, now: sa.BindParameter[Any] | datetime) -> sa.ColumnElement[bool]:
    """Whether a row is in this state, `queued` or `deferred`, and its time has come."""
    row = t.deliveries.c
    if state is DeliveryState.deferred:
        return (row.state == state) & (row.next_attempt_at <= now)
    return (row.state == state) & (row.next_attempt_at.is_(None) | (row.next_attempt_at <= now))


def recover(connection: Connection, mine: sa.ColumnElement[bool], *, resend: bool, now: datetime) -> int:
    """Queue those of these rows again that were found `sending` or `unknown`, or hold them; returns how many."""
    row = t.deliveries.c
    return connection.execute(
        sa.update(t.deliveries)
        .where(mine, row.state.in_((DeliveryState.sending, DeliveryState.unknown)))
        .values(
            state=DeliveryState.queued if resend else DeliveryState.held,
            next_attempt_at=None,
            settled_at=None if resend else now,
            doubtful=True,
        )
    ).rowcount


class Deliveries(Suppressions, Postponing):
    """Deliveries; every change of a row while mail goes out is made by the `OutboxWriter`."""

    #: What they are sent under, where several machines send.
    lease: Lease | None = None

    def recover(self, issue_id: int, on_unknown: OnUnknown) -> int:
        """Settle what a dead run left open; returns how many rows.

        A row found `sending` is one whose fate nobody knows, like `unknown`
        (RFC 1047): it is queued again under the same Message-ID, or held.  Of a
        cancelled issue nothing is queued any more.  Only for the process that
        holds the lock: nobody else may be sending.

        Transaction: one write.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            state = connection.execute(
                sa.select(t.issues.c.state).where(t.issues.c.id == issue_id).with_for_update()
            ).scalar()
            resend = on_unknown is OnUnknown.resend and state is not IssueState.cancelled
            return recover(connection, t.deliveries.c.issue_id == issue_id, resend=resend, now=now)

    def due(self, issue_id: int, *, after_id: int = 0, limit: int) -> list[Delivery]:
        """The next deliveries to attempt, in the order of their ids, from `after_id` on.

        Those are queued ones that do not wait for their hours, and deferred ones whose time has come.  Walking
        through an issue with the last id as `after_id` reads each row once.

        Transaction: one read.
        """
        return self._due_between(issue_id, after_id, _LAST, limit)

    def _due_between(self, issue_id: int, after: int, before: int, limit: int) -> list[Delivery]:
        given = {"issue": issue_id, "after": after, "size": limit, "now": self._clock.now()}
        # Two walks along the index; a single one over both states would have to sort.
        with self._database.read() as connection:
            rows = self._queued.rows(connection, {**given, "before": before})
            before = rows[-1][0] if len(rows) == limit else before
            rows += self._deferred.rows(connection, {**given, "before": before})
        return [delivery_of(row) for row in sorted(rows, key=itemgetter(0))[:limit]]

    @cached_property
    def _queued(self) -> Prepared:
        """See `due`, which reads every delivery there is."""
        return Prepared(_due(is_ready(DeliveryState.queued, _NOW)), self._database.engine.dialect)

    @cached_property
    def _deferred(self) -> Prepared:
        return Prepared(_due(is_ready(DeliveryState.deferred, _NOW)), self._database.engine.dialect)

    def may_go(self, delivery_id: int) -> bool:
        """Whether a message whose intent was granted may still begin: a look beside the writer, which holds nobody up.

        Transaction: one read; another where anybody has been erased.
        """
        with self._database.read() as connection:
            if self.lease is not None and not holds(connection, self.lease):
                return False
            row = connection.execute(_MAY_GO, {"id": delivery_id}).first()
        if row is None or row.suppressed is not None:
            return False
        return not row.anybody_erased or self.suppression(row.key, row.digest) is None

    def on_the_way(self, key: str, digest: str = EVERY_DIGEST) -> int:
        """How many messages to this person, of one digest or of all, are on the wire just now and perhaps past recall.

        Asked after `suppress`, it tells all that may still come.  A run that
        died counts as well, until the next one has looked after it.

        Transaction: one read.
        """
        row, issues = t.deliveries.c, sa.select(t.issues.c.id)
        if digest != EVERY_DIGEST:
            issues = issues.where(t.issues.c.digest == digest)
        # An issue at a time: that is how the index goes.
        wanted = sa.select(sa.func.count()).where(
            row.issue_id.in_(issues), row.key == key, row.state == DeliveryState.sending
        )
        with self._database.read() as connection:
            return int(connection.execute(wanted).scalar_one())

    def settled_since(self, moment: datetime, limit: int) -> list[tuple[datetime, str]]:
        """When messages of any issue were answered for since then, and their domains; the last so many, oldest first.

        Transaction: one read.
        """
        row = t.deliveries.c
        wanted = (
            sa.select(row.settled_at, row.wire_email)
            .where(row.settled_at >= moment, row.state.in_(_ANSWERED))
            .order_by(row.settled_at.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            found = connection.execute(wanted).all()
        return [(one.settled_at, one.wire_email.rpartition("@")[2].lower()) for one in reversed(found)]

    def counts(self, issue_id: int) -> dict[DeliveryState, int]:
        """How many deliveries of an issue are in which state; states without any are left out.

        Those whose rows are gone (`tidy`) count as they ended.

        Transaction: one read.
        """
        state = t.deliveries.c.state
        rows = sa.select(state, sa.func.count()).where(self._of(issue_id)).group_by(state)
        tallies = sa.select(t.tallies.c.state, t.tallies.c.number).where(t.tallies.c.issue_id == issue_id)
        found: Counter[DeliveryState] = Counter()
        with self._database.read() as connection:
            for wanted in (rows, tallies):
                for one, number in connection.execute(wanted):
                    found[one] += number
        return {one: found[one] for one in DeliveryState if one in found}

    def next_attempt(self, issue_id: int) -> datetime | None:
        """When the first deferred delivery of an issue may be tried again; None if none is.

        Transaction: one read.
        """
        with self._database.read() as connection:
            when: datetime | None = connection.execute(
                sa.select(sa.func.min(t.deliveries.c.next_attempt_at)).where(
                    self._of(issue_id), t.deliveries.c.state == DeliveryState.deferred
                )
            ).scalar()
        return when

    def deliveries(
        self,
        issue_id: int | None = None,
        state: DeliveryState | None = None,
        email_key: str | None = None,
        limit: int | None = None,
        after_id: int = 0,
        *,
        newest_first: bool = False,
    ) -> list[Delivery]:
        """Deliveries that fit all that is given, in the order of their ids, or the other way round.

        Transaction: one read.
        """
        ids = t.deliveries.c.id
        wanted = DELIVERY.where(ids > after_id).order_by(ids.desc() if newest_first else ids).limit(limit)
        # Every index begins with the issue: all issues are named where none is.
        issues = [issue_id] if issue_id is not None else sa.select(t.issues.c.id)
        wanted = wanted.where(t.deliveries.c.issue_id.in_(issues))
        if state is not None:
            wanted = wanted.where(t.deliveries.c.state == state)
        if email_key is not None:
            wanted = wanted.where(t.deliveries.c.key == email_key)
        with self._database.read() as connection:
            return [delivery_of(row) for row in connection.execute(wanted)]

    def last_address(self, key: str) -> str | None:
        """The address that the person's last message went to, as it was written; None if there was none.

        Transaction: one read.
        """
        found = self.deliveries(email_key=key, limit=1, newest_first=True)
        return found[0].email if found else None

    def is_sending_to(self, key: str) -> bool:
        """Whether a message to this person is on its way, or was when a run died.

        Transaction: one read.
        """
        return bool(self.deliveries(email_key=key, state=DeliveryState.sending, limit=1))

    @overload
    def outbox_writer(self, trace: Callable[[str], None] = silent) -> OutboxWriter: ...

    @overload
    def outbox_writer(
        self, trace: Callable[[str], None] = silent, *, loop: asyncio.AbstractEventLoop
    ) -> LoopOutboxWriter: ...

    def outbox_writer(
        self, trace: Callable[[str], None] = silent, *, loop: asyncio.AbstractEventLoop | None = None
    ) -> OutboxWriter | LoopOutboxWriter:
        """What writes intents and results while mail goes out; use it as a context manager.

        Args:
            trace: told every durable step.
            loop: the event loop that is to be answered; None answers on any thread.
        """
        if loop is None:
            return OutboxWriter(self._database, self._clock, self._erased_secret(), trace, lease=self.lease)
        return LoopOutboxWriter(self._database, self._clock, self._erased_secret(), trace, loop, lease=self.lease)

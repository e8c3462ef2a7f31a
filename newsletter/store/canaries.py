"""The few who get an issue first: who they are, what came of it, and how their going first ends."""

from dataclasses import asdict, replace
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Ahead, DeliveryState, IssueState
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.issues import locked
from newsletter.store.rows import issue_of

#: Whoever is in these never gets the message, so that somebody else goes first.
_OUT = (DeliveryState.suppressed, DeliveryState.cancelled)


class Canaries(Part):
    """Canaries.  Which rows go first is drawn by their Message-ID, a keyed hash: the same at every look."""

    def ahead(self, issue_id: int, first: int) -> Ahead:
        """The rows that go first, and what has come of them.

        Transaction: one read.
        """
        c = _sample(issue_id, first).c
        deferred = c.state == DeliveryState.deferred
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(
                    c.state,
                    sa.func.count().label("number"),
                    # A message that had to wait for its second try does not begin the watch anew.
                    sa.func.max(sa.case((c.attempts <= 1, c.settled_at))).label("at_once"),
                    sa.func.max(c.settled_at).label("at_last"),
                    sa.func.min(sa.case((deferred, c.next_attempt_at))).label("next"),
                ).group_by(c.state)
            ).all()
            ids = connection.execute(sa.select(c.id)).scalars().all()
            refusal = connection.execute(
                sa.select(c.last_code, c.last_reply)
                .where(c.state == DeliveryState.failed)
                .order_by(c.settled_at.desc(), c.id.desc())
                .limit(1)
            ).first()
        at_once = [row.at_once for row in rows if row.at_once is not None]
        at_last = [row.at_last for row in rows if row.at_last is not None]
        return Ahead(
            ids=tuple(ids),
            counts={row.state: row.number for row in rows},
            watched_from=max(at_once or at_last, default=None),
            next_attempt_at=min((row.next for row in rows if row.next is not None), default=None),
            last_refusal="" if refusal is None else f"{refusal.last_code or ''} {refusal.last_reply}".strip(),
        )

    def end_canary(self, issue_id: int) -> None:
        """Let the others have the issue; from now on nobody goes first.

        Transaction: one write.
        """
        with self._database.write() as connection:
            locked(connection, issue_id)
            connection.execute(sa.update(t.issues).where(t.issues.c.id == issue_id).values(canary=None))

    def stop_canary(self, issue_id: int, reason: str) -> bool:
        """Pause an open issue because of what came of its canary, until a person decides; says whether it was open.

        Transaction: one write.
        """
        with self._database.write() as connection:
            issue = issue_of(locked(connection, issue_id))
            if issue.state is not IssueState.open or issue.canary is None:
                return False
            stopped = asdict(replace(issue.canary, is_stopped=True))
            connection.execute(
                sa.update(t.issues)
                .where(t.issues.c.id == issue_id)
                .values(state=IssueState.paused, state_reason=reason, canary=stopped)
            )
        return True


def may_go_on(connection: Connection, issue_id: int, first: int, now: datetime) -> bool:
    """Whether anything can be done for a canary now: not while each of its rows waits for a server or for its hours."""
    c = _sample(issue_id, first).c
    asleep = c.settled_at.is_(None) & (c.next_attempt_at > sa.bindparam("now", now, type_=c.next_attempt_at.type))
    number, sleeping = connection.execute(sa.select(sa.func.count(), sa.func.count().filter(asleep))).one()
    return bool(number == 0 or sleeping < number)


def _sample(issue_id: int, first: int) -> sa.Subquery:
    """The rows that go first."""
    d = t.deliveries.c
    return (
        sa.select(d.id, d.state, d.attempts, d.settled_at, d.next_attempt_at, d.last_code, d.last_reply)
        .where(d.issue_id == issue_id, d.state.not_in(_OUT))
        # Those who may have it first, where it waits for people's hours; else all have the same moment.
        .order_by(d.queued_at, d.message_id)
        .limit(first)
        .subquery()
    )

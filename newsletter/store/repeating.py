"""Deliveries that a person brings back: settled rows become `queued` again, as the same message.

    failed, held, unknown   may be brought back by anybody who asks for them
    suppressed, cancelled   may be addressed again one by one, if nothing forbids it by now
    queued, deferred        wait already
    sent                    never in bulk; one by one, and only where it is forced

The Message-ID, the rendering and the merge values stay, so a copy is the same
message.  Suppression wins: here, and again at the gate of the outbox.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import UsageError
from newsletter.model import DeliveryState, Issue, IssueState, NewDelivery
from newsletter.store import tables as t
from newsletter.store.chosen import Chosen
from newsletter.store.freeze import delivery_row, message_ids
from newsletter.store.links import Links
from newsletter.store.rows import CHUNK, Row, in_chunks, issue_of
from newsletter.store.suppressions import Suppressions, suppressed_among

#: States that `repeat` brings deliveries back from.
REPEATABLE: Final = (DeliveryState.failed, DeliveryState.held, DeliveryState.unknown)

_ARRIVED: Final = (DeliveryState.sent, DeliveryState.held, DeliveryState.unknown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Which deliveries are meant: those in one of `states` (of `REPEATABLE`) that fit all the rest that is given."""

    ids: Sequence[int] | None = None
    states: Sequence[DeliveryState] = REPEATABLE
    issue_id: int | None = None

    def __post_init__(self) -> None:
        if set(self.states) - set(REPEATABLE):
            raise UsageError("only messages that failed, are held or are unknown can be brought back")


@dataclass(slots=True, kw_only=True)
class Repeated:
    """What `repeat` brought back, or would, and what it left as it was, each for its reason.

    `others` counts those that were named by their ids and are in another
    state; `missing` are ids that nothing has.
    """

    queued: int = 0
    suppressed: int = 0
    cancelled: int = 0
    others: Counter[DeliveryState] = field(default_factory=Counter[DeliveryState])
    missing: tuple[int, ...] = ()


class Repeating(Suppressions, Links):
    """Bringing settled deliveries back."""

    def only(self, delivery_ids: Iterable[int]) -> Chosen:
        """An outbox that has these deliveries and no others."""
        return Chosen(self._database, self._clock, self._ids, delivery_ids)

    def repeat(self, which: Which) -> Repeated:
        """Put deliveries back to `queued`, as the same messages; the next send takes them.

        A row gets the patience of a new one for being deferred; its attempts and
        last reply stay.  Of cancelled issues, and for people who are suppressed
        by now, nothing moves.

        Transaction: one write.
        """
        erased = self._erased_secret()
        now = self._clock.now()
        found = Repeated()
        with self._database.write() as connection:
            # The order of the outbox writer: suppressions, issues, deliveries.
            self._database.lock_table(connection, t.suppressions, "SHARE")
            connection.execute(_LOCK_ISSUES)
            for chunk in _judged(connection, found, which, erased, _ROWS.with_for_update(of=t.deliveries)):
                connection.execute(sa.update(t.deliveries).where(t.deliveries.c.id.in_(chunk)).values(**_again(now)))
        return found

    def repeatable(self, which: Which) -> Repeated:
        """What `repeat` would do now.

        Transaction: one read.
        """
        erased = self._erased_secret()
        found = Repeated()
        with self._database.read() as connection:
            for _ in _judged(connection, found, which, erased, _ROWS):
                pass
        return found

    def readdress(
        self, issue_id: int, delivery: NewDelivery, *, link: str | None = None, force: bool = False
    ) -> tuple[int, DeliveryState]:
        """Queue an issue for one person: the row they have, unchanged, or else a new one.

        Args:
            issue_id: an open issue's.
            delivery: the row to be, for somebody who has none.
            link: the token of that person's links, which are known from then on.
            force: also for somebody who got the issue.

        Returns:
            the row's id, and its state before; `queued` for a new one.

        Transaction: one write.

        Raises:
            UsageError: the issue is not open, the person is suppressed, got it already, or it is on the wire.
        """
        erased = self._erased_secret()
        secret = self.secret("message-id")
        now = self._clock.now()
        with self._database.write() as connection:
            self._database.lock_table(connection, t.suppressions, "SHARE")
            issue = _open_issue(connection, issue_id)
            name = f"issue {issue.number} of {issue.digest}"
            if suppressed_among(connection, [delivery.key], erased, issue.digest):
                raise UsageError(
                    f"{delivery.email} is suppressed and is not mailed",
                    hint=f"if the person asks to be back: newsletter suppression remove {delivery.email}",
                )
            mine = (t.deliveries.c.issue_id == issue_id) & (t.deliveries.c.key == delivery.key)
            row = connection.execute(sa.select(t.deliveries.c.id, t.deliveries.c.state).where(mine)).first()
            if row is None:
                _refuse_unknown(connection, issue_id, delivery.email, name, force=force)
                values = {
                    "issue_id": issue_id,
                    **delivery_row(delivery, {delivery.rendering}, now=now),
                    "message_id": message_ids(secret, issue.digest, issue.number, issue.envelope)(delivery.key),
                }
                inserted = connection.execute(sa.insert(t.deliveries).values(values)).inserted_primary_key
                assert inserted is not None
                if link is not None:
                    self._remember_links(connection, issue.digest, {link: delivery.key})
                return inserted[0], DeliveryState.queued
            _refuse(row.state, delivery.email, name, force=force)
            connection.execute(sa.update(t.deliveries).where(t.deliveries.c.id == row.id).values(**_again(now)))
            return row.id, row.state


_d: Final = t.deliveries.c
_ROWS: Final = (
    sa.select(_d.id, _d.key, _d.state, t.issues.c.digest, t.issues.c.state.label("issue_state"))
    .join(t.issues, t.issues.c.id == _d.issue_id)
    .order_by(_d.id)
)
#: Keeps issues from being paused or cancelled until the transaction ends.
_LOCK_ISSUES: Final = sa.select(t.issues.c.id).order_by(t.issues.c.id).with_for_update(read=True)


def _again(now: datetime) -> dict[str, Any]:
    """What makes a row a waiting one; that its message has arrived, or may have, is not forgotten."""
    return {
        "state": DeliveryState.queued,
        "queued_at": now,
        "next_attempt_at": None,
        "settled_at": None,
        "doubtful": _d.doubtful | _d.state.in_(_ARRIVED),
    }


def _judged(
    connection: Connection, found: Repeated, which: Which, erased: bytes, rows_of: sa.Select[Any]
) -> Iterator[list[int]]:
    """The ids of those that may go back, in chunks; all others are counted in `found`."""
    seen: set[int] = set()
    for rows in _chunks(connection, which, rows_of):
        barred = {
            (digest, key)
            for digest in {row.digest for row in rows}
            for key in suppressed_among(connection, (row.key for row in rows if row.digest == digest), erased, digest)
        }
        allowed = []
        for row in rows:
            if row.state not in which.states:
                found.others[row.state] += 1
            elif row.issue_state is IssueState.cancelled:
                found.cancelled += 1
            elif (row.digest, row.key) in barred:
                found.suppressed += 1
            else:
                allowed.append(row.id)
        if which.ids is not None:
            seen.update(row.id for row in rows)
        found.queued += len(allowed)
        if allowed:
            yield allowed
    found.missing = tuple(sorted(set(which.ids or ()) - seen))


def _chunks(connection: Connection, which: Which, rows_of: sa.Select[Any]) -> Iterator[Sequence[Row]]:
    """The rows that are asked about, a thousand at a time, in the order of their ids."""
    if which.issue_id is not None:
        rows_of = rows_of.where(_d.issue_id == which.issue_id)
    if which.ids is not None:
        for chunk in in_chunks(sorted(set(which.ids))):
            yield connection.execute(rows_of.where(_d.id.in_(chunk))).all()
        return
    wanted = rows_of.where(_d.state.in_(which.states)).limit(CHUNK)
    after = 0
    while rows := connection.execute(wanted.where(_d.id > after)).all():
        yield rows
        after = rows[-1].id


def _open_issue(connection: Connection, issue_id: int) -> Issue:
    issue = issue_of(connection.execute(sa.select(t.issues).where(t.issues.c.id == issue_id).with_for_update()).one())
    if issue.state is IssueState.cancelled:
        raise UsageError(f"issue {issue.number} of {issue.digest} is cancelled", hint="newsletter issue list")
    if issue.state is IssueState.paused:
        raise UsageError(
            f"issue {issue.number} of {issue.digest} is paused", hint=f"newsletter issue resume {issue.number}"
        )
    return issue


def _refuse_unknown(connection: Connection, issue_id: int, email: str, name: str, *, force: bool) -> None:
    """Raise where rows of the issue are gone, so that nobody knows whether the person got it."""
    gone = connection.execute(sa.select(t.tallies.c.state).where(t.tallies.c.issue_id == issue_id)).first()
    if gone is not None and not force:
        raise UsageError(
            f"who got {name} is not known any more, so {email} may have got it",
            hint="--force sends it; `keep.deliveries` in newsletter.yaml says for how long it is known",
        )


def _refuse(state: DeliveryState, email: str, name: str, *, force: bool) -> None:
    """Raise where a row in this state may not be queued for a person's asking."""
    if state is DeliveryState.sending:
        raise UsageError(f"{name} is on its way to {email} just now", hint="newsletter explain shows what came of it")
    if state is DeliveryState.sent and not force:
        raise UsageError(
            f"the mail server took {name} for {email} already",
            hint="--force sends it again: the same message, under the same Message-ID, which some mailboxes drop",
        )

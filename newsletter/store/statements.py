"""The SQL of the outbox writer: who may go, who goes, who does not after all, and what came of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from newsletter.model import EVERY_DIGEST, DeliveryState, IssueState
from newsletter.store import tables as t
from newsletter.store.fence import HELD
from newsletter.store.prepared import Prepared, Records, among, numbers
from newsletter.store.suppressions import ANYBODY_ERASED


class Candidate(NamedTuple):
    """What is known of a delivery that asks to go."""

    id: int
    key: str
    state: DeliveryState
    digest: str
    issue_state: IssueState
    suppressed: str | None
    anybody_erased: bool


class Result(NamedTuple):
    """What one attempt writes to its row."""

    delivery: int
    state: DeliveryState
    code: int | None
    reply: str
    next_at: datetime | None
    over_at: datetime | None
    doubtful: bool
    #: Whether it is the last word, which a cancelled row takes too.
    in_truth: bool


_RESULT_TYPES = (
    t.deliveries.c.id.type,
    t.deliveries.c.state.type,
    t.deliveries.c.last_code.type,
    t.deliveries.c.last_reply.type,
    t.deliveries.c.next_attempt_at.type,
    t.deliveries.c.settled_at.type,
    t.deliveries.c.doubtful.type,
    sa.Boolean(),
)


class Statements:
    """The writer's SQL for one database."""

    def __init__(self, dialect: Dialect) -> None:
        d, issues = t.deliveries.c, t.issues.c
        given = among(d.id, "ids", dialect)
        self._dialect = dialect
        self.lock_issues = Prepared(
            sa.select(issues.id)
            .where(issues.id.in_(sa.select(d.issue_id).where(given)))
            .order_by(issues.id)
            .with_for_update(read=True),
            dialect,
        )
        #: Keeps the shard from being taken over until the transaction ends.
        self.held = Prepared(HELD.with_for_update(read=True, of=t.shards), dialect)
        self.candidates = Prepared(
            sa.select(
                d.id,
                d.key,
                d.state,
                issues.digest,
                issues.state.label("issue_state"),
                t.suppressions.c.key.label("suppressed"),
                sa.select(ANYBODY_ERASED).scalar_subquery().label("anybody_erased"),
            )
            .join(t.issues, issues.id == d.issue_id)
            # A person may have two, of the digest and of all: then the row comes twice, and goes nowhere.
            .outerjoin(
                t.suppressions,
                (t.suppressions.c.key == d.key)
                & ((t.suppressions.c.digest == issues.digest) | (t.suppressions.c.digest == EVERY_DIGEST)),
            )
            .where(given)
            .order_by(d.id)
            .with_for_update(of=t.deliveries),
            dialect,
        )
        self.stop = Prepared(
            sa.update(t.deliveries)
            .where(given)
            .values(
                state=DeliveryState.suppressed,
                next_attempt_at=None,
                settled_at=_value("now", d.settled_at),
            ),
            dialect,
        )
        self.back = Prepared(sa.update(t.deliveries).where(given).values(state=DeliveryState.queued), dialect)
        self.go = Prepared(
            sa.update(t.deliveries)
            .where(given)
            .values(state=DeliveryState.sending, attempts=d.attempts + 1, next_attempt_at=None),
            dialect,
        )
        self.results = Records("results", dict(zip(Result._fields, _RESULT_TYPES, strict=True)), dialect)
        result = self.results.table.c
        #: A row waits for a result while it is on the wire; one that was cancelled
        #: meanwhile still learns the truth, and nothing else.
        self.settle = Prepared(
            sa.update(t.deliveries)
            .where(
                d.id == result.delivery,
                (d.state == DeliveryState.sending)
                | (d.state == DeliveryState.unknown)
                | ((d.state == DeliveryState.cancelled) & (d.attempts > 0) & result.in_truth),
            )
            .values(
                state=result.state,
                last_code=result.code,
                last_reply=result.reply,
                next_attempt_at=result.next_at,
                settled_at=result.over_at,
                doubtful=d.doubtful | result.doubtful,
            ),
            dialect,
        )
        #: What somebody knows whose shard is another's by now: that it has arrived, nothing else.
        self.settle_late = Prepared(
            sa.update(t.deliveries)
            .where(d.id == result.delivery, result.state == DeliveryState.sent, d.state != DeliveryState.suppressed)
            .values(
                state=result.state,
                last_code=result.code,
                last_reply=result.reply,
                next_attempt_at=None,
                settled_at=result.over_at,
            ),
            dialect,
        )

    def among(self, ids: Sequence[int]) -> dict[str, Any]:
        """Which deliveries, as the statements want to be told."""
        return {"ids": numbers(ids, self._dialect)}


def _value(name: str, column: sa.ColumnElement[Any]) -> sa.BindParameter[Any]:
    return sa.bindparam(name, type_=column.type, required=True)

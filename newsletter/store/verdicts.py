"""When it is one bounce too many; looked up in the transaction that will act on it."""

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import BounceKind, BounceRules, DeliveryState, NewBounce, SuppressionReason
from newsletter.store import tables as t

#: A message that a server took, and of which nothing was heard for so long, has arrived (RFC 5321 §4.5.4.1).
GOT_THROUGH: Final = timedelta(days=5)


def verdict(
    connection: Connection, bounce: NewBounce, rules: BounceRules, now: datetime
) -> tuple[SuppressionReason, str] | None:
    """Whether a bounce that has just been written was one too many: why mail stops, and the sentence that says so.

    Hard and soft ones count once a message, and soft ones once a day at most,
    while they are recent; soft ones no more once a later message got through.
    """
    said = f"{bounce.status} {bounce.words}" if not bounce.words.startswith(bounce.status) else bounce.words
    if bounce.kind is BounceKind.complaint:
        return SuppressionReason.complained, bounce.words
    since = now - timedelta(days=rules.days)
    if bounce.kind is BounceKind.hard and rules.hard:
        count = _count(connection, bounce.key, BounceKind.hard, since)
        if count >= rules.hard:
            times = "" if rules.hard == 1 else f"{count} times within {rules.days} days, at last: "
            return SuppressionReason.bounced, f"{times}{said.strip()}"
    if not rules.soft:
        return None
    since = max(since, _got_through(connection, bounce.key, now) or since)
    count = _count(connection, bounce.key, BounceKind.soft, since)
    if count >= rules.soft:
        return SuppressionReason.bounced, f"{count} soft bounces within {rules.days} days, at last: {said.strip()}"
    return None


def _count(connection: Connection, key: str, kind: BounceKind, since: datetime) -> int:
    """How many messages came back so since then; several reports of one message, or of one day, are one."""
    bounce = t.bounces.c
    rows = connection.execute(
        sa.select(bounce.delivery_id, bounce.happened_at).where(
            bounce.key == key,
            bounce.kind == kind,
            bounce.proof.is_not(None),
            ~bounce.forgiven,
            bounce.happened_at > since,
        )
    ).all()
    messages = {row.delivery_id for row in rows if row.delivery_id is not None}
    days = {row.happened_at.date() for row in rows}
    others = {row.happened_at.date() for row in rows if row.delivery_id is None}
    return min(len(messages) + len(others), len(days)) if kind is BounceKind.soft else len(messages) + len(others)


def _got_through(connection: Connection, key: str, now: datetime) -> datetime | None:
    """When the last message was sent to a person that has certainly arrived: soft bounces before it are over."""
    row, bounce = t.deliveries.c, t.bounces.c
    came_back = sa.exists().where(bounce.delivery_id == row.id)
    found: datetime | None = connection.execute(
        sa.select(sa.func.max(row.settled_at)).where(
            row.issue_id.in_(sa.select(t.issues.c.id)),
            row.key == key,
            row.state == DeliveryState.sent,
            row.settled_at < now - GOT_THROUGH,
            ~came_back,
        )
    ).scalar()
    return found

"""An issue cut into shards (`shards`): within the freeze, and for rows that came later."""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store import tables as t

#: Deliveries of one shard.
SIZE: Final = 500
#: The number of the shard that an issue's canary has.
CANARY: Final = 0

_s, _d, _i = t.shards.c, t.deliveries.c, t.issues.c


def share_out(connection: Connection, issue_id: int) -> list[tuple[int, int]]:
    """Make shards of the deliveries behind the last one that is in a shard; the issue's row is locked, or new.

    Returns:
        the issue's id and the number of each new shard whose turn it is: while there is a canary, of that alone.
    """
    canary = connection.execute(sa.select(_i.canary).where(_i.id == issue_id)).scalar_one()
    has_canary_now = canary is not None and not _has_canary(connection, issue_id)
    if has_canary_now:
        connection.execute(sa.insert(t.shards).values(issue_id=issue_id, number=CANARY, first_id=0, last_id=0))
    last_id, last = connection.execute(
        sa.select(sa.func.coalesce(sa.func.max(_s.last_id), 0), sa.func.coalesce(sa.func.max(_s.number), 0)).where(
            _s.issue_id == issue_id
        )
    ).one()
    part = (sa.cast(sa.func.row_number().over(order_by=_d.id), sa.Integer) - 1) // SIZE
    rows = sa.select(_d.id, part.label("part")).where(_d.issue_id == issue_id, _d.id > last_id).subquery()
    shards = sa.select(
        sa.literal(issue_id), last + 1 + rows.c.part, sa.func.min(rows.c.id), sa.func.max(rows.c.id)
    ).group_by(rows.c.part)
    numbers = connection.execute(
        sa.insert(t.shards).from_select(["issue_id", "number", "first_id", "last_id"], shards).returning(_s.number)
    ).scalars()
    new = sorted(numbers)
    return [(issue_id, CANARY)] * has_canary_now if canary is not None else [(issue_id, number) for number in new]


def _has_canary(connection: Connection, issue_id: int) -> bool:
    wanted = sa.select(_s.number).where(_s.issue_id == issue_id, _s.number == CANARY)
    return connection.execute(wanted).first() is not None

"""How fast issues go that several machines send: read from what stands in the rows, whoever wrote them."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from newsletter.model import SendRate
from newsletter.store import tables as t
from newsletter.store.base import Part

#: Over how long a rate is measured, in seconds.
WINDOW: Final = 60.0
#: Of so many shards the rows are looked at, which bounds what it costs; they are those that were leased last.
_SHARDS: Final = 100
#: A shard that was leased longer ago, and is nobody's, is not looked at.
_LONG_AGO: Final = 3600.0
#: Less time than this makes no rate.
_LEAST: Final = 1.0

_s, _d, _a = t.shards.c, t.deliveries.c, t.allowances.c
#: For how many seconds a shard is leased, or since when it was; a token is the moment of it, in microseconds
#: (`Shards.lease_shard`).
_LEASED_FOR: Final = sa.cast(sa.func.extract("epoch", sa.func.statement_timestamp()), sa.Float) - _s.token / 1e6


class Pace(Part):
    """Rates, by the clock of the database; on PostgreSQL."""

    def send_rate(self, issue_id: int) -> SendRate:
        """How many messages of an issue were settled within the last minute, or since it began, by whomever.

        No index goes by when a message was settled, and none is worth its cost at
        every message.  But what was settled just now is in the shards that were leased
        last: their rows are read, 50,000 at most; where there are more, the time is
        shorter.  Whoever settles a message writes when by their own clock, and one that
        is off shifts the minute: as long as it goes evenly, that changes nothing.

        Transaction: one read.
        """
        mine = (_s.issue_id == issue_id) & (_s.token > 0)
        latest = (
            sa.select(_s.first_id, _s.last_id, _LEASED_FOR.label("age"))
            .where(mine, _s.until.is_not(None) | (_LEASED_FOR < _LONG_AGO))
            .order_by(_s.token.desc())
            .limit(_SHARDS)
            .subquery()
        )
        how_many = sa.select(
            sa.func.count(),
            sa.func.max(latest.c.age),
            sa.select(sa.func.max(_LEASED_FOR)).where(mine).scalar_subquery(),
        ).select_from(latest)
        since = sa.bindparam("seconds", type_=sa.Float)
        now = sa.func.statement_timestamp()
        # A walk of its own for each shard, along the ids: nothing else is read.
        settled = (
            sa.select(sa.func.count())
            .where(_d.issue_id == issue_id, _d.id.between(latest.c.first_id, latest.c.last_id))
            .where(_d.settled_at > now - since * sa.literal(timedelta(seconds=1), sa.Interval), _d.settled_at <= now)
            .correlate(latest)
            .scalar_subquery()
        )
        with self._database.read() as connection:
            shards, oldest, began = connection.execute(how_many).one()
            if began is None or began < _LEAST:
                return SendRate(settled=0, seconds=0.0)
            seconds = min(WINDOW, began, oldest if shards == _SHARDS else WINDOW)
            number = connection.execute(
                sa.select(sa.func.coalesce(sa.func.sum(settled), 0)).select_from(latest), {"seconds": seconds}
            ).scalar_one()
        return SendRate(settled=int(number), seconds=seconds)

    def begun(self, scope: str, seconds: float) -> int:
        """How many messages a scope ("host:port", "host:port domain") was allowed to begin in the last seconds.

        Transaction: one read.
        """
        since = sa.func.statement_timestamp() - timedelta(seconds=seconds)
        wanted = sa.select(sa.func.coalesce(sa.func.sum(_a.number), 0)).where(_a.scope == scope, _a.granted_at > since)
        with self._database.read() as connection:
            return int(connection.execute(wanted).scalar_one())

"""When a feed could not be read, and why: a row for as long as it was the same error."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Outage
from newsletter.store import tables as t
from newsletter.store.base import Part

#: How many outages of a feed are kept.
_KEPT: Final = 100


def note_failure(connection: Connection, feed_id: int, error: str, hint: str | None, *, now: datetime) -> None:
    """Note that a feed, whose row is locked, could not be read."""
    open_ = connection.execute(
        sa.select(t.outages.c.id, t.outages.c.error)
        .where(t.outages.c.feed_id == feed_id, t.outages.c.ended_at.is_(None))
        .order_by(t.outages.c.id.desc())
        .limit(1)
    ).first()
    if open_ is not None and open_.error == error:
        connection.execute(
            sa.update(t.outages)
            .where(t.outages.c.id == open_.id)
            .values(last_at=now, times=t.outages.c.times + 1, hint=hint)
        )
        return
    note_success(connection, feed_id, now=now)
    connection.execute(
        sa.insert(t.outages).values(feed_id=feed_id, since=now, last_at=now, times=1, error=error, hint=hint)
    )
    kept = sa.select(t.outages.c.id).where(t.outages.c.feed_id == feed_id).order_by(t.outages.c.id.desc()).limit(_KEPT)
    oldest = connection.execute(kept).scalars().all()[-1]
    connection.execute(sa.delete(t.outages).where(t.outages.c.feed_id == feed_id, t.outages.c.id < oldest))


def note_success(connection: Connection, feed_id: int, *, now: datetime) -> None:
    """Note that a feed, whose row is locked, is not as it was in its last outage."""
    connection.execute(
        sa.update(t.outages).where(t.outages.c.feed_id == feed_id, t.outages.c.ended_at.is_(None)).values(ended_at=now)
    )


class Outages(Part):
    """When feeds could not be read."""

    def outages(self, feed_url: str, limit: int = 20) -> list[Outage]:
        """The last outages of a feed, newest first.

        Transaction: one read.
        """
        wanted = (
            sa.select(t.outages)
            .join(t.feeds, t.feeds.c.id == t.outages.c.feed_id)
            .where(t.feeds.c.url == feed_url)
            .order_by(t.outages.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [
                Outage(
                    since=row.since,
                    last_at=row.last_at,
                    ended_at=row.ended_at,
                    times=row.times,
                    error=row.error,
                    hint=row.hint,
                )
                for row in connection.execute(wanted)
            ]

"""Figures over time, for the people who run the project: how busy feeds are, how a list grows."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime

import sqlalchemy as sa

from newsletter.model import Audience
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import in_chunks


class Statistics(Part):
    """What can be counted from the rows that are there anyway."""

    def entries_per_day(self, feed_urls: Sequence[str], since: datetime) -> dict[str, dict[date, int]]:
        """Per feed address and day (UTC) how many entries it had; days without any are left out.

        A day is that of an entry's own date, or of when it was first seen where
        it has none or claims to come from the future.

        Transaction: one read.
        """
        entry = t.entries.c
        own = entry.published_at.is_not(None) & (entry.published_at <= entry.first_seen_at)
        moment = sa.case((own, entry.published_at), else_=entry.first_seen_at)
        # SQLite keeps moments as ISO 8601 in UTC, so a day is their beginning.
        day = (
            sa.func.substr(sa.type_coerce(moment, sa.Text), 1, len("2026-01-01"))
            if self._database.is_sqlite
            else sa.func.to_char(sa.func.timezone("UTC", moment), "YYYY-MM-DD")
        )
        wanted = (
            sa.select(t.feeds.c.url, day.label("day"), sa.func.count().label("number"))
            .join(t.feeds, t.feeds.c.id == entry.feed_id)
            .where(moment >= sa.bindparam("since", since, t.entries.c.first_seen_at.type))
            .group_by(t.feeds.c.url, sa.text("day"))
        )
        found: dict[str, dict[date, int]] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(dict.fromkeys(feed_urls)):
                for row in connection.execute(wanted.where(t.feeds.c.url.in_(chunk))):
                    found.setdefault(row.url, {})[date.fromisoformat(row.day)] = row.number
        return found

    def recipients(self, limit: int) -> list[Audience]:
        """To how many people each of the last issues was addressed, oldest first.

        Transaction: one read.
        """
        with self._database.read() as connection:
            issues = connection.execute(
                sa.select(t.issues.c.id, t.issues.c.digest, t.issues.c.number, t.issues.c.frozen_at)
                .order_by(t.issues.c.id.desc())
                .limit(limit)
            ).all()
            people: Counter[int] = Counter()
            # Rows, and what is left of those that are gone.
            for column, number in (
                (t.deliveries.c.issue_id, sa.func.count()),
                (t.tallies.c.issue_id, sa.func.sum(t.tallies.c.number)),
            ):
                counted = sa.select(column, number).where(column.in_([row.id for row in issues])).group_by(column)
                for issue_id, some in connection.execute(counted):
                    people[issue_id] += some
        return [
            Audience(digest=row.digest, number=row.number, at=row.frozen_at, recipients=people[row.id])
            for row in reversed(issues)
        ]

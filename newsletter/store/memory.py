"""How long what was seen is remembered, what was decided about it, and what other tools had sent.

An entry that leaves its feed stays, as a tombstone: if it comes back, it is
known and not sent again.  It may be forgotten two years after it was last in
the document, and only if no digest waits for it (`may_be_forgotten`); nothing
here does so.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from newsletter.model import Entry
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.notes import note
from newsletter.store.record import locked_feed
from newsletter.store.rows import STORED_ENTRY, entry_of, in_chunks
from newsletter.store.types import storable

#: How long an entry that has left its feed is remembered, at least.
TOMBSTONE: Final = timedelta(days=731)
#: The note on an entry that another tool had sent.
ELSEWHERE: Final = "elsewhere"


def may_be_forgotten(now: datetime) -> sa.ColumnElement[bool]:
    """Which rows of `entries` need not be remembered any more, as a condition for a query.

    An entry of the feed's last document is not among them, however old that is:
    a feed that fails, or answers 304, still has what it had.
    """
    waits = sa.exists().where(
        t.offers.c.entry_id == t.entries.c.id, t.offers.c.issue_id.is_(None), t.offers.c.skipped.is_(None)
    )
    is_there = sa.exists().where(t.feeds.c.id == t.entries.c.feed_id, t.feeds.c.documents == t.entries.c.seen_in)
    last_seen = sa.func.coalesce(t.entries.c.last_seen_at, t.entries.c.first_seen_at)
    return (last_seen < now - TOMBSTONE) & ~t.entries.c.held & ~waits & ~is_there


class Elsewhere(Part):
    """What other tools had sent."""

    def remember_sent(
        self,
        tool: str,
        keys: Mapping[str, frozenset[str]],
        *,
        keys_of: Callable[[Entry], frozenset[str]],
    ) -> dict[str, int]:
        """Remember what another tool had sent of each feed, so that no issue sends it again.

        What is here already is looked through: an entry that the tool had sent
        waits no longer, and is noted.

        Args:
            tool: its name.
            keys: by the feed's address, the keys of what it had sent; a feed without any is left out.
            keys_of: the keys by which an entry can be known.

        Returns:
            by the feed's address, how many of the entries that are here already had been sent.

        Transaction: one write.
        """
        now = self._clock.now()
        known: dict[str, int] = {}
        with self._database.write() as connection:
            for url, sent in keys.items():
                if not sent:
                    continue
                feed = locked_feed(self._database, connection, url)
                insert = self._database.insert(t.sent_elsewhere).on_conflict_do_nothing(
                    index_elements=["feed_id", "key"]
                )
                for chunk in in_chunks(sorted(set(map(storable, sent)))):
                    connection.execute(
                        insert, [{"feed_id": feed.id, "key": key, "tool": tool, "at": now} for key in chunk]
                    )
                found = [
                    row.id
                    for row in connection.execute(STORED_ENTRY.where(t.entries.c.feed_id == feed.id)).all()
                    if not sent.isdisjoint(keys_of(entry_of(row)))
                ]
                known[url] = len(found)
                words = f"{tool} had sent it before the project came from there"
                note(self._database, connection, [(id_, ELSEWHERE, words) for id_ in found], now=now)
                for ids in in_chunks(found):
                    connection.execute(
                        sa.update(t.offers)
                        .where(
                            t.offers.c.entry_id.in_(ids), t.offers.c.issue_id.is_(None), t.offers.c.skipped.is_(None)
                        )
                        .values(skipped=words)
                    )
        return known

"""How long what was seen is remembered, what was decided about it, and what other tools had sent.

An entry that leaves its feed stays, as a tombstone: if it comes back, it is
known and not sent again.  It may be forgotten two years after it was last in
the document, and only if no digest waits for it (`may_be_forgotten`); `tidying`
does so, with those that no issue has carried.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import TOMBSTONE, Entry
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.knowing import locked_feed
from newsletter.store.notes import note
from newsletter.store.rows import STORED_ENTRY, entry_of, in_chunks
from newsletter.store.types import storable

#: The note on an entry that another tool had sent.
ELSEWHERE: Final = "elsewhere"


def may_be_forgotten(now: datetime, after: timedelta = TOMBSTONE) -> sa.ColumnElement[bool]:
    """Which rows of `entries` need not be remembered any more, as a condition for a query.

    An entry of the feed's last document is not among them, however old that is:
    a feed that fails, or answers 304, still has what it had.
    """
    waits = sa.exists().where(
        t.offers.c.entry_id == t.entries.c.id, t.offers.c.issue_id.is_(None), t.offers.c.skipped.is_(None)
    )
    is_there = sa.exists().where(t.feeds.c.id == t.entries.c.feed_id, t.feeds.c.documents == t.entries.c.seen_in)
    last_seen = sa.func.coalesce(t.entries.c.last_seen_at, t.entries.c.first_seen_at)
    return (last_seen < now - max(after, TOMBSTONE)) & ~t.entries.c.held & ~waits & ~is_there


class Elsewhere(Part):
    """What other tools had sent."""

    def remember_sent(
        self,
        tool: str,
        keys: Mapping[str, frozenset[str]],
        *,
        anywhere: frozenset[str] = frozenset(),
        keys_of: Callable[[Entry], frozenset[str]],
    ) -> dict[str, int]:
        """Remember what another tool had sent of each feed, so that no issue sends it again.

        What is here already is looked through: an entry that the tool had sent
        waits no longer, and is noted.

        Args:
            tool: its name.
            keys: by the feed's address, the keys of what it had sent of it.
            anywhere: keys of what it had sent of any of these feeds.
            keys_of: the keys by which an entry can be known.

        Returns:
            by the feed's address, how many of the entries that are here already had been sent.

        Transaction: one write.
        """
        known: dict[str, int] = {}
        with self._database.write() as connection:
            self._remember(connection, 0, tool, anywhere)
            for url, own in keys.items():
                feed = locked_feed(self._database, connection, url)
                self._remember(connection, feed.id, tool, own | {""})
                known[url] = self._take_back(connection, feed.id, tool, own | anywhere, keys_of)
        return known

    def _remember(self, connection: Connection, feed_id: int, tool: str, keys: frozenset[str]) -> None:
        now = self._clock.now()
        insert = self._database.insert(t.sent_elsewhere).on_conflict_do_nothing(index_elements=["feed_id", "key"])
        for chunk in in_chunks(sorted(set(map(storable, keys)))):
            rows = [{"feed_id": feed_id, "key": key, "tool": tool, "at": now} for key in chunk]
            connection.execute(insert, rows)

    def _take_back(
        self,
        connection: Connection,
        feed_id: int,
        tool: str,
        sent: frozenset[str],
        keys_of: Callable[[Entry], frozenset[str]],
    ) -> int:
        """Let entries that are here, and that the tool had sent, wait no longer; returns how many there are."""
        rows = connection.execute(STORED_ENTRY.where(t.entries.c.feed_id == feed_id)).all()
        by = {row.id: keys_of(entry_of(row)) for row in rows}
        uses = Counter(key for keys in by.values() for key in keys)
        # A link that several entries share, the home page's say, tells nothing of any of them.
        found = [id_ for id_, keys in by.items() if any(key in sent and uses[key] == 1 for key in keys)]
        words = f"{tool} had sent it before the project came from there"
        notes = [(id_, ELSEWHERE, words) for id_ in found]
        note(self._database, connection, notes, now=self._clock.now())
        waits = t.offers.c.issue_id.is_(None) & t.offers.c.skipped.is_(None)
        for ids in in_chunks(found):
            connection.execute(sa.update(t.offers).where(t.offers.c.entry_id.in_(ids), waits).values(skipped=words))
        return len(found)

"""What is known of a feed before one of its documents is recorded.

Works on an open writing transaction and on the feed's locked row, so that two
processes that fetch one feed at once record it one after the other.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import KnownFeed
from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.lookups import KNOWN, Lookups, known_of
from newsletter.store.rows import Row, in_chunks
from newsletter.store.types import storable
from newsletter.urls import spellings_of

#: How many entries of the last good fetch help to recognise a site that has moved.
_RECENT: Final = 500
#: How many texts another tool had sent of a feed are remembered by their sums, at most.
_MOST_SUMS: Final = 100_000


def locked_feed(database: Database, connection: Connection, url: str) -> Row:
    """The feed's row, made at first sight and locked until the transaction ends.

    A feed whose address is new only in its scheme, a "www." or a final slash is the one of before.
    """
    wanted = sa.select(t.feeds).where(t.feeds.c.url == url).with_for_update()
    if (row := connection.execute(wanted).first()) is not None:
        return row
    spellings = [spelling for spelling in spellings_of(url) if spelling != url]
    before = connection.execute(sa.select(t.feeds.c.id).where(t.feeds.c.url.in_(spellings)).order_by(t.feeds.c.id))
    if (old := before.scalars().first()) is not None:
        connection.execute(sa.update(t.feeds).where(t.feeds.c.id == old).values(url=url, etag=None, last_modified=None))
    connection.execute(
        database.insert(t.feeds).values(url=url, documents=0, failures=0).on_conflict_do_nothing(index_elements=["url"])
    )
    return connection.execute(wanted).one()


def known_feed(connection: Connection, lookups: Lookups, feed: Row, keys: Iterable[str]) -> KnownFeed:
    """What deciding about a document that uses these keys needs to know."""
    # Of a feed without entries nothing is known, and this is the first day of many.
    is_new = feed.documents == 0 and lookups.is_empty(connection, feed.id)
    told = {key: storable(key) for key in keys}
    asked = {} if is_new else told
    owners = lookups.owners(connection, feed.id, set(asked.values()))
    last = [] if is_new else lookups.document(connection, feed.id, feed.documents)
    of_last = {entry.id: entry for entry in last}
    wanted = {owner for owner in owners.values() if owner is not None}
    known = {id_: entry for id_, entry in of_last.items() if id_ in wanted}
    for ids in in_chunks(wanted - known.keys()):
        rows = connection.execute(sa.select(*KNOWN).where(t.entries.c.id.in_(ids)))
        known.update((row.id, known_of(row)) for row in rows)
    moved_from = lookups.tool(connection, feed.id)
    return KnownFeed(
        elsewhere=_elsewhere(connection, feed.id, told) if moved_from else {},
        moved_from=moved_from,
        fetched_before=feed.last_success_at is not None,
        keys={key: owners[stored] for key, stored in asked.items() if stored in owners},
        entries=known,
        recent=tuple(last[:_RECENT]),
        last_success_at=feed.last_success_at,
        new_per_day=feed.new_per_day,
    )


def some_known(connection: Connection, lookups: Lookups, feed: Row, keys: Collection[str]) -> bool:
    """Whether one of these keys is remembered, be it as nobody's."""
    return bool(lookups.owners(connection, feed.id, {storable(key) for key in keys}))


def _elsewhere(connection: Connection, feed_id: int, asked: Mapping[str, str]) -> dict[str, str]:
    """What another tool had sent of these keys of a feed that came from one, and of all sums of texts."""
    here = t.sent_elsewhere.c
    found: dict[str, str] = {}
    for chunk in in_chunks(set(asked.values())):
        wanted = sa.select(here.key, here.tool).where(here.feed_id.in_((feed_id, 0)), here.key.in_(chunk))
        found.update((row.key, row.tool) for row in connection.execute(wanted))
    # Sums of texts are slow to work out, so all of them are handed over, and it is done only where there are any.
    sums = connection.execute(
        sa.select(here.key, here.tool)
        .where(here.feed_id == feed_id, here.key >= "s:", here.key < "s;")
        .limit(_MOST_SUMS)
    ).all()
    return {key: found[stored] for key, stored in asked.items() if stored in found} | {
        row.key: row.tool for row in sums
    }

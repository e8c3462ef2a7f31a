"""Which entries a digest may still carry.

An offer is the row (digest, entry).  It is written when an entry is new to a
digest that reads its feed, used up in the freeze transaction, and given back
when an issue is cancelled that nobody got (ARCHITECTURE.md, "What is new").
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store import tables as t
from newsletter.store.bulk import write_rows
from newsletter.store.connect import Database
from newsletter.store.lookups import Lookups
from newsletter.store.rows import in_chunks

# Made once: making a statement costs more than running it.
_HERE, _THERE = t.entry_keys.alias("here"), t.entry_keys.alias("there")
_CARRIED = (
    sa.select(_HERE.c.entry_id)
    .join(_THERE, sa.and_(_THERE.c.key == _HERE.c.key, _THERE.c.feed_id != sa.bindparam("feed")))
    .join(t.offers, t.offers.c.entry_id == _THERE.c.entry_id)
    .where(
        _HERE.c.entry_id.in_(sa.bindparam("ids", expanding=True)),
        _HERE.c.feed_id == sa.bindparam("feed"),
        _HERE.c.key.startswith("l:", autoescape=True),
        t.offers.c.digest == sa.bindparam("reader"),
        t.offers.c.issue_id.is_not(None),
    )
)
_BY_ANOTHER_FEED = "the digest has carried the same link from another feed"


def offer(
    database: Database,
    connection: Connection,
    digest: str,
    entry_ids: Iterable[int],
    *,
    now: datetime,
    skipped: str | None = None,
) -> None:
    """Offer entries to a digest, or note why they are not; what it knows already stays as it is."""
    for chunk in in_chunks(entry_ids):
        write_rows(
            connection,
            "offers",
            lambda: database.insert(t.offers).on_conflict_do_nothing(index_elements=["digest", "entry_id"]),
            ("digest", "entry_id", "offered_at", "skipped"),
            [(digest, id_, now, skipped) for id_ in chunk],
        )


def offer_to_all(
    database: Database,
    connection: Connection,
    lookups: Lookups,
    feed_id: int,
    digests: Sequence[str],
    *,
    new: Sequence[int],
    skipped: Mapping[int, str],
    document: int,
    first_run: int | None,
    now: datetime,
) -> set[int]:
    """Offer what a good fetch brought; returns the ids offered to at least one digest.

    A digest that reads the feed already gets every new entry.  One that reads
    it for the first time gets the newest `first_run` of the document (None:
    all), less those it has carried from another feed.  What another tool had
    sent (`skipped`, with the reason) is offered to nobody.
    """
    offered: set[int] = set()
    for digest in dict.fromkeys(digests):
        if lookups.reads(connection, digest, feed_id):
            offer(database, connection, digest, new, now=now)
            offered.update(new)
            for id_, why in skipped.items():
                offer(database, connection, digest, [id_], now=now, skipped=why)
            continue
        # The feed's row is locked: nobody else notes that the digest reads it.
        write_rows(
            connection,
            "joined",
            lambda: sa.insert(t.digest_feeds),
            ("digest", "feed_id", "joined_at"),
            [(digest, feed_id, now)],
        )
        sent = lookups.sent_before(connection, feed_id, document)
        for id_, why in sent.items():
            offer(database, connection, digest, [id_], now=now, skipped=why)
        ids = [id_ for id_ in lookups.not_held(connection, feed_id, document) if id_ not in sent]
        first = ids if first_run is None else ids[:first_run]
        carried = _carried(connection, lookups, digest, feed_id, first)
        offer(database, connection, digest, carried, now=now, skipped=_BY_ANOTHER_FEED)
        older = f"not among the newest {first_run} when the digest first read the feed"
        offer(database, connection, digest, ids[len(first) :], now=now, skipped=older)
        wanted = [id_ for id_ in first if id_ not in carried]
        offer(database, connection, digest, wanted, now=now)
        offered.update(wanted)
    return offered


def _carried(connection: Connection, lookups: Lookups, digest: str, feed_id: int, entry_ids: Sequence[int]) -> set[int]:
    """Entries whose link the digest has used up through another feed."""
    found: set[int] = set()
    if not lookups.has_issues(connection, digest):
        return found
    for chunk in in_chunks(entry_ids):
        found.update(connection.execute(_CARRIED, {"ids": chunk, "feed": feed_id, "reader": digest}).scalars())
    return found

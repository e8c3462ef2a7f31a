"""Writing down what one document means: the inside of `Store.record_document`.

Works on an open writing transaction and on the feed's locked row, so that two
processes that fetch one feed at once record it one after the other.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import StoreError
from newsletter.model import Decision, Document, Entry, KnownEntry, KnownFeed, Sighting
from newsletter.store import tables as t
from newsletter.store.bulk import write_rows
from newsletter.store.connect import Database
from newsletter.store.lookups import Lookups
from newsletter.store.notes import note
from newsletter.store.rows import (
    ENTRY_COLUMNS,
    STORED_ENTRY,
    Row,
    entry_columns,
    entry_of,
    entry_record,
    entry_values,
    in_chunks,
)
from newsletter.store.types import storable

#: After so many days without one, a feed's usual pace counts half.
_HALF_LIFE: Final = 7.0
_DAY: Final = 86_400.0
#: The columns of a new entry that do not come from the feed.
_NEW: Final = ("feed_id", "first_seen_at", "text_hash", "version", "held", "seen_in", "last_seen_at", "item_hash")
_KEY_COLUMNS: Final = ("key", "feed_id", "entry_id")


class TrimmedTooFarError(StoreError):
    """More has to be written of a known item than its bytes have been read for: read the document whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What recording a document has changed; `new` are ids that may be offered, `skipped` those that may not, and why."""

    new: tuple[int, ...] = ()
    skipped: Mapping[int, str] = field(default_factory=dict[int, str])
    held: int = 0
    edited: int = 0


def write_decision(
    database: Database,
    connection: Connection,
    feed: Row,
    decision: Decision,
    known: KnownFeed | None,
    *,
    lookups: Lookups,
    now: datetime,
) -> Recorded:
    """Write entries, edits and keys as decided; the document becomes the feed's latest.

    `known` is None where all of the document but its news is `Decision.seen`.
    """
    document = feed.documents + 1
    new = [sighting for sighting in decision.sightings if sighting.known_id is None]
    seen: dict[int, Sighting] = {}
    for sighting in decision.sightings:
        if sighting.known_id is not None:
            seen.setdefault(sighting.known_id, sighting)
    if known is not None:
        _require_read(decision.sightings, known)
    inserted = _insert(connection, lookups, feed.id, new, document=document, now=now)
    _stay(connection, decision.seen, document=document, now=now)
    for id_, sighting in seen.items():
        if sighting.edited:
            _edit(connection, id_, sighting, now=now)
    if known is not None:
        _see_again(connection, seen, known, document=document, now=now)
    _note(database, connection, inserted, seen, decision.warning or "", now=now)
    owners: dict[str, int] = {}
    for id_, sighting in (*inserted, *((one.known_id, one) for one in decision.sightings if one.known_id)):
        for key in sighting.keys:
            owners.setdefault(key, id_)
    _own_keys(
        database, connection, feed.id, owners=owners, shared=decision.shared_keys, known=known.keys if known else {}
    )
    return Recorded(
        new=tuple(id_ for id_, sighting in inserted if not sighting.held and not sighting.skipped),
        skipped={id_: sighting.skipped for id_, sighting in inserted if sighting.skipped},
        held=sum(sighting.held for sighting in new),
        edited=sum(sighting.edited for sighting in seen.values()),
    )


def _note(
    database: Database,
    connection: Connection,
    inserted: Sequence[tuple[int, Sighting]],
    seen: Mapping[int, Sighting],
    warning: str,
    *,
    now: datetime,
) -> None:
    """Write down what of the decision its rows do not tell."""
    notes = [(id_, "elsewhere", one.skipped) for id_, one in inserted if one.skipped]
    notes += [(id_, "held", warning) for id_, one in inserted if one.held]
    notes += [(id_, "new", one.note) for id_, one in inserted if one.note]
    notes += [(id_, f"known: {one.note}"[:60], one.note) for id_, one in seen.items() if one.note]
    note(database, connection, notes, now=now)


def first_pace(document: Document, *, now: datetime) -> float | None:
    """A feed's new entries a day as the dates of its first document suggest; None without dates."""
    dated = [entry.published_at for entry in document.entries if entry.published_at and entry.published_at <= now]
    return len(dated) / max((now - min(dated)).total_seconds() / _DAY, 1.0) if dated else None


def pace(old: float | None, *, new: int, since: datetime, now: datetime) -> float:
    """A feed's usual new entries a day after one more good fetch, which found `new`.

    An average that forgets: what was found `_HALF_LIFE` days ago counts half.
    """
    days = max((now - since).total_seconds() / _DAY, 1 / _DAY)
    if old is None:
        return new / max(days, 1.0)
    weight = 1 - math.pow(0.5, days / _HALF_LIFE)
    return old + weight * (new / days - old)


def _insert(
    connection: Connection, lookups: Lookups, feed_id: int, new: Sequence[Sighting], *, document: int, now: datetime
) -> list[tuple[int, Sighting]]:
    """Write new entries; returns them with their ids."""
    for chunk in in_chunks(new):
        write_rows(
            connection,
            "entries",
            lambda: sa.insert(t.entries),
            (*ENTRY_COLUMNS, *_NEW),
            [
                (
                    *entry_values(sighting.entry),
                    *(feed_id, now, sighting.text_hash, 1, sighting.held, document, now, _item_hash(sighting.entry)),
                )
                for sighting in chunk
            ],
        )
    # Nothing else is in this document yet, and ids grow as rows are written.
    if not new:
        return []
    inserted = list(zip(lookups.ids(connection, feed_id, document), new, strict=True))
    for rows in in_chunks((id_, sighting.entry.summary, sighting.entry.content) for id_, sighting in inserted):
        write_rows(
            connection, "entry_texts", lambda: sa.insert(t.entry_texts), ("entry_id", "summary", "content"), rows
        )
    return inserted


def _edit(connection: Connection, id_: int, sighting: Sighting, *, now: datetime) -> None:
    """Take the new text; keep the old one if an issue has carried it."""
    row = connection.execute(STORED_ENTRY.where(t.entries.c.id == id_)).one()
    carried = sa.union_all(
        *(
            sa.select(table.c.issue_id).where(table.c.entry_id == id_, table.c.version == row.version)
            for table in (t.issue_entries, t.mentions)
        )
    )
    if connection.execute(carried).first() is not None:
        connection.execute(
            sa.insert(t.entry_versions).values(entry_id=id_, version=row.version, entry=entry_record(entry_of(row)))
        )
    connection.execute(
        sa.update(t.entries)
        .where(t.entries.c.id == id_)
        .values(
            **entry_columns(sighting.entry),
            text_hash=sighting.text_hash,
            version=row.version + 1,
            edited_at=now,
            item_hash=_item_hash(sighting.entry),
        )
    )
    connection.execute(sa.update(t.entry_texts).where(t.entry_texts.c.entry_id == id_).values(**_texts(sighting.entry)))


def _require_read(sightings: Iterable[Sighting], known: KnownFeed) -> None:
    """See to it that of items that were not read again nothing is to be written but that they are still there.

    Raises:
        TrimmedTooFarError: one of them is taken for another entry, or its own has changed meanwhile.
    """
    for sighting in sightings:
        entry, mark = sighting.entry, sighting.entry.mark
        if mark is None or mark.known_id is None:
            continue
        before = known.entries.get(mark.known_id)
        if sighting.known_id != mark.known_id or sighting.edited or before is None or before.url != entry.url:
            raise TrimmedTooFarError("the document has to be read whole")


def _item_hash(entry: Entry) -> str | None:
    """What a row that holds just this entry says of the bytes it was read from."""
    if entry.mark is None or not entry.mark.item_hash:
        return None
    texts = f"{entry.guid}{entry.url}{entry.title}"
    return entry.mark.item_hash if texts == storable(texts) else None


def _hash_of_known(sighting: Sighting, before: KnownEntry | None) -> str | None:
    """The same for an entry that was there before: only if its row says what the document says."""
    entry, found = sighting.entry, _item_hash(sighting.entry)
    if found is None or before is None or sighting.edited:
        return found
    then = (before.guid, before.url, before.title, before.published_at, before.text_hash)
    now = (entry.guid, entry.url, entry.title, entry.published_at, sighting.text_hash)
    return found if then == now else None


def _stay(connection: Connection, seen: Mapping[int, int], *, document: int, now: datetime) -> None:
    """Note where entries are now whose items are, byte for byte, what they were in the last document."""
    for chunk in in_chunks(seen.items()):
        write_rows(
            connection,
            "entries staying",
            lambda: (
                sa.update(t.entries)
                .where(t.entries.c.id == sa.bindparam("entry"))
                .values(
                    seen_in=sa.bindparam("document"),
                    last_seen_at=sa.bindparam("seen_at"),
                    position=sa.bindparam("place"),
                )
            ),
            ("entry", "document", "seen_at", "place"),
            [(id_, document, now, place) for id_, place in chunk],
        )


def _see_again(
    connection: Connection, seen: Mapping[int, Sighting], known: KnownFeed, *, document: int, now: datetime
) -> None:
    """Note that known entries are still in the document, and where they are now."""
    for chunk in in_chunks(seen.items()):
        write_rows(
            connection,
            "entries again",
            lambda: (
                sa.update(t.entries)
                .where(t.entries.c.id == sa.bindparam("entry"))
                .values(
                    seen_in=sa.bindparam("document"),
                    last_seen_at=sa.bindparam("seen_at"),
                    position=sa.bindparam("place"),
                    item_hash=sa.bindparam("bytes"),
                )
            ),
            ("entry", "document", "seen_at", "place", "bytes"),
            [
                (id_, document, now, one.entry.position, _hash_of_known(one, known.entries.get(id_)))
                for id_, one in chunk
            ],
        )
    # A site that moves should not leave a dead link in an entry still waiting.
    moved = [
        {"entry": id_, "now_at": sighting.entry.url}
        for id_, sighting in seen.items()
        if sighting.entry.url and id_ in known.entries and known.entries[id_].url != sighting.entry.url
    ]
    if moved:
        carried = sa.exists().where(t.issue_entries.c.entry_id == t.entries.c.id)
        connection.execute(
            sa.update(t.entries)
            .where(t.entries.c.id == sa.bindparam("entry"), ~carried)
            .values(url=sa.bindparam("now_at")),
            moved,
        )


def _own_keys(
    database: Database,
    connection: Connection,
    feed_id: int,
    *,
    owners: Mapping[str, int],
    shared: Iterable[str],
    known: Mapping[str, int | None],
) -> None:
    """Remember whose each key is; one that was ever shared never proves anything again."""

    def own() -> Any:
        insert = database.insert(t.entry_keys)
        return insert.on_conflict_do_update(
            index_elements=["key", "feed_id"],
            set_={"entry_id": insert.excluded.entry_id},
            where=t.entry_keys.c.entry_id.is_not(None),
        )

    def disown() -> Any:
        insert = database.insert(t.entry_keys)
        return insert.on_conflict_do_update(index_elements=["key", "feed_id"], set_={"entry_id": None})

    told = ((key, feed_id, id_) for key, id_ in owners.items() if known.get(key, -1) != id_)
    for rows in in_chunks(told):
        write_rows(connection, "own keys", own, _KEY_COLUMNS, rows)
    for keys in in_chunks(shared):
        write_rows(connection, "disown keys", disown, _KEY_COLUMNS, [(key, feed_id, None) for key in keys])


def _texts(entry: Entry) -> dict[str, Any]:
    return {"summary": entry.summary, "content": entry.content}

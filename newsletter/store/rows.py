"""Between rows and nouns: one function each way, and nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from newsletter.errors import StoreError
from newsletter.model import (
    Canary,
    Delivery,
    Enclosure,
    Entry,
    Envelope,
    Issue,
    Picture,
    Rendering,
    StoredEntry,
    Suppression,
)
from newsletter.store import tables as t

T = TypeVar("T")
Row = sa.Row[*tuple[Any, ...]]

#: How many values go into one IN (…), and how many rows into one INSERT.
CHUNK = 1000


def in_chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """Cut any stream into lists of at most `size`, reading no further than needed."""
    stream = iter(values)
    while chunk := list(islice(stream, size)):
        yield chunk


# --------------------------------------------------------------------------- entries

#: All that makes a `StoredEntry`.
STORED_ENTRY = (
    sa.select(t.entries, t.entry_texts.c.summary, t.entry_texts.c.content, t.feeds.c.url.label("feed_url"))
    .join(t.feeds, t.entries.c.feed_id == t.feeds.c.id)
    .join(t.entry_texts, t.entry_texts.c.entry_id == t.entries.c.id)
)


#: The columns of `entries` that come from the feed; the texts have a table of their own.
ENTRY_COLUMNS = (
    "guid",
    "url",
    "title",
    "author",
    "published_at",
    "updated_at",
    "base_url",
    "language",
    "image",
    "enclosures",
    "tags",
    "position",
)


def entry_values(entry: Entry) -> tuple[Any, ...]:
    """What an entry has for `ENTRY_COLUMNS`."""
    return (
        entry.guid,
        entry.url,
        entry.title,
        entry.author,
        entry.published_at,
        entry.updated_at,
        entry.base_url,
        entry.language,
        entry.image,
        [asdict(enclosure) for enclosure in entry.enclosures],
        list(entry.tags),
        entry.position,
    )


def entry_columns(entry: Entry) -> dict[str, Any]:
    """The same, by column."""
    return dict(zip(ENTRY_COLUMNS, entry_values(entry), strict=True))


def entry_of(row: Row) -> Entry:
    """The entry a row of STORED_ENTRY holds."""
    return _entry({**row._mapping})  # noqa: SLF001 - SQLAlchemy's public name begins so


def stored_entry_of(row: Row) -> StoredEntry:
    """The entry with its id and its feed; of one that waits, also since when it is as it is."""
    changed_at = None
    if "joined_at" in row._fields:
        since = max(row.first_seen_at, row.edited_at or row.first_seen_at)
        changed_at = None if row.joined_at is not None and since <= row.joined_at else since
    return StoredEntry(
        id=row.id,
        feed_url=row.feed_url,
        entry=entry_of(row),
        first_seen_at=row.first_seen_at,
        changed_at=changed_at,
    )


def entry_record(entry: Entry) -> dict[str, Any]:
    """An entry as one JSON value, for the versions that feeds have replaced."""
    record = {**entry_columns(entry), "summary": entry.summary, "content": entry.content}
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in record.items()}


def entry_of_record(record: Mapping[str, Any]) -> Entry:
    """The entry back from `entry_record`."""
    try:
        moments = {
            key: None if record[key] is None else datetime.fromisoformat(record[key])
            for key in ("published_at", "updated_at")
        }
        return _entry({**record, **moments})
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("a replaced version of an entry cannot be read: the database is damaged") from error


def _entry(values: Mapping[str, Any]) -> Entry:
    plain = {key: values[key] for key in _ENTRY_FIELDS}
    return Entry(
        **plain,
        enclosures=tuple(Enclosure(**enclosure) for enclosure in values["enclosures"]),
        tags=tuple(values["tags"]),
    )


_ENTRY_FIELDS = (
    "guid",
    "url",
    "title",
    "author",
    "published_at",
    "updated_at",
    "summary",
    "content",
    "base_url",
    "language",
    "image",
    "position",
)

# ---------------------------------------------------------------------------- issues


def envelope_record(envelope: Envelope) -> dict[str, Any]:
    """All header material as one JSON value."""
    return {**asdict(envelope), "date": envelope.date.isoformat()}


def issue_of(row: Row) -> Issue:
    """One row of `issues`."""
    try:
        envelope = Envelope(**{**row.envelope, "date": datetime.fromisoformat(row.envelope["date"])})
        canary = None if row.canary is None else Canary(**row.canary)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"the envelope of issue {row.number} cannot be read: the database is damaged") from error
    return Issue(
        id=row.id,
        digest=row.digest,
        number=row.number,
        slot=row.slot,
        state=row.state,
        state_reason=row.state_reason,
        subject=row.subject,
        entries=row.entries,
        envelope=envelope,
        frozen_at=row.frozen_at,
        note=row.note,
        canary=canary,
        hours=row.hours,
    )


def rendering_of(row: Row) -> Rendering:
    """One row of `renderings`."""
    return Rendering(
        key=row.key,
        language=row.language,
        subject=row.subject,
        html=row.html,
        text=row.text,
        markdown=row.markdown,
        fields=tuple(row.fields),
    )


def picture_of(row: Row) -> Picture:
    """One row of `pictures`."""
    return Picture(cid=row.cid, media_type=row.media_type, data=bytes(row.data), width=row.width, height=row.height)


# ------------------------------------------------------------------------ deliveries


#: All that makes a `Delivery`, in the order of its fields.
DELIVERY = sa.select(*(t.deliveries.c[field.name] for field in fields(Delivery)))
_DELIVERY_FIELDS = tuple(field.name for field in fields(Delivery))


def delivery_of(row: Sequence[Any]) -> Delivery:
    """One row of DELIVERY."""
    return Delivery(**dict(zip(_DELIVERY_FIELDS, row, strict=True)))


def suppression_of(row: Row) -> Suppression:
    """One row of `suppressions`."""
    return Suppression(
        key=row.key, email=row.email, reason=row.reason, since=row.since, note=row.note, digest=row.digest
    )

"""What became of entries and feeds, from the rows that were written when it was decided; for `explain`."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Disposition, StoredEntry
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import STORED_ENTRY, in_chunks, stored_entry_of
from newsletter.store.types import storable

#: Of so many entries, the newest, titles are looked through.
_TITLES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something that was decided about an entry, and when."""

    at: datetime
    kind: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What an entry is to a digest.

    Used up by an issue: `number`, `frozen_at`, `disposition`, `why` and what the
    size budget made of it (`shortened`).  Not to be sent: `skipped`.  Neither: it waits.
    """

    digest: str
    offered_at: datetime
    skipped: str | None = None
    number: int | None = None
    frozen_at: datetime | None = None
    disposition: Disposition | None = None
    why: str = ""
    shortened: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryStory:
    """All that is known of an entry's life.

    `proves` are the keys by which it is known (see `feeds.keys`), those it shares
    with others left out.  `released_from` are numbers of cancelled issues that
    gave it back, each with its digest.
    """

    stored: StoredEntry
    is_held: bool
    versions: int
    edited_at: datetime | None
    last_seen_at: datetime | None
    is_in_feed: bool
    proves: tuple[str, ...]
    notes: tuple[Said, ...]
    fates: tuple[Fate, ...]
    released_from: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a digest has had of a feed: since when, and how many entries became what."""

    digest: str
    joined_at: datetime
    fates: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedStory:
    """A feed's past: how many documents were read, which keys proved nothing, what its digests had of it."""

    documents: int
    new_per_day: float | None
    shared_keys: int
    sent_elsewhere: Mapping[str, int]
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """An entry that an issue could have had and had not: it was waiting, or held, when the issue was frozen."""

    stored: StoredEntry
    was_held: bool


class History(Part):
    """What became of what."""

    def entries_known_by(self, text: str, keys: Collection[str]) -> list[int]:
        """Ids of entries with this guid or address, or one of these keys, newest first.

        Transaction: one read.
        """
        found: set[int] = set()
        with self._database.read() as connection:
            for chunk in in_chunks(map(storable, keys)):
                wanted = sa.select(t.entry_keys.c.entry_id).where(
                    t.entry_keys.c.key.in_(chunk), t.entry_keys.c.entry_id.is_not(None)
                )
                found.update(connection.execute(wanted).scalars())
            if not found:
                plain = storable(text)
                by = (t.entries.c.guid == plain) | (t.entries.c.url == plain)
                found.update(connection.execute(sa.select(t.entries.c.id).where(by)).scalars())
        return sorted(found, reverse=True)

    def entry_titles(self) -> list[tuple[int, str]]:
        """Ids and titles of the newest entries, newest first.

        Transaction: one read.
        """
        wanted = sa.select(t.entries.c.id, t.entries.c.title).order_by(t.entries.c.id.desc()).limit(_TITLES)
        with self._database.read() as connection:
            return [(row.id, row.title) for row in connection.execute(wanted)]

    def entry_stories(self, entry_ids: Sequence[int]) -> list[EntryStory]:
        """What is known of the lives of these entries, in this order.

        Transaction: one read.
        """
        with self._database.read() as connection:
            wanted = STORED_ENTRY.add_columns(t.feeds.c.documents).where(t.entries.c.id.in_(list(entry_ids)))
            rows = {row.id: row for row in connection.execute(wanted)}
            return [
                EntryStory(
                    stored=stored_entry_of(rows[id_]),
                    is_held=rows[id_].held,
                    versions=rows[id_].version,
                    edited_at=rows[id_].edited_at,
                    last_seen_at=rows[id_].last_seen_at,
                    is_in_feed=rows[id_].seen_in == rows[id_].documents,
                    proves=_keys(connection, id_),
                    notes=_notes(connection, id_),
                    fates=_fates(connection, id_),
                    released_from=_released(connection, id_),
                )
                for id_ in entry_ids
                if id_ in rows
            ]

    def feed_story(self, feed_url: str) -> FeedStory | None:
        """What is known of a feed's past; None where it was never read.

        Transaction: one read.
        """
        with self._database.read() as connection:
            feed = connection.execute(sa.select(t.feeds).where(t.feeds.c.url == feed_url)).first()
            if feed is None:
                return None
            shared = sa.select(sa.func.count()).where(
                t.entry_keys.c.feed_id == feed.id,
                t.entry_keys.c.entry_id.is_(None),
                t.entry_keys.c.key.startswith("g:", autoescape=True)
                | t.entry_keys.c.key.startswith("l:", autoescape=True),
            )
            elsewhere = (
                sa.select(t.sent_elsewhere.c.tool, sa.func.count() - 1)
                .where(t.sent_elsewhere.c.feed_id == feed.id, t.sent_elsewhere.c.key.not_like("l:%"))
                .group_by(t.sent_elsewhere.c.tool)
            )
            joined = (
                sa.select(t.digest_feeds).where(t.digest_feeds.c.feed_id == feed.id).order_by(t.digest_feeds.c.digest)
            )
            return FeedStory(
                documents=feed.documents,
                new_per_day=feed.new_per_day,
                shared_keys=connection.execute(shared).scalar_one(),
                sent_elsewhere={row[0]: row[1] for row in connection.execute(elsewhere)},
                readings=tuple(
                    Reading(
                        digest=row.digest,
                        joined_at=row.joined_at,
                        fates=_counts(connection, feed.id, row.digest),
                    )
                    for row in connection.execute(joined).all()
                ),
            )

    def shortened(self, issue_id: int) -> dict[int, str]:
        """What the size budget made of an issue's entries, in words; only of those it touched.

        Transaction: one read.
        """
        wanted = sa.select(t.issue_entries.c.entry_id, t.issue_entries.c.shortened).where(
            t.issue_entries.c.issue_id == issue_id, t.issue_entries.c.shortened != ""
        )
        with self._database.read() as connection:
            return {row.entry_id: row.shortened for row in connection.execute(wanted)}

    def absent(self, issue_id: int, feed_urls: Sequence[str], limit: int) -> list[Absent]:
        """Entries that could have been in an issue, had they not been waiting to settle, or held, when it was frozen.

        Transaction: one read.
        """
        own = sa.select(t.issue_entries.c.entry_id).where(t.issue_entries.c.issue_id == issue_id)
        held, let_go = t.entry_notes.alias("held"), t.entry_notes.alias("let_go")
        later = t.issues.alias("later")
        with self._database.read() as connection:
            issue = connection.execute(sa.select(t.issues).where(t.issues.c.id == issue_id)).one()
            then = issue.frozen_at
            waited = (
                (t.offers.c.offered_at < then)
                & t.offers.c.skipped.is_(None)
                & (t.offers.c.issue_id.is_(None) | (later.c.frozen_at > then))
            )
            was_held = (held.c.at <= then) & (let_go.c.at.is_(None) | (let_go.c.at > then))
            wanted = (
                STORED_ENTRY.add_columns(held.c.at.label("held_at"))
                .outerjoin(t.offers, (t.offers.c.entry_id == t.entries.c.id) & (t.offers.c.digest == issue.digest))
                .outerjoin(later, later.c.id == t.offers.c.issue_id)
                .outerjoin(held, (held.c.entry_id == t.entries.c.id) & (held.c.kind == "held"))
                .outerjoin(let_go, (let_go.c.entry_id == t.entries.c.id) & (let_go.c.kind == "let go"))
                .where(waited | was_held, t.entries.c.id.not_in(own))
                .order_by(t.entries.c.id)
                .limit(limit)
            )
            return [
                Absent(stored=stored_entry_of(row), was_held=row.held_at is not None)
                for chunk in in_chunks(dict.fromkeys(feed_urls))
                for row in connection.execute(wanted.where(t.feeds.c.url.in_(chunk)))
            ]


def _keys(connection: Connection, entry_id: int) -> tuple[str, ...]:
    wanted = sa.select(t.entry_keys.c.key).where(t.entry_keys.c.entry_id == entry_id)
    return tuple(sorted(connection.execute(wanted).scalars()))


def _notes(connection: Connection, entry_id: int) -> tuple[Said, ...]:
    wanted = sa.select(t.entry_notes).where(t.entry_notes.c.entry_id == entry_id).order_by(t.entry_notes.c.at)
    return tuple(Said(at=row.at, kind=row.kind, words=row.words) for row in connection.execute(wanted))


def _fates(connection: Connection, entry_id: int) -> tuple[Fate, ...]:
    wanted = (
        sa.select(
            t.offers.c.digest,
            t.offers.c.offered_at,
            t.offers.c.skipped,
            t.issues.c.number,
            t.issues.c.frozen_at,
            t.issue_entries.c.disposition,
            t.issue_entries.c.why,
            t.issue_entries.c.shortened,
        )
        .outerjoin(t.issues, t.issues.c.id == t.offers.c.issue_id)
        .outerjoin(
            t.issue_entries,
            (t.issue_entries.c.issue_id == t.offers.c.issue_id) & (t.issue_entries.c.entry_id == t.offers.c.entry_id),
        )
        .where(t.offers.c.entry_id == entry_id)
        .order_by(t.offers.c.digest)
    )
    return tuple(
        Fate(
            digest=row.digest,
            offered_at=row.offered_at,
            skipped=row.skipped,
            number=row.number,
            frozen_at=row.frozen_at,
            disposition=row.disposition,
            why=row.why or "",
            shortened=row.shortened or "",
        )
        for row in connection.execute(wanted)
    )


def _released(connection: Connection, entry_id: int) -> tuple[tuple[str, int], ...]:
    wanted = (
        sa.select(t.issues.c.digest, t.issues.c.number)
        .join(t.issue_entries, t.issue_entries.c.issue_id == t.issues.c.id)
        .where(t.issue_entries.c.entry_id == entry_id, t.issues.c.released)
        .order_by(t.issues.c.id)
    )
    return tuple((row.digest, row.number) for row in connection.execute(wanted))


def _counts(connection: Connection, feed_id: int, digest: str) -> dict[str, int]:
    """How many entries became what in a digest: by disposition, by the reason they are skipped, or waiting."""
    wanted = (
        sa.select(t.offers.c.skipped, t.issue_entries.c.disposition, sa.func.count().label("number"))
        .join(t.entries, t.entries.c.id == t.offers.c.entry_id)
        .outerjoin(
            t.issue_entries,
            (t.issue_entries.c.issue_id == t.offers.c.issue_id) & (t.issue_entries.c.entry_id == t.offers.c.entry_id),
        )
        .where(t.offers.c.digest == digest, t.entries.c.feed_id == feed_id)
        .group_by(t.offers.c.skipped, t.issue_entries.c.disposition)
    )
    found: Counter[str] = Counter()
    for row in connection.execute(wanted):
        word = row.disposition.value if row.disposition else (row.skipped or "waiting")
        found[word] += row.number
    return dict(found.most_common())

"""Feeds, their entries, and what of them waits for an issue."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import (
    Disposition,
    Failed,
    Feed,
    FeedHealth,
    FeedStatus,
    FetchResult,
    LeftOut,
    StoredEntry,
)
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.knowing import locked_feed
from newsletter.store.notes import note
from newsletter.store.offers import offer, offer_to_all
from newsletter.store.outages import note_failure, note_success
from newsletter.store.record import pace
from newsletter.store.rows import STORED_ENTRY, Row, in_chunks, stored_entry_of

_POLLED = tuple(t.polls.c[name] for name in ("next_at", "moved_to", "paused", "gap_words", "silent"))


class Feeds(Part):
    """What feeds said, and which entries a digest has not carried yet."""

    def record_unchanged(
        self, feed: Feed, *, seconds: float, digests: Sequence[str], first_run: int | None
    ) -> FetchResult:
        """Record that the server said 304; a digest new to the feed still gets its first entries.

        Transaction: one write, with the feed's row locked.
        """
        now = self._clock.now()
        with self._database.write() as connection:
            row = locked_feed(self._database, connection, feed.url)
            offered = offer_to_all(
                self._database,
                connection,
                self._lookups,
                row.id,
                # A digest joins a feed with its first document, not with a mistaken 304.
                digests if row.documents else (),
                new=(),
                skipped={},
                document=row.documents,
                first_run=first_run,
                now=now,
            )
            connection.execute(sa.update(t.feeds).where(t.feeds.c.id == row.id).values(**self._healthy(row)))
            if row.failures:
                note_success(connection, row.id, now=now)
        return FetchResult(feed=feed, title=row.title, offered=len(offered), unchanged=True, seconds=seconds)

    def record_failure(self, failed: Failed) -> FetchResult:
        """Record that a feed could not be read; its entries and validators stay as they are.

        Transaction: one write, with the feed's row locked.
        """
        with self._database.write() as connection:
            row = locked_feed(self._database, connection, failed.feed.url)
            note_failure(connection, row.id, failed.reason, failed.hint, now=self._clock.now())
            connection.execute(
                sa.update(t.feeds)
                .where(t.feeds.c.id == row.id)
                .values(
                    failures=row.failures + 1,
                    last_error=failed.reason,
                    last_hint=failed.hint,
                    last_attempt_at=self._clock.now(),
                )
            )
        return FetchResult(
            feed=failed.feed,
            title=row.title,
            error=failed.reason,
            hint=failed.hint,
            seconds=failed.seconds,
            failures=row.failures + 1,
        )

    def release_held(self, feed_url: str, digests: Sequence[str], *, discard: bool) -> int:
        """Let go of the entries the flood guard holds; returns how many there were.

        They are offered to the digests, or, with `discard`, noted as never to be sent.

        Transaction: one write, with the feed's row locked.
        """
        with self._database.write() as connection:
            row = connection.execute(sa.select(t.feeds).where(t.feeds.c.url == feed_url).with_for_update()).first()
            if row is None:
                return 0
            held = (t.entries.c.feed_id == row.id) & t.entries.c.held
            ids = connection.execute(sa.select(t.entries.c.id).where(held).order_by(t.entries.c.id)).scalars().all()
            now = self._clock.now()
            skipped = "held by the flood guard and discarded" if discard else None
            words = "discarded by hand: never to be sent" if discard else "released by hand: to be sent after all"
            note(self._database, connection, [(id_, "let go", words) for id_ in ids], now=now)
            for digest in dict.fromkeys(digests):
                offer(self._database, connection, digest, ids, now=now, skipped=skipped)
            connection.execute(sa.update(t.entries).where(held).values(held=False))
            changes: dict[str, object] = {"warning": None}
            if not discard:
                # So many at once are usual for this feed, says the publisher.
                changes["new_per_day"] = max(row.new_per_day or 0.0, float(len(ids)))
            connection.execute(sa.update(t.feeds).where(t.feeds.c.id == row.id).values(**changes))
        return len(ids)

    def feed_health(self, urls: Sequence[str] | None = None, *, failing_after: int = 3) -> list[FeedHealth]:
        """How feeds are doing: those named, in that order, or all that were ever polled, by address.

        A feed is `failing` after so many failures in a row, or at once if it was never well.

        Transaction: one read.
        """
        known = sa.select(t.feeds, *_POLLED).join_from(
            t.feeds, t.polls, t.polls.c.feed_id == t.feeds.c.id, isouter=True
        )
        with self._database.read() as connection:
            rows = {row.url: row for row in connection.execute(known)}
            entries = _count(connection, sa.true())
            held = _count(connection, t.entries.c.held)
        return [
            _health(url, rows.get(url), entries, held, failing_after)
            for url in (sorted(rows) if urls is None else urls)
        ]

    def waiting(self, digest: str, feed_urls: Sequence[str]) -> list[StoredEntry]:
        """Entries of these feeds that the digest may carry and has not.

        Newest first by the feed's date (first seen, where it has none), then by
        feed, title and id: the same order on every database.

        Transaction: one read.
        """
        wanted = (
            STORED_ENTRY.add_columns(t.digest_feeds.c.joined_at)
            .join(t.offers, t.offers.c.entry_id == t.entries.c.id)
            .outerjoin(
                t.digest_feeds,
                (t.digest_feeds.c.digest == t.offers.c.digest) & (t.digest_feeds.c.feed_id == t.entries.c.feed_id),
            )
            .where(t.offers.c.digest == digest, t.offers.c.issue_id.is_(None), t.offers.c.skipped.is_(None))
        )
        return self._entries(wanted, feed_urls)

    def edited(self, digest: str, feed_urls: Sequence[str]) -> list[StoredEntry]:
        """Entries the digest has carried, that were edited since its readers were last told.

        Ordered as `waiting`.

        Transaction: one read.
        """
        carried = (Disposition.shown, Disposition.headline)
        wanted = (
            STORED_ENTRY.join(t.offers, t.offers.c.entry_id == t.entries.c.id)
            .join(
                t.issue_entries,
                (t.issue_entries.c.issue_id == t.offers.c.issue_id)
                & (t.issue_entries.c.entry_id == t.offers.c.entry_id),
            )
            .where(
                t.offers.c.digest == digest,
                t.entries.c.edited_at.is_not(None),
                t.entries.c.version > t.offers.c.version,
                t.issue_entries.c.disposition.in_(carried),
            )
        )
        return self._entries(wanted, feed_urls)

    def latest(self, feed_urls: Sequence[str], limit: int) -> list[StoredEntry]:
        """The newest entries of these feeds, whatever became of them; ordered as `waiting`.

        Transaction: one read.
        """
        newest = sa.func.coalesce(t.entries.c.published_at, t.entries.c.first_seen_at).desc()
        wanted = STORED_ENTRY.where(t.entries.c.held.is_(False)).order_by(newest, t.entries.c.id).limit(limit)
        return self._entries(wanted, feed_urls)[:limit]

    def left_out(self, digest: str, feed_urls: Sequence[str], limit: int) -> list[LeftOut]:
        """The newest entries of these feeds that are held, or that were never offered to the digest, with the reason.

        Transaction: one read.
        """
        wanted = (
            STORED_ENTRY.add_columns(t.offers.c.skipped, t.entries.c.held, t.feeds.c.warning)
            .outerjoin(t.offers, (t.offers.c.entry_id == t.entries.c.id) & (t.offers.c.digest == digest))
            .where(t.entries.c.held | t.offers.c.skipped.is_not(None))
            .order_by(t.entries.c.first_seen_at.desc(), t.entries.c.position)
            .limit(limit)
        )
        with self._database.read() as connection:
            found = [
                LeftOut(
                    stored=stored_entry_of(row), why=(row.warning if row.held else row.skipped) or "", held=row.held
                )
                for chunk in in_chunks(dict.fromkeys(feed_urls))
                for row in connection.execute(wanted.where(t.feeds.c.url.in_(chunk)))
            ]
        return sorted(found, key=lambda one: newest_first(one.stored))[:limit]

    def _healthy(self, row: Row) -> dict[str, object]:
        """The columns any good answer sets; one that brings nothing new slows the feed's pace."""
        now = self._clock.now()
        quiet = row.new_per_day is not None and row.last_success_at is not None
        return {
            "failures": 0,
            "last_error": None,
            "last_hint": None,
            "last_attempt_at": now,
            "last_success_at": now,
            "new_per_day": pace(row.new_per_day, new=0, since=row.last_success_at, now=now) if quiet else None,
        }

    def _entries(self, wanted: sa.Select[tuple[object, ...]], feed_urls: Sequence[str]) -> list[StoredEntry]:
        with self._database.read() as connection:
            found = [
                stored_entry_of(row)
                for chunk in in_chunks(dict.fromkeys(feed_urls))
                for row in connection.execute(wanted.where(t.feeds.c.url.in_(chunk)))
            ]
        return sorted(found, key=newest_first)


def newest_first(stored: StoredEntry) -> tuple[float, str, str, int]:
    """What entries are ordered by: see `Feeds.waiting`."""
    when = stored.entry.published_at or stored.first_seen_at
    return (-when.timestamp(), stored.feed_url, stored.entry.title, stored.id)


def _count(connection: Connection, condition: sa.ColumnElement[bool]) -> dict[int, int]:
    rows = connection.execute(
        sa.select(t.entries.c.feed_id, sa.func.count()).where(condition).group_by(t.entries.c.feed_id)
    )
    return {row[0]: row[1] for row in rows}


def _health(url: str, row: Row | None, entries: dict[int, int], held: dict[int, int], failing_after: int) -> FeedHealth:
    if row is None:
        return FeedHealth(
            url=url,
            title=None,
            home_url=None,
            language=None,
            status=FeedStatus.never,
            entries=0,
            held=0,
            failures=0,
            last_error=None,
            last_hint=None,
            last_success_at=None,
            last_attempt_at=None,
        )
    if row.paused:
        status = FeedStatus.paused
    elif row.failures and (row.failures >= failing_after or row.last_success_at is None):
        status = FeedStatus.failing
    elif held.get(row.id):
        status = FeedStatus.held
    elif row.failures:
        status = FeedStatus.hiccup
    else:
        status = FeedStatus.never if row.last_success_at is None else FeedStatus.ok
    return FeedHealth(
        url=url,
        title=row.title,
        home_url=row.home_url,
        language=row.language,
        status=status,
        entries=entries.get(row.id, 0),
        held=held.get(row.id, 0),
        failures=row.failures,
        # While entries are held, what is wrong is the warning that held them.
        last_error=row.warning if status is FeedStatus.held else row.last_error,
        last_hint=row.last_hint,
        last_success_at=row.last_success_at,
        last_attempt_at=row.last_attempt_at,
        next_at=row.next_at,
        moved_to=row.moved_to,
        paused=row.paused,
        gap=row.gap_words,
        silent=row.silent,
    )

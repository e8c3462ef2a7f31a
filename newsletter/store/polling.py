"""When feeds are asked: what is remembered of it, their pauses, and where they have moved to."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Feed, FetchResult, Hints, Poll, Rhythm, Trouble, Wish
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.knowing import locked_feed
from newsletter.store.offers import offer_to_all
from newsletter.store.rows import Row, in_chunks
from newsletter.store.types import storable, unreadable
from newsletter.urls import canonical_url

_MANY = 100

_KNOWN = sa.select(
    t.feeds.c.url, t.feeds.c.failures, *(column for column in t.polls.c if column.name not in ("rhythm", "feed_id"))
).join_from(t.feeds, t.polls, t.polls.c.feed_id == t.feeds.c.id, isouter=True)


class Polling(Part):
    """What is known of asking feeds; a feed that was never asked has a `Poll` without anything in it."""

    def polls(self, urls: Sequence[str]) -> dict[str, Poll]:
        """What is remembered of these feeds, by address, in their order.

        Transaction: one read.
        """
        with self._database.read() as connection:
            wanted = set(urls)
            found = {row.url: _poll_of(row) for row in _of(connection, _KNOWN, urls) if row.url in wanted}
        return {url: found.get(url) or Poll(url=url) for url in urls}

    def rhythms(self, urls: Iterable[str]) -> dict[str, Rhythm]:
        """On which days these feeds brought something, by address; only for those of which that is known.

        Transaction: one read.
        """
        wanted = (
            sa.select(t.feeds.c.url, t.polls.c.rhythm)
            .join(t.polls, t.polls.c.feed_id == t.feeds.c.id)
            .where(t.polls.c.rhythm.is_not(None))
        )
        with self._database.read() as connection:
            return {
                row.url: _rhythm_of(row.rhythm)
                for chunk in in_chunks(dict.fromkeys(urls))
                for row in connection.execute(wanted.where(t.feeds.c.url.in_(chunk)))
            }

    def knew(self, url: str, keys: Iterable[str], *, before: datetime | None) -> bool:
        """Whether a feed had an entry with one of these keys already at that moment.

        Transaction: one read.
        """
        wanted = (
            sa.select(t.entry_keys.c.key)
            .join(t.feeds, t.feeds.c.id == t.entry_keys.c.feed_id)
            .join(t.entries, t.entries.c.id == t.entry_keys.c.entry_id)
            .where(t.feeds.c.url == url, sa.true() if before is None else t.entries.c.first_seen_at <= before)
            .limit(1)
        )
        with self._database.read() as connection:
            return any(
                connection.execute(wanted.where(t.entry_keys.c.key.in_(chunk))).first() is not None
                for chunk in in_chunks(storable(key) for key in keys)
            )

    def record_polls(self, polls: Sequence[Poll], rhythms: Mapping[str, Rhythm]) -> None:
        """Remember when to ask feeds again, and what was learned; those the store does not know are left out.

        What was `told` stays as it is.

        Transaction: one write.
        """
        if not polls:
            return
        with self._database.write() as connection:
            ids = _ids(connection, [poll.url for poll in polls])
            rows = [{"feed_id": ids[poll.url], **_columns(poll)} for poll in polls if poll.url in ids]
            insert = self._database.insert(t.polls)
            upsert = insert.on_conflict_do_update(
                index_elements=["feed_id"],
                set_={name: insert.excluded[name] for name in rows[0] if name != "feed_id"} if rows else {},
            )
            for chunk in in_chunks(rows):
                connection.execute(upsert, chunk)
            learn = (
                sa.update(t.polls)
                .where(t.polls.c.feed_id == sa.bindparam("feed"))
                .values(rhythm=sa.bindparam("learned", type_=t.polls.c.rhythm.type))
            )
            for pairs in in_chunks((url, rhythm) for url, rhythm in rhythms.items() if url in ids):
                connection.execute(
                    learn,
                    [
                        {
                            "feed": ids[url],
                            "learned": {
                                "days": rhythm.days,
                                "pause": rhythm.pause,
                                "pause_on": rhythm.pause_on,
                            },
                        }
                        for url, rhythm in pairs
                    ],
                )

    def record_told(self, told: Mapping[str, tuple[Trouble, ...]]) -> None:
        """Remember of which troubles of which feeds a send has told.

        Transaction: one write.
        """
        if not told:
            return
        with self._database.write() as connection:
            for chunk in in_chunks(told.items()):
                ids = _ids(connection, [url for url, _ in chunk])
                insert = self._database.insert(t.polls)
                upsert = insert.on_conflict_do_update(
                    index_elements=["feed_id"], set_={"told": insert.excluded["told"]}
                )
                rows = [{"feed_id": ids[url], "told": sorted(words)} for url, words in chunk if url in ids]
                if rows:
                    connection.execute(upsert, rows)

    def record_spared(self, feed: Feed, why: str, digests: Sequence[str], *, first_run: int | None) -> FetchResult:
        """Record nothing of a feed that was not asked; but a digest new to it still gets its first entries.

        Transaction: one write, with the feed's row locked, where a digest is new to the feed; else one read.
        """
        joined = sa.select(t.digest_feeds.c.digest).join(t.feeds, t.feeds.c.id == t.digest_feeds.c.feed_id)
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.feeds).where(t.feeds.c.url == feed.url)).first()
            known = set(connection.execute(joined.where(t.feeds.c.url == feed.url)).scalars())
        title, offered = (None, 0) if row is None else (row.title, 0)
        if row is not None and row.documents and set(digests) - known:
            with self._database.write() as connection:
                row = locked_feed(self._database, connection, feed.url)
                offered = len(
                    offer_to_all(
                        self._database,
                        connection,
                        self._lookups,
                        row.id,
                        digests,
                        new=(),
                        skipped={},
                        document=row.documents,
                        first_run=first_run,
                        now=self._clock.now(),
                    )
                )
        return FetchResult(feed=feed, title=title, offered=offered, unchanged=True, spared=why)

    def pause_feed(self, url: str, why: str | None) -> bool:
        """Stop asking a feed, or (None) ask it again from the next round on; False if that changes nothing.

        Transaction: one write, with the feed's row locked.
        """
        with self._database.write() as connection:
            feed = locked_feed(self._database, connection, url)
            was = connection.execute(sa.select(t.polls.c.paused).where(t.polls.c.feed_id == feed.id)).scalar()
            values: dict[str, Any] = {"paused": why}
            if why is None:
                # What made it wait is over: it is asked as soon as somebody asks at all.
                values |= {"next_at": None, "retry_at": None}
            connection.execute(
                self._database.insert(t.polls)
                .values(feed_id=feed.id, **values)
                .on_conflict_do_update(index_elements=["feed_id"], set_=values)
            )
        return (was is None) != (why is None)

    def adopt_moved(self, urls: Collection[str]) -> dict[str, str]:
        """Give feeds that have moved for good their new address, where the project has that one and the old no more.

        Their entries, and what was sent of them, stay theirs.

        Args:
            urls: the project's feeds.

        Returns:
            by new address, the old one.

        Transaction: one read; one write where a feed has moved.
        """
        moved = (
            sa.select(t.feeds.c.id, t.feeds.c.url, t.polls.c.moved_to)
            .join(t.polls, t.polls.c.feed_id == t.feeds.c.id)
            .where(t.polls.c.moved_to.is_not(None))
        )
        with self._database.read() as connection:
            if not _takers(connection.execute(moved).all(), urls):
                return {}
        with self._database.write() as connection:
            takers = _takers(connection.execute(moved.with_for_update(of=t.feeds)).all(), urls)
            there = _ids(connection, list(takers))
            adopted = {}
            for new, row in takers.items():
                if new in there:
                    continue  # it has been fetched there already, with a past of its own
                connection.execute(sa.update(t.feeds).where(t.feeds.c.id == row.id).values(url=new))
                connection.execute(sa.update(t.polls).where(t.polls.c.feed_id == row.id).values(moved_to=None))
                adopted[new] = row.url
        return adopted


def _takers(moved: Sequence[Row], urls: Collection[str]) -> dict[str, Row]:
    """By address in the project, the feed that has moved there; none that is still in the project, none of two."""
    if not moved:
        return {}
    by_page = {canonical_url(url): url for url in urls}
    found: dict[str, list[Row]] = {}
    for row in moved:
        new = by_page.get(canonical_url(row.moved_to))
        if new is not None and row.url not in urls:
            found.setdefault(new, []).append(row)
    return {new: rows[0] for new, rows in found.items() if len(rows) == 1}


def _ids(connection: Connection, urls: Sequence[str]) -> dict[str, int]:
    wanted = set(urls)
    return {
        row.url: row.id for row in _of(connection, sa.select(t.feeds.c.url, t.feeds.c.id), urls) if row.url in wanted
    }


def _of(connection: Connection, columns: sa.Select[Any], urls: Sequence[str]) -> Iterator[Row]:
    """The rows of these feeds; of all, where they are many: naming them costs more than reading a project's others."""
    if len(urls) > _MANY:
        yield from connection.execute(columns)
    else:
        yield from connection.execute(columns.where(t.feeds.c.url.in_(list(urls))))


def _columns(poll: Poll) -> dict[str, Any]:
    return {
        "next_at": poll.next_at,
        "interval_seconds": poll.interval,
        "window_seconds": poll.window,
        "answered_at": poll.answered_at,
        "retry_at": poll.wish.retry_at,
        "fresh_until": poll.wish.fresh_until,
        "hints": None
        if poll.hints == Hints()
        else {"ttl": poll.hints.ttl, "hours": poll.hints.hours, "weekdays": poll.hints.weekdays},
        "moved_to": poll.moved_to,
        "paused": poll.paused,
        "gap": poll.gap,
        "gap_at": poll.gap_at,
        "gap_words": poll.gap_words,
        "silent": poll.silent,
        "silent_from": poll.silent_from,
    }


def _rhythm_of(record: Any) -> Rhythm:
    try:
        days = tuple((int(day), int(number)) for day, number in record["days"])
        return Rhythm(days=days, pause=int(record["pause"]), pause_on=int(record["pause_on"]))
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable("a feed's days", record) from error


def _hints_of(record: Any) -> Hints:
    if record is None:
        return Hints()
    try:
        return Hints(ttl=record["ttl"], hours=tuple(record["hours"]), weekdays=tuple(record["weekdays"]))
    except (KeyError, TypeError) as error:
        raise unreadable("a feed's wishes", record) from error


def _told_of(record: Any) -> tuple[Trouble, ...]:
    try:
        return tuple(Trouble(word) for word in record or ())
    except (TypeError, ValueError) as error:
        raise unreadable("what was told of a feed", record) from error


def _poll_of(row: Row) -> Poll:
    return Poll(
        url=row.url,
        failures=row.failures,
        next_at=row.next_at,
        interval=row.interval_seconds,
        window=row.window_seconds,
        answered_at=row.answered_at,
        wish=Wish(retry_at=row.retry_at, fresh_until=row.fresh_until),
        hints=_hints_of(row.hints),
        moved_to=row.moved_to,
        paused=row.paused,
        gap=row.gap,
        gap_at=row.gap_at,
        gap_words=row.gap_words,
        silent=row.silent,
        silent_from=row.silent_from,
        told=_told_of(row.told),
    )

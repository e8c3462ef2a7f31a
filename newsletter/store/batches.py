"""Documents recorded, what a poll needs to know beforehand, and the polls that brought nothing new."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import (
    Decision,
    Document,
    Feed,
    FeedMemory,
    Fetched,
    FetchResult,
    KnownEntry,
    KnownFeed,
    KnownItems,
    NotModified,
    Validators,
)
from newsletter.store import tables as t
from newsletter.store.bulk import write_rows
from newsletter.store.feeds import Feeds
from newsletter.store.knowing import known_feed, locked_feed, some_known
from newsletter.store.offers import offer_to_all
from newsletter.store.outages import note_success
from newsletter.store.record import Recorded, TrimmedTooFarError, first_pace, pace, write_decision
from newsletter.store.rows import Row, in_chunks
from newsletter.urls import spellings_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a document wants to know before it is decided about.

    `decide` gets what is known of `keys` and says which entries are new; an exception of its own undoes everything.
    """

    keys: frozenset[str]
    decide: Callable[[KnownFeed], Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A good document that is to be recorded.

    `digests` are those that read the feed.  Of a document whose known items
    were not read again, `since` is the number of the document they are known
    from, and `news` what it means if nothing is known of what is new in it; None
    where that has to be asked.  `question` is given the recorded entries that the items stand for.
    """

    feed: Feed
    fetched: Fetched
    document: Document
    body_hash: str
    digests: Sequence[str]
    question: Callable[[Mapping[int, KnownEntry]], Question]
    since: int | None = None
    news: Decision | None = None


class Batches(Feeds):
    """Many feeds at once: a day on which nothing has changed is two transactions."""

    def memories(self, urls: Sequence[str]) -> dict[str, FeedMemory]:
        """What is known of feeds that were polled before, by address.

        Transaction: one read.
        """
        columns = (t.feeds.c.url, t.feeds.c.etag, t.feeds.c.last_modified, t.feeds.c.body_hash)
        with self._database.read() as connection:
            return {
                url: FeedMemory(validators=Validators(etag=etag, last_modified=modified), body_hash=body_hash)
                for chunk in in_chunks(urls)
                for url, etag, modified, body_hash in connection.execute(
                    sa.select(*columns).where(t.feeds.c.url.in_(chunk))
                )
            }

    def known_items(self, url: str) -> KnownItems:
        """The entries of the feed's last document whose bytes are known, by the hash of these.

        Transaction: one read.
        """
        with self._database.read() as connection:
            rows = self._lookups.items(connection, url)
        found = {item_hash: id_ for _, item_hash, id_ in rows}
        # Two entries from the same bytes: which is which is for the whole document to tell.
        return KnownItems(document=rows[0][0], ids=found) if rows and len(found) == len(rows) else KnownItems()

    def record_documents(self, recordings: Sequence[Recording], *, first_run: int | None) -> list[FetchResult | None]:
        """Record documents: their new entries, edits and keys, and whom they are offered to.

        A document whose bytes are those of the last one is not decided about
        again, but a digest that now reads the feed still gets its first entries:
        the newest `first_run` (None: all).

        The results are in the same order.  One is None where the document must
        be read whole (`TrimmedTooFarError`): of it nothing has been written.

        Transaction: one write, with the feeds' rows locked.
        """
        results: list[FetchResult | None] = []
        with self._database.write() as connection:
            rows = self._locked_feeds(connection, [recording.feed.url for recording in recordings])
            for recording in recordings:
                url = recording.feed.url
                # A feed that is there twice has another row by then.
                row = rows.pop(url, None) or locked_feed(self._database, connection, url)
                try:
                    results.append(self._record(connection, row, recording, first_run=first_run))
                except TrimmedTooFarError:
                    results.append(None)
        return results

    def _record(self, connection: Connection, row: Row, recording: Recording, *, first_run: int | None) -> FetchResult:
        """Record a document of a feed whose row is locked; nothing is written before all is decided."""
        fetched, document = recording.fetched, recording.document
        now = self._clock.now()
        changes = self._healthy(row) | {
            "feed": row.id,
            "etag": fetched.validators.etag,
            "last_modified": fetched.validators.last_modified,
        }
        recorded, warning, goes_on = Recorded(), None, False
        if changed := row.body_hash != recording.body_hash:
            decision, known = self._decided(connection, row, recording)
            recorded = write_decision(self._database, connection, row, decision, known, lookups=self._lookups, now=now)
            warning, goes_on = decision.warning, decision.goes_on
            changes |= {
                "title": document.title,
                "home_url": document.home_url,
                "language": document.language,
                "body_hash": recording.body_hash,
                "documents": row.documents + 1,
                "new_per_day": first_pace(document, now=now)
                if row.last_success_at is None
                else pace(row.new_per_day, new=len(recorded.new), since=row.last_success_at, now=now),
                "warning": warning or row.warning,
            }
        offered = offer_to_all(
            self._database,
            connection,
            self._lookups,
            row.id,
            recording.digests,
            new=recorded.new,
            skipped=recorded.skipped,
            document=row.documents + changed,
            first_run=None if goes_on else first_run,
            now=now,
        )
        _change(connection, "feed changed" if changed else "feed unchanged", [changes])
        if row.failures:
            note_success(connection, row.id, now=now)
        return FetchResult(
            feed=recording.feed,
            title=document.title,
            entries=len(document.entries),
            new=len(recorded.new) + recorded.held + len(recorded.skipped),
            offered=len(offered),
            edited=recorded.edited,
            held=recorded.held,
            elsewhere=len(recorded.skipped),
            unchanged=not changed,
            warning=warning,
            seconds=fetched.seconds,
        )

    def _decided(self, connection: Connection, row: Row, recording: Recording) -> tuple[Decision, KnownFeed | None]:
        """What a document means, and what was known of it; None where its news alone had to be looked at.

        Raises:
            TrimmedTooFarError: what its items were known from is not the feed's last document any more.
        """
        entries: dict[int, KnownEntry] = {}
        if recording.since is not None:
            if recording.since != row.documents:
                raise TrimmedTooFarError("another document of this feed has been recorded meanwhile")
            news = recording.news
            if news is not None and self._is_news(connection, row, recording.document, news):
                return news, None
            entries = {entry.id: entry for entry in self._lookups.document(connection, row.id, row.documents)}
        question = recording.question(entries)
        known = known_feed(connection, self._lookups, row, question.keys)
        return question.decide(known), known

    def _is_news(self, connection: Connection, row: Row, document: Document, news: Decision) -> bool:
        """Whether a document means this: nothing is known of what is new in it, and the rest says what it said."""
        # A link to the home page is nobody's, so who had which link may change with it.
        if row.last_success_at is None or row.home_url != document.home_url:
            return False
        keys = {key for sighting in news.sightings for key in sighting.keys}
        return not some_known(connection, self._lookups, row, keys) and not self._lookups.tool(connection, row.id)

    def _locked_feeds(self, connection: Connection, urls: Sequence[str]) -> dict[str, Row]:
        """The rows of feeds, made at first sight, locked in one order until the transaction ends."""
        wanted = sorted(set(urls))
        for url in self._written_otherwise(connection, wanted):
            locked_feed(self._database, connection, url)
        write_rows(
            connection,
            "feeds",
            lambda: self._database.insert(t.feeds).on_conflict_do_nothing(index_elements=["url"]),
            ("url", "documents", "failures"),
            [(url, 0, 0) for url in wanted],
        )
        return {
            row.url: row
            for chunk in in_chunks(wanted)
            for row in connection.execute(
                sa.select(t.feeds).where(t.feeds.c.url.in_(chunk)).order_by(t.feeds.c.id).with_for_update()
            )
        }

    def _written_otherwise(self, connection: Connection, urls: Sequence[str]) -> list[str]:
        """Those of these addresses that are not known, while another spelling is; see `locked_feed`."""
        address = t.feeds.c.url
        known = {
            url
            for chunk in in_chunks(urls)
            for url in connection.execute(sa.select(address).where(address.in_(chunk))).scalars()
        }
        spellings = {spelling: url for url in urls if url not in known for spelling in spellings_of(url)}
        return sorted(
            {
                spellings[found]
                for chunk in in_chunks(spellings)
                for found in connection.execute(sa.select(address).where(address.in_(chunk))).scalars()
            }
        )

    def record_unchanged_all(
        self, polls: Sequence[NotModified], *, digests_of: Mapping[str, Sequence[str]], first_run: int | None
    ) -> list[FetchResult]:
        """Record that feeds have not changed, each as `record_unchanged` does; the results are in the same order.

        Transaction: one write, with the feeds' rows locked; others for feeds that were never polled.
        """
        now = self._clock.now()
        results: dict[int, FetchResult] = {}
        with self._database.write() as connection:
            urls = {poll.feed.url for poll in polls}
            rows = {
                row.url: row
                for chunk in in_chunks(sorted(urls))
                for row in connection.execute(
                    sa.select(t.feeds).where(t.feeds.c.url.in_(chunk)).order_by(t.feeds.c.id).with_for_update()
                )
            }
            joined = {
                (feed_id, digest)
                for chunk in in_chunks(sorted(row.id for row in rows.values()))
                for feed_id, digest in connection.execute(
                    sa.select(t.digest_feeds.c.feed_id, t.digest_feeds.c.digest).where(
                        t.digest_feeds.c.feed_id.in_(chunk)
                    )
                )
            }
            changes = []
            for at, poll in enumerate(polls):
                row = rows.get(poll.feed.url)
                if row is None:
                    continue
                # A digest joins a feed with its first document, not with a mistaken 304.
                digests = digests_of.get(poll.feed.url, ()) if row.documents else ()
                strangers = [digest for digest in digests if (row.id, digest) not in joined]
                offered = offer_to_all(
                    self._database,
                    connection,
                    self._lookups,
                    row.id,
                    strangers,
                    new=(),
                    skipped={},
                    document=row.documents,
                    first_run=first_run,
                    now=now,
                )
                if row.failures:
                    note_success(connection, row.id, now=now)
                validators = poll.validators or Validators(etag=row.etag, last_modified=row.last_modified)
                changes.append(
                    {
                        "feed": row.id,
                        **self._healthy(row),
                        "etag": validators.etag,
                        "last_modified": validators.last_modified,
                    }
                )
                results[at] = FetchResult(
                    feed=poll.feed, title=row.title, offered=len(offered), unchanged=True, seconds=poll.seconds
                )
            _change(connection, "feed unchanged", changes)
        return [
            results.get(at)
            or self.record_unchanged(
                poll.feed, seconds=poll.seconds, digests=digests_of.get(poll.feed.url, ()), first_run=first_run
            )
            for at, poll in enumerate(polls)
        ]


def _change(connection: Connection, name: str, changes: Sequence[Mapping[str, Any]]) -> None:
    """Write columns of feeds, by their ids in `feed`; `name` stands for the columns."""
    for chunk in in_chunks(changes):
        columns = list(chunk[0])
        write_rows(
            connection,
            name,
            lambda columns=columns: (  # type: ignore[misc]
                sa.update(t.feeds)
                .where(t.feeds.c.id == sa.bindparam("feed"))
                .values({column: sa.bindparam(column) for column in columns if column != "feed"})
            ),
            columns,
            [[row[column] for column in columns] for row in chunk],
        )

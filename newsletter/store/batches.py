"""What a poll needs to know beforehand, and the polls that brought nothing new."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import FeedMemory, FetchResult, KnownEntry, NotModified, Validators
from newsletter.store import tables as t
from newsletter.store.bulk import write_rows
from newsletter.store.feeds import Feeds, Recording
from newsletter.store.offers import offer_to_all
from newsletter.store.outages import note_success
from newsletter.store.record import KNOWN, TrimmedTooFarError, locked_feed
from newsletter.store.rows import Row, in_chunks, known_entry_of
from newsletter.urls import spellings_of


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

    def known_items(self, url: str) -> dict[str, KnownEntry]:
        """The entries of the feed's last document whose bytes are known, by the hash of these.

        Transaction: one read.
        """
        wanted = (
            sa.select(*KNOWN, t.entries.c.item_hash)
            .join(t.feeds, t.entries.c.feed_id == t.feeds.c.id)
            .where(t.feeds.c.url == url, t.entries.c.seen_in == t.feeds.c.documents, t.entries.c.item_hash.is_not(None))
        )
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        found = {row.item_hash: known_entry_of(row) for row in rows}
        # Two entries from the same bytes: which is which is for the whole document to tell.
        return found if len(found) == len(rows) else {}

    def record_documents(self, recordings: Sequence[Recording], *, first_run: int | None) -> list[FetchResult | None]:
        """Record documents, each as `record_document` does; the results are in the same order.

        One is None where the document must be read whole (`TrimmedTooFarError`): of it nothing has been written.

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
                    results.append(self._record_document(connection, row, recording, first_run=first_run))
                except TrimmedTooFarError:
                    results.append(None)
        return results

    def _locked_feeds(self, connection: Connection, urls: Sequence[str]) -> dict[str, Row]:
        """The rows of feeds, made at first sight, locked in one order until the transaction ends."""
        wanted = sorted(set(urls))
        for url in self._written_otherwise(connection, wanted):
            locked_feed(self._database, connection, url)
        write_rows(
            connection,
            "feeds",
            lambda: self._database.insert(t.feeds).on_conflict_do_nothing(index_elements=["url"]),
            [{"url": url, "documents": 0, "failures": 0} for url in wanted],
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
            if changes:
                names = [name for name in changes[0] if name != "feed"]
                connection.execute(
                    sa.update(t.feeds)
                    .where(t.feeds.c.id == sa.bindparam("feed"))
                    .values({name: sa.bindparam(name) for name in names}),
                    changes,
                )
        return [
            results.get(at)
            or self.record_unchanged(
                poll.feed, seconds=poll.seconds, digests=digests_of.get(poll.feed.url, ()), first_run=first_run
            )
            for at, poll in enumerate(polls)
        ]

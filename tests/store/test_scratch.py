"""The copy in memory: it decides like the original, and changes nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.errors import StoreError
from newsletter.model import DeliveryState, Failed, Settlement, SuppressionReason
from newsletter.store import Store
from tests.conftest import FakeClock, counting_ids
from tests.store.samples import FEED, OTHER, entry, freeze, in_threads, people, person, record, titles

Opener = Callable[..., Store]


@pytest.fixture
def original(store: Store) -> Store:
    """A store with all it can have: sent, waiting, edited, held, suppressed."""
    record(store, entry("sent"), entry("edited"), digests=["daily", "weekly"])
    freeze(store, *people(3))
    record(store, entry("sent"), entry("edited", title="Edited"), entry("waiting"))
    record(store, entry("f1"), entry("f2"), feed=OTHER, hold=True, warning="flood")
    store.record_failure(Failed(feed=OTHER, reason="410 Gone", hint=None, seconds=0.1))
    store.suppress(person(1).key, person(1).email, SuppressionReason.erased)
    store.secret("links")
    return store


def test_the_copy_knows_what_deciding_needs(original: Store) -> None:
    feeds = [FEED.url, OTHER.url]
    with original.scratch() as scratch:
        for digest in ("daily", "weekly"):
            assert original.waiting(digest, feeds) == scratch.waiting(digest, feeds)
            assert original.edited(digest, feeds) == scratch.edited(digest, feeds)
            assert original.next_number(digest) == scratch.next_number(digest)
        assert original.feed_health() == scratch.feed_health()
        assert original.memories(feeds) == scratch.memories(feeds)
        assert original.issues() == scratch.issues()
        assert original.suppressions() == scratch.suppressions()
        assert original.suppression(person(1).key) == scratch.suppression(person(1).key)
        assert original.secret("links") == scratch.secret("links")
        known = record(scratch, entry("sent"), entry("edited", title="Edited"), entry("waiting"), entry("new"))
        assert (1, 0) == (known.new, known.edited)


def test_the_copy_holds_no_readers_and_no_texts_that_were_sent(original: Store) -> None:
    with original.scratch() as scratch:
        counts = scratch.info().counts
        assert (0, 0) == (counts["deliveries"], counts["renderings"])
        weekly = {one.entry.title for one in scratch.waiting("weekly", [FEED.url])}
        assert {"Title of sent", "Edited"} == weekly, "the weekly digest still needs both"
    freeze(original, digest="weekly")
    with original.scratch() as scratch, scratch._database.read() as connection:
        texts = connection.exec_driver_sql("SELECT content FROM entry_texts ORDER BY entry_id").scalars().all()

    assert ["", "<p>Content of edited</p>", "<p>Content of waiting</p>", "", ""] == texts


def test_what_changes_the_copy_changes_nothing(original: Store, url: str) -> None:
    before = original.info().counts, titles(original), original.issues(), original.counts(1)
    with original.scratch() as scratch:
        record(scratch, entry("new"), entry("waiting", title="another"))
        issue = freeze(scratch, *people(5))
        with scratch.lock(), scratch.outbox_writer() as writer:
            for row in scratch.due(issue.id, limit=9):
                assert writer.intend(row.id).result(10)
                writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result(10)
        scratch.suppress("grace@example.com", "grace@example.com", SuppressionReason.manual)
        scratch.release_held(OTHER.url, ["daily"], discard=False)
        assert {DeliveryState.sent: 4, DeliveryState.suppressed: 1} == scratch.counts(issue.id)
        assert scratch.cancel(issue.id) is False

    assert before == (original.info().counts, titles(original), original.issues(), original.counts(1))


def test_the_copy_is_made_while_another_process_writes(open_store: Opener, sqlite_url: str) -> None:
    """It sees what was committed before, and makes nobody wait."""
    store, sender = open_store(sqlite_url), open_store(sqlite_url)
    record(store, entry("1"))
    with sender._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM offers")
        with store.scratch() as scratch:
            assert ["Title of 1"] == titles(scratch)


def test_the_copy_serves_several_threads(original: Store) -> None:
    with original.scratch() as scratch:
        issue = freeze(scratch, *people(40))

        def send() -> None:
            for row in scratch.due(issue.id, limit=40):
                if writer.intend(row.id).result(10):
                    writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result(10)
                scratch.counts(issue.id)

        with scratch.outbox_writer() as writer:
            assert [None] * 4 == in_threads(*[send] * 4)
        assert {DeliveryState.sent: 39, DeliveryState.suppressed: 1} == scratch.counts(issue.id)


def test_the_store_may_be_asked_while_the_copy_freezes(original: Store) -> None:
    """A stream of deliveries may look at the store it is written to."""
    with original.scratch() as scratch:
        issue = freeze(scratch, deliveries=(one for one in people(3) if scratch.suppression(one.key) is None))
        assert {DeliveryState.queued: 2} == scratch.counts(issue.id)


def test_a_copy_of_a_copy_is_a_copy(original: Store) -> None:
    with original.scratch() as first, first.scratch() as second:
        freeze(first, *people(1))
        assert ["Title of waiting"] == titles(second)
        second.check()
        assert second.info().size > 50_000


def test_a_file_with_any_name_is_copied(open_store: Opener, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "a'b?mode=memory#%41.db"))
    record(store, entry("1"))
    with store.scratch() as scratch:
        assert ["Title of 1"] == titles(scratch)


def test_a_scratch_copy_can_be_written_to_a_file_and_only_that(original: Store, tmp_path: Path) -> None:
    """A rehearsal's child process opens it; the project's own memory is never copied with its people."""
    path = tmp_path / "copy.db"

    with original.scratch() as scratch:
        scratch.save(path)
    with pytest.raises(StoreError, match="only a scratch copy"):
        original.save(tmp_path / "other.db")

    with Store.open(str(path), clock=FakeClock(), ids=counting_ids(), create=False) as copy:
        assert (["daily 1"], []) == ([f"{one.digest} {one.number}" for one in copy.issues()], copy.deliveries())
        copy.check()

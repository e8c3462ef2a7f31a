"""Drafts as both databases keep them: one open at a time, answered once, ended by the freeze alone."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from newsletter.errors import StoreError
from newsletter.model import (
    Consumed,
    Disposition,
    DraftChanges,
    DraftState,
    EntryEdit,
    NewDelivery,
    StoredDraft,
    Tick,
    TickOutcome,
)
from newsletter.store import Store
from tests.conftest import START
from tests.store.samples import FEED, entry, freeze, people, person, record, titles

SLOT = "2026-03-02 07:00"
CHANGES = DraftChanges(
    note="Good *morning*", hidden=frozenset({2}), order=(2, 1), edits={1: EntryEdit(title="Mine", markdown="x")}
)


def keep(store: Store, *, slot: str = SLOT, digest: str = "daily") -> StoredDraft:
    ids = [one.id for one in store.waiting(digest, [FEED.url])]
    due = START + timedelta(hours=2)
    return store.keep_draft(
        digest=digest, slot=slot, due_at=due, answer_by=due, number=1, entries=ids, mentioned=[], note="Hello"
    )


def shown(store: Store) -> list[Consumed]:
    return [Consumed(entry_id=one.id, disposition=Disposition.shown) for one in store.waiting("daily", [FEED.url])]


def test_a_draft_is_kept_as_it_was_and_uses_nothing_up(store: Store) -> None:
    record(store, entry("a", content="<p>then</p>"), entry("b"))

    kept = keep(store)
    record(store, entry("a", content="<p>now</p>"), entry("b"), entry("c"))

    assert kept == store.open_draft("daily")
    assert None is store.open_draft("weekly")
    assert (DraftState.waiting, 1, DraftChanges(note="Hello")) == (kept.state, kept.revision, kept.changes)
    assert ["<p>then</p>", "<p>Content of b</p>"] == [one.stored.entry.content for one in store.drafted(kept)]
    assert 3 == len(titles(store))
    with store.scratch() as copy:
        assert kept == copy.open_draft("daily")
        assert store.drafted(kept) == copy.drafted(kept)


def test_a_digest_has_one_open_draft_and_a_slot_one_for_good(store: Store) -> None:
    record(store, entry("a"), digests=("daily", "weekly"))
    kept = keep(store)

    with pytest.raises(StoreError, match="has a draft already"):
        keep(store, slot="2026-03-03 07:00")
    keep(store, digest="weekly")
    closed = store.close_draft(kept, DraftState.cancelled, "by the editor")
    assert (DraftState.cancelled, "by the editor", None) == (closed.state, closed.reason, store.open_draft("daily"))
    with pytest.raises(StoreError, match="has a draft already"):
        keep(store)
    assert "2026-03-03 07:00" == keep(store, slot="2026-03-03 07:00").slot
    assert [] == store.drafted(closed)


def test_an_answer_holds_for_what_was_looked_at(store: Store) -> None:
    record(store, entry("a"), entry("b"))
    kept = keep(store)

    changed = store.change_draft(kept, CHANGES)

    assert (CHANGES, 2) == (changed.changes, changed.revision)
    with pytest.raises(StoreError, match="changed or answered since"):
        store.approve_draft(kept, "abc")
    with pytest.raises(StoreError, match="changed or answered since"):
        store.change_draft(kept, CHANGES)
    with pytest.raises(StoreError, match="changed or answered since"):
        store.close_draft(kept, DraftState.cancelled, "")
    approved = store.approve_draft(changed, "abc")
    assert (DraftState.approved, "abc", START) == (approved.state, approved.fingerprint, approved.answered_at)
    again = store.reopen_draft(approved, "the templates have changed")
    assert (DraftState.waiting, "", CHANGES) == (again.state, again.fingerprint, again.changes)


def test_the_freeze_ends_a_draft_or_leaves_it_as_it_was(store: Store) -> None:
    record(store, entry("a", content="<p>then</p>"), entry("b"))
    kept = store.approve_draft(keep(store), "abc")
    record(store, entry("a", content="<p>now</p>"), entry("b"))

    def breaking() -> Iterator[NewDelivery]:
        yield person(1)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        freeze(store, *[], deliveries=breaking(), consumed=shown(store), drafted=kept, slot=SLOT)
    assert kept == store.open_draft("daily")
    assert 2 == len(store.drafted(kept))

    issue = freeze(store, *people(2), consumed=shown(store), drafted=kept, slot=SLOT)

    assert (None, DraftState.frozen) == (store.open_draft("daily"), store.drafts()[0].state)
    # The issue carries the text that was approved, and its readers may be told of the newer one.
    assert ["<p>then</p>", "<p>Content of b</p>"] == [one.entry.content for one, _ in store.issue_entries(issue.id)]
    assert ["a"] == [one.entry.guid for one in store.edited("daily", [FEED.url])]
    with pytest.raises(StoreError, match="changed or answered since"):
        freeze(store, *people(2), drafted=kept, slot="another")
    assert store.cancel(issue.id)
    assert 2 == len(titles(store))
    assert [] == store.edited("daily", [FEED.url])


def test_what_no_longer_waits_is_left_out_of_a_draft(store: Store) -> None:
    record(store, entry("a"), entry("b"))
    kept = keep(store)
    freeze(store, *people(1), consumed=shown(store)[:1])

    assert 1 == len(store.drafted(kept))


def test_a_slot_that_is_held_is_not_over_and_one_that_is_cancelled_is(store: Store) -> None:
    def tick(outcome: TickOutcome) -> Tick:
        return Tick(digest="daily", slot=SLOT, due_at=START, outcome=outcome, at=START)

    store.record_ticks([tick(TickOutcome.held)])
    assert frozenset() == store.settled_slots("daily", [SLOT])
    store.record_ticks([tick(TickOutcome.cancelled)])
    store.record_ticks([tick(TickOutcome.held)])

    assert {SLOT} == store.settled_slots("daily", [SLOT])
    assert [TickOutcome.cancelled] == [one.outcome for one in store.ticks()]

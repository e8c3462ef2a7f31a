"""A copy of the memory turned back to an earlier moment, or offering again what was used; never the original."""

from datetime import timedelta

import pytest

from newsletter.errors import StoreError
from newsletter.store import Store
from tests.conftest import FakeClock
from tests.store.samples import FEED, OTHER, entry, freeze, record, titles

DAY = timedelta(days=1)


@pytest.fixture
def days(store: Store, clock: FakeClock) -> Store:
    """Three days: an entry and an issue on each, and on the last day the first entry is edited."""
    for day in (1, 2, 3):
        record(store, *(entry(str(number)) for number in range(1, day + 1)))
        clock.advance(timedelta(hours=1))
        freeze(store)
        clock.advance(DAY - timedelta(hours=1))
    record(store, entry("1", title="Edited"), entry("2"), entry("3"))
    return store


def test_a_copy_turned_back_decides_as_it_did_then(days: Store, clock: FakeClock) -> None:
    """Half an hour after the second day's fetch, half an hour before its issue."""
    moment = clock.now() - 2 * DAY + timedelta(minutes=30)

    with days.scratch(since=moment) as copy:
        copy.rewind(moment)

        assert ["Title of 2"] == titles(copy)
        assert "<p>Content of 2</p>" == copy.waiting("daily", [FEED.url])[0].entry.content
        assert 2 == copy.next_number("daily")
        assert [] == copy.edited("daily", [FEED.url]), "the edit came later"
        assert 2 == freeze(copy).number
    assert [] == titles(days)
    assert 4 == days.next_number("daily")


def test_turned_back_before_all_of_it_nothing_waits(days: Store, clock: FakeClock) -> None:
    with days.scratch(since=clock.now() - 30 * DAY) as copy:
        copy.rewind(clock.now() - 30 * DAY)

        assert ([], 1, []) == (titles(copy), copy.next_number("daily"), copy.issues())


def test_what_was_used_is_offered_again_with_its_text(days: Store) -> None:
    latest = days.latest([FEED.url], 2)
    with days.scratch() as copy:
        copy.offer_again("daily", latest)

        assert {one.entry.title for one in latest} == set(titles(copy))
        assert all(one.entry.content for one in copy.waiting("daily", [FEED.url]))
        assert 4 == freeze(copy).number
    assert [] == titles(days)


def test_the_original_is_never_turned_back(days: Store, clock: FakeClock) -> None:
    before = days.issues()

    with pytest.raises(StoreError, match="scratch"):
        days.rewind(clock.now() - DAY)
    with pytest.raises(StoreError, match="scratch"):
        days.offer_again("daily", days.latest([FEED.url], 1))

    assert before == days.issues()


def test_a_copy_of_a_copy_is_its_own(days: Store) -> None:
    with days.scratch() as copy:
        record(copy, entry("1"), entry("2"), entry("3"), entry("4"))
        with copy.scratch() as other:
            freeze(other)
            assert [] == titles(other)
        assert ["Title of 4"] == titles(copy)


def test_a_copy_can_have_a_clock_of_its_own(days: Store) -> None:
    other = FakeClock()
    other.advance(400 * DAY)
    with days.scratch(clock=other) as copy:
        record(copy, entry("1"), entry("4"))

        assert other.now() == freeze(copy).frozen_at


def test_the_latest_are_known_whatever_became_of_them(days: Store) -> None:
    record(days, entry("held"), feed=OTHER, hold=True, warning="flood")

    found = [one.entry.guid for one in days.latest([FEED.url, OTHER.url], 2)]

    assert 2 == len(found)
    assert "held" not in found


def test_what_is_left_out_says_why(store: Store) -> None:
    record(store, entry("1"), entry("2"), entry("3"), first_run=2)
    record(store, entry("h", url="https://other.example.org/h"), feed=OTHER, hold=True, warning="too many at once")

    found = {one.stored.entry.guid: (one.why, one.held) for one in store.left_out("daily", [FEED.url, OTHER.url], 10)}

    assert {
        "3": ("not among the newest 2 when the digest first read the feed", False),
        "h": ("too many at once", True),
    } == found
    assert [] == store.left_out("weekly", [FEED.url], 10)


def test_an_entry_edited_since_reads_as_it_did_when_it_went_out(days: Store, clock: FakeClock) -> None:
    moment = clock.now() - 3 * DAY + timedelta(minutes=30)

    with days.scratch(since=moment) as copy:
        copy.rewind(moment)

        assert ["Title of 1"] == titles(copy)
    assert ["Edited"] == [one.entry.title for one in days.edited("daily", [FEED.url])]


def test_an_edit_that_a_later_issue_told_of_is_to_be_told_again(days: Store, clock: FakeClock) -> None:
    moment = clock.now() + timedelta(minutes=30)
    clock.advance(timedelta(hours=1))
    freeze(days, consumed=[], mentioned=[days.edited("daily", [FEED.url])[0].id])
    clock.advance(DAY)
    record(days, entry("1", title="Edited again"), entry("2"), entry("3"))

    with days.scratch(since=moment) as copy:
        copy.rewind(moment)

        assert ["Edited"] == [one.entry.title for one in copy.edited("daily", [FEED.url])]

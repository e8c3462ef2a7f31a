"""Figures over time, counted from the rows: the same on both databases."""

from datetime import UTC, date, datetime, timedelta

from newsletter.store import Store
from tests.conftest import FakeClock
from tests.store.samples import FEED, OTHER, entry, freeze, people, record


def test_a_day_is_the_entrys_own_or_when_it_was_first_seen(store: Store, clock: FakeClock) -> None:
    clock.advance(datetime(2026, 3, 10, 23, 59, 59, 999999, tzinfo=UTC) - clock.now())
    midnight = datetime(2026, 3, 9, tzinfo=UTC)
    record(
        store,
        entry("dated", published_at=midnight),
        entry("just before", published_at=midnight - timedelta(microseconds=1)),
        entry("undated"),
        entry("of the future", published_at=midnight + timedelta(days=300)),
        entry("of the past", published_at=datetime(1999, 1, 1, tzinfo=UTC)),
    )
    record(store, entry("x", url=None), feed=OTHER)

    found = store.entries_per_day([FEED.url, "https://never.example.com/"], datetime(2026, 3, 1, tzinfo=UTC))

    assert {FEED.url: {date(2026, 3, 8): 1, date(2026, 3, 9): 1, date(2026, 3, 10): 2}} == found


def test_the_audience_of_each_issue_oldest_first(store: Store, clock: FakeClock) -> None:
    for number in (3, 1, 4):
        record(store, entry(f"e{number}"))
        freeze(store, *people(number))
        clock.advance(timedelta(days=1))

    found = [(one.digest, one.number, one.recipients) for one in store.recipients(2)]

    assert [("daily", 2, 1), ("daily", 3, 4)] == found
    assert [] == Store.in_memory(clock=clock, ids=store._ids).recipients(5)


def test_the_last_note_is_that_of_an_issue_that_went_out(store: Store) -> None:
    assert (0, "") == store.last_note("daily")
    record(store, entry("1"))
    freeze(store, note="Good morning")
    record(store, entry("1"), entry("2"))
    second = freeze(store, note="Good evening")
    assert (2, "Good evening") == store.last_note("daily")

    assert store.cancel(second.id)

    assert (1, "Good morning") == store.last_note("daily")
    assert (0, "") == store.last_note("weekly")
    assert ["Good evening", "Good morning"] == [issue.note for issue in store.issues()]

"""When feeds are asked is remembered apart from what they said, and moves with them."""

from datetime import timedelta

import pytest

from newsletter.errors import StoreError
from newsletter.model import Failed, Feed, FeedStatus, Hints, Poll, Rhythm, Trouble, Wish
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.store.samples import FEED, OTHER, entry, record

HOUR = timedelta(hours=1)
NEW = "https://moved.example/feed"


def everything(url: str) -> Poll:
    return Poll(
        url=url,
        failures=0,
        next_at=START + HOUR,
        interval=3600.5,
        window=7200.25,
        answered_at=START,
        wish=Wish(retry_at=START + 2 * HOUR, fresh_until=START + 3 * HOUR),
        hints=Hints(ttl=60, hours=(1, 2), weekdays=(6,)),
        moved_to=NEW,
        paused="by hand",
        gap=Trouble.lost,
        gap_at=START,
        gap_words="none of it",
        silent="usually 3 a day",
        silent_from=START.toordinal(),
    )


def test_what_is_recorded_of_asking_comes_back(store: Store) -> None:
    record(store, entry("1"))
    record(store, entry("1"), feed=OTHER)
    rhythm = Rhythm(days=((739000, 3), (739001, 1)), pause=14, pause_on=738000)

    assert {FEED.url: Poll(url=FEED.url), "x": Poll(url="x")} == store.polls([FEED.url, "x"])
    store.record_polls([everything(FEED.url), Poll(url=OTHER.url), Poll(url="never seen")], {FEED.url: rhythm})

    assert [everything(FEED.url), Poll(url=OTHER.url)] == list(store.polls([FEED.url, OTHER.url]).values())
    assert {FEED.url: rhythm} == store.rhythms([FEED.url, OTHER.url, "x"])
    # Again: what is empty now is empty, and what was told or learned stays.
    store.record_told({FEED.url: (Trouble.silent, Trouble.moved), "never seen": (Trouble.lost,)})
    store.record_polls([Poll(url=FEED.url)], {})
    assert (Trouble.moved, Trouble.silent) == store.polls([FEED.url])[FEED.url].told
    assert {FEED.url: rhythm} == store.rhythms([FEED.url])
    store.record_polls([], {})
    store.record_told({})


@pytest.mark.parametrize("column", ["rhythm", "hints", "told"])
@pytest.mark.parametrize("damage", ["5", "{}", '{"days":[1]}', '["x"]', '{"days":[["x",1]],"pause":0,"pause_on":0}'])
def test_a_damaged_record_is_named(store: Store, column: str, damage: str) -> None:
    record(store, entry("1"))
    store.record_polls([everything(FEED.url)], {FEED.url: Rhythm(days=((739000, 3),))})
    with store._database.write() as connection:
        connection.exec_driver_sql(f"UPDATE polls SET {column} = '{damage}'")

    if (column, damage) == ("told", "{}"):
        return  # nothing was told
    with pytest.raises(StoreError, match="it is damaged"):
        store.rhythms([FEED.url]) if column == "rhythm" else store.polls([FEED.url])


def test_many_feeds_are_read_at_once(store: Store) -> None:
    urls = [f"https://s{number}.example/feed" for number in range(150)]
    for url in urls[:3]:
        record(store, entry("1"), feed=Feed(url=url))
    store.record_polls([Poll(url=url, interval=float(number)) for number, url in enumerate(urls)], {})

    assert [0.0, 1.0, 2.0, None] == [store.polls(urls)[url].interval for url in urls[:4]]
    assert urls == list(store.polls(urls))


def test_failures_are_counted_where_they_are_recorded(store: Store) -> None:
    results = [store.record_failure(Failed(feed=FEED, reason="no", hint=None, seconds=0.1)) for _ in range(2)]

    assert [1, 2] == [result.failures for result in results]
    assert 2 == store.polls([FEED.url])[FEED.url].failures


def test_a_pause_holds_until_it_is_lifted(store: Store) -> None:
    record(store, entry("1"))
    store.record_polls([everything(FEED.url)], {})

    assert store.pause_feed(FEED.url, None)
    assert not store.pause_feed(FEED.url, None)
    poll = store.polls([FEED.url])[FEED.url]
    assert (None, None, None, 3600.5) == (poll.paused, poll.next_at, poll.wish.retry_at, poll.interval)
    assert store.pause_feed(FEED.url, "by hand")
    assert FeedStatus.paused is store.feed_health([FEED.url])[0].status
    # One that was never fetched can be paused as well.
    assert store.pause_feed(OTHER.url, "by hand")
    assert "by hand" == store.polls([OTHER.url])[OTHER.url].paused


def test_a_move_takes_the_past_along(store: Store) -> None:
    record(store, entry("1"), entry("2"))
    store.record_polls([everything(FEED.url)], {FEED.url: Rhythm(days=((739000, 3),))})
    waiting = [one.id for one in store.waiting("daily", [FEED.url])]

    assert {} == store.adopt_moved([FEED.url, NEW])
    assert {} == store.adopt_moved(["https://elsewhere.example/"])
    # A slash at the end, http for https: it is the same page.
    as_written = NEW.replace("https", "http") + "/"
    assert {as_written: FEED.url} == store.adopt_moved([as_written])
    assert {} == store.adopt_moved([as_written])

    assert waiting
    assert waiting == [one.id for one in store.waiting("daily", [as_written])]
    poll = store.polls([as_written])[as_written]
    assert (None, 3600.5) == (poll.moved_to, poll.interval)
    assert [as_written] == list(store.rhythms([as_written]))


def test_a_feed_that_has_a_past_at_the_new_address_keeps_it(store: Store) -> None:
    record(store, entry("1"))
    record(store, entry("9"), feed=Feed(url=NEW))
    store.record_polls([everything(FEED.url)], {})

    assert {} == store.adopt_moved([NEW])
    assert {FEED.url, NEW} == {health.url for health in store.feed_health()}


@pytest.mark.parametrize("before", [True, False])
def test_what_was_known_at_a_moment(store: Store, clock: FakeClock, *, before: bool) -> None:
    record(store, entry("1"))
    moment = clock.now()
    clock.advance(60.0)
    record(store, entry("2"), entry("1"))
    keys = {"g:1"} if before else {"g:2"}
    known = store.knew(FEED.url, keys, before=moment)

    assert before == known
    assert store.knew(FEED.url, keys, before=None)
    assert not store.knew(OTHER.url, keys, before=None)
    assert not store.knew(FEED.url, [], before=None)


def test_a_feed_that_is_not_asked_gives_a_new_digest_its_first_entries(store: Store) -> None:
    assert (0, "why") == (
        (result := store.record_spared(FEED, "why", ["daily"], first_run=1)).offered,
        result.spared,
    )
    record(store, entry("1"), entry("2"), digests=("daily",))
    success = store.feed_health([FEED.url])[0].last_success_at

    assert [0, 1, 0] == [
        store.record_spared(FEED, "why", digests, first_run=1).offered
        for digests in (["daily"], ["daily", "weekly"], ["daily", "weekly"])
    ]
    assert success == store.feed_health([FEED.url])[0].last_success_at


def test_a_look_at_a_copy_leaves_the_original_alone(store: Store) -> None:
    record(store, entry("1"))
    store.record_polls([everything(FEED.url)], {FEED.url: Rhythm(days=((739000, 3),))})
    with store.scratch() as copy:
        assert store.polls([FEED.url]) == copy.polls([FEED.url])
        assert store.rhythms([FEED.url]) == copy.rhythms([FEED.url])
        copy.record_told({FEED.url: (Trouble.lost,)})
        copy.record_polls([Poll(url=FEED.url)], {})

    assert {FEED.url: everything(FEED.url)} == store.polls([FEED.url])

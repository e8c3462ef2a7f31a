"""`settle`: an entry waits until it has stopped changing, and goes all the same where it never does."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter import pipeline
from newsletter.feeds.settling import PATIENCE, settled, settling_words
from newsletter.model import Entry, Feed, StoredEntry
from tests.conftest import START
from tests.pipeline.life import Item, Life, Press

MINUTE = timedelta(minutes=1)
OLD = Item(title="Old", guid="old")


@pytest.fixture(scope="module")
def press() -> Iterator[Press]:
    press = Press()
    yield press
    press.close()


@pytest.fixture
def life(tmp_path: Path, press: Press) -> Iterator[Life]:
    press.documents.clear()
    life = Life(tmp_path, press, settle=1800)
    life.publish([OLD])
    life.send(hours=1)
    yield life
    life.close()


def test_what_was_there_at_the_first_look_does_not_wait(life: Life) -> None:
    assert {"Old": [1]} == life.issues


def test_a_new_entry_waits_until_it_is_the_same_for_half_an_hour(life: Life) -> None:
    life.publish([Item(title="News", guid="1"), OLD])

    assert [] == life.send(hours=29 / 60)
    assert [] == life.send(hours=1 / 60)
    assert ["News"] == life.send()


def test_a_change_makes_it_wait_anew_and_goes_out_as_it_is_then(life: Life) -> None:
    life.publish([Item(title="News", guid="1"), OLD])
    life.poll(hours=20 / 60)
    life.publish([Item(title="News, corrected", guid="1"), OLD])

    assert [] == life.send(hours=20 / 60)
    assert [] == life.send(hours=10 / 60)
    assert ["News, corrected"] == life.send()


def test_an_entry_that_vanishes_while_it_settles_goes_all_the_same(life: Life) -> None:
    life.publish([Item(title="News", guid="1"), OLD])
    life.poll(hours=10 / 60)
    life.publish([OLD])

    assert [] == life.send(hours=20 / 60)
    assert ["News"] == life.send()


def test_a_feed_that_fails_meanwhile_keeps_nothing_back(life: Life) -> None:
    life.publish([Item(title="News", guid="1"), OLD])
    life.poll(hours=0.5)
    life.fail()

    assert ["News"] == life.send()


def test_an_entry_that_never_stops_changing_goes_after_four_times_as_long(life: Life) -> None:
    """A counter in the text, say."""
    sent = []
    for reads in range(9):
        life.publish([Item(title="News", guid="1", text=f"Read {reads} times."), OLD])
        sent += life.send(hours=0.25)

    assert (["News"], [2]) == (sent, life.issues["News"])


def test_a_feed_that_is_polled_once_a_day_sends_a_day_later(life: Life) -> None:
    life.publish([Item(title="News", guid="1"), OLD])

    assert [[], ["News"]] == [life.send(), life.send()]


def test_only_feeds_with_the_setting_wait(life: Life) -> None:
    life.publish([Item(title="News", guid="1"), OLD])
    life.feed = replace(life.feed, settle=0.0)
    life.publication = replace(life.publication, feeds=(life.feed,))

    assert ["News"] == life.send()


def test_a_look_at_the_next_issue_starts_no_clock(life: Life) -> None:
    """What a preview or a dry run sees first is seen by them alone."""
    life.publish([Item(title="News", guid="1"), OLD])
    with life.parts.store.scratch() as copy:
        parts = replace(life.parts, store=copy)
        asyncio.run(pipeline.fetch(parts, [life.feed]))
        draft = pipeline.build(parts, life.publication)
    assert (0, ["News"]) == (draft.total, [one.stored.entry.title for one in draft.settling])
    assert "1 entry is settling (may still change): the first can go after " in settling_words(draft.settling)

    life.clock.advance(30 * MINUTE)
    assert [] == life.send(hours=0.5)
    assert ["News"] == life.send()


def test_an_edit_of_what_a_new_digest_found_waits(life: Life) -> None:
    life.clock.advance(60.0)
    life.parts = replace(life.parts, digests_of={life.feed.url: ("daily", "weekly")})
    life.poll(hours=0)
    [waits] = life.parts.store.waiting("weekly", [life.feed.url])
    assert waits.changed_at is None
    life.clock.advance(60.0)
    life.publish([replace(OLD, title="Old, corrected")])
    life.poll(hours=0)

    [waits] = life.parts.store.waiting("weekly", [life.feed.url])
    assert life.clock.now() == waits.changed_at


FEEDS = [Feed(url="a", settle=600.0), Feed(url="b")]
WAITING = st.builds(
    StoredEntry,
    id=st.integers(1, 5),
    feed_url=st.sampled_from(["a", "b", "c"]),
    entry=st.just(Entry(guid="", url=None, title="")),
    first_seen_at=st.integers(-60, 60).map(lambda minutes: START + minutes * MINUTE),
    changed_at=st.none() | st.integers(-60, 60).map(lambda minutes: START + minutes * MINUTE),
)


@settings(max_examples=50)
@given(st.lists(WAITING, max_size=6), st.integers(-60, 200))
def test_every_entry_either_goes_or_waits_and_none_waits_longer_than_four_times(
    waiting: list[StoredEntry], minutes: int
) -> None:
    now = START + minutes * MINUTE
    ready, settling = settled(waiting, FEEDS, now=now)

    assert sorted(map(id, waiting)) == sorted([*map(id, ready), *(id(one.stored) for one in settling)])
    for one in settling:
        assert one.stored.feed_url == "a"
        assert now < one.ready_at <= one.stored.first_seen_at + PATIENCE * timedelta(seconds=600)
        assert one.stored.first_seen_at <= now

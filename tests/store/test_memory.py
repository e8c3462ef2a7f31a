"""What the store remembers of entries and feeds, how long, and what it tells of them later."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.model import TOMBSTONE, Consumed, Decision, Disposition, Entry, Failed, Feed, KnownFeed
from newsletter.store import Store
from newsletter.store import tables as t
from newsletter.store.memory import may_be_forgotten
from tests.conftest import FakeClock
from tests.store.samples import (
    FEED,
    OTHER,
    document,
    entry,
    fetched,
    freeze,
    person,
    recognise,
    record,
    record_document,
    titles,
)

DAY = timedelta(days=1)


def forgettable(store: Store, clock: FakeClock) -> list[str]:
    with store._database.read() as connection:
        wanted = sa.select(t.entries.c.guid).where(may_be_forgotten(clock.now())).order_by(t.entries.c.guid)
        return list(connection.execute(wanted).scalars())


def keys_of(one: Entry) -> frozenset[str]:
    return frozenset({f"g:{one.guid}"})


def fail(store: Store, error: str, feed: Feed = FEED) -> None:
    store.record_failure(Failed(feed=feed, reason=error, hint="look", seconds=0.1))


def test_a_tombstone_stands_for_two_years_after_the_entry_was_last_seen(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"), entry("2"), first_run=0)
    clock.advance(300 * DAY)
    record(store, entry("2"), entry("1"), first_run=0)
    clock.advance(DAY)
    record(store, entry("2"))

    assert timedelta(days=2 * 365) <= TOMBSTONE
    clock.advance(TOMBSTONE - 2 * DAY)
    record(store, entry("2"), entry("3"))
    assert [] == forgettable(store, clock)
    clock.advance(2 * DAY)
    assert ["1"] == forgettable(store, clock)


def test_what_waits_is_held_or_stands_in_the_last_document_is_never_forgotten(store: Store, clock: FakeClock) -> None:
    """A feed that fails for three years still has what it had."""
    record(store, entry("sent"), entry("skipped"), entry("last"), first_run=0)
    record(store, entry("waits"), entry("last"))
    record(store, entry("held"), hold=True)
    record(store, entry("last"))
    clock.advance(3 * 365 * DAY)
    fail(store, "no answer")

    assert ["sent", "skipped"] == forgettable(store, clock)


def test_an_entry_that_comes_back_within_two_years_is_known(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"))
    freeze(store, person(1))
    record(store, entry("2"))
    clock.advance(TOMBSTONE - DAY)
    result = record(store, entry("1"), entry("2"))

    assert (0, ["Title of 2"]) == (result.new, titles(store))


def test_an_outage_is_one_row_as_long_as_it_is_the_same(store: Store, clock: FakeClock) -> None:
    start = clock.now()
    for error in ("no answer", "no answer", "status 500"):
        fail(store, error)
        clock.advance(DAY)
    record(store, entry("1"))
    clock.advance(DAY)
    fail(store, "status 500")

    assert [
        ("status 500", 1, start + 4 * DAY, None),
        ("status 500", 1, start + 2 * DAY, start + 3 * DAY),
        ("no answer", 2, start, start + 2 * DAY),
    ] == [(one.error, one.times, one.since, one.ended_at) for one in store.outages(FEED.url)]
    assert [] == store.outages(OTHER.url)


def test_only_the_last_hundred_outages_are_kept(store: Store) -> None:
    for number in range(103):
        fail(store, f"error {number}")

    assert (100, "error 102") == (len(store.outages(FEED.url, 500)), store.outages(FEED.url, 500)[0].error)


def test_what_another_tool_had_sent_is_never_offered(store: Store) -> None:
    assert {FEED.url: 0} == store.remember_sent("r2e", {FEED.url: frozenset({"g:1"})}, keys_of=keys_of)
    found = document(entry("1"), entry("2"))

    def decide(known: KnownFeed) -> Decision:
        first, second = recognise(found)(known).sightings
        assert ({"g:1": "r2e"}, "r2e") == (known.elsewhere, known.moved_from)
        return Decision(sightings=(replace(first, skipped="r2e had sent it"), second), goes_on=True)

    result = record_document(
        store,
        fetched(FEED, found),
        found,
        decide=decide,
        keys=frozenset({"g:1", "g:2"}),
        digests=("daily",),
        first_run=0,
    )

    assert (2, 1, 1, ["Title of 2"]) == (result.new, result.elsewhere, result.offered, titles(store))
    record(store, entry("1"), entry("2"), entry("3"), digests=("daily", "weekly"), first_run=None)
    assert ["Title of 2", "Title of 3"] == titles(store, "weekly")


def test_what_waits_already_is_taken_back_when_another_tool_had_sent_it(store: Store) -> None:
    record(store, entry("1"), entry("2"))
    record(store, entry("9"), feed=OTHER)

    known = store.remember_sent(
        "matcha", {FEED.url: frozenset(), OTHER.url: frozenset()}, anywhere=frozenset({"g:1"}), keys_of=keys_of
    )

    assert {FEED.url: 1, OTHER.url: 0} == known
    assert ["Title of 2", "Title of 9"] == titles(store)
    [story] = store.entry_stories(store.entries_known_by("", ["g:1"]))
    assert ["matcha had sent it before the project came from there"] == [note.words for note in story.notes]


def test_a_link_that_all_entries_share_takes_none_of_them_back(store: Store) -> None:
    page = "https://feed.example.com/all"
    record(store, entry("1", url=page), entry("2", url=page), shared=["l:feed.example.com/all"])

    def links(one: Entry) -> frozenset[str]:
        return frozenset({f"l:{(one.url or '').partition('://')[2]}"})

    assert {FEED.url: 0} == store.remember_sent(
        "matcha", {FEED.url: frozenset()}, anywhere=frozenset({"l:feed.example.com/all"}), keys_of=links
    )
    assert 2 == len(titles(store))


def test_an_address_that_changes_its_scheme_is_the_same_feed(store: Store) -> None:
    record(store, entry("1"))
    freeze(store, person(1))
    new = Feed(url="http://www.feed.example.com/rss/")
    result = record(store, entry("1"), entry("2"), entry("3"), feed=new, first_run=1)

    assert (2, 2) == (result.new, result.offered)
    assert [new.url] == [one.url for one in store.feed_health()]


def test_the_story_of_an_entry_tells_every_digest(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"), entry("2"), digests=("daily", "weekly"), first_run=1)
    freeze(store, person(1))
    [one, two] = store.entry_stories([*store.entries_known_by("", ["g:1"]), *store.entries_known_by("2", [])])

    assert [("daily", 1, Disposition.shown), ("weekly", None, None)] == [
        (fate.digest, fate.number, fate.disposition) for fate in one.fates
    ]
    assert ["not among the newest 1 when the digest first read the feed"] * 2 == [fate.skipped for fate in two.fates]
    assert ("g:1", "l:feed.example.com/1") == one.proves
    assert (True, 1, clock.now()) == (one.is_in_feed, one.versions, one.last_seen_at)


def test_a_cancelled_issue_is_named_by_the_entries_it_gave_back(store: Store) -> None:
    record(store, entry("1"))
    issue = freeze(store)
    store.cancel(issue.id)
    [story] = store.entry_stories(store.entries_known_by("1", []))

    assert (("daily", 1),) == story.released_from
    assert [None] == [fate.number for fate in story.fates]


def test_held_entries_and_those_that_waited_were_absent_from_an_issue(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"), entry("waits"))
    clock.advance(1)
    record(store, entry("1"), entry("waits"), entry("held"), hold=True, warning="too many")
    waiting = {one.entry.guid: one.id for one in store.waiting("daily", [FEED.url])}
    clock.advance(1)
    issue = freeze(store, person(1), consumed=[Consumed(entry_id=waiting["1"], disposition=Disposition.shown)])
    clock.advance(DAY)
    store.release_held(FEED.url, ["daily"], discard=True)
    later = freeze(store, person(1))

    absent = store.absent(issue.id, [FEED.url], 10)
    assert [("waits", False), ("held", True)] == [(one.stored.entry.guid, one.was_held) for one in absent]
    assert [] == store.absent(later.id, [FEED.url], 10)
    [story] = store.entry_stories(store.entries_known_by("held", []))
    assert ["too many", "discarded by hand: never to be sent"] == [note.words for note in story.notes]


@pytest.mark.parametrize("text", ["100% _sure_", "it's", "ünï"])
def test_an_entry_is_found_by_its_guid_whatever_is_in_it(store: Store, text: str) -> None:
    record(store, entry(text), entry("other"))

    assert [text] == [one.stored.entry.guid for one in store.entry_stories(store.entries_known_by(text, []))]

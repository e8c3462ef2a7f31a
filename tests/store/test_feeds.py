"""What the store remembers of feeds, and what of them waits for whom."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from newsletter.errors import StoreError
from newsletter.model import (
    Consumed,
    Decision,
    Disposition,
    Enclosure,
    Entry,
    Failed,
    FeedStatus,
    KnownEntry,
    KnownFeed,
    KnownItems,
    Mark,
    Sighting,
    Validators,
)
from newsletter.store import Store
from newsletter.store.batches import Question, Recording
from tests.conftest import START, FakeClock
from tests.store.samples import (
    FEED,
    OTHER,
    document,
    entry,
    fetched,
    freeze,
    in_threads,
    keys_of,
    recognise,
    record,
    record_document,
    text_hash,
    titles,
)


def days(number: float) -> datetime:
    return START - timedelta(days=number)


# --------------------------------------------------------------- what was said comes back


def test_an_entry_comes_back_as_the_feed_gave_it(store: Store) -> None:
    given = entry(
        "1",
        author="Ada",
        published_at=days(1),
        updated_at=days(0.5),
        base_url="https://feed.example.com/base/",
        language="de",
        image="https://feed.example.com/1.png",
        enclosures=(Enclosure(url="https://feed.example.com/1.mp3", media_type="audio/mpeg", length=2**40),),
        tags=("eins", "zwei"),
        title="Grüße 🗞 \u200f",
    )
    record(store, given)

    [stored] = store.waiting("daily", [FEED.url])
    assert given == stored.entry
    assert (FEED.url, START) == (stored.feed_url, stored.first_seen_at)
    assert START.tzinfo is stored.first_seen_at.tzinfo


def test_text_no_database_can_hold_is_replaced_and_still_recognised(store: Store) -> None:
    """A JSON feed may carry NUL and halves of surrogate pairs in any text."""
    nasty = entry("n\0ul \ud800", title="a\0b", summary="\udfff", content="c\0", tags=("\ud83d",))
    first = record(store, nasty)
    again = record(store, nasty, entry("2"))

    assert (1, 1) == (first.new, again.new)
    assert ["Title of 2", "a\ufffdb"] == sorted(titles(store))


def test_dates_of_any_year_survive(store: Store) -> None:
    dates = [START.replace(year=year, month=12, day=31, hour=23, minute=59) for year in (9999, 1970, 999, 1)]
    record(store, *(entry(str(date.year), published_at=date) for date in dates))

    assert dates == [one.entry.published_at for one in store.waiting("daily", [FEED.url])]


def news_of(known: KnownItems, *new: Entry) -> Recording:
    """A document of what was there and of what is new, with nobody to ask."""
    there = tuple(
        Entry(guid="", url=None, title="", position=place, mark=Mark(text_hash="", item_hash=hash_, known_id=id_))
        for place, (hash_, id_) in enumerate(known.ids.items(), len(new))
    )
    found = replace(document(*new), entries=(*document(*new).entries, *there))
    sightings = tuple(Sighting(entry=one, keys=keys_of(one), text_hash=text_hash(one), known_id=None) for one in new)

    def asked(_: Mapping[int, KnownEntry]) -> Question:
        raise AssertionError("nothing is to be asked")

    return Recording(
        feed=FEED,
        fetched=fetched(FEED, found),
        document=found,
        body_hash=repr(found),
        digests=["daily"],
        question=asked,
        since=known.document,
        news=Decision(
            sightings=sightings,
            seen={one.mark.known_id: one.position for one in there if one.mark and one.mark.known_id},
        ),
    )


def with_bytes(guid: str) -> Entry:
    return entry(guid, mark=Mark(text_hash="", item_hash=guid.rjust(32, "0")))


def test_of_a_document_whose_items_are_known_only_its_news_is_decided_about(store: Store) -> None:
    record(store, with_bytes("1"), with_bytes("2"))
    known = store.known_items(FEED.url)
    [result] = store.record_documents([news_of(known, with_bytes("3"))], first_run=3)
    then = store.known_items(FEED.url)

    assert result is not None
    assert (3, 1, 1) == (result.entries, result.new, result.offered)
    assert ["1", "2", "3"] == [hash_.lstrip("0") for hash_ in sorted(then.ids)]
    assert known.document + 1 == then.document


def test_news_is_asked_about_where_something_of_it_is_known(store: Store) -> None:
    record(store, with_bytes("1"), with_bytes("2"))
    known = store.known_items(FEED.url)

    with pytest.raises(AssertionError, match="nothing is to be asked"):
        store.record_documents([news_of(known, with_bytes("2"))], first_run=3)


def test_news_is_asked_about_where_the_site_has_another_home_page(store: Store) -> None:
    record(store, with_bytes("1"))
    found = news_of(store.known_items(FEED.url), with_bytes("2"))
    moved = replace(found, document=replace(found.document, home_url="https://elsewhere.example.com/"))

    with pytest.raises(AssertionError, match="nothing is to be asked"):
        store.record_documents([moved], first_run=3)


def test_a_document_whose_items_are_known_from_an_older_one_is_read_whole(store: Store) -> None:
    record(store, with_bytes("1"))
    known = store.known_items(FEED.url)
    record(store, with_bytes("1"), with_bytes("2"))
    found = store.record_documents([news_of(known, with_bytes("3"))], first_run=3)

    assert [None] == found
    assert ["Title of 1", "Title of 2"] == sorted(titles(store))


def test_validators_are_those_of_the_last_good_document(store: Store) -> None:
    found = document(entry("1"))
    record_document(
        store,
        fetched(FEED, found, etag='"v1"'),
        found,
        decide=recognise(found),
        keys=frozenset(),
        digests=[],
        first_run=3,
    )
    store.record_failure(Failed(feed=FEED, reason="timed out", hint=None, seconds=1.0))
    store.record_unchanged(FEED, seconds=0.1, digests=[], first_run=3)

    assert Validators(etag='"v1"') == store.memories([FEED.url, OTHER.url])[FEED.url].validators


# -------------------------------------------------------------------- what is known of it


def test_a_document_is_decided_about_with_what_is_known_of_its_keys(store: Store, clock: FakeClock) -> None:
    old = entry("old", published_at=days(3))
    young = entry("young", published_at=days(1))
    undated = entry("undated")
    record(store, undated, old, young)
    asked: list[KnownFeed] = []

    def decide(known: KnownFeed) -> Decision:
        asked.append(known)
        return Decision(sightings=())

    found = document()
    clock.advance(timedelta(days=1))
    wanted = frozenset({*keys_of(old), "g:never seen"})
    record_document(store, fetched(FEED, found), found, decide=decide, keys=wanted, digests=["daily"], first_run=3)

    [known] = asked
    [owner] = set(known.keys.values())
    assert owner is not None
    assert known.fetched_before
    assert START == known.last_success_at
    assert set(keys_of(old)) == known.keys.keys()
    assert {
        owner: KnownEntry(
            id=owner,
            guid=old.guid,
            title=old.title,
            url=old.url,
            text_hash=text_hash(old),
            published_at=old.published_at,
        )
    } == known.entries
    assert ["Title of young", "Title of old", "Title of undated"] == [one.title for one in known.recent]


def test_a_first_document_is_decided_about_with_nothing_known(store: Store) -> None:
    asked: list[KnownFeed] = []

    def decide(known: KnownFeed) -> Decision:
        asked.append(known)
        return Decision(sightings=())

    found = document(entry("1"))
    store.record_failure(Failed(feed=FEED, reason="no answer", hint=None, seconds=20))
    record_document(
        store,
        fetched(FEED, found),
        found,
        decide=decide,
        keys=frozenset(keys_of(found.entries[0])),
        digests=[],
        first_run=3,
    )

    empty = KnownFeed(fetched_before=False, keys={}, entries={}, recent=(), last_success_at=None, new_per_day=None)
    assert [empty] == asked


def test_only_the_last_good_document_counts_as_recent(store: Store) -> None:
    record(store, entry("1"), entry("2"))
    record(store, entry("2"), entry("3"))
    seen: list[list[str]] = []

    def decide(known: KnownFeed) -> Decision:
        seen.append([one.title for one in known.recent])
        return Decision(sightings=())

    found = document()
    record_document(store, fetched(FEED, found), found, decide=decide, keys=frozenset(), digests=[], first_run=3)

    assert [["Title of 2", "Title of 3"]] == seen


def test_a_key_once_shared_proves_nothing_ever_again(store: Store) -> None:
    link = "l:feed.example.com/same"
    same = {"url": "https://feed.example.com/same"}
    record(store, entry("1", **same))
    record(store, entry("1", **same), entry("2", **same), shared=[link])
    record(store, entry("3", **same))
    asked: list[KnownFeed] = []

    def decide(known: KnownFeed) -> Decision:
        asked.append(known)
        return Decision(sightings=())

    found = document()
    record_document(
        store, fetched(FEED, found), found, decide=decide, keys=frozenset({link, "g:1"}), digests=[], first_run=3
    )

    assert asked[0].keys[link] is None
    assert asked[0].keys["g:1"] is not None


def test_an_error_while_deciding_leaves_everything_as_it_was(store: Store) -> None:
    def decide(known: KnownFeed) -> Decision:
        raise StoreError("cannot decide")

    found = document(entry("1"))
    with pytest.raises(StoreError, match="cannot decide"):
        record_document(
            store, fetched(FEED, found), found, decide=decide, keys=frozenset(), digests=["daily"], first_run=3
        )

    assert [] == store.feed_health()
    assert [] == titles(store)


# ------------------------------------------------------------------- what waits for whom


def test_a_new_feed_offers_only_its_newest_entries(store: Store) -> None:
    result = record(
        store,
        entry("a", published_at=days(5)),
        entry("b"),
        entry("c", published_at=days(1)),
        entry("d", published_at=days(2)),
        entry("e"),
        first_run=3,
    )

    assert (5, 5, 3) == (result.entries, result.new, result.offered)
    assert ["Title of a", "Title of c", "Title of d"] == sorted(titles(store))


def test_undated_entries_are_offered_in_the_order_of_the_document(store: Store) -> None:
    record(store, *(entry(str(n)) for n in range(5)), first_run=2)

    assert ["Title of 0", "Title of 1"] == titles(store)


def test_later_every_new_entry_is_offered_once_whatever_its_date(store: Store) -> None:
    record(store, entry("1"), first_run=0)
    late = record(store, entry("1"), *(entry(f"late {n}", published_at=days(400 + n)) for n in range(5)), first_run=0)
    again = record(store, entry("late 0"), entry("1"), first_run=0)

    assert (5, 5) == (late.new, late.offered)
    assert (0, 0) == (again.new, again.offered)
    assert [f"Title of late {n}" for n in range(5)] == titles(store)


def test_a_digest_that_begins_to_read_a_known_feed_gets_its_newest_entries(store: Store) -> None:
    record(store, *(entry(str(n), published_at=days(n)) for n in range(9)), first_run=3)

    not_modified = store.record_unchanged(FEED, seconds=0.1, digests=["daily", "weekly"], first_run=2)

    assert 2 == not_modified.offered
    assert 3 == len(titles(store, "daily"))
    assert ["Title of 0", "Title of 1"] == titles(store, "weekly")


def test_the_same_bytes_again_are_not_decided_about_but_still_reach_a_new_digest(store: Store) -> None:
    def never(known: KnownFeed) -> Decision:
        raise AssertionError("asked again")

    found = document(entry("1"))
    record(store, *found.entries)
    result = record_document(
        store, fetched(FEED, found), found, decide=never, keys=frozenset(), digests=["weekly"], first_run=3
    )

    assert (True, 0, 1) == (result.unchanged, result.new, result.offered)
    assert ["Title of 1"] == titles(store, "weekly")


def test_a_mistaken_304_at_first_does_not_open_the_flood(store: Store) -> None:
    store.record_unchanged(FEED, seconds=0.1, digests=["daily"], first_run=1)
    record(store, *(entry(str(n)) for n in range(9)), first_run=1)

    assert ["Title of 0"] == titles(store)


def test_a_feed_under_a_new_address_does_not_repeat_what_was_sent(store: Store) -> None:
    record(store, entry("1"), entry("2"))
    freeze(store)
    result = record(store, entry("x1", url="https://feed.example.com/1"), entry("3"), feed=OTHER, first_run=3)

    assert (2, 1) == (result.new, result.offered)
    assert ["Title of 3"] == titles(store)


def test_each_digest_waits_for_itself(store: Store) -> None:
    record(store, entry("1"), digests=["daily", "weekly"])
    freeze(store, digest="daily")

    assert [] == titles(store, "daily")
    assert ["Title of 1"] == titles(store, "weekly")


def test_waiting_entries_come_newest_first_and_the_same_on_every_database(store: Store, clock: FakeClock) -> None:
    record(store, entry("undated b", title="b"), entry("undated a", title="a"), entry("Z", title="Z"))
    clock.advance(timedelta(days=1))
    record(store, entry("dated", url=None, published_at=START), feed=OTHER)
    record(store, entry("late", published_at=START + timedelta(days=2)), entry("ä", title="ä"))

    assert ["Title of late", "ä", "Z", "a", "b", "Title of dated"] == titles(store)


def test_only_the_feeds_named_are_waited_for(store: Store) -> None:
    record(store, entry("1"))
    record(store, entry("2", url="https://other.example.org/2"), feed=OTHER)

    assert ["Title of 2"] == titles(store, "daily", OTHER)
    assert [] == store.waiting("daily", [])


# -------------------------------------------------------------------------------- edits


def test_an_edit_before_the_issue_is_simply_the_entry(store: Store) -> None:
    record(store, entry("1"))
    result = record(store, entry("1", title="Better", content="New", published_at=days(1)))

    [waiting] = store.waiting("daily", [FEED.url])
    assert 1 == result.edited
    assert ("Better", "New", days(1)) == (waiting.entry.title, waiting.entry.content, waiting.entry.published_at)
    assert [] == store.edited("daily", [FEED.url])


def test_an_edit_after_the_issue_is_told_once_and_not_sent_again(store: Store) -> None:
    record(store, entry("1"), entry("2"))
    issue = freeze(store)
    record(store, entry("1", title="Corrected"), entry("2"))

    [edited] = store.edited("daily", [FEED.url])
    assert "Corrected" == edited.entry.title
    assert [] == titles(store)

    freeze(store, mentioned=[edited.id])
    assert [] == store.edited("daily", [FEED.url])

    record(store, entry("1", title="Corrected again"), entry("2"))
    assert ["Corrected again"] == [one.entry.title for one in store.edited("daily", [FEED.url])]
    assert ["Title of 1", "Title of 2"] == [stored.entry.title for stored, _ in store.issue_entries(issue.id)]


def test_an_edit_of_what_was_left_out_is_nobodys_news(store: Store) -> None:
    record(store, entry("1"))
    [one] = store.waiting("daily", [FEED.url])
    freeze(store, consumed=[Consumed(entry_id=one.id, disposition=Disposition.excluded)])
    record(store, entry("1", title="Edited"))

    assert [] == store.edited("daily", [FEED.url])


def test_an_edit_counts_even_when_the_clock_was_set_back(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"))
    freeze(store)
    clock.advance(timedelta(days=-1))
    record(store, entry("1", title="Corrected"))

    assert ["Corrected"] == [one.entry.title for one in store.edited("daily", [FEED.url])]


def test_a_waiting_entry_follows_its_site_to_a_new_address_and_a_sent_one_stays(store: Store) -> None:
    record(store, entry("sent"))
    issue = freeze(store)
    record(store, entry("sent"), entry("waits"))
    record(
        store,
        entry("sent", url="https://new.example.com/sent"),
        entry("waits", url="https://new.example.com/waits"),
    )

    [waiting] = store.waiting("daily", [FEED.url])
    [(sent, _)] = store.issue_entries(issue.id)
    assert "https://new.example.com/waits" == waiting.entry.url
    assert "https://feed.example.com/sent" == sent.entry.url


# ----------------------------------------------------------------------- the flood guard


def test_held_entries_are_remembered_and_offered_to_nobody(store: Store) -> None:
    record(store, entry("1"))
    flood = [entry(f"f{n}") for n in range(30)]
    first = record(store, entry("1"), *flood, hold=True, warning="30 of 31 entries are suddenly new")
    later = record(store, entry("1"), *flood, entry("2"), hold=False)

    assert (30, 30, 0, "30 of 31 entries are suddenly new") == (first.new, first.held, first.offered, first.warning)
    assert (1, 0, 1) == (later.new, later.held, later.offered)
    assert ["Title of 1", "Title of 2"] == sorted(titles(store))
    [health] = store.feed_health()
    assert (FeedStatus.held, 30, 32, "30 of 31 entries are suddenly new") == (
        health.status,
        health.held,
        health.entries,
        health.last_error,
    )


@pytest.mark.parametrize("discard", [False, True])
def test_the_publisher_lets_held_entries_go_or_drops_them(store: Store, discard: bool) -> None:
    record(store, entry("1"))
    record(store, entry("1"), entry("f1"), entry("f2"), hold=True, warning="flood")

    assert 2 == store.release_held(FEED.url, ["daily", "weekly"], discard=discard)

    expected = [] if discard else ["Title of f1", "Title of f2"]
    assert ["Title of 1", *expected] == sorted(titles(store))
    assert 0 == store.release_held(FEED.url, ["daily"], discard=False)
    assert FeedStatus.ok == store.feed_health()[0].status
    record(store, entry("1"), entry("f1"), entry("f2"), entry("3"))
    assert ["Title of 1", "Title of 3", *expected] == sorted(titles(store))


def test_releasing_a_feed_nobody_knows_does_nothing(store: Store) -> None:
    assert 0 == store.release_held("https://typo.example.com/", ["daily"], discard=False)
    assert [] == store.feed_health()


# ------------------------------------------------------------------------------- health


def test_health_says_how_each_feed_is_doing(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"))
    clock.advance(60.0)
    store.record_failure(Failed(feed=FEED, reason="404 Not Found", hint="the feed is gone", seconds=0.1))
    result = store.record_failure(Failed(feed=FEED, reason="410 Gone", hint="remove it", seconds=0.1))
    store.record_failure(Failed(feed=OTHER, reason="no answer", hint=None, seconds=20.0))

    urls = [FEED.url, OTHER.url, "https://new.example.com/"]
    failing, never_ok, unknown = store.feed_health(urls, failing_after=2)
    assert FeedStatus.hiccup == store.feed_health([FEED.url])[0].status
    assert ("410 Gone", "remove it") == (result.error, result.hint)
    assert (FeedStatus.failing, 2, "410 Gone", "remove it") == (
        failing.status,
        failing.failures,
        failing.last_error,
        failing.last_hint,
    )
    assert ("A feed", "https://feed.example.com/", "en", 1) == (
        failing.title,
        failing.home_url,
        failing.language,
        failing.entries,
    )
    assert (START, START + timedelta(minutes=1)) == (failing.last_success_at, failing.last_attempt_at)
    assert (FeedStatus.failing, None) == (never_ok.status, never_ok.last_success_at)
    assert (FeedStatus.never, 0, None) == (unknown.status, unknown.entries, unknown.last_attempt_at)

    record(store, entry("1"), entry("2"))
    store.record_unchanged(OTHER, seconds=0.1, digests=[], first_run=3)
    assert [FeedStatus.ok, FeedStatus.ok] == [one.status for one in store.feed_health()]
    assert [None, None] == [one.last_error for one in store.feed_health()]


def test_the_usual_pace_of_a_feed_is_learned(store: Store, clock: FakeClock) -> None:
    paces: list[float | None] = []

    def fetch(*guids: str) -> None:
        found = document(*(entry(guid) for guid in guids))

        def decide(known: KnownFeed) -> Decision:
            paces.append(known.new_per_day)
            return recognise(found)(known)

        record_document(
            store,
            fetched(FEED, found),
            found,
            decide=decide,
            keys=frozenset(key for one in found.entries for key in keys_of(one)),
            digests=[],
            first_run=3,
        )

    fetch("0")
    for day in range(1, 40):
        for _ in range(3):
            clock.advance(timedelta(hours=6))
            store.record_unchanged(FEED, seconds=0.1, digests=[], first_run=3)
        clock.advance(timedelta(hours=6))
        fetch(f"{day}a", f"{day}b")
    fetch("last")

    assert paces[0] is None
    assert paces[-1] is not None
    assert 2.0 == pytest.approx(paces[-1], rel=0.1)


# -------------------------------------------------------------------------- all at once


def test_two_processes_that_fetch_one_feed_at_once_record_each_entry_once(store: Store) -> None:
    entries = [entry(str(n)) for n in range(20)]
    raised = in_threads(*(lambda: record(store, *entries) for _ in range(4)))

    assert [None] * 4 == raised
    assert 20 == len(titles(store))
    assert 20 == store.feed_health()[0].entries


def test_a_document_of_thousands_of_entries_is_recorded(store: Store) -> None:
    entries = [entry(str(n)) for n in range(2500)]
    first = record(store, *entries, first_run=3)
    again = record(store, *entries, entry("one more"))

    assert (2500, 3) == (first.new, first.offered)
    assert (1, 1) == (again.new, again.offered)

"""What is new: known by guid and by link, whichever still holds, and never by the date alone."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from newsletter.feeds.identity import decide, decide_news, document_keys, keys_of, text_hash
from newsletter.model import Entry, KnownFeed, Mark
from tests.feeds.book import START, Book, document, entry

A = entry("a", "https://example.com/a", "Story A", summary="About A", published_at=START)
B = entry("b", "https://example.com/b", "Story B", summary="About B", published_at=START)
C = entry("c", "https://example.com/c", "Story C", summary="About C", published_at=START)
LATER = START + timedelta(days=1)


# --------------------------------------------------------------------------- keys


def test_the_keys_of_an_entry_go_from_guid_to_text() -> None:
    assert ["g:", "l:", "p:", "t:", "h:", "a:"] == [key[:2] for key in keys_of(A, document(A))]
    assert ("g:a", "l:example.com/a", "p:a") == keys_of(A, document(A))[:3]


def test_the_home_page_is_the_address_of_no_story() -> None:
    at_home = entry("a", "http://www.example.com", "A")

    assert ["g:", "t:", "h:", "a:"] == [key[:2] for key in keys_of(at_home, document(at_home))]
    assert ["g:", "l:", "t:", "h:", "a:"] == [key[:2] for key in keys_of(at_home, document(at_home, home=None))]


def test_keys_are_short_whatever_the_feed_writes() -> None:
    long = entry("g" * 5000, "https://example.com/" + "u" * 5000, "t" * 5000, content="c" * 5000)
    other = replace(long, guid="g" * 4999 + "h")

    assert [] == [key for key in keys_of(long, document(long)) if len(key) > 200]
    assert keys_of(long, document())[0] != keys_of(other, document())[0]


def test_no_guid_can_pass_for_the_hash_of_another() -> None:
    long = entry("g" * 500)
    forged = entry(keys_of(long, document())[0].removeprefix("g:"))

    assert keys_of(forged, document())[0] != keys_of(long, document())[0]


def test_keys_to_look_up_are_those_of_all_entries() -> None:
    assert {*keys_of(A, document()), *keys_of(B, document())} == document_keys(document(A, B))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<p>It  rains</p>", "<div>\n It <b>rains</b> </div>"),
        ("Fran&ccedil;ois", "François"),
        ("a<br>b", "a<br/>b"),
        ('<img src="a.jpg?t=1">x', '<img src="a.jpg?t=2" class="wide">x'),
        ("zero\u200bwidth", "zerowidth"),
        ("", "<p></p>"),
    ],
)
def test_mark_up_and_white_space_are_no_edit(one: str, other: str) -> None:
    assert text_hash(entry(content=one)) == text_hash(entry(summary=other))


@pytest.mark.parametrize(
    "changed", [replace(A, title="Story A!"), replace(A, summary="About B"), replace(A, content="More about A")]
)
def test_words_are_an_edit(changed: Entry) -> None:
    assert text_hash(A) != text_hash(changed)


def test_a_hash_survives_numbers_that_name_no_character() -> None:
    assert 64 == len(text_hash(entry(content="&#" + "9" * 10_000 + ";", title="&#x" + "f" * 10_000)))


# ---------------------------------------------------------------------- one by one


def test_on_the_first_day_everything_is_new_and_nothing_held() -> None:
    decision = Book().fetch(*(entry(str(n), f"https://example.com/{n}", f"Story {n}") for n in range(300)))

    assert 300 == len([one for one in decision.sightings if one.known_id is None and not one.held])
    assert None is decision.warning


def test_what_was_seen_is_not_new_again() -> None:
    book = Book()

    assert ["Story A", "Story B"] == book.new(A, B)
    assert [] == book.new(A, B)
    assert ["Story C"] == book.new(C, A, B)
    assert [] == book.new(B)
    assert [] == book.new(A, C)


@pytest.mark.parametrize("date", [START - timedelta(days=400), START + timedelta(days=9), None])
def test_a_date_never_decides(date: datetime | None) -> None:
    book = Book()
    book.fetch(A)

    assert ["Story B"] == book.new(A, replace(B, published_at=date))
    assert [] == book.new(replace(A, published_at=date), B)


def test_an_edit_is_marked_and_not_new() -> None:
    book = Book()
    book.fetch(A, B)
    decision = book.fetch(replace(A, summary="Corrected"), replace(B, published_at=LATER))

    assert [(1, True), (2, False)] == [(one.known_id, one.edited) for one in decision.sightings]


def test_a_changed_guid_is_known_by_the_link() -> None:
    book = Book()
    book.fetch(A)

    assert [] == book.new(replace(A, guid="a2"))
    assert [] == book.new(replace(A, guid="a3", title="New title", summary="New text"))
    assert [] == book.new(replace(A, url="https://example.com/elsewhere", guid="a2"))


def test_a_changed_link_is_known_by_the_guid() -> None:
    book = Book()
    book.fetch(A)

    assert [] == book.new(replace(A, url="https://example.com/2026/a"))
    assert [] == book.new(replace(A, url="https://example.com/2026/a", guid="other"))


@pytest.mark.parametrize(
    "url",
    ["http://example.com/a", "https://www.example.com/a/", "https://EXAMPLE.com:443/a?utm_source=rss&utm_medium=feed"],
)
def test_a_link_written_in_another_way_is_the_same(url: str) -> None:
    book = Book()
    book.fetch(replace(A, guid=""))

    assert [] == book.new(replace(A, guid="", url=url))


def test_another_story_at_a_reused_address_is_new() -> None:
    book = Book()
    today = entry("monday", "https://example.com/today", "Rain", summary="It rains", published_at=START)
    book.fetch(today, B)
    tuesday = replace(today, guid="tuesday", title="Sun", summary="It shines", published_at=LATER)

    assert ["Sun"] == book.new(tuesday, B)
    assert [] == book.new(tuesday, B)
    wednesday = replace(today, guid="wednesday", title="Fog", summary="White", published_at=LATER + timedelta(days=1))
    assert ["Fog"] == book.new(wednesday, B)
    assert [] == book.new(today, B)


def test_untitled_notes_at_a_reused_address_are_told_apart() -> None:
    """What both lack is nothing they have in common."""
    book = Book()
    note = entry("1", "https://example.com/now", summary="One", published_at=START)
    book.fetch(note, B)

    assert [""] == book.new(replace(note, guid="2", summary="Two", published_at=LATER), B)


@pytest.mark.parametrize(
    "kept",
    [{"title": "Rain"}, {"summary": "It rains"}, {"published_at": START}, {"guid": "monday"}, {"published_at": None}],
)
def test_one_thing_kept_at_an_address_makes_it_the_same_story(kept: dict[str, object]) -> None:
    book = Book()
    today = entry("monday", "https://example.com/today", "Rain", summary="It rains", published_at=START)
    book.fetch(today, B)
    changed = replace(today, guid="tuesday", title="Sun", summary="It shines", published_at=LATER)

    assert [] == book.new(replace(changed, **kept), B)  # type: ignore[arg-type]


# --------------------------------------------------------------------- shared keys


def test_entries_that_share_one_link_are_told_apart_by_guid() -> None:
    one, two, three = (replace(x, url="https://example.com/feed-page") for x in (A, B, C))
    book = Book()

    assert ["Story A", "Story B"] == book.new(one, two)
    assert ["Story C"] == book.new(three, one, two)
    assert [] == book.new(three)
    assert [] == book.new(one, two, three)


def test_entries_that_share_guid_and_link_are_told_apart_by_title() -> None:
    one, two, three = (replace(x, guid="same", url="https://example.com/page") for x in (A, B, C))
    book = Book()

    assert ["Story A", "Story B"] == book.new(one, two)
    assert ["Story C"] == book.new(three, two, one)
    assert [] == book.new(replace(one, summary="Edited"), two, three)
    assert [] == book.new(replace(one, summary="Edited again"))


def test_a_key_that_was_shared_once_proves_nothing_later() -> None:
    book = Book()
    first = book.fetch(replace(A, guid="same"), replace(B, guid="same"))

    assert ("g:same",) == first.shared_keys
    assert ["Story C"] == book.new(replace(C, guid="same"))
    assert [] == book.new(replace(A, guid="same"))


def test_a_feed_that_starts_to_share_its_guids_repeats_nothing() -> None:
    book = Book()
    book.fetch(A)

    assert ["Story B"] == book.new(replace(A, guid="same"), replace(B, guid="same"))
    assert [] == book.new(replace(A, guid="same"), replace(B, guid="same"))


def test_entries_without_guid_and_link_are_known_by_their_words() -> None:
    bare = [entry("", None, f"Note {n}", summary=f"Text {n}") for n in range(3)]
    book = Book()

    assert ["Note 0", "Note 1"] == book.new(*bare[:2])
    assert ["Note 2"] == book.new(*bare)


def test_entries_with_one_title_and_no_address_are_known_by_their_text() -> None:
    home = "https://example.com/"
    notes = [entry("", home, "Status", summary=f"Text {n}") for n in range(3)]
    book = Book()

    assert ["Status", "Status"] == book.new(*notes[:2])
    assert ["Status"] == book.new(*notes)
    assert [] == book.new(*reversed(notes))


def test_an_exact_duplicate_counts_once() -> None:
    decision = Book().fetch(A, A, replace(A, published_at=LATER), B)

    assert ["Story A", "Story B"] == [one.entry.title for one in decision.sightings]
    assert () == decision.shared_keys


def test_two_entries_are_never_the_same_known_one() -> None:
    """The guid is better evidence than the link: who loses is new."""
    book = Book()
    book.fetch(A)
    thief = replace(B, url=A.url)
    decision = book.fetch(thief, replace(A, url="https://example.com/moved"))

    assert [None, 1] == [one.known_id for one in decision.sightings]
    assert "l:example.com/a" in decision.shared_keys
    assert [] == book.new(thief, replace(A, url="https://example.com/moved"))


def test_the_same_words_under_a_new_guid_and_link_are_a_new_story() -> None:
    """ "Open thread", every week."""
    book = Book()
    thread = entry("1", "https://example.com/1", "Open thread", summary="Talk here", published_at=START)
    book.fetch(thread, B)
    next_week = replace(thread, guid="2", url="https://example.com/2", published_at=LATER)

    assert ["Open thread"] == book.new(next_week, thread, B)
    assert ["Open thread"] == book.new(replace(next_week, guid="3", url="https://example.com/3", published_at=None))


def test_an_old_version_beside_the_new_one_is_no_story_of_its_own() -> None:
    book = Book()
    old = entry("same", None, "Draft", summary="x")
    book.fetch(old, B)
    book.fetch(replace(old, title="Final"), B)

    assert [] == book.new(old, replace(old, title="Final"), B)
    assert [] == book.new(old, B)


def test_entries_that_share_every_part_are_told_apart_by_the_whole() -> None:
    """Each has its guid, its link and title, and its words in common with another of them."""
    page = "https://example.com/page"
    one = entry("same", page, "Note", summary="x")
    others = [entry("same", page, "Note", summary="y"), entry("other", page, "Note", summary="x")]
    book = Book()

    assert ["Note"] * 3 == book.new(one, *others)
    assert [1, 2, 3] == [sighting.known_id for sighting in book.fetch(one, *others).sightings]
    assert [] == book.new(one)


# --------------------------------------------------------------------------- moves


def moved(story: Entry, host: str = "new.example.org", **changes: object) -> Entry:
    url = (story.url or "").replace("example.com", host)
    return replace(story, guid=url, url=url, **changes)  # type: ignore[arg-type]


def test_a_site_that_moves_repeats_nothing() -> None:
    book = Book()
    book.fetch(A, B)

    assert [] == book.new(moved(A), moved(B), home="https://new.example.org/")
    assert ["Story C"] == book.new(moved(A), moved(B), moved(C), home="https://new.example.org/")


def test_a_site_that_moves_may_be_edited_at_once() -> None:
    book = Book()
    book.fetch(A, replace(B, published_at=None))
    edited_a = moved(A, title="Other words", summary="entirely")
    edited_b = moved(B, title="Other words, too", summary="altogether", published_at=None)

    assert ["Story C"] == book.new(edited_a, edited_b, moved(C))


def test_an_entry_that_was_away_during_the_move_is_known_when_it_returns() -> None:
    book = Book()
    book.fetch(A, B)
    book.fetch(B)
    book.fetch(moved(B))

    assert [] == book.new(moved(A), moved(B))


def test_the_same_path_on_another_host_is_another_story_in_a_planet() -> None:
    """A feed that gathers many sites: their first posts all have the same path."""
    book = Book()
    hello = entry("x1", "https://ada.example/hello", "Hello from Ada", summary="I am Ada", published_at=START)
    book.fetch(hello, B)
    other = entry("x2", "https://bo.example/hello", "Hello from Bo", summary="I am Bo", published_at=LATER)

    assert ["Hello from Bo"] == book.new(other, B)


@pytest.mark.parametrize("changes", [{"published_at": None}, {"title": "Hello from Ada"}, {"summary": "I am Ada"}])
def test_one_thing_in_common_is_not_enough_in_a_planet(changes: dict[str, object]) -> None:
    book = Book()
    hello = entry("x1", "https://ada.example/hello", "Hello from Ada", summary="I am Ada", published_at=START)
    book.fetch(hello, B)
    other = entry("x2", "https://bo.example/hello", "Hello from Bo", summary="I am Bo", published_at=LATER)

    assert 1 == len(book.new(replace(other, **changes), B))  # type: ignore[arg-type]


def test_a_page_rebuilt_under_another_address_is_known_by_its_words_and_date() -> None:
    book = Book()
    book.fetch(A, B)

    assert [] == book.new(replace(A, guid="new", url="https://example.com/2026/03/story-a"), B)


# --------------------------------------------------------------------- flood guard


def stories(
    first: int, count: int, *, day: int | None = 0, host: str = "example.com", path: str = "story"
) -> list[Entry]:
    """So many stories, numbered on from `first`, all dated to the same day (None: undated)."""
    return [
        entry(
            f"{host}:{path}:{n}",
            f"https://{host}/{path}/{n}",
            f"The story with number {n}",
            summary=f"What happened in {n}",
            published_at=None if day is None else START + timedelta(days=day, minutes=n),
        )
        for n in range(first, first + count)
    ]


def held(decision_sightings: object) -> int:
    return sum(one.held for one in decision_sightings)  # type: ignore[attr-defined]


def test_a_site_rebuilt_with_new_addresses_and_dates_kept_is_known_by_its_titles() -> None:
    book = Book()
    old = stories(0, 30)
    book.fetch(*old)
    rebuilt = [
        replace(one, guid=f"new:{n}", url=f"https://new.example.org/{n}", summary="Shorter")
        for n, one in enumerate(old)
    ]
    decision = book.fetch(*rebuilt)

    assert list(range(1, 31)) == [one.known_id for one in decision.sightings]
    assert None is decision.warning
    assert [] == book.new(*rebuilt)


def test_old_entries_that_nobody_knows_are_held_with_a_warning() -> None:
    book = Book()
    book.fetch(*stories(0, 10))
    decision = book.fetch(*stories(500, 10, day=-30))

    assert 10 == held(decision.sightings)
    assert "10 of 10 entries look new all at once" in (decision.warning or "")
    assert "`newsletter feed release URL`" in (decision.warning or "")
    assert "`newsletter feed release URL --discard`" in (decision.warning or "")


def test_what_was_held_is_known_the_next_time() -> None:
    book = Book()
    book.fetch(*stories(0, 10))
    book.fetch(*stories(500, 10, day=-30))
    decision = book.fetch(*stories(600, 1, day=3), *stories(500, 10, day=-30))

    assert ["The story with number 600"] == [one.entry.title for one in decision.sightings if one.known_id is None]
    assert (0, None) == (held(decision.sightings), decision.warning)


def test_undated_entries_in_place_of_dated_ones_are_held() -> None:
    book = Book()
    book.fetch(*stories(0, 10))

    assert 10 == held(book.fetch(*stories(500, 10, day=None)).sightings)


@pytest.mark.parametrize("count", [5, 12, 30, 90])
@pytest.mark.parametrize("pace", [None, 1.0])
def test_a_feed_that_renews_itself_every_day_is_never_held(count: int, pace: float | None) -> None:
    """All of the document is new and freshly dated, day after day."""
    book = Book(new_per_day=None if pace is None else count * pace)
    for day in range(5):
        decision = book.fetch(*stories(day * count, count, day=day))

        assert count == len([one for one in decision.sightings if one.known_id is None])
        assert (0, None) == (held(decision.sightings), decision.warning)


def test_four_fifths_new_and_fresh_are_not_held() -> None:
    book = Book()
    book.fetch(*stories(0, 20))
    decision = book.fetch(*stories(18, 20, day=1), *stories(0, 2))

    assert 0 == held(decision.sightings)


def test_many_more_than_the_feed_ever_had_are_held_even_if_fresh() -> None:
    book = Book(new_per_day=2.0)
    book.fetch(*stories(0, 5))
    decision = book.fetch(*stories(100, 60, day=1))

    assert 60 == held(decision.sightings)


def test_a_feed_that_could_not_be_read_for_long_may_bring_more() -> None:
    book = Book(new_per_day=2.0)
    book.fetch(*stories(0, 5))
    decision = book.fetch(*stories(100, 60, day=29), hours=24 * 30)

    assert 0 == held(decision.sightings)


def test_a_few_old_entries_in_a_known_feed_go_out() -> None:
    """Back-dated and late ones are sent once, like all others."""
    book = Book()
    book.fetch(*stories(0, 20))

    assert 4 == len(book.new(*stories(500, 4, day=-300), *stories(0, 16)))
    assert 4 == len(book.new(*stories(600, 4, day=-300)))


def test_a_column_that_returns_under_its_title_is_not_taken_for_the_old_one() -> None:
    """Even in a suspicious document, a title that comes back with a newer date is a new story."""
    book = Book()
    column = entry("w1", "https://example.com/w1", "What we read this week", summary="One", published_at=START)
    book.fetch(column, *stories(0, 10, day=-1))
    again = replace(
        column, guid="w2", url="https://example.com/w2", summary="Two", published_at=START + timedelta(days=7)
    )
    decision = book.fetch(again, *stories(500, 10, day=-30))

    assert None is decision.sightings[0].known_id
    assert decision.sightings[0].held


def test_a_decision_follows_from_its_arguments_alone() -> None:
    book = Book()
    book.fetch(A, B)
    read = document(replace(A, guid="new"), C)

    assert decide(read, book.known(read), now=LATER) == decide(read, book.known(read), now=LATER)


def test_an_unknown_feed_answers_for_nothing() -> None:
    nothing = KnownFeed(fetched_before=True, keys={}, entries={}, recent=(), last_success_at=None, new_per_day=None)

    assert () == decide(document(), nothing, now=START).sightings
    assert [None] == [one.known_id for one in decide(document(A), nothing, now=START).sightings]


# --------------------------------------------------------------- news beside what is known


def read_before(position: int, known_id: int) -> Entry:
    return Entry(
        guid="", url=None, title="", position=position, mark=Mark(text_hash="", item_hash="f", known_id=known_id)
    )


def read_anew(entry: Entry, position: int) -> Entry:
    keys = keys_of(entry, document(entry))
    return replace(entry, position=position, mark=Mark(text_hash=text_hash(entry), keys=keys, item_hash="e"))


def test_what_is_new_beside_known_items_is_decided_about_by_itself() -> None:
    found = document(read_anew(A, 0), read_before(1, 7), read_before(2, 8))
    news = decide_news(found)

    assert news is not None
    assert [(A.guid, None)] == [(one.entry.guid, one.known_id) for one in news.sightings]
    assert {7: 1, 8: 2} == news.seen


def test_new_entries_that_share_a_key_need_a_closer_look() -> None:
    other = replace(B, guid=A.guid)

    assert decide_news(document(read_anew(A, 0), read_anew(other, 1), read_before(2, 7))) is None


def test_so_many_new_entries_that_they_may_be_a_flood_need_a_closer_look() -> None:
    many = [replace(A, guid=f"g{n}", url=f"https://site.example.com/{n}", title=f"Story {n}") for n in range(5)]
    few, all_of_them = (
        document(*(read_anew(one, at) for at, one in enumerate(some)), read_before(9, 7)) for some in (many[:4], many)
    )

    assert decide_news(few) is not None
    assert decide_news(all_of_them) is None

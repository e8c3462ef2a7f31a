"""Lives of feeds: whatever a feed does, each of its stories is new exactly once."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.feeds.identity import text_hash
from newsletter.model import Entry
from tests.feeds.book import START, Book, entry

STYLES = [
    "guids and links",
    "guids only",
    "links only",
    "new guids every time",
    "one link for all",
    "one guid for all",
    "neither",
]
#: Styles whose entries cannot be told apart one by one: they are always seen together.
CROWDS = {"one link for all", "one guid for all"}


@dataclass
class Site:
    """A feed as its publisher runs it: stories, and how they are written down today."""

    style: str
    host: str = "example.com"
    round: int = 0
    guids: int = 0
    dates: list[datetime | None] = field(default_factory=list)
    edits: Counter[int] = field(default_factory=Counter)
    away: set[int] = field(default_factory=set)

    def write(self) -> list[tuple[int, Entry]]:
        return [(n, self.story(n)) for n in reversed(range(len(self.dates))) if n not in self.away]

    def story(self, number: int) -> Entry:
        edits = self.edits[number]
        date = self.dates[number]
        guid: str = f"tag:{number}:{self.guids}"
        url: str | None = f"https://{self.host}/story/{number}"
        match self.style:
            case "guids only":
                guid, url = f"tag:{number}", None
            case "links only":
                guid = ""
            case "new guids every time":
                guid = f"tag:{number}:{self.round}"
            case "one link for all":
                guid, url = f"tag:{number}", f"https://{self.host}/all"
            case "one guid for all":
                guid = "urn:the-feed"
            case "neither":
                guid, url, edits = "", None, 0
        # An edit changes the text and either the title or the date: all at once would be another story.
        return entry(
            guid,
            url,
            f"Story number {number}" + (f", edition {edits}" if edits and number % 2 else ""),
            summary=f"What happened in {number}" + f", corrected {edits} times" * bool(edits),
            published_at=date + timedelta(hours=edits) if date and edits and not number % 2 else date,
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "edit", "change", "fetch", "fetch", "vanish", "return"]),
        st.integers(0, 40),
        st.sampled_from([0, 0, 0, 3, 400, -9, None]),
    ),
    max_size=30,
)


@settings(max_examples=200)
@given(st.sampled_from(STYLES), st.integers(2, 8), STEPS, st.booleans())
def test_every_story_is_new_exactly_once(
    style: str, first: int, steps: list[tuple[str, int, int | None]], moves: bool
) -> None:
    """`change` gives all stories new guids and, in half of the lives, a new host; in the others stories come and go."""
    site, book, news = Site(style, dates=[START] * first), Book(), Counter[int]()
    seen: set[int] = set()

    def fetch(hours: int) -> None:
        site.round += 1
        written = site.write()
        decision = book.fetch(*(one for _, one in written), hours=hours)
        numbers = {id(one): number for number, one in written}
        for sighting in decision.sightings:
            news[numbers[id(sighting.entry)]] += sighting.known_id is None
        seen.update(number for number, _ in written)

    fetch(1)
    for what, pick, age in steps:
        number = pick % len(site.dates)
        if what == "publish":
            site.dates.append(None if age is None else book.now - timedelta(days=age))
        elif what == "edit" and number not in site.away:
            site.edits[number] += 1
        elif what == "change" and style != "one guid for all":
            site.guids += 1
            site.host = f"moved{site.guids}.example.org" if moves else site.host
        elif what == "vanish" and not moves and style not in CROWDS:
            site.away.add(number)
        elif what == "return":
            site.away.discard(number)
        elif what == "fetch":
            fetch(1 + 24 * (pick % 3))
    site.away.clear()
    fetch(24)
    fetch(24)

    assert Counter(dict.fromkeys(seen, 1)) == news


SMALL = st.builds(
    Entry,
    guid=st.sampled_from(["", "1", "2", "3"]),
    url=st.sampled_from(
        [None, "https://example.com/", "https://example.com/a", "https://example.org/a", "https://example.com/b?c=1"]
    ),
    title=st.sampled_from(["", "News", "A title of some length", "Another title, also long"]),
    summary=st.sampled_from(["", "x", "y"]),
    published_at=st.sampled_from([None, START, START + timedelta(days=1), START - timedelta(days=99)]),
)


@settings(max_examples=200)
@given(st.lists(st.lists(SMALL, max_size=7), min_size=1, max_size=6), st.data())
def test_what_was_seen_is_never_new_again_while_it_stays_as_it_is(
    documents: list[list[Entry]], data: st.DataObject
) -> None:
    """Out of so few guids, links and words that everything collides with everything."""
    book = Book()
    for entries in documents:
        before = dict(book.keys)
        decision = book.fetch(*entries)

        ids = [one.known_id for one in decision.sightings if one.known_id is not None]
        assert sorted(set(ids)) == sorted(ids)
        distinct = {(one.guid, one.url, one.title, text_hash(one)) for one in entries}
        assert len(decision.sightings) <= len(distinct)
        keys = [key for one in decision.sightings for key in one.keys]
        assert sorted(set(keys)) == sorted(keys)
        assert not set(keys) & {*decision.shared_keys, *(key for key, owner in before.items() if owner is None)}
        assert all(one.keys and len(one.text_hash) == 64 for one in decision.sightings)
        assert (decision.warning is not None) == any(one.held for one in decision.sightings)

        some = data.draw(st.permutations(entries)) if entries else []
        again = book.fetch(*some[: data.draw(st.integers(0, len(some)))], hours=1)
        assert [] == [one.entry for one in again.sightings if one.known_id is None]


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(0, 100), st.booleans())
def test_a_moved_site_floods_nobody(count: int, fresh: int, guids: bool) -> None:
    """All pages move to another host, with their guids; what is new that day is new."""
    book = Book(new_per_day=fresh / 2)
    old = [
        entry(f"g{n}", f"https://example.com/{n}", f"Story {n}", summary=f"{n}", published_at=START)
        for n in range(count)
    ]
    book.fetch(*old)
    moved = [
        replace(
            one, guid=f"new{one.guid}" if guids else one.guid, url=(one.url or "").replace("example.com", "example.org")
        )
        for one in old
    ]
    news = [
        entry(f"n{n}", f"https://example.org/n{n}", f"News {n}", published_at=START + timedelta(days=1))
        for n in range(fresh // 10)
    ]
    decision = book.fetch(*news, *moved)

    assert len(news) == len([one for one in decision.sightings if one.known_id is None])
    assert not [one for one in decision.sightings if one.held]


@pytest.mark.soak
@settings(max_examples=5_000)
@given(st.sampled_from(STYLES), st.integers(2, 8), STEPS, st.booleans())
def test_every_story_is_new_exactly_once_in_many_lives(
    style: str, first: int, steps: list[tuple[str, int, int | None]], moves: bool
) -> None:
    test_every_story_is_new_exactly_once.hypothesis.inner_test(style, first, steps, moves)  # type: ignore[attr-defined]

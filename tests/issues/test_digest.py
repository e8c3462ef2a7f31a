"""What becomes of each waiting entry."""

import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.issues.digest import DigestRules
from newsletter.model import Disposition, Draft, Enclosure, Feed, Link, StoredEntry
from tests.issues.samples import FEEDS, GARDEN, GAZETTE, HEBREW, NOW, RULES, draft_of, entry, health, rules_of


def titles(draft: Draft) -> list[list[str]]:
    return [[e.title for e in section.entries] for section in draft.sections]


def fates(draft: Draft) -> dict[int, str]:
    return {c.entry_id: c.disposition.value for c in draft.consumed}


def test_sections_follow_the_project_file_and_entries_their_dates() -> None:
    draft = draft_of([entry(3, GARDEN), entry(1, HEBREW), entry(2, GARDEN), entry(4, GAZETTE)])

    assert [["Title number 4"], ["Title number 2", "Title number 3"], ["Title number 1"]] == titles(draft)
    assert ["The Gazette", "Slow Garden", "hebrew.example"] == [section.title for section in draft.sections]


def test_oldest_first_turns_the_order_round_and_keeps_the_newest() -> None:
    rules = replace(RULES, sort="oldest", per_feed=2)

    draft = draft_of([entry(1), entry(2), entry(3)], rules=rules)

    assert [["Title number 2", "Title number 1"]] == titles(draft)
    assert ["Title number 3"] == [e.title for e in draft.sections[0].more]


def test_an_entry_from_the_future_or_without_a_date_counts_from_when_it_was_seen() -> None:
    future = entry(1, published_at=NOW + timedelta(days=400), seen=NOW - timedelta(hours=5))
    undated = entry(2, published_at=None, seen=NOW - timedelta(hours=3))

    draft = draft_of([future, undated, entry(4)])

    assert [["Title number 2", "Title number 4", "Title number 1"]] == titles(draft)
    assert [None, NOW - timedelta(hours=4), NOW - timedelta(hours=5)] == [e.published_at for e in draft.entries]


def test_filters_leave_out_and_say_which_rule_did() -> None:
    feed = replace(FEEDS[0], include=rules_of("ferry", "tide"), exclude=rules_of(ads="sponsored"))
    waiting = [
        entry(1, title="Night FERRY"),
        entry(2, title="x", content="<p>the <b>tide</b></p>"),
        entry(3, title="ferry (Sponsored)"),
        entry(4, title="weather"),
    ]

    draft = draft_of(waiting, feeds=[feed])

    assert {1: "shown", 2: "shown", 3: "excluded", 4: "excluded"} == fates(draft)
    assert ["", "", "excluded by the rule ads", "no include rule matches"] == [c.why for c in draft.consumed]


def test_a_filter_that_is_no_expression_is_a_mistake_in_the_project() -> None:
    with pytest.raises(ConfigError, match=r"include: '\(' is not a regular expression"):
        draft_of([entry(1)], feeds=[replace(FEEDS[0], include=rules_of("("))])


def test_one_story_in_two_feeds_stands_once_and_names_the_other() -> None:
    url = "https://story.example/one"
    waiting = [
        entry(1, HEBREW, url="http://www.story.example/one/?utm_source=x"),
        entry(2, GARDEN, url=url),
        entry(3, GAZETTE, url="https://gazette.example/other"),
    ]

    draft = draft_of(waiting)

    assert {1: "duplicate", 2: "shown", 3: "shown"} == fates(draft)
    assert (Link(title="hebrew.example", url="http://www.story.example/one/"),) == draft.sections[1].entries[0].also_in
    assert "the same story stands under Slow Garden" == draft.consumed[0].why


def test_a_story_that_a_filter_left_out_of_one_feed_stands_under_the_other() -> None:
    waiting = [entry(1, GAZETTE, url="https://story.example/one"), entry(2, GARDEN, url="https://story.example/one")]

    draft = draft_of(waiting, feeds=[replace(FEEDS[0], exclude=rules_of("Title")), FEEDS[1]])

    assert {1: "excluded", 2: "shown"} == fates(draft)


def test_an_address_that_a_feed_gives_to_all_its_entries_joins_nothing() -> None:
    home = "https://gazette.example/"
    waiting = [entry(1, GAZETTE, url=home), entry(2, GAZETTE, url=home), entry(3, GARDEN, url=home)]

    assert {1: "shown", 2: "shown", 3: "shown"} == fates(draft_of(waiting))
    known = [health(GAZETTE, home_url=home)]
    assert {1: "shown", 3: "shown"} == fates(draft_of([waiting[0], waiting[2]], known=known))


def test_caps_make_headlines_and_say_which_cap() -> None:
    feeds = [replace(FEEDS[0], max_entries=2), FEEDS[1]]
    waiting = [entry(n, GAZETTE) for n in (1, 2, 3)] + [entry(n, GARDEN) for n in (4, 5, 6, 7)]

    draft = draft_of(waiting, feeds=feeds, rules=replace(RULES, per_feed=3, max_entries=4))

    assert [["Title number 1", "Title number 2"], ["Title number 4", "Title number 5"]] == titles(draft)
    assert [["Title number 3"], ["Title number 6", "Title number 7"]] == [
        [e.title for e in s.more] for s in draft.sections
    ]
    assert {
        3: "over max_entries: 2 of The Gazette",
        6: "over max_entries: 4 of the digest",
        7: "over max_entries: 4 of the digest",
    } == {c.entry_id: c.why for c in draft.consumed if c.why}


def test_entries_group_by_the_feeds_first_tag_or_not_at_all() -> None:
    feeds = [replace(FEEDS[0], tags=("sea",)), FEEDS[1], replace(FEEDS[2], tags=("sea", "he"))]
    waiting = [entry(3, GAZETTE), entry(2, GARDEN), entry(1, HEBREW)]

    by_tag = draft_of(waiting, feeds=feeds, rules=replace(RULES, group_by="tag"))
    at_once = draft_of(waiting, feeds=feeds, rules=replace(RULES, group_by="none"))

    assert [("sea", ["Title number 1", "Title number 3"]), ("Slow Garden", ["Title number 2"])] == [
        (s.title, [e.title for e in s.entries]) for s in by_tag.sections
    ]
    assert [("", ["Title number 1", "Title number 2", "Title number 3"])] == [
        (s.title, [e.title for e in s.entries]) for s in at_once.sections
    ]


def test_the_projects_title_and_language_of_a_feed_win_over_its_own() -> None:
    known = [
        health(GAZETTE, title="Own", language="fr_FR", home_url="https://gazette.example/"),
        health(GARDEN, title="Own", language="None"),
    ]

    draft = draft_of(
        [entry(1), entry(2, GARDEN, language="de")],
        feeds=[Feed(url=GAZETTE, language="en"), Feed(url=GARDEN)],
        known=known,
    )

    assert [("Own", "en", "https://gazette.example/"), ("Own", "de", None)] == [
        (s.title, s.language, s.url) for s in draft.sections
    ]


def test_the_letters_decide_on_the_direction_not_what_the_feed_says() -> None:
    known = [health(HEBREW, language="en-US"), health(GARDEN, language="ar")]
    waiting = [entry(1, HEBREW, title="הגשר החדש נפתח לתנועה"), entry(2, GARDEN, title="2026"), entry(3, GAZETTE)]

    assert ["ltr", "rtl", "rtl"] == [s.dir for s in draft_of(waiting, known=known).sections]


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        (
            {"title": " \n ", "summary": "<p>The first words of it. And more &amp; more.</p>"},
            "The first words of it. And more & more.",
        ),
        ({"title": "", "content": "word " * 50}, "word " * 13 + "word…"),
        ({"title": "\u202e", "url": "https://www.page.example/x"}, "www.page.example"),
        ({"title": "", "url": None}, "The Gazette"),
        ({"title": "a\r\nb\u2028c"}, "a b c"),
    ],
)
def test_an_entry_always_has_a_title(fields: dict[str, Any], title: str) -> None:
    assert title == draft_of([entry(1, **fields)]).entries[0].title


def test_a_title_of_ten_thousand_characters_is_cut() -> None:
    assert 300 >= len(draft_of([entry(1, title="long " * 2_000)]).entries[0].title)


def test_what_a_template_gets_is_clean() -> None:
    hostile = entry(
        1,
        url="https://gazette.example/p?utm_medium=rss&id=1",
        author="Ada\r\nBcc: x",
        summary='<script>x</script><p onclick=x>Hi <a href="/rel">there</a></p>',
        content='<img src="/small.png" width="32"><img src="http://gazette.example/big.png">',
        enclosures=(
            Enclosure(url="javascript:evil()"),
            Enclosure(url="https://gazette.example/a.mp3", media_type="audio/mpeg", length=5),
            Enclosure(url="https://gazette.example/i.jpg", media_type="image/jpeg"),
        ),
        tags=("sea\n", "", *("t",) * 20),
    )

    found = draft_of([hostile]).entries[0]

    assert "https://gazette.example/p?id=1" == found.url
    assert "Ada Bcc: x" == found.author
    assert '<p>Hi <a href="https://gazette.example/rel">there</a></p>' == found.summary
    assert "https://gazette.example/big.png" == found.image
    assert ["https://gazette.example/a.mp3"] == [e.url for e in found.enclosures]
    assert ("sea", *("t",) * 8) == found.tags
    assert 1 == found.reading_time


@pytest.mark.parametrize(
    ("alt", "kept"),
    [
        ("Nine hundred &quot;goats&quot; board &gt; the ferry", 'Nine hundred "goats" board > the ferry'),
        ("", ""),
        ("ferry strike", ""),
        ("IMG_1234.jpg", ""),
        ("The harbour at dawn.png", ""),
        ("image", ""),
        ("Featured image 2", ""),
        ("DSC01234", ""),
        ("ferry-1024x768", ""),
        ("Foto", ""),
        ("—", ""),
        ("photo of the harbour", "photo of the harbour"),
        ("המעבורת", "המעבורת"),
    ],
)
def test_a_leading_picture_keeps_the_words_its_feed_gave_it_if_they_tell_anything(alt: str, kept: str) -> None:
    html = f'<p><img src="/s.png" alt="small" width="20"><img src="/1.jpg" alt="{alt}" width="800"></p>'

    found = draft_of([entry(1, title="Ferry strike!", content=html)]).entries[0]

    assert ("https://gazette.example/1.jpg", kept) == (found.image, found.image_alt)


def test_a_picture_that_a_feed_names_apart_has_the_words_of_its_copy_in_the_text_or_none() -> None:
    html = '<p><img src="/1.jpg" alt="A goat"><img src="/2.jpg" alt="A ferry"></p>'

    alts = [
        draft_of([entry(1, content=html, image=f"https://gazette.example/{name}.jpg")]).entries[0].image_alt
        for name in (2, 3)
    ]

    assert ["A ferry", ""] == alts


def test_an_unsafe_address_is_no_address() -> None:
    assert draft_of([entry(1, url="javascript:evil()")]).entries[0].url is None


def test_edited_entries_are_listed_and_not_used_up() -> None:
    draft = draft_of([entry(1)], edited=[entry(9, GARDEN, content="<p>long</p>")])

    assert [(9, "Title number 9", "")] == [(e.id, e.title, e.content) for e in draft.updated]
    assert {1: "shown"} == fates(draft)


FEED = st.sampled_from([GAZETTE, GARDEN, HEBREW, "https://unknown.example/feed"])
URL = st.sampled_from(
    [
        None,
        "https://s.example/1",
        "http://www.s.example/1/",
        "https://s.example/2",
        "https://s.example/",
        "javascript:x",
        "http://[bad",
    ]
)
DATE = st.one_of(st.none(), st.integers(-900, 900).map(lambda hours: NOW + timedelta(hours=hours)))
ENTRIES = st.lists(
    st.tuples(
        FEED, URL, DATE, st.sampled_from(["", "a", "ab", "<b>x", "הגשר"]), st.sampled_from(["", "<p>a</p>", "b"])
    ),
    max_size=25,
)


@given(
    ENTRIES,
    st.builds(
        DigestRules,
        name=st.just("daily"),
        title=st.just("T"),
        language=st.just("en"),
        max_entries=st.none() | st.integers(0, 6),
        per_feed=st.none() | st.integers(0, 3),
        sort=st.sampled_from(["newest", "oldest"]),
        group_by=st.sampled_from(["feed", "tag", "none"]),
    ),
    st.lists(st.sampled_from([None, 0, 1, 2]), min_size=3, max_size=3),
    st.lists(st.sampled_from([(), ("a",), ("b", "x")]), min_size=6, max_size=6),
)
@settings(max_examples=120)
def test_every_waiting_entry_is_used_up_once_and_stands_in_one_place(
    rows: list[tuple[str, str | None, None, str, str]],
    rules: DigestRules,
    caps: list[int | None],
    words: list[tuple[str, ...]],
) -> None:
    feeds = [
        replace(feed, max_entries=cap, include=rules_of(*include), exclude=rules_of(*exclude), tags=include)
        for feed, cap, include, exclude in zip(FEEDS, caps, words[:3], words[3:], strict=True)
    ]
    waiting: list[StoredEntry] = [
        entry(number, feed, url=url, published_at=date, title=title, summary=summary)
        for number, (feed, url, date, title, summary) in enumerate(rows)
    ]

    draft = draft_of(waiting, rules=rules, feeds=feeds, known=[health(GAZETTE, home_url="https://s.example/")])

    assert dict.fromkeys(range(len(rows)), 1) == Counter(c.entry_id for c in draft.consumed)
    fate = {c.entry_id: c.disposition for c in draft.consumed}
    shown = [e.id for s in draft.sections for e in s.entries]
    more = [e.id for s in draft.sections for e in s.more]
    assert sorted(shown) == sorted(n for n, d in fate.items() if d is Disposition.shown)
    assert sorted(more) == sorted(n for n, d in fate.items() if d is Disposition.headline)
    assert all(e.title for s in draft.sections for e in (*s.entries, *s.more))
    assert all(c.why for c in draft.consumed if c.disposition is not Disposition.shown)
    assert rules.max_entries is None or len(shown) <= rules.max_entries
    again = draft_of(waiting[::-1], rules=rules, feeds=feeds, known=[health(GAZETTE, home_url="https://s.example/")])
    assert again.sections == draft.sections, "the order in which entries come does not count"


def test_without_pictures_no_entry_has_one_left_and_all_its_words() -> None:
    waiting = [
        entry(
            1,
            image="https://gazette.example/1.jpg",
            content='<p>Before <img src="https://gazette.example/2.jpg" alt="x" width="500" height="300"> after</p>',
            summary='<p><img src="https://gazette.example/3.jpg" alt="y" width="500" height="300"></p><p>Told.</p>',
        )
    ]

    linked = draft_of(waiting).sections[0].entries[0]
    without = draft_of(waiting, rules=replace(RULES, pictures="none")).sections[0].entries[0]

    assert "https://gazette.example/1.jpg" == linked.image
    assert "2.jpg" in linked.content
    assert without.image is None
    assert "<img" not in without.content + without.summary
    assert ["Before", "after", "Told."] == re.findall(
        r"[\w.]+", re.sub("<[^>]*>", " ", without.content + without.summary)
    )

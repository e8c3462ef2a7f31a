"""The rules of feeds: what they match, what they say, and that no entry can stall them."""

import re
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.issues.filters import Filters, slow_words
from newsletter.model import Consumed, Disposition, Feed, SlowRule
from newsletter.pattern import compile_pattern, search
from tests.issues.samples import FEEDS, GARDEN, GAZETTE, draft_of, entry, rules_of

#: Backtracks without end in `(a+)+$`.
TRAP = "a" * 5_000 + "!"


@pytest.mark.parametrize(
    ("title", "include", "exclude", "expected"),
    [
        ("Ferries", {}, {}, (True, "")),
        ("Ferries", {"fog": "fog", "boats": "FERR"}, {}, (True, "let in by the rule boats")),
        ("Ferries", {"fog": "fog"}, {}, (False, "no include rule matches")),
        ("Ferries", {"boats": "ferr"}, {"x": "x", "ies$": "ies$"}, (False, "excluded by the rule ies$")),
        ("Ferries", {}, {"x": "x"}, (True, "no exclude rule matches")),
    ],
)
def test_it_is_said_which_rule_lets_an_entry_through_or_not(
    title: str, include: dict[str, str], exclude: dict[str, str], expected: tuple[bool, str]
) -> None:
    feed = Feed(url=GAZETTE, include=rules_of(**include), exclude=rules_of(**exclude))

    found = Filters().judge(entry(1, title=title).entry, feed)

    assert expected == (found.passes, found.why)


def test_every_rule_can_be_tried_and_says_where_it_hits() -> None:
    text = "<p>" + "word " * 20 + "the <b>night</b> ferry &amp; " + "more " * 20 + "</p>"
    story = entry(1, title="Ferries at night", content=text).entry
    feed = Feed(
        url=GAZETTE, include=rules_of(boats="ferry", both="night"), exclude=rules_of("^ferries", all="y &.*", no="x")
    )

    found = Filters().judge(story, feed, all_rules=True)

    assert (False, "excluded by the rule ^ferries") == (found.passes, found.why)
    assert [
        ("exclude", "^ferries", "title", "Ferries", "Ferries at night"),
        ("exclude", "all", "text", "y & " + "more " * 11 + "m", "…word the night ferry & " + "more " * 11 + "m…"),
        ("include", "boats", "text", "ferry", "…word word the night ferry & more more more mo…"),
        ("include", "both", "title", "night", "Ferries at night"),
    ] == [(hit.kind, hit.rule.name, hit.where, hit.matched, hit.excerpt) for hit in found.hits]


# ------------------------------------------------------------------- time


def test_a_rule_that_runs_out_of_time_matches_nothing_and_that_is_said() -> None:
    feed = replace(FEEDS[0], exclude=rules_of(trap="(a+)+$", ads="sponsored"))
    waiting = [entry(1, title=TRAP), entry(2, title=f"sponsored {TRAP}"), entry(3, title="Ferries")]

    draft = draft_of(waiting, feeds=[feed])

    assert (
        Consumed(entry_id=1, disposition=Disposition.shown, why="ran out of time: the rule trap"),
        Consumed(
            entry_id=2,
            disposition=Disposition.excluded,
            why="excluded by the rule ads; ran out of time: the rule trap",
        ),
        Consumed(entry_id=3, disposition=Disposition.shown, why=""),
    ) == draft.consumed
    assert (SlowRule(feed_url=GAZETTE, kind="exclude", name="trap", entries=2),) == draft.slow_rules
    assert (
        f"{GAZETTE}: the exclude rule trap ran out of time on 2 entries and counts as not matching there"
        == slow_words(draft.slow_rules[0])
    )


def test_what_becomes_of_an_entry_is_said_beside_its_slow_rule() -> None:
    feed = replace(FEEDS[0], max_entries=0, exclude=rules_of(trap="(a+)+$"))

    draft = draft_of([entry(1, title=TRAP)], feeds=[feed])

    assert ["over max_entries: 0 of The Gazette; ran out of time: the rule trap"] == [c.why for c in draft.consumed]


def test_hostile_entries_cannot_stall_an_issue_however_many() -> None:
    """Each would take `re` longer than the sun will last; the ration of time leaves a hundredth of a second for each."""
    feeds = [
        replace(FEEDS[0], exclude=rules_of(trap="(a+)+$", trap2="(a|a)*$", ads="sponsored")),
        replace(FEEDS[1], exclude=rules_of(ads="sponsored")),
    ]
    hostile = [entry(number, title=TRAP) for number in range(60)]
    plain = [entry(1000, GARDEN), entry(1001, GARDEN, title="Sponsored")]
    filters = Filters()

    found = [filters.judge(stored.entry, feeds[stored.feed_url == GARDEN]) for stored in (*hostile, *plain)]

    assert [60, 60] == [slow.entries for slow in filters.slow]
    assert [True] * 61 + [False] == [one.passes for one in found]
    # The limits are seconds of work: twice one second in patience, the rest in haste.
    assert sum(filters._spent.values()) == pytest.approx(2 * (1.0 + (60 - 5) * 0.01), abs=0.1)


def test_slow_matches_that_end_in_time_use_up_the_ration_too() -> None:
    """A text may take just less than the limit."""
    ticks = count(step=0.15)
    filters = Filters(timer=lambda: float(next(ticks)))
    feed = Feed(url=GAZETTE, exclude=rules_of(slow="x"))

    for number in range(40):
        filters.judge(entry(number).entry, feed)

    assert () == filters.slow
    filters.judge(entry(41, title=TRAP).entry, replace(feed, exclude=rules_of(trap="(a+)+$")))
    assert 0.01 == filters._spent[GAZETTE, "exclude", rules_of(trap="(a+)+$")[0]]


# ---------------------------------------------------------------- as `re` does


LETTERS = st.sampled_from("abcXYé1 .-")
ATOM = st.one_of(
    LETTERS.map(re.escape),
    st.sampled_from([".", r"\d", r"\w", r"\s", r"\W", r"\b", "[a-c]", "[^ab]", "[X-]", "^", "$", r"\Bb", "(?:ab|c)"]),
)
PATTERN = st.recursive(
    ATOM,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "{1,2}", "*?", "+?", "??"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
        inner.map(lambda part: f"({part})"),
        inner.map(lambda part: f"(?={part})"),
        inner.map(lambda part: f"(?!{part})"),
    ),
    max_leaves=8,
)


@given(st.sampled_from(["", "(?i)", "(?s)", "(?m)"]), PATTERN, st.text(alphabet="abcABCxXyYéÉ1 .-\n", max_size=12))
@settings(max_examples=600)
def test_an_ordinary_pattern_finds_what_re_finds(flags: str, pattern: str, text: str) -> None:
    found = re.search(flags + pattern, text, re.IGNORECASE)

    assert (found.span() if found else None) == search(flags + pattern, text, seconds=10)


@given(st.text(alphabet="()[]{}*+?|\\.^$-,:=!<>#&~ abPx01", max_size=12))
@settings(max_examples=600)
def test_what_is_no_pattern_is_said_to_be_none_whatever_it_is(pattern: str) -> None:
    said = ""
    try:
        compile_pattern(pattern)
    except ValueError as error:
        said = str(error)

    assert said == "" or said.startswith("is not a regular expression: ")

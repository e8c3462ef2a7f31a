"""Wide tables on their way into a letter."""

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.issues.markdown import from_html
from newsletter.issues.plaintext import html_text
from newsletter.issues.sanitize import ATTRIBUTES, TAGS, clean_html
from newsletter.issues.tables import COLUMNS, narrow_tables
from tests.issues.samples import Shape, draft_of, entry

BASE = "https://site.example/"


def narrow(html: str) -> str:
    return narrow_tables(clean_html(html, base=BASE))


def row(*cells: object, name: str = "td") -> str:
    return "<tr>" + "".join(f"<{name}>{cell}</{name}>" for cell in cells) + "</tr>"


HEAD = row(*"ABCDEFG", name="th")
BOLD = "<b>A</b> · <b>B</b> · <b>C</b> · <b>D</b> · <b>E</b> · <b>F</b> · "


def test_a_table_that_fits_stays_as_it_is() -> None:
    cleaned = clean_html(f"a<table>{row(*range(COLUMNS))}{row(1)}</table><p>b</p>", base=BASE)

    assert cleaned == narrow_tables(cleaned)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (row(*range(7)), "<p>0 · 1 · 2 · 3 · 4 · 5 · 6</p>"),
        (HEAD, f"<p>{BOLD}<b>G</b></p>"),
        (HEAD + row(*range(7)), "<p>A0 · B1 · C2 · D3 · E4 · F5 · G6</p>"),
        # A heading that no cell of a row needs, and one with more than its words, are said once.
        (
            row("A", *"BCDEF", '<a href="/g">G</a>', name="th") + row("1", "", "", "", "", "", "7"),
            f'<p>{BOLD}<b><a href="https://site.example/g">G</a></b></p><p>A1 · G7</p>',
        ),
        # What reaches over columns and rows does not shift the labels of its neighbours.
        (
            '<tr><th colspan="2">AB</th><th>C</th><th>D</th><th>E</th><th>F</th><th>G</th></tr>'
            '<tr><td>1</td><td rowspan="2">2</td><td>3</td><td>4</td><td>5</td><td>6</td><td>7</td></tr>'
            + row("8", "9"),
            "<p>AB1 · AB2 · C3 · D4 · E5 · F6 · G7</p><p>AB8 · C9</p>",
        ),
        (
            "<caption>Goats</caption>" + row("<p>1</p>", *range(2, 7), "<p>7</p><p>8</p>"),
            "<p>Goats</p><p>1 · 2 · 3 · 4 · 5 · 6</p><div><p>7</p><p>8</p></div>",
        ),
        (row(*range(6), '<td lang="de" dir="ltr">x'), '<p>0 · 1 · 2 · 3 · 4 · 5 · <span lang="de" dir="ltr">x</span></p>'),
    ],
)  # fmt: skip
def test_a_wide_table_becomes_a_block_for_each_row(table: str, expected: str) -> None:
    expected = re.sub(r"\b([A-G]+)(\d)", r"<b>\1:</b> \2", expected)

    assert expected == narrow(f"<table>{table}</table>")


def test_tables_in_a_table_count_as_the_columns_they_have() -> None:
    inner = f"<table>{row(1, 2, 3)}</table>"

    found = narrow(f'<table dir="rtl">{row(inner, inner, inner)}</table>')

    assert found.startswith('<div dir="rtl"><div><table role="presentation">')
    assert 3 == found.count("<table")
    assert 3 == narrow(f"<table>{row(inner, inner)}</table>").count("<table")


def test_headings_are_cut_short_but_said_in_full_once() -> None:
    long = "A heading of a good many words that nobody wants to read on each line"

    found = narrow(f"<table>{row(long, *'BCDEFG', name='th')}{row(*range(7))}{row(*range(7))}</table>")

    assert 1 == found.count(long)
    assert 2 == found.count("<b>A heading of a good many words that…:</b>")


def test_a_table_cannot_swell_a_letter() -> None:
    hostile = f"<table>{row(*['x' * 500] * 7, name='th')}{'<tr>' + '<td colspan=99 rowspan=99>x' * 400}" + "</table>"

    assert len(narrow(hostile)) < 2 * len(hostile)
    assert len(narrow(f"<table>{HEAD}{'<tr>' + '<td>x' * 5_000}")) < 50_000


def test_the_letter_has_the_blocks_and_the_summary_too() -> None:
    table = f"<table>{HEAD}{row(*range(7))}</table>"

    found = draft_of([entry(1, content=table, summary=table)]).entries[0]

    assert found.content == found.summary == narrow(table)
    assert "**A:** 0 · **B:** 1" in from_html(found.content)


PIECES = ["<table>", "</table>", "<tr>", "<td>", "<th>", "</td>", "</tr>", "<td colspan=3>", "<th rowspan=2 lang=de>",
          "<caption>", "<thead>", "<tbody>", "<p>", "</p>", "<ul><li>", '<a href="/x">', "</a>", "<b>", "</b>", "<br>",
          '<img src="/i.png" alt="words">', "<table dir=rtl><tr>" + "<td>w" * 7, "<tr>" + "<th>h" * 7, "word", "two words ",
          "&lt;b&gt;", "&amp;", "<h2>", "</h2>", "<pre>", "<div>", "</div>", " "]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
@settings(max_examples=200)
def test_no_word_no_link_and_no_picture_is_lost(soup: str) -> None:
    assert_all_kept(soup)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_nothing_is_lost_of_thousands_of_tables(seed: int) -> None:
    dice = random.Random(seed)

    for number in range(500 if seed == 1 else 20_000):
        soup = "<table>" + "".join(dice.choice(PIECES) for _ in range(dice.randrange(80)))
        try:
            assert_all_kept(soup)
        except AssertionError:
            print(f"soup {number}: {soup!r}")
            raise


def assert_all_kept(soup: str) -> None:
    cleaned = clean_html(soup, base=BASE)
    found = narrow_tables(cleaned)
    before, after = Shape(cleaned), Shape(found)
    assert not Counter(html_text(cleaned).split()) - Counter(html_text(found).replace(":", " ").split())
    assert Counter(before.links) == Counter(after.links)
    assert Counter(t for t, _ in before.tags)["img"] == Counter(t for t, _ in after.tags)["img"]
    assert 0 == after.depth
    for tag, attrs in after.tags:
        assert tag in TAGS
        assert attrs.keys() <= ATTRIBUTES.get(tag, set()) | ATTRIBUTES["*"]
    assert narrow_tables(found) == found


@given(st.lists(st.sampled_from([*PIECES, "</caption>", "<td colspan=x rowspan=-1>"]), max_size=40).map("".join))
def test_even_what_was_never_cleaned_ends_without_an_error(soup: str) -> None:
    assert narrow_tables(soup) is not None

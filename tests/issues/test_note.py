"""The editor's note as HTML: harmless, in order, and in the way of nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.issues.note import note_faults, note_html
from newsletter.issues.render import Templates, render_issue
from newsletter.model import Note
from tests.issues.samples import MASTHEAD, RULES, TOKEN, Shape, draft_of, entry


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("", ""),
        ("  \n", ""),
        ("Hello **you**", "<p>Hello <strong>you</strong></p>"),
        ("# One\n\n#### Four", "<h2>One</h2>\n<h3>Four</h3>"),
        ("~~no~~", "<p><s>no</s></p>"),
        ('<img src=x onerror="alert(1)">hi', "<p>hi</p>"),
        ("[x](javascript:alert)", "<p>[x](javascript:alert)</p>"),
    ],
)
def test_markdown_becomes_safe_html(markdown: str, html: str) -> None:
    assert html == note_html(markdown)


@given(st.text(max_size=300))
def test_whatever_is_written_the_letter_holds(text: str) -> None:
    """A note changes nothing around it: the same letter without it is the rest of the one with it."""
    assert all(line is None or line >= 1 for line, _ in note_faults(text))
    note = note_html(text)

    found = Shape(note)

    assert not {"script", "style", "iframe", "form", "td", "table"} & {tag for tag, _ in found.tags} or "|" in text
    assert found.comments == []
    assert found.depth == 0


def test_a_note_changes_no_byte_outside_itself() -> None:
    draft = draft_of([entry(1), entry(2)])
    hostile = note_html("</td></tr></table></div></body>\n\n{{ 7*7 }} {% block x %}\n\n<style>*{display:none}</style>")
    told = replace(draft, note=Note(markdown="x", html=hostile))
    letters = [render_issue(one, MASTHEAD, Templates(), token=TOKEN).html for one in (draft, told)]

    start = letters[1].index('<div class="body note"')
    end = letters[1].index("</div>", start) + len("</div>\n")

    assert letters[0] == letters[1][:start] + letters[1][end:]
    assert "{{ 7*7 }} {% block x %}" in letters[1]


def test_pictures_of_a_note_follow_the_digest() -> None:
    note = "![the ferry](https://x.example/ferry.jpg)\n\nHello"
    with_them = draft_of([entry(1)], note=note)
    without = draft_of([entry(1)], rules=replace(RULES, pictures="none"), note=note)

    assert "ferry.jpg" in (with_them.note or Note(markdown="", html="")).html
    assert Note(markdown=note, html="<p>Hello</p>") == without.note


def test_a_note_says_its_language_where_the_reader_has_another() -> None:
    draft = draft_of([entry(1)], note="Hello")

    letter = render_issue(draft, MASTHEAD, Templates(), token=TOKEN, language="he").html

    assert '<div class="body note" lang="en-GB" dir="ltr"' in letter

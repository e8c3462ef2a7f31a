"""The letter: all of it there, and nothing a feed says can change more than its own entry."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html
from markdown_it import MarkdownIt

from newsletter.errors import TemplateError
from newsletter.issues.inline import inline
from newsletter.issues.merge import fill
from newsletter.issues.render import Masthead, Templates, default_templates, render_issue
from newsletter.issues.views import PREHEADER_LIMIT
from newsletter.model import Draft, Enclosure, Rendering, StoredEntry
from newsletter.text import one_line
from tests.issues.samples import (
    FEEDS,
    GARDEN,
    GAZETTE,
    HEBREW,
    MASTHEAD,
    RULES,
    TOKEN,
    Shape,
    draft_of,
    entry,
    health,
    project,
    squeezed,
)

TEMPLATES = Templates()
VALUES = {
    "subscriber.email": "ada@example.com",
    "unsubscribe_url": "https://wire.example.com/u/daily/abc",
    "preferences_url": "https://wire.example.com/p/daily/abc",
    "view_url": "https://wire.example.com/i/daily/12",
}
SOURCE = (default_templates() / "issue.html.j2").read_text(encoding="utf-8")


def render(draft: Draft, masthead: Masthead = MASTHEAD) -> Rendering:
    """The default letter, filled in for Ada."""
    found = render_issue(draft, masthead, TEMPLATES, token=TOKEN)
    return replace(
        found,
        subject=fill(found.subject, TOKEN, VALUES),
        html=fill(found.html, TOKEN, VALUES),
        text=fill(found.text, TOKEN, VALUES),
        markdown=fill(found.markdown, TOKEN, VALUES),
    )


@pytest.fixture(scope="module")
def letter() -> Rendering:
    waiting = [
        entry(
            1,
            title="Ferries & <fog>",
            author="Ines",
            summary="<p>It left.</p>" * 80,
            image="https://gazette.example/f.jpg",
        ),
        entry(
            2,
            title="Podcast",
            summary="Talk.",
            enclosures=(Enclosure(url="https://gazette.example/e.mp3", media_type="audio/mpeg", length=24_300_000),),
        ),
        entry(3, title="Over the cap"),
        entry(
            4,
            GARDEN,
            title="Pears",
            url="https://story.example/1",
            content="<h1>When</h1><ul><li>In <b>winter</b></li></ul><table><tr><td>1</table>",
        ),
        entry(5, HEBREW, title="הגשר החדש נפתח לתנועה", summary="גשם קל בצפון"),
        entry(6, HEBREW, title="Shared", url="https://story.example/1"),
    ]
    draft = draft_of(
        waiting,
        feeds=[replace(FEEDS[0], max_entries=2), *FEEDS[1:]],
        known=[health(GAZETTE, home_url="https://gazette.example/", language="en"), health(HEBREW, language="he")],
        edited=[entry(9, GARDEN, title="Corrected")],
    )
    return render(draft)


def test_the_subject_names_the_digest_and_the_first_story_within_78_characters(letter: Rendering) -> None:
    assert "The Morning Wire: Ferries & <fog> and 4 more" == letter.subject
    long = render(draft_of([entry(1, title="Very long words " * 20), entry(2)]))
    assert 60 <= len(long.subject) <= 78
    assert long.subject.endswith("… and 1 more")
    assert "The Morning Wire: Title number 1" == render(draft_of([entry(1)])).subject


def test_the_root_and_each_section_say_their_language_and_direction(letter: Rendering) -> None:
    tags = Shape(letter.html).tags

    root = next(attrs for tag, attrs in tags if tag == "html")
    sections = [(a["lang"], a["dir"]) for tag, a in tags if tag == "td" and "lang" in a]
    assert ("en-GB", "ltr") == (root["lang"], root["dir"])
    assert [("en", "ltr"), ("en", "ltr"), ("he", "rtl")] == sections


def test_the_title_is_the_subject_and_headings_never_skip(letter: Rendering) -> None:
    document = lxml_html.fromstring(letter.html)

    assert letter.subject == document.findtext(".//title")
    levels = [int(tag[1]) for tag, _ in Shape(letter.html).tags if re.fullmatch("h[1-6]", tag)]
    assert 1 == levels[0]
    assert 1 == levels.count(1)
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_table_is_layout_or_has_header_cells_and_every_picture_has_words(letter: Rendering) -> None:
    for tag, attrs in Shape(letter.html).tags:
        if tag == "table":
            assert "presentation" == attrs.get("role")
        if tag == "img":
            assert attrs["alt"] == "Ferries & <fog>"
            assert attrs["width"].isdigit()
            assert "height" not in attrs


@pytest.mark.parametrize(
    ("alt", "shown"),
    [
        ("A goat &amp; &quot;a&quot; ferry", 'A goat & "a" ferry'),
        ("IMG_1.jpg", "Title number 1"),
        ("ab " * 90, "ab " * 65 + "ab…"),
    ],
)
def test_a_leading_picture_says_what_its_feed_says_or_else_the_title(alt: str, shown: str) -> None:
    letter = render(draft_of([entry(1, content=f'<img src="/1.jpg" alt="{alt}">')]))

    assert [shown] == [attrs["alt"] for tag, attrs in Shape(letter.html).tags if tag == "img"]


@pytest.mark.parametrize("title", ["""&{" onerror='x' y="}""", "&{>}", "&amp;{<b>}", "&{", "&&{}{}"])
def test_what_looks_like_a_macro_of_html_4_is_escaped_as_all_else(title: str) -> None:
    letter = render(draft_of([entry(1, title=title, content='<img src="/1.jpg">')]))

    shape = Shape(letter.html)
    assert [title] == [attrs["alt"] for tag, attrs in shape.tags if tag == "img"]
    assert not [name for _, attrs in shape.tags for name in attrs if name.startswith("on")]
    assert not re.search(r"&(?!#?\w+;)", re.sub("<style.*?</style>|<!--.*?-->", "", letter.html, flags=re.DOTALL))


def test_nothing_is_in_the_letter_that_mail_clients_refuse(letter: Rendering) -> None:
    shape = Shape(letter.html)

    refused = {"script", "iframe", "form", "object", "embed", "link", "base", "video", "audio", "svg", "input"}
    assert not refused & {tag for tag, _ in shape.tags}
    assert not [name for _, attrs in shape.tags for name in attrs if name.startswith("on")]
    styles = " ".join(attrs.get("style", "") for _, attrs in shape.tags)
    assert not re.search(r"position|float|flex|grid|url\(", styles)
    assert not re.search(r"https?://(?!\S*\.example)", letter.html)


def test_dark_mode_keeps_its_force_and_word_its_comments_after_inlining(letter: Rendering) -> None:
    assert SOURCE.count("!important") == letter.html.count("!important")
    assert SOURCE.count("<!--[if mso]>") == letter.html.count("<!--[if mso]>")
    assert SOURCE.count("<![endif]-->") == letter.html.count("<![endif]-->")
    assert "@media (prefers-color-scheme: dark)" in letter.html
    assert "!important" not in re.sub(r"<style>.*?</style>", "", letter.html, flags=re.DOTALL)


def test_the_preheader_is_short_hidden_and_not_in_the_text(letter: Rendering) -> None:
    document = lxml_html.fromstring(letter.html)
    preheader, filler = document.find_class("preheader")

    assert "Podcast · Over the cap · Pears" == preheader.text
    assert "display:none" in preheader.get("style")
    assert "true" == filler.get("aria-hidden")
    assert len(filler.text) <= 100
    assert "Podcast · Over the cap" not in letter.text
    long = draft_of([entry(n, title=f"{n} " + "long " * 40) for n in range(5)])
    assert PREHEADER_LIMIT >= len(lxml_html.fromstring(render(long).html).find_class("preheader")[0].text)


def test_the_footer_says_why_to_whom_and_how_to_leave(letter: Rendering) -> None:
    for part in (squeezed(re.sub("<[^>]*>", "", letter.html)), letter.text):
        assert "You get this because you subscribed to The Morning Wire. Sent to: ada@example.com" in part
        assert "1 Example Street, Berlin" in part
    for url in (VALUES["unsubscribe_url"], VALUES["preferences_url"], VALUES["view_url"]):
        assert url in Shape(letter.html).links
        assert f"\n{url}\n" in letter.text


def test_the_text_part_reads_well(letter: Rendering) -> None:
    expected = """\
## Slow Garden

### Pears
https://story.example/1
2 Mar 2026

When

- In winter

1

Also in: hebrew.example
https://story.example/1

## hebrew.example

### הגשר החדש נפתח לתנועה
https://hebrew.example/posts/5
2 Mar 2026

גשם קל בצפון

## Updated since you got them

Corrected
https://garden.example/posts/9

---
"""
    assert expected in letter.text
    assert "\n\n\n" not in letter.text
    assert "Attached: e.mp3 (24 MB)\n\nhttps://gazette.example/e.mp3\n" in letter.text.replace(
        "(24 MB)\nh", "(24 MB)\n\nh"
    )
    assert "### More from The Gazette\n\nOver the cap\nhttps://gazette.example/posts/3\n" in letter.text


def test_the_markdown_has_one_title_a_heading_per_source_and_entry_and_no_html(letter: Rendering) -> None:
    tokens = MarkdownIt("commonmark").parse(letter.markdown)
    inner = [child for token in tokens for child in (token.children or [])]

    assert not [token for token in (*tokens, *inner) if token.type.startswith("html")]
    headings = [(t.tag, tokens[n + 1].content) for n, t in enumerate(tokens) if t.type == "heading_open"]
    assert [
        ("h1", "The Morning Wire"),
        ("h2", "[The Gazette](<https://gazette.example/>)"),
        ("h3", r"[Ferries \& \<fog\>](<https://gazette.example/posts/1>)"),
        ("h3", "[Podcast](<https://gazette.example/posts/2>)"),
        ("h3", "More from The Gazette"),
        ("h2", "Slow Garden"),
        ("h3", "[Pears](<https://story.example/1>)"),
        ("h4", "When"),
        ("h2", "hebrew.example"),
        ("h3", "[הגשר החדש נפתח לתנועה](<https://hebrew.example/posts/5>)"),
        ("h2", "Updated since you got them"),
    ] == headings
    assert "\n\n\n" not in letter.markdown
    assert letter.markdown.endswith("\n")


def test_dates_are_written_in_the_projects_language_and_time_zone() -> None:
    late = draft_of([entry(0, published_at=entry(0).first_seen_at.replace(hour=5, day=1, month=3, minute=30))])
    tokyo = replace(MASTHEAD, language="de", timezone="Pacific/Auckland")

    letter = render(late, tokyo)

    assert "Montag, 2. März 2026" in letter.text
    assert "01.03.2026" in letter.text


def test_an_issue_of_nothing_but_updates_is_a_letter_too() -> None:
    letter = render(draft_of([], edited=[entry(9, title="Corrected")]))

    assert "The Morning Wire, 2 Mar 2026" == letter.subject
    assert "Corrected" in letter.html
    assert "0 entries" in letter.text


def test_ungrouped_entries_have_a_heading_above_them() -> None:
    letter = render(draft_of([entry(1), entry(2, GARDEN)], rules=replace(RULES, group_by="none")))

    assert ["h1", "h2", "h3", "h3"] == [tag for tag, _ in Shape(letter.html).tags if re.fullmatch("h[1-6]", tag)]


def test_a_hostile_entry_changes_nothing_outside_its_own_section() -> None:
    def section_of(text: str, number: int) -> str:
        return text.split(f"posts/{number}", maxsplit=1)[0]

    hostile = (
        "</td></tr></table></div></body></html><style>* {display: none}</style><!-- <![endif]--> {% endblock %}{{ oops }}"
        "<script>x</script><plaintext>" + "<div>" * 5_000 + "\u202e</title><base href=//evil.example>"
    )
    before = entry(1, title="Before")
    after = entry(3, HEBREW, title="After", summary="Fine.")

    calm = render(draft_of([before, entry(2, GARDEN, title="x", summary="y"), after]))
    wild = render(draft_of([before, entry(2, GARDEN, title="x", summary=hostile, author=hostile), after]))

    mark = "https://garden.example/posts/2"
    assert calm.html.split(mark)[0] == wild.html.split(mark)[0]
    tail = "https://hebrew.example/posts/3"
    assert calm.html.split(tail)[1:] == wild.html.split(tail)[1:]
    assert calm.text.split(tail)[1:] == wild.text.split(tail)[1:]


def _without_address(linked: bool) -> dict[str, Any]:
    return {} if linked else {"url": None}


AWKWARD = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="<>&\"'`=\n\r\t\\/!-;:#%{}[]()*_|~ \u00a0\u202eא語😀é\x00\u2028", max_size=60),
    st.sampled_from(
        [
            "<div>" * 5_000,
            "x" * 10_000,
            "{{ 7 * 7 }}",
            "<!--",
            "<script>",
            "]]>",
            "<p style='display:none'>",
            "&#0;",
            "\ud800",
        ]
    ),
)
ENTRY = st.tuples(AWKWARD, AWKWARD, AWKWARD, st.sampled_from([GAZETTE, GARDEN, HEBREW]), st.booleans())


@given(st.lists(ENTRY, max_size=5), st.integers(0, 2))
@settings(max_examples=30)
def test_whatever_feeds_say_every_title_and_link_is_in_every_part(
    rows: list[tuple[str, str, str, str, bool]], cap: int
) -> None:
    waiting: list[StoredEntry] = [
        entry(
            n,
            feed,
            title=title,
            summary=summary,
            content=content,
            author=title,
            tags=(title,),
            **_without_address(linked),
        )
        for n, (title, summary, content, feed, linked) in enumerate(rows)
    ]
    draft = draft_of(waiting, rules=replace(RULES, per_feed=cap))

    letter = render(draft)

    words = " ".join("".join(lxml_html.fromstring(letter.html).itertext()).split())
    links = set(Shape(letter.html).links)
    plain = " ".join(letter.text.split())
    for drafted in (e for s in draft.sections for e in (*s.entries, *s.more)):
        assert " ".join(drafted.title.split()) in words
        assert " ".join(drafted.title.split()) in plain
        if drafted.url:
            assert drafted.url in links
            assert drafted.url in letter.text
            assert f"(<{drafted.url}>)" in letter.markdown
    assert VALUES["unsubscribe_url"] in links
    assert "\n" not in letter.subject
    assert one_line(letter.subject) == letter.subject


def test_an_issue_that_would_lose_entries_in_inlining_is_refused(tmp_path: Path) -> None:
    deep = "<html><body>" + "<div>" * 400 + "{% for e in entries %}<p>{{ e.title }}</p>{% endfor %}"

    with pytest.raises(TemplateError, match=r"templates/issue.html.j2: inlining its styles loses 'Title number 1'"):
        render_issue(draft_of([entry(1)]), MASTHEAD, project(tmp_path, issue_html=deep), token=TOKEN)


def test_heights_stay_numbers() -> None:
    html = '<html><head><style>img {height: auto; width: 100%}</style></head><body><img src="https://x.example/i.png" height="120" alt=""></body></html>'

    assert 'height="120"' in inline(html, TOKEN)
    assert 'height="auto"' not in inline(html, TOKEN)


@pytest.mark.parametrize("html", ["<html><body><p>a", "<style>p {</style><p>a</p>", "<style>}}{</style>a", "a"])
def test_a_template_with_broken_html_or_css_still_gives_a_letter(html: str) -> None:
    assert "a" in Shape(inline(html, TOKEN)).words


def test_html_that_cannot_be_inlined_is_named(tmp_path: Path) -> None:
    broken = '<?xml version="1.0" encoding="utf-8"?><html><body><p>a</p></body></html>'

    with pytest.raises(TemplateError, match=r"templates/issue.html.j2: its HTML or CSS cannot be inlined"):
        render_issue(draft_of([entry(1)]), MASTHEAD, project(tmp_path, issue_html=broken), token=TOKEN)

"""Markdown that a CommonMark reader shows as it was meant."""

import random
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from newsletter.errors import ParseError
from newsletter.feeds.parse import parse
from newsletter.issues.markdown import escape, from_html, link
from newsletter.issues.plaintext import html_text
from newsletter.issues.sanitize import clean_html
from newsletter.text import one_line
from tests.issues.samples import Shape

COMMONMARK = MarkdownIt("commonmark").enable("table").enable("strikethrough")
AWKWARD = "\\`*_[]<>&#|~!-+=.()1 29:\n\t\"'{}/éא語😀\u2028\u202e\x00ab"


def tokens(markdown: str) -> list[Token]:
    found: list[Token] = []
    for token in COMMONMARK.parse(markdown):
        found += [token, *(token.children or [])]
    return found


def shown(markdown: str) -> str:
    return "".join(token.content for token in tokens(markdown) if token.type in ("text", "code_inline"))


@given(st.text(alphabet=AWKWARD, max_size=40))
@settings(max_examples=300)
def test_escaped_text_shows_as_the_text(text: str) -> None:
    assert one_line(text) == shown(escape(text))
    assert one_line(text) == shown("## " + escape(text)).strip()
    assert one_line(text) == shown("- " + escape(text)).strip()


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_thousands_of_titles_and_addresses_come_back_from_links(seed: int) -> None:
    dice = random.Random(seed)

    for _ in range(3_000 if seed == 1 else 100_000):
        title = "".join(dice.choice(AWKWARD) for _ in range(dice.randrange(1, 20))) + "x"
        url = "https://x.example/" + "".join(dice.choice("ab()[]<>\\ \"'*_&;=%é") for _ in range(dice.randrange(12)))
        found = tokens(f"### {link(title, url)}")
        links = [token for token in found if token.type == "link_open"]
        assert 1 == len(links), (title, url)
        assert one_line(title) == "".join(t.content for t in found if t.type == "text"), (title, url)
        assert not [t for t in found if t.type.startswith("html")], (title, url)
        target = str(links[0].attrs["href"])
        assert target.startswith("https://x.example/"), (title, url)


def test_a_link_without_an_address_is_only_its_text() -> None:
    assert r"a \* b" == link("a * b", None)


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("<p>a*b_c &lt;b&gt; # h</p>", r"a\*b\_c \<b\> \# h"),
        ("<h4>T</h4><p>x</p>", "#### T\n\nx"),
        ("<p>1. x</p><p>- x</p><p># x</p>", "1\\. x\n\n\\- x\n\n\\# x"),
        ("<p>&amp;copy; AT&amp;T</p>", r"\&copy; AT\&T"),
        ("plain *text*", r"plain \*text\*"),
    ],
)
def test_html_becomes_markdown_that_means_the_same(html: str, markdown: str) -> None:
    assert markdown == from_html(html)


@pytest.mark.parametrize("between", ["", "<b>", "<b><i>"])
def test_an_exclamation_mark_before_a_link_makes_no_picture(between: str) -> None:
    found = tokens(from_html(f'<p>Look!{between}<a href="https://x.example/">here</a></p>'))

    assert ["link_open"] == [token.type for token in found if token.type in ("image", "link_open")]


PIECES = ["<p>", "</p>", "<b>", "</b>", "<i>", "<pre>", "</pre>", "<code>", "</code>", "<ul><li>", "</li></ul>", "<h2>", "</h2>",
          "<blockquote>", "</blockquote>", "<br>", "<hr>", '<a href="/x_(y)*z">', "</a>", '<img src="/i.png" alt="a]b">', "<table><tr><td>",
          "</table>", "&lt;b&gt;", "&amp;lt;", "`", "```", "~~~", "    ", "\n", "# ", "1. ", "---", "===", "|", "> ", "*", "_", "[x](y)",
          "<!-- -->", "&lt;!--", "word", "two words", "!", "\\", "<s>", "</s>", "<dl><dt>", "<dd>", "</dl>", "<q>", "<mark>"]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, pytest.param(3, marks=pytest.mark.soak)])
def test_no_html_survives_in_markdown_and_no_link_is_lost(seed: int) -> None:
    dice = random.Random(seed)

    for number in range(400 if seed < 3 else 20_000):
        cleaned = clean_html("".join(dice.choice(PIECES) for _ in range(dice.randrange(25))), base="https://x.example/")
        markdown = from_html(cleaned)
        found = tokens(markdown)
        context = f"{number}: {cleaned!r} → {markdown!r}"
        assert not [t for t in found if t.type.startswith("html")], context
        assert not [t for t in found if t.type == "heading_open" and t.tag in ("h1", "h2")], context
        targets = {str(t.attrs["href"]) for t in found if t.type == "link_open"}
        assert set(Shape(cleaned).links) <= targets, context


@given(st.text(alphabet=AWKWARD, max_size=60))
@settings(max_examples=300)
def test_the_words_of_a_paragraph_are_the_words_of_its_markdown(text: str) -> None:
    cleaned = clean_html("<p>" + text.replace("&", "&amp;").replace("<", "&lt;") + "</p>", base=None)

    assert "".join(html_text(cleaned).split()) == "".join(shown(from_html(cleaned)).split())


@pytest.mark.soak
def test_real_entries_keep_their_words_and_links_and_no_html(corpus: Path) -> None:
    words = kept_words = links = kept_links = 0
    for path in sorted((corpus / "feeds").iterdir()):
        try:
            document = parse(path.read_bytes(), url="https://site.example/feed", content_type=None)
        except (ParseError, IsADirectoryError):
            continue
        for html in {text for entry in document.entries for text in (entry.content, entry.summary) if text}:
            cleaned = clean_html(html, base="https://site.example/")
            markdown = from_html(cleaned)
            assert not [t for t in tokens(markdown) if t.type.startswith("html")], path.name
            rendered = COMMONMARK.render(markdown)
            before, after = (Counter(re.findall(r"\w+", html_text(text))) for text in (cleaned, rendered))
            words += before.total()
            kept_words += (before & after).total()
            there, here = (Counter(map(unquote, Shape(text).links)) for text in (cleaned, rendered))
            links += there.total()
            kept_links += (there & here).total()

    assert words > 100_000
    assert kept_words / words >= 0.999
    assert kept_links / links >= 0.999

"""Plain text out of HTML: excerpts and the text part."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.issues.plaintext import count_words, excerpt, html_text, to_text
from newsletter.issues.sanitize import clean_html


def test_the_words_of_html_stand_on_one_line_with_blanks_between_blocks() -> None:
    assert "One & two three 1 2" == html_text("<p>One &amp; <b>two</b></p><ul><li>three</ul><td>1</td><td>2</td>")
    assert "a<b" == html_text("a&lt;b")


def test_a_short_text_is_its_own_excerpt() -> None:
    assert "One two three." == excerpt("<p>One two three.</p>", 10)


def test_an_excerpt_ends_with_a_sentence_where_one_ends_near() -> None:
    text = "One two three four five. Six seven eight. Nine ten eleven twelve"

    assert "One two three four five. Six seven eight." == excerpt(text, 10)
    assert "One two three four five. Six…" == excerpt(text, 6).replace("five.", "five.") or excerpt(text, 6)


def test_an_excerpt_without_a_sentence_end_says_that_it_goes_on() -> None:
    assert "a b c…" == excerpt("a b c, d e f", 3)


def test_an_excerpt_of_a_script_without_blanks_is_as_long_as_one_with() -> None:
    text = excerpt("東京の新しい橋が開通した" * 40, 60)

    assert 100 <= len(text) <= 122
    assert text.endswith(("…", "。"))


def test_an_excerpt_of_one_endless_word_ends() -> None:
    assert 81 >= len(excerpt("x" * 10_000, 2))


@given(st.text(max_size=300), st.integers(1, 30))
@settings(max_examples=200)
def test_an_excerpt_is_the_beginning_of_the_text_and_never_longer_than_asked(text: str, words: int) -> None:
    html = clean_html(text, base=None)

    found = excerpt(html, words)

    assert html_text(html).startswith(found.removesuffix("…"))
    assert count_words(found) <= words + 1


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>two <b>three</b></p>", "One\n\ntwo three"),
        ("a<br>b", "a\nb"),
        ('<p>See <a href="https://x.example/">this page</a>.</p>', "See this page <https://x.example/>."),
        ('<a href="https://x.example/">https://x.example/</a>', "https://x.example/"),
        ('<a href="mailto:a@example.com">a@example.com</a>', "a@example.com"),
        ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul><p>d</p>", "- a\n- b\n  - c\n\nd"),
        ('<ol start="3"><li>a</li><li>b</li></ol>', "3. a\n4. b"),
        ("<blockquote><p>a</p><p>b</p></blockquote>c", "> a\n\n> b\n\nc"),
        ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc"),
        ("<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>", "a | b\n1 | 2"),
        ("a<hr>b", "a\n\n---\n\nb"),
        ('<p>x<img src="https://x.example/i.png" alt="a map">y</p>', "x[a map]y"),
        ("5 &lt; 6 &amp;amp; <h4>Head</h4>text", "5 < 6 &amp;\n\nHead\n\ntext"),
        ("<ul><li><p>a</p><p>b</p></li><li>c</li></ul>", "- a\n  b\n- c"),
    ],
)
def test_html_reads_well_as_plain_text(html: str, text: str) -> None:
    assert text == to_text(html)


@given(st.text(alphabet="ab <>&;/pulioltdhbr\"'= \n", max_size=200))
@settings(max_examples=300)
def test_no_word_of_any_html_is_missing_in_its_plain_text(soup: str) -> None:
    cleaned = clean_html(soup, base="https://x.example/")

    words = to_text(cleaned)

    for word in html_text(cleaned).split():
        assert word in words

"""A single text of a YAML file is replaced in its own style, and nothing else of the file changes."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from newsletter.yamlfile.locate import CannotEdit
from newsletter.yamlfile.scalars import replace_texts

TEXT = """\
# The papers.
feeds:
  - https://a.example/feed   # the morning one
  - url: "https://b.example/feed"
    title: 'B''s'
  - {url: 'https://c.example/feed', tags: [x, "y"]}
  -   url:   https://d.example/feed

digests: {daily: {feeds: [https://a.example/feed, 'https://b.example/feed']}}
last: |
  url: https://a.example/feed
"""


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (("feeds", 0), "https://a.example/feed   #", "https://n.example/   #"),
        (("feeds", 1, "url"), '"https://b.example/feed"\n', '"https://n.example/"\n'),
        (("feeds", 2, "url"), "'https://c.example/feed'", "'https://n.example/'"),
        (("feeds", 3, "url"), "https://d.example/feed", "https://n.example/"),
        (("digests", "daily", "feeds", 0), "[https://a.example/feed,", "[https://n.example/,"),
        (("digests", "daily", "feeds", 1), "'https://b.example/feed']", "'https://n.example/']"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_one_text_is_replaced_in_its_own_style(path: tuple[str | int, ...], old: str, new: str, newline: str) -> None:
    text = TEXT.replace("\n", newline)

    expected = text.replace(old.replace("\n", newline), new.replace("\n", newline), 1)
    assert expected == replace_texts(text, {path: "https://n.example/"})


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), max_size=20),
        min_size=4,
        max_size=4,
    )
)
def test_whatever_is_written_is_what_is_read(values: list[str]) -> None:
    places: list[tuple[str | int, ...]] = [
        ("feeds", 0),
        ("feeds", 1, "url"),
        ("feeds", 2, "url"),
        ("digests", "daily", "feeds", 1),
    ]
    before = yaml.safe_load(TEXT)

    after = yaml.safe_load(replace_texts(TEXT, dict(zip(places, values, strict=True))))

    assert values == [
        after["feeds"][0],
        after["feeds"][1]["url"],
        after["feeds"][2]["url"],
        after["digests"]["daily"]["feeds"][1],
    ]
    for one in (before, after):
        one["feeds"][0] = one["feeds"][1]["url"] = one["feeds"][2]["url"] = one["digests"]["daily"]["feeds"][1] = None
    assert before == after


@pytest.mark.parametrize("path", [("feeds", 9), ("feeds",), ("nothing",), ("feeds", 0, "url"), ("feeds", "url")])
def test_a_place_that_has_no_text_is_refused(path: tuple[str | int, ...]) -> None:
    with pytest.raises(CannotEdit):
        replace_texts(TEXT, {path: "x"})


def test_nothing_to_do_does_nothing() -> None:
    assert TEXT == replace_texts(TEXT, {})

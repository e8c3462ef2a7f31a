"""JSON Feeds, by the book and otherwise."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import ParseError
from newsletter.feeds.parse import parse
from newsletter.feeds.plain import MAX_ENTRIES
from newsletter.model import Document, Enclosure, Entry

URL = "https://example.com/blog/feed.json"


def read(feed: Any) -> Document:
    return parse(json.dumps(feed).encode(), url=URL, content_type="application/feed+json")


def feed(*items: Any, version: str = "https://jsonfeed.org/version/1.1", **fields: Any) -> dict[str, Any]:
    return {"version": version, "title": "Wire", "items": list(items), **fields}


def only(item: Any) -> Entry:
    [entry] = read(feed(item)).entries
    return entry


def test_version_1_1_in_full() -> None:
    document = read(
        feed(
            {
                "id": "1",
                "url": "rain",
                "title": "Rain &amp; wind",
                "content_html": " <p onclick='x'>It rains</p>\n",
                "summary": "It rains < it pours",
                "image": "/rain.jpg",
                "date_published": "2026-03-02T08:00:00.25+01:00",
                "date_modified": "2026-03-02T10:00:00Z",
                "authors": [{"name": "Ada"}, {"name": "Bo"}],
                "tags": ["weather", "weather", " news "],
                "language": "de",
                "attachments": [{"url": "/a.mp3", "mime_type": "audio/mpeg", "size_in_bytes": 99}],
            },
            home_page_url="https://example.com/",
            language="en",
        )
    )

    assert ("Wire", "https://example.com/", "en") == (document.title, document.home_url, document.language)
    assert (
        Entry(
            guid="1",
            url="https://example.com/blog/rain",
            title="Rain & wind",
            author="Ada, Bo",
            published_at=datetime(2026, 3, 2, 7, 0, 0, 250_000, tzinfo=UTC),
            updated_at=datetime(2026, 3, 2, 10, tzinfo=UTC),
            summary="It rains &lt; it pours",
            content=" <p onclick='x'>It rains</p>\n",
            base_url="https://example.com/blog/rain",
            language="de",
            image="https://example.com/rain.jpg",
            enclosures=(Enclosure(url="https://example.com/a.mp3", media_type="audio/mpeg", length=99),),
            tags=("weather", "news"),
        ),
    ) == document.entries


def test_version_1_0_has_one_author_and_numbers_for_ids() -> None:
    document = read(
        feed(
            {"id": 17, "external_url": "https://example.org/x", "content_text": "one\n\ntwo <3"},
            {"id": 1.5, "author": {"name": "Bo"}},
            version="https://jsonfeed.org/version/1",
            author={"name": "Ada"},
        )
    )

    assert [("17", "Ada", "https://example.org/x"), ("1.5", "Bo", None)] == [
        (entry.guid, entry.author, entry.url) for entry in document.entries
    ]
    assert "<p>one</p>\n<p>two &lt;3</p>" == document.entries[0].content


@pytest.mark.parametrize(
    "version", ["1", "1.0", "1.1", "http://jsonfeed.org/version/1", "https://www.jsonfeed.org/version/1.1/"]
)
def test_versions_as_people_write_them(version: str) -> None:
    assert 1 == len(read(feed({"id": "1"}, version=version)).entries)


@pytest.mark.parametrize("title", ["AT&T", "a < b", "<i>plain</i>", "5 & 6; 7"])
def test_a_plain_title_is_plain(title: str) -> None:
    assert title == only({"id": "1", "title": title}).title


def test_line_ends_inside_strings_are_forgiven() -> None:
    body = b'{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1", "title": "a\nb"}]}'

    assert "a b" == parse(body, url=URL, content_type=None).entries[0].title


def test_half_a_character_does_not_reach_the_database() -> None:
    entry = only(
        {"id": "\ud800x", "title": "\udfff", "content_html": "a\x00b\ud800", "url": "https://example.com/\ud800"}
    )

    for text in (entry.guid, entry.title, entry.content, entry.url or ""):
        assert "\x00" not in text
        text.encode()


def test_a_feed_of_a_million_items_keeps_five_thousand() -> None:
    dated = [{"id": n, "date_published": "2026-03-02T08:00:00Z"} for n in range(10)]
    entries = read(feed(*({} for _ in range(20_000)), *dated)).entries

    assert MAX_ENTRIES == len(entries)
    assert [str(n) for n in range(10)] == [entry.guid for entry in entries[-10:]]


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 100_000, "{" + "9" * 10_000, '{"version": ' + "9" * 10_000 + "}"]
)
def test_json_that_is_a_trap_is_refused(body: str) -> None:
    with pytest.raises(ParseError):
        parse(body.encode(), url=URL, content_type=None)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.just("https://jsonfeed.org/version/1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLAIN_FIELDS = ["id", "url", "external_url", "title", "content_html", "content_text", "summary", "image", "language"]
OTHER_FIELDS = ["banner_image", "date_published", "date_modified", "author", "authors", "tags", "attachments"]


@given(
    st.dictionaries(st.sampled_from(PLAIN_FIELDS + OTHER_FIELDS), VALUES),
    st.dictionaries(st.sampled_from(["title", "home_page_url", "language", "authors", "author", "items"]), VALUES),
)
def test_a_field_of_any_type_harms_nobody(item: dict[str, Any], fields: dict[str, Any]) -> None:
    assert isinstance(read(feed(item) | fields), Document)
    assert isinstance(only(item), Entry)

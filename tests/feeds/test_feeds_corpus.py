"""Real documents: 269 feeds of other projects' test suites, and days of real sources made into feeds."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from newsletter.errors import ParseError
from newsletter.feeds.parse import parse
from newsletter.model import Document
from newsletter.text import one_line
from newsletter.urls import safe_url

#: Documents of the suites that are no feeds, and say so.
NO_FEEDS = {
    "NetNewsWire__Resources__allthis-partial.json",
    "feed-rs__xml__xml_sample_1.xml",
    "feed-rs__xml__xml_sample_2.xml",
    "gofeed__universal__invalid.json",
    "rssparser__input__unrecognized.rss",
}
#: Facts of the suites that mean the same to all of them.
COMPARED = {"entry_count", "feed.title", "title", "link", "published"}


def documents(corpus: Path) -> Iterator[Path]:
    beside = {"INDEX.tsv", "README.md", "facts.jsonl"}
    yield from (path for path in sorted((corpus / "feeds").iterdir()) if path.is_file() and path.name not in beside)


def read(path: Path) -> Document:
    return parse(path.read_bytes(), url="https://feeds.example.com/feed", content_type=None)


def test_every_document_is_a_feed_or_a_reason(corpus: Path) -> None:
    refused, count = set(), 0
    for path in documents(corpus):
        count += 1
        try:
            read(path)
        except ParseError:
            refused.add(path.name)

    assert count >= 260
    assert NO_FEEDS == refused


def test_cut_and_damaged_documents_are_feeds_or_reasons(corpus: Path) -> None:
    outcomes: Counter[str] = Counter()
    for path in documents(corpus):
        body = path.read_bytes()[:4_000]
        middle = len(body) // 2
        for damaged in (body[:middle], body[middle:], body[:middle] + b"\xff\x00&#xZ;<" + body[middle:], body[::-1]):
            try:
                parse(damaged, url="https://feeds.example.com/feed", content_type="text/xml; charset=us-ascii")
                outcomes["feed"] += 1
            except ParseError:
                outcomes["reason"] += 1

    assert outcomes["feed"] > 100
    assert outcomes["reason"] > 100


def found(document: Document, path: str) -> object:
    """What we have for a fact, in the suites' terms."""
    if path == "entry_count":
        return len(document.entries)
    if path == "feed.title":
        return document.title or ""
    number, _, name = path.removeprefix("e.").partition(".")
    if int(number) >= len(document.entries):
        return None
    entry = document.entries[int(number)]
    if name == "published":
        return entry.published_at and entry.published_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return entry.title if name == "title" else entry.url or ""


def agrees(path: str, stated: Any, ours: object) -> bool:
    if isinstance(stated, str) and path.endswith(".link"):
        return ours == (safe_url(stated, "https://feeds.example.com/feed") or "")
    return ours == (one_line(stated) if isinstance(stated, str) else stated)


#: Where we say something else than a suite, and why.
DIFFERENCES = {
    "feed-rs__jsonfeed__jsonfeed_elastic_1.1.json": "a title is plain text: references in it are resolved",
    "feedparser__wellformed__atom__entry_title_inline_markup_2.xml": "a title is plain text: without its mark-up",
    "feedparser__wellformed__atom__feed_title_escaped_markup.xml": "a title is plain text: without its mark-up",
    "feedparser__wellformed__atom__feed_title_naked_markup.xml": "a title is plain text: without its mark-up",
    "feedparser__wellformed__base__http_feed_title_inline_base_content_location.xml": "a title is plain text",
    "reader__data__relative.atom": "the suite reads it from another address, which the relative link counts from",
    "rssparser__input__uolNoticias.rss": "the suite read Latin-1 as UTF-8 and lost its accents",
}


def test_the_suites_agree_with_us(corpus: Path) -> None:
    """But where `DIFFERENCES` says why not, and there nothing is listed that agrees."""
    same, other, differing = 0, [], set()
    for line in (corpus / "feeds" / "facts.jsonl").read_text(encoding="utf-8").splitlines():
        stated = json.loads(line)
        if stated["file"] in NO_FEEDS:
            continue
        document = read(corpus / "feeds" / stated["file"])
        for path, value in stated["facts"]:
            if (path if path.startswith("feed.") else path.split(".")[-1]) not in COMPARED:
                continue
            ours = found(document, path)
            if agrees(path, value, ours):
                same += 1
            elif stated["file"] in DIFFERENCES:
                differing.add(stated["file"])
            else:
                other.append(f"{stated['file']} {path}: {value!r}, ours {ours!r}")

    assert same >= 700
    assert [] == other
    assert DIFFERENCES.keys() == differing


@pytest.mark.parametrize("form", ["rss", "atom", "json"])
@pytest.mark.parametrize("day", ["001_*.json", "002_*.json", "004_*.json"])
def test_a_real_day_comes_through_whole(corpus: Path, form: str, day: str) -> None:
    """Titles, links and dates are the day's, and descriptions to the last byte."""
    [path] = (corpus / "digests").glob(day)
    script = corpus / "scripts" / "json_day_to_feed.py"
    feed = subprocess.run(
        [sys.executable, str(script), str(path), "--format", form, "--order", "asis"], capture_output=True, check=True
    )
    data = json.loads(path.read_text(encoding="utf-8"))
    expected = data if isinstance(data, list) else data["entries"]

    document = parse(feed.stdout, url="https://feeds.example.com/feed", content_type="text/xml")

    assert [e["description"] or "" for e in expected] == [e.content or e.summary for e in document.entries]
    assert [" ".join(e["title"].split()) for e in expected] == [entry.title for entry in document.entries]
    assert [e["link"] for e in expected] == [entry.url for entry in document.entries]
    assert [e["date_published"].replace(" ", "T") for e in expected] == [
        entry.published_at and entry.published_at.isoformat() for entry in document.entries
    ]
    if day.startswith("001"):
        assert ("The Moscow Times - Independent News From Russia", "en-us") == (document.title, document.language)

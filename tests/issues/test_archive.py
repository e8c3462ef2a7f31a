"""The archive form, held against files that people have published."""

import csv
import importlib
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt

from newsletter.feeds.parse import parse
from newsletter.issues.archive import archive_files, archive_json, archive_markdown
from newsletter.issues.plaintext import html_text
from newsletter.model import StoredEntry
from tests.issues.samples import GAZETTE, NOW, entry, project

SEEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def tools(corpus: Path) -> tuple[ModuleType, ModuleType, ModuleType]:
    """The corpus's own scripts: digestlib, compare_digest, json_day_to_feed."""
    sys.path.insert(0, str(corpus / "scripts"))
    try:
        names = ("digestlib", "compare_digest", "json_day_to_feed")
        lib, compare, to_feed = (importlib.import_module(name) for name in names)
    finally:
        sys.path.remove(str(corpus / "scripts"))
    return lib, compare, to_feed


def produced(lib: ModuleType, to_feed: ModuleType, day: Path, form: str) -> tuple[str, str]:
    """A published day as a feed, parsed and archived by us; and the published file."""
    entries, _ = lib.load_json(str(day))
    published = lib.read_text(str(day.with_suffix(".md")))
    channel = {key: lib.parse_md(published)[key] for key in ("title", "url", "language")}
    entries = sorted(entries, key=lambda e: e.get("date_published") or "")
    body = {"atom": to_feed.atom, "json": to_feed.jsonfeed, "rss": to_feed.rss}[form](channel, entries)
    document = parse(body.encode(), url=channel["url"], content_type=None)
    stored = [
        StoredEntry(id=number, feed_url=channel["url"], entry=found, first_seen_at=SEEN)
        for number, found in enumerate(document.entries)
    ]
    return archive_markdown(document.title or "", channel["url"], document.language, stored), published


@pytest.mark.parametrize("form", ["rss", "atom", "json"])
def test_the_sample_day_comes_out_as_published(corpus: Path, tools: Any, form: str) -> None:
    lib, _, to_feed = tools
    day = next((corpus / "digests").glob("001_*.json"))

    ours, published = produced(lib, to_feed, day, form)

    literal = re.sub(r"^ - RSS feed: .*$", " - RSS feed: $source", ours, flags=re.MULTILINE)
    assert published == literal
    seed = next((corpus.parent / "seed").glob("*.txt"))
    assert seed.read_text(encoding="utf-8") == literal


@pytest.mark.parametrize("form", [pytest.param("atom", marks=pytest.mark.soak), "json"])
def test_published_days_of_the_current_form_come_out_the_same(corpus: Path, tools: Any, form: str) -> None:
    lib, compare, to_feed = tools
    with (corpus / "digests" / "INDEX.tsv").open(encoding="utf-8") as file:
        rows = [
            row
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if row["entry_variant"] == "V6-plain" and row["header"] == "H3"
        ]
    different = {}
    for row in rows:
        ours, published = produced(lib, to_feed, corpus / "digests" / row["json"], form)
        result = compare.compare(ours, published)
        wrong = [key for key in ("title", "link", "date_published") if result[key][2]]
        if result["missing"] or result["extra"] or not result["order"] or result["header"] == "no" or wrong:
            different[row["json"][:3]] = compare.line(row["json"], result)
        unexplained(lib, compare, ours, published)

    assert 59 == len(rows)
    # 011 has an entry without a title ("None"), 033 a blank within a link, 034 links that only an app can open.
    assert {"011", "033", "034"} == different.keys(), "\n".join(different.values())


def unexplained(lib: ModuleType, compare: ModuleType, ours: str, published: str) -> None:
    """Fail on a description that differs in more than what cleaning does."""
    theirs = {e["link"]: e["description"] for e in lib.parse_md(published)["entries"]}
    for found in lib.parse_md(ours)["entries"]:
        real = theirs.get(found["link"])
        if real is None or compare.loose("description", real) == compare.loose("description", found["description"]):
            continue
        if real == "None" or (not found["description"] and not real):
            continue  # what is missing stays missing
        if "\n## " in found["description"]:
            continue  # an entry without a link, which the script does not see as one
        assert re.search(r"<[a-zA-Z/!]", real), f"plain text has changed: {real!r}"
        # Left out: a tag cut off at the end, and what a player's or a video's tag said; put in: its link.
        expected = re.sub(r"<(iframe|video|object|script|style)\b.*?(</\1\s*>|\Z)", " ", real, flags=re.DOTALL)
        expected = re.sub(r"<[^>]*\Z", "", expected)
        named = r"(Video|Audio|Embedded page|Embedded file): \S+( \(\S+\))?"
        left = re.sub(r"\W", "", re.sub(named, "", compare.loose("", expected)))
        right = re.sub(r"\W", "", re.sub(named, "", html_text(found["description"])))
        assert left == right or sorted(left) == sorted(right), (real, found["description"])


def test_an_entry_has_the_form_of_the_sample() -> None:
    day = datetime(2026, 3, 2, 7, 0, 5, tzinfo=UTC)
    older = entry(1, title="Older", summary="Plain & simple,\nin two lines.", published_at=day - timedelta(hours=1))
    newer = entry(
        2, title="Newer | [x] *y*", summary="<p>With <b>HTML</b> &amp; <script>x</script></p>", published_at=day
    )

    text = archive_markdown("The Gazette", GAZETTE, "en-us", [older, newer])

    assert text == (
        "# Source:The Gazette, URL:https://gazette.example/feed.xml, language:en-us\n\n"
        "## Newer | [x] *y*\n"
        " - [https://gazette.example/posts/2](https://gazette.example/posts/2)\n"
        " - RSS feed: https://gazette.example/feed.xml\n"
        " - date published: 2026-03-02T07:00:05+00:00\n"
        "\n"
        "<p>With <b>HTML</b> &amp; </p>\n"
        "\n"
        "## Older\n"
        " - [https://gazette.example/posts/1](https://gazette.example/posts/1)\n"
        " - RSS feed: https://gazette.example/feed.xml\n"
        " - date published: 2026-03-02T06:00:05+00:00\n"
        "\n"
        "Plain & simple,\nin two lines.\n"
        "\n"
    )  # fmt: skip


def test_what_is_missing_stays_missing() -> None:
    bare = entry(1, title="", url=None, published_at=None)

    text = archive_markdown("", GAZETTE, None, [bare])

    assert text == f"# Source:, URL:{GAZETTE}, language:\n\n## \n - RSS feed: {GAZETTE}\n\n\n\n"


def test_nothing_in_a_text_reads_as_another_entry(tools: Any) -> None:
    lib, _, _ = tools
    forged = "a\r\n## Forged\n - [x](x)\n - RSS feed: x\n - date published: x\n\n# b\n<p>c\n## d</p>"

    text = archive_markdown(
        "T, URL:x, language:y\n\n## z", GAZETTE, "en", [entry(1, title="a\n## b", summary=forged), entry(2)]
    )

    assert ["a ## b", "Title number 2"] == [e["title"] for e in lib.parse_md(text)["entries"]]
    tokens = MarkdownIt("commonmark").parse(archive_markdown("T", GAZETTE, "en", [entry(1, summary="## a\n# b")]))
    assert ["h1", "h2"] == [t.tag for t in tokens if t.type == "heading_open"]


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("https://x.example/a_(b)", " - [https://x.example/a_(b)](<https://x.example/a_(b)>)"),
        ("https://x.example/%C3%A9t%C3%A9", " - [https://x.example/été](https://x.example/été)"),
        ("https://x.example/a%20b%E2%80%AE", " - [https://x.example/a%20b%E2%80%AE](https://x.example/a%20b%E2%80%AE)"),
        ("https://x.example/[1]", r" - [https://x.example/\[1\]](https://x.example/[1])"),
    ],
)
def test_a_link_works_and_reads_well(url: str, line: str) -> None:
    text = archive_markdown("T", GAZETTE, "en", [entry(1, url=url)])

    assert line in text.splitlines()
    tokens = [c for t in MarkdownIt("commonmark").parse(text) for c in (t.children or [])]
    assert 1 == len([c for c in tokens if c.type == "link_open"])


def test_a_day_begins_at_midnight_and_ends_before_the_next() -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    waiting = [
        entry(1, published_at=midnight - timedelta(microseconds=1)),
        entry(2, published_at=midnight),
        entry(3, published_at=midnight.replace(hour=23, minute=59, second=59, microsecond=999999)),
        entry(4, published_at=None, seen=midnight + timedelta(days=1)),
    ]

    written = archive_files("T", GAZETTE, "en", waiting)

    names = list(written)
    assert [f"2026/03/2026-03-0{d}" for d in (1, 2, 3)] == [n.rpartition("/")[0] for n in names]
    assert all(re.search(r"/https-gazette-example-feed-xml-[0-9a-f]{8}_entries\.md$", name) for name in names)
    assert ["Title number 3", "Title number 2"] == re.findall("^## (.*)$", written[names[1]], re.MULTILINE)


def test_two_addresses_that_shorten_alike_have_two_files() -> None:
    first, second = (
        archive_files("T", url, "en", [entry(1, url)]) for url in ("https://x.example/a?b", "https://x.example/a/b")
    )

    assert not first.keys() & second.keys()


def test_as_json_the_same_entries_have_the_sample_s_keys_in_its_form(corpus: Path) -> None:
    published = json.loads((corpus / "digests" / "001_2025-02-23_themoscowtimes-com-rss-news.json").read_text("utf-8"))
    hostile = entry(1, summary="<p onclick=x>Ä</p><script>alert(1)</script>", published_at=NOW)

    text = archive_json(GAZETTE, "en-us", [hostile, entry(2, published_at=NOW + timedelta(hours=1))])

    rows = json.loads(text)
    assert ["Title number 2", "Title number 1"] == [row["title"] for row in rows]
    assert rows[0].keys() <= published[0].keys()
    assert (GAZETTE, "en-us") == (rows[0]["source_url"], rows[0]["language"])
    assert "<p>Ä</p>" == rows[1]["description"]
    assert text.isascii()
    assert text.startswith('[\n    {\n        "author": ')


def test_a_project_may_have_a_form_of_its_own(tmp_path: Path) -> None:
    templates = project(tmp_path, archive_md="{% for e in entries %}* {{ e.title }}\n{% endfor %}")

    assert "* Title number 1\n" == archive_markdown("T", GAZETTE, "en", [entry(1)], templates=templates)


def test_the_same_entries_make_the_same_file_in_any_order() -> None:
    rows = [entry(n, published_at=NOW) for n in range(5)]

    assert archive_markdown("T", GAZETTE, "en", rows) == archive_markdown("T", GAZETTE, "en", rows[::-1])

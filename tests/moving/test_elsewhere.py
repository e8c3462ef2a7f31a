"""How entries are matched with what another tool had sent."""

import warnings
from collections import Counter
from datetime import timedelta
from hashlib import sha1
from io import BytesIO
from pathlib import Path
from typing import Any

import feedparser
import pytest

from newsletter.errors import ParseError
from newsletter.feeds.cleaned import cleaned
from newsletter.feeds.elsewhere import text_sums
from newsletter.feeds.identity import decide
from newsletter.feeds.keys import seen_keys, text_sum
from newsletter.feeds.parse import parse
from newsletter.model import Decision, Document, Entry, KnownFeed
from tests.conftest import START
from tests.feeds.book import document


def moved(read: Document, *identities: str, tool: str = "rss2email", before: bool = False) -> Decision:
    """What is decided about a document of which a tool had sent these."""
    keys = {key: tool for one in identities for key in seen_keys(one)}
    known = KnownFeed(
        fetched_before=before,
        keys={},
        entries={},
        recent=(),
        last_success_at=START - timedelta(days=1) if before else None,
        new_per_day=None,
        elsewhere=keys,
        moved_from=tool,
    )
    return decide(read, known, now=START)


def entry(number: int, **fields: Any) -> Entry:
    values = {"guid": f"g{number}", "url": f"https://example.com/{number}", "title": f"T{number}", "position": number}
    return Entry(**{**values, **fields})


def sent(decision: Decision) -> list[str]:
    return [one.entry.title for one in decision.sightings if one.skipped]


@pytest.mark.parametrize(
    "identity",
    ["g1", " g1 ", "https://example.com/1", "http://www.example.com/1/?utm_source=r2e"],
)
def test_an_entry_was_sent_if_its_guid_or_link_is_remembered(identity: str) -> None:
    decision = moved(document(entry(1), entry(2)), identity)

    assert (["T1"], True, None) == (sent(decision), decision.goes_on, decision.warning)


def test_a_link_that_several_entries_share_tells_nothing() -> None:
    page = "https://example.com/all"
    decision = moved(document(entry(1, url=page), entry(2, url=page), entry(3)), page, "g3")

    assert ["T3"] == sent(decision)


def test_later_only_what_is_remembered_is_left_out_and_nothing_is_held() -> None:
    decision = moved(document(entry(1), entry(2)), "g9", before=True)

    assert ([], False, None) == (sent(decision), decision.goes_on, decision.warning)
    assert [False, False] == [one.held for one in decision.sightings]


def test_an_empty_document_is_no_riddle() -> None:
    assert None is moved(document(), "g1").warning


def test_a_text_is_known_by_its_sum_as_it_is_and_as_feedparser_cleans_it() -> None:
    html = "<p onclick='x()'>One &amp; <a href='/two'>two</a><script>three</script></p>"
    one = Entry(guid="", url=None, title="", summary=html, base_url="https://example.com/rss")
    clean = '<p>One &amp; <a href="https://example.com/two">two</a></p>'

    assert [clean] == cleaned([(html, "https://example.com/rss")])
    assert {text_sum(html), text_sum(clean)} <= text_sums([one])[0]
    assert frozenset() == text_sums([Entry(guid="g", url=None, title="", summary=html)])[0]
    assert text_sum("") in text_sums([Entry(guid="", url=None, title="")])[0]


def test_texts_that_are_too_long_are_passed_over() -> None:
    assert ["a", "", "b"] == cleaned([("a", ""), ("x" * 20_001, ""), ("b", "")])
    assert 20 == sum(map(bool, cleaned([("x" * 20_000, "")] * 30)))


@pytest.mark.soak
def test_nearly_all_of_real_feeds_is_recognised_by_rss2email_s_rule(corpus: Path) -> None:
    """Its rule as documented: the id, else a SHA-1 of the best content after feedparser has cleaned it, else link or title."""
    found: Counter[str] = Counter()
    for path in sorted((corpus / "feeds").rglob("*")):
        if path.suffix not in (".xml", ".rss", ".atom", ".rdf") or path.stat().st_size > 600_000:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read = parse(path.read_bytes(), url="https://example.com/feed", content_type=None)
                theirs = feedparser.parse(BytesIO(path.read_bytes())).entries
            except (ParseError, Exception):  # noqa: BLE001 - feedparser raises what it likes
                continue
            if not read.entries or not theirs:
                continue
            decision = moved(read, *map(_identity, theirs))
        found["entries"] += len(decision.sightings)
        found["recognised"] += len(sent(decision))
        found["held"] += sum(one.held for one in decision.sightings)

    assert found["entries"] > 900
    assert found["recognised"] >= 0.97 * found["entries"]
    assert found["entries"] - found["recognised"] - found["held"] <= 0.015 * found["entries"]


def _identity(item: Any) -> str:
    if item.get("id"):
        return str(item["id"])
    contents = [*item.get("content", []), *([item["summary_detail"]] if item.get("summary_detail") else [])]
    kinds = ("text/plain", "text/html", "application/xhtml+xml")
    best = next((one["value"] for kind in kinds for one in contents if one["type"] == kind), "")
    text = best.strip() or item.get("link") or item.get("title") or ""
    return sha1(text.encode("unicode-escape")).hexdigest()

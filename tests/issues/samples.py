"""Entries, drafts and readers for the tests of the issues wing."""

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from newsletter.issues.digest import DigestRules, build
from newsletter.issues.render import Masthead, Templates
from newsletter.model import Draft, Entry, Feed, FeedHealth, FeedStatus, Rule, StoredEntry, Subscriber

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
GAZETTE = "https://gazette.example/feed.xml"
GARDEN = "https://garden.example/atom"
HEBREW = "https://hebrew.example/rss"
RULES = DigestRules(name="daily", title="The Morning Wire", language="en")
FEEDS = (Feed(url=GAZETTE, title="The Gazette"), Feed(url=GARDEN, title="Slow Garden"), Feed(url=HEBREW))
MASTHEAD = Masthead(
    title="The Morning Wire",
    language="en-GB",
    timezone="Europe/Berlin",
    from_email="wire@example.com",
    digest_name="daily",
    digest_title="The Morning Wire",
    base_url="https://wire.example.com",
    postal_address="1 Example Street, Berlin",
)


def entry(number: int, feed: str = GAZETTE, *, seen: datetime = NOW, **fields: Any) -> StoredEntry:
    """A stored entry; the greater its number, the older it is."""
    fields.setdefault("title", f"Title number {number}")
    fields.setdefault("url", f"{feed.rpartition('/')[0]}/posts/{number}")
    fields.setdefault("published_at", NOW - timedelta(hours=number))
    return StoredEntry(
        id=number, feed_url=feed, entry=Entry(guid=f"g{number}", position=number, **fields), first_seen_at=seen
    )


def rules_of(*patterns: str, **named: str) -> tuple[Rule, ...]:
    """The rules of a feed, as a project writes them: without names, or with."""
    return tuple(
        Rule(name=name, pattern=pattern) for name, pattern in [*((text, text) for text in patterns), *named.items()]
    )


def health(url: str, **fields: Any) -> FeedHealth:
    """What the store knows of a healthy feed."""
    known: dict[str, Any] = {
        "title": None,
        "home_url": None,
        "language": None,
        "status": FeedStatus.ok,
        "entries": 1,
        "held": 0,
        "failures": 0,
        "last_error": None,
        "last_hint": None,
        "last_success_at": None,
        "last_attempt_at": None,
    }
    return FeedHealth(url=url, **{**known, **fields})


def draft_of(
    waiting: Iterable[StoredEntry],
    *,
    rules: DigestRules = RULES,
    feeds: Sequence[Feed] = FEEDS,
    edited: Sequence[StoredEntry] = (),
    known: Iterable[FeedHealth] = (),
    number: int = 12,
    note: str = "",
) -> Draft:
    """A draft of these entries."""
    return build(rules, feeds, {h.url: h for h in known}, list(waiting), edited, number=number, now=NOW, note=note)


def reader(name: str = "Ada Lovelace", email: str = "ada@example.com", **attributes: str) -> Subscriber:
    """A subscriber."""
    return Subscriber(email=email, wire_email=email, key=email.lower(), name=name, attributes=attributes)


def project(folder: Path, **files: str) -> Templates:
    """The templates of a project that overrides some: `issue_html` stands for `issue.html.j2`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / (name.replace("_", ".") + ".j2")).write_text(text, encoding="utf-8")
    return Templates([folder])


class Shape(HTMLParser):
    """What a second, independent parser finds in some HTML: tags, attributes, comments, text, depth."""

    VOID = frozenset(("br", "hr", "img", "wbr", "meta", "link", "input"))

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.comments: list[str] = []
        self.words = ""
        self.depth = self.deepest = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in self.VOID:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            self.depth -= 1

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_decl(self, decl: str) -> None:
        self.comments.append(decl)

    def handle_pi(self, data: str) -> None:
        self.comments.append(data)

    def unknown_decl(self, data: str) -> None:
        self.comments.append(data)

    @property
    def links(self) -> list[str]:
        return [attrs["href"] for tag, attrs in self.tags if tag == "a" and "href" in attrs]


def squeezed(text: str) -> str:
    """Text with all white space as single blanks, entities decoded."""
    return " ".join(html.unescape(text).split())

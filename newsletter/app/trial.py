"""A look at a feed without consequences: what it holds, and what the project's rules make of it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from newsletter.app.edit import look_at, look_into
from newsletter.app.project import App
from newsletter.errors import UsageError
from newsletter.feeds.discover import address_of
from newsletter.issues.filters import Filters, Hit, Kind
from newsletter.model import Feed, Rule, SlowRule
from newsletter.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedRule:
    """A rule of the feed, and how many entries it hits."""

    kind: Kind
    name: str
    pattern: str
    hits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedEntry:
    """One entry; `why` names the rule that decides, if the feed has any.

    `hits` are those of all rules, `late` the rules that ran out of time.
    """

    title: str
    url: str | None
    published_at: datetime | None
    passes: bool
    why: str
    hits: tuple[Hit, ...]
    late: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedFeed:
    """A feed as it is now, its entries in the order of the document; `slow_rules` ran out of time on some."""

    url: str
    title: str
    language: str | None
    in_project: bool
    rules: tuple[TriedRule, ...]
    slow_rules: tuple[SlowRule, ...]
    entries: tuple[TriedEntry, ...]


async def try_feed(app: App, which: str, *, body: BinaryIO | None = None) -> TriedFeed:
    """Fetch and parse a feed, of the project or not, and try its rules; records nothing.

    Args:
        app: the project.
        which: a feed's title or address; one that is not in the project is tried without rules.
        body: where the feed is read from, in place of its address.

    Raises:
        FetchError, ParseError: there is no feed.
    """
    try:
        feed, in_project = app.config.feed(which), True
    except UsageError:
        # What is neither an address nor a file was meant for a title.
        if body is None and "://" not in which and "/" not in which and "." not in which:
            raise
        feed, in_project = Feed(url=address_of(which) or which), False
    document = await (look_at(app, feed) if body is None else look_into(app, feed, body))
    filters = Filters(app.clock.monotonic)
    entries = []
    for entry in document.entries:
        found = filters.judge(entry, feed, all_rules=True)
        entries.append(
            TriedEntry(
                title=one_line(entry.title, 200) or entry.url or "(no title)",
                url=entry.url,
                published_at=entry.published_at,
                passes=found.passes,
                why=found.why,
                hits=found.hits,
                late=found.late,
            )
        )
    return TriedFeed(
        url=feed.url,
        title=one_line(feed.title or document.title or feed.url, 200),
        language=feed.language or document.language,
        in_project=in_project,
        rules=tuple(_tried(feed, entries)),
        slow_rules=filters.slow,
        entries=tuple(entries),
    )


def _tried(feed: Feed, entries: Sequence[TriedEntry]) -> Iterator[TriedRule]:
    hits = Counter((hit.kind, hit.rule) for entry in entries for hit in entry.hits)
    kinds: tuple[tuple[Kind, tuple[Rule, ...]], ...] = (("exclude", feed.exclude), ("include", feed.include))
    for kind, rules in kinds:
        for rule in rules:
            yield TriedRule(kind=kind, name=rule.name, pattern=rule.pattern, hits=hits[kind, rule])

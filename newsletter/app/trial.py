"""A look at a feed without consequences: what it holds, and what the project's rules make of it."""

from dataclasses import dataclass
from datetime import datetime

from newsletter.app.edit import look_at
from newsletter.app.project import App
from newsletter.errors import UsageError
from newsletter.issues.digest import filtered
from newsletter.model import Feed
from newsletter.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedEntry:
    """One entry; `why` names the rule that decides, if the feed has any."""

    title: str
    url: str | None
    published_at: datetime | None
    passes: bool
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedFeed:
    """A feed as it is now, its entries in the order of the document."""

    url: str
    title: str
    language: str | None
    in_project: bool
    entries: tuple[TriedEntry, ...]


async def try_feed(app: App, which: str) -> TriedFeed:
    """Fetch and parse a feed, of the project or not, and try its rules; records nothing.

    Args:
        app: the project.
        which: a feed's title or address; one that is not in the project is tried without rules.

    Raises:
        FetchError, ParseError: there is no feed.
    """
    try:
        feed, in_project = app.config.feed(which), True
    except UsageError:
        # What is neither an address nor a file was meant for a title.
        if "://" not in which and "/" not in which and "." not in which:
            raise
        feed, in_project = Feed(url=which), False
    document = await look_at(app, feed)
    entries = []
    for entry in document.entries:
        found = filtered(entry, feed)
        entries.append(
            TriedEntry(
                title=one_line(entry.title, 200) or entry.url or "(no title)",
                url=entry.url,
                published_at=entry.published_at,
                passes=found.passes,
                why=found.why,
            )
        )
    return TriedFeed(
        url=feed.url,
        title=one_line(feed.title or document.title or feed.url, 200),
        language=feed.language or document.language,
        in_project=in_project,
        entries=tuple(entries),
    )

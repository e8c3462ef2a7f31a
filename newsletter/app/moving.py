"""Feeds from lists and from other tools, with what those had sent; and the project's feeds as a list."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newsletter.app.project import App
from newsletter.config import Added, NewFeed, add_feeds
from newsletter.config.project import shown_url
from newsletter.errors import ParseError, UsageError
from newsletter.feeds.elsewhere import text_sums
from newsletter.feeds.identity import keys_of
from newsletter.feeds.keys import foreign_keys, seen_keys
from newsletter.feeds.moving import goeland, matcha, rss2email
from newsletter.feeds.moving.brought import Brought, read
from newsletter.feeds.opml import Subscription, read_opml, write_opml
from newsletter.model import Document, Entry
from newsletter.store import Store

#: The tools whose files can be read.
TOOLS: Final = ("rss2email", "goeland", "matcha", "opml")
_READERS = {"rss2email": rss2email.bring, "goeland": goeland.bring, "matcha": matcha.bring}
_NO_DOCUMENT = Document(title=None, home_url=None, language=None, entries=())


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedMoved:
    """One feed of a list: what became of it (`added`, `there already`, `refused`), and what is known as sent.

    `sent` is how many entries the tool remembers; `known` how many of those are
    in the project's memory already; `why` says why it was refused, or what it is the same as.
    """

    url: str
    title: str | None
    tags: tuple[str, ...]
    line: int | None
    became: str
    why: str
    sent: int
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What coming from another tool brought; `rule` says how the tool knew its entries, `remarks` what stayed behind."""

    tool: str
    rule: str
    feeds: tuple[FeedMoved, ...]
    sent_anywhere: int
    remarks: tuple[str, ...]
    dry_run: bool

    def number(self, became: str) -> int:
        """How many feeds became that."""
        return sum(1 for feed in self.feeds if feed.became == became)


def import_opml(app: App, path: Path, *, dry_run: bool, allow_private: bool = False) -> Moved:
    """Add the feeds of an OPML file to newsletter.yaml; `allow_private` lets them be on this machine.

    Raises:
        UsageError: the file cannot be read, is no OPML, or names no feeds; nothing has changed.
    """
    return _take(app, _from_opml(path), dry_run=dry_run, allow_private=allow_private)


def import_from(
    app: App,
    tool: str,
    path: Path,
    *,
    seen: Path | None,
    feeds_only: bool,
    dry_run: bool,
    allow_private: bool = False,
) -> Moved:
    """Bring feeds from another tool, and what it had sent, so that no issue sends it again.

    Args:
        app: the project.
        tool: one of `TOOLS`.
        path: the tool's configuration, or its folder.
        seen: where it keeps what it sent, if not in its usual place.
        feeds_only: bring the feeds as new ones.
        dry_run: change nothing.
        allow_private: let the feeds be on this machine or a private network.

    Raises:
        UsageError: there is no such tool, or its files cannot be read; nothing has changed.
    """
    if tool == "opml":
        return import_opml(app, path, dry_run=dry_run, allow_private=allow_private)
    reader = _READERS.get(tool)
    if reader is None:
        raise UsageError(f"there is no way here from {tool}", hint=f"there is one from {', '.join(TOOLS)}")
    if not path.exists():
        raise UsageError(f"{path} cannot be read: there is no such file or folder")
    brought = reader(path, seen, feeds_only=feeds_only)
    return _take(app, brought, dry_run=dry_run, allow_private=allow_private)


def export_opml(app: App) -> str:
    """The project's feeds as OPML 2.0, with the titles and sites that are known."""
    known = app.store.feed_health([feed.url for feed in app.config.feeds]) if Store.exists(app.config.store) else []
    return write_opml(
        app.config.title,
        app.config.feeds,
        titles={one.url: one.title for one in known if one.title},
        pages={one.url: one.home_url for one in known if one.home_url},
    )


def _from_opml(path: Path) -> Brought:
    try:
        found = read_opml(read(path))
    except ParseError as error:
        raise UsageError(f"{path} {error.message}", hint=error.hint) from error
    if not found.feeds and not found.remarks:
        raise UsageError(f"{path} names no feeds: no outline in it has an xmlUrl")
    return Brought(tool="opml", rule="", feeds=found.feeds, remarks=found.remarks)


def _take(app: App, brought: Brought, *, dry_run: bool, allow_private: bool) -> Moved:
    wanted = [
        NewFeed(url=one.url, title=one.title, tags=one.tags, allow_private=allow_private) for one in brought.feeds
    ]
    plan = add_feeds(app.config, wanted, dry_run=True)
    known: Mapping[str, int] = {}
    if not dry_run:
        # First what was sent: should this end halfway, no feed is here without it.
        known = _remember(app, brought, plan)
        plan = add_feeds(app.config, wanted)
    return Moved(
        tool=brought.tool,
        rule=brought.rule,
        feeds=tuple(_became(index, one, plan, brought, known) for index, one in enumerate(brought.feeds)),
        sent_anywhere=len(brought.sent_anywhere),
        remarks=tuple(f"line {one.line}: {one.text}" if one.line else one.text for one in brought.remarks),
        dry_run=dry_run,
    )


def _remember(app: App, brought: Brought, plan: Added) -> Mapping[str, int]:
    here = plan.added | plan.known
    keys = {
        here[index].url: _keys(brought.sent[one.url])
        for index, one in enumerate(brought.feeds)
        if index in here and one.url in brought.sent
    }
    if not keys:
        return {}
    return app.store.remember_sent(brought.tool, keys, anywhere=_keys(brought.sent_anywhere), keys_of=_keys_of)


def _keys(identities: Iterable[str]) -> frozenset[str]:
    return frozenset(key for identity in identities for key in seen_keys(identity))


def _keys_of(entry: Entry) -> frozenset[str]:
    return frozenset((*keys_of(entry, _NO_DOCUMENT), *foreign_keys(entry), *text_sums([entry])[0]))


def _became(index: int, one: Subscription, plan: Added, brought: Brought, known: Mapping[str, int]) -> FeedMoved:
    feed = plan.added.get(index) or plan.known.get(index)
    if index in plan.added:
        became, why = "added", ""
    elif feed is not None:
        became = "there already"
        why = "" if feed.url == one.url else f"as {shown_url(feed.url)}"
    else:
        became, why = "refused", plan.refused[index]
    return FeedMoved(
        url=one.url,
        title=one.title,
        tags=one.tags,
        line=one.line,
        became=became,
        why=why,
        sent=len(brought.sent.get(one.url, ())),
        known=known.get(feed.url, 0) if feed is not None else 0,
    )

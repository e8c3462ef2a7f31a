"""Which entry, issue or feed the words of `explain` are meant for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from newsletter.app.project import App
from newsletter.app.why.entries import EntryExplained, explain_entry
from newsletter.app.why.feeds import FeedExplained, explain_feed
from newsletter.app.why.issues import IssueExplained, explain_issue
from newsletter.config.project import shown_url
from newsletter.errors import UsageError
from newsletter.feeds.keys import seen_keys
from newsletter.model import Feed
from newsletter.text import fold, one_line
from newsletter.urls import canonical_url

#: How many entries are explained at once, and how many are named where the words fit more.
_EXPLAINED: Final = 5
_NAMED: Final = 20
_NEAREST: Final = 3
_ISSUE = re.compile(r"(?:(?P<digest>[a-z][a-z0-9_-]{0,39})[/ ])?#?(?P<number>[0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryName:
    """An entry that the words fit, for choosing one."""

    title: str
    url: str | None
    feed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Several:
    """More entries fit than are explained at once; `total` is how many."""

    total: int
    entries: tuple[EntryName, ...]


Found = IssueExplained | FeedExplained | tuple[EntryExplained, ...] | Several


def is_person(what: str) -> bool:
    """Whether the words can only be meant for a person's address."""
    return "@" in what and not re.search(r"[/\s]", what.strip())


def explain_thing(app: App, what: str) -> Found:
    """Explain an entry, an issue or a feed; changes nothing.

    Args:
        app: the project.
        what: an issue's number (`12`, `daily/12`); a feed's address, title or file; an
            entry's address, its guid, or words of its title.

    Raises:
        UsageError: there is no such thing; the hint names what comes nearest.
    """
    what = what.strip()
    if not what:
        raise UsageError("nothing is named", hint="newsletter explain EMAIL, ENTRY, ISSUE or FEED")
    no_issue = None
    if (found := _ISSUE.fullmatch(what)) is not None and _is_digest(app, found["digest"]):
        try:
            return explain_issue(app, int(found["number"]), found["digest"])
        except UsageError as error:
            # A year may be a title.
            no_issue = error
    if what in app.config.digest_names:
        last = app.store.next_number(what) - 1
        hint = f"newsletter explain {what}/{last} tells of its last issue" if last else "it has no issue yet"
        raise UsageError(f"{what} is a digest: name one of its issues", hint=hint)
    if (feed := _feed(app, what)) is not None:
        return explain_feed(app, feed)
    ids = app.store.entries_known_by(what, [*seen_keys(what), *_link_keys(what)])
    if not ids:
        titles = app.store.entry_titles()
        wanted = fold(what)
        folded = [(id_, fold(title)) for id_, title in titles]
        ids = [id_ for id_, title in folded if title == wanted]
        ids = ids or [id_ for id_, title in folded if wanted in title]
        ids = ids or [id_ for id_, title in folded if all(word in title for word in wanted.split())]
        if not ids or (no_issue is not None and not any(title == wanted for _, title in folded)):
            raise no_issue or _unknown(app, what, [title for _, title in titles])
    stories = app.store.entry_stories(ids[:_NAMED])
    if len(ids) > _EXPLAINED:
        names = [
            EntryName(title=one.stored.entry.title, url=one.stored.entry.url, feed=one.stored.feed_url)
            for one in stories
        ]
        return Several(total=len(ids), entries=tuple(names))
    return tuple(explain_entry(app, story) for story in stories)


def _is_digest(app: App, name: str | None) -> bool:
    return name is None or name in app.config.digest_names


def _link_keys(what: str) -> Sequence[str]:
    """An address as people write it, without its scheme."""
    is_address = "." in what.partition("/")[0] and not re.search(r"\s", what) and "://" not in what
    return [f"l:{canonical_url('https://' + what)}"] if is_address else []


def _feed(app: App, what: str) -> Feed | None:
    """The project's feed, or one that it once had, of this address or title."""
    try:
        return app.config.feed(what)
    except UsageError:
        pass
    wanted, address = fold(what), canonical_url(what)
    for known in app.store.feed_health():
        if canonical_url(known.url) == address or fold(known.title or "") == wanted:
            return next((feed for feed in app.config.feeds if feed.url == known.url), Feed(url=known.url))
    return None


def _unknown(app: App, what: str, titles: Sequence[str]) -> UsageError:
    names = [name for feed in app.store.feed_health() for name in (feed.title, shown_url(feed.url)) if name]
    names += [feed.title or shown_url(feed.url) for feed in app.config.feeds]
    choices = {fold(one): one for one in (*titles, *names, *app.config.digest_names)}
    near = [choices[key] for key in get_close_matches(fold(what), choices, n=_NEAREST, cutoff=0.5)]
    told = ", ".join(f"“{one_line(one, 80)}”" for one in near)
    hint = f"did you mean {told}?" if near else "newsletter feed list shows the feeds, newsletter issue list the issues"
    text = f"there is no entry, issue or feed that {one_line(what, 100)!r} fits"
    return UsageError(f"{text}; no document of a feed that was read had such an entry", hint=hint)

"""Why an issue has what it has, and what it could have had."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from newsletter.app.project import App
from newsletter.app.status import IssueRow, issue_row
from newsletter.app.why.entries import used_words
from newsletter.errors import UsageError
from newsletter.model import Issue

_ABSENT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """One entry that an issue used up, or could have had: what became of it, and the reason in a sentence."""

    title: str
    url: str | None
    feed: str
    word: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedDown:
    """A feed that could not be read when an issue was frozen."""

    feed: str
    since: datetime
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueExplained:
    """One issue: its row, each entry with the reason, what was kept back, and feeds that failed then."""

    issue: IssueRow
    entries: tuple[Used, ...]
    kept_back: tuple[Used, ...]
    feeds_down: tuple[FeedDown, ...]


def explain_issue(app: App, number: int, digest: str | None) -> IssueExplained:
    """Explain an issue, from what was written down when it was frozen.

    Raises:
        UsageError: there is none with that number, or several digests have one.
    """
    issue = _issue(app, number, digest)
    shortened = app.store.shortened(issue.id)
    entries = app.store.issue_entries(issue.id)
    # Its feeds today: of those it had then nothing is written down but what they gave.
    urls = [feed.url for one in app.config.digests if one.name == issue.digest for feed in one.feeds]
    absent = app.store.absent(issue.id, urls, _ABSENT)
    return IssueExplained(
        issue=issue_row(app, issue),
        entries=tuple(
            Used(
                title=stored.entry.title,
                url=stored.entry.url,
                feed=stored.feed_url,
                word=used.disposition.value,
                sentence=used_words(used.disposition, used.why, shortened.get(stored.id, "")),
            )
            for stored, used in entries
        ),
        kept_back=tuple(
            Used(
                title=one.stored.entry.title,
                url=one.stored.entry.url,
                feed=one.stored.feed_url,
                word="held" if one.was_held else "waiting",
                sentence="held back then by the flood guard"
                if one.was_held
                else "waited then: it was settling, or its feed was not in the digest yet",
            )
            for one in absent
        ),
        feeds_down=tuple(
            FeedDown(feed=url, since=one.since, error=one.error)
            for url in urls
            for one in app.store.outages(url, 100)
            if one.since <= issue.frozen_at and (one.ended_at is None or one.ended_at > issue.frozen_at)
        ),
    )


def _issue(app: App, number: int, digest: str | None) -> Issue:
    names = [digest] if digest else list(app.config.digest_names)
    found = [issue for name in names if (issue := app.store.issue(number, name)) is not None]
    if len(found) > 1:
        choices = ", ".join(f"{one.digest}/{number}" for one in found)
        raise UsageError(f"{len(found)} digests have an issue {number}", hint=f"say which: {choices}")
    if not found:
        for kept in filter(None, map(app.store.open_draft, names)):
            if kept.number == number:
                raise UsageError(
                    f"issue {number} of {kept.digest} is a draft for {kept.slot}, which is {kept.state}",
                    hint=f"newsletter issue show {number} --digest {kept.digest}",
                )
        last = {name: app.store.next_number(name) - 1 for name in names}
        known = ", ".join(f"{name}/{number}" for name, number in last.items() if number)
        hint = f"the last one is {known}" if known else "no issue has been sent yet"
        raise UsageError(f"there is no issue {number}{f' of {digest}' if digest else ''}", hint=hint)
    return found[0]

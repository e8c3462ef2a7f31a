"""What is said while a send happens: bars, questions, and a line for each thing that is over."""

from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

import typer

from newsletter.cli.meter import Meter
from newsletter.cli.output import Output, Steps
from newsletter.cli.polled import tell_news, waiting_note
from newsletter.cli.report import detail_polls, plural, say_settling, warn_of_missing_pictures, warn_slow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from newsletter.clock import Clock
    from newsletter.delivery.ports import Progress
    from newsletter.model import Draft, FeedNews, FetchProgress, FetchResult, Issue


def watching(out: Output, clock: "Clock", *, ask: bool) -> "_Watch":
    """Who tells the person what a send is doing; a context manager."""
    return _Watch(out, clock, ask=ask)


class _Watch:
    """Tells the person what a send is doing, and asks before it mails.

    The bar appears when there is something to count, so never under a question;
    where there is no terminal, a line every half minute takes its place.
    """

    def __init__(self, out: Output, clock: "Clock", *, ask: bool) -> None:
        self._out = out
        self._clock = clock
        self._ask = ask
        self._bar = ExitStack()
        self._step: Steps | None = None
        self._meter = Meter(clock)
        self._failed: dict[str, bool] = {}
        self._issue: Issue | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def fetching(self, progress: "FetchProgress") -> None:
        if self._step is None:
            self._step = self._bar.enter_context(self._out.progress("feeds", progress.total, times=False))
        self._step(progress.done, progress.total, waiting_note(progress))
        if progress.done == progress.total:
            self._end_bar()

    def fetched(self, result: "FetchResult") -> None:
        detail_polls(self._out, [result])
        self._failed[result.feed.url] = bool(result.error)
        if result.warning:
            self._out.warn(f"{result.feed.url}: {result.warning}", event="feed.warning", feed=result.feed.url)

    def heard(self, items: "Sequence[FeedNews]") -> None:
        self._end_bar()
        tell_news(self._out, items)
        told = {item.url for item in items if not item.over}
        if silently := sum(failed for url, failed in self._failed.items() if url not in told):
            text = f"{plural(silently, 'feed')} could not be read this time: newsletter status"
            self._out.say(text, event="feeds.failed", feeds=silently)

    def finishing(self, issue: "Issue") -> None:
        self._end_bar()
        text = f"finishing issue {issue.number} of {issue.digest} first"
        self._out.say(text, event="issue.resumed", digest=issue.digest, issue=issue.number)
        self._issue = issue

    def illustrated(self, draft: "Draft") -> None:
        warn_of_missing_pictures(self._out, draft)

    def agrees(self, draft: "Draft", recipients: int) -> bool:
        self._end_bar()
        for notice in draft.notices:
            self._out.warn(notice, event="draft.notice", digest=draft.digest, issue=draft.number)
        say_settling(self._out, draft)
        warn_slow(self._out, draft.slow_rules)
        if not self._ask:
            return True
        question = f"Send issue {draft.number} of {draft.digest} ({plural(draft.total, 'entry', 'entries')}) to {plural(recipients, 'subscriber')}?"
        return typer.confirm(question, default=False, err=True)

    def frozen(self, issue: "Issue") -> None:
        self._out.say(
            f"issue {issue.number} of {issue.digest}: {issue.subject}",
            event="issue.frozen",
            digest=issue.digest,
            issue=issue.number,
            entries=issue.entries,
        )
        self._issue = issue
        self._meter = Meter(self._clock)

    def delivered(self, progress: "Progress") -> None:
        if self._step is None:
            self._step = self._bar.enter_context(self._out.progress("sending", progress.total, times=False))
        if self._out.shows_bars:
            self._step(progress.settled, progress.total, self._meter.note(progress))
        elif line := self._meter.line(progress):
            self._out.say(line, event="issue.progress", **issue_facts(self._issue), **asdict(progress))

    def watching(self, until: "datetime", first: int) -> None:
        self._end_bar()
        self._out.say(
            f"{plural(first, 'subscriber')} went first; what servers say is watched until "
            f"{until.astimezone():%H:%M:%S}, then the others follow",
            event="canary.watching",
            **issue_facts(self._issue),
            first=first,
            until=until,
        )

    def _end_bar(self) -> None:
        self._bar.close()
        self._step = None
        self._meter = Meter(self._clock)


def issue_facts(issue: "Issue | None") -> dict[str, object]:
    """Which issue it is about, for a log."""
    return {} if issue is None else {"digest": issue.digest, "issue": issue.number}

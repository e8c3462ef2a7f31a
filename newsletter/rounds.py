"""A round of fetching: whom to ask, what is learned from the answers, and what to tell of it.

`begin` and `end` stand around the fetching itself (`pipeline.fetch`); `news` is
what a send tells about its feeds, each thing once.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Protocol

from newsletter.errors import ParseError
from newsletter.feeds.fetch import fetch_all
from newsletter.feeds.identity import document_keys
from newsletter.feeds.paging import older_page, older_pages
from newsletter.feeds.polling import GONE, Asked, after, looks_silent, may_have_lost, needs_past, spare
from newsletter.feeds.rhythm import entries_a_day, seen
from newsletter.feeds.wire import Job
from newsletter.model import (
    Failed,
    Feed,
    FeedHealth,
    FeedNews,
    FeedStatus,
    Fetched,
    FetchOutcome,
    FetchProgress,
    FetchResult,
    Poll,
    Rhythm,
    Round,
    Spared,
    Trouble,
)
from newsletter.stages import Parts

#: So far back the days of a feed that is new to us are looked up.
_PAST = timedelta(days=400)
SEE_OFTEN = "ask it more often: `newsletter fetch --due`, every quarter of an hour from cron, asks each feed as often as it needs"
REWRITE = "newsletter feed update-addresses writes it to newsletter.yaml"
RESUME = "look on the site for its new address, or remove it; newsletter feed resume asks it again"
LOOK = "open the site in a browser: it may have stopped, or moved without a word"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whom a round asks (`ask`) and whom it spares, and what was known of each feed before."""

    ask: tuple[Feed, ...]
    spared: tuple[Spared, ...]
    polls: Mapping[str, Poll]

    @property
    def moved(self) -> dict[str, str]:
        """Where feeds are asked that have moved for good, as long as it works there."""
        return {url: poll.moved_to for url, poll in self.polls.items() if poll.moved_to and not poll.failures}


def begin(parts: Parts, feeds: Iterable[Feed], kind: Round) -> Plan:
    """Decide which feeds to ask; those whose address has been changed for their new one keep their past."""
    listed = list(feeds)
    parts.store.adopt_moved(parts.digests_of)
    polls = parts.store.polls([feed.url for feed in listed])
    now = parts.clock.now()
    spared = {feed.url: why for feed in listed if (why := spare(feed, polls[feed.url], kind, now=now))}
    return Plan(
        ask=tuple(feed for feed in listed if feed.url not in spared),
        spared=() if kind is Round.due else tuple(spared.values()),
        polls=polls,
    )


class Record(Protocol):
    """Records one document of a feed; an `archive` is no flood, however much of it is new."""

    async def __call__(self, fetched: Fetched, *, archive: bool = False) -> FetchResult:
        """Parse and record it."""
        ...


async def look_back(parts: Parts, poll: Poll, fetched: Fetched, result: FetchResult, *, record: Record) -> FetchResult:
    """Record older pages of a feed, if entries may have come and gone since it was last fetched (RFC 5005).

    The document itself is recorded once more at the end: what it has is what the
    feed now has.  All pages together have the time that one feed has.
    """
    feed, now = fetched.feed, parts.clock.now()
    if result.error or result.new < result.entries or older_page(fetched.body, fetched.final_url) is None:
        return result
    rhythm = parts.store.rhythms([feed.url]).get(feed.url)
    a_day = entries_a_day(rhythm.days) if rhythm else None
    again = rhythm is not None and now.toordinal() in dict(rhythm.days)
    if not may_have_lost(poll, Asked(outcome=fetched, result=result, now=now), a_day, again=again):
        return result

    async def ask(url: str) -> FetchOutcome:
        await asyncio.sleep(0 if feed.allow_private else parts.limits.host_gap)
        [outcome] = await fetch_all(
            [feed], {}, moved={feed.url: url}, limits=parts.limits, clock=parts.clock, secrets=parts.secrets
        )
        return outcome

    pages: list[Fetched] = []
    complete = False
    with suppress(TimeoutError, ParseError):
        async with asyncio.timeout(parts.limits.deadline):
            async for page in older_pages(fetched, ask):
                job = Job(body=page.body, url=page.final_url, content_type=page.content_type, known={})
                document = await parts.reader.read(job)
                pages.append(replace(page, validators=fetched.validators))
                if complete := parts.store.knew(feed.url, document_keys(document), before=poll.answered_at):
                    break
    if not complete:
        # Nothing in them was known: it may be the whole past of a feed that has moved.
        return result
    found = [await record(page, archive=True) for page in reversed(pages)]
    await record(fetched)
    older = sum(one.new for one in found)
    return replace(
        result, new=result.new + older, offered=result.offered + sum(one.offered for one in found), older=older
    )


def end(parts: Parts, plan: Plan, answers: Sequence[tuple[FetchOutcome, FetchResult]]) -> dict[str, FetchResult]:
    """Learn from a round, remember when to ask again, and note in each result what has changed.

    Returns:
        the results by feed address.
    """
    now = parts.clock.now()
    asked = {
        result.feed.url: Asked(outcome=outcome, result=result, now=now)
        for outcome, result in answers
        if not isinstance(outcome, Spared)
    }
    rhythms = _learned(parts, plan.polls, asked, now)
    polls = {url: after(plan.polls[url], one, rhythms.get(url)) for url, one in asked.items()}
    parts.store.record_polls(list(polls.values()), {url: rhythms[url] for url in rhythms if _brought(asked[url])})
    results = {result.feed.url: result for _, result in answers}
    for url, poll in polls.items():
        notes = _changes(plan.polls[url], poll, results[url], parts.failing_after)
        if notes:
            results[url] = replace(results[url], notes=notes)
    return results


def _brought(asked: Asked) -> bool:
    return bool(asked.result.new) and not asked.result.error and not isinstance(asked.outcome, Failed)


def _learned(parts: Parts, polls: Mapping[str, Poll], asked: Mapping[str, Asked], now: datetime) -> dict[str, Rhythm]:
    """The rhythms that this round needs: of feeds that brought something, and of those that may be silent."""
    brought = [url for url, one in asked.items() if _brought(one)]
    quiet = [url for url, one in asked.items() if not one.result.error and looks_silent(polls[url], now=now)]
    known = parts.store.rhythms([*brought, *quiet])
    unseen = [url for url in brought if needs_past(polls[url], asked[url])]
    past = parts.store.entries_per_day(unseen, datetime.combine((now - _PAST).date(), time.min, UTC)) if unseen else {}
    today = now.toordinal()
    found = {url: known[url] for url in quiet if url in known}
    for url in brought:
        rhythm = known.get(url, Rhythm())
        last = polls[url].answered_at
        days = {today: dict(rhythm.days).get(today, 0) + asked[url].result.new}
        if url in unseen:
            since = last.toordinal() if last else 0
            days = {day.toordinal(): number for day, number in past.get(url, {}).items() if day.toordinal() > since}
        found[url] = seen(rhythm, days or {today: asked[url].result.new}, today=today)
    return found


def _changes(before: Poll, now: Poll, result: FetchResult, failing_after: int) -> tuple[str, ...]:
    notes = []
    if result.error:
        if result.failures == failing_after and failing_after > 1:
            notes.append(f"the {_ordinal(failing_after)} time in a row")
        if now.paused == GONE != before.paused:
            notes.append("it is not asked any more")
        return tuple(notes)
    if before.failures >= failing_after:
        notes.append("can be read again")
    if now.gap_words and now.gap is not before.gap:
        notes.append(now.gap_words)
    if now.silent and not before.silent:
        notes.append(now.silent)
    if now.moved_to and now.moved_to != before.moved_to:
        notes.append(f"has moved for good to {now.moved_to}")
    return tuple(notes)


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")


# ------------------------------------------------------------------------- what to tell


def troubles(health: FeedHealth, gap: Trouble | None = None) -> dict[Trouble, FeedNews]:
    """What somebody should know of a feed, each with words and what to do."""
    found: dict[Trouble, FeedNews] = {}

    def add(trouble: Trouble, words: str, hint: str | None) -> None:
        found[trouble] = FeedNews(url=health.url, title=health.title, trouble=trouble, words=words, hint=hint)

    if health.status is FeedStatus.failing:
        add(Trouble.failing, health.last_error or "cannot be read", health.last_hint)
    if health.paused == GONE:
        add(Trouble.paused, f"{health.paused}, so it is not asked any more", RESUME)
    if health.gap:
        add(gap or Trouble.lost, health.gap, SEE_OFTEN)
    if health.silent:
        add(Trouble.silent, health.silent, LOOK)
    if health.moved_to:
        add(Trouble.moved, f"has moved for good to {health.moved_to}", REWRITE)
    return found


def news(parts: Parts, feeds: Iterable[Feed]) -> tuple[FeedNews, ...]:
    """What has changed about these feeds since a send last told of them: what began, and what is over.

    What began is noted as told, and what is over is forgotten, so that it is told again should it come back.
    """
    listed = list(feeds)
    urls = [feed.url for feed in listed]
    polls = parts.store.polls(urls)
    found: list[FeedNews] = []
    told: dict[str, tuple[Trouble, ...]] = {}
    for feed, health in zip(listed, parts.store.feed_health(urls, failing_after=parts.failing_after), strict=True):
        poll, title = polls[feed.url], feed.title or health.title
        now = troubles(replace(health, title=title), poll.gap)
        # While it hiccups, nobody can say that it is well again.
        kept = {trouble for trouble in poll.told if trouble in now or (trouble is Trouble.failing and health.failures)}
        found += [one for trouble, one in now.items() if trouble not in kept]
        found += [
            FeedNews(url=feed.url, title=title, trouble=trouble, words=OVER[trouble], over=True)
            for trouble in poll.told
            if trouble not in kept and trouble in OVER
        ]
        if {*kept, *now} != {*poll.told}:
            told[feed.url] = tuple(sorted({*kept, *now}))
    parts.store.record_told(told)
    return tuple(found)


#: What is said when a trouble is over.
OVER = {
    Trouble.failing: "can be read again",
    Trouble.paused: "can be read again",
    Trouble.silent: "brings something again",
}


# ---------------------------------------------------------------------------- progress


class Counter:
    """Counts answers, and knows who has been waited for longest.

    Args:
        total: how many feeds are asked.
        tell: told of every change.
    """

    def __init__(self, total: int, tell: Callable[[FetchProgress], None]) -> None:
        self._total = total
        self._tell = tell
        self._waiting: dict[str, Feed] = {}
        self._done = 0
        self._failed = 0

    def started(self, feed: Feed) -> None:
        """A feed is being asked."""
        self._waiting[feed.url] = feed
        self._show()

    def done(self, outcome: FetchOutcome) -> None:
        """A feed has answered, or has not."""
        self._waiting.pop(outcome.feed.url, None)
        self._done += 1
        self._failed += isinstance(outcome, Failed)
        self._show()

    def _show(self) -> None:
        slowest = next(iter(self._waiting.values()), None)
        self._tell(
            FetchProgress(
                done=self._done,
                total=self._total,
                failed=self._failed,
                waiting_for=None if slowest is None else slowest.title or slowest.url,
                waiting=len(self._waiting),
            )
        )

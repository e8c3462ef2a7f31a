"""The state of a project as rows: digests, issues, feeds, people."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from newsletter.address import parse_address
from newsletter.app.drafts import DraftRow, open_drafts
from newsletter.app.project import App
from newsletter.app.schedules import upcoming
from newsletter.app.spread import Spread, spread
from newsletter.config import DigestConfig
from newsletter.errors import UsageError
from newsletter.feeds.settling import settled
from newsletter.model import (
    UNSETTLED,
    Audience,
    Barred,
    Delivery,
    DeliveryState,
    FeedHealth,
    FeedNews,
    Issue,
    IssueState,
    Tick,
)
from newsletter.rounds import troubles
from newsletter.store.bounces import BounceCounts

_LAST_ISSUES = 10
_LAST_TICKS = 5
_NEXT = 3
#: How many days of a feed, and how many issues of a list, are worth drawing.
_DAYS = 30
_FORTNIGHT = 14
_GROWTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRow:
    """One digest: what waits for its next issue, how much of that is settling (see `settle`), and its last one.

    `next_slots` are its next ones, on the wall of its time zone; `last_ticks` say what
    came of the last ones, the latest first.
    """

    name: str
    waiting: int
    settling: int
    schedule: str | None
    timezone: str
    next_at: datetime | None
    next_slots: tuple[str, ...]
    last_tick: Tick | None
    last_ticks: tuple[Tick, ...]
    last_number: int | None
    last_frozen_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRow:
    """One issue, and what became of its messages, counted from the rows of the outbox.

    `opens_at` is until when it waits for its hours, or the first of its messages does.
    """

    digest: str
    number: int
    subject: str
    entries: int
    frozen_at: datetime
    words: str
    sent: int
    unsettled: int
    held: int
    failed: int
    counts: Mapping[str, int]
    next_attempt_at: datetime | None
    opens_at: datetime | None
    note: str

    def as_dict(self) -> dict[str, Any]:
        """The row for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """How many entries a feed had on one day (UTC)."""

    day: date
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRow(FeedHealth):
    """A feed's health, and how many entries it had on each of the last days, oldest first.

    `a_day` is their average over the last two weeks; `troubles` is what somebody should know.
    """

    per_day: tuple[Day, ...]
    a_day: float
    troubles: tuple[FeedNews, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything `status` shows."""

    digests: tuple[DigestRow, ...]
    drafts: tuple[DraftRow, ...]
    issues: tuple[IssueRow, ...]
    feeds: tuple[FeedRow, ...]
    growth: tuple[Audience, ...]
    subscribers: int
    suppressions: int
    bounces: BounceCounts
    barred: Barred | None
    spread: Spread


def status(app: App) -> Status:
    """Read the whole picture."""
    with_store = app.store
    unfinished = {issue.id: issue for issue in with_store.unfinished()}
    latest = {issue.id: issue for issue in with_store.issues(limit=_LAST_ISSUES)}
    shown = sorted((latest | unfinished).values(), key=lambda issue: issue.id, reverse=True)
    return Status(
        digests=tuple(_digest_row(app, digest) for digest in app.config.digests),
        drafts=tuple(open_drafts(app)),
        issues=tuple(issue_row(app, issue) for issue in shown),
        feeds=tuple(feed_rows(app)),
        growth=tuple(with_store.recipients(_GROWTH)),
        subscribers=app.roster.count(),
        suppressions=len(with_store.suppressions()),
        bounces=with_store.bounce_counts(app.clock.now() - timedelta(days=_DAYS)),
        barred=app.barred(),
        spread=spread(app),
    )


def _digest_row(app: App, digest: DigestConfig) -> DigestRow:
    store, now = app.store, app.clock.now()
    last = next(iter(store.issues(digest.name, 1)), None)
    waiting = store.waiting(digest.name, [feed.url for feed in digest.feeds])
    _, settling = settled(waiting, digest.feeds, now=now)
    slots = [slot for one in upcoming(app.config, now, count=_NEXT, digest=digest.name) for slot in one.slots]
    ticks = tuple(store.ticks(digest.name, _LAST_TICKS))
    return DigestRow(
        name=digest.name,
        waiting=len(waiting),
        settling=len(settling),
        schedule=digest.schedule,
        timezone=digest.timezone,
        next_at=slots[0].at if slots else None,
        next_slots=tuple(slot.name for slot in slots),
        last_tick=ticks[0] if ticks else None,
        last_ticks=ticks,
        last_number=last.number if last else None,
        last_frozen_at=last.frozen_at if last else None,
    )


def feed_rows(app: App) -> Iterator[FeedRow]:
    """Every feed of the project in its order, with its health and its last days."""
    today = app.clock.now().date()
    days = [today - timedelta(days=ago) for ago in reversed(range(_DAYS))]
    since = datetime.combine(days[0], time.min, UTC)
    counted = app.store.entries_per_day([feed.url for feed in app.config.feeds], since)
    for health in feeds_with_health(app):
        found = counted.get(health.url, {})
        per_day = tuple(Day(day=day, entries=found.get(day, 0)) for day in days)
        yield FeedRow(
            **{field.name: getattr(health, field.name) for field in fields(health)},
            per_day=per_day,
            a_day=round(sum(day.entries for day in per_day[-_FORTNIGHT:]) / _FORTNIGHT, 1),
            troubles=tuple(troubles(health).values()),
        )


def feeds_with_health(app: App) -> list[FeedHealth]:
    """Every feed of the project in its order, also those never fetched."""
    health = app.store.feed_health([feed.url for feed in app.config.feeds], failing_after=app.config.failing_after)
    # What the project calls a feed wins over what the feed calls itself.
    return [
        replace(known, title=feed.title or known.title) for feed, known in zip(app.config.feeds, health, strict=True)
    ]


def find_issue(app: App, number: int, digest: str | None) -> Issue:
    """Find an issue by its number.

    Raises:
        UsageError: there is none, or the digest must be named.
    """
    name = app.config.digest(digest).name
    issue = app.store.issue(number, name)
    if issue is None:
        raise UsageError(f"there is no issue {number} of {name}", hint="newsletter issue list shows them")
    return issue


def issue_row(app: App, issue: Issue) -> IssueRow:
    """Count an issue's deliveries."""
    counts = app.store.counts(issue.id)
    unsettled = sum(counts.get(state, 0) for state in UNSETTLED)
    waiting, opens_at = app.store.postponed(issue.id) if counts.get(DeliveryState.queued) else (0, None)
    return IssueRow(
        digest=issue.digest,
        number=issue.number,
        subject=issue.subject,
        entries=issue.entries,
        frozen_at=issue.frozen_at,
        words=_words(issue, unsettled, waiting),
        sent=counts.get(DeliveryState.sent, 0),
        unsettled=unsettled,
        held=counts.get(DeliveryState.held, 0),
        failed=counts.get(DeliveryState.failed, 0),
        counts={state.value: counts[state] for state in DeliveryState if counts.get(state)},
        next_attempt_at=app.store.next_attempt(issue.id),
        opens_at=opens_at,
        note=issue.note,
    )


def _words(issue: Issue, unsettled: int, waiting: int) -> str:
    if issue.state is IssueState.cancelled:
        return "cancelled"
    if not unsettled:
        return "finished"
    if issue.state is IssueState.paused:
        return f"paused: {issue.state_reason}" if issue.state_reason else "paused"
    if not waiting:
        return "unfinished"
    words = "people's own hours" if issue.by_person else "its hours"
    return f"waits for {words}" if waiting == unsettled else f"unfinished; {waiting} wait for {words}"


def issue_rows(app: App, digest: str | None) -> list[IssueRow]:
    """Rows of all issues, newest first; of one digest if it is named."""
    name = app.config.digest(digest).name if digest else None
    return [issue_row(app, issue) for issue in app.store.issues(name)]


def issue_details(app: App, number: int, digest: str | None) -> tuple[IssueRow, list[dict[str, Any]]]:
    """One issue's row, and its entries with how it used each."""
    issue = find_issue(app, number, digest)
    entries = [
        {
            "title": stored.entry.title,
            "url": stored.entry.url,
            "feed": stored.feed_url,
            "as": consumed.disposition.value,
            "why": consumed.why,
        }
        for stored, consumed in app.store.issue_entries(issue.id)
    ]
    return issue_row(app, issue), entries


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """One message: to whom, and what became of it; `id` is what `delivery retry` takes."""

    id: int
    issue: str
    email: str
    state: str
    attempts: int
    code: int | None
    answer: str
    message_id: str
    settled_at: datetime | None
    next_attempt_at: datetime | None


def delivery_rows(
    app: App, *, status: str | None, number: int | None, digest: str | None, email: str | None, limit: int
) -> list[DeliveryRow]:
    """Messages that meet all of the conditions, newest first.

    Raises:
        UsageError: there is no such issue.
        AddressError: that is no address.
    """
    issue = None if number is None else find_issue(app, number, digest)
    found = app.store.deliveries(
        issue_id=issue.id if issue else None,
        state=DeliveryState(status) if status else None,
        email_key=parse_address(email).key if email else None,
        limit=limit,
        newest_first=True,
    )
    return rows_of(app, found)


def rows_of(app: App, deliveries: Sequence[Delivery]) -> list[DeliveryRow]:
    """Deliveries as rows to show, each with the name of its issue."""
    names = {one.id: f"{one.digest} {one.number}" for one in app.store.issues()}
    return [
        DeliveryRow(
            id=one.id,
            issue=names.get(one.issue_id, ""),
            email=one.email,
            state=one.state.value,
            attempts=one.attempts,
            code=one.last_code,
            answer=f"{one.last_code or ''} {one.last_reply}".strip(),
            message_id=one.message_id,
            settled_at=one.settled_at,
            next_attempt_at=one.next_attempt_at,
        )
        for one in deliveries
    ]

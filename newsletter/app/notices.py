"""What the owner hears of unasked: what is so now, and how they are told of what has changed (docs/adr/0024)."""

import asyncio
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from newsletter.address import Address
from newsletter.app.drafting import NO_ANSWER, built
from newsletter.app.drafts import draft_row, find_draft
from newsletter.app.lateness import standings
from newsletter.app.project import App
from newsletter.app.status import feeds_with_health
from newsletter.config.project import shown_url
from newsletter.delivery.deliver import send_one
from newsletter.delivery.single import Single, compose_single
from newsletter.errors import BusyError, NewsletterError
from newsletter.model import (
    DeliveryState,
    DraftState,
    Issue,
    IssueState,
    Matter,
    Notice,
    TickOutcome,
    Trouble,
)
from newsletter.rounds import OVER, troubles
from newsletter.text import one_line

#: Messages of older issues do not fail any more.
_RECENT: Final = timedelta(days=7)
_ISSUES: Final = 20
#: A slot that fails is tried again: told if that has not helped by then.
_PATIENCE: Final = timedelta(minutes=10)
_AGAIN: Final = timedelta(minutes=10)
_DAY: Final = timedelta(days=1)
_SECONDS: Final = 60.0
_FEED_TROUBLES: Final = (Trouble.failing, Trouble.paused, Trouble.silent)
_DRAFT: Final = "draft:"
_NOTHING = (DeliveryState.suppressed, DeliveryState.cancelled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What the owner was told just now, and why they could not be told the rest."""

    told: tuple[Notice, ...] = ()
    errors: tuple[str, ...] = ()


async def tell(app: App) -> Telling:
    """Look for what has changed, and tell the owner; each thing once, whoever calls, how often.

    Nothing that goes wrong here is raised: what could not be told is tried again later.
    """
    if not app.config.notify.owners and app.config.notify.apprise is None:
        return Telling()
    try:
        with app.sending():
            found, undecided = matters(app)
            app.store.record_matters(found, undecided)
            return await _tell(app)
    except BusyError:
        # Whoever holds the lock tells.
        return Telling()
    except NewsletterError as error:
        return Telling(errors=(str(error),))


# ------------------------------------------------------------------------- what is so


def matters(app: App) -> tuple[dict[str, Matter], frozenset[str]]:
    """All that the owner should know now, by key, and the keys of what may or may not be over; reads only."""
    undecided: set[str] = set()
    found = {**dict(_feeds(app, undecided)), **dict(_issues(app)), **dict(_slots(app, undecided)), **dict(_drafts(app))}
    return found, frozenset(undecided)


def _feeds(app: App, undecided: set[str]) -> Iterator[tuple[str, Matter]]:
    for health in feeds_with_health(app):
        now = troubles(health)
        for trouble in _FEED_TROUBLES:
            key = f"feed:{trouble}:{health.url}"
            if (news := now.get(trouble)) is not None:
                name = health.title or shown_url(health.url)
                yield key, Matter(words=f"{name}: {news.words}", hint=news.hint or "", over=f"{name}: {OVER[trouble]}")
            elif trouble is Trouble.failing and health.failures:
                # While it hiccups, nobody can say that it is well again.
                undecided.add(key)


def _issues(app: App) -> Iterator[tuple[str, Matter]]:
    for issue in app.store.unfinished():
        if issue.state is IssueState.paused and issue.state_reason:
            yield (
                f"paused:{issue.digest}:{issue.number}",
                Matter(
                    words=f"{_name(issue)} is paused: {issue.state_reason}",
                    hint=f"newsletter status; newsletter issue resume {issue.number} --digest {issue.digest}",
                    over=f"{_name(issue)} is not paused any more",
                ),
            )
    since = app.clock.now() - _RECENT
    for issue in app.store.issues(limit=_ISSUES):
        if issue.frozen_at > since and issue.state is not IssueState.cancelled:
            counts = app.store.counts(issue.id)
            total = sum(number for state, number in counts.items() if state not in _NOTHING)
            failed = counts.get(DeliveryState.failed, 0)
            if total and failed / total > app.config.notify.failures:
                yield (
                    f"failures:{issue.digest}:{issue.number}",
                    Matter(
                        words=f"{_name(issue)}: {failed:,} of {total:,} messages failed ({failed / total:.0%})",
                        hint=f"newsletter delivery list --status failed --issue {issue.number}",
                    ),
                )


def _name(issue: Issue) -> str:
    return f"issue {issue.number} of {issue.digest}"


def _slots(app: App, undecided: set[str]) -> Iterator[tuple[str, Matter]]:
    now = app.clock.now()
    for digest in app.config.digests:
        tick = next(iter(app.store.ticks(digest.name, 1)), None)
        if digest.schedule is None or tick is None:
            continue
        key, words = f"slot:{digest.name}", f"{digest.name}, {tick.slot}"
        over = f"{digest.name} goes out again"
        match tick.outcome:
            case TickOutcome.late:
                yield key, Matter(words=f"{words}: nothing went out: {tick.why}", hint="newsletter status", over=over)
            case TickOutcome.failed if now - tick.due_at >= _PATIENCE:
                hint = "it is tried again at every look until it is too late; newsletter status"
                yield key, Matter(words=f"{words}: {tick.why}", hint=hint, over=over)
            case TickOutcome.failed | TickOutcome.held:
                undecided.add(key)
            case TickOutcome.cancelled if tick.why == NO_ANSWER:
                yield f"{key}:{tick.slot}", Matter(words=f"{words}: nothing went out: {tick.why} to its draft")
            case _:
                pass
    if any(digest.schedule for digest in app.config.digests):
        for standing in standings(app, app.config.notify.overdue):
            if standing.is_late and standing.due_at is not None:
                yield (
                    f"overdue:{standing.digest}",
                    Matter(
                        words=f"{standing.digest} is overdue: {standing.words}",
                        hint="newsletter status",
                        over=f"{standing.digest} goes out again",
                    ),
                )


def _drafts(app: App) -> Iterator[tuple[str, Matter]]:
    for name in app.config.digest_names:
        kept = app.store.open_draft(name)
        if kept is None or kept.state is not DraftState.waiting:
            continue
        again = f":{kept.reason[:60]}" if kept.reason else ""
        # Only the draft that was made is told of: who changes it knows that it is there.
        yield (
            f"{_DRAFT}{name}:{kept.slot}{again}",
            Matter(
                words=f"the draft of issue {kept.number} of {name}, for {kept.slot}, waits for your approval"
                + (f": {kept.reason}" if kept.reason else ""),
                hint=f"newsletter issue approve {kept.number} --digest {name}, or edit, or cancel",
            ),
        )


# ------------------------------------------------------------------------- the telling


async def _tell(app: App) -> Telling:
    now = app.clock.now()
    waiting = [one for one in app.store.untold() if one.tried_at is None or now - one.tried_at >= _AGAIN]
    drafts = [one for one in waiting if one.key.startswith(_DRAFT)]
    others = [one for one in waiting if one not in drafts]
    if others and app.store.tellings_since(now - _DAY) >= app.config.notify.per_day:
        # What is still so tomorrow is told then, all in one.
        others = []
    told: list[Notice] = []
    errors: list[str] = []
    for together in ([others] if others else []) + [[one] for one in drafts]:
        failed = await _say(app, together)
        errors += failed.errors
        if failed.reached:
            app.store.owner_told(together, counts=together is others)
            told += together
        else:
            app.store.owner_not_told(together, "; ".join(failed.errors))
    return Telling(told=tuple(told), errors=tuple(dict.fromkeys(errors)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """Whether anybody was reached, and why others were not."""

    reached: bool
    errors: tuple[str, ...]


async def _say(app: App, notices: Sequence[Notice]) -> _Said:
    """Tell all owners, and all services; that one of them knows is enough."""
    config = app.config.notify
    subject, text = letter_of(app, notices)
    reached, errors = 0, []
    for owner in config.owners:
        try:
            async with asyncio.timeout(_SECONDS):
                await _mail(app, owner, subject, text, notices)
            reached += 1
        except TimeoutError:
            errors.append(f"the mail server has not taken a notice within {_SECONDS:.0f} s")
        except NewsletterError as error:
            errors.append(str(error))
    if config.apprise is not None:
        from newsletter.app.apprising import notify

        try:
            await notify(config.apprise, subject, text)
            reached += 1
        except NewsletterError as error:
            errors.append(str(error))
    return _Said(reached=reached > 0, errors=tuple(errors))


async def _mail(app: App, owner: Address, subject: str, text: str, notices: Sequence[Notice]) -> None:
    """Mail it; told again after a crash, it is the same message, which mailboxes show once."""
    config = app.config
    smtp = app.smtp()
    if owner.is_reserved and not config.require_smtp().is_loopback:
        raise NewsletterError(
            f"{owner.email} is at a reserved domain, which is mailed only through a server on this machine",
            hint="write your own address as `owner`",
        )
    what = "\0".join((owner.key, *(f"{one.key}\0{one.is_over}\0{one.since.isoformat()}" for one in notices)))
    mac = hmac.digest(app.store.secret("notices"), what.encode("utf-8", "surrogatepass"), "sha256")
    said = Single(
        from_name=config.from_name or config.title,
        from_email=config.from_address.wire,
        reply_to=None,
        to_email=owner.wire,
        subject=subject,
        text=text,
        date=app.clock.now().replace(microsecond=0),
        message_id=f"{mac[:16].hex()}@{config.from_address.domain}",
    )
    await send_one(compose_single(said, smtp.signers), sender="", recipient=owner.wire, smtp=smtp)


def letter_of(app: App, notices: Sequence[Notice]) -> tuple[str, str]:
    """The subject and the text of what is told together; a draft comes with its letter."""
    first = notices[0]
    more = f", and {len(notices) - 1} more" if len(notices) > 1 else ""
    lines = []
    for one in notices:
        lines.append(f"* {one.words}")
        lines.append(f"  {'' if one.is_over else 'since '}{_moment(app, one.since)}")
        if one.hint:
            lines.append(f"  -> {one.hint}")
        lines.append("")
    if len(notices) == 1 and first.key.startswith(_DRAFT):
        lines += _draft(app, first)
    return f"{app.config.title}: {one_line(first.words, 120)}{more}", "\n".join(lines)


def _draft(app: App, notice: Notice) -> list[str]:
    """What there is to approve, to be read where the mail is read."""
    kept = find_draft(app, None, notice.key.removeprefix(_DRAFT).split(":")[0])
    if kept is None:
        return []
    row = draft_row(app, kept)
    if row.problem:
        return [f"It cannot be shown: {row.problem}"]
    answer = f"  answer by {_moment(app, row.answer_by)}; without one: {row.without_answer or 'hold'}"
    _, letter = built(app, kept)
    return [f"  letter {row.fingerprint}, to {row.recipients:,}", answer, "", "-" * 72, letter.markdown]


def _moment(app: App, when: datetime) -> str:
    return f"{when.astimezone(ZoneInfo(app.config.timezone)):%Y-%m-%d %H:%M}"

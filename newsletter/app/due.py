"""`send --due`: every digest whose slot has come, once; for cron, a timer, or whoever stays up."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from zoneinfo import ZoneInfo

from newsletter import pipeline
from newsletter.app.drafting import draft_publication, hours, keep, send_kept, slot_of, turn, waits
from newsletter.app.notices import Telling, tell
from newsletter.app.project import App
from newsletter.app.send import share_reports
from newsletter.app.upkeep import tidy_daily
from newsletter.config import DigestConfig
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import NewsletterError, StoreError, UsageError
from newsletter.model import IssueState, SendReport, Tick, TickOutcome
from newsletter.schedule import Schedule, Slot, due
from newsletter.stages import Sent, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One digest that was looked at: what came of its slot, None where none was due, and what was sent for it."""

    digest: str
    tick: Tick | None = None
    sent: Sent | None = None
    error: NewsletterError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """One look at all digests; `finished` are older issues of which something was left, `telling` what the owner heard."""

    finished: tuple[SendReport, ...]
    looked: tuple[Looked, ...]
    telling: Telling = field(default_factory=Telling)


async def send_due(app: App, digest: str | None, *, watch: Watch, stop: asyncio.Event, enqueue: bool = False) -> Looks:
    """Finish what is unfinished, then send every digest whose slot has come, and record what came of it.

    One digest that fails does not keep the others; its slot is tried again at the
    next look, until it is too late.

    Args:
        app: the project.
        digest: only this one.
        watch: sees it happen.
        stop: once set, what is in flight is finished and the rest waits.
        enqueue: leave the delivery to the workers; there may be no schedule at all then.

    Raises:
        BusyError: another send is at work on this project.
        StoreError: the database cannot be trusted or written; nothing more has been mailed.
        UsageError: no digest has a schedule.
    """
    wanted = app.config.digests if digest is None else (app.config.digest(digest),)
    scheduled = [one for one in wanted if one.schedule is not None]
    if not scheduled and not enqueue:
        raise UsageError(
            "no digest has a schedule" if digest is None else f"{digest} has no schedule",
            hint='give it one in newsletter.yaml: schedule: "daily 07:30"',
        )
    # Only where there is something to mail: it may run the command that gives the password, and a look is made every
    # few minutes.
    smtp = cache(app.smtp_for_issues)
    with app.sending():
        issues = pipeline.to_finish(app.parts())
        if enqueue:
            # The open ones are with the workers already.
            issues = [issue for issue in issues if issue.state is IssueState.paused]
        finished = tuple(await pipeline.finish(app.parts(), smtp(), watch, stop, issues)) if issues else ()
        looked = [await _look(app, one, smtp, watch, stop) for one in scheduled if not stop.is_set()]
        if not stop.is_set():
            tidy_daily(app)
    if not enqueue:
        finished, looked = await _share(app, finished, looked, smtp, watch=watch, stop=stop)
    telling = Telling() if stop.is_set() else await tell(app)
    return Looks(finished=finished, looked=tuple(looked), telling=telling)


async def _share(
    app: App,
    finished: tuple[SendReport, ...],
    looked: list[Looked],
    smtp: Callable[[], SmtpSettings],
    *,
    watch: Watch,
    stop: asyncio.Event,
) -> tuple[tuple[SendReport, ...], list[Looked]]:
    """Deliver our share of what was handed out, where several machines may send."""
    sent = [one.sent for one in looked if one.sent is not None]
    reports = [*finished, *(report for one in sent for report in (*one.finished, one.report) if report is not None)]
    shared = await share_reports(app, reports, app.parts(), smtp, watch=watch, stop=stop)
    done = {report.issue.id: report for report in shared}

    def of(report: SendReport) -> SendReport:
        return done[report.issue.id]

    return tuple(map(of, finished)), [
        one
        if one.sent is None
        else replace(
            one,
            sent=replace(
                one.sent,
                finished=tuple(map(of, one.sent.finished)),
                report=None if one.sent.report is None else of(one.sent.report),
            ),
        )
        for one in looked
    ]


async def _look(
    app: App, digest: DigestConfig, smtp: Callable[[], SmtpSettings], watch: Watch, stop: asyncio.Event
) -> Looked:
    store, name = app.store, digest.name
    assert digest.schedule is not None
    schedule = Schedule.parse(digest.schedule, ZoneInfo(digest.timezone))
    now = app.clock.now()
    found = due(
        schedule,
        now,
        since=store.scheduled_since(name, digest.schedule, digest.timezone),
        lateness=digest.lateness,
        settled=lambda names: store.settled_slots(name, names),
    )
    kept = store.open_draft(name)
    missed = [slot for slot in found.missed if kept is None or slot.name != kept.slot]
    if missed:
        store.record_ticks(_missed(app, digest, missed, found.slot))
    if digest.approve is not None or kept is not None:
        planned = turn(app, digest, schedule, found.slot)
        store.record_ticks(planned.ticks)
        if planned.make is None and planned.send is None and not planned.is_as_usual:
            return Looked(digest=name, tick=next(reversed(planned.ticks), None))
        if planned.send is not None:
            drafted, by = planned.send, draft_publication(app, name)
            return await _settle(
                app, name, slot_of(drafted), lambda: send_kept(app, drafted, by, smtp, watch=watch, stop=stop), stop
            )
        if planned.make is not None:
            return await _settle(app, name, planned.make, lambda: keep(app, digest, planned, watch, stop), stop)
    if found.slot is None:
        return Looked(digest=name)
    slot, publication = found.slot, app.publication
    return await _settle(
        app,
        name,
        slot,
        lambda: pipeline.send(app.parts(), publication(name), smtp(), slot=slot.name, watch=watch, stop=stop),
        stop,
    )


async def _settle(app: App, name: str, slot: Slot, work: Callable[[], Awaitable[Sent]], stop: asyncio.Event) -> Looked:
    """Do what a slot is due for, and record what came of it."""
    try:
        sent = await work()
    except StoreError:
        # What cannot be written cannot be recorded either, and would go wrong for the others too.
        raise
    except NewsletterError as error:
        tick = _tick(app, name, slot, TickOutcome.failed, why=str(error))
        app.store.record_ticks([tick])
        return Looked(digest=name, tick=tick, error=error)
    if stop.is_set() and sent.report is None:
        # Nobody knows yet what comes of it; whoever looks next does.
        return Looked(digest=name, sent=sent)
    tick = _outcome(app, name, slot, sent)
    if app.clock.now() < slot.at and tick.outcome in (TickOutcome.nothing, TickOutcome.held):
        # Its time is yet to come, and so may be what it carries.
        return Looked(digest=name, sent=sent)
    app.store.record_ticks([tick])
    return Looked(digest=name, tick=tick, sent=sent)


def _outcome(app: App, digest: str, slot: Slot, sent: Sent) -> Tick:
    """What a send that has come to its end means for its slot."""
    report, draft, kept = sent.report, sent.draft, sent.kept
    if kept is not None:
        return _tick(app, digest, slot, TickOutcome.held, why=kept.reason or waits(kept))
    if report is not None:
        later = f"{report.waiting} go later, in their hours" if report.waiting else ""
        return _tick(app, digest, slot, TickOutcome.sent, number=report.issue.number, why=report.stopped or later)
    if draft is None:
        stopped = next((one.stopped for one in sent.finished if one.stopped), "an earlier issue is not finished")
        return _tick(app, digest, slot, TickOutcome.failed, why=stopped)
    if sent.recipients == 0:
        return _tick(app, digest, slot, TickOutcome.nothing, why="there is nobody to mail")
    failing = [one for one in sent.fetched if one.error]
    if failing and len(failing) == len(sent.fetched):
        return _tick(app, digest, slot, TickOutcome.failed, why=f"no feed could be read: {failing[0].error}")
    why = "nothing is new" if draft.total == 0 else f"{draft.total} waiting, fewer than min_entries"
    return _tick(app, digest, slot, TickOutcome.nothing, why=why)


def _missed(app: App, digest: DigestConfig, missed: Sequence[Slot], instead: Slot | None) -> list[Tick]:
    why = (
        f"nobody looked in time; {instead.name} goes out for it"
        if instead is not None
        else f"nobody looked within {hours(digest)}"
    )
    return [_tick(app, digest.name, slot, TickOutcome.late, why=why) for slot in missed]


def _tick(app: App, digest: str, slot: Slot, outcome: TickOutcome, *, number: int | None = None, why: str = "") -> Tick:
    return Tick(
        digest=digest,
        slot=slot.name,
        due_at=slot.at,
        outcome=outcome,
        at=app.clock.now(),
        number=number,
        why=why,
    )

"""Drafts on a schedule: when one is made, when it goes out, and what follows without an answer (docs/adr/0023).

At most one draft of a digest is open.  It is made `ahead` of its slot, or as soon as
somebody looks; it goes out at its slot if it was approved by then, or as soon as it
is.  Without an answer the digest's rule holds.  Everything is decided from rows, at
each look anew, so it does not matter who looks, how often, or who dies in between.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter import pipeline
from newsletter.app.project import App
from newsletter.config import DigestConfig
from newsletter.delivery.smtp import SmtpSettings
from newsletter.issues.fingerprint import SeenLetter, seen_letter
from newsletter.model import Draft, DraftState, Round, StoredDraft, Tick, TickOutcome, WithoutAnswer
from newsletter.schedule import Schedule, Slot
from newsletter.stages import Publication, Sent, Watch

NO_ANSWER = "nobody answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What is to be done about a digest with drafts: make one for `make`, send `send`, or nothing yet.

    `answer_by` belongs to `make`; `ticks` are what has come of slots meanwhile, the latest last.
    `is_as_usual`: the digest has no drafts any more, and is sent as any other.
    """

    make: Slot | None = None
    answer_by: datetime | None = None
    send: StoredDraft | None = None
    ticks: tuple[Tick, ...] = ()
    is_as_usual: bool = False


def turn(app: App, digest: DigestConfig, schedule: Schedule, come: Slot | None) -> Turn:
    """Decide what a digest's draft is due for, and close one whose time has passed.

    Args:
        app: the project; the caller holds its lock.
        digest: with a schedule.
        schedule: its own.
        come: the slot that has come, is not over and is in time, if there is one.
    """
    ticks: list[Tick] = []
    if (kept := app.store.open_draft(digest.name)) is not None:
        found = _answered(app, digest, schedule, kept, ticks)
        if found is not None:
            return found
        if come is not None and come.name == kept.slot:
            come = None
    if digest.approve is None:
        # The setting was taken away while a draft was open; what has come is sent as of any other digest.
        return Turn(ticks=tuple(ticks), is_as_usual=True)
    now, ahead = app.clock.now(), digest.approve.ahead
    if come is not None:
        # Nobody looked in time: the editor has as long as always.
        return Turn(make=come, answer_by=now + ahead, ticks=tuple(ticks))
    slot = next(schedule.after(now))
    if slot.at - ahead <= now and not app.store.settled_slots(digest.name, [slot.name]):
        return Turn(make=slot, answer_by=slot.at, ticks=tuple(ticks))
    return Turn(ticks=tuple(ticks))


def _answered(app: App, digest: DigestConfig, schedule: Schedule, kept: StoredDraft, ticks: list[Tick]) -> Turn | None:
    """What an open draft is due for; None where it is closed now, so that the next may be made."""
    now, late = app.clock.now(), digest.lateness
    if digest.approve is None and kept.state is DraftState.waiting:
        app.store.close_draft(kept, DraftState.passed, "drafts of this digest need no approval any more")
        return None
    verdict = _verdict(digest, schedule, kept, now)
    if isinstance(verdict, Turn):
        held = (_held(app, kept),) if kept.state is DraftState.waiting and now >= kept.due_at else ()
        return Turn(ticks=held)
    since, state, why = verdict
    if since is not None and (now - since <= late.longest or late.catch_up):
        return Turn(send=kept)
    app.store.close_draft(kept, state, why)
    outcome = TickOutcome.cancelled if state is DraftState.cancelled else TickOutcome.late
    ticks.append(_tick(app, kept, outcome, why))
    return None


def _verdict(
    digest: DigestConfig, schedule: Schedule, kept: StoredDraft, now: datetime
) -> Turn | tuple[datetime | None, DraftState, str]:
    """Whether an open draft goes on waiting (a turn), else since when it may go out, and what closes it if that is too late."""
    unseen = f"nobody looked within {hours(digest)}"
    if kept.state is DraftState.approved:
        may = max(kept.due_at, kept.answered_at or kept.due_at)
        return Turn() if now < kept.due_at else (may, DraftState.passed, f"it was approved, but {unseen}")
    assert digest.approve is not None
    rule = digest.approve.without_answer
    if rule is WithoutAnswer.hold:
        following = next(schedule.after(kept.due_at))
        if now < max(kept.answer_by, following.at - digest.approve.ahead):
            return Turn()
        return None, DraftState.passed, f"{NO_ANSWER} before the draft for {following.name} was due"
    if now < kept.answer_by:
        return Turn()
    if rule is WithoutAnswer.cancel:
        return None, DraftState.cancelled, NO_ANSWER
    return kept.answer_by, DraftState.passed, f"{NO_ANSWER}, and {unseen}"


def _held(app: App, kept: StoredDraft) -> Tick:
    return _tick(app, kept, TickOutcome.held, kept.reason or waits(kept))


def waits(kept: StoredDraft) -> str:
    """What a draft that nobody has answered does."""
    return f"the draft of issue {kept.number} waits for its approval"


def slot_of(kept: StoredDraft) -> Slot:
    """The slot that a draft is for."""
    return Slot(wall=datetime.fromisoformat(kept.slot), at=kept.due_at)


def _tick(app: App, kept: StoredDraft, outcome: TickOutcome, why: str) -> Tick:
    return Tick(
        digest=kept.digest,
        slot=kept.slot,
        due_at=kept.due_at,
        outcome=outcome,
        at=app.clock.now(),
        why=why,
    )


def hours(digest: DigestConfig) -> str:
    """How late a slot of a digest may be, in words."""
    return span(digest.lateness.longest)


def span(time: timedelta) -> str:
    """So many hours, or minutes."""
    minutes = int(time.total_seconds() // 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def draft_publication(app: App, digest: str) -> Publication:
    """A digest as the stages need it for a draft: the note is the draft's own."""
    return app.publication(digest, note="")


def built(app: App, kept: StoredDraft) -> tuple[Draft, SeenLetter]:
    """A kept draft, built again, and its letter.

    Raises:
        TemplateError: it cannot be rendered.
    """
    publication = draft_publication(app, kept.digest)
    draft = pipeline.build(app.parts(), publication, kept)
    return draft, seen_letter(draft, publication.masthead, publication.templates)


async def keep(app: App, digest: DigestConfig, planned: Turn, watch: Watch, stop: asyncio.Event) -> Sent:
    """Make the draft that is due.

    Ahead of its slot, feeds are asked at their own pace: where nothing is new yet, every look comes here.
    """
    assert planned.make is not None
    assert planned.answer_by is not None
    slot = planned.make
    return await pipeline.keep(
        app.parts(),
        app.publication(digest.name),
        slot=slot.name,
        due_at=slot.at,
        answer_by=planned.answer_by,
        watch=watch,
        stop=stop,
        kind=Round.due if app.clock.now() < slot.at else Round.wanted,
    )


async def send_kept(
    app: App,
    kept: StoredDraft,
    publication: Publication,
    smtp: Callable[[], SmtpSettings],
    *,
    watch: Watch,
    stop: asyncio.Event,
) -> Sent:
    """Make a draft's issue and deliver it: the letter that was approved, or one for which no answer is needed.

    Where the letter is no longer the one that was approved, the draft waits for another look (`Sent.kept`).
    """
    draft, letter = built(app, kept)
    found = letter.fingerprint
    if not draft.total:
        app.store.close_draft(kept, DraftState.cancelled, "all of its entries are hidden, or used up")
        return Sent(draft=draft)
    if kept.state is DraftState.waiting:
        kept = app.store.approve_draft(kept, found, NO_ANSWER)
    elif found != kept.fingerprint:
        reason = (
            f"it was approved as {kept.fingerprint}, but would now go out as {found}: "
            "settings, templates or a feed's name have changed since"
        )
        return Sent(draft=draft, kept=app.store.reopen_draft(kept, reason))
    return await pipeline.send(app.parts(), publication, smtp(), slot=kept.slot, watch=watch, stop=stop, kept=kept)

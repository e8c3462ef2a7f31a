"""Sending again: deliveries that a person brings back, and one issue to one person who asks for it."""

import asyncio
from collections.abc import Callable, Sequence

from newsletter import pipeline
from newsletter.app.past import closest
from newsletter.app.project import App
from newsletter.app.status import find_issue
from newsletter.delivery.deliver import Progress
from newsletter.dispatch import hand_on
from newsletter.errors import UsageError
from newsletter.issues.merge import merge_values
from newsletter.model import DeliveryState, Issue, NewDelivery, SendReport, Subscriber
from newsletter.store.repeating import REPEATABLE, Repeated, Which


def which_deliveries(app: App, ids: Sequence[int], status: str | None, number: int | None, digest: str | None) -> Which:
    """What the command line means.

    Raises:
        UsageError: it names nothing at all, or an issue that is not there.
    """
    if not ids and status is None and number is None:
        raise UsageError(
            "that would be every message that ever failed",
            hint="name ids (newsletter delivery list shows them), --status or --issue",
        )
    return Which(
        ids=ids or None,
        states=REPEATABLE if status is None else (DeliveryState(status),),
        issue_id=None if number is None else find_issue(app, number, digest).id,
    )


def retry(app: App, which: Which, agrees: Callable[[Repeated], bool]) -> Repeated | None:
    """Put deliveries back into the outbox, as the same messages; None where somebody said no.

    Raises:
        UsageError: one of the ids is nobody's, or its message needs no retry.
    """
    found = app.store.repeatable(which)
    if found.missing:
        raise UsageError(
            f"there is no delivery {', '.join(map(str, found.missing[:10]))}",
            hint="newsletter delivery list shows them, each with its id",
        )
    if which.ids is not None and found.others:
        states = ", ".join(f"{number} {state}" for state, number in sorted(found.others.items()))
        raise UsageError(
            f"only messages that failed, are held or are unknown can be brought back; of these, {states}",
            hint="for one that was sent: newsletter issue resend N --to EMAIL --force",
        )
    if not found.queued:
        return found
    if not agrees(found):
        return None
    done = app.store.repeat(which)
    for issue in app.store.unfinished(ready=True):
        hand_on(app.parts(), issue)
    return done


async def resend(
    app: App,
    number: int,
    digest: str | None,
    email: str,
    *,
    force: bool,
    on_progress: Callable[[Progress], None],
    stop: asyncio.Event,
) -> tuple[SendReport, DeliveryState]:
    """Send an issue to one person of the list, now, and to nobody else.

    Returns:
        what came of it, and the state of the person's row before; `queued` where there was none.

    Raises:
        UsageError: the person is not on the list of the digest, is suppressed, or got it and `force` is not said;
            or the issue is paused or cancelled.
        BusyError: a send is at work on this project.
    """
    issue = find_issue(app, number, digest)
    person = app.subscriber(email)
    if person.digests and issue.digest not in person.digests:
        raise UsageError(
            f"{person.email} has not asked for {issue.digest} but for {', '.join(person.digests)}",
            hint=f"add it to `digests` in {app.roster.place_of(person)}, if the person wants it",
        )
    if app.is_unmailable(person):
        raise UsageError(
            f"{person.email} is at a reserved domain, which is mailed only through a server on this machine",
            hint="newsletter subscriber add EMAIL, with a real address",
        )
    smtp = app.smtp_for_issues()
    with app.sending():
        delivery = _addressed(app, issue, person)
        return await pipeline.resend(
            app.parts(), issue, delivery, smtp, me=app.identity(), force=force, on_progress=on_progress, stop=stop
        )


def _addressed(app: App, issue: Issue, person: Subscriber) -> NewDelivery:
    """The row the person gets who has none; for somebody who has one, what it says already."""
    known = app.store.deliveries(issue.id, email_key=person.key)
    store = app.store
    rendering = (
        store.rendering(issue.id, known[0].rendering)
        if known
        # Nothing is rendered after the freeze: somebody new gets the copy that addresses nobody in particular.
        else closest(store.renderings(issue.id), person.language, issue.envelope.language)
    )
    return NewDelivery(
        email=person.email,
        wire_email=person.wire_email,
        key=person.key,
        name=person.name,
        format=person.format,
        rendering=rendering.key,
        merge=merge_values(rendering.fields, person),
    )

"""The delivery of an issue: every row of its outbox gets its attempt, and every attempt its row.

    take       the next due row, claimed in chunks so that memory stays flat
    compose    the message, from an encoded skeleton
    connect    where there is no connection; one at a time until the server has proven itself
    intend     on disk before the final dot: the gate of the transaction
    settle     handed in before the next intent of the same place in the window

So a crash leaves at most so many messages per connection of which nobody knows
whether they arrived as the window has places: one, if nobody asks for more
(ARCHITECTURE.md, "The outbox").  The loop itself is in `run` and `lane`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

from newsletter.clock import Clock
from newsletter.delivery.attempt import AlwaysOpen
from newsletter.delivery.files import FilesTransport
from newsletter.delivery.ports import Outbox, Progress, Transport
from newsletter.delivery.replies import Verdict
from newsletter.delivery.run import Run, is_open
from newsletter.delivery.smtp import SmtpSettings, SmtpTransport
from newsletter.errors import TransportError
from newsletter.hours import Hours
from newsletter.model import UNSETTLED, DeliveryState, Issue, OnUnknown, SendReport

__all__ = ["Outbox", "Progress", "deliver", "send_one"]

#: How a folder is written to.
_ONE_BY_ONE = SmtpSettings(host="", connections=1)


async def deliver(
    issue: Issue,
    outbox: Outbox,
    settings: SmtpSettings | FilesTransport,
    *,
    clock: Clock,
    on_unknown: OnUnknown = OnUnknown.resend,
    on_progress: Callable[[Progress], None] = lambda _: None,
    stop: asyncio.Event | None = None,
    hours: Hours | None = None,
    transport: Transport | None = None,
    trace: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> SendReport:
    """Attempt every delivery of an issue that is due.

    The caller holds the store's lock and has recovered what a dead run left
    (`Store.recover`).  A server that refuses us (not a recipient) pauses the
    issue with the reason; one that cannot be reached leaves it open; either way
    `SendReport.stopped` says so and nobody is lost.

    Args:
        issue: frozen and open.
        outbox: the store.
        settings: the mail server, or a folder.
        clock: what time it is.
        on_unknown: what becomes of a message of which nobody knows whether it arrived.
        on_progress: told after every message.
        stop: when set, what is in flight is finished and nothing else begun.
        hours: when messages may begin; what is left when they close waits for them.
        transport: what opens connections to that server, for somebody who keeps them; None: a new one.
        trace: told every durable step; for tests that crash there.
        sleep: waits for seconds; for tests that will not.

    Raises:
        StoreError: the outbox cannot be written; what was in flight is found by the next run.
        MessageError: a rendering cannot be made into messages; nothing of it was sent.
    """
    began = clock.monotonic()
    with outbox.outbox_writer(trace, loop=asyncio.get_running_loop()) as writer:
        run = Run(
            issue,
            outbox,
            writer,
            transport or (SmtpTransport(settings, trace=trace) if isinstance(settings, SmtpSettings) else settings),
            settings if isinstance(settings, SmtpSettings) else _ONE_BY_ONE,
            clock=clock,
            on_unknown=on_unknown,
            on_progress=on_progress,
            sleep=sleep,
            hours=hours,
        )
        await run.all(stop or asyncio.Event())
    if run.must_pause and is_open(outbox, issue):
        outbox.pause(issue.id, run.stopped or "")
    if hours is not None:
        _put_off(issue, outbox, hours, run.closed, clock.now())
    counts = outbox.counts(issue.id)
    waiting, opens_at = outbox.postponed(issue.id) if counts.get(DeliveryState.queued) else (0, None)
    is_done = not any(counts.get(state) for state in UNSETTLED)
    return SendReport(
        issue=issue,
        counts=counts,
        sent_now=run.progress.sent,
        seconds=clock.monotonic() - began,
        next_attempt_at=outbox.next_attempt(issue.id),
        waiting=waiting,
        opens_at=opens_at,
        # Whoever asked it to stop when it was done need not be told.
        stopped=None if is_done else run.stopped,
        learned=tuple(run.learned),
        is_server_down=run.is_server_down,
    )


def _put_off(issue: Issue, outbox: Outbox, hours: Hours, closed: Collection[str | None], now: datetime) -> None:
    """Let those wait whose hours were closed to them; so nobody looks at them again before."""
    if closed:
        theirs = {timezone: hours.opening(now, timezone) for timezone in closed}
        outbox.postpone(issue.id, theirs if hours.by_person else hours.opening(now))


async def send_one(message: bytes, *, sender: str, recipient: str, smtp: SmtpSettings) -> str:
    """Send one composed message to one address, over the same kind of connection; records nothing.

    Args:
        message: as `Skeleton.message` makes it.
        sender: for the envelope, as it goes on the wire; "" for a message that no report is wanted on.
        recipient: for the envelope, as it goes on the wire.
        smtp: the mail server.

    Returns:
        what the server replied when it took the message.

    Raises:
        TransportError: it did not take it, or may not have.
    """
    connection = await SmtpTransport(smtp).open()
    try:
        outcome = await connection.transaction(sender=sender, recipient=recipient, gate=AlwaysOpen(), message=[message])
    finally:
        await connection.close()
    if outcome.verdict is Verdict.sent:
        return str(outcome)
    if outcome.verdict is Verdict.unknown:
        raise TransportError(f"{smtp.server} may have taken the message or not: {outcome}")
    raise TransportError(f"{smtp.server} did not take the message to {recipient}: {outcome}")

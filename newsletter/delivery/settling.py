"""What becomes of a delivery after an attempt: the outcome, read against the row's own history.

    sent       sent
    deferred   deferred, later each time; failed when the message is five days old
    failed     failed
    back off   deferred without blame: due again at once in this run, or later where it happened twice
    refused    queued: the recipient has not been touched, the run stops
    rejected   deferred, and the run stops; failed if it is rejected again after somebody resumed
    unknown    queued again (same message, same Message-ID), or held

Nothing here asks the time or writes anything.
"""

from datetime import datetime, timedelta
from typing import Final

from newsletter.delivery.attempt import Outcome
from newsletter.delivery.replies import Phase, Verdict
from newsletter.model import Delivery, DeliveryState, OnUnknown, Settlement

#: RFC 5321 §4.5.4.1 and Postfix's practice: greylisting wants five minutes, and nobody wants to be asked all day.
FIRST_WAIT: Final = timedelta(seconds=300)
LONGEST_WAIT: Final = timedelta(seconds=4_000)
#: RFC 5321 §4.5.4.1: give up after four to five days.
PATIENCE: Final = timedelta(days=5)
#: More copies than this a server that goes silent after each is not fed, whatever `on_unknown` says.
COPIES: Final = 5

_PERMANENT: Final = 500


def wait_after(attempts: int) -> timedelta:
    """How long to wait after this many attempts: 300 s, doubling, at most 4,000 s."""
    doublings = min(max(attempts - 1, 0), 10)
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def settle(
    delivery: Delivery, outcome: Outcome, *, now: datetime, on_unknown: OnUnknown, is_last_pass: bool
) -> Settlement:
    """Turn the outcome of an attempt into what is written to its row.

    Args:
        delivery: the row as it was before the attempt.
        outcome: anything but `withheld`, after which the row is not ours.
        now: when it ended.
        on_unknown: what to do where nobody can say whether the message arrived.
        is_last_pass: this run does not come back to the row.
    """
    state, after = _decide(delivery, outcome, now=now, on_unknown=on_unknown, is_last_pass=is_last_pass)
    expired = outcome.verdict is Verdict.deferred and state is DeliveryState.failed
    return Settlement(
        delivery_id=delivery.id,
        state=state,
        code=outcome.code,
        reply=f"expired after {PATIENCE.days} days: {outcome.text}" if expired else _told(outcome, state),
        next_attempt_at=None if after is None else now + after,
        doubtful=outcome.verdict is Verdict.unknown,
    )


def _decide(
    delivery: Delivery, outcome: Outcome, *, now: datetime, on_unknown: OnUnknown, is_last_pass: bool
) -> tuple[DeliveryState, timedelta | None]:
    """The row's next state, and how long until it may be tried again."""
    attempts = delivery.attempts + 1
    state, after = DeliveryState.failed, None
    match outcome.verdict:
        case Verdict.sent:
            state = DeliveryState.sent
        case Verdict.deferred if now - delivery.queued_at < PATIENCE:
            state, after = DeliveryState.deferred, wait_after(attempts)
        case Verdict.back_off:
            state, after = DeliveryState.deferred, FIRST_WAIT if is_last_pass else timedelta()
        case Verdict.refused:
            state = DeliveryState.queued
        case Verdict.rejected if not _was_rejected(delivery):
            # Behind the others: one message that a server will not have must not stop every run at itself.
            state, after = DeliveryState.deferred, FIRST_WAIT
        case Verdict.unknown:
            resend = on_unknown is OnUnknown.resend and attempts < COPIES
            state = DeliveryState.queued if resend else DeliveryState.held
    return state, after


def _told(outcome: Outcome, state: DeliveryState) -> str:
    """A server's words; of a refusal also that it had the message, for then they may mean the message."""
    is_permanent = state is DeliveryState.failed and (outcome.code or 0) >= _PERMANENT
    late = is_permanent and outcome.phase in (Phase.data, Phase.dot)
    return f"{outcome.text} (in reply to end of DATA)" if late else outcome.text


def _was_rejected(delivery: Delivery) -> bool:
    # A row that waits with a permanent code can have got it in no other way.
    return delivery.state is DeliveryState.deferred and (delivery.last_code or 0) >= _PERMANENT

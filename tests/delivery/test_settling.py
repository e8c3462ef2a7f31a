"""What is written to a row after an attempt follows from the outcome and the row's history alone."""

from datetime import timedelta
from typing import Any

import pytest

from newsletter.delivery.attempt import Outcome
from newsletter.delivery.replies import Phase, Verdict
from newsletter.delivery.settling import COPIES, settle, wait_after
from newsletter.model import DeliveryState, OnUnknown, Settlement
from tests.conftest import START
from tests.delivery.samples import delivery

LATER = START + timedelta(hours=1)


def settled(verdict: Verdict, *, last: bool = False, hold: bool = False, **row: Any) -> Settlement:
    return settle(
        delivery(**row),
        Outcome(verdict=verdict, phase=Phase.dot, code=450, text="words"),
        now=LATER,
        on_unknown=OnUnknown.hold if hold else OnUnknown.resend,
        is_last_pass=last,
    )


@pytest.mark.parametrize(
    ("verdict", "state", "seconds"),
    [
        (Verdict.sent, DeliveryState.sent, None),
        (Verdict.failed, DeliveryState.failed, None),
        (Verdict.deferred, DeliveryState.deferred, 300),
        (Verdict.back_off, DeliveryState.deferred, 0),
        (Verdict.refused, DeliveryState.queued, None),
        (Verdict.rejected, DeliveryState.deferred, 300),
        (Verdict.unknown, DeliveryState.queued, None),
    ],
)
def test_a_first_attempt(verdict: Verdict, state: DeliveryState, seconds: int | None) -> None:
    when = None if seconds is None else LATER + timedelta(seconds=seconds)

    doubtful = verdict is Verdict.unknown

    expected = Settlement(delivery_id=1, state=state, code=450, reply="words", next_attempt_at=when, doubtful=doubtful)
    assert expected == settled(verdict)


def test_a_refusal_says_whether_the_server_had_the_message() -> None:
    """Some filters say "unknown user" of a message that they do not like."""
    replies = {
        phase: settle(
            delivery(),
            Outcome(verdict=Verdict.failed, phase=phase, code=550, text="5.1.1 no such user"),
            now=LATER,
            on_unknown=OnUnknown.hold,
            is_last_pass=False,
        ).reply
        for phase in (Phase.rcpt, Phase.dot)
    }

    assert ["5.1.1 no such user", "5.1.1 no such user (in reply to end of DATA)"] == list(replies.values())


def test_waits_double_up_to_a_limit() -> None:
    assert [300, 300, 600, 1200, 2400, 4000, 4000] == [wait_after(n).total_seconds() for n in range(7)]
    assert 4000 == wait_after(10**9).total_seconds()


def test_after_five_days_a_deferred_person_is_given_up() -> None:
    old: dict[str, Any] = {"queued_at": LATER - timedelta(days=5)}

    assert DeliveryState.failed == settled(Verdict.deferred, **old).state
    assert "expired after 5 days: words" == settled(Verdict.deferred, **old).reply


def test_nobody_is_given_up_for_a_fault_of_the_server_however_old() -> None:
    old: dict[str, Any] = {"queued_at": LATER - timedelta(days=50), "attempts": 500}

    for verdict in (Verdict.back_off, Verdict.refused, Verdict.rejected):
        assert settled(verdict, **old).state in (DeliveryState.deferred, DeliveryState.queued)


def test_what_broke_twice_in_a_run_waits_for_a_later_one() -> None:
    assert LATER + timedelta(seconds=300) == settled(Verdict.back_off, last=True).next_attempt_at


def test_what_may_have_arrived_is_held_where_the_project_says_so() -> None:
    assert DeliveryState.held == settled(Verdict.unknown, hold=True).state


def test_what_may_have_arrived_five_times_is_held_anyway() -> None:
    assert DeliveryState.queued == settled(Verdict.unknown, attempts=COPIES - 2).state
    assert DeliveryState.held == settled(Verdict.unknown, attempts=COPIES - 1).state


def test_what_is_rejected_again_is_given_up() -> None:
    before: dict[str, Any] = {"state": DeliveryState.deferred, "last_code": 554}

    assert DeliveryState.failed == settled(Verdict.rejected, **before).state
    assert DeliveryState.deferred == settled(Verdict.rejected, state=DeliveryState.deferred, last_code=450).state

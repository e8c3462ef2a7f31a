"""Every fault at every step of a session ends in its stated state, and touches nobody but the person it is about.

Three people; the server misbehaves once, when it comes to the second.
"""

from dataclasses import dataclass

import pytest

from newsletter.model import DeliveryState, OnUnknown
from tests.delivery.conftest import Office
from tests.delivery.sink import Step

ADA, BOB, CY = "ada@example.com", "bob@example.com", "cy@example.com"
sent, deferred, failed, held, queued = (
    DeliveryState.sent,
    DeliveryState.deferred,
    DeliveryState.failed,
    DeliveryState.held,
    DeliveryState.queued,
)


@dataclass(frozen=True)
class Fault:
    """What the server does at a step, and what must have become of Bob's delivery after the run."""

    step: str
    answer: str
    becomes: DeliveryState
    copies: int = 1
    code: int | None = None
    stops: bool = False
    hold: bool = False

    def __str__(self) -> str:
        return f"{self.step} {self.answer}{' hold' if self.hold else ''}".replace("\r\n", "/")[:60]


ENDLESS = "raw " + "250-" + "x" * 3000
LINES = "raw " + "250-more\r\n" * 9000

FAULTS = [
    # RCPT
    Fault("rcpt", "450 4.2.1 greylisted", deferred, 0, 450),
    Fault("rcpt", "451 4.7.1 try again", deferred, 0, 451),
    Fault("rcpt", "452 4.2.2 mailbox full", deferred, 0, 452),
    Fault("rcpt", "550 5.1.1 no such user", failed, 0, 550),
    Fault("rcpt", "550 no such user", failed, 0, 550),
    Fault("rcpt", "552 5.2.2 mailbox full", failed, 0, 552),
    Fault("rcpt", "550 5.7.1 recipient wants no lists", failed, 0, 550),
    Fault("rcpt", "554 5.7.1 <bob@example.com>: Relay access denied", queued, 0, 554, stops=True),
    Fault(
        "rcpt", "550 5.1.8 <wire@example.com>: Sender address rejected: Domain not found", queued, 0, 550, stops=True
    ),
    Fault("rcpt", "530 5.7.0 Authentication required", queued, 0, 530, stops=True),
    Fault("rcpt", "421 4.7.0 closing", sent),
    Fault("rcpt", "drop", sent),
    Fault("rcpt", "eof", sent),
    Fault("rcpt", "partly 250 2.1", sent),
    Fault("rcpt", "silence", sent),
    Fault("rcpt", ENDLESS, sent),
    Fault("rcpt", "raw hello?\r\n", sent),
    Fault("rcpt", "354 what?", sent),
    # MAIL
    Fault("mail", "451 4.3.0 not now", sent),
    Fault("mail", "421 4.3.2 closing", sent),
    Fault("mail", "drop", sent),
    Fault("mail", "550 5.1.0 sender refused", queued, 0, 550, stops=True),
    Fault("mail", "553 5.7.1 not your address", queued, 0, 553, stops=True),
    # DATA
    Fault("data", "451 4.3.0 not now", deferred, 0, 451),
    Fault("data", "421 4.3.2 closing", sent),
    Fault("data", "554 5.5.1 no", failed, 0, 554),
    Fault("data", "554 5.7.1 policy", deferred, 0, 554, stops=True),
    Fault("data", "250 2.0.0 what?", sent),
    Fault("data", "drop", sent),
    Fault("data", "silence", sent),
    # the final dot
    Fault("message", "451 4.3.0 not now", deferred, 0, 451),
    Fault("message", "452 4.3.1 disk full", deferred, 0, 452),
    Fault("message", "421 4.3.2 closing", sent),
    Fault("message", "552 5.2.3 too big", failed, 0, 552),
    Fault("message", "554 no", failed, 0, 554),
    Fault("message", "550 5.7.1 looks like spam", deferred, 0, 550, stops=True),
    Fault("message", "250 fine", sent, 1, 250),
    # … after it: nobody can say whether the message arrived
    Fault("message", "take drop", sent, 2),
    Fault("message", "drop", sent, 1),
    Fault("message", "take eof", sent, 2),
    Fault("message", "take partly 250 2.0.0 o", sent, 2),
    Fault("message", "take silence", sent, 2),
    Fault("message", "take raw fine\r\n", sent, 2),
    Fault("message", "take " + ENDLESS, sent, 2),
    Fault("message", "take " + LINES, sent, 2),
    Fault("message", "take raw 250-fine\r\n251 fine\r\n", sent, 2),
    Fault("message", "take 354 go ahead", sent, 2),
    Fault("message", "take drop", held, 1, hold=True),
    Fault("message", "drop", held, 0, hold=True),
    Fault("message", "take silence", held, 1, hold=True),
    Fault("message", "take raw fine\r\n", held, 1, hold=True),
    Fault("message", "421 4.3.2 closing", sent, hold=True),
    Fault("rcpt", "drop", sent, hold=True),
]


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_ends_in_its_stated_state(office: Office, fault: Fault, pipelining: bool) -> None:
    issue = office.freeze([ADA, BOB, CY])
    done: list[Step] = []

    def script(step: Step) -> str | None:
        is_bob = step.recipient == BOB or (step.name == "mail" and step.message == 2)
        if step.name == fault.step and is_bob and not done:
            done.append(step)
            return fault.answer
        return None

    # Only silence has to be waited out; on a busy machine nothing else may be mistaken for it.
    patience = 0.3 if "silence" in fault.answer else 30.0
    ran = office.send(
        issue,
        script,
        on_unknown=OnUnknown.hold if fault.hold else OnUnknown.resend,
        extensions=("PIPELINING",) if pipelining else (),
        connections=1,
        timeout=patience,
        after_dot=patience,
    )

    assert 1 == len(done)
    assert {ADA: sent, BOB: fault.becomes, CY: queued if fault.stops else sent} == office.states(issue)
    assert fault.copies == ran.sink.copies()[BOB]
    row = office.row(issue, BOB)
    if fault.code is not None:
        assert fault.code == row.last_code
    if fault.becomes is deferred:
        assert row.next_attempt_at is not None
        assert 300 <= (row.next_attempt_at - office.clock.now()).total_seconds() <= 4000
    assert fault.stops == bool(ran.report.stopped)
    assert fault.stops == (office.reason(issue) is not None)
    ids = {one.message_id for one in ran.sink.accepted if one.recipient == BOB}
    assert len(ids) <= 1
    assert len({one.raw for one in ran.sink.accepted if one.recipient == BOB}) <= 1


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.stops], ids=str)
def test_what_stopped_a_run_is_told_and_the_rest_goes_when_it_is_resumed(office: Office, fault: Fault) -> None:
    issue = office.freeze([ADA, BOB, CY])

    ran = office.send(issue, lambda step: fault.answer if step.name == fault.step else None, connections=1)

    assert fault.answer in (ran.report.stopped or "")
    assert fault.answer in (office.reason(issue) or "")
    office.store.resume(issue.id)
    office.clock.advance(301)
    office.send(issue)
    assert {ADA: sent, BOB: sent, CY: sent} == office.states(issue)

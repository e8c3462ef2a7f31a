"""A canary whose others are several workers' to send."""

import time

import pytest

from newsletter.model import DeliveryState, IssueState
from tests.cli.conftest import call
from tests.delivery.sink import Step
from tests.workers.crew import Plant, killed, until

CANARY = "digests: {daily: {canary: {share: 3, wait: %s, stop_at: 20%%}}}\n"


class Times:
    """When each message came."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def __call__(self, step: Step) -> str | None:
        if step.name == "message":
            self.taken.append(time.monotonic())
        return None


def test_one_worker_watches_the_first_few_and_the_others_wait_for_its_verdict(plant: Plant) -> None:
    plant.configure(more=CANARY % "3s")
    times = plant.mail.sink.script = Times()
    plant.freeze()
    hands = [hand.end() for hand in plant.hands(2)]

    assert plant.each_got_one(40)
    assert 3 <= times.taken[3] - times.taken[2]
    assert [(0, 3)] == [shard for hand in hands for shard in hand.heard.shards if shard[0] == 0]
    assert [None, None] == [hand.left and hand.left.stopped for hand in hands]


def test_the_others_follow_at_once_where_workers_stay(plant: Plant) -> None:
    """Not only with the next sweep."""
    plant.configure(more=CANARY % "1s")
    times = plant.mail.sink.script = Times()
    hands = [plant.hand(until_idle=False) for _ in range(2)]
    until(lambda: len(plant.store.workers()) == 2, "both are at work")
    plant.freeze()
    until(lambda: plant.mail.taken == 40, "all are sent")

    assert plant.each_got_one(40)
    assert 1 <= times.taken[3] - times.taken[2]
    assert times.taken[-1] - times.taken[2] < 15
    assert [(0, 3)] == [shard for hand in hands for shard in hand.heard.shards if shard[0] == 0]


def test_too_many_refusals_stop_it_for_a_person_who_may_let_it_go_on(plant: Plant) -> None:
    plant.configure(more=CANARY % "1s")
    plant.mail.sink.script = lambda step: "550 5.7.1 no" if step.name == "rcpt" else None
    issue = plant.freeze()
    hands = [hand.end() for hand in plant.hands(2)]
    now = plant.store.issue_by_id(issue.id)

    assert {DeliveryState.failed: 3, DeliveryState.queued: 37} == plant.store.counts(issue.id)
    assert IssueState.paused is now.state
    assert "the canary stopped it: 3 of the first 3 were refused" in now.state_reason
    assert [(37, now.state_reason)] * 2 == [(hand.left.others, hand.left.stopped) for hand in hands if hand.left]

    plant.mail.sink.script = lambda _: None
    resumed = call("issue", "resume", "1", cwd=plant.folder)
    for hand in plant.hands(2):
        hand.end()

    assert 0 == resumed.code, resumed.err
    assert {DeliveryState.failed: 3, DeliveryState.sent: 37} == plant.store.counts(issue.id)
    assert {1} == set(plant.mail.copies.values())


def test_a_canary_whom_the_server_asks_to_come_later_is_left_alone_until_then(plant: Plant) -> None:
    plant.configure(more=CANARY % "1s")
    plant.mail.sink.script = lambda step: "451 4.7.1 later" if step.name == "rcpt" else None
    issue = plant.freeze()
    hand = plant.hand().end()
    report = plant.send().finished[0]

    assert {DeliveryState.deferred: 3, DeliveryState.queued: 37} == plant.store.counts(issue.id)
    assert hand.left is not None
    assert (3, 37, None) == (hand.left.deferred, hand.left.others, hand.left.stopped)
    assert [(0, 0)] == hand.heard.shards
    assert (0, None) == (report.sent_now, report.stopped)
    assert report.next_attempt_at is not None


def test_who_sends_beside_a_worker_that_watches_waits_for_its_verdict(plant: Plant) -> None:
    plant.configure(more=CANARY % "4s")
    plant.freeze()
    hand = plant.hand()
    until(lambda: plant.mail.taken == 3, "the first have it")
    report = plant.send().finished[0]
    hand.end()

    assert {DeliveryState.sent: 40} == report.counts
    assert 40 == report.sent_now + hand.heard.sent
    assert plant.each_got_one(40)


@pytest.mark.soak
def test_a_worker_that_dies_watching_is_replaced_and_the_time_goes_on(plant: Plant) -> None:
    plant.configure(more=CANARY % "8s")
    times = plant.mail.sink.script = Times()
    plant.freeze()
    with plant.process("--until-idle") as process:
        until(lambda: plant.mail.taken == 3, "the first have it")
        time.sleep(1)
        killed(process)
    died = time.monotonic()
    hand = plant.hand().end()

    assert plant.each_got_one(40)
    assert 8 <= times.taken[3] - times.taken[2]
    assert times.taken[3] - died < 8
    assert [(0, 0), 37] == [hand.heard.shards[0], hand.heard.sent]

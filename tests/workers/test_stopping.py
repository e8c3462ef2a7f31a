"""Pause, resume, cancel, and people who leave, while several workers send."""

import random

from newsletter.model import DeliveryState, SuppressionReason
from tests.cli.conftest import call
from tests.workers.crew import Mail, Plant, numbers, until


def slow(mail: Mail, seconds: float = 0.05) -> None:
    """Have every message take so long, so that somebody can come in between."""
    mail.sink.script = lambda step: f"wait {seconds}" if step.name == "message" else None


def test_two_workers_that_begin_at_once_send_an_issue_together(plant: Plant) -> None:
    plant.freeze()
    hands = [hand.end() for hand in plant.hands(2)]

    assert [] == [hand.error for hand in hands if hand.error]
    assert plant.each_got_one(40)
    assert 40 == numbers(hands)
    assert all(hand.left is not None and hand.left.stopped is None for hand in hands)


def test_a_paused_issue_ends_within_a_message_per_connection_and_goes_on_where_it_was(plant: Plant) -> None:
    slow(plant.mail)
    issue = plant.freeze()
    hands = plant.hands(2)
    until(lambda: plant.mail.taken >= 6, "some are sent")
    paused = call("issue", "pause", "1", cwd=plant.folder)
    taken = plant.mail.taken
    for hand in hands:
        hand.end()

    assert 0 == paused.code, paused.err
    assert plant.mail.taken <= taken + 4
    assert {DeliveryState.sent: plant.mail.taken, DeliveryState.queued: 40 - plant.mail.taken} == plant.store.counts(
        issue.id
    )
    assert {(40 - plant.mail.taken, None)} == {(hand.left.others, hand.left.stopped) for hand in hands if hand.left}

    resumed = call("issue", "resume", "1", cwd=plant.folder)
    before = plant.mail.taken
    again = [hand.end() for hand in plant.hands(2)]

    assert (0, "issue 1 of daily resumed; newsletter send goes on with it\n") == (resumed.code, resumed.err)
    assert plant.each_got_one(40)
    assert 40 - before == numbers(again)


def test_workers_that_stay_go_on_at_once_with_what_is_resumed(plant: Plant) -> None:
    issue = plant.freeze()
    plant.store.pause(issue.id, "")
    hand = plant.hand(until_idle=False)
    until(plant.store.workers, "it is at work")
    resumed = call("issue", "resume", "1", cwd=plant.folder)
    until(lambda: plant.mail.taken == 40, "all are sent", 20)

    assert "issue 1 of daily resumed; the workers go on with it\n" == resumed.err
    hand.stop()
    hand.end()
    assert plant.each_got_one(40)


def test_a_cancelled_issue_tells_the_truth_of_what_was_on_the_wire(plant: Plant) -> None:
    slow(plant.mail, 0.3)
    issue = plant.freeze()
    hands = plant.hands(2)
    until(lambda: plant.mail.taken >= 4, "some are sent")
    done = call("issue", "cancel", "1", cwd=plant.folder)
    taken = plant.mail.taken
    for hand in hands:
        hand.end()

    assert 0 == done.code, done.err
    assert plant.mail.taken <= taken + 4
    assert {DeliveryState.sent: plant.mail.taken, DeliveryState.cancelled: 40 - plant.mail.taken} == plant.store.counts(
        issue.id
    )


def test_what_a_dead_worker_left_on_the_wire_is_held_when_the_issue_is_cancelled(plant: Plant) -> None:
    issue = plant.freeze()
    plant.sql(
        "UPDATE shards SET holder = 'gone', until = now() + interval '30 seconds', token = 7 WHERE number = 1",
        "UPDATE deliveries SET state = 'sending', attempts = 1 WHERE id = (SELECT first_id FROM shards WHERE number = 1)",
    )
    done = call("issue", "cancel", "1", cwd=plant.folder)

    assert (0, "issue 1 of daily cancelled\n") == (done.code, done.err)
    assert {DeliveryState.held: 1, DeliveryState.cancelled: 39} == plant.store.counts(issue.id)
    assert [(True,)] == plant.sql("SELECT token > 7 FROM shards WHERE number = 1")


def test_who_leaves_during_an_issue_gets_no_message_that_was_not_on_its_way(plant: Plant) -> None:
    slow(plant.mail)
    issue = plant.freeze()
    hands = plant.hands(2)
    chance = random.Random(5)
    gone: list[str] = []
    for email in chance.sample(Plant.emails(40), 12):
        until(lambda: plant.mail.taken >= min(1 + 2 * len(gone), 24), "some more are sent")
        plant.store.suppress(email, email, SuppressionReason.unsubscribed)
        if plant.store.on_the_way(email) == 0 and plant.mail.copies[email] == 0:
            gone.append(email)
    for hand in hands:
        hand.end()

    assert [] == [email for email in gone if plant.mail.copies[email]]
    assert set(Plant.emails(40)) - set(gone) == set(plant.mail.copies)
    assert {1} == set(plant.mail.copies.values())
    assert len(gone) == plant.store.counts(issue.id)[DeliveryState.suppressed] > 0


def test_a_letter_that_cannot_be_made_does_not_keep_a_worker_from_the_next_one(plant: Plant) -> None:
    first = plant.freeze()
    plant.sql('UPDATE issues SET envelope = (envelope::jsonb || \'{"boundary": "no boundary"}\')::json')
    (plant.folder / "one.xml").write_text(
        (plant.folder / "one.xml").read_text().replace("/1<", "/2<").replace(">1<", ">2<")
    )
    second = plant.freeze()
    hand = plant.hand().end()

    assert first.id < second.id
    assert plant.each_got_one(40)
    assert hand.left is not None
    assert (40, True) == (hand.left.others, bool(hand.left.stopped))
    assert 1 == len(hand.heard.troubles)

"""What people type while workers are at work: `send`, `resend`, `retry`; hours, and what is held."""

from datetime import UTC, datetime, timedelta

from newsletter.model import DeliveryState
from tests.cli.conftest import call
from tests.delivery.sink import Step
from tests.workers.crew import Plant, until


def slow(step: Step) -> str | None:
    return "wait 0.05" if step.name == "message" else None


def test_send_delivers_its_share_beside_a_worker_and_counts_truly(plant: Plant) -> None:
    plant.mail.sink.script = slow
    issue = plant.freeze()
    hand = plant.hand()
    until(lambda: plant.mail.taken, "the worker has begun")
    report = plant.send().finished[0]
    hand.end()

    assert (issue.id, {DeliveryState.sent: 40}, None) == (report.issue.id, report.counts, report.stopped)
    assert 40 == report.sent_now + hand.heard.sent
    assert 0 < report.sent_now < 40
    assert plant.each_got_one(40)


def test_what_is_enqueued_goes_to_workers_that_stay_at_once(plant: Plant) -> None:
    nobody = call("send", "--enqueue", "-y", cwd=plant.folder)
    plant.hand().end()
    (plant.folder / "one.xml").write_text(
        (plant.folder / "one.xml").read_text().replace(">1<", ">2<").replace("/1<", "/2<")
    )
    hand = plant.hand(until_idle=False)
    until(plant.store.workers, "it is at work")
    enqueued = call("send", "--enqueue", "-y", "--json", cwd=plant.folder)
    until(lambda: plant.mail.taken == 80, "all are sent", 20)

    assert 0 == nobody.code
    assert "issue 1 of daily: 40 messages left to the workers\nwarning: no worker is at work now\n" in nobody.err
    assert 0 == enqueued.code
    assert "warning" not in enqueued.err
    assert [2] == [one["number"] for one in enqueued.data["issues"]]
    hand.stop()
    assert 40 == hand.end().heard.sent
    assert {2} == set(plant.mail.copies.values())


def test_one_person_gets_an_issue_again_while_workers_send_it(plant: Plant) -> None:
    plant.mail.sink.script = slow
    plant.freeze()
    hands = plant.hands(2)
    until(lambda: plant.mail.taken >= 4, "some are sent")
    with (plant.folder / "subscribers.yaml").open("a") as file:
        file.write("- late@example.com\n")
    done = call("issue", "resend", "1", "--to", "late@example.com", cwd=plant.folder)
    again = call("issue", "resend", "1", "--to", "p0@example.com", "--force", cwd=plant.folder)
    for hand in hands:
        hand.end()

    assert (0, "issue 1 of daily sent to late@example.com\n") == (done.code, done.err)
    assert (0, True) == (again.code, "sent to p0@example.com, again: the same message" in again.err)
    assert {"p0@example.com": 2} == {email: copies for email, copies in plant.mail.copies.items() if copies > 1}
    assert 41 == len(plant.mail.copies)


def test_who_is_resent_while_their_part_is_being_sent_gets_one_message(plant: Plant) -> None:
    """The command waits for that part, or leaves the person to the worker that has it."""
    plant.mail.sink.script = lambda step: "wait 0.15" if step.name == "message" else None
    plant.configure(people=20, connections=1)
    plant.freeze(size=20)
    hand = plant.hand()
    until(lambda: plant.mail.taken >= 1, "the part is being sent")
    plant.sql("UPDATE deliveries SET state = 'failed' WHERE id = (SELECT max(id) FROM deliveries)")
    done = call("issue", "resend", "1", "--to", "p19@example.com", cwd=plant.folder)
    hand.end()

    assert (0, "issue 1 of daily sent to p19@example.com\n") == (done.code, done.err)
    assert plant.each_got_one(20)


def test_what_had_failed_is_tried_again_by_the_workers_that_stay(plant: Plant) -> None:
    plant.mail.sink.script = lambda step: "550 5.2.2 full" if step.recipient == "p7@example.com" else None
    issue = plant.freeze()
    hand = plant.hand(until_idle=False)
    until(lambda: plant.store.counts(issue.id).get(DeliveryState.failed), "one is refused", 90)
    until(lambda: plant.mail.taken == 39, "the others are sent")
    plant.mail.sink.script = lambda _: None
    done = call("delivery", "retry", "--issue", "1", "-y", cwd=plant.folder)
    until(lambda: plant.mail.taken == 40, "it is sent", 20)

    assert (0, "1 message waits for the workers\n") == (done.code, done.err)
    hand.stop()
    hand.end()
    assert plant.each_got_one(40)


def test_workers_keep_to_the_hours_and_to_new_ones(plant: Plant) -> None:
    issue = plant.freeze()
    begins, ends = ((datetime.now(UTC) + timedelta(hours=hours)).strftime("%H:00") for hours in (3, 5))
    plant.configure(more=f'digests: {{daily: {{send_window: "{begins}-{ends}"}}}}\n')
    closed = [hand.end() for hand in plant.hands(2)]

    assert 0 == plant.mail.taken
    assert {DeliveryState.queued: 40} == plant.store.counts(issue.id)
    assert [(0, 40, 0, None)] * 2 == [
        (one.left.deferred, one.left.waiting, one.left.others, one.left.stopped) for one in closed if one.left
    ]

    plant.configure()
    for hand in plant.hands(2):
        hand.end()

    assert plant.each_got_one(40)


def test_hours_and_workers_are_not_to_be_told_apart_by_now(plant: Plant) -> None:
    done = call("send", "--enqueue", "--now", "-y", cwd=plant.folder)

    assert (2, True) == (done.code, "--now" in done.err)


def test_a_message_that_nobody_knows_of_is_held_where_the_project_says_so(plant: Plant) -> None:
    plant.configure(more="on_unknown: hold\n")
    plant.mail.sink.script = lambda step: (
        "take eof now" if step.name == "message" and step.recipient == "p7@example.com" else None
    )
    issue = plant.freeze()
    for hand in plant.hands(2):
        hand.end()

    assert {DeliveryState.sent: 39, DeliveryState.held: 1} == plant.store.counts(issue.id)
    assert plant.each_got_one(40)

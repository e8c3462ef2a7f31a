"""A mail server that fails is left alone by all who send, until one of them has tried it out."""

from newsletter.model import DeliveryState
from tests.delivery.sink import Step
from tests.workers.crew import Plant


def let_the_pause_pass(plant: Plant) -> None:
    plant.sql("UPDATE circuits SET open_until = clock_timestamp() - interval '1 second'")


def test_who_finds_a_server_left_alone_leaves_it_alone_too(plant: Plant) -> None:
    issue = plant.freeze()
    server = plant.app.smtp().server
    plant.store.server_failed(server, "somebody else", "421 4.7.0 go away")

    left = plant.hand().end().left
    sent = plant.send().finished[0]

    assert left is not None
    words = f"the mail server {server} is left alone for now: 421 4.7.0 go away"
    assert (40, words, words) == (left.others, left.stopped, sent.stopped)
    assert 0 == plant.mail.sink.connections
    # Nobody keeps a shard from others meanwhile.
    assert 0 == plant.store.senders()

    let_the_pause_pass(plant)
    plant.hand().end()

    assert {DeliveryState.sent: 40} == plant.store.counts(issue.id)
    assert plant.each_got_one(40)
    assert [] == plant.store.open_circuits()


def test_who_finds_a_server_down_tells_the_others(plant: Plant) -> None:
    def closed(step: Step) -> str | None:
        return "421 4.3.2 closed for today" if step.name == "banner" else None

    plant.mail.sink.script = closed
    plant.freeze()
    first = plant.hand().end()
    connections = plant.mail.sink.connections
    second = plant.hand().end()

    assert first.left is not None
    assert second.left is not None
    assert "closed for today" in str(first.left.stopped)
    assert "is left alone for now" in str(second.left.stopped)
    assert connections == plant.mail.sink.connections > 0
    [one] = plant.store.open_circuits()
    assert (1, True) == (one.failures, "closed for today" in one.reason)
    assert {DeliveryState.queued: 40} == plant.store.counts(1)

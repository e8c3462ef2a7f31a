"""The gate: no message ends before its intent is on disk, and no result is lost."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from datetime import timedelta

import pytest

from newsletter.errors import StoreError
from newsletter.model import Delivery, DeliveryState, Settlement, SuppressionReason
from newsletter.store import OutboxWriter, Store
from tests.conftest import START
from tests.postgresql import Server
from tests.store.samples import freeze, in_threads, people, person

Opener = Callable[..., Store]


def sent(id_: int) -> Settlement:
    return Settlement(delivery_id=id_, state=DeliveryState.sent, code=250, reply="2.0.0 ok")


def states(store: Store) -> list[str]:
    return [one.state.value for one in store.deliveries()]


class Gate:
    """A trace that holds the writer before its commit until the test lets it go."""

    def __init__(self, step: str = "intent:before-commit") -> None:
        self.step = step
        self.reached = threading.Event()
        self.go = threading.Event()
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if step == self.step:
            self.reached.set()
            assert self.go.wait(10)


# ---------------------------------------------------------------------------- the gate


def test_an_intent_is_answered_only_when_it_is_on_disk(store: Store) -> None:
    freeze(store, *people(2))
    gate = Gate()
    with store.outbox_writer(gate) as writer:
        future = writer.intend(1)
        assert gate.reached.wait(10)
        assert not future.done()
        if not store._database.is_sqlite:
            assert ["queued", "queued"] == states(store)
        gate.go.set()
        assert future.result(10) is True

    assert ["sending", "queued"] == states(store)
    assert [1, 0] == [one.attempts for one in store.deliveries()]


def test_an_intent_that_is_renewed_counts_once(store: Store) -> None:
    freeze(store, *people(2))
    with store.outbox_writer() as writer:
        assert writer.intend(1).result(10)

        assert store.may_go(1)
        assert not store.may_go(2)
        assert writer.renew(1).result(10)

        assert ["sending", "queued"] == states(store)
        assert [1, 0] == [one.attempts for one in store.deliveries()]


@pytest.mark.parametrize(
    ("meanwhile", "state"),
    [
        (lambda store, row: store.suppress(row.key, row.email, SuppressionReason.unsubscribed), "suppressed"),
        (lambda store, row: store.suppress(row.key, row.email, SuppressionReason.erased), "suppressed"),
        (lambda store, row: store.pause(row.issue_id, "by hand"), "queued"),
        (lambda store, row: store.cancel(row.issue_id), "cancelled"),
    ],
    ids=["left", "erased", "paused", "cancelled"],
)
def test_an_intent_is_not_renewed_where_things_have_changed_meanwhile(
    store: Store, meanwhile: Callable[[Store, Delivery], object], state: str
) -> None:
    """The message had to wait, and has not begun: it must not, and the row is not on the wire any more."""
    freeze(store, *people(1))
    with store.outbox_writer() as writer:
        assert writer.intend(1).result(10)
        meanwhile(store, store.deliveries()[0])

        assert not store.may_go(1)
        assert not writer.renew(1).result(10)

        assert [state] == states(store)
        # And for good: a result that nobody can have got changes nothing.
        writer.settle(Settlement(delivery_id=1, state=DeliveryState.queued)).result(10)
        assert [state] == states(store)


def test_what_is_on_the_way_to_somebody_is_known(store: Store) -> None:
    """Of all issues; and nothing else of theirs will begin once they are suppressed."""
    ada, grace = people(2)
    for _ in range(3):
        freeze(store, ada, grace)
    mine = [row.id for row in store.deliveries(email_key=ada.key)]
    with store.outbox_writer() as writer:
        assert (0, 0) == (store.on_the_way(ada.key), store.on_the_way("nobody@example.com"))
        for id_ in mine[:2]:
            assert writer.intend(id_).result(10)
        store.suppress(ada.key, ada.email, SuppressionReason.unsubscribed)

        assert (2, 0) == (store.on_the_way(ada.key), store.on_the_way(grace.key))

        assert not writer.intend(mine[2]).result(10)
        writer.settle(sent(mine[0])).result(10)
        assert 1 == store.on_the_way(ada.key)


def test_all_that_waits_goes_into_one_commit(store: Store) -> None:
    freeze(store, *people(9))
    gate = Gate()
    with store.outbox_writer(gate) as writer:
        first = writer.intend(1)
        assert gate.reached.wait(10)
        rest = [writer.intend(id_) for id_ in range(2, 9)]
        gate.go.set()
        assert first.result(10)
        assert all(future.result(10) for future in rest)
        writer.settle(sent(1)).result(10)

    assert ["intent:before-commit", "intent:after-commit"] * 2 + [
        "settle:before-commit",
        "settle:after-commit",
    ] == gate.steps


def test_intents_and_results_share_a_commit_and_name_both_steps(store: Store) -> None:
    freeze(store, *people(3))
    gate = Gate()
    with store.outbox_writer(gate) as writer:
        writer.intend(1)
        assert gate.reached.wait(10)
        settled, intended = writer.settle(sent(1)), writer.intend(2)
        gate.go.set()
        settled.result(10)
        assert intended.result(10)

    assert ["sent", "sending", "queued"] == states(store)
    assert [
        "intent:before-commit",
        "intent:after-commit",
        "intent:before-commit",
        "settle:before-commit",
        "intent:after-commit",
        "settle:after-commit",
    ] == gate.steps


def test_a_result_is_written_before_the_next_intent_of_the_same_delivery(store: Store) -> None:
    freeze(store, *people(1))
    gate = Gate()
    with store.outbox_writer(gate) as writer:
        first = writer.intend(1)
        assert gate.reached.wait(10)
        deferral = Settlement(delivery_id=1, state=DeliveryState.deferred, next_attempt_at=START)
        settled, second = writer.settle(deferral), writer.intend(1)
        gate.go.set()
        assert first.result(10)
        settled.result(10)
        assert second.result(10)

    [row] = store.deliveries()
    assert (DeliveryState.sending, 2) == (row.state, row.attempts)


# ------------------------------------------------------------------------ who may not go


def test_somebody_suppressed_meanwhile_gets_nothing(store: Store) -> None:
    issue = freeze(store, *people(4))
    store.suppress(person(1).key, person(1).email, SuppressionReason.unsubscribed)
    store.suppress(person(2).key, person(2).email, SuppressionReason.erased)

    with store.outbox_writer() as writer:
        assert [True, False, False, True] == [writer.intend(id_).result(10) for id_ in range(1, 5)]

    assert ["sending", "suppressed", "suppressed", "sending"] == states(store)
    assert (START, 0) == (store.deliveries()[1].settled_at, store.deliveries()[1].attempts)
    assert [] == store.due(issue.id, limit=9)


def test_nothing_of_a_paused_or_cancelled_issue_goes(store: Store) -> None:
    issue = freeze(store, *people(2))
    with store.outbox_writer() as writer:
        store.pause(issue.id, "look at this first")
        assert writer.intend(1).result(10) is False
        store.resume(issue.id)
        assert writer.intend(1).result(10) is True
        store.cancel(issue.id)
        assert writer.intend(2).result(10) is False

    assert ["cancelled", "cancelled"] == states(store)


def test_a_delivery_goes_once(store: Store) -> None:
    """Whoever asks second, or asks for what is settled or not there, is refused."""
    freeze(store, *people(2))
    with store.outbox_writer() as first, store.outbox_writer() as second:
        assert first.intend(1).result(10) is True
        assert second.intend(1).result(10) is False
        first.settle(sent(1)).result(10)
        assert second.intend(1).result(10) is False
        assert second.intend(4711).result(10) is False

    assert ["sent", "queued"] == states(store)


def test_of_many_that_ask_for_one_delivery_one_may_send_it(store: Store) -> None:
    freeze(store, *people(40))
    allowed: list[int] = []

    def ask(writer: OutboxWriter) -> None:
        allowed.extend(id_ for id_ in range(1, 41) if writer.intend(id_).result(10))

    with store.outbox_writer() as one, store.outbox_writer() as other:
        assert [None] * 4 == in_threads(*(lambda writer=writer: ask(writer) for writer in (one, other, one, other)))

    assert list(range(1, 41)) == sorted(allowed)


@pytest.mark.parametrize("reason", [SuppressionReason.unsubscribed, SuppressionReason.erased])
def test_after_an_unsubscribe_is_confirmed_no_intent_succeeds(store: Store, reason: SuppressionReason) -> None:
    """However the two run into each other: an intent answered later than the unsubscribe is refused."""
    freeze(store, *people(30))
    wrong: list[int] = []

    def unsubscribe(writer: OutboxWriter) -> None:
        for number in range(30):
            store.suppress(person(number).key, person(number).email, reason)
            if writer.intend(number + 1).result(10):
                wrong.append(number)

    def send(writer: OutboxWriter) -> None:
        for number in range(0, 30, 2):
            writer.intend(number + 1).result(10)

    with store.outbox_writer() as one, store.outbox_writer() as other:
        assert [None, None] == in_threads(lambda: unsubscribe(one), lambda: send(other))

    assert [] == wrong
    assert {"sending", "suppressed"} >= set(states(store))


def test_an_unsubscribe_waits_for_the_intent_under_way(store: Store) -> None:
    """Else it would be confirmed, and the mail would start after it."""
    freeze(store, *people(1))
    gate = Gate()
    confirmed = threading.Event()

    def unsubscribe() -> None:
        store.suppress(person(0).key, person(0).email, SuppressionReason.unsubscribed)
        confirmed.set()

    with store.outbox_writer(gate) as writer:
        future = writer.intend(1)
        assert gate.reached.wait(10)
        thread = threading.Thread(target=unsubscribe)
        thread.start()
        assert not confirmed.wait(0.2)
        gate.go.set()
        assert future.result(10)
        thread.join()

    assert confirmed.is_set()


def test_pausing_and_cancelling_wait_for_the_intent_under_way(store: Store) -> None:
    issue = freeze(store, *people(2))
    gate = Gate()
    with store.outbox_writer(gate) as writer:
        future = writer.intend(1)
        assert gate.reached.wait(10)
        thread = threading.Thread(target=lambda: store.cancel(issue.id))
        thread.start()
        later = writer.intend(2)
        thread.join(0.2)
        assert thread.is_alive()
        gate.go.set()
        assert future.result(10)
        thread.join()
        later.result(10)
        writer.settle(sent(1)).result(10)

    assert "sent" == states(store)[0]
    assert not store.cancel(issue.id), "somebody got it"


# ------------------------------------------------------------------------------- results


def test_a_result_is_written_as_it_was_given(store: Store) -> None:
    outcomes = [state for state in DeliveryState if state is not DeliveryState.sending]
    freeze(store, *people(len(outcomes)))
    later = START + timedelta(minutes=5)
    with store.outbox_writer() as writer:
        for id_, state in enumerate(outcomes, start=1):
            assert writer.intend(id_).result(10)
            reply = "4.7.1 Grüße\r\n\0"
            writer.settle(
                Settlement(delivery_id=id_, state=state, code=451, reply=reply, next_attempt_at=later)
            ).result(10)

    rows = store.deliveries()
    assert outcomes == [row.state for row in rows]
    assert {(451, "4.7.1 Grüße", 1)} == {(row.last_code, row.last_reply, row.attempts) for row in rows}
    assert {"deferred": later} == {row.state.value: row.next_attempt_at for row in rows if row.next_attempt_at}
    waiting = {"queued", "deferred", "unknown"}
    assert waiting == {row.state.value for row in rows if row.settled_at is None}
    assert {None, START} == {row.settled_at for row in rows}


def test_an_endless_reply_is_cut(store: Store) -> None:
    freeze(store, *people(1))
    with store.outbox_writer() as writer:
        assert writer.intend(1).result(10)
        writer.settle(Settlement(delivery_id=1, state=DeliveryState.failed, code=550, reply="no " * 10**6)).result(10)

    assert len(store.deliveries()[0].last_reply) <= 1000


def test_a_result_moves_only_what_is_on_the_wire(store: Store) -> None:
    freeze(store, *people(3))
    with store.outbox_writer() as writer:
        writer.settle(sent(1)).result(10)
        assert writer.intend(2).result(10)
        writer.settle(sent(2)).result(10)
        writer.settle(Settlement(delivery_id=2, state=DeliveryState.failed)).result(10)
        assert writer.intend(3).result(10)
        writer.settle(Settlement(delivery_id=3, state=DeliveryState.unknown)).result(10)
        writer.settle(Settlement(delivery_id=3, state=DeliveryState.held)).result(10)
        writer.settle(sent(4711)).result(10)

    assert ["queued", "sent", "held"] == states(store)


def test_the_truth_about_a_message_cancelled_on_the_wire_is_kept(store: Store) -> None:
    results = {
        DeliveryState.sent: "sent",
        DeliveryState.failed: "failed",
        DeliveryState.deferred: "cancelled",
        DeliveryState.queued: "cancelled",
        DeliveryState.unknown: "cancelled",
    }
    issue = freeze(store, *people(6))
    with store.outbox_writer() as writer:
        for id_ in range(1, 6):
            assert writer.intend(id_).result(10)
        store.cancel(issue.id)
        for id_, state in enumerate(results, start=1):
            writer.settle(Settlement(delivery_id=id_, state=state, next_attempt_at=START)).result(10)
        writer.settle(sent(6)).result(10)

    assert [*results.values(), "cancelled"] == states(store)
    assert {None} == {one.next_attempt_at for one in store.deliveries()}


# ------------------------------------------------------------------- opening and closing


def test_leaving_writes_all_that_was_handed_in(store: Store) -> None:
    freeze(store, *people(20))
    gate = Gate("settle:before-commit")
    with store.outbox_writer(gate) as writer:
        wait([writer.intend(id_) for id_ in range(1, 21)], 10)
        results = [writer.settle(sent(id_)) for id_ in range(1, 21)]
        threading.Timer(0.1, gate.go.set).start()

    assert all(future.done() for future in results)
    assert ["sent"] * 20 == states(store)


def test_a_writer_that_is_not_open_refuses(store: Store) -> None:
    freeze(store, *people(1))
    writer = store.outbox_writer()
    with pytest.raises(StoreError, match="is not open"):
        writer.intend(1).result(10)
    with writer:
        pass
    with pytest.raises(StoreError, match="is closed"):
        writer.settle(sent(1)).result(10)
    writer.close()

    assert ["queued"] == states(store)


def test_a_task_cancelled_while_it_waits_loses_no_result_and_sends_nothing(store: Store) -> None:
    freeze(store, *people(3))
    gate = Gate()

    async def run(writer: OutboxWriter) -> None:
        async def attempt() -> None:
            assert await asyncio.wrap_future(writer.intend(2))
            raise AssertionError("was cancelled while it waited")

        first = asyncio.wrap_future(writer.intend(1))
        await asyncio.to_thread(gate.reached.wait, 10)
        waiting = asyncio.create_task(attempt())
        result = asyncio.wrap_future(writer.settle(sent(3)))
        await asyncio.sleep(0)
        waiting.cancel()
        result.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.go.set()
        assert await first

    with store.outbox_writer() as writer:
        assert writer.intend(3).result(10)
    with store.outbox_writer(gate) as writer:
        asyncio.run(run(writer))

    assert ["sending", "queued", "sent"] == states(store)


def test_a_result_cannot_be_taken_back(store: Store) -> None:
    freeze(store, *people(2))
    gate = Gate()
    with store.outbox_writer(gate) as writer:
        intent = writer.intend(1)
        assert gate.reached.wait(10)
        assert not intent.cancel()
        assert not writer.settle(sent(1)).cancel()
        waiting = writer.intend(2)
        assert waiting.cancel()
        gate.go.set()
        with pytest.raises(CancelledError):
            waiting.result(10)

    assert ["sent", "queued"] == states(store)


# -------------------------------------------------------------------- when it goes wrong


def test_after_a_failed_commit_the_gate_never_opens_again(store: Store) -> None:
    freeze(store, *people(5))
    reached, go = threading.Event(), threading.Event()

    def fail(step: str) -> None:
        reached.set()
        assert go.wait(10)
        raise OSError("the disk is on fire")

    with store.outbox_writer(fail) as writer:
        batch = [writer.intend(1)]
        assert reached.wait(10)
        waiting: list[Future[bool] | Future[None]] = [writer.intend(2), writer.settle(sent(3))]
        go.set()
        for future in (*batch, *waiting):
            with pytest.raises(StoreError, match="the disk is on fire"):
                future.result(10)
        with pytest.raises(StoreError, match="the disk is on fire"):
            writer.intend(4).result(10)

    assert ["queued"] * 5 == states(store)
    with store.outbox_writer() as writer:
        assert writer.intend(1).result(10)


def test_when_the_server_goes_the_writer_stops(open_store: Opener, postgres: Server, postgres_url: str) -> None:
    store = open_store(postgres_url)
    freeze(store, *people(3))
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    with store.outbox_writer() as writer:
        assert writer.intend(1).result(10)
        postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        with pytest.raises(StoreError, match=r"shut the connection|cannot be reached") as caught:
            writer.settle(sent(1)).result(10)
        assert caught.value.hint
        with pytest.raises(StoreError):
            writer.intend(2).result(10)

    assert ["sending", "queued", "queued"] == states(store)


def test_another_process_that_writes_too_long_stops_the_writer_and_nothing_is_lost(
    open_store: Opener, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from newsletter.store import connect

    monkeypatch.setattr(connect, "PATIENCE", 0.1)
    store, other = open_store(sqlite_url), open_store(sqlite_url)
    freeze(store, *people(2))
    with store.outbox_writer() as writer:
        with other._database.write(), pytest.raises(StoreError, match="another command is writing"):
            writer.intend(1).result(10)
        with pytest.raises(StoreError, match="another command is writing"):
            writer.intend(2).result(10)

    assert ["queued", "queued"] == states(store)

"""What is due, and how many deliveries are where."""

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from typing import cast

import pytest

from newsletter.model import Delivery, DeliveryState, OnUnknown, Settlement, SuppressionReason
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.store.samples import freeze, people, person


def settle(store: Store, state: DeliveryState, *ids: int, **settlement: object) -> None:
    with store.outbox_writer() as writer:
        for id_ in ids:
            assert writer.intend(id_).result()
            if state is not DeliveryState.sending:
                writer.settle(Settlement(delivery_id=id_, state=state, **settlement)).result()  # type: ignore[arg-type]


def ids(deliveries: list[Delivery]) -> list[int]:
    return [one.id for one in deliveries]


def test_what_is_due_comes_in_order_and_in_chunks(store: Store) -> None:
    other = freeze(store, *people(2))
    issue = freeze(store, *people(5))

    first = store.due(issue.id, after_id=0, limit=2)
    second = store.due(issue.id, after_id=first[-1].id, limit=2)
    third = store.due(issue.id, after_id=second[-1].id, limit=2)
    assert ["Reader 0", "Reader 1", "Reader 2", "Reader 3", "Reader 4"] == [
        one.name for one in (*first, *second, *third)
    ]
    assert [] == store.due(issue.id, after_id=third[-1].id, limit=2)
    assert 2 == len(store.due(other.id, limit=9))


def test_a_deferred_delivery_is_due_when_its_time_has_come(store: Store, clock: FakeClock) -> None:
    issue = freeze(store, *people(6))
    for id_, minutes in ((2, 10), (5, 5)):
        when = START + timedelta(minutes=minutes)
        settle(store, DeliveryState.deferred, id_, next_attempt_at=when, code=451, reply="4.7.1 greylisted")

    assert START + timedelta(minutes=5) == store.next_attempt(issue.id)
    assert [1, 3, 4, 6] == ids(store.due(issue.id, limit=9))

    clock.advance(timedelta(minutes=5))
    assert [1, 3, 4, 5, 6] == ids(store.due(issue.id, limit=9))

    clock.advance(timedelta(minutes=5))
    assert [1, 2] == ids(store.due(issue.id, limit=2))
    assert [3, 4] == ids(store.due(issue.id, after_id=2, limit=2))
    assert [5, 6] == ids(store.due(issue.id, after_id=4, limit=2))
    [deferred] = store.deliveries(state=DeliveryState.deferred, email_key=person(1).key)
    assert (451, "4.7.1 greylisted", 1, None) == (
        deferred.last_code,
        deferred.last_reply,
        deferred.attempts,
        deferred.settled_at,
    )


def test_walking_through_an_issue_meets_each_due_delivery_once(store: Store, clock: FakeClock) -> None:
    issue = freeze(store, *people(50))
    settle(store, DeliveryState.sent, *range(1, 51, 5))
    settle(store, DeliveryState.deferred, *range(2, 51, 5), next_attempt_at=START)
    settle(store, DeliveryState.deferred, *range(3, 51, 5), next_attempt_at=START + timedelta(days=1))

    expected = set(range(1, 51)) - set(range(1, 51, 5)) - set(range(3, 51, 5))
    walked: list[int] = []
    while chunk := store.due(issue.id, after_id=walked[-1] if walked else 0, limit=7):
        walked += ids(chunk)
    assert sorted(expected) == walked


def test_the_questions_of_the_outbox_are_answered_from_its_index(
    open_store: Callable[..., Store], sqlite_url: str
) -> None:
    """Nobody reads a million rows to send the next five hundred."""
    store = open_store(sqlite_url)
    issue = freeze(store, *people(3))
    with store._database.read() as connection:
        # The pool lends the same one again.
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    asked: list[str] = []
    driver.set_trace_callback(asked.append)
    store.due(issue.id, after_id=1, limit=2)
    store.counts(issue.id)
    store.next_attempt(issue.id)
    store.unfinished()
    store.deliveries(state=DeliveryState.held)
    store.deliveries(email_key="reader1@example.com")
    driver.set_trace_callback(None)
    seen = [
        line[3]
        for statement in asked
        if statement.startswith("SELECT")
        for line in driver.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]

    outbox = [line for line in seen if "deliveries" in line]
    assert len(outbox) >= 6
    assert [] == [line for line in outbox if line.startswith("SCAN")]
    assert 5 == sum("deliveries_outbox" in line for line in outbox[:5])


def test_counts_name_the_states_there_are(store: Store) -> None:
    store.suppress(person(0).key, person(0).email, SuppressionReason.manual)
    issue = freeze(store, *people(5))
    settle(store, DeliveryState.sent, 2)
    settle(store, DeliveryState.failed, 3, code=550)

    assert {
        DeliveryState.queued: 2,
        DeliveryState.sent: 1,
        DeliveryState.failed: 1,
        DeliveryState.suppressed: 1,
    } == store.counts(issue.id)
    assert {} == store.counts(4711)
    assert store.next_attempt(issue.id) is None


def test_deliveries_are_found_by_issue_state_and_person(store: Store) -> None:
    first = freeze(store, *people(3))
    second = freeze(store, *people(3))
    settle(store, DeliveryState.sent, 1, 4)

    assert [1, 2, 3, 4, 5, 6] == ids(store.deliveries())
    assert [1, 2, 3] == ids(store.deliveries(first.id))
    assert [1, 4] == ids(store.deliveries(state=DeliveryState.sent))
    assert [2, 5] == ids(store.deliveries(email_key=person(1).key))
    assert [5] == ids(store.deliveries(second.id, DeliveryState.queued, person(1).key))
    assert [3, 4] == ids(store.deliveries(limit=2, after_id=2))
    assert [6, 5] == ids(store.deliveries(limit=2, newest_first=True))


@pytest.mark.parametrize("on_unknown", OnUnknown)
def test_what_a_dead_run_left_open_is_queued_again_or_held(store: Store, on_unknown: OnUnknown) -> None:
    issue = freeze(store, *people(5))
    other = freeze(store, *people(1))
    settle(store, DeliveryState.sending, 1, 2, 6)
    settle(store, DeliveryState.unknown, 3, reply="connection lost after the final dot")
    settle(store, DeliveryState.sent, 4)
    before = {one.id: one.message_id for one in store.deliveries()}

    assert 3 == store.recover(issue.id, on_unknown)
    assert 0 == store.recover(issue.id, on_unknown)

    again = on_unknown is OnUnknown.resend
    expected = (
        {DeliveryState.queued: 4, DeliveryState.sent: 1}
        if again
        else {DeliveryState.queued: 1, DeliveryState.sent: 1, DeliveryState.held: 3}
    )
    assert expected == store.counts(issue.id)
    assert {DeliveryState.sending: 1} == store.counts(other.id)
    assert before == {one.id: one.message_id for one in store.deliveries()}
    assert [1, 1, 1, 1, 0, 1] == [one.attempts for one in store.deliveries()]
    assert (None if again else START) == store.deliveries()[0].settled_at

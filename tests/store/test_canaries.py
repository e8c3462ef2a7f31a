"""Who gets an issue first, as both databases see it."""

from datetime import timedelta

import pytest

from newsletter.errors import StoreError
from newsletter.model import Canary, DeliveryState, Issue, IssueState, SuppressionReason
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.store.samples import freeze, people, person
from tests.store.test_deliveries import settle

S = DeliveryState
CANARY = Canary(first=3, wait=600.0, stop_at=0.05)


def now(store: Store, issue: Issue) -> Issue:
    found = store.issue(issue.number, issue.digest)
    assert found is not None
    return found


def test_an_issue_keeps_its_canary_until_that_is_over(store: Store) -> None:
    issue = freeze(store, *people(9), canary=CANARY)
    plain = freeze(store, *people(9))

    assert (CANARY, None) == (issue.canary, plain.canary)
    assert CANARY == now(store, issue).canary
    store.pause(issue.id, "the mail server refused us")
    store.resume(issue.id)
    assert CANARY == now(store, issue).canary

    store.end_canary(issue.id)

    assert None is now(store, issue).canary
    assert IssueState.open is now(store, issue).state


def test_the_first_are_the_lowest_message_ids_of_those_who_can_get_it(store: Store) -> None:
    store.suppress(person(4).key, person(4).email, SuppressionReason.manual)
    issue = freeze(store, *people(9), canary=CANARY)
    by_lot = sorted((one for one in store.deliveries(issue.id) if one.key != person(4).key), key=lambda o: o.message_id)

    ahead = store.ahead(issue.id, 3)

    assert sorted(one.id for one in by_lot[:3]) == sorted(ahead.ids)
    assert ({S.queued: 3}, None, None, "") == (
        ahead.counts,
        ahead.watched_from,
        ahead.next_attempt_at,
        ahead.last_refusal,
    )
    assert set(ahead.ids) < set(store.ahead(issue.id, 5).ids)
    assert 8 == len(store.ahead(issue.id, 100).ids)


def test_the_watch_begins_when_the_last_was_settled_at_its_first_attempt(store: Store, clock: FakeClock) -> None:
    issue = freeze(store, *people(9), canary=CANARY)
    one, two, three = store.ahead(issue.id, 3).ids
    settle(store, S.deferred, one, next_attempt_at=START + timedelta(minutes=5), code=451)
    assert None is store.ahead(issue.id, 3).watched_from
    assert START + timedelta(minutes=5) == store.ahead(issue.id, 3).next_attempt_at

    clock.advance(20)
    settle(store, S.sent, two, code=250)
    clock.advance(20)
    settle(store, S.failed, three, code=550, reply="5.1.1 no such person")
    clock.advance(300)
    settle(store, S.sent, one, code=250)

    ahead = store.ahead(issue.id, 3)
    assert START + timedelta(seconds=40) == ahead.watched_from
    assert ({S.sent: 2, S.failed: 1}, "550 5.1.1 no such person") == (ahead.counts, ahead.last_refusal)


def test_a_watch_of_messages_that_all_came_late_begins_with_the_last_of_them(store: Store, clock: FakeClock) -> None:
    issue = freeze(store, *people(9), canary=CANARY)
    [one] = store.ahead(issue.id, 1).ids
    settle(store, S.deferred, one, next_attempt_at=START)
    clock.advance(300)
    settle(store, S.sent, one)

    assert START + timedelta(seconds=300) == store.ahead(issue.id, 1).watched_from


def test_a_stopped_canary_waits_for_a_person_who_ends_it(store: Store) -> None:
    issue = freeze(store, *people(9), canary=CANARY)

    assert store.stop_canary(issue.id, "2 of the first 3 were refused")
    assert not store.stop_canary(issue.id, "again")

    stopped = now(store, issue)
    assert (IssueState.paused, "2 of the first 3 were refused", True) == (
        stopped.state,
        stopped.state_reason,
        stopped.waits_for_a_person,
    )
    store.resume(issue.id)
    assert (IssueState.open, None) == (now(store, issue).state, now(store, issue).canary)


def test_what_a_person_has_decided_no_canary_changes(store: Store) -> None:
    paused, cancelled = (freeze(store, *people(3), canary=CANARY) for _ in range(2))
    store.pause(paused.id, "")
    store.cancel(cancelled.id)

    assert not store.stop_canary(paused.id, "refused")
    assert not store.stop_canary(cancelled.id, "refused")
    assert "" == now(store, paused).state_reason
    assert IssueState.cancelled is now(store, cancelled).state


def test_a_canary_that_cannot_be_read_is_damage(store: Store) -> None:
    issue = freeze(store, *people(1), canary=CANARY)
    with store._database.write() as connection:
        connection.exec_driver_sql("""UPDATE issues SET canary = '{"last": 3}'""")

    with pytest.raises(StoreError, match="damaged"):
        store.issue(issue.number, issue.digest)

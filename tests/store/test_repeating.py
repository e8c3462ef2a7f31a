"""Bringing deliveries back: which rows may go back to `queued`, and that they stay the same messages."""

from collections import Counter
from datetime import timedelta

import pytest

from newsletter.errors import UsageError
from newsletter.model import Delivery, DeliveryState, Issue, SuppressionReason
from newsletter.store import Store
from newsletter.store.repeating import REPEATABLE, Which
from tests.conftest import START, FakeClock
from tests.store.samples import freeze, people, person
from tests.store.test_deliveries import ids, settle

S = DeliveryState


def states(store: Store, issue: Issue) -> list[DeliveryState]:
    return [one.state for one in store.deliveries(issue.id)]


def row(store: Store, id_: int) -> Delivery:
    return next(one for one in store.deliveries() if one.id == id_)


def each_state(store: Store) -> Issue:
    """An issue with a row in every state there is: 1 queued, 2 sending, 3 sent, 4 deferred, 5 failed, 6 held, …"""
    store.suppress(person(7).key, person(7).email, SuppressionReason.manual)
    issue = freeze(store, *people(9))
    settle(store, S.sending, 2)
    settle(store, S.sent, 3)
    settle(store, S.deferred, 4, next_attempt_at=START + timedelta(hours=1))
    settle(store, S.failed, 5, code=550, reply="5.1.1 no such person")
    settle(store, S.held, 6)
    settle(store, S.unknown, 7)
    settle(store, S.failed, 9, code=552)
    return issue


def test_what_failed_is_held_or_unknown_goes_back_and_nothing_else(store: Store) -> None:
    issue = each_state(store)
    before = {one.id: one for one in store.deliveries()}
    assert [S.queued, S.sending, S.sent, S.deferred, S.failed, S.held, S.unknown, S.suppressed, S.failed] == states(
        store, issue
    )

    promised = store.repeatable(Which())
    assert [S.queued, S.sending, S.sent, S.deferred, S.failed, S.held, S.unknown, S.suppressed, S.failed] == states(
        store, issue
    )
    done = store.repeat(Which())

    assert 4 == promised.queued == done.queued
    assert [S.queued, S.sending, S.sent, S.deferred, S.queued, S.queued, S.queued, S.suppressed, S.queued] == states(
        store, issue
    )
    for one in store.deliveries():
        was = before[one.id]
        assert (was.message_id, was.rendering, was.merge, was.attempts) == (
            one.message_id,
            one.rendering,
            one.merge,
            one.attempts,
        )
    assert (550, "5.1.1 no such person", None) == (
        row(store, 5).last_code,
        row(store, 5).last_reply,
        row(store, 5).settled_at,
    )
    assert 0 == store.repeat(Which()).queued


def test_states_issues_and_ids_narrow_it_down(store: Store) -> None:
    first, second = each_state(store), freeze(store, *people(2))
    settle(store, S.failed, 10)
    settle(store, S.held, 11)

    assert 1 == store.repeatable(Which(states=(S.held,), issue_id=first.id)).queued
    assert 2 == store.repeatable(Which(issue_id=second.id)).queued
    assert 2 == store.repeat(Which(states=(S.held,))).queued
    assert 1 == store.repeat(Which(ids=[5])).queued
    assert [S.failed, S.queued] == states(store, second)
    assert [S.queued, S.queued, S.unknown, S.suppressed, S.failed] == states(store, first)[4:]


def test_ids_that_may_not_go_back_are_counted_and_left(store: Store) -> None:
    issue = each_state(store)
    before = states(store, issue)

    found = store.repeatable(Which(ids=[1, 2, 3, 4, 5, 8, 4711]))

    assert (1, (4711,)) == (found.queued, found.missing)
    assert Counter({S.queued: 1, S.sending: 1, S.sent: 1, S.deferred: 1, S.suppressed: 1}) == found.others
    assert before == states(store, issue)


@pytest.mark.parametrize("state", [one for one in S if one not in REPEATABLE])
def test_other_states_cannot_even_be_asked_for(state: DeliveryState) -> None:
    with pytest.raises(UsageError):
        Which(states=(state,))


def test_who_is_suppressed_by_now_and_what_is_cancelled_stay(store: Store) -> None:
    first, second = freeze(store, *people(3)), freeze(store, *people(3))
    settle(store, S.failed, 1, 2, 4)
    store.suppress(person(0).key, person(0).email, SuppressionReason.erased)
    store.cancel(second.id)

    done = store.repeat(Which())

    assert (1, 1, 1) == (done.queued, done.suppressed, done.cancelled)
    assert [S.failed, S.queued, S.queued] == states(store, first)
    assert [S.failed, S.cancelled, S.cancelled] == states(store, second)


def test_suppression_wins_at_the_gate_over_a_row_that_was_brought_back(store: Store) -> None:
    freeze(store, *people(1))
    settle(store, S.failed, 1)
    store.repeat(Which(ids=[1]))
    store.suppress(person(0).key, person(0).email, SuppressionReason.unsubscribed)

    with store.outbox_writer() as writer:
        assert not writer.intend(1).result()

    assert S.suppressed is row(store, 1).state


def test_a_row_that_was_brought_back_has_the_patience_of_a_new_one(store: Store, clock: FakeClock) -> None:
    """Five days after the freeze a first deferral would be the last."""
    freeze(store, *people(1))
    settle(store, S.failed, 1)
    clock.advance(timedelta(days=6))

    store.repeat(Which())

    assert START + timedelta(days=6) == row(store, 1).queued_at


def test_more_rows_than_fit_one_chunk_go_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.store.repeating.CHUNK", 3)
    issue = freeze(store, *people(11))
    settle(store, S.held, *range(1, 12))

    assert 11 == store.repeat(Which()).queued
    assert {S.queued: 11} == store.counts(issue.id)


# ---------------------------------------------------------------------- one issue to one person


def test_somebody_without_a_row_gets_one_with_the_message_id_the_freeze_would_have_given(store: Store) -> None:
    issue = freeze(store, person(0))
    twin = freeze(store, person(0), person(1), number=7)
    late = person(1)

    id_, before = store.readdress(issue.id, late)

    made = row(store, id_)
    assert (S.queued, S.queued, 0, "reader1@example.com", late.merge) == (
        before,
        made.state,
        made.attempts,
        made.email,
        made.merge,
    )
    assert made.message_id not in {one.message_id for one in store.deliveries() if one.id != id_}
    assert twin.number == 7
    assert (id_, S.queued) == store.readdress(issue.id, late)
    assert 2 == len(store.deliveries(issue.id))


@pytest.mark.parametrize("state", [S.failed, S.held, S.unknown, S.deferred])
def test_a_row_that_did_not_arrive_is_queued_as_it_is(store: Store, state: DeliveryState) -> None:
    issue = freeze(store, *people(2))
    settle(store, state, 1, next_attempt_at=START + timedelta(hours=1) if state is S.deferred else None)
    was = row(store, 1)

    assert (1, state) == store.readdress(issue.id, person(0, name="Another Name"))

    now = row(store, 1)
    assert (S.queued, was.message_id, was.name, None) == (now.state, now.message_id, now.name, now.next_attempt_at)


def test_who_got_it_gets_it_again_only_by_force_and_as_the_same_message(store: Store) -> None:
    issue = freeze(store, *people(1))
    settle(store, S.sent, 1)
    was = row(store, 1)

    with pytest.raises(UsageError, match="the mail server took issue 1 of daily for reader0"):
        store.readdress(issue.id, person(0))
    assert S.sent is row(store, 1).state
    assert (1, S.sent) == store.readdress(issue.id, person(0), force=True)

    assert (S.queued, was.message_id) == (row(store, 1).state, row(store, 1).message_id)


def test_nothing_is_queued_for_whom_or_where_it_must_not_be(store: Store) -> None:
    issue = freeze(store, *people(2))
    settle(store, S.sending, 2)
    store.suppress(person(0).key, person(0).email, SuppressionReason.complained)

    with pytest.raises(UsageError, match="suppressed"):
        store.readdress(issue.id, person(0), force=True)
    with pytest.raises(UsageError, match="on its way"):
        store.readdress(issue.id, person(1), force=True)
    store.pause(issue.id, "")
    with pytest.raises(UsageError, match="paused"):
        store.readdress(issue.id, person(5))
    store.cancel(issue.id)
    with pytest.raises(UsageError, match="cancelled"):
        store.readdress(issue.id, person(5))

    assert 2 == len(store.deliveries(issue.id))


# ------------------------------------------------------------------------- some rows alone


def test_an_outbox_of_some_rows_knows_no_others(store: Store, clock: FakeClock) -> None:
    issue = freeze(store, *people(8))
    settle(store, S.sent, 1, 2)
    settle(store, S.deferred, 4, next_attempt_at=START + timedelta(minutes=9))
    settle(store, S.deferred, 5, next_attempt_at=START + timedelta(minutes=2))
    some = store.only([8, 2, 4, 6])

    assert [6, 8] == ids(some.due(issue.id, limit=9))
    assert [8] == ids(some.due(issue.id, after_id=6, limit=9))
    assert [6] == ids(some.due(issue.id, limit=1))
    assert {S.queued: 2, S.sent: 1, S.deferred: 1} == some.counts(issue.id)
    assert START + timedelta(minutes=9) == some.next_attempt(issue.id)
    clock.advance(600)
    assert [4, 6, 8] == ids(some.due(issue.id, limit=9))
    assert [] == store.only([]).due(issue.id, limit=9)
    assert {} == store.only([]).counts(issue.id)

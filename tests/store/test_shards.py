"""Shards: who has one, until when, and that nobody else opens its gate; on real PostgreSQL, by its own clock."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from newsletter.errors import MovedError, SchemaError, StoreError
from newsletter.model import Canary, DeliveryState, Lease, OnUnknown, Settlement, Shard, SuppressionReason
from newsletter.store import Store
from newsletter.store import tables as t
from newsletter.store.working import Presence
from tests.conftest import FakeClock
from tests.store.samples import freeze, people

Opener = Callable[..., Store]
RESEND, HOLD = OnUnknown.resend, OnUnknown.hold


@pytest.fixture
def store(open_store: Opener, postgres_url: str) -> Store:
    return open_store(postgres_url)


@pytest.fixture
def work(store: Store) -> Iterator[Callable[[str], Presence]]:
    """Makes somebody a worker; they are one until the test's end, or until their session ends."""
    with ExitStack() as stack:

        def begin(who: str) -> Presence:
            return stack.enter_context(store.at_work(who, host="host", pid=1, version="1", concurrency=1))

        yield begin


def cut(store: Store, size: int) -> None:
    """Make shards of another size: they are rows."""
    with store._database.write() as connection:
        connection.execute(sa.delete(t.shards).where(t.shards.c.number > 0))
        ids = [one.id for one in store.deliveries()]
        for number, at in enumerate(range(0, len(ids), size), 1):
            first, last = ids[at], ids[min(at + size, len(ids)) - 1]
            connection.execute(sa.insert(t.shards).values(issue_id=1, number=number, first_id=first, last_id=last))


def leased(store: Store, number: int, who: str, on_unknown: OnUnknown = RESEND) -> Lease:
    lease = store.lease_shard(1, number, who, on_unknown)
    assert lease is not None
    return lease


def expire(store: Store) -> None:
    with store._database.write() as connection:
        past = sa.func.clock_timestamp() - timedelta(seconds=1)
        connection.execute(sa.update(t.shards).where(t.shards.c.until.is_not(None)).values(until=past))


def settled(id_: int, state: DeliveryState) -> Settlement:
    return Settlement(delivery_id=id_, state=state, code=250 if state is DeliveryState.sent else 550, reply="so it was")


def states(store: Store) -> list[str]:
    return [one.state.value for one in store.deliveries()]


# ------------------------------------------------------------------------ sharing out


def test_an_issue_is_cut_into_shards_in_its_freeze(store: Store) -> None:
    freeze(store, *people(1201))

    shards = store.ready_shards()

    assert [(1, 1, 500), (2, 501, 1000), (3, 1001, 1201)] == [(one.number, one.first_id, one.last_id) for one in shards]
    assert [(3, 3, 0)] == [(one.total, one.left, one.leased) for one in store.shares()]


def test_what_comes_later_gets_a_shard_of_its_own(store: Store) -> None:
    issue = freeze(store, *people(3))
    with store._database.write() as connection:
        connection.execute(sa.update(t.shards).values(last_id=2))

    for _ in range(2):
        store.share_out(issue.id)

    assert [(1, 1, 2), (2, 3, 3)] == [(one.number, one.first_id, one.last_id) for one in store.ready_shards()]


def test_shards_of_a_finished_issue_are_forgotten_and_made_again(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(2))
    work("ada")
    lease = leased(store, 1, "ada")
    with store.leased(lease).outbox_writer() as writer:
        for id_ in (1, 2):
            assert writer.intend(id_).result(10)
            writer.settle(settled(id_, DeliveryState.sent)).result(10)
    store.give_back(lease)
    with store._database.read() as connection:
        before = connection.execute(sa.select(t.shards.c.token)).scalar_one()

    assert 1 == store.forget_shards()
    with store._database.write() as connection:
        connection.execute(sa.update(t.deliveries).where(t.deliveries.c.id == 2).values(state="queued"))
    store.share_out(1)

    assert leased(store, 1, "ada").token > before


# -------------------------------------------------------------------------- leasing


def test_a_shard_is_one_workers_at_a_time(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(4))
    cut(store, 2)
    work("ada"), work("bob")
    lease = leased(store, 1, "ada")

    assert store.lease_shard(1, 1, "bob", RESEND) is None
    assert [2] == [one.number for one in store.ready_shards()]
    store.give_back(lease)
    assert [1, 2] == [one.number for one in store.ready_shards()]
    assert leased(store, 1, "bob").token > lease.token


def test_a_shard_is_taken_over_when_its_lease_has_run_out(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(2))
    work("ada"), work("bob")
    lease = leased(store, 1, "ada")
    assert set() == store.renew_leases([lease])
    expire(store)

    assert leased(store, 1, "bob").token > lease.token
    assert {lease} == store.renew_leases([lease])
    store.give_back(lease)
    assert store.lease_shard(1, 1, "ada", RESEND) is None


def test_a_shard_is_taken_over_at_once_when_the_session_of_its_holder_is_gone(
    store: Store, work: Callable[[str], Presence]
) -> None:
    freeze(store, *people(2))
    presence = work("ada")
    work("bob")
    leased(store, 1, "ada")
    assert ["ada", "bob"] == [one.id for one in store.workers()]
    assert 1 == store.senders()

    presence.end()

    assert ["bob"] == [one.id for one in store.workers()]
    assert 0 == store.senders()
    assert [1] == [one.number for one in store.ready_shards()]
    leased(store, 1, "bob")


def test_a_session_that_the_server_ends_is_begun_again(store: Store, postgres_url: str) -> None:
    with store.at_work("ada", host="host", pid=1, version="1", concurrency=1) as presence:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        presence.keep()

        assert ["ada"] == [one.id for one in store.workers()]
    assert [] == store.workers()


def test_only_open_issues_are_leased(store: Store, work: Callable[[str], Presence]) -> None:
    issue = freeze(store, *people(2))
    work("ada")
    store.pause(issue.id, "")

    assert [] == store.ready_shards()
    assert store.lease_shard(1, 1, "ada", RESEND) is None
    store.resume(issue.id)
    leased(store, 1, "ada")


def test_what_a_worker_left_on_the_wire_is_settled_by_the_next(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(4))
    cut(store, 2)
    presence = work("ada")
    work("bob")
    lease = leased(store, 1, "ada")
    with store.leased(lease).outbox_writer() as writer:
        assert writer.intend(1).result(10)
    other = leased(store, 2, "bob")
    with store.leased(other).outbox_writer() as writer:
        assert writer.intend(3).result(10)
    presence.end()

    leased(store, 1, "bob")

    # Of the other shard nothing is touched.
    assert ["queued", "queued", "sending", "queued"] == states(store)
    with store._database.read() as connection:
        doubtful = connection.execute(sa.select(t.deliveries.c.id).where(t.deliveries.c.doubtful)).scalars().all()
    assert [1] == doubtful


def test_what_a_worker_left_is_held_where_the_project_says_so(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(2))
    work("ada")
    lease = leased(store, 1, "ada")
    with store.leased(lease).outbox_writer() as writer:
        assert writer.intend(1).result(10)
    expire(store)

    leased(store, 1, "ada", HOLD)

    assert ["held", "queued"] == states(store)


# -------------------------------------------------------------------------- the fence


def test_whoever_has_lost_a_shard_opens_no_gate(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(3))
    work("ada"), work("bob")
    lease = leased(store, 1, "ada")
    mine = store.leased(lease)
    with mine.outbox_writer() as writer:
        assert writer.intend(1).result(10)
        assert mine.may_go(1)
        expire(store)
        leased(store, 1, "bob")

        assert not mine.may_go(1)
        assert writer.renew(1).result(10) is False
        assert writer.intend(2).result(10) is False
    assert mine.issue(1, "daily") is None
    assert ["queued", "queued", "queued"] == states(store)


@pytest.mark.parametrize("state", [DeliveryState.deferred, DeliveryState.failed, DeliveryState.queued])
def test_of_a_zombie_only_that_a_message_arrived_is_written(
    store: Store, work: Callable[[str], Presence], state: DeliveryState
) -> None:
    freeze(store, *people(2))
    work("ada"), work("bob")
    with store.leased(leased(store, 1, "ada")).outbox_writer() as zombie:
        assert [True, True] == [zombie.intend(id_).result(10) for id_ in (1, 2)]
        expire(store)
        with store.leased(leased(store, 1, "bob")).outbox_writer() as writer:
            assert writer.intend(1).result(10)
            zombie.settle(replace(settled(1, state), next_attempt_at=None)).result(10)
            zombie.settle(settled(2, DeliveryState.sent)).result(10)

            assert ["sending", "sent"] == states(store)
            assert writer.intend(2).result(10) is False
            writer.settle(settled(1, DeliveryState.sent)).result(10)
    assert ["sent", "sent"] == states(store)


def test_a_shard_sees_its_own_deliveries_alone(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(5))
    cut(store, 2)
    work("ada")
    mine = store.leased(leased(store, 2, "ada"))

    assert [3, 4] == [one.id for one in mine.due(1, limit=10)]
    assert [4] == [one.id for one in mine.due(1, after_id=3, limit=10)]
    assert [3] == [one.id for one in mine.due(1, limit=1)]
    assert {DeliveryState.queued: 2} == mine.counts(1)


def test_who_is_suppressed_gets_nothing_whoever_sends(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(2))
    work("ada")
    with store.leased(leased(store, 1, "ada")).outbox_writer() as writer:
        row = store.deliveries()[0]
        store.suppress(row.key, row.email, SuppressionReason.unsubscribed)

        assert [False, True] == [writer.intend(id_).result(10) for id_ in (1, 2)]


# -------------------------------------------------------------------------- the canary


def test_a_canary_goes_first_and_alone(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(6), canary=Canary(first=2, wait=60.0, stop_at=0.1))
    work("ada"), work("bob")

    assert [0] == [one.number for one in store.ready_shards()]
    assert store.lease_shard(1, 1, "bob", RESEND) is None
    lease = leased(store, 0, "ada")
    first = store.ahead(1, 2).ids
    with store.leased(lease).only(first).outbox_writer() as writer:
        assert writer.intend(first[0]).result(10)
        store.leased(lease).end_canary(1)

        # It is over, and so is its shard.
        assert writer.intend(first[1]).result(10) is False
    assert store.lease_shard(1, 0, "bob", RESEND) is None
    # Who sent to the first few is at it still.
    assert store.lease_shard(1, 1, "bob", RESEND) is None
    store.give_back(lease)
    leased(store, 1, "bob")
    assert set(states(store)) == {"queued"}


def test_whoever_has_lost_the_canary_does_not_judge_it(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(6), canary=Canary(first=2, wait=60.0, stop_at=0.1))
    work("ada"), work("bob")
    lease = leased(store, 0, "ada")
    expire(store)
    leased(store, 0, "bob")

    with pytest.raises(StoreError, match="another worker watches"):
        store.leased(lease).end_canary(1)
    with pytest.raises(StoreError, match="another worker watches"):
        store.leased(lease).stop_canary(1, "too many")


# ------------------------------------------------------------------------- who may not


def test_nothing_is_leased_from_a_database_of_another_version(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(2))
    work("ada")
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE newsletter_schema SET version_num = '9999'")

    with pytest.raises(SchemaError, match="another version"):
        store.lease_shard(1, 1, "ada", RESEND)


def test_nothing_is_leased_from_a_database_that_is_held(store: Store, work: Callable[[str], Presence]) -> None:
    freeze(store, *people(2))
    work("ada")
    store.hold("was put back from a backup")

    with pytest.raises(MovedError, match="was put back from a backup"):
        store.lease_shard(1, 1, "ada", RESEND)


def test_a_clock_is_compared_with_the_databases(store: Store, clock: FakeClock) -> None:
    with store._database.read() as connection:
        theirs = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    clock.time = theirs + timedelta(hours=3)

    assert 3 * 3600 == pytest.approx(store.clock_off(), abs=30)


def test_a_delivery_is_found_in_its_shard(store: Store) -> None:
    freeze(store, *people(3))
    cut(store, 2)

    assert Shard(issue_id=1, number=2, first_id=3, last_id=3) == store.shard_of(1, 3)
    assert store.shard_of(1, 4) is None

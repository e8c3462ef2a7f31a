"""How fast an issue goes that several machines send, from its rows; on real PostgreSQL, by its own clock."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from newsletter.clock import SystemClock
from newsletter.model import OnUnknown
from newsletter.store import Store
from newsletter.store import tables as t
from tests.conftest import counting_ids
from tests.store.samples import freeze, people

#: Two shards, and a bit of a third.
PEOPLE = 1_010


@pytest.fixture
def store(postgres_url: str) -> Iterator[Store]:
    with Store.open(postgres_url, clock=SystemClock(), ids=counting_ids()) as opened:
        freeze(opened, *people(PEOPLE))
        yield opened


def lease(store: Store, number: int, *, ago: float) -> None:
    """Have a shard leased so many seconds ago, and given back."""
    found = store.lease_shard(1, number, "ada", OnUnknown.resend)
    assert found is not None
    store.give_back(found)
    with store._database.write() as connection:
        connection.execute(
            sa.update(t.shards).where(t.shards.c.number == number).values(token=t.shards.c.token - int(ago * 1_000_000))
        )


def settle(store: Store, first: int, last: int, *, ago: float) -> None:
    """Have messages settled so many seconds ago, as a writer leaves them."""
    moment = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, ago)
    with store._database.write() as connection:
        connection.execute(
            sa.update(t.deliveries)
            .where(t.deliveries.c.id.between(first, last))
            .values(state="sent", settled_at=sa.cast(moment, t.deliveries.c.settled_at.type))
        )


def test_the_rate_is_what_was_settled_in_the_last_minute(store: Store) -> None:
    lease(store, 1, ago=300)
    lease(store, 2, ago=50)
    settle(store, 1, 400, ago=120)
    settle(store, 401, 500, ago=40)
    settle(store, 501, 700, ago=5)

    rate = store.send_rate(1)

    assert (300, 60.0, 5.0) == (rate.settled, rate.seconds, rate.per_second)


def test_an_issue_that_began_just_now_has_the_rate_of_that_time(store: Store) -> None:
    lease(store, 1, ago=10)
    settle(store, 1, 200, ago=3)

    rate = store.send_rate(1)

    assert 200 == rate.settled
    assert 10 <= rate.seconds < 30


def test_a_clock_that_is_ahead_makes_no_message_come_twice_as_fast(store: Store) -> None:
    lease(store, 1, ago=300)
    settle(store, 1, 100, ago=-20)
    settle(store, 101, 200, ago=20)

    assert 100 == store.send_rate(1).settled


def test_without_a_lease_there_is_no_rate(store: Store) -> None:
    assert 0.0 == store.send_rate(1).per_second
    assert 0.0 == store.send_rate(99).per_second


def test_where_more_shards_were_leased_than_are_looked_at_the_time_is_shorter(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.store.pace._SHARDS", 2)
    lease(store, 1, ago=50)
    lease(store, 2, ago=20)
    lease(store, 3, ago=5)
    settle(store, 1, 300, ago=15)
    settle(store, 501, 700, ago=15)

    rate = store.send_rate(1)

    assert 200 == rate.settled
    assert 20 <= rate.seconds < 40


def test_shares_say_which_shards_have_something_left(store: Store) -> None:
    settle(store, 1, 500, ago=1)
    assert store.lease_shard(1, 2, "ada", OnUnknown.resend) is not None

    assert [(1, 3, 1, 1)] == [(one.issue_id, one.total, one.left, one.leased) for one in store.shares()]


def test_what_a_rate_allowed_is_counted_over_its_time(store: Store) -> None:
    with store._database.write() as connection:
        for scope, number, ago in (("mx:25", 3, 0), ("mx:25", 4, 30), ("mx:25", 5, 90), ("mx:25 example.com", 9, 0)):
            moment = sa.func.clock_timestamp() - sa.func.make_interval(0, 0, 0, 0, 0, 0, ago)
            connection.execute(
                sa.insert(t.allowances).values(
                    scope=scope, number=number, granted_at=sa.cast(moment, t.allowances.c.granted_at.type)
                )
            )

    assert (7, 3, 9, 0) == (
        store.begun("mx:25", 60),
        store.begun("mx:25", 10),
        store.begun("mx:25 example.com", 60),
        store.begun("mx:25 example.org", 60),
    )

"""What machines are granted together: no window over a rate, nothing lost for longer than a window."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.clock import Ids, SystemClock
from newsletter.model import Allowed, Need, ServerLimits, Spent
from newsletter.store import Store
from newsletter.store.allowances import lengthened, room
from tests.postgresql import Server

SERVER = "mail.example.com:25"
Machine = Callable[[], Store]


@pytest.fixture
def machine(postgres_url: str) -> Iterator[Machine]:
    """Opens the same database again, as another machine would."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Store.open(postgres_url, clock=SystemClock(), ids=Ids(), check=False))


def need(number: int, *rates: tuple[int, float], scope: str = "", lasts: float = 0.05, owed: int = 0) -> Need:
    return Need(scope=scope, number=number, rates=rates, lasts=lasts, owed=owed)


def ask(store: Store, *needs: Need, spent: tuple[Spent, ...] = ()) -> Allowed:
    return store.allow(SERVER, needs, spent, past=())


def numbers(allowed: Allowed) -> dict[str, int]:
    return {scope: grant.number for scope, grant in allowed.grants.items()}


def sql(postgres: Server, url: str, statement: str) -> None:
    postgres.run(statement, database=url.partition("?")[0].rpartition("/")[2])


# ----------------------------------------------------------------------------------- the rule


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[float, int, list[float], bool]]:
    """Pauses, how many were wanted, when each began within its time, and whether that was ever told."""
    moment = st.tuples(
        st.floats(0, 1.2),
        st.integers(1, 6),
        st.lists(st.floats(0, 1), max_size=6),
        st.booleans(),
    )
    return draw(st.lists(moment, min_size=1, max_size=30))


@given(st.lists(st.tuples(st.integers(1, 8), st.sampled_from([1.0, 3.0])), min_size=1, max_size=2), lives())
def test_no_window_sees_more_than_its_rate_whatever_holders_do(
    rates: list[tuple[int, float]], asks: list[tuple[float, int, list[float], bool]]
) -> None:
    lasts, now, starts = 0.2, 0.0, list[float]()
    #: When the last of a grant begins at the latest, how many, and from when on that is known.
    rows: list[tuple[float, int]] = []
    told: list[tuple[float, int, tuple[float, int]]] = []
    for pause, wanted, parts, is_told in asks:
        now += pause
        for moment, at, row in [one for one in told if one[0] <= now]:
            rows[at] = row
            told.remove((moment, at, row))
        free, wait = room(rates, [(now - moment, number) for moment, number in rows])
        assert (free > 0) == (wait == 0)
        number = min(wanted, free)
        began = sorted(now + part * lasts for part in parts[:number])
        starts += began
        rows.append((now + lasts, number))
        if is_told:
            told.append((now + lasts, len(rows) - 1, (began[-1] if began else 0.0, len(began))))

    for count, seconds in rates:
        for first in starts:
            assert sum(first <= start < first + seconds for start in starts) <= count


def test_the_wait_is_until_the_first_message_counts_no_more() -> None:
    past = [(0.5, 2), (0.25, 1), (-0.1, 1)]

    assert (0, lengthened(1.0) - 0.5) == room([(4, 1.0)], past)
    assert (0, lengthened(1.0) - 0.25) == room([(2, 1.0)], past)
    assert (1, 0.0) == room([(5, 1.0), (50, 60.0)], past)


# ------------------------------------------------------------------------------- on PostgreSQL


def test_machines_share_what_there_is(machine: Machine) -> None:
    one, two = machine(), machine()

    granted = [numbers(ask(store, need(6, (10, 60.0)))) for store in (one, two, one)]

    assert [{"": 6}, {"": 4}, {}] == granted


def test_all_rates_hold_and_each_domain_has_its_own(machine: Machine) -> None:
    store = machine()
    needs = (
        need(9, (20, 1.0), (8, 60.0)),
        need(5, (2, 60.0), scope="one.example"),
        need(1, (2, 60.0), scope="two.example"),
    )

    first, second = ask(store, *needs), ask(store, *needs)

    assert {"": 8, "one.example": 2, "two.example": 1} == numbers(first)
    assert {} == numbers(second)
    # Nothing at all may begin: of the domains nothing is taken.
    assert [""] == list(second.waits)
    assert 59.0 < second.waits[""] < 60.2
    assert {"two.example": 1} == numbers(ask(store, *needs[1:]))


def test_what_was_not_used_is_given_to_others_and_what_was_counts_from_when_it_was(machine: Machine) -> None:
    one, two = machine(), machine()
    grant = ask(one, need(10, (10, 60.0), lasts=1.0)).grants[""]
    used = Spent(grant=grant.id, number=3, until=grant.until)

    ask(one, spent=(used,))

    assert {"": 7} == numbers(ask(two, need(10, (10, 60.0))))


def test_a_machine_that_dies_with_permissions_costs_those_for_one_window(machine: Machine) -> None:
    ask(machine(), need(4, (10, 0.4)))

    other = machine()
    first = ask(other, need(10, (10, 0.4), lasts=0.0))
    time.sleep(0.5)

    assert {"": 6} == numbers(first)
    assert {"": 10} == numbers(ask(other, need(10, (10, 0.4), lasts=0.0)))


def test_what_began_without_a_permission_counts(machine: Machine) -> None:
    store = machine()
    ask(store, need(0, (10, 60.0), owed=4))

    assert {"": 6} == numbers(ask(store, need(10, (10, 60.0))))


def test_without_the_rows_it_is_asked_what_was_sent_and_that_counts(
    machine: Machine, postgres: Server, postgres_url: str
) -> None:
    store = machine()
    ask(store, need(10, (10, 60.0)))
    known = store.allow(SERVER, [need(1, (10, 60.0))])
    sql(postgres, postgres_url, "DELETE FROM allowances")

    unknown = store.allow(SERVER, [need(9, (10, 60.0)), need(9, (5, 60.0), scope="one.example")])
    past = [(10.0, ""), (20.0, ""), (20.0, "one.example")]
    given = store.allow(SERVER, [need(9, (10, 60.0)), need(9, (5, 60.0), scope="one.example")], past=past)

    assert known.is_known
    assert not unknown.is_known
    assert {} == unknown.grants
    assert {"": 8, "one.example": 4} == numbers(given)


def test_what_was_granted_is_not_counted_twice_when_the_rates_change(machine: Machine) -> None:
    store = machine()
    grant = store.allow(SERVER, [need(3, (10, 60.0))], rules="old", past=()).grants[""]
    store.allow(SERVER, [], [Spent(grant=grant.id, number=3, until=grant.until)])

    wanted = [need(20, (20, 3600.0))]
    assert not store.allow(SERVER, wanted, rules="new").is_known
    given = store.allow(SERVER, wanted, rules="new", past=[(float(age), "") for age in range(5)])

    # Five were sent, three of them with permission.
    assert {"": 15} == numbers(given)


def test_old_rows_of_a_long_window_are_put_together_and_still_count(
    machine: Machine, postgres: Server, postgres_url: str
) -> None:
    store = machine()
    ask(store, need(1, (1000, 86_400.0)))
    sql(
        postgres,
        postgres_url,
        f"INSERT INTO allowances (scope, granted_at, number) SELECT '{SERVER}', now() - n * interval '60 s', 1"
        " FROM generate_series(1, 600) n",
    )

    before = ask(store, need(1, (1000, 86_400.0)))
    rows = store.info().counts["allowances"]

    assert {"": 1} == numbers(before)
    assert rows < 110
    assert {"": 398} == numbers(ask(store, need(999, (1000, 86_400.0))))


def test_rows_that_count_for_nobody_are_let_go(machine: Machine, postgres: Server, postgres_url: str) -> None:
    store = machine()
    ask(store, need(1, (10, 1.0)))
    sql(postgres, postgres_url, "UPDATE allowances SET granted_at = granted_at - interval '5 hours'")

    ask(store, need(1, (10, 1.0)))

    # The grant, and two rows of what is known: the old ones of an hour and more are kept for a day.
    assert 3 == store.info().counts["allowances"]


def test_a_clock_that_was_set_back_makes_nobody_wait_for_more_than_a_window(
    machine: Machine, postgres: Server, postgres_url: str
) -> None:
    store = machine()
    ask(store, need(10, (10, 1.0)))
    sql(postgres, postgres_url, "UPDATE allowances SET granted_at = granted_at + interval '1 day'")

    assert ask(store, need(10, (10, 1.0))).waits[""] < 1.1


def test_a_rate_that_one_machine_has_learned_holds_for_all_at_once(machine: Machine) -> None:
    one, two = machine(), machine()
    one.learn_limits(SERVER, ServerLimits(rates=((3, 60.0),)))

    allowed = ask(two, need(10, (10, 1.0)))

    assert {"": 3} == numbers(allowed)
    assert ((3, 60.0),) == allowed.rates


def test_while_a_server_wants_less_nothing_is_granted(machine: Machine) -> None:
    one, two = machine(), machine()
    one.hold_server(SERVER, 60.0, "450 too much")

    allowed = ask(two, need(10, (10, 1.0)))

    assert {} == allowed.grants
    assert 59 < allowed.pause <= 60
    assert 59 < two.ask_server(SERVER, "two") <= 60


def test_of_what_two_machines_have_learned_the_strictest_holds(store: Store) -> None:
    store.learn_limits(SERVER, ServerLimits(per_connection=9, connections=4, rates=((10, 60.0), (5, 3600.0))))
    store.learn_limits(SERVER, ServerLimits(per_connection=5, rates=((20, 60.0),)))

    found = store.server_limits(SERVER)

    assert (5, 4, ((10, 60.0), (5, 3600.0))) == (found.per_connection, found.connections, found.rates)

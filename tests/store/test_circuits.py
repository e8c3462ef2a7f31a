"""A server that failed one machine is left alone by all, and tried out by one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from newsletter.clock import Ids, SystemClock
from newsletter.model import OpenCircuit
from newsletter.store import Store
from tests.postgresql import Server

SERVER = "mail.example.com:25"


@pytest.fixture
def shared(postgres_url: str) -> Iterator[Store]:
    with ExitStack() as stack:
        yield stack.enter_context(Store.open(postgres_url, clock=SystemClock(), ids=Ids(), check=False))


@pytest.fixture
def later(postgres: Server, postgres_url: str) -> Callable[[float], None]:
    """Let so many seconds pass, as far as circuits are concerned."""
    database = postgres_url.partition("?")[0].rpartition("/")[2]

    def pass_by(seconds: float) -> None:
        past = f"- interval '{seconds} s'"
        postgres.run(
            f"UPDATE circuits SET open_until = open_until {past}, probe_until = probe_until {past}", database=database
        )

    return pass_by


def test_a_server_that_works_is_used_by_all_and_nothing_is_written(store: Store) -> None:
    store.server_worked(SERVER)

    assert [0.0, 0.0] == [store.ask_server(SERVER, who) for who in ("one", "two")]
    assert [] == store.open_circuits()
    assert 0 == store.info().counts["circuits"]


def test_one_tries_it_out_and_the_others_wait_for_what_comes_of_it(
    shared: Store, later: Callable[[float], None]
) -> None:
    shared.server_failed(SERVER, "one", "cannot be reached")
    waits = [round(shared.ask_server(SERVER, who)) for who in ("one", "two")]
    later(31)

    asked = [shared.ask_server(SERVER, who) for who in ("two", "one", "three", "two")]

    assert [30, 30] == waits
    assert [0.0, 5.0, 5.0, 0.0] == asked
    [circuit] = shared.open_circuits()
    assert OpenCircuit(server=SERVER, failures=1, seconds=0.0, reason="cannot be reached", prober="two") == circuit

    shared.server_worked(SERVER)

    assert [0.0, 0.0] == [shared.ask_server(SERVER, who) for who in ("one", "three")]
    assert [] == shared.open_circuits()


def test_pauses_double_up_to_a_quarter_of_an_hour(shared: Store, later: Callable[[float], None]) -> None:
    pauses = []
    for _ in range(7):
        shared.ask_server(SERVER, "one")
        shared.server_failed(SERVER, "one", "silent")
        pauses.append(round(shared.open_circuits()[0].seconds))
        later(901)

    assert [30, 60, 120, 240, 480, 900, 900] == pauses


def test_those_who_were_still_at_it_say_nothing_new(shared: Store, later: Callable[[float], None]) -> None:
    for who in ("one", "two", "three"):
        shared.server_failed(SERVER, who, "gone")
    later(31)
    shared.ask_server(SERVER, "one")
    shared.server_failed(SERVER, "two", "gone")

    [circuit] = shared.open_circuits()
    assert (1, "one") == (circuit.failures, circuit.prober)


def test_who_dies_while_trying_it_out_is_followed_by_another(shared: Store, later: Callable[[float], None]) -> None:
    shared.server_failed(SERVER, "one", "gone")
    later(31)
    assert 0.0 == shared.ask_server(SERVER, "one")
    assert 0.0 < shared.ask_server(SERVER, "two")
    later(61)

    assert [0.0, 5.0] == [shared.ask_server(SERVER, who) for who in ("two", "one")]


def test_a_server_that_only_wanted_less_is_used_by_all_afterwards(
    shared: Store, later: Callable[[float], None]
) -> None:
    shared.hold_server(SERVER, 60, "too fast")
    shared.hold_server(SERVER, 30, "too fast")
    shared.server_worked(SERVER)
    held = [round(shared.ask_server(SERVER, who)) for who in ("one", "two")]
    later(61)

    assert [60, 60] == held
    assert [0.0, 0.0] == [shared.ask_server(SERVER, who) for who in ("one", "two")]

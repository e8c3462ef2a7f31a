"""A server that works gets all connections, one in trouble one at a time, a dead one none."""

import asyncio

from newsletter.delivery.circuit import Circuit


class Pauses:
    def __init__(self) -> None:
        self.taken: list[float] = []

    async def rest(self, seconds: float) -> None:
        self.taken.append(seconds)
        await asyncio.sleep(0)


def at_once(circuit: Circuit, visitors: int, *, work: bool = False) -> int:
    """How many are let in together, of so many who come at once."""
    inside = most = 0

    async def visit() -> None:
        nonlocal inside, most
        alone = await circuit.turn()
        inside += 1
        most = max(most, inside)
        for _ in range(20):
            await asyncio.sleep(0)
        if work:
            circuit.worked()
        inside -= 1
        circuit.done(alone=alone)

    async def go() -> None:
        await asyncio.gather(*(visit() for _ in range(visitors)))

    asyncio.run(go())
    return most


def test_until_a_server_has_answered_for_a_message_one_connection_tries() -> None:
    assert 1 == at_once(Circuit(patience=4, back_off=1, rest=Pauses().rest), 8)


def test_when_it_has_the_others_follow() -> None:
    assert 7 == at_once(Circuit(patience=4, back_off=1, rest=Pauses().rest), 8, work=True)


def test_pauses_double() -> None:
    pauses = Pauses()
    circuit = Circuit(patience=100, back_off=1, rest=pauses.rest)
    for _ in range(9):
        at_once(circuit, 1)
        circuit.failed(circuit.cohort)

    assert [1, 2, 4, 8, 16, 32, 60, 60] == pauses.taken


def test_connections_that_break_together_are_one_failure() -> None:
    circuit = Circuit(patience=2, back_off=1, rest=Pauses().rest)
    circuit.worked()
    before = circuit.cohort
    for _ in range(8):
        circuit.failed(before)

    assert not circuit.is_dead
    circuit.failed(circuit.cohort)
    assert circuit.is_dead


def test_a_server_that_answers_again_is_forgiven() -> None:
    circuit = Circuit(patience=2, back_off=1, rest=Pauses().rest)
    for _ in range(10):
        circuit.failed(circuit.cohort)
        circuit.worked()

    assert not circuit.is_dead
    assert 8 == at_once(circuit, 8)

"""The publisher's rates in a run: kept for all and per domain, over runs, and at nobody else's cost."""

import asyncio

from newsletter.delivery.deliver import deliver
from newsletter.delivery.limits import OTHERS, Rate
from newsletter.model import DeliveryState, Issue
from tests.delivery.conftest import Office
from tests.delivery.samples import settings
from tests.delivery.sink import Sink, Step


def started(office: Office, issue: Issue, **rates: object) -> list[tuple[float, str]]:
    """When each message's MAIL came and for whom, in seconds of the test's clock; waiting moves that clock."""
    began: list[tuple[float, str]] = []

    def script(at: Step) -> None:
        if at.name == "rcpt":
            began.append((office.clock.ticks, at.recipient))

    async def sleep(seconds: float) -> None:
        until = office.clock.ticks + seconds
        await asyncio.sleep(0)
        # Connections wait at the same time, not one after the other.
        office.clock.advance(max(until - office.clock.ticks, 0.0))

    async def go() -> None:
        async with Sink(script) as sink:
            report = await deliver(issue, office.store, settings(sink, **rates), clock=office.clock, sleep=sleep)
            assert {DeliveryState.sent: len(began)} == report.counts

    asyncio.run(go())
    return began


def waited(office: Office, issue: Issue, **rates: object) -> tuple[int, list[tuple[float, str]]]:
    """How many seconds a run had to wait in all, and what `started` says.

    The next message waits while one is handed over, and moves the clock meanwhile: a start may be seen late, but
    the waits are exact.
    """
    before = office.clock.ticks
    began = started(office, issue, connections=1, **rates)
    return round(office.clock.ticks - before), began


def test_a_rate_holds(office: Office) -> None:
    issue = office.freeze([f"r{number}@one.example.com" for number in range(9)])

    seconds, _ = waited(office, issue, rates=(Rate(count=3, seconds=60),))

    assert 120 == seconds


def test_a_slow_domain_waits_alone(office: Office) -> None:
    people = [f"r{number}@{'slow' if number < 4 else 'fast'}.example.com" for number in range(12)]
    issue = office.freeze(people)

    seconds, began = waited(office, issue, per_domain={"slow.example.com": (Rate(count=1, seconds=60),)})

    assert 180 == seconds
    order = ["slow" if "slow" in to else "fast" for _, to in began]
    assert ["slow"] * 3 == order[-3:], "the others did not wait for them"


def test_each_domain_that_is_not_named_has_the_others_rate_for_itself(office: Office) -> None:
    issue = office.freeze([f"r{number}@d{number % 3}.example.com" for number in range(6)])

    seconds, began = waited(office, issue, per_domain={OTHERS: (Rate(count=1, seconds=60),)})

    assert 60 == seconds
    assert 3 == len({to.partition("@")[2] for _, to in began[:3]})


def test_the_next_run_knows_what_the_last_one_sent(office: Office) -> None:
    rates = (Rate(count=2, seconds=3600),)
    first = office.freeze(["a@x.example.com", "b@x.example.com"])
    second = office.freeze(["c@x.example.com"])
    office.clock.advance(7200)
    [earlier, _] = sorted(at for at, _ in started(office, first, rates=rates))
    office.clock.advance(600)

    [(later, _)] = started(office, second, rates=rates)

    assert 3600 <= later - earlier <= 3700


def test_a_run_that_is_stopped_does_not_wait_for_its_turn(office: Office) -> None:
    issue = office.freeze(["a@x.example.com", "b@x.example.com"])
    office.clock.advance(7200)

    async def go() -> dict[DeliveryState, int]:
        stop, begun = asyncio.Event(), asyncio.Event()

        async def never(_: float) -> None:
            await begun.wait()
            stop.set()
            await asyncio.sleep(3600)

        async with Sink(lambda at: begun.set() if at.name == "message" else None) as sink:
            given = settings(sink, connections=1, rates=(Rate(count=1, seconds=3600),))
            report = await deliver(issue, office.store, given, clock=office.clock, sleep=never, stop=stop)
        return dict(report.counts)

    assert {DeliveryState.sent: 1, DeliveryState.queued: 1} == asyncio.run(go())

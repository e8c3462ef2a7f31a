"""The publisher's rate: no window of its length ever sees more starts than it allows."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.limits import OTHERS, Pacer, Pacers, Rate, longest_window
from newsletter.errors import UsageError
from tests.conftest import FakeClock


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50/s", Rate(count=50, seconds=1)),
        ("30/m", Rate(count=30, seconds=60)),
        (" 1000 / h ", Rate(count=1000, seconds=3600)),
        ("20000/d", Rate(count=20000, seconds=86400)),
        ("500/day", Rate(count=500, seconds=86400)),
    ],
)
def test_a_rate_is_read_as_people_write_it(text: str, rate: Rate) -> None:
    assert rate == Rate.parse(text)
    assert rate == Rate.parse(str(rate))


@pytest.mark.parametrize(
    "text", ["", "0/s", "50", "/s", "50/w", "-1/s", "1.5/s", "50 per second", "٣/s", "9" * 12 + "/s"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a rate"):
        Rate.parse(text)


def paced(pacers: Pacers, clock: FakeClock, asks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """When each message starts, as (seconds, domain); the asks are pauses before them, one connection after the other."""
    starts = []
    for pause, domain in asks:
        clock.advance(pause)
        while (seconds := pacers.wait(domain)) > 0:
            clock.advance(seconds)
        pacers.begin(domain)
        starts.append((clock.ticks, domain))
    return starts


def breaches(starts: list[float], rate: Rate) -> list[float]:
    """Starts that stand in one window with more before them than a rate allows; a clock of floats is never exact."""
    return [
        later
        for earlier, later in zip(starts, starts[rate.count :], strict=False)
        if later - earlier < rate.seconds - 1e-5
    ]


_DOMAINS = ("one.example", "two.example", "three.example")


@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([1.0, 60.0, 3600.0])), max_size=3),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1.0, 60.0])), max_size=2),
    st.lists(st.tuples(st.floats(0, 2, allow_nan=False), st.sampled_from(_DOMAINS)), min_size=1, max_size=40),
)
def test_no_window_of_any_rate_sees_more_than_it_allows(
    rates: list[tuple[int, float]], own: list[tuple[int, float]], asks: list[tuple[float, str]]
) -> None:
    """Rates for all, rates for one domain, and for each of the others."""
    clock = FakeClock()
    common, each = ([Rate(count=count, seconds=seconds) for count, seconds in given] for given in (rates, own))
    starts = paced(Pacers(common, {"one.example": each, OTHERS: each[:1]}, clock=clock), clock, asks)

    found = [breach for rate in common for breach in breaches([at for at, _ in starts], rate)]
    for domain in _DOMAINS:
        there = [at for at, where in starts if where == domain]
        found += [
            breach for rate in (each if domain == "one.example" else each[:1]) for breach in breaches(there, rate)
        ]
    assert [] == found


@given(st.integers(1, 5), st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=12), st.floats(0, 120))
def test_a_new_run_knows_what_the_last_one_did(count: int, pauses: list[float], between: float) -> None:
    clock = FakeClock()
    rate = Rate(count=count, seconds=60)
    first = paced(Pacers([rate], clock=clock), clock, [(pause, "one.example") for pause in pauses])
    past = [(clock.now() - timedelta(seconds=clock.ticks - at), domain) for at, domain in first]
    clock.advance(between)

    second = paced(Pacers([rate], clock=clock, past=past), clock, [(0.0, "one.example")] * count)

    assert [] == breaches([at for at, _ in first + second], rate)


def test_nobody_waits_longer_than_the_rate_asks() -> None:
    clock = FakeClock()

    starts = paced(Pacers([Rate(count=2, seconds=60)], clock=clock), clock, [(0.0, "one.example")] * 5)

    assert [0, 0, 60, 60, 120] == [at for at, _ in starts]


def test_the_time_of_a_message_counts_from_its_start_and_not_from_its_turn() -> None:
    """A connection that takes five seconds to open must not bring two bursts into one window of the server's."""
    clock = FakeClock()
    pacer = Pacer([Rate(count=2, seconds=60)], clock=clock)
    for _ in range(2):
        assert 0.0 == pacer.wait()
        pacer.reserve()
    waits = [pacer.wait()]

    for _ in range(2):
        clock.advance(5)
        pacer.release()
        pacer.begin()
        waits.append(pacer.wait())

    assert [60.0, 60.0, 55.0] == waits


def test_who_gives_a_place_back_keeps_nobody_waiting() -> None:
    pacers = Pacers([Rate(count=1, seconds=60)], {"one.example": [Rate(count=1, seconds=3600)]}, clock=FakeClock())
    pacers.reserve("one.example")
    waited = pacers.wait("one.example"), pacers.wait("two.example")

    pacers.release("one.example")

    assert (3600.0, 60.0) == waited
    assert (0.0, 0.0) == (pacers.wait("one.example"), pacers.wait("two.example"))


def test_a_slow_domain_costs_the_others_nothing() -> None:
    clock = FakeClock()
    pacers = Pacers([], {"one.example": [Rate(count=1, seconds=60)]}, clock=clock)
    pacers.begin("one.example")

    assert (60.0, 0.0) == (pacers.wait("one.example"), pacers.wait("two.example"))


def test_a_clock_set_back_makes_nobody_wait_for_more_than_a_window() -> None:
    clock = FakeClock()
    later = clock.now() + timedelta(days=1)

    assert 60.0 == Pacer([Rate(count=1, seconds=60)], clock=clock, past=[later]).wait()


def test_without_a_rate_nobody_waits() -> None:
    clock = FakeClock()

    assert {0} == {at for at, _ in paced(Pacers(clock=clock), clock, [(0.0, "one.example")] * 1000)}


def test_the_longest_window_is_what_a_run_must_remember() -> None:
    assert 86400.0 == longest_window([Rate.parse("5/s"), Rate.parse("100/d"), Rate.parse("9/m")])
    assert 0.0 == longest_window([])

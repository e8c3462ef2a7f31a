"""The publisher's rate: no window of its length ever sees more starts than it allows."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.limits import Pacer, Rate
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


@given(st.integers(1, 6), st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=60))
def test_no_window_sees_more_than_the_rate_allows(count: int, pauses: list[float]) -> None:
    """Turns are asked for at any moments, by several connections at once."""
    clock = FakeClock()
    starts: list[float] = []

    async def sleep(seconds: float) -> None:
        starts[-1] += seconds

    async def go() -> None:
        pacer = Pacer(Rate(count=count, seconds=1), clock=clock, sleep=sleep)
        for pause in pauses:
            clock.advance(pause)
            starts.append(clock.ticks)
            await pacer.turn()

    asyncio.run(go())

    assert all(later - earlier >= 1 - 1e-6 for earlier, later in zip(starts, starts[count:], strict=False))
    assert all(later >= earlier for earlier, later in pairwise(starts))


def test_nobody_waits_longer_than_the_rate_asks() -> None:
    clock = FakeClock()
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    async def go() -> None:
        pacer = Pacer(Rate(count=2, seconds=60), clock=clock, sleep=sleep)
        for _ in range(5):
            await pacer.turn()

    asyncio.run(go())

    assert [60, 60, 120] == waits


def test_without_a_rate_nobody_waits() -> None:
    async def go() -> None:
        async def never(_: float) -> None:
            raise AssertionError

        pacer = Pacer(None, clock=FakeClock(), sleep=never)
        for _ in range(1000):
            await pacer.turn()

    asyncio.run(go())

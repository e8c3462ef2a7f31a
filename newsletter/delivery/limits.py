"""How fast we may go: the publisher's rate, kept over all connections of a run."""

import re
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from newsletter.clock import Clock
from newsletter.errors import UsageError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_RATE = re.compile(r"\s*([1-9][0-9]{0,8})\s*/\s*(s|m|h|d|sec|min|second|minute|hour|day)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `count` messages in any `seconds`."""

    count: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `50/s`, `30/m`, `1000/h` or `20000/d`.

        Raises:
            UsageError: it is none of these.
        """
        found = _RATE.fullmatch(text)
        if not found:
            raise UsageError(f"{text!r} is not a rate", hint="write it like 50/s, 30/m, 1000/h or 20000/d")
        return cls(count=int(found[1]), seconds=_SECONDS[found[2][0]])

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.count}/{unit}"


class Pacer:
    """Lets messages start so that no window of the rate's length sees more of them than it allows.

    A burst up to the rate's count goes at once; then each waits until the one
    `count` before it is old enough.  Turns are given in the order they are asked for.

    Args:
        rate: None lets everything go at once.
        sleep: waits for the seconds it is given.
    """

    def __init__(self, rate: Rate | None, *, clock: Clock, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._starts: deque[float] = deque(maxlen=rate.count if rate else 1)

    async def turn(self) -> None:
        """Wait until another message may start."""
        if self._rate is None:
            return
        now = self._clock.monotonic()
        full = len(self._starts) == self._rate.count
        start = max(now, self._starts[0] + self._rate.seconds) if full else now
        self._starts.append(start)
        if start > now:
            await self._sleep(start - now)

"""How fast we may go: the publisher's rates, kept over all connections, domains and runs."""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

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

    @property
    def window(self) -> str:
        """The time it holds for, in words."""
        return {1.0: "a second", 60.0: "a minute", 3_600.0: "an hour", 86_400.0: "a day"}[self.seconds]

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _SECONDS.items() if seconds == self.seconds)
        return f"{self.count}/{unit}"


#: A shorter wait is none: clocks have no finer hands.
_NOW: Final = 1e-6


class Pacer:
    """Says when a message may start so that no window of a rate's length sees more of them than it allows.

    A burst up to a rate's count goes at once; then each waits until the one
    `count` before it is old enough.  Between the moment when a message may start
    and the one when it does, a connection may have to be opened first: until
    then its place is taken (`reserve`), and its time counts from its start
    (`begin`), which is what the server sees.

    Args:
        rates: all of them hold; none lets everything go at once.
        clock: for the present moment, and for the seconds that never jump.
        past: when earlier messages started, oldest first: what the last run did counts in this one.
    """

    def __init__(self, rates: Sequence[Rate], *, clock: Clock, past: Iterable[datetime] = ()) -> None:
        self._clock = clock
        self._starts = [(rate, deque[float](maxlen=rate.count)) for rate in rates]
        self._reserved = 0
        now, ticks = clock.now(), clock.monotonic()
        for moment in past:
            # A clock that was set back must not make anybody wait for more than a window.
            self._note(ticks - max((now - moment).total_seconds(), 0.0))

    def add(self, rate: Rate, past: Iterable[float] = ()) -> None:
        """Keep to another rate from now on, in place of one over the same time.

        Args:
            rate: the new one.
            past: when messages started that count for it, on the clock that never jumps, oldest first.
        """
        self._starts = [(one, starts) for one, starts in self._starts if one.seconds != rate.seconds]
        self._starts.append((rate, deque(past, maxlen=rate.count)))

    def wait(self) -> float:
        """Seconds until a message may start; 0.0 for at once."""
        if not self._starts:
            return 0.0
        now = self._clock.monotonic()
        longest = max((self._wait(rate, starts, now) for rate, starts in self._starts), default=0.0)
        return longest if longest > _NOW else 0.0

    def _wait(self, rate: Rate, starts: deque[float], now: float) -> float:
        # Those that have not started will do so now at the earliest.
        others = rate.count - self._reserved
        if others <= 0:
            return rate.seconds
        return starts[-others] + rate.seconds - now if len(starts) >= others else 0.0

    def reserve(self) -> None:
        """A message will start as soon as it can."""
        self._reserved += 1

    def release(self) -> None:
        """One for which there was a place has started, or will not after all."""
        self._reserved -= 1

    def begin(self) -> None:
        """A message starts now."""
        if self._starts:
            self._note(self._clock.monotonic())

    def _note(self, start: float) -> None:
        for _, starts in self._starts:
            starts.append(start)


#: Stands for every domain that has no rates of its own; each has these for itself.
OTHERS: Final = "*"


class Pacers:
    """The rates of a run: those for all messages, and those for each recipient's domain.

    Args:
        rates: for all messages together.
        per_domain: by domain (A-labels, lower case), or `OTHERS`.
        clock: see `Pacer`.
        past: when earlier messages started and to which domain, oldest first.
    """

    def __init__(
        self,
        rates: Sequence[Rate] = (),
        per_domain: Mapping[str, Sequence[Rate]] | None = None,
        *,
        clock: Clock,
        past: Iterable[tuple[datetime, str]] = (),
    ) -> None:
        known = list(past)
        self._clock = clock
        self._all = Pacer(rates, clock=clock, past=(moment for moment, _ in known))
        self._per_domain = per_domain or {}
        self._domains: dict[str, Pacer] = {}
        self._past: dict[str, list[datetime]] = {}
        for moment, domain in known if self._per_domain else ():
            self._past.setdefault(domain, []).append(moment)

    def slow_down(self, rate: Rate, began: float) -> None:
        """Keep to another rate for all messages from one on that began then: a rate that the server has taught us."""
        self._all.add(rate, [began])

    def lacks(self, domains: Mapping[str, int]) -> Mapping[str, int]:  # noqa: ARG002
        """For which domains others would have to be asked, and for how many messages: none, nobody else sends."""
        return {}

    async def ask(self, domains: Mapping[str, int]) -> None:
        """Ask others whether messages to these domains may start."""

    async def close(self) -> None:
        """Tell others what has come of it."""

    def holds(self, domain: str) -> bool:  # noqa: ARG002
        """Whether a message that has its place may start now: its place waits for it."""
        return True

    def wait(self, domain: str) -> float:
        """Seconds until a message to this domain may start; 0.0 for at once."""
        wait = self._all.wait()
        return max(wait, self._own(domain).wait()) if self._per_domain else wait

    def reserve(self, domain: str) -> None:
        """A message to this domain will start as soon as it can."""
        self._all.reserve()
        if self._per_domain:
            self._own(domain).reserve()

    def release(self, domain: str) -> None:
        """One for which there was a place has started, or will not after all."""
        self._all.release()
        if self._per_domain:
            self._own(domain).release()

    def begin(self, domain: str) -> None:
        """A message to this domain starts now."""
        self._all.begin()
        if self._per_domain:
            self._own(domain).begin()

    def _own(self, domain: str) -> Pacer:
        if domain not in self._domains:
            rates = self._per_domain.get(domain, self._per_domain.get(OTHERS, ()))
            self._domains[domain] = Pacer(rates, clock=self._clock, past=self._past.pop(domain, ()))
        return self._domains[domain]


def longest_window(rates: Iterable[Rate]) -> float:
    """The length in seconds of the longest window: what a run must know of those before it; 0.0 without rates."""
    return max((rate.seconds for rate in rates), default=0.0)

"""The only source of time, of ids and of randomness.

Everything that must repeat in a test takes a `Clock` and `Ids` as arguments.
`tests/project` checks that no other module asks the system for either.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The present moment: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for durations and back-off."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """The present moment: aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never jump, for durations and back-off."""
        return time.monotonic()


class StandingClock:
    """A clock that shows one moment for good, for a look at another time.

    Args:
        moment: aware.
    """

    def __init__(self, moment: datetime) -> None:
        self._moment = moment.astimezone(UTC)

    def now(self) -> datetime:
        """That moment: aware, UTC."""
        return self._moment

    def monotonic(self) -> float:
        """Seconds that never jump: durations are real."""
        return time.monotonic()


class LateClock:
    """A clock that is ahead, for a rehearsal that does not wait for what comes later.

    Args:
        seconds: how far.
    """

    def __init__(self, seconds: float) -> None:
        self._ahead = timedelta(seconds=seconds)
        self._skipped = 0.0

    def now(self) -> datetime:
        """The moment that will be: aware, UTC."""
        return datetime.now(UTC) + self._ahead

    def monotonic(self) -> float:
        """Seconds that never jump: durations are real, but for what was skipped."""
        return time.monotonic() + self._skipped

    def skip(self, seconds: float) -> None:
        """Be so many seconds later at once."""
        self._ahead += timedelta(seconds=seconds)
        self._skipped += seconds


class Ids:
    """Where new random values come from; a test hands in its own `source`.

    Args:
        source: returns the given number of random bytes.
    """

    def __init__(self, source: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._source = source

    def key(self) -> bytes:
        """A new secret of 32 bytes."""
        return self._source(32)

    def token(self) -> str:
        """32 hexadecimal characters: 128 bits."""
        return self._source(16).hex()

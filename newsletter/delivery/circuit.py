"""Whether the server can be trusted with all our connections, or with one, or is to be left alone.

A server that has accepted nothing yet, or that failed last, gets one connection
at a time, after a pause that doubles; when it has answered for a message, the
others follow.  Connections that break together count as one failure.  After
several in a row the run ends: nobody's delivery is worth more tries now.  A
server that wants less of us is asked again by one message at a time as well,
after the pause it is given, and has not failed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

#: Seconds a pause is at most.
_LONGEST_PAUSE: Final = 60.0


class Circuit:
    """One server's standing in one run.

    Args:
        patience: how many failures in a row are the end.
        back_off: seconds of the first pause.
        rest: waits for the seconds it is given, or until the run ends.
    """

    def __init__(self, *, patience: int, back_off: float, rest: Callable[[float], Awaitable[None]]) -> None:
        self._patience = patience
        self._back_off = back_off
        self._rest = rest
        self._probe = asyncio.Lock()
        self._is_proven = False
        self._failures = 0
        self._hold = 0.0
        self._cohort = 0
        self._queue = 0

    @property
    def cohort(self) -> int:
        """What a connection opened now belongs to: those since the last failure."""
        return self._cohort

    @property
    def is_dead(self) -> bool:
        """Whether it has failed too often in a row."""
        return self._failures >= self._patience

    def worked(self) -> None:
        """The server has answered for a message, yes or no."""
        self._is_proven = True
        self._failures = 0
        self._hold = 0.0

    def held_back(self, seconds: float) -> None:
        """The server wants less of us: one message at a time, and the next after so many seconds."""
        self._is_proven = False
        self._hold = seconds

    def failed(self, cohort: int) -> None:
        """A connection could not be opened, broke, or was told to go away."""
        if cohort == self._cohort:
            self._cohort += 1
            self._failures += 1
            self._is_proven = False

    async def turn(self) -> bool:
        """Wait for one's turn: at once while the server works, one at a time and after a pause otherwise.

        Returns:
            whether nobody else has a turn until `done` is called.
        """
        # Who comes while others still wait stands behind them.
        if self._is_proven and not self._queue:
            return False
        self._queue += 1
        try:
            await self._probe.acquire()
        finally:
            self._queue -= 1
        if self._is_proven:
            self._probe.release()
            return False
        try:
            await self._pause()
        except BaseException:
            self._probe.release()
            raise
        return True

    def done(self, *, alone: bool) -> None:
        """A turn is over; `alone` is what `turn` has returned."""
        if alone:
            self._probe.release()

    async def _pause(self) -> None:
        failed = min(self._back_off * (1 << self._failures - 1), _LONGEST_PAUSE) if self._failures else 0.0
        if pause := max(failed, self._hold):
            await self._rest(pause)

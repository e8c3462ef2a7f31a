"""Virtual time: an event loop that never waits, and what is to happen in the world around it.

One timeline holds everything that comes by itself: bytes on their way, replies,
people who unsubscribe.  The loop of a process asks it, whenever it has nothing
to do, for what comes next; time is whatever that was planned for.
"""

import asyncio
import heapq
import random
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from datetime import datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple, Unpack

from tests.conftest import START

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")

#: So many turns of a loop at one moment mean that it goes round in circles.
_TURNS = 50_000


class Stuck(AssertionError):  # noqa: N818 - the verdict of a simulation
    """A process waits for what will never come, or never waits at all."""


class Timeline:
    """What time it is, and what comes next; the only clock of a simulation.

    It is a `Clock`: `monotonic` never jumps, `now` does when it is told to.

    Args:
        chance: decides how long things take.
    """

    def __init__(self, chance: random.Random) -> None:
        self.seconds = 0.0
        self.chance = chance
        self._jumped = timedelta()
        self.jumps = 0
        #: By how many seconds the clock on the wall was put back in all.
        self.put_back = 0.0
        self._coming: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.lines: list[str] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=round(self.seconds, 6)) + self._jumped

    def monotonic(self) -> float:
        return self.seconds

    def jump(self, seconds: float) -> None:
        """Put the clock on the wall forward or back."""
        self._jumped += timedelta(seconds=seconds)
        self.jumps += 1
        self.put_back += max(-seconds, 0.0)
        self.log(f"the clock jumps by {seconds:g} s")

    def log(self, line: str) -> None:
        """Write down what happened."""
        self.lines.append(f"{self.seconds:.6f} {line}")

    def after(self, seconds: float, action: Callable[[], None]) -> float:
        """Have something happen in so many seconds; at the same moment, things happen in the order of the calls."""
        when = self.seconds + seconds
        self._count += 1
        heapq.heappush(self._coming, (when, self._count, action))
        return when

    def a_while(self, most: float) -> float:
        """A duration up to so many seconds."""
        return self.chance.uniform(0.0, most)

    def next(self, until: float | None) -> None:
        """Let the next thing happen, or time pass until then if that is sooner."""
        if self._coming and (until is None or self._coming[0][0] <= until):
            when, _, action = heapq.heappop(self._coming)
            self.seconds = max(self.seconds, when)
            action()
        elif until is None:
            raise Stuck("the program waits for what will never come")
        else:
            self.seconds = max(self.seconds, until)

    def pass_by(self, seconds: float) -> None:
        """Let time pass while nobody is at work."""
        until = self.seconds + seconds
        while self.seconds < until:
            self.next(until)


class _Selector(selectors.SelectSelector):
    """Looks at no file: between two turns of the loop, the world goes on."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        super().__init__()
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._idle(timeout)
        return []


class Loop(asyncio.SelectorEventLoop):
    """The event loop of one process in a simulation: no threads, no sockets, no waiting.

    Args:
        timeline: what goes on around it.
        dial: opens a connection, for `create_connection`.
        on_idle: told whenever the loop has nothing to do at this moment.
        on_trouble: told what asyncio would have logged.
    """

    def __init__(
        self,
        timeline: Timeline,
        *,
        dial: Callable[["Loop", asyncio.Protocol], Any],
        on_idle: Callable[[], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._timeline = timeline
        self._dial = dial
        self._on_idle = on_idle
        self._turns = 0
        #: What is told from outside must not be told now.
        self.answers_wait = False
        #: The time of a process that is dead and only being cleared away; None while it lives.
        self._afterwards: float | None = None
        super().__init__(_Selector(self._idle))
        self.set_exception_handler(lambda _, context: on_trouble(f"{context['message']}: {context.get('exception')!r}"))

    def time(self) -> float:
        return self._timeline.seconds if self._afterwards is None else self._afterwards

    def _idle(self, timeout: float | None) -> None:
        if self._afterwards is not None:
            self._afterwards += timeout or 0.0
            return
        if timeout is not None and timeout <= 0:
            self._turns += 1
            if self._turns > _TURNS:
                raise Stuck("the program goes round in circles")
            return
        self._turns = 0
        self._on_idle()
        self._timeline.next(None if timeout is None else self._timeline.seconds + timeout)

    async def create_connection(self, protocol_factory: Any, *_: Any, **__: Any) -> Any:
        protocol = protocol_factory()
        return await self._dial(self, protocol), protocol

    def call_soon_threadsafe(
        self,
        callback: Callable[[Unpack[_Arguments]], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        assert not self.answers_wait, "an answer before its commit"
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Arguments]], _Result], *args: *_Arguments
    ) -> asyncio.Future[_Result]:
        future: asyncio.Future[_Result] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            future.set_exception(error)
        return future

    def clear_away(self) -> None:
        """End what is left of a process that has died, in no time and without any effect."""
        self._afterwards = self._timeline.seconds
        for _ in range(100):
            left = asyncio.all_tasks(self)
            if not left:
                break
            for task in left:
                task.cancel()
            try:
                self.run_until_complete(asyncio.wait(left, timeout=1.0))
            except SystemExit:
                # Dead already: it tried to touch something.
                continue
        else:
            raise Stuck("a process that was killed does not end")
        self.close()

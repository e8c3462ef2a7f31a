"""A process of the simulation: one `newsletter send`, which may die at any step and leaves nothing behind but its rows.

What it has is its own: an event loop, connections, a store.  What others see of
it is the database file, the lock beside it, and the bytes it has written.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from newsletter.clock import Ids
from newsletter.store.connect import SqliteFile
from newsletter.store.hands import Hands
from newsletter.store.store import Store
from tests.simulation.timeline import Loop, Timeline

_Result = TypeVar("_Result")

#: Where a process can be told to die, or something else to happen: when it waits, around each commit of anything and
#: of the outbox, when it writes to a server, and when that arrives.
STEPS = ("idle", "before-commit", "after-commit", "before-outbox-commit", "after-outbox-commit", "write", "arrive")


class Killed(SystemExit):
    """The process is no more.  Not an exception that anything could handle, and asyncio lets it through."""


@dataclass(frozen=True)
class Trigger:
    """The n-th time (from 1) that a process comes to a step."""

    step: str
    nth: int


class Process:
    """One run of the program.

    Args:
        timeline: the world's.
        path: of the database.
        number: counts the processes.
        dial: opens a connection for it.
        fate: where it dies.
    """

    def __init__(
        self,
        timeline: Timeline,
        path: Path,
        *,
        number: int,
        ids: Ids,
        dial: Callable[["Process", Loop, Any], Any],
        fate: Trigger | None,
    ) -> None:
        self.number = number
        self.timeline = timeline
        self.troubles: list[str] = []
        #: When it announced a message to a server, and for whom; a list for each issue.
        self.starts: list[list[tuple[float, str]]] = [[]]
        #: It has been killed.
        self.is_dead = False
        #: It has been killed, or has ended.
        self.is_over = False
        #: Told when it is over: the system closes what it had open.
        self.on_end: list[Callable[[], None]] = []
        #: What happens at which step.
        self.triggers: dict[Trigger, Callable[[], None]] = {}
        self._fate = fate
        self._steps: Counter[str] = Counter()
        self.loop = Loop(
            timeline,
            dial=lambda loop, protocol: dial(self, loop, protocol),
            on_idle=lambda: self.step("idle"),
            on_trouble=self._trouble,
        )
        self.store = Store(open_file(path, self), timeline, ids)

    def step(self, name: str) -> None:
        """Come to a step: something may happen there, and it may be the last one.

        Raises:
            Killed: it was, now or before.
        """
        if self.is_dead:
            raise Killed
        self._steps[name] += 1
        here = Trigger(name, self._steps[name])
        if here in self.triggers:
            # Not in the middle of a transaction of ours: others would wait for it.
            self.timeline.after(0.0, self.triggers[here])
        if here == self._fate:
            self.die(f"at {name} {here.nth}")

    def die(self, where: str) -> None:
        """End here, without a word."""
        self.timeline.log(f"process {self.number} is killed {where}")
        self.is_dead = True
        self._end()
        raise Killed

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result | None:
        """Do the work; None if it was killed meanwhile."""
        try:
            return self.loop.run_until_complete(work)
        except Killed:
            return None
        finally:
            self._end()
            self.loop.clear_away()
            self.store.close()

    def _end(self) -> None:
        if not self.is_over:
            self.is_over = True
            for tell in self.on_end:
                tell()

    def _trouble(self, what: str) -> None:
        if not self.is_over:
            self.troubles.append(what)


class SimulatedFile(SqliteFile):
    """The database as one process has it open: real SQLite, and steps around every commit.

    Args:
        process: whose; None for what stands outside of the simulation.
    """

    def __init__(self, path: Path, process: Process | None) -> None:
        self._process = process
        super().__init__(path)

    def reopen(self, path: Path, process: Process | None) -> None:
        """Be another process's, perhaps in another world; nothing is left of what was open."""
        self.close()
        self.path, self._process = path, process

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        # Processes are killed here, the machine is not.
        connection.execute("PRAGMA synchronous=OFF").close()
        return connection

    def _step(self, name: str) -> None:
        if self._process is not None:
            self._process.step(name)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        if self._process is not None and self._process.is_dead:
            raise Killed
        with super().read() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        if self._process is not None and self._process.is_dead:
            raise Killed
        with super().write() as connection:
            yield connection
            self._step("before-commit")
        self._step("after-commit")

    @contextmanager
    def writer(self) -> Iterator[Callable[[], AbstractContextManager[Connection]]]:
        with super().writer() as begin:

            @contextmanager
            def stepped() -> Iterator[Connection]:
                with begin() as connection, self._in_transaction():
                    yield connection
                    self._step("before-outbox-commit")
                self._step("after-outbox-commit")

            yield stepped

    @contextmanager
    def _in_transaction(self) -> Iterator[None]:
        """The writer is at work: nobody may be told that it is done."""
        if self._process is None:
            yield
            return
        self._process.loop.answers_wait = True
        try:
            yield
        finally:
            self._process.loop.answers_wait = False

    def hands(self) -> Hands:
        return super().hands() if self._process is None else _LoopHands(self._process)


@cache
def _file(*, is_watched: bool) -> SimulatedFile:
    return SimulatedFile(Path("nowhere" if is_watched else "elsewhere"), None)


def open_file(path: Path, process: Process | None) -> SimulatedFile:
    """The database, newly opened by a process, or by whoever looks on.

    Compiling a statement costs more than running it, and each engine compiles
    its own: those two are kept, one for processes, of which one at a time is
    alive, and one for the onlooker.
    """
    file = _file(is_watched=process is not None)
    file.reopen(path, process)
    return file


class _LoopHands:
    """An outbox writer's hands in virtual time: each batch takes a while to come to its turn."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._write: Callable[[], bool] = lambda: False
        self._is_at_work = False

    def start(self, write: Callable[[], bool]) -> None:
        self._write = write

    def wake(self) -> None:
        if not self._is_at_work and not self._process.is_over:
            self._is_at_work = True
            self._process.loop.call_later(self._process.timeline.a_while(0.02), self._work)

    def finish(self) -> None:
        while not self._process.is_over and self._write():
            pass

    def _work(self) -> None:
        self._is_at_work = False
        if self._write():
            # What came meanwhile has its own turn.
            self.wake()

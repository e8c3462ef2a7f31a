"""Who does the outbox writer's work, and when: a thread of its own, so that no commit holds up a connection."""

import threading
from collections.abc import Callable
from typing import Protocol


class Hands(Protocol):
    """What a writer hands its work to."""

    def start(self, write: Callable[[], bool]) -> None:
        """Take up the work: `write` writes one batch, and says whether there was one."""

    def wake(self) -> None:
        """There is work; may be called from any thread, and does not wait."""

    def finish(self) -> None:
        """Let go; returns when `write` has been called until there was nothing left."""


class OwnThread:
    """One thread that does nothing else."""

    def __init__(self) -> None:
        self._work = threading.Event()
        self._is_finishing = False
        self._thread: threading.Thread | None = None

    def start(self, write: Callable[[], bool]) -> None:
        """Begin the thread."""
        self._thread = threading.Thread(target=self._run, args=(write,), name="outbox-writer", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look, now or after what it is at."""
        # Whoever finds it set comes before the thread's next look.
        if not self._work.is_set():
            self._work.set()

    def finish(self) -> None:
        """Wait for the thread to end."""
        self._is_finishing = True
        self._work.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, write: Callable[[], bool]) -> None:
        is_last = False
        while not is_last:
            self._work.wait()
            self._work.clear()
            # Read before the work is: what was handed in before the end is written.
            is_last = self._is_finishing
            while write():
                pass

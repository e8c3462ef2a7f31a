"""Work that is killed with -9 after a while, to see what it leaves behind."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress


def run_and_kill(work: Callable[[], object], seconds: float) -> None:
    """Run in a child process, which is killed unless it is done by then."""
    pid = os.fork()
    if not pid:
        try:
            work()
        finally:
            os._exit(0)

    def kill(*_: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    before = signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    os.waitpid(pid, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)

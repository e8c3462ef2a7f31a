"""The dispatch of a rehearsal, in a process of its own: what `newsletter send` does with an unfinished issue.

    python -m newsletter.delivery.rehearsal.child FOLDER

FOLDER holds `work.json` (what to do) and gets `done.json` (how it ended).
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from newsletter.clock import Ids, LateClock
from newsletter.delivery.canary import deliver_in_turn
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import StoreError
from newsletter.model import OnUnknown
from newsletter.store import Store

WORK, DONE = "work.json", "done.json"
#: Nobody sits through longer waits than this, in seconds.
_LONG: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run; `late` is how many seconds the clock is ahead, so that nobody waits for a deferral."""

    database: str
    digest: str
    number: int
    port: int
    connections: int
    window: int
    per_connection: int | None
    timeout: float
    after_dot: float
    back_off: float
    on_unknown: OnUnknown
    late: float


def write_work(folder: Path, work: Work) -> None:
    """Say what is to be done."""
    (folder / DONE).unlink(missing_ok=True)
    (folder / WORK).write_text(json.dumps(asdict(work)), encoding="utf-8")


def run(folder: Path) -> None:
    """Take the issue up and deliver what is due."""
    given = json.loads((folder / WORK).read_text(encoding="utf-8"))
    work = Work(**{**given, "on_unknown": OnUnknown(given["on_unknown"])})
    clock = LateClock(work.late)
    with Store.open(work.database, clock=clock, ids=Ids(), create=False) as store, store.lock():
        issue = store.issue(work.number, work.digest)
        if issue is None:
            raise StoreError(f"there is no issue {work.number} of {work.digest} to rehearse")
        store.resume(issue.id)
        issue = store.issue(work.number, work.digest) or issue
        recovered = store.recover(issue.id, work.on_unknown)
        smtp = SmtpSettings(
            host="127.0.0.1",
            port=work.port,
            tls="none",
            connections=work.connections,
            window=work.window,
            per_connection=work.per_connection,
            timeout=work.timeout,
            after_dot=work.after_dot,
            back_off=work.back_off,
        )
        sleep = _hurried(clock)
        report = asyncio.run(deliver_in_turn(issue, store, smtp, clock=clock, on_unknown=work.on_unknown, sleep=sleep))
    done = {"recovered": recovered, "stopped": report.stopped}
    (folder / DONE).write_text(json.dumps(done), encoding="utf-8")


def _hurried(clock: LateClock) -> Callable[[float], Awaitable[None]]:
    """A way to wait in which a canary's watch takes no time; the short pauses after a failure are real."""

    async def sleep(seconds: float) -> None:
        if seconds < _LONG:
            await asyncio.sleep(seconds)
        else:
            clock.skip(seconds)
            await asyncio.sleep(0)

    return sleep


if __name__ == "__main__":
    run(Path(sys.argv[1]))

"""The dispatch of a rehearsal, in a process of its own: what `newsletter send` does with an unfinished issue.

    python -m newsletter.delivery.rehearsal.child FOLDER

FOLDER holds `work.json` (what to do) and gets `done.json` (how it ended).
"""

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from newsletter.clock import Ids, LateClock
from newsletter.delivery.deliver import deliver
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import StoreError
from newsletter.model import OnUnknown
from newsletter.store import Store

WORK, DONE = "work.json", "done.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One run; `late` is how many seconds the clock is ahead, so that nobody waits for a deferral."""

    database: str
    digest: str
    number: int
    port: int
    connections: int
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
        recovered = store.recover(issue.id, work.on_unknown)
        smtp = SmtpSettings(
            host="127.0.0.1",
            port=work.port,
            tls="none",
            connections=work.connections,
            per_connection=work.per_connection,
            timeout=work.timeout,
            after_dot=work.after_dot,
            back_off=work.back_off,
        )
        report = asyncio.run(deliver(issue, store, smtp, clock=clock, on_unknown=work.on_unknown))
    done = {"recovered": recovered, "stopped": report.stopped}
    (folder / DONE).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]))

"""Several workers as real processes, one PostgreSQL, one mail server: what the programs here drive.

A worker is a fork of a process that has imported everything and runs nothing, so it
costs no imports, and inherits no thread, no event loop and no open database.  It
does what `newsletter worker --until-idle` does (`app.working.work`).
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import procrastinate  # noqa: F401 - loaded before the fork, not in each worker
import psycopg
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401 - so is this

import newsletter.app.due
import newsletter.delivery.deliver
import newsletter.issues.render  # noqa: F401 - and this
from newsletter import jobs
from newsletter.app.working import Left, Listener, work
from newsletter.clock import Ids, SystemClock
from newsletter.errors import NewsletterError
from newsletter.model import UNSETTLED, DeliveryState, Issue, OnUnknown
from newsletter.stages import Watch
from newsletter.store import Store
from tests.delivery.samples import freeze, people

_HERE = Path(__file__).parent
#: Seconds after which something that should have happened has not.
PATIENCE = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A message that the mail server has accepted."""

    to: str
    id: str
    sha256: str
    sender: int
    """The process it came from."""


class Told:
    """Hears what a worker says; writes troubles and recoveries to a file, a line each."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def troubled(self, error: NewsletterError) -> None:
        self._tell(f"troubled: {error}")

    def recovered(self) -> None:
        self._tell("recovered")

    def _tell(self, line: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{time.monotonic():.3f} {os.getpid()} {line}\n")

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


class Fleet:
    """Workers of one project.

    Args:
        folder: for the project and the log.
        url: of a database that has all tables and nothing in them.
        connections: how many a worker opens to the mail server, all shards together.
        concurrency: how many shards it sends at once.
    """

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        connections: int = 4,
        concurrency: int = 2,
        on_unknown: OnUnknown = OnUnknown.resend,
    ) -> None:
        # No password is one that no file may have.
        self.url = url.replace(":@", "@")
        self.concurrency = concurrency
        self.alive: set[int] = set()
        self._told = folder / "told"
        self.queue = ""
        self._folder = folder
        self._connections = connections
        self._on_unknown = on_unknown
        self._log = folder / "log"
        self._log.touch()
        self._read = 0
        self._sessions: dict[int, int] = defaultdict(int)
        #: The most connections that one process has had at a time.
        self.most_connected = 0
        command = [sys.executable, str(_HERE / "sink.py"), str(self._log)]
        self._sink = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._sink.stdout is not None
        self.port = int(self._sink.stdout.readline())
        self.project = self.describe("project", self.url)

    def describe(self, name: str, url: str) -> Path:
        """A project's file that reaches the database by this address."""
        folder = self._folder / name
        folder.mkdir()
        (folder / "newsletter.yaml").write_text(
            f"""title: The Morning Wire
from: The Morning Wire <wire@example.com>
store: {json.dumps(url)}
on_unknown: {self._on_unknown.value}
subscribers: database
feeds:
  - https://feeds.example/one
smtp:
  host: 127.0.0.1
  port: {self.port}
  tls: none
  connections: {self._connections}
""",
            encoding="utf-8",
        )
        return folder

    def close(self) -> None:
        """Kill whoever is left."""
        for worker in list(self.alive):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
        self._sink.kill()
        self._sink.wait()
        for stream in (self._sink.stdin, self._sink.stdout):
            assert stream is not None
            stream.close()

    # ------------------------------------------------------------------- the workers

    def start(self, project: Path | None = None, *, until_idle: bool = True) -> int:
        """Start a worker; its process id."""
        worker = os.fork()
        if worker == 0:
            self._be_a_worker(project or self.project, until_idle=until_idle)
        self.alive.add(worker)
        return worker

    def ended(self) -> list[tuple[int, int]]:
        """Which workers have ended since the last call, and with what: as `os.waitstatus_to_exitcode` says."""
        gone = []
        for worker in list(self.alive):
            pid, status = os.waitpid(worker, os.WNOHANG)
            if pid:
                self.alive.remove(worker)
                gone.append((worker, os.waitstatus_to_exitcode(status)))
        return gone

    def arm(self, step: str, turn: int) -> None:
        """Have the mail server kill the worker whose message comes to this step as the so-manieth."""
        assert self._sink.stdin is not None
        self._sink.stdin.write(f"{step} {turn}\n")
        self._sink.stdin.flush()

    def has_told(self, worker: int, what: str) -> bool:
        """Whether a worker has said this since it last said something else."""
        if not self._told.exists():
            return False
        lines = [line.split(maxsplit=2) for line in self._told.read_text(encoding="utf-8").splitlines()]
        return [told.startswith(what) for _, process, told in lines if process == str(worker)][-1:] == [True]

    def _be_a_worker(self, project: Path, *, until_idle: bool) -> None:
        """Work and end; never returns."""
        code = 1
        try:
            left = asyncio.run(_work(project, self.concurrency, Told(self._told), until_idle=until_idle))
            code = 0 if left is not None and left.stopped is None else 3
        except BaseException:  # noqa: BLE001 - told, and then the end of the process
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    # --------------------------------------------------------------------- the issue

    def store(self) -> Store:
        """The memory, to be closed before the next worker is started."""
        return Store.open(self.url, clock=SystemClock(), ids=Ids())

    def prepare(self) -> None:
        """Make the queue, so that `freeze` can hand out jobs."""
        with self.store() as store:
            self.queue = store.queue(jobs.prepare)[1]

    def freeze(self, number: int, recipients: int, shard: int) -> Issue:
        """An issue for so many people, in shards of so many, with a job for each where there is a queue."""
        with self.store() as store:
            issue = freeze(store, people(recipients), number=number)
        # Shards are data: more of them than usual, of fewer people each.
        self.run(
            f"DELETE FROM shards WHERE issue_id = {issue.id}",
            f"""INSERT INTO shards (issue_id, number, first_id, last_id)
            SELECT issue_id, row_number() OVER (ORDER BY min(id)), min(id), max(id) FROM
            (SELECT issue_id, id, (row_number() OVER (ORDER BY id) - 1) / {shard} AS part
             FROM deliveries WHERE issue_id = {issue.id}) AS parts GROUP BY issue_id, part""",
        )
        with self.store() as store:
            store.hand_out(jobs.hand_out, store.ready_shards(issue.id))
        return issue

    def run(self, *statements: str) -> list[Any]:
        """Run statements in one transaction; the rows of the last."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def ids(self, issue: Issue) -> set[str]:
        """The Message-IDs of an issue, as they stand in its messages."""
        with self.store() as store:
            return {f"<{row.message_id}>" for row in store.deliveries(issue.id)}

    def left(self, issue: Issue) -> int:
        """How many deliveries wait for something."""
        with self.store() as store:
            counts = store.counts(issue.id)
        return sum(counts.get(state, 0) for state in UNSETTLED)

    @property
    def logged(self) -> int:
        """How much the mail server has written down; grows with every message."""
        return self._log.stat().st_size

    def copies(self, *, wait: bool = True) -> list[Copy]:
        """What was accepted since the last call; when all connections have ended, or now."""
        copies: list[Copy] = []
        give_up = time.monotonic() + PATIENCE
        while True:
            with self._log.open("rb") as log:
                log.seek(self._read)
                data = log.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in map(json.loads, whole.splitlines()):
                sender = line["from"]
                if "session" in line:
                    self._sessions[sender] += 1 if line["session"] == "begins" else -1
                    self.most_connected = max(self.most_connected, self._sessions[sender] if sender else 0)
                else:
                    copies.append(Copy(to=line["to"], id=line["id"], sha256=line["sha256"], sender=sender))
            if not wait or not any(self._sessions.values()):
                return copies
            assert time.monotonic() < give_up, "the mail server still has a session open"
            time.sleep(0.005)


@dataclass(kw_only=True)
class Finding:
    """What became of one issue."""

    lost: int = 0
    held: int = 0
    #: Held by the ledger, though the mail server has accepted them.
    held_though_sent: int = 0
    #: Copies too many by whom they are owed to: a process that was killed or cut off.
    owed: dict[int, int]
    #: Copies too many that nobody's end explains.
    strays: int = 0
    changed: int = 0
    ledger_differs: int = 0


def judge(fleet: Fleet, issue: Issue, emails: Sequence[str], copies: Sequence[Copy], gone: set[int]) -> Finding:
    """Compare what the mail server has with what the ledger says.

    Of the copies of a message one is due; each of the others is the fault of the
    worker that sent it and was `gone` before it could write so down.
    """
    got: dict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        got[copy.to].append(copy)
    owed: dict[int, int] = defaultdict(int)
    strays = 0
    for of_one in got.values():
        suspects = list(dict.fromkeys(copy.sender for copy in of_one if copy.sender in gone))
        for sender in suspects[: len(of_one) - 1]:
            owed[sender] += 1
        strays += max(0, len(of_one) - 1 - len(suspects))
    with fleet.store() as store:
        rows = {row.email: row for row in store.deliveries(issue.id)}
    held = {email for email, row in rows.items() if row.state is DeliveryState.held}
    return Finding(
        lost=len(set(emails) - got.keys() - held),
        held=len(held),
        held_though_sent=len(held & got.keys()),
        owed=owed,
        strays=strays,
        changed=sum(len({(copy.id, copy.sha256) for copy in of_one}) > 1 for of_one in got.values()),
        ledger_differs=(rows.keys() != set(emails))
        + sum(
            email not in held
            and (row.state is not DeliveryState.sent or {f"<{row.message_id}>"} != {copy.id for copy in got[email]})
            for email, row in rows.items()
        ),
    )


async def _work(project: Path, concurrency: int, told: Told, *, until_idle: bool) -> Left | None:
    # What it does not tell is nobody's business here.
    watch, listener = cast("Watch", told), cast("Listener", told)
    return await work(
        project, concurrency=concurrency, until_idle=until_idle, watch=watch, listener=listener, stop=asyncio.Event()
    )

"""Kill a real send, over and over, and count who was missed and who got it twice.

    python tests/delivery/crash.py --kills 10000 --seed 7

One process forks a child that does what `newsletter send` does with a frozen
issue (open the store, recover, deliver) against a mail server in a third
process, which writes down every message before it accepts it.  The child dies
by SIGKILL: at a random moment, or by its own hand at a durable step.  Then the
next one takes over, until everybody has got the issue; then comes another
issue.  The verdict is printed as JSON.

The forking process has imported everything, has the writer's SQL at hand, and
runs nothing: a child inherits no thread, no event loop and no open database.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from sqlalchemy.dialects.sqlite import pysqlite  # noqa: E402 - loaded before the fork, not in each child

from newsletter.clock import Ids, SystemClock  # noqa: E402
from newsletter.delivery.deliver import deliver  # noqa: E402
from newsletter.delivery.dkim import Signer  # noqa: E402
from newsletter.delivery.smtp import SmtpSettings  # noqa: E402
from newsletter.model import DeliveryState, OnUnknown  # noqa: E402
from newsletter.store import Store  # noqa: E402
from newsletter.store.prepared import for_dialect  # noqa: E402
from newsletter.store.statements import Statements  # noqa: E402
from tests.delivery.samples import freeze, people  # noqa: E402
from tests.delivery.signing import both  # noqa: E402

#: Every durable step, and every step of a transaction that a crash could fall between.
STEPS = (
    "intent:before-commit",
    "intent:after-commit",
    "settle:before-commit",
    "settle:after-commit",
    "before-data",
    "after-dot",
    "after-250",
)
FREEZE_STEPS = ("freeze:before-commit", "freeze:after-commit")


@dataclass
class Verdict:
    """What the kills have cost."""

    seed: int
    connections: int
    window: int
    on_unknown: str
    kills: int = 0
    issues: int = 0
    recipients: int = 0
    lost: int = 0
    held: int = 0
    duplicates: int = 0
    worst_kill: int = 0
    changed_ids: int = 0
    changed_bytes: int = 0
    ledger_differs: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Crash:
    """One series of kills.

    Args:
        folder: for the database and the log.
        seed: decides every kill.
        connections: how many connections a send opens.
        recipients: how many people an issue goes to.
        window: how many messages are in flight over each connection.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        connections: int,
        recipients: int,
        window: int = 1,
        on_unknown: OnUnknown = OnUnknown.resend,
        signers: tuple[Signer, ...] = (),
    ) -> None:
        self.verdict = Verdict(seed=seed, connections=connections, window=window, on_unknown=on_unknown.value)
        self._chance = random.Random(seed)
        self._database = str(folder / "newsletter.db")
        self._log = folder / "log"
        self._log.touch()
        self._emails = people(recipients)
        self._on_unknown = on_unknown
        self._signers = signers
        self._read = 0
        self._lines: list[dict[str, str]] = []
        self._sessions = 0
        command = [sys.executable, str(Path(__file__).with_name("sink.py")), str(self._log)]
        self._sink = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
        assert self._sink.stdout is not None
        self._port = int(self._sink.stdout.readline())
        # What every child would work out, and what its collector would look through, anew.
        for_dialect(Statements, pysqlite.dialect())
        gc.freeze()
        #: How long a send takes that is not killed; learned as we go.
        self._usual = 0.3

    def close(self) -> None:
        self._sink.kill()
        self._sink.wait()
        assert self._sink.stdout is not None
        self._sink.stdout.close()

    def run(self, kills: int) -> Verdict:
        """Kill sends until there have been so many, then let the last issue finish."""
        began = time.monotonic()
        number = 0
        while self.verdict.kills < kills and not self.verdict.failures:
            number += 1
            self._issue(number, kills)
        self.verdict.seconds = round(time.monotonic() - began, 1)
        return self.verdict

    # -------------------------------------------------------------------- one issue

    def _issue(self, number: int, kills: int) -> None:
        """Freeze an issue and send it to its end, however many sends that takes."""
        while not self._child(lambda trace: self._freeze(number, trace), FREEZE_STEPS, mercy=0.7):
            if self.verdict.failures:
                return
        runs: list[list[dict[str, str]]] = []
        done = False
        while not done and not self.verdict.failures:
            mercy = 0.05 if self.verdict.kills < kills else 1.0
            done = self._child(lambda trace: self._send(number, trace), STEPS, mercy=mercy)
            runs.append(self._new_lines())
        self._judge(number, runs)

    def _freeze(self, number: int, trace: Callable[[str], None]) -> None:
        with self._store() as store:
            if store.issue(number, "daily") is None:
                freeze(store, self._emails, number=number, trace=trace)

    def _send(self, number: int, trace: Callable[[str], None]) -> None:
        with self._store() as store, store.lock():
            issue = store.issue(number, "daily")
            assert issue is not None
            store.recover(issue.id, self._on_unknown)
            smtp = SmtpSettings(
                host="127.0.0.1",
                port=self._port,
                tls="none",
                connections=self.verdict.connections,
                window=self.verdict.window,
                back_off=0.01,
                signers=self._signers,
            )
            report = asyncio.run(
                deliver(issue, store, smtp, clock=SystemClock(), on_unknown=self._on_unknown, trace=trace)
            )
            assert report.stopped is None, report.stopped

    def _store(self) -> Store:
        return Store.open(self._database, clock=SystemClock(), ids=Ids())

    # -------------------------------------------------------------------- one child

    def _child(self, work: Callable[[Callable[[str], None]], None], steps: tuple[str, ...], *, mercy: float) -> bool:
        """Let a child do the work; whether it lived to the end."""
        fate = self._chance.random()
        step, turn = self._chance.choice(steps), self._chance.randint(1, 12 if steps is STEPS else 1)
        moment = self._chance.uniform(0, self._usual)
        pid = os.fork()
        if pid == 0:
            _be_a_child(work, step if mercy <= fate < (1 + mercy) / 2 else "", turn)
        began = time.monotonic()
        if fate >= (1 + mercy) / 2:
            time.sleep(moment)
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            self.verdict.kills += 1
        elif os.waitstatus_to_exitcode(status) != 0:
            self.verdict.failures.append("a send ended with an error: see stderr")
        elif steps is STEPS:
            self._usual = 0.5 * self._usual + 0.5 * (time.monotonic() - began)
        return os.WIFEXITED(status)

    def _new_lines(self) -> list[dict[str, str]]:
        """What was accepted since the last call, once the server has seen the end of every connection."""
        accepted: list[dict[str, str]] = []
        give_up = time.monotonic() + 30
        while True:
            with self._log.open("rb") as log:
                log.seek(self._read)
                data = log.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in map(json.loads, whole.splitlines()):
                if "session" in line:
                    self._sessions += 1 if line["session"] == "begins" else -1
                else:
                    accepted.append(line)
            if self._sessions == 0:
                return accepted
            if time.monotonic() > give_up:
                self.verdict.failures.append("the server still has a session open")
                return accepted
            time.sleep(0.002)

    # ------------------------------------------------------------------ the verdict

    def _judge(self, number: int, runs: list[list[dict[str, str]]]) -> None:
        verdict = self.verdict
        copies: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for run, lines in enumerate(runs):
            for line in lines:
                copies[line["to"]].append((run, line["id"], line["sha256"]))
        # A copy more is the fault of the kill that ended the run of the copy before.
        faults: dict[int, int] = defaultdict(int)
        for got in copies.values():
            for before, _ in pairwise(got):
                faults[before[0]] += 1
        with self._store() as store:
            issue = store.issue(number, "daily")
            assert issue is not None
            rows = {row.email: row for row in store.deliveries(issue.id)}
        held = {email for email, row in rows.items() if row.state is DeliveryState.held}
        verdict.issues += 1
        verdict.recipients += len(self._emails)
        verdict.lost += len(set(self._emails) - set(copies) - held)
        verdict.held += len(held)
        verdict.duplicates += sum(faults.values())
        verdict.worst_kill = max(verdict.worst_kill, *faults.values(), 0)
        verdict.changed_ids += sum(len({id_ for _, id_, _ in got}) > 1 for got in copies.values())
        verdict.changed_bytes += sum(len({hash_ for _, _, hash_ in got}) > 1 for got in copies.values())
        verdict.ledger_differs += sum(
            email not in held
            and (row.state is not DeliveryState.sent or [f"<{row.message_id}>"] != _ids(copies[email]))
            for email, row in rows.items()
        )
        verdict.ledger_differs += rows.keys() != set(self._emails)


def _ids(got: list[tuple[int, str, str]]) -> list[str]:
    return sorted({id_ for _, id_, _ in got})


def _be_a_child(work: Callable[[Callable[[str], None]], None], step: str, turn: int) -> None:
    """Do the work and end; or end by our own hand at a step.  Never returns."""
    left = turn

    def trace(now: str) -> None:
        nonlocal left
        if now == step:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    code = 1
    try:
        work(trace)
        code = 0
    except BaseException:  # noqa: BLE001 - told, and then the end of the process
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--recipients", type=int, default=40)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--dkim", action="store_true", help="sign, with RSA and Ed25519")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(2**32)
    with tempfile.TemporaryDirectory() as folder:
        crash = Crash(
            Path(folder),
            seed=seed,
            connections=asked.connections,
            recipients=asked.recipients,
            window=asked.window,
            on_unknown=OnUnknown.hold if asked.hold else OnUnknown.resend,
            signers=both() if asked.dkim else (),
        )
        try:
            print(json.dumps(asdict(crash.run(asked.kills))))
        finally:
            crash.close()


if __name__ == "__main__":
    main()

"""Workers that freeze, lose their database or lose the queue, in the middle of an issue.

    python tests/workers/scenes.py zombies --turns 5 --seed 7

Each scene prints its verdict as JSON.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from newsletter.model import Issue, OnUnknown
from tests.delivery.samples import people
from tests.postgresql import started
from tests.workers.fleet import PATIENCE, Copy, Fleet, judge

_HERE = Path(__file__).parent
#: People of an issue, and of a shard.
PEOPLE, SHARD = 300, 50


@dataclass(kw_only=True)
class Verdict:
    """What became of the issues."""

    scene: str
    seed: int
    connections: int
    turns: int = 0
    lost: int = 0
    held: int = 0
    #: Copies too many: of one worker that was frozen or cut off at most, and those that nothing explains.
    worst: int = 0
    strays: int = 0
    #: Messages that one worker ended after it was woken or cut off, at most.
    worst_after: int = 0
    #: Held by the ledger, though the mail server has accepted them.
    held_though_sent: int = 0
    changed: int = 0
    ledger_differs: int = 0
    #: How often the one that was frozen or cut off has sent something afterwards.
    came_back: int = 0
    #: Seconds until a worker that had been cut off said so, and until everything was sent, at most.
    noticed: float = 0.0
    finished: float = 0.0
    failures: list[str] = field(default_factory=list)


class Scene:
    """A fleet, and what the scenes do with it."""

    def __init__(self, fleet: Fleet, *, seed: int, connections: int) -> None:
        self.fleet = fleet
        self.verdict = Verdict(scene="", seed=seed, connections=connections)
        self.chance = random.Random(seed)
        self._copies: list[Copy] = []
        self._issues = 0
        fleet.prepare()

    def play(self, name: str, turns: int, patient: bool) -> Verdict:
        """Play a scene so many times; what came of it."""
        self.verdict = Verdict(scene=name, seed=self.verdict.seed, connections=self.verdict.connections)
        try:
            for _ in range(turns):
                SCENES[name](self, patient)
        except AssertionError as failure:
            self.verdict.failures.append(str(failure))
        return self.verdict

    def issue(self) -> Issue:
        """The next issue, with jobs for it."""
        self._issues += 1
        return self.fleet.freeze(self._issues, PEOPLE, SHARD)

    def until(self, what: str, is_so: Callable[[], bool]) -> float:
        """Wait for something; how long it took.

        Raises:
            AssertionError: it does not happen, or a worker ends as it should not.
        """
        began = time.monotonic()
        while not is_so():
            assert time.monotonic() - began < PATIENCE, f"in {PATIENCE:.0f} s it did not happen: {what}"
            for worker, code in self.fleet.ended():
                assert code == 0, f"worker {worker} ended with {code}: see stderr"
            time.sleep(0.01)
        return round(time.monotonic() - began, 1)

    def sent_by(self, worker: int) -> int:
        """How many messages the mail server has accepted from a worker so far."""
        self._copies += self.fleet.copies(wait=False)
        return sum(copy.sender == worker for copy in self._copies)

    def until_in_the_middle(self, worker: int) -> None:
        """Wait for a random moment in the middle of the issue."""
        wanted = self.sent_by(worker) + self.chance.randint(1, PEOPLE // 4)
        self.until("the worker sends", lambda: self.sent_by(worker) >= wanted or worker not in self.fleet.alive)
        time.sleep(self.chance.uniform(0, 0.02))

    def hurry(self) -> None:
        """Have time pass for the database: leases run out, and sessions of whoever is frozen or cut off end."""
        self.fleet.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "
            "pid <> pg_backend_pid() AND (state LIKE 'idle in transaction%' OR "
            "pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'))"
        )
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        self.until("the sessions end", lambda: self.fleet.run(held) == [(0,)])
        self.fleet.run("UPDATE shards SET until = clock_timestamp() - interval '1 second' WHERE until IS NOT NULL")

    def finish(self, issue: Issue) -> None:
        """Have another worker send what is left of an issue."""
        other = self.fleet.start()
        took = self.until("another finishes the issue", lambda: other not in self.fleet.alive)
        self.verdict.finished = max(self.verdict.finished, took)
        assert self.fleet.left(issue) == 0, "something of the issue is left"

    def comes_back(self, worker: int, issue: Issue, before: int) -> None:
        """See a worker that was away send the next issue, and judge both; it had sent so many before."""
        following = self.issue()
        self.until("it sends the next issue", lambda: self.fleet.left(following) == 0)
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        self.fleet.alive.discard(worker)
        self._copies += self.fleet.copies()
        verdict = self.verdict
        verdict.turns += 1
        late = self._judge(issue, worker) - before
        verdict.worst_after = max(verdict.worst_after, late)
        verdict.came_back += self._judge(following, 0) > 0
        verdict.changed += len(self._copies)
        self._copies.clear()

    def judge_last(self, issue: Issue) -> None:
        """Judge the one issue of a turn in which nobody was gone."""
        self._copies += self.fleet.copies()
        self.verdict.turns += 1
        self._judge(issue, 0)
        self._copies.clear()

    def _judge(self, issue: Issue, gone: int) -> int:
        """Count what came of an issue; how much of it is from the first worker of this turn."""
        verdict = self.verdict
        ids = self.fleet.ids(issue)
        mine = [copy for copy in self._copies if copy.id in ids]
        self._copies = [copy for copy in self._copies if copy.id not in ids]
        found = judge(self.fleet, issue, people(PEOPLE), mine, {gone})
        verdict.lost += found.lost
        verdict.held += found.held
        verdict.held_though_sent += found.held_though_sent
        verdict.worst = max(verdict.worst, *found.owed.values(), 0)
        verdict.strays += found.strays
        verdict.changed += found.changed
        verdict.ledger_differs += found.ledger_differs
        return sum(copy.sender == gone for copy in mine) if gone else len(mine)


def zombie(scene: Scene, patient: bool) -> None:
    """A worker is stopped in the middle of a shard; another finishes the issue; it wakes, and sends the next one."""
    issue = scene.issue()
    worker = scene.fleet.start(until_idle=False)
    scene.until_in_the_middle(worker)
    os.kill(worker, signal.SIGSTOP)
    if not patient:
        scene.hurry()
    # What it had written to its sockets arrives.
    time.sleep(0.2)
    before = scene.sent_by(worker)
    scene.finish(issue)
    os.kill(worker, signal.SIGCONT)
    scene.comes_back(worker, issue, before)


def partition(scene: Scene, patient: bool, *, mode: str) -> None:
    """A worker loses its database in the middle of a shard; another finishes the issue; it comes back by itself."""
    with proxied(scene.fleet) as (become, project):
        issue = scene.issue()
        worker = scene.fleet.start(project, until_idle=False)
        scene.until_in_the_middle(worker)
        become(mode)
        began = time.monotonic()
        before = scene.sent_by(worker)
        if mode != "cut" and not patient:
            scene.hurry()
        scene.finish(issue)
        scene.until("the worker says so", lambda: scene.fleet.has_told(worker, "troubled"))
        scene.verdict.noticed = max(scene.verdict.noticed, round(time.monotonic() - began, 1))
        become("heal")
        scene.until("it is well again", lambda: scene.fleet.has_told(worker, "recovered"))
        scene.comes_back(worker, issue, before)


def slow(scene: Scene, patient: bool) -> None:
    """A worker's database becomes slow in the middle of a shard: that is nobody's trouble."""
    with proxied(scene.fleet) as (become, project):
        issue = scene.issue()
        worker = scene.fleet.start(project)
        scene.until_in_the_middle(worker)
        become("slow")
        scene.finish(issue)
        scene.until("it ends too", lambda: worker not in scene.fleet.alive)
        assert not scene.fleet.has_told(worker, "troubled"), "it complains of a database that is slow"
        scene.judge_last(issue)


def no_queue(scene: Scene, patient: bool) -> None:
    """The queue loses all its jobs in the middle of an issue, and then all its tables."""
    fleet = scene.fleet
    issue = scene.issue()
    # Workers that stay sweep once a minute, those that are to end when they are idle at once.
    workers = [fleet.start(until_idle=not patient) for _ in range(2)]
    for destroy in ("DELETE FROM procrastinate_jobs", f'DROP SCHEMA "{fleet.queue}" CASCADE'):
        scene.until_in_the_middle(workers[0])
        fleet.run(f'SET LOCAL search_path = "{fleet.queue}"', destroy)
    scene.verdict.finished = scene.until("everything is sent", lambda: fleet.left(issue) == 0)
    if patient:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)
        fleet.alive.clear()
    scene.until("all have ended", lambda: not fleet.alive)
    scene.judge_last(issue)
    fleet.prepare()


@contextmanager
def proxied(fleet: Fleet) -> Iterator[tuple[Callable[[str], None], Path]]:
    """A proxy before the database; what commands it, and a project that goes through it."""
    parts = urlsplit(fleet.url)
    host = parse_qs(parts.query)["host"][0]
    command = [sys.executable, str(_HERE / "proxy.py"), f"{host}/.s.PGSQL.5432"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    port = int(process.stdout.readline())

    def become(mode: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{mode}\n")
        process.stdin.flush()
        process.stdout.readline()

    try:
        yield become, fleet.describe(f"proxied-{port}", f"postgresql://postgres@127.0.0.1:{port}{parts.path}")
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


SCENES: dict[str, Callable[[Scene, bool], None]] = {
    "zombie": zombie,
    "cut": partial(partition, mode="cut"),
    "swallow": partial(partition, mode="swallow"),
    "slow": slow,
    "no-queue": no_queue,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("scenes", nargs="+", choices=SCENES)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--patient", action="store_true", help="wait for what takes its time")
    parser.add_argument("--database", default=None, help="an empty one with all tables; else a server is started")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(2**32)
    with ExitStack() as around:
        folder = Path(around.enter_context(tempfile.TemporaryDirectory()))
        url = asked.database or around.enter_context(started()).make("migrated")
        on_unknown = OnUnknown.hold if asked.hold else OnUnknown.resend
        fleet = Fleet(folder, url, connections=asked.connections, on_unknown=on_unknown)
        around.callback(fleet.close)
        scene = Scene(fleet, seed=seed, connections=asked.connections)
        for name in asked.scenes:
            print(json.dumps(asdict(scene.play(name, asked.turns, asked.patient))), flush=True)


if __name__ == "__main__":
    main()

"""Kill workers, over and over, and count who was missed and who got it twice.

    python tests/workers/kills.py --kills 1000 --seed 7

Four workers send an issue together.  One after the other dies by SIGKILL: at a
random moment, or when one of its messages comes to a certain step at the mail
server.  Another one takes its place; then comes another issue.  The verdict is
printed as JSON.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from newsletter.model import Issue, OnUnknown
from tests.delivery.samples import people
from tests.postgresql import started
from tests.workers.fleet import PATIENCE, Copy, Fleet, judge

#: Where a message is at the mail server when its sender dies: `data` is after its intent's commit and before its dot,
#: `message` after the dot and before the reply, `mail` is where the one before it has been answered.
STEPS = ("banner", "mail", "rcpt", "data", "message")


@dataclass
class Verdict:
    """What the kills have cost."""

    seed: int
    workers: int
    connections: int
    on_unknown: str
    kills: int = 0
    issues: int = 0
    recipients: int = 0
    lost: int = 0
    held: int = 0
    duplicates: int = 0
    worst_kill: int = 0
    strays: int = 0
    changed: int = 0
    ledger_differs: int = 0
    most_connected: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Kills:
    """One series of kills.

    Args:
        fleet: who is killed.
        seed: decides every kill.
        recipients: how many people an issue goes to.
        shard: how many of them are one shard.
    """

    def __init__(self, fleet: Fleet, verdict: Verdict, *, recipients: int, shard: int) -> None:
        self.verdict = verdict
        self._fleet = fleet
        self._chance = random.Random(verdict.seed)
        self._emails = people(recipients)
        self._shard = shard

    def run(self, kills: int) -> Verdict:
        """Kill workers until there have been so many, and let every issue finish."""
        began = time.monotonic()
        while self.verdict.kills < kills and not self.verdict.failures:
            self._issue(kills)
        self.verdict.seconds = round(time.monotonic() - began, 1)
        self.verdict.most_connected = self._fleet.most_connected
        return self.verdict

    def _issue(self, kills: int) -> None:
        fleet, verdict = self._fleet, self.verdict
        verdict.issues += 1
        issue = fleet.freeze(verdict.issues, len(self._emails), self._shard)
        killed: set[int] = set()
        is_sent = False
        while not verdict.failures and not is_sent:
            self._send(kills, killed)
            # Where the last of all was killed, nobody had been there to take over.
            is_sent = not fleet.left(issue)
        self._judge(issue, fleet.copies(), killed)

    def _send(self, kills: int, killed: set[int]) -> None:
        """Have it sent, until nobody finds anything left."""
        fleet, verdict = self._fleet, self.verdict
        for _ in range(verdict.workers):
            fleet.start()
        give_up = time.monotonic() + PATIENCE
        fatal: float | None = None
        # Nobody is killed before something was sent since the last time: else nobody would get to it.
        is_next, logged = True, fleet.logged
        while fleet.alive and not verdict.failures:
            time.sleep(0.005)
            if is_next and fleet.logged > logged:
                is_next, fatal = False, self._next_kill(kills)
            for worker, code in fleet.ended():
                if code == -signal.SIGKILL:
                    killed.add(worker)
                    verdict.kills += 1
                    fleet.start()
                    is_next, logged, fatal = True, fleet.logged, None
                    give_up = time.monotonic() + PATIENCE
                elif code:
                    verdict.failures.append(f"a worker ended with {code}: see stderr")
            if fatal is not None and time.monotonic() >= fatal and fleet.alive:
                fatal = None
                os.kill(self._chance.choice(sorted(fleet.alive)), signal.SIGKILL)
            if time.monotonic() > give_up:
                verdict.failures.append("the issue does not come to its end")

    def _next_kill(self, kills: int) -> float | None:
        """Decide who dies next: whoever comes to a step, or anybody at the moment that is returned."""
        if self.verdict.kills >= kills:
            return None
        if self._chance.random() < 0.6:
            self._fleet.arm(self._chance.choice(STEPS), self._chance.randint(1, 40))
            # Where nobody comes there any more, another way is found.
            return time.monotonic() + 2.0
        return time.monotonic() + self._chance.uniform(0, 0.5)

    def _judge(self, issue: Issue, copies: list[Copy], killed: set[int]) -> None:
        verdict = self.verdict
        found = judge(self._fleet, issue, self._emails, copies, killed)
        verdict.recipients += len(self._emails)
        verdict.lost += found.lost
        verdict.held += found.held
        verdict.duplicates += sum(found.owed.values()) + found.strays
        verdict.worst_kill = max(verdict.worst_kill, *found.owed.values(), 0)
        verdict.strays += found.strays
        verdict.changed += found.changed
        verdict.ledger_differs += found.ledger_differs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--recipients", type=int, default=400)
    parser.add_argument("--shard", type=int, default=20)
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--database", default=None, help="an empty one with all tables; else a server is started")
    asked = parser.parse_args()
    seed = asked.seed if asked.seed is not None else random.SystemRandom().randrange(2**32)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as around:
        url = asked.database or around.enter_context(started()).make("migrated")
        on_unknown = OnUnknown.hold if asked.hold else OnUnknown.resend
        fleet = Fleet(Path(folder), url, connections=asked.connections, on_unknown=on_unknown)
        around.callback(fleet.close)
        verdict = Verdict(seed=seed, workers=asked.workers, connections=asked.connections, on_unknown=on_unknown.value)
        kills = Kills(fleet, verdict, recipients=asked.recipients, shard=asked.shard)
        print(json.dumps(asdict(kills.run(asked.kills))))


if __name__ == "__main__":
    main()

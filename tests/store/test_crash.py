"""Killed with -9 at every durable step and at any moment: nobody is missed, few get it twice."""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsletter.errors import BusyError
from newsletter.model import DeliveryState
from newsletter.store import Store
from tests.conftest import ROOT
from tests.store.crash_child import CONNECTIONS, READERS
from tests.store.samples import FEED

STEPS = [
    "freeze:before-commit",
    "freeze:after-commit",
    "intent:before-commit",
    "intent:after-commit",
    "settle:before-commit",
    "settle:after-commit",
]
#: The how-manieth time, by step; a freeze happens once.
TIMES = {"freeze": (1,), "intent": (1, 2), "settle": (1, 2)}

Opener = Callable[..., Store]


class Senders:
    """Starts senders that die as ordered."""

    def __init__(self, process: "subprocess.Popen[str]", url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self.log = log

    def run(self, step: str = "", times: int = 0, milliseconds: float = 0) -> str:
        order = {"url": self.url, "log": str(self.log), "step": step, "times": times, "milliseconds": milliseconds}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def arrived(self) -> list[tuple[int, str, str]]:
        if not self.log.exists():
            return []
        rows = [line.split() for line in self.log.read_text().splitlines()]
        return [(int(issue), key, message_id) for issue, key, message_id in rows]


@pytest.fixture
def senders(url: str, tmp_path: Path) -> Iterator[Senders]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.store.crash_child"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Senders(process, url, tmp_path / "arrived.log")
        finally:
            process.kill()


def look(store: Store, senders: Senders) -> None:
    """What must be true whenever a sender has died."""
    store.check()
    rows = {(one.issue_id, one.key): one for one in store.deliveries()}
    arrived = senders.arrived()
    issues = store.issues()
    assert READERS * len(issues) == len(rows), "an issue has all its deliveries or is not there"
    for issue in issues:
        assert 5 == issue.entries == len(store.issue_entries(issue.id))
    waiting = store.waiting("daily", [FEED.url])
    assert len(waiting) in (0, 5)
    on_the_wire = [one for one in rows.values() if one.state is DeliveryState.sending]
    assert len(on_the_wire) <= CONNECTIONS
    copies = Counter(arrived)
    for (issue_id, key, message_id), times in copies.items():
        row = rows[issue_id, key]
        assert row.message_id == message_id
        assert times <= row.attempts, "no message leaves before its intent is written"
        # Queued only by a later run that found it on the wire.
        assert row.state in (DeliveryState.sent, DeliveryState.sending, DeliveryState.queued)
    sent = {key for key, row in rows.items() if row.state is DeliveryState.sent}
    assert sent <= {(issue_id, key) for issue_id, key, _ in arrived}, "what did not arrive is never taken for sent"


def kill_many(store: Store, senders: Senders, orders: list[dict[str, object]]) -> None:
    kills = 0
    for order in orders:
        # A sender may finish first: then the next one freezes an issue and has more to do.
        outcome = senders.run(**order)  # type: ignore[arg-type]
        assert outcome in ("killed", "0"), outcome
        kills += outcome == "killed"
        _wait_for_the_lock(store)
        look(store, senders)
    while store.unfinished():
        assert "0" == senders.run()
        _wait_for_the_lock(store)
    look(store, senders)

    copies = Counter((issue_id, key) for issue_id, key, _ in senders.arrived())
    assert {(one.issue_id, one.key) for one in store.deliveries()} == set(copies), "nobody was missed"
    assert sum(copies.values()) - len(copies) <= kills * CONNECTIONS
    assert len(copies) == len({(issue_id, key, message_id) for issue_id, key, message_id in senders.arrived()})
    assert kills >= len(orders) // 3


def _wait_for_the_lock(store: Store) -> None:
    """A server sees only after a moment that its client is dead."""
    from threading import Event

    for _ in range(200):
        try:
            with store.lock():
                return
        except BusyError:
            Event().wait(0.02)


def test_a_kill_at_any_durable_step_loses_nothing(open_store: Opener, url: str, senders: Senders) -> None:
    store = open_store(url)
    orders: list[dict[str, object]] = [
        {"step": step, "times": times} for step in STEPS for times in TIMES[step.partition(":")[0]]
    ]
    kill_many(store, senders, orders)


def test_a_kill_at_any_moment_loses_nothing(open_store: Opener, url: str, senders: Senders) -> None:
    seed = 20260302
    chance = random.Random(seed)
    store = open_store(url)
    kill_many(store, senders, [{"milliseconds": chance.uniform(5, 250)} for _ in range(10)])


@pytest.mark.soak
def test_a_thousand_kills_at_any_moment_lose_nothing(open_store: Opener, url: str, senders: Senders) -> None:
    chance = random.Random(20260303)
    store = open_store(url)
    kill_many(store, senders, [{"milliseconds": chance.uniform(5, 300)} for _ in range(1000)])

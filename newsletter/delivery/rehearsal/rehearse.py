"""The rehearsal itself: run after run until everybody has been dealt with, then what the server took beside the ledger."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from newsletter.clock import Clock
from newsletter.delivery.limits import Rate
from newsletter.delivery.rehearsal.child import DONE, Work, write_work
from newsletter.delivery.rehearsal.faults import Faults
from newsletter.delivery.rehearsal.sink import Sink
from newsletter.errors import NewsletterError
from newsletter.model import UNSETTLED, DeliveryState, Issue, OnUnknown
from newsletter.store import Store
from newsletter.text import one_line

#: Runs are begun until nothing moves any more, and never more than so many.
_MOST_RUNS: Final = 500
_PATIENCE: Final = 8
#: Rows compared at a time.
_CHUNK: Final = 1000
#: Seconds between two looks at how far it has come.
_LOOK: Final = 0.1
#: In a rehearsal nobody waits a second after a broken connection.
_BACK_OFF: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What is rehearsed with: the limits as they are configured, and what is assumed of the real server.

    `window` messages are on the way over each connection at most.
    `server_time` is how long the real server takes for one message over one
    connection, answers and way included; `silence` is after how many seconds a
    silent server is given up here (600 in truth).
    """

    connections: int
    per_connection: int | None
    rates: tuple[Rate, ...]
    on_unknown: OnUnknown
    server_time: float
    silence: float = 5.0
    window: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a rehearsal found.

    `sent`, `failed`, `held`, `suppressed` and `waiting` are rows of the ledger at
    the end; `deferred` is how often the server asked to come later, `unknown` how
    often it was not known whether a message had arrived.  `lost` are people whom
    nothing reached though the ledger says so, or of whom it knows nothing;
    `duplicates` are copies too many that the server took, `bound` is how many
    there may be; `changed` are copies that differ from the first, `unwanted`
    messages to suppressed people.  `rate` is in messages a second.  `canary` is how
    many went first, None where nobody did, and `canary_stopped` why the others
    would have to wait for a person, who then let them have it.
    """

    recipients: int
    sent: int
    failed: int
    held: int
    suppressed: int
    waiting: int
    deferred: int
    unknown: int
    lost: int
    duplicates: int
    bound: int
    changed: int
    unwanted: int
    kills: int
    runs: int
    seconds: float
    rate: float
    predicted_seconds: float
    limited_by: str
    injected: Mapping[str, int] = field(default_factory=dict[str, int])
    stopped: str | None = None
    canary: int | None = None
    canary_stopped: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether the promise was kept: nobody lost, and no more copies than a crash may cost."""
        return not (self.lost or self.changed or self.unwanted) and self.duplicates <= self.bound


async def rehearse(
    folder: Path,
    store: Store,
    issue: Issue,
    stage: Stage,
    *,
    recipients: int,
    faults: Faults,
    seed: int,
    clock: Clock,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """Dispatch an issue of a scratch database to a server with faults, and count.

    Args:
        folder: a temporary one, for the child's orders.
        store: a database in a file that nobody else uses; its issue is delivered for real, to the sink.
        issue: frozen in it.
        stage: the limits.
        recipients: how many people the issue was frozen for.
        faults: what goes wrong.
        seed: decides whom it befalls.
        clock: what time it is.
        on_progress: told now and then how many rows are settled or were taken.

    Raises:
        NewsletterError: the dispatch itself failed, which it must not.
    """
    run = _Rehearsal(folder, store, issue, stage, faults, clock, on_progress)
    kills = faults.kills_among(recipients)
    async with Sink(faults, seed, clock=clock, kills=kills, on_kill=run.kill, window=stage.window) as sink:
        await run.all(sink)
        return run.verdict(sink, recipients)


class _Rehearsal:
    """One rehearsal: its child processes, one after the other."""

    def __init__(  # noqa: PLR0917 - made in one place only
        self,
        folder: Path,
        store: Store,
        issue: Issue,
        stage: Stage,
        faults: Faults,
        clock: Clock,
        on_progress: Callable[[int], None],
    ) -> None:
        self._folder = folder
        self._store = store
        self._issue = issue
        self._stage = stage
        self._faults = faults
        self._clock = clock
        self._on_progress = on_progress
        self._child: asyncio.subprocess.Process | None = None
        self._is_killed = False
        self._recovered = 0
        self._kills = 0
        self._runs = 0
        self._stopped: str | None = None
        self._canary_stopped: str | None = None

    def kill(self) -> None:
        """Kill the process that sends just now, as a power cut would."""
        if self._child is not None and self._child.returncode is None:
            self._is_killed = True
            self._child.send_signal(signal.SIGKILL)

    async def all(self, sink: Sink) -> None:
        """Run until everybody has been dealt with, or nothing moves any more."""
        began, late, unmoved, before = self._clock.now(), 0.0, 0, None
        while self._runs < _MOST_RUNS and unmoved < _PATIENCE:
            await self._one(sink, late)
            counts = self._store.counts(self._issue.id)
            if not any(counts.get(state) for state in UNSETTLED):
                return
            now = (counts, sink.taken.total, late)
            unmoved, before = (unmoved + 1 if now == before else 0), now
            if not self._is_killed and not counts.get(DeliveryState.queued):
                late = max(late, self._until_next(began))

    def _until_next(self, began: datetime) -> float:
        """How far ahead the clock must be for the next deferred message."""
        after = self._store.next_attempt(self._issue.id)
        return 0.0 if after is None else (after - began).total_seconds() + 1.0

    async def _one(self, sink: Sink, late: float) -> None:
        """One process, from its start to its end."""
        stage = self._stage
        write_work(
            self._folder,
            Work(
                database=str(self._folder / "newsletter.db"),
                digest=self._issue.digest,
                number=self._issue.number,
                port=sink.port,
                connections=stage.connections,
                window=stage.window,
                per_connection=stage.per_connection,
                timeout=max(stage.silence, 30.0),
                after_dot=stage.silence if any(fault.name == "silent" for fault in self._faults.faults) else 600.0,
                back_off=_BACK_OFF,
                on_unknown=stage.on_unknown,
                late=late,
            ),
        )
        self._runs += 1
        self._is_killed = False
        log = self._folder / "child.log"
        with log.open("wb") as output:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "newsletter.delivery.rehearsal.child",
                str(self._folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            try:
                code = await self._watched(self._child, sink)
            finally:
                if self._child.returncode is None:
                    self._child.kill()
                    await self._child.wait()
        sink.hang_up()
        if self._is_killed and code == -signal.SIGKILL:
            self._kills += 1
            return
        if code != 0:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [f"exit code {code}"]
            raise NewsletterError(f"the rehearsed dispatch failed: {one_line(lines[-1], 300)}")
        done = json.loads((self._folder / DONE).read_text(encoding="utf-8"))
        self._recovered += done["recovered"]
        self._stopped = done["stopped"]
        issue = self._store.issue(self._issue.number, self._issue.digest)
        if issue is not None and issue.canary is not None and issue.canary.is_stopped:
            # A person would look at it now, and may say "go on", as the next run does.
            self._stopped, self._canary_stopped = None, issue.state_reason

    async def _watched(self, child: asyncio.subprocess.Process, sink: Sink) -> int:
        ended = asyncio.ensure_future(child.wait())
        try:
            while not ended.done():
                self._on_progress(sink.taken.distinct)
                await asyncio.wait((ended,), timeout=_LOOK)
            return ended.result()
        finally:
            ended.cancel()

    # -------------------------------------------------------------------- the verdict

    def verdict(self, sink: Sink, recipients: int) -> Verdict:
        """Compare what the server took with what the ledger says, row by row."""
        counts = self._store.counts(self._issue.id)
        lost, unwanted, known = 0, 0, 0
        after = 0
        while rows := self._store.deliveries(self._issue.id, after_id=after, limit=_CHUNK):
            after = rows[-1].id
            known += len(rows)
            taken = sink.taken.copies([row.message_id for row in rows])
            for row in rows:
                lost += row.state is DeliveryState.sent and row.message_id not in taken
                unwanted += row.state is DeliveryState.suppressed and row.message_id in taken
        stage, canary = self._stage, self._issue.canary
        bound = sink.doubtful + self._kills * stage.connections * stage.window
        # What may have arrived and is held is sent no second time.
        bound = bound if stage.on_unknown is OnUnknown.resend else 0
        rate = sink.taken.total / sink.seconds if sink.seconds else 0.0
        predicted, limit = _predicted(recipients, rate, stage)
        return Verdict(
            recipients=recipients,
            sent=counts.get(DeliveryState.sent, 0),
            failed=counts.get(DeliveryState.failed, 0),
            held=counts.get(DeliveryState.held, 0),
            suppressed=counts.get(DeliveryState.suppressed, 0),
            waiting=sum(counts.get(state, 0) for state in UNSETTLED),
            deferred=sum(number for name, number in sink.injected.items() if name.startswith("4")),
            unknown=sink.untold + self._recovered,
            lost=lost + max(recipients - known, 0),
            duplicates=sink.taken.duplicates,
            bound=bound,
            changed=sink.taken.changed,
            unwanted=unwanted,
            kills=self._kills,
            runs=self._runs,
            seconds=sink.seconds,
            rate=rate,
            predicted_seconds=predicted + (canary.wait if canary else 0.0),
            limited_by=limit,
            injected=dict(sink.injected),
            stopped=self._stopped,
            canary=canary.first if canary else None,
            canary_stopped=self._canary_stopped,
        )


def _predicted(recipients: int, rate: float, stage: Stage) -> tuple[float, str]:
    """How long a real send would take, and what would keep it from being faster."""
    at_once = stage.connections * stage.window
    connections = f"{stage.connections} connections" + (f" of {stage.window} messages" if stage.window > 1 else "")
    limits = {"this machine": rate, connections: at_once / stage.server_time if stage.server_time else rate}
    for rule in stage.rates:
        limits[f"the rate {rule}"] = rule.count / rule.seconds
    limit, slowest = min(limits.items(), key=lambda item: item[1])
    return (recipients / slowest if slowest else 0.0), limit

"""The work that several machines share, as rows: who works, how far issues are, how fast they go."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from newsletter import __version__
from newsletter.app.project import App
from newsletter.delivery.limits import OTHERS, Rate
from newsletter.keeper import CLOCK_OFF
from newsletter.model import UNSETTLED, Issue, IssueState, OpenCircuit, SendRate, Shares, Worker
from newsletter.text import duration, per_second

#: A worker says every five seconds that it lives; after so many without a word somebody should know.
_SILENT: Final = 15.0
#: A clock that is off by more seconds than this should be set.
OFF: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One process that sends, and what somebody should know of it (`notes`).

    `shards` is how many it is sending, `silent` and `clock_off` are in seconds.
    """

    id: str
    host: str
    pid: int
    version: str
    started_at: datetime
    concurrency: int
    shards: int
    silent: float
    clock_off: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRow:
    """One issue that is sent shard by shard: of `shards`, `sending` are being sent and `left` others have something left.

    Of `messages` so many as `backlog` says are not settled, and `waiting` of these wait for
    their hours; `rate` is how many were settled a second of late, `seconds_left` how
    long the rest takes at that, None where nobody can say.  `words` say both.
    """

    digest: str
    number: int
    shards: int
    sending: int
    left: int
    messages: int
    backlog: int
    waiting: int
    rate: float
    seconds_left: float | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRow:
    """A rate that holds for all machines together, and how much of it is used; `domain` "" means all messages."""

    domain: str
    rate: str
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """All of it; empty where the project has one machine.

    `nobody_sends` says that something may go now, and there is nobody at work.
    """

    workers: tuple[WorkerRow, ...] = ()
    shares: tuple[ShareRow, ...] = ()
    rates: tuple[RateRow, ...] = ()
    servers: tuple[OpenCircuit, ...] = ()
    nobody_sends: bool = False


def spread(app: App) -> Spread:
    """Look who works, and at what."""
    store = app.store
    if not store.is_shared:
        return Spread()
    issues = {issue.id: issue for issue in store.unfinished()}
    shares = tuple(_share_row(app, issues[one.issue_id], one) for one in store.shares() if one.issue_id in issues)
    workers = tuple(map(_worker_row, store.workers()))
    return Spread(
        workers=workers,
        shares=shares,
        rates=tuple(_rates(app)) if shares else (),
        servers=tuple(store.open_circuits()),
        nobody_sends=bool(shares and not workers and store.ready_shards(limit=1)),
    )


def _worker_row(worker: Worker) -> WorkerRow:
    return WorkerRow(
        id=worker.id,
        host=worker.host,
        pid=worker.pid,
        version=worker.version,
        started_at=worker.started_at,
        concurrency=worker.concurrency,
        shards=worker.shards,
        silent=round(worker.silent, 1),
        clock_off=round(worker.clock_off, 1),
        notes=tuple(_notes(worker)),
    )


def _notes(worker: Worker) -> Iterator[str]:
    if worker.version != __version__:
        yield "older version" if _order(worker.version) < _order(__version__) else "newer version"
    if worker.silent > _SILENT:
        yield f"silent for {duration(worker.silent)}"
    if abs(worker.clock_off) > OFF:
        words = f"clock {duration(abs(worker.clock_off))} {'ahead' if worker.clock_off > 0 else 'behind'}"
        yield f"{words}: sends nothing" if abs(worker.clock_off) > CLOCK_OFF else words
    if worker.concurrency == 0:
        yield "stopping"


def _order(version: str) -> list[int]:
    """What versions are compared by; what comes after the numbers counts for nothing."""
    return [int(number) for number in re.findall(r"\d{1,9}", version)[:3]]


def _share_row(app: App, issue: Issue, shares: Shares) -> ShareRow:
    store = app.store
    counts = store.counts(issue.id)
    backlog = sum(counts.get(state, 0) for state in UNSETTLED)
    waiting = store.postponed(issue.id)[0]
    measured = store.send_rate(issue.id)
    rate = measured.per_second
    left = None if issue.state is IssueState.paused or not rate else (backlog - waiting) / rate
    return ShareRow(
        digest=issue.digest,
        number=issue.number,
        shards=shares.total,
        sending=shares.leased,
        left=shares.left,
        messages=sum(counts.values()),
        backlog=backlog,
        waiting=waiting,
        rate=round(rate, 2),
        seconds_left=None if left is None else round(left, 1),
        words=_words(issue, measured, left),
    )


def _words(issue: Issue, rate: SendRate, left: float | None) -> str:
    if issue.state is IssueState.paused:
        return "paused"
    if not rate.settled:
        return "nothing in the last minute" if rate.seconds else "not begun yet"
    words = per_second(rate.per_second)
    return f"{words}, {duration(left)} left" if left else words


def _rates(app: App) -> Iterator[RateRow]:
    smtp = app.config.smtp
    if smtp is None:
        return
    # Each domain that is not named has the rates of the others for itself: they are no one figure.
    named = {domain: rates for domain, rates in smtp.per_domain.items() if domain != OTHERS}
    scopes: Mapping[str, Sequence[str]] = {"": smtp.rates, **named}
    for domain, rates in scopes.items():
        for rate in map(Rate.parse, rates):
            used = app.store.begun(f"{smtp.host}:{smtp.port} {domain}".rstrip(), rate.seconds)
            yield RateRow(domain=domain, rate=str(rate), used=used)

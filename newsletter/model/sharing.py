"""The nouns of work that several machines share."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of an issue: its deliveries from one id to another, both included; number 0 is its canary's, without ids."""

    issue_id: int
    number: int
    first_id: int = 0
    last_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A shard that somebody has for now; whoever has it later has a higher `token`, and then this one opens no gate."""

    shard: Shard
    holder: str
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process that sends, here or on another machine, when it was last heard of.

    `concurrency` is how many shards it sends at once, 0 where it takes no more; `shards` is
    how many it has; `clock_off` is how far its clock is ahead of the database's, in seconds;
    `silent` is for how many seconds nothing was heard of it.
    """

    id: str
    host: str
    pid: int
    version: str
    concurrency: int
    started_at: datetime
    seen_at: datetime
    clock_off: float
    silent: float = 0.0
    shards: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How far an issue's shards are: how many there are, have something left that may go now, and are being sent."""

    issue_id: int
    total: int
    ready: int
    leased: int

"""The nouns of work that several machines share: who sends which part, permissions to begin messages, servers left alone."""

from collections.abc import Mapping
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
    """How far an issue's shards are: how many there are, are being sent, and of the others have something left."""

    issue_id: int
    total: int
    left: int
    leased: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """How many messages somebody wants to begin soon.

    `scope` is a domain of recipients, or "" for all messages to the server.
    `rates` are (messages, seconds), of which all hold.  A permission holds for
    `lasts` seconds.  `owed` is how many have begun without one.
    """

    scope: str
    number: int
    rates: tuple[tuple[int, float], ...]
    lasts: float
    owed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Permission to begin so many messages, none later than `until` on the database's clock."""

    id: int
    number: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What has become of a grant: how many messages did begin, the last of them by `until` on the database's clock."""

    grant: int
    number: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The answer to needs.

    `waits` are seconds until there may be more, by scope, where nothing could be
    granted.  `pause` is for how many seconds the server wants nothing of anybody,
    `rates` what it has taught us.  Where not `is_known`, nobody can say what was
    sent before, and nothing was granted.
    """

    grants: Mapping[str, Grant]
    waits: Mapping[str, float]
    pause: float = 0.0
    rates: tuple[tuple[int, float], ...] = ()
    is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCircuit:
    """A mail server ("host:port") that is left alone by all.

    `failures` in a row, 0 where it only asked for less; `seconds` until it is
    tried again, and by whom just now (`prober`).
    """

    server: str
    failures: int
    seconds: float
    reason: str
    prober: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRate:
    """How many messages were settled in the last `seconds`, 0.0 where it has just begun."""

    settled: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Messages a second; 0.0 where nobody can say."""
        return self.settled / self.seconds if self.seconds else 0.0

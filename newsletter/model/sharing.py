"""What several machines share while they send: permissions to begin messages, and servers that are left alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


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

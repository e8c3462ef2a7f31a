"""Ticks: times at which a digest was to go out, and what came of each."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TickOutcome(StrEnum):
    """What came of a slot; `failed` is tried again, and `held` waits for the editor's answer."""

    sent = "sent"
    nothing = "nothing"
    late = "late"
    failed = "failed"
    held = "held"
    cancelled = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One slot of a digest's schedule, after it was looked at.

    `slot` is its time on the wall, `due_at` the moment, `at` when it was looked at
    last; `number` is the issue's, where one was sent, and `why` says the rest in words.
    """

    digest: str
    slot: str
    due_at: datetime
    outcome: TickOutcome
    at: datetime
    number: int | None = None
    why: str = ""

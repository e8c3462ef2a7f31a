"""For how long what is over is kept, and what was let go."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

#: How long an entry that has left its feed is remembered, at least: until then feeds bring things back.
TOMBSTONE: Final = timedelta(days=731)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """For how long what is over stays in the store; None for good.

    `deliveries` of finished issues are summed up then, `entries` that no issue
    carried and no feed has are forgotten, `pictures` inside messages, what came
    of slots and outages (`ticks`), and what came back (`reports`) is let go.
    """

    deliveries: timedelta | None = timedelta(days=400)
    entries: timedelta | None = TOMBSTONE
    pictures: timedelta | None = timedelta(days=90)
    ticks: timedelta | None = timedelta(days=400)
    reports: timedelta | None = timedelta(days=800)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tidied:
    """How much was let go, or would be: rows, by what they were; whether anything is left to do."""

    deliveries: int = 0
    issues: int = 0
    entries: int = 0
    pictures: int = 0
    ticks: int = 0
    reports: int = 0
    is_done: bool = True

    @property
    def total(self) -> int:
        """All rows."""
        return self.deliveries + self.entries + self.pictures + self.ticks + self.reports

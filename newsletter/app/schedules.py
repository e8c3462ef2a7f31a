"""When the digests of a project go out next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from newsletter.config import Config, DigestConfig
from newsletter.schedule import Schedule, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """The next slots of one digest; none where it has no `schedule`.

    `begins` are the moments from which each may be mailed: later than the slot
    where its hours are closed then.  `by_person` says that each subscriber's own
    clock counts; then `begins` are those of the digest's time zone.
    """

    digest: str
    schedule: str | None
    timezone: str
    slots: tuple[Slot, ...]
    begins: tuple[datetime, ...]
    by_person: bool


def upcoming(config: Config, now: datetime, *, count: int, digest: str | None = None) -> Sequence[Upcoming]:
    """The next slots of one digest, or of all of them in the order of the configuration.

    Args:
        config: the project's.
        now: slots come after it.
        count: how many of each digest.
        digest: its name; None for all.

    Raises:
        UsageError: there is no such digest.
    """
    return [_upcoming(one, now, count) for one in (config.digests if digest is None else (config.digest(digest),))]


def _upcoming(digest: DigestConfig, now: datetime, count: int) -> Upcoming:
    slots: tuple[Slot, ...] = ()
    if digest.schedule is not None:
        slots = tuple(islice(Schedule.parse(digest.schedule, ZoneInfo(digest.timezone)).after(now), count))
    hours = digest.hours
    return Upcoming(
        digest=digest.name,
        schedule=digest.schedule,
        timezone=digest.timezone,
        slots=slots,
        begins=tuple(slot.at if hours is None else hours.opening(slot.at) for slot in slots),
        by_person=hours is not None and hours.by_person,
    )

"""When the digests of a project go out next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from newsletter.config import Config
from newsletter.schedule import Schedule, Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcoming:
    """The next slots of one digest; none where it has no `schedule`."""

    digest: str
    schedule: str | None
    timezone: str
    slots: tuple[Slot, ...]


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
    wanted = config.digests if digest is None else (config.digest(digest),)
    return [
        Upcoming(
            digest=one.name,
            schedule=one.schedule,
            timezone=one.timezone,
            slots=()
            if one.schedule is None
            else tuple(islice(Schedule.parse(one.schedule, ZoneInfo(one.timezone)).after(now), count)),
        )
        for one in wanted
    ]

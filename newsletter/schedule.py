"""When a digest goes out: rules people write, and the slots that they name.

    daily 07:30                 mon-fri 07:00, 16:00        sat,sun 09:00
    1st mon 09:00               last fri 17:00              1st,15th 08:00
    last day 18:00              every 6h                    0 7 * * 1-5  (cron)

A slot is a time on the wall of the digest's time zone: 07:30 on the 2nd of
March.  So every rule names the same slots whoever asks, however often and in
which order, and no change of the clocks repeats one or leaves one out: a time
that comes twice in autumn is its first coming, and one that does not come in
spring is the moment when the clocks jump over it.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import groupby, islice, takewhile
from typing import Final, Self
from zoneinfo import ZoneInfo

from newsletter.text import one_line

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_NAMES: Final = {
    **{day: day for day in _DAYS},
    **dict(zip(("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), _DAYS, strict=True)),
}
#: Cron counts the days of a week from Sunday.
_CRON_DAY: Final = {day: (at + 1) % 7 for at, day in enumerate(_DAYS)}
_GROUPS: Final = {"daily": "*", "day": "*", "weekdays": "1-5", "weekday": "1-5", "weekends": "0,6", "weekend": "0,6"}
_GROUP_DAYS: Final = {"*": range(7), "1-5": range(5), "0,6": range(5, 7)}
_TIMES = re.compile(r"\d{1,2}:\d{2}(?:\s*,\s*\d{1,2}:\d{2})*", re.ASCII)
_EVERY = re.compile(r"every\s+(\d{1,4})\s*(m|min|minutes?|h|hours?)", re.ASCII)
_ORDINAL = re.compile(r"([1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)", re.ASCII)
_CRON = re.compile(r"\S+(?:\s+\S+){4}")
_WEEKS: Final = 5
#: Every month has so many days.
_SHORTEST_MONTH: Final = 28
#: No change of the clocks is longer: Samoa left out the 30th of December 2011.
_LONGEST_CHANGE: Final = timedelta(hours=25)
#: A schedule that is new counts slots that came just now: cron may be what looks first.
_GRACE: Final = timedelta(minutes=15)
#: So many slots are looked back at.
_LOOKED_AT: Final = 100
_EXAMPLES: Final = "daily 07:30, mon-fri 07:00, 1st mon 09:00, every 6h, or cron's five fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A time at which a digest is to go out: as it stands on the wall (naive), and the moment (aware, UTC)."""

    wall: datetime
    at: datetime

    @property
    def name(self) -> str:
        """What the slot is called, once and for all: `2026-03-02 07:30`."""
        return self.wall.isoformat(" ", "minutes")


class Schedule:
    """The slots of one digest, without end in both directions.

    Args:
        text: as it was written.
        expressions: the same for cron, one or several.
        zone: of the digest.
    """

    def __init__(self, text: str, expressions: tuple[str, ...], zone: ZoneInfo) -> None:
        self.text = text
        self.zone = zone
        self._expressions = expressions

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> Self:
        """Read a rule.

        Raises:
            ValueError: it is none, or names no time that ever comes; says what to write instead.
        """
        rule = " ".join(text.lower().split())
        schedule = cls(text, _expressions(rule), zone)
        try:
            next(schedule._walls(datetime(2026, 1, 1), is_past=False))  # noqa: DTZ001 - a time on the wall
        except StopIteration:
            raise ValueError(f"{one_line(text, 60)!r} names a day that never comes") from None
        except ValueError as error:
            raise ValueError(f"{one_line(text, 60)!r} is not a schedule ({error}): write {_EXAMPLES}") from error
        return schedule

    def after(self, moment: datetime) -> Iterator[Slot]:
        """The slots after a moment, in their order."""
        start = moment.astimezone(self.zone).replace(tzinfo=None) - _LONGEST_CHANGE
        for wall in self._walls(start, is_past=False):
            slot = self._slot(wall)
            if slot.at > moment:
                yield slot

    def before(self, moment: datetime) -> Iterator[Slot]:
        """The slots up to a moment, and at it, the latest first."""
        start = moment.astimezone(self.zone).replace(tzinfo=None) + _LONGEST_CHANGE
        for wall in self._walls(start, is_past=True):
            slot = self._slot(wall)
            if slot.at <= moment:
                yield slot

    def _walls(self, start: datetime, *, is_past: bool) -> Iterator[datetime]:
        """Times on the wall from `start` on, or from there back; each once.

        Raises:
            ValueError: an expression is none.
        """
        # Only here: nobody else needs the library, and the configuration is read by every command.
        from cronsim import CronSim, CronSimError

        try:
            walls = [CronSim(expression, start, reverse=is_past) for expression in self._expressions]
        except CronSimError as error:
            raise ValueError(str(error)[:1].lower() + str(error)[1:]) from error
        return (wall for wall, _ in groupby(merge(*walls, reverse=is_past)))

    def _slot(self, wall: datetime) -> Slot:
        return Slot(wall=wall, at=on_wall(wall, self.zone))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """What becomes of a slot that nobody looked at in time: after `longest` only the last one, if `catch_up`, is made up for."""

    longest: timedelta = timedelta(hours=6)
    catch_up: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What is due of a schedule: the slot to send for, if any, and those that are over."""

    slot: Slot | None
    missed: tuple[Slot, ...]


def due(
    schedule: Schedule,
    now: datetime,
    *,
    since: datetime,
    lateness: Lateness,
    settled: Callable[[Sequence[str]], Collection[str]],
) -> Due:
    """Decide what is due now.

    However often it is asked, by however many, each slot is sent for once: one
    that is settled is over.  Of several that have come, the last is sent for,
    because it carries everything that is new.

    Args:
        schedule: of one digest.
        now: the present moment.
        since: when the schedule was first seen; what came long before is none of its slots.
        lateness: the digest's.
        settled: which of these slots, by name, are over and done with.
    """
    begin = since - _GRACE
    come = list(islice(takewhile(lambda slot: slot.at > begin, schedule.before(now)), _LOOKED_AT))
    over = settled([slot.name for slot in come])
    left = [slot for slot in come if slot.name not in over]
    if not left:
        return Due(slot=None, missed=())
    # A slot before one that is over was passed by; it must not come after it.
    is_last = left[0] is come[0]
    is_in_time = now - left[0].at <= lateness.longest or lateness.catch_up
    slot = left[0] if is_last and is_in_time else None
    return Due(slot=slot, missed=tuple(left[1:] if slot else left))


def on_wall(wall: datetime, zone: ZoneInfo) -> datetime:
    """When a time stands on the wall (UTC): its first coming, or the moment when the clocks jump over it."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # One that does not come is, read by either offset, on the wrong side of the change, which lies between.
    return change_of_clocks(zone, second, first) if first > second else first


def wall_of(slot: str) -> datetime | None:
    """The time on the wall that a slot is called by (`Slot.name`); None of one that somebody made by hand."""
    try:
        return datetime.strptime(slot, "%Y-%m-%d %H:%M")  # noqa: DTZ007 - a time on the wall
    except ValueError:
        return None


def change_of_clocks(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The moment between two others, in UTC, from which a zone has the later one's offset."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


# --------------------------------------------------------------------------- rules


def _expressions(rule: str) -> tuple[str, ...]:
    """A rule in the words of cron.

    Raises:
        ValueError: it is none.
    """
    if every := _EVERY.fullmatch(rule):
        return (_interval(int(every[1]), is_hours=every[2].startswith("h")),)
    if rule == "hourly":
        return ("0 * * * *",)
    days, _, times = rule.rpartition(" at ") if " at " in rule else _before_times(rule)
    if times and days:
        day_of_month, day_of_week = _days(days)
        return tuple(f"{minute} {hour} {day_of_month} * {day_of_week}" for hour, minute in _clock_times(times))
    if times:
        raise ValueError(f"{one_line(rule, 60)!r} names no day: write daily {times}, or mon-fri {times}")
    if _CRON.fullmatch(rule):
        return (rule,)
    if rule in _GROUPS or all(part in _NAMES for part in re.split("[-,]", rule)):
        raise ValueError(f"{one_line(rule, 60)!r} names no time: write {rule} 07:30")
    raise ValueError(f"{one_line(rule, 60)!r} is not a schedule: write {_EXAMPLES}")


def _before_times(rule: str) -> tuple[str, str, str]:
    """What stands before the times of day, "", and those; the last is "" where there are none."""
    found = re.search(r"(?:^|\s)(\d{1,2}:.*)$", rule)
    return (rule[: found.start()].strip(), "", found[1]) if found else (rule, "", "")


def _interval(count: int, *, is_hours: bool) -> str:
    whole, unit = (24, "h") if is_hours else (60, "m")
    if count == 0 or whole % count:
        fitting = ", ".join(f"{number}{unit}" for number in range(1, whole + 1) if whole % number == 0)
        raise ValueError(f"every {count}{unit} does not come at the same times each day: {fitting} do")
    if count == whole:
        return "0 0 * * *" if is_hours else "0 * * * *"
    return f"0 */{count} * * *" if is_hours else f"*/{count} * * * *"


def _clock_times(text: str) -> list[tuple[int, int]]:
    if not _TIMES.fullmatch(text):
        raise ValueError(f"{one_line(text, 40)!r} is not a time of day: write it like 07:30, or 07:30, 16:00")
    return [clock_time(time) for time in re.split(r"\s*,\s*", text)]


def clock_time(text: str) -> tuple[int, int]:
    """Hour and minute of `07:30`.

    Raises:
        ValueError: no clock shows it.
    """
    hour, minute = map(int, text.split(":"))
    if hour > 23 or minute > 59:  # noqa: PLR2004 - hours and minutes
        midnight = "; midnight is 00:00 of the next day" if (hour, minute) == (24, 0) else ""
        raise ValueError(f"there is no {text} on a clock{midnight}")
    return hour, minute


def _days(text: str) -> tuple[str, str]:
    """Cron's day of the month and its day of the week."""
    text = text.removeprefix("every ")
    if text in _GROUPS:
        return "*", _GROUPS[text]
    if text == "last day":
        return "L", "*"
    words = text.split(" ")
    if len(words) == 2 and words[1] in _NAMES:  # noqa: PLR2004 - which, and of what
        weeks = [_week(word, _CRON_DAY[_NAMES[words[1]]]) for word in words[0].split(",")]
        return "*", ",".join(weeks)
    parts = re.split(r"\s*,\s*", text)
    if all(_ORDINAL.fullmatch(part) for part in parts):
        return ",".join(_day_of_month(part) for part in parts), "*"
    return "*", ",".join(str(_CRON_DAY[_DAYS[day]]) for day in weekdays(text))


def _week(word: str, day: int) -> str:
    if word == "last":
        return f"{day}L"
    found = _ORDINAL.fullmatch(word)
    if not found or int(found[1]) > _WEEKS:
        raise ValueError(f"{one_line(word, 40)!r} is no week of a month: write 1st to 4th, or last")
    if int(found[1]) == _WEEKS:
        raise ValueError("most months have no 5th: write last")
    return f"{day}#{found[1]}"


def _day_of_month(word: str) -> str:
    found = _ORDINAL.fullmatch(word)
    assert found is not None
    if int(found[1]) > _SHORTEST_MONTH:
        raise ValueError(f"not every month has a {word}: write last day, or use cron's five fields")
    return found[1]


def weekdays(text: str) -> list[int]:
    """The days of `mon-fri`, `sat,sun` or `weekends`, in the order in which they are named, Monday being 0.

    Raises:
        ValueError: those are none.
    """
    if text in _GROUPS:
        return list(_GROUP_DAYS[_GROUPS[text]])
    found: list[int] = []
    for part in re.split(r"\s*,\s*", text):
        ends = [_NAMES.get(name.strip()) for name in part.split("-")]
        if len(ends) > 2 or None in ends:  # noqa: PLR2004 - from, to
            raise ValueError(
                f"{one_line(part, 40)!r} is no day: write daily, mon-fri, sat,sun, 1st mon, 15th or last day"
            )
        first, last = (_DAYS.index(str(ends[0])), _DAYS.index(str(ends[-1])))
        # A range may go over the end of the week: fri-mon.
        found += [(first + step) % 7 for step in range((last - first) % 7 + 1)]
    return list(dict.fromkeys(found))

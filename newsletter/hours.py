"""The hours in which a digest may be mailed: its send window, its quiet hours, and whose clock they are read on.

    send_window: mon-fri 08:00-18:00            quiet_hours: 22:00-07:00
    send_window: [mon-fri 08:00-12:00, 13:00-18:00, sat 09:00-12:00]

What counts is the clock on the wall: hours are open whenever it shows a time
inside of them.  So an hour that comes twice in autumn is open, or quiet, twice,
and one that does not come in spring is neither.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Self
from zoneinfo import ZoneInfo

from newsletter.model import BY_PERSON
from newsletter.schedule import change_of_clocks, clock_time, on_wall, weekdays
from newsletter.text import one_line

_DAY: Final = 24 * 60
_WEEK: Final = 7 * _DAY
#: Hours that open at all do so within a week; the clocks may be changed meanwhile.
_AHEAD: Final = 9
_SPAN: Final = r"\d{1,2}:\d{2}\s*-\s*\d{1,2}:\d{2}"
_RANGE = re.compile(rf"(?:(?P<days>.*?\S)\s+)?(?P<spans>{_SPAN}(?:\s*,\s*{_SPAN})*)", re.ASCII)

#: From a minute of the week on, Monday 00:00 being 0, until before another.
_Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """When messages of a digest may begin.

    Args:
        text: the rule in words, the same for the same rule.
        zone: of the digest.
        by_person: whether they, and the hour of a slot, are read on each subscriber's own clock.
        spans: when they are open, in minutes of the week.
    """

    text: str
    zone: ZoneInfo
    by_person: bool
    spans: tuple[_Span, ...]

    @classmethod
    def parse(
        cls, window: Sequence[str], quiet: Sequence[str], zone: ZoneInfo, *, by_person: bool = False
    ) -> Self | None:
        """Read the rules of a digest; None where it has none, and may be mailed at any time.

        Args:
            window: ranges in which it may be mailed; none: always.
            quiet: ranges in which it may not.
            zone: the digest's.
            by_person: whether each subscriber's own clock counts.

        Raises:
            ValueError: a range is none, or nothing is left of the week.
        """
        if not (window or quiet or by_person):
            return None
        inside = [span for one in window for span in spans_of(one)] or [(0, _WEEK)]
        spans = tuple(_left(inside, [span for one in quiet for span in spans_of(one)]))
        if not spans:
            raise ValueError("leave no time at which anything may be mailed")
        words = [*window, *(f"not {one}" for one in quiet), zone.key, *([BY_PERSON] if by_person else [])]
        return cls(text="; ".join(words), zone=zone, by_person=by_person, spans=spans)

    def clock_of(self, timezone: str | None) -> ZoneInfo:
        """On which clock they are read for a person of that time zone."""
        return (_zone(timezone) or self.zone) if self.by_person and timezone else self.zone

    def are_open(self, moment: datetime, timezone: str | None = None) -> bool:
        """Whether a message to a person of that time zone may begin."""
        wall = moment.astimezone(self.clock_of(timezone))
        minute = wall.weekday() * _DAY + wall.hour * 60 + wall.minute
        return any(begin <= minute < end for begin, end in self.spans)

    def opening(self, moment: datetime, timezone: str | None = None) -> datetime:
        """The first moment from this one on at which they are open for a person of that time zone."""
        if self.are_open(moment, timezone):
            return moment
        return min(
            one
            for one in _changes(self.clock_of(timezone), moment, [begin for begin, _ in self.spans])
            if one >= moment and self.are_open(one, timezone)
        )

    def begin(self, frozen_at: datetime, timezone: str | None = None, *, wall: datetime | None = None) -> datetime:
        """When an issue may go to a person of that time zone.

        Args:
            frozen_at: when it was frozen.
            timezone: the person's.
            wall: the hour of its slot; None where it has none, because somebody sends it by hand.
        """
        first = frozen_at
        if self.by_person and wall is not None:
            first = max(first, on_wall(wall, self.clock_of(timezone)))
        return self.opening(first, timezone)


def spans_of(text: str) -> list[_Span]:
    """The minutes of the week that a range such as `mon-fri 08:00-18:00` names; over midnight where it ends earlier.

    Raises:
        ValueError: it is none; says what to write instead.
    """
    rule = " ".join(text.lower().split())
    found = _RANGE.fullmatch(rule)
    if found is None:
        raise ValueError(f"{one_line(text, 60)!r} names no hours: write mon-fri 08:00-18:00, or 22:00-07:00 for daily")
    try:
        days = weekdays(found["days"] or "daily")
        spans = [_span(span) for span in re.split(r"\s*,\s*", found["spans"])]
    except ValueError as error:
        raise ValueError(f"{one_line(text, 60)!r}: {error}") from error
    whole = [(day * _DAY + begin, day * _DAY + end) for day in days for begin, end in spans]
    # What goes over the end of Sunday begins Monday.
    return [part for begin, end in whole for part in ((begin, min(end, _WEEK)), (0, end - _WEEK)) if part[0] < part[1]]


def _span(text: str) -> _Span:
    first, last = re.split(r"\s*-\s*", text)
    begin = _minute(first)
    end = _DAY if last == "24:00" else _minute(last)
    if begin == end:
        raise ValueError(f"{text} begins when it ends: a whole day is 00:00-24:00")
    return begin, end if begin < end else end + _DAY


def _minute(text: str) -> int:
    hour, minute = clock_time(text)
    return hour * 60 + minute


def _left(inside: list[_Span], outside: list[_Span]) -> Iterator[_Span]:
    """What is inside and not outside, joined, in order."""
    is_open = bytearray(_WEEK)
    for begin, end in inside:
        is_open[begin:end] = b"\1" * (end - begin)
    for begin, end in outside:
        is_open[begin:end] = bytes(end - begin)
    begin = is_open.find(1)
    while begin >= 0:
        end = is_open.find(0, begin)
        end = _WEEK if end < 0 else end
        yield begin, end
        begin = is_open.find(1, end)


def _changes(zone: ZoneInfo, moment: datetime, minutes: Sequence[int]) -> Iterator[datetime]:
    """When one of these minutes of the week comes, and when the clocks are changed, from the day before on."""
    monday = moment.astimezone(zone).date()
    monday -= timedelta(days=monday.weekday())
    for week in (0, 1, 2):
        for minute in minutes:
            wall = datetime.combine(monday, time()) + timedelta(weeks=week, minutes=minute)
            yield on_wall(wall, zone)
            # Its second coming, where it has one.
            yield wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    for day in range(_AHEAD):
        before, after = moment + timedelta(days=day), moment + timedelta(days=day + 1)
        if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
            yield change_of_clocks(zone, before.astimezone(UTC), after.astimezone(UTC))


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    """The time zone of that name; None where this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a ZoneInfoNotFoundError is a KeyError
        return None

"""When a digest goes out, as it is written: its schedule, how late it may be, and in which hours it may be mailed."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from newsletter.hours import spans_of
from newsletter.schedule import Schedule
from newsletter.text import one_line

_LATENESS = re.compile(r"([0-9]{1,6}) ?(m|h|d)", re.ASCII)
_SECONDS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LATEST = 31 * 86_400.0


def schedule_rule(text: str) -> str:
    """A rule for when a digest goes out; its time zone is another setting.

    Raises:
        ValueError: it is none.
    """
    return Schedule.parse(_line(text), ZoneInfo("UTC")).text


def lateness(value: Any) -> float:
    """Seconds, written as `30m`, `6h` or `2d`.

    Raises:
        ValueError: it is none, or longer than a month.
    """
    found = _LATENESS.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a time such as 30m, 6h or 2d")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds > _LATEST:
        raise ValueError("must be at most 31d")
    return seconds


def one_or_several(value: Any) -> Any:
    """One range of hours, or a list of them."""
    return [value] if isinstance(value, str) else value


def hours_range(text: str) -> str:
    """A range of hours such as `mon-fri 08:00-18:00`.

    Raises:
        ValueError: it is none.
    """
    spans_of(text)
    return _line(text)


def _line(text: str) -> str:
    found = one_line(text)
    if not found:
        raise ValueError("is empty")
    return found

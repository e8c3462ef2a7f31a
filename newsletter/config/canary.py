"""What a canary may be: how many get an issue first, how long to watch, and when to stop."""

import re
from typing import Any

from newsletter.errors import UsageError
from newsletter.model import CanaryRule
from newsletter.text import one_line

#: Seconds watched, and the share of refusals that stops an issue, where nothing else is said.
USUAL_WAIT = 600.0
USUAL_STOP = 0.05
_LONGEST_WAIT = 12 * 3600.0
_LONGEST_SETTLING = 48 * 3600.0
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,4})?) ?%", re.ASCII)
_DURATION = re.compile(r"([1-9][0-9]{0,5}) ?(s|m|h)", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_MOST = 1_000_000


def percent(value: Any) -> float:
    """A share from 0 to 1, written as `5%`.

    Raises:
        ValueError: it is none.
    """
    found = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a percentage such as 5%")
    share = float(found[1]) / 100
    if share > 1:
        raise ValueError(f"{found[0]} is more than all of them: at most 100%")
    return share


def share_or_count(value: Any) -> float | int:
    """How many go first: a share (`1%`, a float from 0 to 1) or a number of people.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if 1 <= value <= _MOST:
            return value
        raise ValueError(f"must be at least 1 and at most {_MOST:,} people")
    if isinstance(value, str) and "%" in value:
        share = percent(value)
        if share == 0:
            raise ValueError("must be more than 0%")
        return share
    raise ValueError("must be a share such as 1%, or a number of people such as 50")


def duration(value: Any) -> float:
    """Seconds, written as `30s`, `10m` or `2h`.

    Raises:
        ValueError: it is none, or too long to sit and wait.
    """
    seconds = _seconds(value)
    if seconds > _LONGEST_WAIT:
        raise ValueError("must be at most 12h: the send waits that long")
    return seconds


def settle_time(value: Any) -> float:
    """Seconds for which an entry must stay the same, written as `30m`; 0 for none.

    Raises:
        ValueError: it is none, or so long that news would be none any more.
    """
    if value == 0 and not isinstance(value, bool):
        return 0.0
    seconds = _seconds(value)
    if seconds > _LONGEST_SETTLING:
        raise ValueError("must be at most 48h: an entry waits up to four times as long")
    return seconds


def _seconds(value: Any) -> float:
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a time such as 30s, 10m or 2h")
    return int(found[1]) * _SECONDS[found[2]]


def short_canary(value: Any) -> Any:
    """The short form: how many, and everything else as usual."""
    return {"share": value} if isinstance(value, str | int) and not isinstance(value, bool) else value


def canary_given(text: str, usual: CanaryRule | None) -> CanaryRule | None:
    """Read what `--canary` says: how many go first, or `off`; how long and when to stop are the digest's.

    Raises:
        UsageError: it is neither.
    """
    if text.strip() == "off":
        return None
    try:
        return CanaryRule(
            first=share_or_count(text),
            wait=USUAL_WAIT if usual is None else usual.wait,
            stop_at=USUAL_STOP if usual is None else usual.stop_at,
        )
    except ValueError as error:
        raise UsageError(
            f"--canary {one_line(text, 40)}: {error}", hint="--canary 1%, --canary 50, --canary off"
        ) from error

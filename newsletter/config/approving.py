"""What `approve` may be: how long ahead of its slot an issue is built, and its short forms."""

from typing import Any

from newsletter.config.timing import lateness

#: Seconds, where nothing else is said.
USUAL_AHEAD = 2 * 3600.0
_SHORTEST = 5 * 60.0
_LONGEST = 7 * 86_400.0


def ahead_time(value: Any) -> float:
    """Seconds, written as `30m`, `6h` or `2d`: an editor needs some, and news gets old.

    Raises:
        ValueError: it is none, or outside of what makes sense.
    """
    seconds = lateness(value)
    if not _SHORTEST <= seconds <= _LONGEST:
        raise ValueError("must be at least 5m and at most 7d")
    return seconds


def short_approve(value: Any) -> Any:
    """The short forms: how long ahead, or `true` for everything as usual, `false` for not at all."""
    if isinstance(value, bool):
        return {} if value else None
    return {"ahead": value} if isinstance(value, str) else value

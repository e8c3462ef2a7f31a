"""How often a feed is polled, as a project writes it."""

import re
from typing import Any

_INTERVAL = re.compile(r"([1-9][0-9]{0,5}) ?(m|h|d)", re.ASCII)
_SECONDS = {"m": 60.0, "h": 3_600.0, "d": 86_400.0}
_SHORTEST = 5 * 60.0
_LONGEST = 30 * 86_400.0


def poll_interval(value: Any) -> float | None:
    """Seconds, written as `30m`, `6h` or `2d`; None for `auto`.

    Raises:
        ValueError: it is none, or outside of what makes sense.
    """
    if value is None or value == "auto":
        return None
    found = _INTERVAL.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be a time such as 30m, 6h or 2d, or auto")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if seconds < _SHORTEST:
        raise ValueError("must be at least 5m: nobody likes to be asked more often")
    if seconds > _LONGEST:
        raise ValueError("must be at most 30d; newsletter feed pause stops asking a feed")
    return seconds

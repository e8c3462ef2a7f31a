"""What happens as a log: one JSON object a line on stderr, with nobody's address and no secret in it.

A line begins with `time` (RFC 3339, UTC), `level` (debug, info, warning, error),
`event` (its name, docs/logs.md) and `message`, the sentence that a person would
have been told; the facts in it follow under names of their own.
"""

import json
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from newsletter.asjson import as_json
from newsletter.clock import Clock
from newsletter.text import masked

#: Lines of a log are read by programs that cut them: journald at 48 KB, syslog far earlier.
_LONGEST: Final = 2_000


class LogForm(StrEnum):
    """How a command says on stderr what happens."""

    human = "human"
    json = "json"


class JsonLog:
    """Writes events to stderr, one a line.

    Args:
        clock: says when.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leave_libraries: Callable[[], None] | None = None

    def write(self, level: str, event: str, message: str, facts: dict[str, Any]) -> None:
        """Write one event; facts that are None are left out."""
        line = {
            "time": self._clock.now().isoformat(timespec="milliseconds"),
            "level": level,
            "event": event,
            "message": message,
            **{name: fact for name, fact in facts.items() if fact is not None},
        }
        # By way of plain values: what dataclasses and lists hold is masked like all else.
        print(_visible(json.dumps(_discreet(json.loads(as_json(line))), ensure_ascii=False)), file=sys.stderr)

    def take_over_libraries(self) -> None:
        """Have what libraries log written as events too: a line that is no JSON would break whoever reads it."""
        # Python's logging takes longer to load than the rest of the command line: only who wants it waits.
        from newsletter.cli.libraries import listen

        self._leave_libraries = listen(self)

    def close(self) -> None:
        """Leave libraries to themselves again."""
        if self._leave_libraries is not None:
            self._leave_libraries()


def _discreet(value: Any) -> Any:
    """The same without addresses and secrets, however deep they are."""
    if isinstance(value, str):
        return masked(value[: 2 * _LONGEST])[:_LONGEST]
    if isinstance(value, list):
        return [_discreet(item) for item in value]
    if isinstance(value, dict):
        return {masked(name): _discreet(item) for name, item in value.items()}
    return value


def _visible(text: str) -> str:
    """JSON in which whatever could command a terminal, or change the order of what is read, is escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)

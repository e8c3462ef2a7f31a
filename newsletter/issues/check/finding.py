"""What a rule says of a message: how bad, what, where, why, and how to put it right."""

import re
from dataclasses import dataclass
from enum import IntEnum

#: As `reading.Letter.place` writes it.
_HTML_LINE = re.compile(r"HTML line (\d+)")


class Level(IntEnum):
    """How much a finding matters."""

    ok = 0
    warning = 1
    error = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a rule found in a message.

    `rule` is a short, stable name; `where` is a header, or a line of the HTML
    part with the entry it belongs to; "" where the whole message is meant.
    """

    level: Level
    rule: str
    what: str
    why: str
    fix: str
    where: str = ""

    @property
    def line(self) -> int | None:
        """The line of the HTML part that `where` names, from 1."""
        found = _HTML_LINE.match(self.where)
        return int(found[1]) if found else None


def error(rule: str, what: str, *, why: str, fix: str, where: str = "") -> Finding:
    """A finding that readers or their servers will stumble over."""
    return Finding(level=Level.error, rule=rule, what=what, why=why, fix=fix, where=where)


def warning(rule: str, what: str, *, why: str, fix: str, where: str = "") -> Finding:
    """A finding that some readers or filters will mind."""
    return Finding(level=Level.warning, rule=rule, what=what, why=why, fix=fix, where=where)


def note(rule: str, what: str, *, why: str, fix: str = "") -> Finding:
    """A fact worth knowing, about which nothing need be done."""
    return Finding(level=Level.ok, rule=rule, what=what, why=why, fix=fix)

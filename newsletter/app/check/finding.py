"""What `check` finds: one thing that was looked at, and what to do about it."""

from dataclasses import dataclass

from newsletter.issues.check import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do about it.

    `rule`, `where`, `why` and `line` (of the HTML part) are those of the letter's
    own findings; all others leave them empty.
    """

    level: Level
    what: str
    text: str
    hint: str | None = None
    rule: str = ""
    where: str = ""
    why: str = ""
    line: int | None = None

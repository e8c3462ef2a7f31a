"""Two renderings of an issue held side by side, so that a person sees where they differ."""

import re
from collections.abc import Iterator
from difflib import unified_diff
from typing import Final

from newsletter.issues.merge import field_of, token_pattern
from newsletter.model import Rendering

#: The parts of a rendering, in the order a person looks at them.
PARTS: Final = ("subject", "text", "markdown", "html")
_BETWEEN_TAGS = re.compile(r"(?<=>)\s*(?=<)|(?<=>)(?=[^<\s])|(?<=[^>\s])(?=<(?!/?(?:a|b|i|em|strong|span|br)\b))")
_LONGEST: Final = 500


def differing(then: Rendering, now: Rendering) -> tuple[str, ...]:
    """Which parts are not the same bytes, the places for what differs per subscriber included."""
    return tuple(part for part in (*PARTS, "fields") if getattr(then, part) != getattr(now, part))


def lines_of(part: str, text: str, token: str) -> list[str]:
    """A part as lines that can be compared: HTML has one for each element, and merge fields are named.

    Args:
        part: one of `PARTS`.
        text: as it is in a rendering.
        token: the issue's `Envelope.merge_token`.
    """
    named = token_pattern(token).sub(lambda found: f"{{{{ {field_of(found)} }}}}", text)
    if part != "html":
        return named.splitlines()
    lines = (line.strip() for line in _BETWEEN_TAGS.sub("\n", named).splitlines())
    return [line[:_LONGEST] + "…" if len(line) > _LONGEST else line for line in lines if line]


def diff(part: str, then: str, now: str, token: str, *, name: str) -> Iterator[str]:
    """The lines of a unified diff of one part; the same text gives none."""
    before, after = lines_of(part, then, token), lines_of(part, now, token)
    yield from unified_diff(before, after, f"frozen/{name}", f"now/{name}", lineterm="", n=2)

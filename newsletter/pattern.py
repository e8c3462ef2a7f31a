"""Regular expressions of the project, run on text that strangers wrote: the syntax of `re`, with a limit on time.

One text can bring `re` to a standstill: to find out that `(a+)+$` does not match
forty letters and a sign takes it hours.  So these run on `regex`, in its version 0,
which understands ordinary patterns as `re` does and gives up when told to.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> "regex.Pattern[str]":
    """Compile a pattern that ignores case.

    Raises:
        ValueError: it is no regular expression; the message says why.
    """
    import regex

    try:
        return regex.compile(pattern, regex.IGNORECASE | regex.VERSION0)
    except (regex.error, ValueError, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"is not a regular expression: {error}") from error


def search(pattern: str, text: str, *, seconds: float) -> tuple[int, int] | None:
    """Find the first place in a text that a pattern matches, as positions of its begin and end.

    Raises:
        ValueError: the pattern is no regular expression.
        TimeoutError: it could not be decided in that many seconds of work.
    """
    found = compile_pattern(pattern).search(text, timeout=seconds)
    return found.span() if found else None

"""What a log may say: no token, and nobody's address."""

import re
from typing import Final

from newsletter.text import one_line

_LONGEST_SHOWN: Final = 12
_LONGEST_LINE: Final = 300
_MAILBOX = re.compile(r"[^\s<>()\"',;:]+@[^\s<>()\"',;:]+")


def without_addresses(text: str) -> str:
    """A message for the log, on one line."""
    return _MAILBOX.sub("…@…", one_line(text, _LONGEST_LINE))


def masked_path(path: str) -> str:
    """A path for the log: tokens, and whatever might be one, are left out."""
    parts = path.split("/")
    shown = [part if len(part) <= _LONGEST_SHOWN and part.isascii() and part.isprintable() else "…" for part in parts]
    for place, part in enumerate(shown[:-1]):
        if part in ("u", "p", "c"):
            # After the letter come the digest, if any, and the token.
            last = place + (1 if part == "c" else 2)
            shown[last:] = ["…"] if len(shown) > last else []
            break
    return one_line("/".join(shown), 100)

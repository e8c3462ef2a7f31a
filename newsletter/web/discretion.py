"""What a log may say: no token, and nobody's address."""

import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from newsletter.text import masked, one_line

_LONGEST_SHOWN: Final = 12
_LONGEST_LINE: Final = 300
#: What a proxy may call a request; ours are 32 characters long.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)


class Told(Protocol):
    """Somebody who is told what happens: in one line, and by the facts in it."""

    def __call__(self, text: str, /, *, event: str = ..., **facts: Any) -> None:
        """Take it down; nothing in it is secret or personal."""


def request_id(said: str, otherwise: Callable[[], str]) -> str:
    """What a log calls a request: as the proxy in front calls it, if that is a name, else a new one."""
    return said if _REQUEST_ID.fullmatch(said) else otherwise()


def without_addresses(text: str) -> str:
    """A message for the log, on one line."""
    return masked(one_line(text, _LONGEST_LINE))


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

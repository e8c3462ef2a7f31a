"""What another tool leaves us."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from newsletter.errors import UsageError
from newsletter.feeds.opml import Remark, Subscription

#: No file of another tool is larger.
MAX_BYTES: Final = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """Feeds, and by their address what was sent of each: guids, links or sums, as the tool wrote them.

    `sent_anywhere` is what a tool remembers without its feed.  `rule` says in a
    sentence by what the tool knew an entry; `remarks` what could not be brought.
    """

    tool: str
    rule: str
    feeds: tuple[Subscription, ...]
    sent: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    sent_anywhere: frozenset[str] = frozenset()
    remarks: tuple[Remark, ...] = ()


def read(path: Path) -> bytes:
    """The bytes of a file of another tool.

    Raises:
        UsageError: it cannot be read, or is larger than any such file.
    """
    try:
        with path.open("rb") as stream:
            body = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} cannot be read: {reason}") from error
    if len(body) > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES:,} bytes")
    return body


def inside(path: Path, *names: str) -> Path:
    """The file that is meant: the path itself, or the first of these names in the folder that it is.

    Raises:
        UsageError: there is none.
    """
    if not path.is_dir():
        return path
    for name in names:
        if (path / name).is_file():
            return path / name
    raise UsageError(f"{path} has no {' and no '.join(names)}", hint="name the file itself")

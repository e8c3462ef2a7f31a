"""A file of the archive: its name, what it is made of, and how."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from newsletter.model import Issue

#: Names that may stand in the archive: relative, without a way out of it.
_NAME: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file.

    `made` stands for everything it is made of: while that stays, so do its
    bytes, and they need not be made again.  "" where it cannot be known
    before.  `of` are the issues that it is of (`issue_name`), each with how many
    entries of it are in it.  `is_last` are files
    that others must be there for, such as a list of them.
    """

    name: str
    make: Callable[[], bytes]
    made: str = ""
    of: Mapping[str, int] = field(default_factory=dict[str, int])
    is_last: bool = False

    def __post_init__(self) -> None:
        assert is_name(self.name), self.name


def is_name(name: str) -> bool:
    """Whether this names a file inside the archive."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def issue_name(issue: Issue) -> str:
    """An issue for the manifest: `daily/12`."""
    return f"{issue.digest}/{issue.number}"


def made_of(*parts: object) -> str:
    """One word for many values; other values give another one."""
    return sha256("\0".join(map(repr, parts)).encode("utf-8", "surrogatepass")).hexdigest()[:32]

"""What a YAML file is read into: values with their lines, not yet interpreted.

Named tuples, not dataclasses: a large list makes a million of them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Union

from newsletter.errors import Problem

_NO_LINES: Mapping[str, int] = MappingProxyType({})


class Scalar(NamedTuple):
    """A single value, as written; a `quoted` one, or a block of text, is always text."""

    line: int
    value: str
    quoted: bool


class ListNode(NamedTuple):
    """A list, in either style."""

    line: int
    items: tuple["Node", ...]


class MapNode(NamedTuple):
    """A mapping; `own_lines` has the lines of those keys that stand on another than their value."""

    line: int
    pairs: dict[str, "Node"]
    own_lines: Mapping[str, int] = _NO_LINES

    def key_line(self, key: str) -> int:
        """Where a key stands."""
        return self.own_lines.get(key) or self.pairs[key].line


class Broken(NamedTuple):
    """Something refused already: it has a problem of its own, and needs no second one."""

    line: int


Node = Union[Scalar, ListNode, MapNode, Broken]  # noqa: UP007  the names above stand in quotes


class Tree(NamedTuple):
    """A whole document, and what is wrong with it short of being unreadable.

    `root` is None where the file has nothing but blank lines and comments.
    """

    root: Node | None
    problems: tuple[Problem, ...]

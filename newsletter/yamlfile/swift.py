"""The proof of an edit, and the places for it, by the quick way through the lists that people really write.

What `usual` recognises depends on an entry's own lines only, and means what the
parser says.  Where a whole file is of that form, old and new are compared entry
by entry at a fifth of the parser's cost; anything else is left to the parser.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from newsletter.yamlfile.lines import is_comment
from newsletter.yamlfile.nodes import ListNode, MapNode, Node, Scalar
from newsletter.yamlfile.read import usual_nodes
from newsletter.yamlfile.values import not_text
from newsletter.yamlfile.write import Data

_END: Final = object()


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the lines of a text begin, and in which lines entries do."""

    text: str
    starts: "array[int]"
    entries: "array[int]"

    def extent(self, index: int) -> tuple[int, int]:
        """Where an entry begins, with its dash, and where the last line ends that says something of it."""
        first = self.entries[index]
        after = self.entries[index + 1] if index + 1 < len(self.entries) else len(self.starts)
        while after > first + 1 and self._is_idle(after - 1):
            after -= 1
        return self.starts[first], self._end(after - 1)

    def _end(self, line: int) -> int:
        return self.starts[line + 1] if line + 1 < len(self.starts) else len(self.text)

    def _is_idle(self, line: int) -> bool:
        text = self.text[self.starts[line] : self._end(line)]
        return not text.strip() or is_comment(text, lambda _: True)


def lines_of(text: str) -> Lines | None:
    """The lines of a list that is of the usual form throughout, with at least one entry; None if it is another."""
    entries = array("q")
    for node in usual_nodes(text):
        if node is None:
            return None
        entries.append(node.line - 1)
    if not entries:
        return None
    starts, place = array("q"), 0
    while place < len(text):
        starts.append(place)
        place = text.find("\n", place) + 1 or len(text)
    return Lines(text, starts, entries)


def says(old: str, new: str, changed: Mapping[int, Node], added: Iterable[Data] = ()) -> bool | None:
    """Whether a new text says what the old one does, but for some entries, and some more.

    Args:
        old: the text before.
        new: the text after.
        changed: what entries say now, by their index.
        added: what stands behind the others.

    Returns:
        None where only a parser can tell.
    """
    more = iter(added)
    before, after = usual_nodes(old), usual_nodes(new)
    for index, (was, now) in enumerate(_both(before, after)):
        if was is None or now is None:
            return None
        if now is _END:
            return False
        if was is _END:
            item = next(more, _END)
            if item is _END or not _is(now, item):
                return False
        elif not same(now, changed.get(index, was)):
            return False
    return next(more, _END) is _END


def _both(before: Iterator[Node | None], after: Iterator[Node | None]) -> Iterator[tuple[object, object]]:
    return zip_longest(before, after, fillvalue=_END)


def same(one: object, other: object) -> bool:
    """Whether two nodes say the same, wherever they stand."""
    if one == other:
        return True
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return one[1:] == other[1:]
    if isinstance(one, ListNode) and isinstance(other, ListNode):
        return len(one.items) == len(other.items) and all(map(same, one.items, other.items))
    if isinstance(one, MapNode) and isinstance(other, MapNode):
        keys = list(one.pairs)
        return keys == list(other.pairs) and all(same(one.pairs[key], other.pairs[key]) for key in keys)
    return False


def _is(node: object, data: object) -> bool:
    """Whether a node says what was to be written."""
    if isinstance(data, str):
        is_text = isinstance(node, Scalar) and (node.quoted or not_text(node.value) is None)
        return is_text and isinstance(node, Scalar) and node.value == data
    if isinstance(data, Mapping):
        pairs = node.pairs if isinstance(node, MapNode) else None
        return pairs is not None and list(pairs) == list(data) and all(_is(pairs[key], data[key]) for key in data)
    if isinstance(data, Sequence) and isinstance(node, ListNode):
        return len(node.items) == len(data) and all(map(_is, node.items, data))
    return False

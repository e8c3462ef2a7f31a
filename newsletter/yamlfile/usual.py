"""The lists that people really write, read by their lines: some four times as fast as by a parser.

Recognises a list of which every entry is an address, or `key: value` lines with
simple values, each on a line of its own.  What is not of that form is given
back: one entry to be parsed by itself, or, where that is not sure to mean the
same, the whole file.  What is recognised means exactly what the parser says
(proved by comparison in the tests): every expression below allows less than
YAML does.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TypeVar

from newsletter.yamlfile.nodes import ListNode, MapNode, Node, Scalar
from newsletter.yamlfile.values import not_text

#: A word that means itself, in a line and between brackets.
_WORD = r"\w[\w.@+/-]*"
#: Words with single blanks; more signs may stand inside a word where no bracket is near.
_PLAIN = r"\w[\w.@+/%()&~'!$*;=-]*(?: [\w.@+/%()&~!$;=-][\w.@+/%()&~'!$*;=-]*)*"
_INSIDE = "[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff'\"\\\\]*"
_KEY = r"[A-Za-z_][A-Za-z0-9_-]{0,60}"
_ENTRY = re.compile(
    rf"(?P<dash>- |  )(?:(?P<key>{_KEY}): +)?"
    rf"(?:(?P<plain>{_PLAIN})|'(?P<single>{_INSIDE})'|\"(?P<double>{_INSIDE})\""
    rf"|\[(?P<list>{_WORD}(?:, ?{_WORD})*)\]|{{(?P<map>{_KEY}: {_WORD}(?: {_WORD})*(?:, ?{_KEY}: {_WORD}(?: {_WORD})*)*)}}) *\r?\n?"
)
_IDLE = re.compile(
    " *(?:#[\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*)?\r?\n?"
)
#: The end of a document, or a line of text that looks like it: by itself an entry would hide it.
_FRAME = re.compile("(?:^|[\r\n\x85\u2028\u2029])(?:---|\\.\\.\\.)")
#: A longer line is nothing that people write.
_LONGEST_LINE = 10_000
_COMMA = re.compile(", ?")

#: Parses one entry by itself: its text and the line it begins in; None if that is not safe.
Alone = Callable[[str, int], Node | None]

T = TypeVar("T")
#: Makes something of an entry without any node: its lines, with their breaks, and the line it begins in; None if not.
Quick = Callable[[list[str], int], T | None]


@lru_cache(maxsize=256)
def _is_key(word: str) -> bool:
    return not_text(word) is None


def usual_items(lines: Iterator[str], alone: Alone, quick: Quick[T] = lambda *_: None) -> Iterator[Node | T | None]:
    """Read a list from its lines.

    Args:
        lines: the lines of the file, with their breaks (CR LF or LF).
        alone: for an entry of another form.
        quick: asked first; what it makes of an entry takes the place of the node.

    Yields:
        The entries; None, and then nothing more, where only a parser can go on.
    """
    entry: list[str] = []
    begin = number = 0
    for number, line in enumerate(lines, 1):
        if line.startswith("- ") and len(line) <= _LONGEST_LINE:
            if entry:
                node = quick(entry, begin) or _entry(entry, begin, alone)
                yield node
                if node is None:
                    return
            entry, begin = [line], number
        elif entry and len(line) <= _LONGEST_LINE:
            entry.append(line)
        elif len(line) > _LONGEST_LINE or not _IDLE.fullmatch(line):
            yield None
            return
    if entry:
        yield quick(entry, begin) or _entry(entry, begin, alone)


def _entry(lines: list[str], begin: int, alone: Alone) -> Node | None:
    first = _ENTRY.fullmatch(lines[0])
    if first is not None and first["key"] is None and (first["plain"] or first["single"] or first["double"]):
        if all(map(_IDLE.fullmatch, lines[1:])):
            return _value(first, begin)
    elif first is not None and first["key"]:
        node = _mapping(first, lines, begin)
        if node is not None:
            return node
    text = "".join(lines)
    return None if _FRAME.search(text) else alone(text, begin)


def _mapping(found: re.Match[str] | None, lines: list[str], begin: int) -> Node | None:
    pairs: dict[str, Node] = {}
    number = begin
    while True:
        if found is not None:
            key = found["key"]
            if key is None or key in pairs or not _is_key(key):
                return None
            kind = found.lastgroup
            if kind == "plain":
                pairs[key] = Scalar(number, found["plain"], False)
            elif (value := _value(found, number)) is not None:
                pairs[key] = value
            else:
                return None
        elif not _IDLE.fullmatch(lines[number - begin]):
            return None
        number += 1
        if number - begin == len(lines):
            return MapNode(begin, pairs)
        found = _ENTRY.fullmatch(lines[number - begin])


def _value(found: re.Match[str], line: int) -> Node | None:
    kind = found.lastgroup
    if kind == "plain":
        return Scalar(line, found["plain"], False)
    if kind == "list":
        return ListNode(line, tuple([Scalar(line, word, False) for word in _COMMA.split(found["list"])]))
    if kind != "map":
        return Scalar(line, found[str(kind)], True)
    inner: dict[str, Node] = {}
    for pair in _COMMA.split(found["map"]):
        key, _, word = pair.partition(": ")
        if key in inner or not _is_key(key):
            return None
        inner[key] = Scalar(line, word, False)
    return MapNode(line, inner)

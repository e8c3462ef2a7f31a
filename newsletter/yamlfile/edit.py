"""Adding to and taking from a list in a YAML text, leaving every other character alone.

An edit is planned on the text with the marks of the parser's events, and then
proved: the events of the new text must be those of the old one with exactly the
meant difference.  Where the usual place does not prove right (a block of text
that keeps its blank lines, say), the next candidate is tried; where none does,
the edit is refused and a person is asked to make it.

A comment directly above an item, in the item's column, belongs to the item and
goes with it; so does one indented deeper, below.  The comment at the very top
of a file belongs to the file.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import yaml

from newsletter.yamlfile.lines import (
    COMMENT,
    ends,
    find_comma,
    insert,
    is_comment,
    line_above,
    line_end,
    line_start,
    newline_of,
    next_line,
)
from newsletter.yamlfile.locate import NOTHING, CannotEdit, Shape, Span, Target, locate, shapes, shapes_of
from newsletter.yamlfile.swift import lines_of, says
from newsletter.yamlfile.write import Data, block_item, flow, scalar


@dataclass(frozen=True, slots=True)
class Edit:
    """A new text, and the difference it must make: events `first` to `last` become `put`, which can be read again."""

    text: str
    first: int
    last: int
    put: Iterable[Shape]


@dataclass(frozen=True, slots=True)
class _Said:
    """What items will say once they are written, told anew each time: there may be a hundred thousand."""

    items: Iterable[Data]
    before: tuple[Shape, ...] = ()
    after: tuple[Shape, ...] = ()

    def __iter__(self) -> Iterator[Shape]:
        return chain(self.before, chain.from_iterable(map(shapes_of, self.items)), self.after)


def append(text: str, item: Data, at: Sequence[str] = ()) -> str:
    """Add an item at the end of the list under the key path `at`; () is the whole document.

    A missing key or an empty document is begun.

    Raises:
        CannotEdit: in words.
    """
    return extend(text, (item,), at)


def extend(text: str, items: Iterable[Data], at: Sequence[str] = ()) -> str:
    """Add items at the end of the list under the key path `at`; () is the whole document.

    Args:
        text: the file.
        items: at least one; they are asked for more than once.
        at: a key path.

    Raises:
        CannotEdit: in words.
    """
    if not at and (found := lines_of(text)) is not None:
        # A list of the usual form: its end is where its last entry's lines end.
        _, end = found.extent(len(found.entries) - 1)
        for place in ends(text, end, 0):
            new = _inserted(text, place, _block(items, 0))
            if says(text, new, {}, items):
                return new
    target = locate(text, at)
    return prove(text, _appended(text, target, items, at[-1] if at else ""))


def remove(text: str, index: int, at: Sequence[str] = ()) -> str:
    """Take the item with this index (from 0) out of the list under the key path `at`.

    Raises:
        CannotEdit: in words.
        IndexError: the list has no such item.
    """
    target = locate(text, at)
    span = target.items[index]
    if target.kind == "flow":
        return prove(text, [_removed_flow(text, target, index)])
    puts: list[tuple[int, int, tuple[Shape, ...]]] = [(span.first, span.last, ())]
    if len(target.items) == 1:  # the key stays, without a value; a document becomes empty
        whole = (target.span.first, target.span.last)
        puts = [(*whole, (NOTHING,)), (*whole, ())]
    begin, end = _item_lines(text, target, index, whole_file=not at)
    cut = text[:begin] + text[end:]
    return prove(text, (Edit(cut, *put) for put in puts))


def prove(text: str, candidates: Iterable[Edit]) -> str:
    """The first candidate that says what is meant and nothing else.

    Raises:
        CannotEdit: there is none.
    """
    for edit in candidates:
        old = shapes(text)
        meant = chain(islice(old, edit.first), edit.put, islice(old, edit.last - edit.first, None))
        try:
            if all(a == b for a, b in zip_longest(shapes(edit.text), meant)):
                return edit.text
        except yaml.YAMLError:
            continue
    raise CannotEdit("its layout is unusual")


# ----------------------------------------------------------------------- appending


def _appended(text: str, target: Target, items: Iterable[Data], key: str) -> Iterator[Edit]:
    said, span = _Said(items), target.span
    whole = _Said(items, (("[", "", ""),), (("]",),))
    if target.kind in ("block", "flow") and target.items:
        put = (span.last - 1, span.last - 1, said)
        if target.kind == "flow":
            yield Edit(_flow_appended(text, target, items), *put)
            return
        for place in ends(text, target.items[-1].end, target.column):
            yield Edit(_inserted(text, place, _block(items, target.column)), *put)
        return
    named = (("=", key, "text"), ("[", "", ""))
    if target.kind == "nothing":
        lines = chain([f"{scalar(key)}:"], _block(items, 2)) if key else _block(items, 0)
        # A blank line, so that a comment for all does not become the comment of one.
        gap = [""] if is_comment(line_above(text, len(text)), lambda _: True) else []
        shapes_ = _Said(items, (("{", "", ""), *named), (("]",), ("}",))) if key else whole
        yield Edit(_inserted(text, len(text), chain(gap, lines)), 0, 0, shapes_)
    elif target.kind == "absent":
        new = (span.last - 1, span.last - 1, _Said(items, named, (("]",),)))
        if target.inside_flow:
            yield Edit(before_bracket(text, span, f"{scalar(key)}: {_flow(items)}"), *new)
            return
        for place in ends(text, span.end, target.column):
            lines = chain([" " * target.column + f"{scalar(key)}:"], _block(items, target.column + 2))
            yield Edit(_inserted(text, place, lines), *new)
    else:
        full = (span.first, span.last, whole)
        if not target.inside_flow:
            yield Edit(_begun(text, target, items, is_root=not key), *full)
        if target.kind == "flow":
            yield Edit(before_bracket(text, span, ", ".join(map(flow, items))), *full)
        else:
            yield Edit(f"{text[: span.start]}{_flow(items)}{text[span.end :]}", *full)
            yield Edit(f"{text[: span.start]} {_flow(items)}{text[span.end :]}", *full)


def _block(items: Iterable[Data], indent: int) -> Iterator[str]:
    return chain.from_iterable(block_item(item, indent) for item in items)


def _flow(items: Iterable[Data]) -> str:
    return f"[{', '.join(map(flow, items))}]"


def _inserted(text: str, place: int, lines: Iterable[str]) -> str:
    line_break = newline_of(text)
    return insert(text, place, line_break.join(lines), line_break)


def _begun(text: str, target: Target, items: Iterable[Data], *, is_root: bool) -> str:
    """Replace an empty value (`[]`, `~` or nothing) by a list in block style, below its line."""
    start, end = target.span.start, target.span.end
    before = text[line_start(text, start) : start]
    rest = text[end : line_end(text, end)]
    if is_root and start < end and not before.strip() and not rest.strip():
        return text[:start] + newline_of(text).join(_block(items, target.column)) + text[end:]
    kept = text[:start].rstrip(" \t") + text[end:]
    place = start - (len(text[:start]) - len(text[:start].rstrip(" \t")))
    return _inserted(kept, next_line(kept, place), _block(items, target.column))


def _flow_appended(text: str, target: Target, items: Iterable[Data]) -> str:
    end = target.items[-1].end
    comma = find_comma(text, end, target.span.end - 1)
    start = target.items[-1].start
    margin = text[line_start(text, start) : start]
    after = end if comma is None else comma + 1
    rest = text[after : line_end(text, after)]
    if not margin.strip() and (not rest.strip() or COMMENT.match(rest)):  # an item a line
        line_break = newline_of(text)
        body = f",{line_break}".join(margin + flow(item) for item in items) + ("" if comma is None else ",")
        marked = text if comma is not None else f"{text[:end]},{text[end:]}"
        return insert(marked, next_line(marked, after), body, line_break)
    body = ", ".join(map(flow, items))
    if comma is not None:
        return f"{text[: comma + 1]} {body}{text[comma + 1 :]}"
    return f"{text[:end]}, {body}{text[end:]}"


def before_bracket(text: str, span: Span, words: str) -> str:
    """Put words behind an opening bracket that has nothing, or in front of a closing one."""
    inside = text[span.start + 1 : span.end - 1]
    if not inside.strip() or COMMENT.match(inside.lstrip()):
        return f"{text[: span.start + 1]}{words}{text[span.start + 1 :]}"
    kept = text[: span.end - 1].rstrip()
    joint = " " if kept.endswith(",") else ", "
    return f"{kept}{joint}{words}{text[span.end - 1 :]}"


# ------------------------------------------------------------------------ removing


def _item_lines(text: str, target: Target, index: int, *, whole_file: bool) -> tuple[int, int]:
    """Where the lines of an item of a block list begin and end, its comments included."""
    span, column = target.items[index], target.column
    begin = _dash_line(text, span.start, column)
    floor = target.items[index - 1].end if index else 0
    above = begin
    while above > floor and is_comment(line := line_above(text, above), lambda indent: indent == column):
        above -= len(line)
    if above > 0 or index or not whole_file:
        begin = above
    return begin, next(iter(ends(text, span.end, column)))


def _dash_line(text: str, start: int, column: int) -> int:
    """Where the line begins that has the dash of the item whose content starts at `start`."""
    line = line_start(text, start)
    while True:
        content = text[line : line_end(text, line)]
        if content[:column].strip():
            raise CannotEdit("the item shares its line with another one")
        if content[column : column + 1] == "-":
            return line
        if line == 0:
            raise CannotEdit("its layout is unusual")
        line -= len(line_above(text, line))


def _removed_flow(text: str, target: Target, index: int) -> Edit:
    span = target.items[index]
    put = (span.first, span.last, ())
    comma = find_comma(text, span.end, target.span.end - 1)
    after = span.end if comma is None else comma + 1
    line = line_start(text, span.start)
    rest = text[after : line_end(text, after)]
    column = span.start - line
    if not text[line : span.start].strip() and (not rest.strip() or COMMENT.match(rest)):
        floor = target.items[index - 1].end if index else target.span.start
        while line > floor and is_comment(above := line_above(text, line), lambda indent: indent == column):
            line -= len(above)
        return Edit(text[:line] + text[next_line(text, after) :], *put)
    if comma is not None:
        end = after + len(rest) - len(rest.lstrip(" \t"))
        return Edit(text[: span.start] + text[end:], *put)
    begin = span.start
    if index:
        before = find_comma(text, target.items[index - 1].end, span.start)
        begin = span.start if before is None else before
    return Edit(text[:begin] + text[span.end :], *put)

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

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

import yaml

from newsletter.yamlfile.locate import NOTHING, CannotEdit, Shape, Span, Target, locate, shapes, shapes_of
from newsletter.yamlfile.write import Data, block_item, flow, scalar

_BREAK = re.compile(r"\r\n|\r|\n")
_COMMENT = re.compile(r"([ \t]*)#")


@dataclass(frozen=True, slots=True)
class _Edit:
    """A new text, and the difference it must make: events `first` to `last` become `put`."""

    text: str
    first: int
    last: int
    put: tuple[Shape, ...]


def append(text: str, item: Data, at: Sequence[str] = ()) -> str:
    """Add an item at the end of the list under the key path `at`; () is the whole document.

    A missing key or an empty document is begun.

    Raises:
        CannotEdit: in words.
    """
    target = locate(text, at)
    return _prove(text, _appended(text, target, item, at[-1] if at else ""))


def remove(text: str, index: int, at: Sequence[str] = ()) -> str:
    """Take the item with this index (from 0) out of the list under the key path `at`.

    Raises:
        CannotEdit: in words.
        IndexError: the list has no such item.
    """
    target = locate(text, at)
    span = target.items[index]
    if target.kind == "flow":
        return _prove(text, [_removed_flow(text, target, index)])
    puts: list[tuple[int, int, tuple[Shape, ...]]] = [(span.first, span.last, ())]
    if len(target.items) == 1:  # the key stays, without a value; a document becomes empty
        whole = (target.span.first, target.span.last)
        puts = [(*whole, (NOTHING,)), (*whole, ())]
    begin, end = _item_lines(text, target, index, whole_file=not at)
    cut = text[:begin] + text[end:]
    return _prove(text, (_Edit(cut, *put) for put in puts))


def _prove(text: str, candidates: Iterable[_Edit]) -> str:
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


def _appended(text: str, target: Target, item: Data, key: str) -> Iterator[_Edit]:
    shape, span = tuple(shapes_of(item)), target.span
    whole = (("[", "", ""), *shape, ("]",))
    if target.kind in ("block", "flow") and target.items:
        put = (span.last - 1, span.last - 1, shape)
        if target.kind == "flow":
            yield _Edit(_flow_appended(text, target, item), *put)
            return
        for place in _ends(text, target.items[-1].end, target.column):
            yield _Edit(_insert(text, place, block_item(item, target.column)), *put)
        return
    if target.kind == "nothing":
        lines = [f"{scalar(key)}:", *block_item(item, 2)] if key else block_item(item, 0)
        # A blank line, so that a comment for all does not become the comment of one.
        gap = [""] if _is_comment(_line_above(text, len(text)), lambda _: True) else []
        shapes_ = (("{", "", ""), ("=", key, "text"), *whole, ("}",)) if key else whole
        yield _Edit(_insert(text, len(text), [*gap, *lines]), 0, 0, shapes_)
    elif target.kind == "absent":
        put = (span.last - 1, span.last - 1, (("=", key, "text"), *whole))
        if target.inside_flow:
            yield _Edit(_before_bracket(text, span, f"{scalar(key)}: {flow([item])}"), *put)
            return
        lines = [" " * target.column + f"{scalar(key)}:", *block_item(item, target.column + 2)]
        for place in _ends(text, span.end, target.column):
            yield _Edit(_insert(text, place, lines), *put)
    else:
        put = (span.first, span.last, whole)
        if not target.inside_flow:
            yield _Edit(_begun(text, target, item, is_root=not key), *put)
        if target.kind == "flow":
            yield _Edit(_before_bracket(text, span, flow(item)), *put)
        else:
            yield _Edit(f"{text[: span.start]}{flow([item])}{text[span.end :]}", *put)
            yield _Edit(f"{text[: span.start]} {flow([item])}{text[span.end :]}", *put)


def _begun(text: str, target: Target, item: Data, *, is_root: bool) -> str:
    """Replace an empty value (`[]`, `~` or nothing) by a list in block style, below its line."""
    start, end = target.span.start, target.span.end
    lines = block_item(item, target.column)
    before = text[_line_start(text, start) : start]
    rest = text[end : _line_end(text, end)]
    if is_root and start < end and not before.strip() and not rest.strip():
        return text[:start] + _newline(text).join(lines) + text[end:]
    kept = text[:start].rstrip(" \t") + text[end:]
    place = start - (len(text[:start]) - len(text[:start].rstrip(" \t")))
    return _insert(kept, _next_line(kept, place), lines)


def _flow_appended(text: str, target: Target, item: Data) -> str:
    end = target.items[-1].end
    comma = _comma(text, end, target.span.end - 1)
    start = target.items[-1].start
    margin = text[_line_start(text, start) : start]
    after = end if comma is None else comma + 1
    rest = text[after : _line_end(text, after)]
    if not margin.strip() and (not rest.strip() or _COMMENT.match(rest)):  # an item a line
        line = margin + flow(item) + ("" if comma is None else ",")
        marked = text if comma is not None else f"{text[:end]},{text[end:]}"
        return _insert(marked, _next_line(marked, after), [line])
    if comma is not None:
        return f"{text[: comma + 1]} {flow(item)}{text[comma + 1 :]}"
    return f"{text[:end]}, {flow(item)}{text[end:]}"


def _before_bracket(text: str, span: Span, words: str) -> str:
    """Put words behind an opening bracket that has nothing, or in front of a closing one."""
    inside = text[span.start + 1 : span.end - 1]
    if not inside.strip() or _COMMENT.match(inside.lstrip()):
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
    while above > floor and _is_comment(line := _line_above(text, above), lambda indent: indent == column):
        above -= len(line)
    if above > 0 or index or not whole_file:
        begin = above
    return begin, next(iter(_ends(text, span.end, column)))


def _dash_line(text: str, start: int, column: int) -> int:
    """Where the line begins that has the dash of the item whose content starts at `start`."""
    line = _line_start(text, start)
    while True:
        content = text[line : _line_end(text, line)]
        if content[:column].strip():
            raise CannotEdit("the item shares its line with another one")
        if content[column : column + 1] == "-":
            return line
        if line == 0:
            raise CannotEdit("its layout is unusual")
        line -= len(_line_above(text, line))


def _removed_flow(text: str, target: Target, index: int) -> _Edit:
    span = target.items[index]
    put = (span.first, span.last, ())
    comma = _comma(text, span.end, target.span.end - 1)
    after = span.end if comma is None else comma + 1
    line, line_end = _line_start(text, span.start), _line_end(text, after)
    rest = text[after:line_end]
    column = span.start - line
    if not text[line : span.start].strip() and (not rest.strip() or _COMMENT.match(rest)):
        floor = target.items[index - 1].end if index else target.span.start
        while line > floor and _is_comment(above := _line_above(text, line), lambda indent: indent == column):
            line -= len(above)
        return _Edit(text[:line] + text[_next_line(text, after) :], *put)
    if comma is not None:
        end = after + len(rest) - len(rest.lstrip(" \t"))
        return _Edit(text[: span.start] + text[end:], *put)
    begin = span.start
    if index:
        before = _comma(text, target.items[index - 1].end, span.start)
        begin = span.start if before is None else before
    return _Edit(text[:begin] + text[span.end :], *put)


# ------------------------------------------------------------------- lines of a text


def _line_start(text: str, place: int) -> int:
    return max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1


def _line_end(text: str, place: int) -> int:
    """Where the line ends, its break not included."""
    found = _BREAK.search(text, place)
    return found.start() if found else len(text)


def _next_line(text: str, place: int) -> int:
    found = _BREAK.search(text, place)
    return found.end() if found else len(text)


def _line_above(text: str, line: int) -> str:
    """The line before the one that begins at `line`, with its break."""
    end = line
    if end and text[end - 1] in "\r\n":
        end -= 2 if text[end - 2 : end] == "\r\n" else 1
    return text[_line_start(text, end) : line]


def _is_comment(line: str, fits: Callable[[int], bool]) -> bool:
    found = _COMMENT.match(line)
    return found is not None and fits(len(found[1]))


def _ends(text: str, end: int, column: int) -> Iterator[int]:
    """Where the line after a node begins: behind its last letter and deeper comments, then where its mark says."""
    last = end
    while last > 0 and text[last - 1] in " \t\r\n":
        last -= 1
    place = _next_line(text, last)
    while place < len(text):
        following = text[place : _next_line(text, place)]
        if not _is_comment(following, lambda indent: indent > column):
            break
        place += len(following)
    yield place
    if last < end and text[end - 1] in "\r\n" and end != place:
        yield end


def _newline(text: str) -> str:
    found = _BREAK.search(text)
    return found[0] if found else "\n"


def _insert(text: str, place: int, lines: list[str]) -> str:
    """Put whole lines at the beginning of a line; a file that ends without a break stays so."""
    newline = _newline(text)
    body = newline.join(lines)
    if place and text[place - 1] not in "\r\n":  # the last line has no break
        return f"{text[:place]}{newline}{body}{text[place:]}"
    return f"{text[:place]}{body}{newline}{text[place:]}"


def _comma(text: str, start: int, end: int) -> int | None:
    """Where the comma stands between two nodes of a list in brackets."""
    place = start
    while place < end:
        if text[place] == ",":
            return place
        place = _line_end(text, place) if text[place] == "#" else place + 1
    return None

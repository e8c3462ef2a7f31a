"""Changing many entries of a list at once, each within its own text, and proving the whole once.

An entry is lifted out as a small document, changed there (`pairs`) and put
back; no character outside the changed entries is touched.  Then the new file is
read beside the old one: every other entry says what it said, and those that
were changed say what their small documents do.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import yaml
from yaml.events import MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from newsletter.yamlfile.edit import Edit, prove
from newsletter.yamlfile.lines import ends, insert, line_start, newline_of
from newsletter.yamlfile.locate import CannotEdit, Shape, Span, Walk, shapes, shapes_of
from newsletter.yamlfile.pairs import keys_at, set_value, unset
from newsletter.yamlfile.read import parse_tree
from newsletter.yamlfile.swift import lines_of, says
from newsletter.yamlfile.write import Data, flow, scalar, scalar_like

#: What to do with an entry: new values by key path, None to take the key out.
Change = Mapping[tuple[str, ...], Data | None]


def change_entries(text: str, changes: Mapping[int, Change], *, short: str) -> str:
    """Change entries of the list that a document is.

    Args:
        text: the file.
        changes: by the index of the entry, from 0.
        short: the key for which an entry may stand that is a single value.  It
            becomes a mapping only where another key is set.

    Raises:
        CannotEdit: in words.
        IndexError: the list has no such entry.
    """
    parts: list[tuple[int, int, str]] = []
    expected: dict[int, str] = {}
    for index, begin, end, margin in _extents(text, changes):
        # Its own lines, at the column they stand in.
        alone = " " * margin + text[begin:end]
        changed = _changed(alone, changes[index], short, is_flow=not margin, newline=newline_of(text))
        if changed == alone:
            continue
        if not changed.startswith(" " * margin):
            raise CannotEdit("its layout is unusual")
        parts.append((begin, end, changed[margin:]))
        expected[index] = changed
    if not parts:
        return text
    pieces, last = [], 0
    for begin, end, piece in parts:
        pieces += [text[last:begin], piece]
        last = end
    new = "".join([*pieces, text[last:]])
    nodes = {index: root for index, alone in expected.items() if (root := parse_tree(alone, "").root) is not None}
    if not says(text, new, nodes):
        _prove_all(text, new, {index: tuple(shapes(alone)) for index, alone in expected.items()})
    return new


def _extents(text: str, wanted: Mapping[int, object]) -> Iterator[tuple[int, int, int, int]]:
    """The wanted entries in their order: index, where their text begins and ends, and at which column it stands.

    A text that a bracket closes stands at column 0.
    """
    found = lines_of(text)
    if found is None:
        for index, event, span, column in _entries(text, wanted):
            yield index, *_extent(text, event, span, column)
        return
    if wanted and max(wanted) >= len(found.entries):
        raise IndexError(max(wanted))
    for index in sorted(wanted):
        begin, end = found.extent(index)
        yield index, *_inner(text, begin, end)


def _inner(text: str, begin: int, end: int) -> tuple[int, int, int]:
    """The text behind the dash of an entry, whose lines begin and end there."""
    walk = Walk(text[begin:end])
    walk.next()
    event = walk.next()
    span = walk.span(event)
    start, stop, margin = _extent(text[begin:end], event, span, 0)
    if margin:
        return begin + start, next(iter(ends(text, begin + span.end, 0))), margin
    return begin + start, begin + stop, margin


def _entries(text: str, wanted: Mapping[int, object]) -> Iterator[tuple[int, Any, Span, int | None]]:
    """The wanted entries in their order: index, first event, place, and the column of the dash (None: in brackets)."""
    walk = Walk(text)
    event = walk.next()
    if type(event) is not SequenceStartEvent:
        raise CannotEdit("it is not a list")
    opening: Any = event
    column = None if opening.flow_style else int(opening.start_mark.column)
    index, left = 0, len(wanted)
    while left and type(event := walk.next()) is not SequenceEndEvent:
        first = event
        span = walk.span(event)
        if index in wanted:
            yield index, first, span, column
            left -= 1
        index += 1
    if left:
        raise IndexError(max(wanted))


def _extent(text: str, event: Any, span: Span, column: int | None) -> tuple[int, int, int]:
    """Where the text of an entry begins and ends, and at which column it stands; 0 where a bracket closes it."""
    is_block = type(event) is MappingStartEvent and not event.flow_style
    if column is None or not (is_block or type(event) is ScalarEvent):
        return span.start, span.end, 0
    margin = span.start - line_start(text, span.start)
    return span.start, next(iter(ends(text, span.end, column))), margin


def _changed(alone: str, change: Change, short: str, *, is_flow: bool, newline: str) -> str:
    sets = {path: value for path, value in change.items() if value is not None}
    if keys_at(alone) is None:
        if not sets:
            return alone
        alone = _long_form(alone, sets, short, is_flow=is_flow, newline=newline)
        if keys_at(alone) is None:
            return alone
        sets = {}
    has_breaks = "\n" in alone or "\r" in alone
    for path, value in sets.items():
        alone = _set(alone, path, value)
    if not has_breaks:
        # An entry of one line does not say how lines end here.
        alone = alone.replace("\n", newline)
    for path in [path for path, value in change.items() if value is None]:
        alone = _unset(alone, path)
    return alone


def _long_form(alone: str, sets: Mapping[tuple[str, ...], Data], short: str, *, is_flow: bool, newline: str) -> str:
    """An entry that is a single value with another value, or as a mapping where it must be one."""
    walk = Walk(alone)
    event = walk.next()
    if type(event) is not ScalarEvent:
        raise CannotEdit("the entry is neither a value nor a mapping")
    span = walk.span(event)
    written, said = alone[span.start : span.end], event.value
    new = sets.get((short,))
    if isinstance(new, str):
        written, said = scalar_like(written, new), new
    if sets.keys() == {(short,)}:
        text = f"{alone[: span.start]}{written}{alone[span.end :]}"
        return prove(alone, [Edit(text, 0, 1, (("=", said, "text"),))])
    rest: dict[str, Data] = {}
    for (key, *inner), value in sets.items():
        if inner:
            before = rest.get(key)
            rest[key] = {**before, inner[0]: value} if isinstance(before, Mapping) else {inner[0]: value}
        elif key != short:
            rest[key] = value
    put = (("{", "", ""), ("=", short, "text"), ("=", said, "text"))
    more = [(f"{scalar(key)}: {flow(value)}", (("=", key, "text"), *shapes_of(value))) for key, value in rest.items()]
    shape = (*put, *(one for _, shapes_ in more for one in shapes_), ("}",))
    if is_flow:
        words = ", ".join([f"{scalar(short)}: {written}", *(line for line, _ in more)])
        return prove(alone, [Edit(f"{alone[: span.start]}{{{words}}}{alone[span.end :]}", 0, 1, shape)])
    margin = " " * (span.start - line_start(alone, span.start))
    first = f"{alone[: span.start]}{scalar(short)}: {written}{alone[span.end :]}"
    place = next(iter(ends(first, span.start + len(scalar(short)) + 2 + len(written), len(margin))))
    body = newline.join(margin + line for line, _ in more)
    return prove(alone, [Edit(insert(first, place, body, newline), 0, 1, shape)])


def _set(alone: str, path: tuple[str, ...], value: Data) -> str:
    if len(path) > 1 and keys_at(alone, path[:-1]) is None:
        # The mapping is begun, or stands for one that is empty.
        return set_value(alone, path[:-1], {path[-1]: value})
    return set_value(alone, path, value)


def _unset(alone: str, path: tuple[str, ...]) -> str:
    if len(path) > 1:
        inside = keys_at(alone, path[:-1])
        if inside is None:
            return alone
        if inside == path[-1:]:
            path = path[:-1]
    return unset(alone, path)


# -------------------------------------------------------------------------- proving


def _prove_all(old: str, new: str, expected: Mapping[int, tuple[Shape, ...]]) -> None:
    try:
        pairs: Iterator[tuple[Sequence[Shape] | None, Sequence[Shape] | None]] = zip_longest(_items(old), _items(new))
        for index, (before, after) in enumerate(pairs):
            if after is None or tuple(after) != tuple(expected.get(index, before or ())):
                raise CannotEdit("its layout is unusual")
    except yaml.YAMLError as error:
        raise CannotEdit("its layout is unusual") from error


def _items(text: str) -> Iterator[list[Shape]]:
    """What each entry of a list says."""
    said = shapes(text)
    next(said)  # the list begins
    depth, item = 0, list[Shape]()
    for shape in said:
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(shape[0], 0)
        if depth < 0:
            return
        item.append(shape)
        if not depth:
            yield item
            item = []

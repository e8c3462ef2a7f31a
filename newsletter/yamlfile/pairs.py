"""The keys of a mapping, set and taken out, leaving every other character alone.

The text is a small document, the entry of one person say; every step is proved
as in `edit`.  A value is written in the style of the one it replaces, quotation
marks included; a new key goes below the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yaml.events import MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceStartEvent

from newsletter.yamlfile.edit import Edit, append, before_bracket, prove, remove
from newsletter.yamlfile.lines import ends, find_comma, insert, line_end, line_start, newline_of
from newsletter.yamlfile.locate import CannotEdit, Span, Walk, shapes_of
from newsletter.yamlfile.write import Data, flow, scalar, scalar_like


@dataclass(frozen=True, slots=True)
class _Pair:
    key: Span
    value: Span
    kind: type
    is_flow: bool
    said: tuple[str, ...] | None  # the items, where it is a list of plain values


@dataclass(frozen=True, slots=True)
class _Map:
    span: Span
    column: int
    is_flow: bool
    pairs: dict[str, _Pair]


def set_value(text: str, at: Sequence[str], value: Data) -> str:
    """Give the key at the end of the path `at` a value; the mapping it stands in must be there.

    A list keeps the items that stay, with their comments, and gets the new ones
    at its end.

    Raises:
        CannotEdit: in words.
    """
    found = _mapping(text, at[:-1])
    pair = found.pairs.get(at[-1])
    if pair is None:
        return prove(text, _added(text, found, at[-1], value))
    if isinstance(value, Sequence) and not isinstance(value, str) and pair.said is not None:
        try:
            return _list_changed(text, at, pair.said, value)
        except CannotEdit:
            pass
    return prove(text, _replaced(text, pair, value))


def unset(text: str, at: Sequence[str]) -> str:
    """Take the key at the end of the path `at` out; where it is missing nothing happens.

    Raises:
        CannotEdit: in words.
    """
    found = _mapping(text, at[:-1])
    pair = found.pairs.get(at[-1])
    return text if pair is None else prove(text, _without(text, found, at[-1], pair))


def keys_at(text: str, at: Sequence[str] = ()) -> tuple[str, ...] | None:
    """The keys of the mapping at a path; None where there is none."""
    try:
        return tuple(_mapping(text, at).pairs)
    except CannotEdit:
        return None


# ------------------------------------------------------------------------- finding


def _mapping(text: str, at: Sequence[str]) -> _Map:
    walk = Walk(text)
    event = walk.next()
    for key in at:
        found = _descend(walk, event, key)
        if found is None:
            raise CannotEdit(f"it has no {key}")
        event = found
    if type(event) is not MappingStartEvent:
        raise CannotEdit("it is not a mapping")
    return _read(walk, event)


def _descend(walk: Walk, event: Any, wanted: str) -> Any | None:
    if type(event) is not MappingStartEvent:
        return None
    while type(event := walk.next()) is not MappingEndEvent:
        is_wanted = type(event) is ScalarEvent and event.value == wanted
        walk.span(event)
        value = walk.next()
        if is_wanted:
            return value
        walk.span(value)
    return None


def _read(walk: Walk, mapping: Any) -> _Map:
    first, start, is_flow = walk.count - 1, mapping.start_mark.index, bool(mapping.flow_style)
    pairs: dict[str, _Pair] = {}
    last_end = start
    event: Any
    while type(event := walk.next()) is not MappingEndEvent:
        name = event.value if type(event) is ScalarEvent else None
        key = walk.span(event)
        value = walk.next()
        said: list[str] = []
        span = walk.span(value, scalars=said)
        last_end = span.end
        kind, style = type(value), bool(getattr(value, "flow_style", True))
        is_plain_list = kind is SequenceStartEvent and span.last - span.first == len(said) + 2
        if name is not None:
            pairs[name] = _Pair(key, span, kind, style, tuple(said) if is_plain_list else None)
    closing: Any = event
    end = int(closing.end_mark.index) if is_flow else last_end
    return _Map(Span(start, end, first, walk.count), int(mapping.start_mark.column), is_flow, pairs)


# ------------------------------------------------------------------------ changing


def _added(text: str, found: _Map, key: str, value: Data) -> Iterator[Edit]:
    put = (found.span.last - 1, found.span.last - 1, (("=", key, "text"), *shapes_of(value)))
    words = f"{scalar(key)}: {flow(value)}"
    if found.is_flow:
        yield Edit(before_bracket(text, found.span, words), *put)
        if found.pairs:
            last = max(pair.value.end for pair in found.pairs.values())
            yield Edit(f"{text[:last]}, {words}{text[last:]}", *put)
        return
    for place in ends(text, found.span.end, found.column):
        yield Edit(insert(text, place, " " * found.column + words, newline_of(text)), *put)


def _replaced(text: str, pair: _Pair, value: Data) -> Iterator[Edit]:
    start, end = pair.value.start, pair.value.end
    put = (pair.value.first, pair.value.last, tuple(shapes_of(value)))
    colon = find_colon(text, pair.key.end)
    is_below = "\n" in text[colon:start] or "\r" in text[colon:start]
    if is_below and not pair.is_flow and isinstance(value, Sequence) and not isinstance(value, str) and value:
        margin = " " * (start - line_start(text, start))
        lines = f"{newline_of(text)}{margin}".join(f"- {flow(item)}" for item in value)
        yield Edit(f"{text[:start]}{lines}{text[end:]}", *put)
    if is_below and not pair.is_flow and isinstance(value, Mapping) and value:
        margin = " " * (start - line_start(text, start))
        lines = f"{newline_of(text)}{margin}".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items())
        yield Edit(f"{text[:start]}{lines}{text[end:]}", *put)
    written = scalar_like(text[start:end], value) if isinstance(value, str) else flow(value)
    if not is_below and start < end:
        # A block of text ends with its line.
        closing = newline_of(text) if text[end - 1] in "\r\n" else ""
        yield Edit(f"{text[:start]}{written}{closing}{text[end:]}", *put)
    rest = text[colon : line_end(text, colon)] if is_below else ""
    yield Edit(f"{text[:colon]} {written}{rest}{text[end if is_below else colon :]}", *put)
    yield Edit(f"{text[:start]}{written}{text[end:]}", *put)


def _without(text: str, found: _Map, name: str, pair: _Pair) -> Iterator[Edit]:
    put = (pair.key.first, pair.value.last, ())
    if not found.is_flow:
        begin = line_start(text, pair.key.start)
        if text[begin : pair.key.start].strip():
            raise CannotEdit(f"{name} shares its line with something else")
        for end in ends(text, max(pair.key.end, pair.value.end), found.column):
            kept = text[:begin]
            if end == len(text) and not text.endswith(("\r", "\n")):
                # A file that ends without a line break goes on doing so.
                kept = kept.removesuffix(newline_of(text))
            yield Edit(kept + text[end:], *put)
        return
    comma = find_comma(text, pair.value.end, found.span.end - 1)
    if comma is not None:
        after = comma + 1
        while after < len(text) and text[after] in " \t":
            after += 1
        yield Edit(text[: pair.key.start] + text[after:], *put)
        yield Edit(text[: pair.key.start] + text[comma + 1 :], *put)
    before = [one.value.end for one in found.pairs.values() if one.value.end <= pair.key.start]
    if before:
        yield Edit(text[: max(before)] + text[pair.value.end :], *put)
    yield Edit(text[: pair.key.start] + text[pair.value.end :], *put)


def _list_changed(text: str, at: Sequence[str], old: Sequence[str], new: Sequence[Data]) -> str:
    """Take out and add what differs, where the rest keeps its order."""
    kept = [item for item in old if item in new]
    if not kept or list(new[: len(kept)]) != kept or len(set(old)) < len(old):
        raise CannotEdit("the order is another one")
    for index in reversed(range(len(old))):
        if old[index] not in kept:
            text = remove(text, index, at)
    for item in new[len(kept) :]:
        text = append(text, item, at)
    return text


def find_colon(text: str, end: int) -> int:
    """The place behind the colon that follows a key."""
    place = text.find(":", end)
    if place < 0:
        raise CannotEdit("its layout is unusual")
    return place + 1

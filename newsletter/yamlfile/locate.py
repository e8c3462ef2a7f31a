"""Finding a list in a YAML text: where its items begin and end, in characters and in events.

Also the alphabet in which two texts are compared: what each event says, without
where it stands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from newsletter.yamlfile.read import PARSER
from newsletter.yamlfile.values import not_text
from newsletter.yamlfile.write import Data, scalar

#: What an event says, without where: the alphabet in which two texts are compared.
Shape = tuple[str, ...]
NOTHING: Shape = ("=", "", "")


class CannotEdit(Exception):  # noqa: N818  it is caught one floor up and becomes a ConfigError
    """No way was found to make this edit and nothing else."""


@dataclass(frozen=True, slots=True)
class Span:
    """One node of the text: characters `start` to `end`, events `first` to `last` (exclusive)."""

    start: int
    end: int
    first: int
    last: int


@dataclass(slots=True, kw_only=True)
class Target:
    """The list to edit, or the place where it would be.

    kind: "block" or "flow" list, "null" (a key without a value), "absent" (no
    such key; the span is its mapping's), "nothing" (an empty document).
    """

    kind: str
    span: Span
    column: int = 0
    inside_flow: bool = False
    items: list[Span] = field(default_factory=list)


def _events(text: str) -> Iterator[Any]:
    """The events of the content of the first document, without its frame."""
    loader = PARSER(text)
    while (event := loader.get_event()) is not None:
        if isinstance(event, yaml.events.NodeEvent | yaml.events.CollectionEndEvent):
            yield event


def shapes(text: str) -> Iterator[Shape]:
    """What a text says, event by event."""
    for event in _events(text):
        kind = type(event)
        if kind is ScalarEvent:
            sure = not event.implicit[0] or not_text(event.value) is None
            extra = (event.anchor or "", event.tag or "") if event.anchor or event.tag else ()
            yield ("=", event.value, "text" if sure else "", *extra)
        elif kind is AliasEvent:
            yield ("*", event.anchor)
        elif kind is SequenceStartEvent or kind is MappingStartEvent:
            yield ("[" if kind is SequenceStartEvent else "{", event.anchor or "", event.tag or "")
        else:
            yield ("]" if kind is SequenceEndEvent else "}",)


def shapes_of(value: Data) -> Iterator[Shape]:
    """What a value will say once it is written."""
    if isinstance(value, str):
        yield ("=", value, "text")
    elif isinstance(value, int):
        yield ("=", scalar(value), "")
    elif isinstance(value, Sequence):
        yield ("[", "", "")
        yield from chain.from_iterable(shapes_of(item) for item in value)
        yield ("]",)
    else:
        yield ("{", "", "")
        for key, item in value.items():
            yield ("=", key, "text")
            yield from shapes_of(item)
        yield ("}",)


class Walk:
    """The events of a text, counted."""

    def __init__(self, text: str) -> None:
        self._events = _events(text)
        self.count = 0

    def next(self) -> Any:
        """The next event, or None."""
        event = next(self._events, None)
        self.count += event is not None
        return event

    def span(self, event: Any, scalars: list[str] | None = None) -> Span:
        """Consume the node that begins with `event`; its values are noted in `scalars`."""
        first, start, end = self.count - 1, event.start_mark.index, event.end_mark.index
        open_, flow_styles = 0, []
        while True:
            kind = type(event)
            if kind is SequenceStartEvent or kind is MappingStartEvent:
                open_ += 1
                flow_styles.append(event.flow_style)
            elif kind is SequenceEndEvent or kind is MappingEndEvent:
                open_ -= 1
                # The end of a block is marked where the next thing begins: comments later.
                if flow_styles.pop():
                    end = event.end_mark.index
            else:
                end = event.end_mark.index
                if scalars is not None and kind is ScalarEvent:
                    scalars.append(event.value)
            if not open_:
                return Span(start, end, first, self.count)
            event = self.next()


def _column(event: Any) -> int:
    return int(event.start_mark.column)


def _end(event: Any) -> int:
    return int(event.end_mark.index)


def locate(text: str, at: Sequence[str]) -> Target:
    """Find the list under a key path, or the place where it would be; () is the whole document.

    Raises:
        CannotEdit: something else than a list is there.
    """
    walk = Walk(text)
    event, inside_flow = walk.next(), False
    if event is None:
        return Target(kind="nothing", span=Span(len(text), len(text), 0, 0))
    for depth, key in enumerate(at):
        if type(event) is not MappingStartEvent:
            raise CannotEdit(f"{'.'.join(at[:depth]) or 'it'} is not a mapping")
        inside_flow = inside_flow or bool(event.flow_style)
        found = _find(walk, event, key)
        if isinstance(found, Span):
            if depth < len(at) - 1:
                raise CannotEdit(f"it has no {key}")
            column = _column(event)
            return Target(kind="absent", span=found, column=column, inside_flow=bool(event.flow_style))
        event, column = found
    if type(event) is ScalarEvent and event.implicit[0] and not_text(event.value) is not None:
        indent = column + 2 if at else 0
        return Target(kind="null", span=walk.span(event), column=indent, inside_flow=inside_flow)
    if type(event) is not SequenceStartEvent:
        raise CannotEdit(f"{'.'.join(at) or 'it'} is not a list")
    return _list(walk, event, inside_flow=inside_flow, indent=column + 2 if at else 0)


def _find(walk: Walk, mapping: Any, wanted: str) -> tuple[Any, int] | Span:
    """The event of a key's value and the key's column, or the span of the whole mapping without it."""
    first, start, end = walk.count - 1, mapping.start_mark.index, mapping.end_mark.index
    event: Any
    while type(event := walk.next()) is not MappingEndEvent:
        column = _column(event)
        is_wanted = type(event) is ScalarEvent and event.value == wanted
        walk.span(event)
        value = walk.next()
        if is_wanted:
            return value, column
        end = walk.span(value).end
    return Span(start, _end(event) if mapping.flow_style else end, first, walk.count)


def _list(walk: Walk, event: Any, *, inside_flow: bool, indent: int) -> Target:
    first, start, style = walk.count - 1, event.start_mark.index, event.flow_style
    column, items = _column(event), []
    while type(event := walk.next()) is not SequenceEndEvent:
        items.append(walk.span(event))
    end = _end(event) if style or not items else items[-1].end
    return Target(
        kind="flow" if style else "block",
        span=Span(start, end, first, walk.count),
        column=indent if style else column,
        inside_flow=inside_flow,
        items=items,
    )

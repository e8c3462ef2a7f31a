"""Single texts anywhere in a YAML text, replaced by others, leaving every other character alone."""

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

import yaml
from yaml.events import MappingStartEvent, ScalarEvent, SequenceStartEvent

from newsletter.yamlfile.locate import CannotEdit, Shape, Walk, shapes
from newsletter.yamlfile.write import scalar_like

#: Keys and indexes from the root: `("feeds", 0, "url")`.
Path = tuple[str | int, ...]


def replace_texts(text: str, changes: Mapping[Path, str]) -> str:
    """Replace the texts at these places, each in the style of the one that stood there.

    Proved by reading the new text beside the old one.

    Raises:
        CannotEdit: in words.
    """
    found = {path: event for path, event in _scalars(text) if path in changes}
    if found.keys() != changes.keys():
        raise CannotEdit("it has another form than expected")
    pieces, last, meant = [], 0, {}
    for path, event in sorted(found.items(), key=lambda pair: pair[1][0].start_mark.index):
        start, end, number = event[0].start_mark.index, event[0].end_mark.index, event[1]
        pieces += [text[last:start], scalar_like(text[start:end], changes[path])]
        last, meant[number] = end, changes[path]
    new = "".join([*pieces, text[last:]])
    try:
        same = all(a == b for a, b in zip_longest(shapes(new), _with(text, meant)))
    except yaml.YAMLError:
        same = False
    if not same:
        raise CannotEdit("its layout is unusual")
    return new


def _with(text: str, meant: Mapping[int, str]) -> Iterator[Shape]:
    for number, shape in enumerate(shapes(text)):
        yield ("=", meant[number], "text", *shape[3:]) if number in meant else shape


def _scalars(text: str) -> Iterator[tuple[Path, tuple[Any, int]]]:
    """Every plain value with its place, its event and the number of that event."""
    walk = Walk(text)

    def node(event: Any, path: Path) -> Iterator[tuple[Path, tuple[Any, int]]]:
        if isinstance(event, ScalarEvent):
            yield path, (event, walk.count - 1)
        elif isinstance(event, SequenceStartEvent):
            for index, item in enumerate(iter(walk.next, None)):
                if isinstance(item, yaml.events.SequenceEndEvent):
                    return
                yield from node(item, (*path, index))
        elif isinstance(event, MappingStartEvent):
            while (key := walk.next()) is not None and not isinstance(key, yaml.events.MappingEndEvent):
                value = walk.next()
                if not isinstance(key, ScalarEvent):
                    raise CannotEdit("a key in it is no plain word")
                yield from node(value, (*path, key.value))

    first = walk.next()
    if first is not None:
        yield from node(first, ())

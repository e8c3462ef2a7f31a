"""The tables of docs/settings.md: which keys there are, of what type, with which default.

The words beside each key are written by hand, in the table itself; there is no
second page that could say something else.  Which block of settings a table is
about is told by the heading above it ("A feed", "smtp"), or by its own first
column ("key of `imap`").  Keys, their order and types come from the models of
newsletter.config; a default that is written there must be the model's.
"""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from newsletter.config.block import Block
from newsletter.config.schema import ProjectBlock

#: What a checker of a value makes of it, in words; by the name of its function.
_CHECKED: Final = {
    "_address": "address",
    "_base_url": "web address",
    "_command": "command",
    "_feed_url": "web address or path",
    "_first_run": "number or `all`",
    "_host": "host name",
    "_mailbox": "name and address",
    "_one_or_two": "block or list of two",
    "_one_file": "path or `database`",
    "_rates": "rate or list of rates",
    "_rules": "rule, list of rules, or rules by name",
    "_signing_domain": "domain",
    "_short_digests": "blocks by name",
    "_owners": "address or list of addresses",
    "ahead_time": "duration",
    "duration": "duration",
    "hours_range": "hours",
    "how_long": "duration or `always`",
    "language_tag": "language tag",
    "lateness": "duration",
    "percent": "share",
    "poll_interval": "duration or `auto`",
    "schedule_rule": "rule",
    "settle_time": "duration",
    "share_or_count": "share or number",
    "time_zone": "time zone",
}
_USUAL: Final = {str: "text", int: "number", float: "number", bool: "`true` or `false`"}
_NO_BOUND: Final = 1_000_000
_COLUMNS: Final = ("type", "default", "what it does")


class Undescribed(Exception):  # noqa: N818 - what is missing, not what broke
    """Something in the page or the models is missing or contradicts the other; a sentence a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    keys: tuple[str, ...]
    default: str
    words: str


def settings_page(page: str) -> str:
    """The page with its tables as the models are now; what is written around them stays.

    Raises:
        Undescribed: a key has no words, or its words are about no key, or a default is another one.
    """
    blocks = {_heading(block): block for block in all_blocks(ProjectBlock)}
    lines, seen = page.splitlines(), set[str]()
    made, wrong = list[str](), list[str]()
    heading, at = "", 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("#"):
            heading = line.lstrip("# ").removeprefix("A ").lower()
        own = re.match(r"\| key of `(\w+)` \|", line)
        name = own[1] if own else heading
        if not line.startswith("| key") or name not in blocks or (not own and name in seen):
            made.append(line)
            at += 1
            continue
        end = next((place for place in range(at, len(lines)) if not lines[place].startswith("|")), len(lines))
        seen.add(name)
        table = _Table(blocks[name], lines[at + 2 : end], wrong)
        made += [f"| {'key of `' + name + '`' if own else 'key'} | {' | '.join(_COLUMNS)} |", "|---|---|---|---|"]
        made += table.lines()
        at = end
    wrong += [
        f"{block.__name__} has no table in docs/settings.md" for name, block in blocks.items() if name not in seen
    ]
    if wrong:
        raise Undescribed("\n".join(wrong))
    return "\n".join(made) + "\n"


def all_blocks(block: type[Block]) -> list[type[Block]]:
    """A block and all that its keys lead to."""
    found = [block]
    for field in block.model_fields.values():
        for inner in _blocks_in(field.annotation):
            found += [one for one in all_blocks(inner) if one not in found]
    return found


def _blocks_in(annotation: Any) -> Iterator[type[Block]]:
    if isinstance(annotation, type) and issubclass(annotation, Block):
        yield annotation
    for inner in get_args(annotation):
        yield from _blocks_in(inner)


def _heading(block: type[Block]) -> str:
    """What the heading above a block's table says, in small letters."""
    name = block.__name__.removesuffix("Block").lower()
    return "newsletter.yaml" if name == "project" else name


class _Table:
    def __init__(self, block: type[Block], lines: Sequence[str], wrong: list[str]) -> None:
        self._block = block
        self._wrong = wrong
        self._fields: Mapping[str, FieldInfo] = {
            field.alias or name: field for name, field in block.model_fields.items()
        }
        self._rows = [row for line in lines if (row := _row(line))]
        self._written = {key: row for row in self._rows for key in row.keys}

    def lines(self) -> list[str]:
        """The rows in the order of the page, new keys where the model has them."""
        name = self._block.__name__
        for key in self._written:
            if key not in self._fields:
                self._wrong.append(f"docs/settings.md describes {key}, which {name} does not have")
        for key in self._fields:
            if key not in self._written:
                self._wrong.append(f"docs/settings.md has no row for {key} of {name}: | `{key}` | … | what it does |")
        return [self._line(row) for row in self._rows if all(key in self._fields for key in row.keys)]

    def _line(self, row: _Row) -> str:
        kinds = list(dict.fromkeys(kind_of(self._fields[key]) for key in row.keys))
        for key in row.keys:
            if said := wrong_default(self._fields[key], row.default):
                self._wrong.append(f"docs/settings.md: {key} of {self._block.__name__}: {said}")
        keys = ", ".join(f"`{key}`" for key in row.keys)
        return f"| {keys} | {', '.join(kinds)} | {row.default} | {row.words} |"


def _row(line: str) -> _Row | None:
    """A row of three cells, as one writes it, or of four, as it is made."""
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
    keys = tuple(re.findall(r"`(\w+)`", cells[0]))
    if not keys or len(cells) not in (3, 4):
        return None
    return _Row(keys=keys, default=cells[-2], words=cells[-1])


def wrong_default(field: FieldInfo, written: str) -> str:
    """What is wrong with a default as it is written; "" if nothing is.

    Words instead of a value ("the project's") are for defaults that no file could say.
    """
    if field.default is PydanticUndefined:
        return "" if written == "required" else "must be `required`"
    values = re.fullmatch(r"`([^`]+)`", written)
    if not values:
        simple = isinstance(field.default, bool | int | float | str)
        return f"the default is `{field.default}`" if simple else "the default is missing" if not written else ""
    if isinstance(field.default, Block) or field.default is None:
        # A value that stands for another key's, or that is found out later.
        return ""
    texts = [values[1], yaml.safe_load(values[1])]
    return "" if any(_means(field, text) for text in texts) else f"the default is `{field.default}`"


def _means(field: FieldInfo, value: Any) -> bool:
    kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    try:
        found = TypeAdapter(kind, config=ConfigDict(strict=True, arbitrary_types_allowed=True)).validate_python(value)
    except ValidationError:
        return False
    return bool(found == field.default)


def kind_of(field: FieldInfo) -> str:
    """What may be written there, in a word or two."""
    return _kind(field.annotation, field.metadata)


def _kind(annotation: Any, metadata: Sequence[Any]) -> str:
    metadata = [inner for one in metadata for inner in (one.metadata if isinstance(one, FieldInfo) else [one])]
    names = [getattr(getattr(one, "func", None), "__name__", "") for one in metadata]
    if found := next((_CHECKED[name] for name in names if name in _CHECKED), None):
        return found
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0], [*inner[1:], *metadata])
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(one, metadata) for one in inner if one is not type(None)))
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in inner)
    if origin in (list, dict):
        one = _kind(inner[-1], [])
        return f"{one} by name" if origin is dict else f"list of {one}s" if " " not in one else f"list: {one}"
    is_block = isinstance(annotation, type) and issubclass(annotation, Block)
    return "block" if is_block else _bounds(metadata) or _USUAL.get(annotation, "text")


def _bounds(metadata: Sequence[Any]) -> str:
    low = next((one.ge for one in metadata if hasattr(one, "ge")), None)
    high = next((one.le for one in metadata if hasattr(one, "le")), None)
    if low is None or high is None:
        return ""
    # Some bounds are only there against slips of the finger.
    return f"{low:,} to {high:,}" if high < _NO_BOUND else f"number from {low:,}"

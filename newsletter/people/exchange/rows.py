"""What each row of a list says: an address, whether it may be mailed, and what else is known of the person.

The standing is read first and from everything that tells (the tool's status,
columns that mean the same everywhere, the name of the file, what the caller
knows); no other mistake in a row can hide that somebody must not be mailed.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.address import parse_mailbox
from newsletter.errors import AddressError, ConfigError, Problem, UsageError
from newsletter.people.entry import MOST_ATTRIBUTES
from newsletter.people.exchange.records import Record, Table, open_table
from newsletter.people.exchange.standing import (
    STATUS_COLUMNS,
    WORDS,
    Standing,
    by_columns,
    by_file_name,
    by_suspicion,
    by_word,
    fold_word,
    strongest,
    tells,
    unclear,
)
from newsletter.people.exchange.tools import EMAIL_COLUMNS, TOOLS, Tool, lacks, recognized
from newsletter.text import multi_line, one_line
from newsletter.yamlfile import Data, language_tag, time_zone

#: What a list of rejected rows has beside the columns of the list it comes from.
BECAUSE, STANDING = "rejected_because", "import_status"
_NAMES = ("name", "full_name", "fullname", "display_name", "subscriber_name")
_FIRST = ("first_name", "firstname", "fname", "given_name", "vorname")
_LAST = ("last_name", "lastname", "lname", "surname", "family_name", "nachname")
_LANGUAGE = ("language", "lang", "locale", "preferred_language")
_TIMEZONE = ("timezone", "time_zone")
#: When somebody signed up or confirmed, in many lists; for the record of their consent.
_ASKED = (
    *("confirm_time", "optin_time", "confirmed_at", "opt_in_time", "subscription_date", "subscribed_at", "signup_date"),
    *("created_at", "creation_date", "date_added"),
)
_TAKEN = frozenset(
    {*EMAIL_COLUMNS, *_NAMES, *_FIRST, *_LAST, *_LANGUAGE, *_TIMEZONE, "digests", "format", BECAUSE, STANDING}
)
#: Where one of these stands beside it, `state` is a part of an address on paper.
_PLACES = frozenset({"city", "zip", "zip_code", "postal_code", "postcode", "country", "address", "street"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a list.

    `details` are the keys of an entry of subscribers.yaml that the row knows;
    `trouble` says why they cannot be used.  `cells` are the row as it was read,
    `entry` is what stands there where the list is YAML.  `asked` is when the
    person signed up or confirmed, in the words of the list.
    """

    line: int
    email: str
    standing: Standing
    details: Mapping[str, Data] = field(default_factory=dict[str, Data])
    trouble: str | None = None
    cells: Sequence[str] = ()
    entry: Data = ""
    asked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the person who imports says of a list.

    `tool` is a name in TOOLS, or None to find out.  `standing` holds for rows
    that say nothing; it never makes up for one that forbids.  `digests` is who gets what.
    """

    tool: str | None = None
    standing: Standing | None = None
    digests: tuple[str, ...] = ()
    encoding: str | None = None


class ListReader:
    """The rows of one table, once; `tool` is what it was recognized as."""

    def __init__(self, table: Table, path: Path, given: Given) -> None:
        self.shown = table.shown
        self.header = table.header
        self._table = table
        self._given = given
        self._columns = [_folded(name) for name in table.header]
        self._names = dict(zip(self._columns, table.header, strict=True))
        alike = [name for name, folded in zip(table.header, self._columns, strict=True) if name != self._names[folded]]
        if any(_folded(name) for name in alike):
            # Read as one, a status could hide behind another.
            raise self._refused(f"two columns are called {one_line(alike[0], 60)!r}, but for signs", "rename one")
        self._all = frozenset(self._columns)
        self.tool_name = self._recognize()
        self.tool: Tool = TOOLS[self.tool_name]
        self._email = next(column for column in EMAIL_COLUMNS if column in self._all)
        self._by_name = by_file_name(path.name)
        self._status = self._status_columns()
        self._telling = tuple(column for column in self._columns if tells(column) and column not in self.tool.own)
        self._attributes = self._attribute_columns()

    @property
    def notice(self) -> str | None:
        """What somebody who imports such a list should know."""
        if self.tool_name == "listmonk" and "subscription_status" in self._all:
            return None
        return self.tool.notice

    def rows(self) -> Iterator[Row]:
        """Every row, also those that cannot be used."""
        for record in self._table.records():
            yield self._row(record)

    def _recognize(self) -> str:
        name = self._given.tool or recognized(self._all)
        if name is None:
            known = one_line(", ".join(self.header), 200)
            raise self._refused(f"no column holds addresses (its columns: {known})", "name one of them email")
        missing = lacks(TOOLS[name], self._all)
        if missing is None and any(column in self._all for column in EMAIL_COLUMNS):
            return name
        what = missing or "email"
        hint = "leave --from out, and the list is recognized by its header"
        raise self._refused(f"is no list of {TOOLS[name].title}: it has no column {what}", hint)

    def _refused(self, text: str, hint: str) -> ConfigError:
        return ConfigError([Problem(path=self.shown, line=1, key="", text=text)], hint=hint)

    def _status_columns(self) -> tuple[tuple[str, Mapping[str, str]], ...]:
        """The columns with a status in words, and what the words mean."""
        tool = self.tool
        found = [(tool.status, tool.words)] if tool.status in self._all else []
        for column in STATUS_COLUMNS:
            is_place = column == "state" and self._all & _PLACES and tool.status != "state"
            if column in self._all and column != tool.status and column not in tool.own and not is_place:
                found.append((column, WORDS))
        return tuple((column, words) for column, words in found if column)

    def _attribute_columns(self) -> tuple[tuple[int, str], ...]:
        """Which columns become attributes, and under which names."""
        tool = self.tool
        taken = _TAKEN | tool.own | tool.ignored | {column for column, _ in self._status}
        taken |= {*tool.tags, *tool.flags, *tool.json, *tool.own}
        found = []
        for index, (column, name) in enumerate(zip(self._columns, self.header, strict=True)):
            if name.startswith("attributes.") and name != "attributes.":
                found.append((index, name.removeprefix("attributes.")))
            elif column and column not in taken and not tells(column):
                found.append((index, tool.renamed.get(column, column)))
        if len(found) > MOST_ATTRIBUTES and tool is TOOLS["csv"] and not _is_ours(self.header):
            text = f"more than {MOST_ATTRIBUTES} columns are none of ours"
            raise self._refused(text, "take out those that nobody needs")
        return tuple(found)

    # --------------------------------------------------------------------- one row

    def _row(self, record: Record) -> Row:
        cells = dict(zip(self._columns, (*record.cells, *("",) * len(self._columns)), strict=False))
        email, called = _address(cells[self._email])
        standing = self._standing(cells) if record.trouble is None else _of_a_broken_row(record, self._standing(cells))
        details: Mapping[str, Data] = {}
        trouble = record.trouble
        if trouble is None and standing.kind == "may":
            try:
                details = self._details(record, cells, called)
            except (ValueError, UsageError) as error:
                trouble = str(error)
        when = [f"{self._names[one]}: {one_line(cells[one], 60)}" for one in _ASKED if cells.get(one, "").strip()]
        return Row(
            line=record.line,
            email=email,
            standing=standing,
            details=details,
            trouble=trouble,
            cells=record.cells,
            asked=", ".join(when),
        )

    def _standing(self, cells: Mapping[str, str]) -> Standing:
        tool, given = self.tool, self._given.standing
        said = [tool.standing(cells, self._all)]
        for column, words in self._status:
            said.append(by_word(self._names[column], cells[column], words))
        said += by_columns({column: cells[column] for column in self._telling}, self._names)
        for index, _ in self._attributes:
            column = self._columns[index]
            is_ours = column.startswith("attributes.")
            if cells[column] and not is_ours and (doubt := by_suspicion(column, self._names[column], cells[column])):
                said.append(doubt)
        if given is not None:
            # What was only left open is answered by the person who knows; a word nobody understands is not.
            said = [*(one for one in said if not one.is_open), given]
        if before := cells.get(STANDING, "").strip():
            said.append(by_word(STANDING, before, WORDS))
        return strongest(*said, self._by_name)

    def _details(self, record: Record, cells: Mapping[str, str], called: str) -> dict[str, Data]:
        tool = self.tool
        attributes = {}
        for index, name in self._attributes:
            if text := record.cells[index].strip():
                is_ours = self.header[index].startswith("attributes.")
                attributes[name] = multi_line(record.cells[index] if is_ours else text)
        tags = [word for column in tool.tags if column in self._all for word in words_of(cells[column])]
        tags += [tag for column, tag in tool.flags.items() if fold_word(cells.get(column, "")) in ("true", "yes", "1")]
        for column in tool.json:
            if cells.get(column, "").strip():
                inner, more = _from_json(column, cells[column], is_ours=tool.is_exact)
                called = called or ("" if tool.is_exact else inner.pop("name", ""))
                attributes.update(inner)
                tags += more
        name = next((text for column in _NAMES if (text := one_line(cells.get(column, "")))), "")
        found: dict[str, Data] = {
            "name": name or self._joined_name(cells) or called,
            "digests": list(self._given.digests) or words_of(cells.get("digests", "")),
            "language": self._checked(cells, _LANGUAGE, lambda text: language_tag(text.replace("_", "-"))),
            "format": one_line(cells.get("format", "")).lower() if tool.is_exact else "",
            "timezone": self._checked(cells, _TIMEZONE, time_zone),
            "tags": list(dict.fromkeys(tags)),
            "attributes": attributes,
        }
        return {key: value for key, value in found.items() if value}

    def _joined_name(self, cells: Mapping[str, str]) -> str:
        parts = (next((cells[one] for one in columns if one in self._all), "") for columns in (_FIRST, _LAST))
        return one_line(" ".join(parts))

    def _checked(self, cells: Mapping[str, str], columns: Sequence[str], check: Callable[[str], str]) -> str:
        text = next((one_line(cells[column]) for column in columns if cells.get(column, "").strip()), "")
        try:
            return check(text) if text else ""
        except ValueError:
            if self.tool.is_exact:
                raise
            return ""


@contextmanager
def open_list(path: Path, given: Given) -> Iterator[ListReader]:
    """Open a table of people; the block reads it.

    Raises:
        ConfigError: it cannot be read, or no column of it holds addresses.
    """
    with open_table(path, given.encoding) as table:
        yield ListReader(table, path, given)


def _of_a_broken_row(record: Record, standing: Standing) -> Standing:
    """What can still be told: cells may stand in the wrong columns, so that nothing in it may allow mail."""
    return standing if standing.kind == "never" else unclear(record.trouble or "")


def _address(cell: str) -> tuple[str, str]:
    """The address of a cell, and the name before it: `Ada <ada@example.com>` is what mail programs write."""
    text = one_line(cell)
    if text.endswith(">"):
        try:
            name, address = parse_mailbox(text)
        except AddressError:
            return text, ""
        return address.email, name
    return text, ""


def _folded(name: str) -> str:
    return name if name.startswith("attributes.") else fold_word(name)


def _is_ours(header: Sequence[str]) -> bool:
    return "digests" in header and "timezone" in header


def words_of(cell: str) -> list[str]:
    """The words of a cell that holds several: parted by commas, semicolons or bars, quoted where they contain one."""
    if '"' not in cell:
        return _once(re.split("[,;|]", cell))
    words, word, is_quoted = list[str](), "", False
    letters = iter(zip(cell, f"{cell[1:]} ", strict=True))
    for letter, following in letters:
        if is_quoted and letter == '"':
            is_quoted = following == '"'  # written twice it stands for itself
            if is_quoted:
                word += letter
                next(letters)
        elif letter == '"' and not word.strip():
            is_quoted = True
        elif letter in ",;|" and not is_quoted:
            words.append(word)
            word = ""
        else:
            word += letter
    return _once([*words, word])


def _once(words: Sequence[str]) -> list[str]:
    return [word for word in dict.fromkeys(map(one_line, words)) if word]


def words_cell(words: Sequence[str]) -> str:
    """Several words in one cell, as `words_of` reads them."""
    return ",".join(f'"{word.replace(chr(34), chr(34) * 2)}"' if re.search(r'[,;|"]', word) else word for word in words)


def _from_json(column: str, cell: str, *, is_ours: bool) -> tuple[dict[str, str], list[str]]:
    """A cell that holds a mapping: attributes as text, and tags where another tool keeps them there.

    Raises:
        ValueError: it is no mapping, or not JSON.
    """
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
        raise ValueError(f"{column}: is not JSON ({said.lower()}): {one_line(cell, 60)}") from error
    if not isinstance(found, dict):
        text = f'{column}: is not a mapping such as {{"city": "Arlington"}}: {one_line(cell, 60)}'
        raise ValueError(text)  # noqa: TRY004 - what is wrong is what the list says
    tags = None if is_ours else found.pop("tags", None)
    words = [one_line(str(tag)) for tag in tags] if isinstance(tags, list) else words_of(str(tags or ""))
    return {one_line(key): _text(value) for key, value in found.items() if value is not None}, words


def _text(value: object) -> str:
    if isinstance(value, str):
        return multi_line(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)

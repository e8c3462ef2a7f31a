"""A table in a text file, record by record: whatever its encoding, delimiter and line ends are.

CSV as RFC 4180 has it, and what programs write instead: a byte order mark,
UTF-16, semicolons or tabs, `sep=;` in the first line, line breaks within
quotation marks, no header where every line is an address.  Each record knows the
physical line in which it begins.  A record that cannot be read is given with its
reason; a quotation mark that is never closed costs its own line and no more.
Nothing is held but one record, and that is bounded.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.errors import ConfigError, Problem
from newsletter.people.exchange.guard import unguarded
from newsletter.text import one_line
from newsletter.yamlfile import open_file, shown_path

#: More characters than this in a line, or more columns, are no list of people.
LONGEST_LINE = 1_000_000
MOST_COLUMNS = 1000
_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED = 4096
_SHOWN = 100_000
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATOR = re.compile(r"\ufeff?sep=(.)\s*", re.IGNORECASE)
#: Bytes that are not what the encoding says (PEP 383).
_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the line in which it begins, its cells, and why it cannot be used."""

    line: int
    cells: tuple[str, ...]
    trouble: str | None = None


class Table:
    """A table that is open for reading, once; `header` names the columns as they are written."""

    def __init__(self, shown: str, lines: "_Lines") -> None:
        self.shown = shown
        self._lines = lines
        self.header: tuple[str, ...] = ()
        self.delimiter = ","
        self._begin()

    def _begin(self) -> None:
        first = self._lines.peek()
        if first is not None and (named := _SEPARATOR.fullmatch(first)):
            self.delimiter = named[1]
            self._lines.skip()
            first = self._lines.peek()
        elif first is not None:
            self.delimiter = _delimiter(first)
        if first is None:
            raise self._error(None, "is empty")
        if "@" in first and len(_cells(first, self.delimiter)) == 1:
            self.header = ("email",)  # a plain list of addresses
            return
        record = next(self._records(), None)
        if record is None or record.trouble:
            raise self._error(1, record.trouble if record and record.trouble else "is empty")
        self.header = tuple(unguarded(cell).strip().removeprefix("\ufeff") for cell in record.cells)
        if any("@" in name for name in self.header):
            raise self._error(
                record.line, "there is no header: the first line must name the columns, one of them email"
            )
        if len(self.header) > MOST_COLUMNS:
            raise self._error(record.line, f"has more than {MOST_COLUMNS:,} columns")
        named_twice = [name for name in self.header if name and self.header.count(name) > 1]
        if named_twice:
            raise self._error(record.line, f"two columns are called {one_line(named_twice[0], 60)!r}: rename one")

    def records(self) -> Iterator[Record]:
        """The records below the header; empty ones are left out."""
        width = len(self.header)
        for record in self._records():
            trouble = record.trouble
            if trouble is None and len(record.cells) > width and any(record.cells[width:]):
                trouble = f"has {len(record.cells)} cells, but the header names {width} columns"
            cells = tuple(map(unguarded, record.cells))
            yield Record(
                record.line, (*cells[:width], *("",) * (width - len(cells))) if not trouble else cells, trouble
            )

    def _records(self) -> Iterator[Record]:
        reader = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
        while True:
            self._lines.forget()
            start = self._lines.number
            try:
                cells = next(reader, None)
            except csv.Error as error:
                yield self._broken(start, str(error))
                reader = csv.reader(self._lines, delimiter=self.delimiter, strict=True)
                continue
            if cells is None:
                return
            if any(cell.strip() for cell in cells):
                yield Record(start, tuple(cells), _undecoded(cells) or self._lines.trouble)

    def _broken(self, start: int, said: str) -> Record:
        """A record the rules do not cover; reading goes on in the line after its first."""
        first, is_long = self._lines.again()
        if is_long or "unexpected end of data" in said or "field larger" in said:
            trouble = "a quotation mark that is opened here is never closed"
        elif "expected after" in said:
            trouble = "after a closing quotation mark the cell must end; one inside a cell is written twice"
        else:
            trouble = f"cannot be read: {one_line(said, 100)}"
        return Record(start, _cells(first, self.delimiter), trouble)

    def _error(self, line: int | None, text: str) -> ConfigError:
        return ConfigError([Problem(path=self.shown, line=line, key="", text=text)])


@contextmanager
def open_table(path: Path, encoding: str | None = None) -> Iterator[Table]:
    """Open a table; the block reads it.

    Args:
        path: a regular file.
        encoding: what it is written in; None finds out: by its mark, by the zeros of UTF-16, else UTF-8.

    Raises:
        ConfigError: it cannot be read, has no header or two columns of one name, or the encoding is unknown.
    """
    with open_file(path) as stream:
        sniffed = stream.read(_SNIFFED)
        stream.seek(0)
        name = encoding or _encoding(sniffed)
        try:
            text = io.TextIOWrapper(stream, encoding=name, errors="surrogateescape", newline="")
        except LookupError as error:
            problem = Problem(
                path=shown_path(path), line=None, key="", text=f"there is no encoding {one_line(name, 40)!r}"
            )
            raise ConfigError([problem], hint="utf-8, utf-16 and cp1252 are usual") from error
        yield Table(shown_path(path), _Lines(text, shown_path(path)))


class _Lines:
    """The lines of a file; those of the record at hand are kept, so that it can be read in another way.

    `number` is that of the next line; `trouble` is set where a line of this
    record was cut because nobody writes such long ones.
    """

    def __init__(self, stream: io.TextIOWrapper, shown: str) -> None:
        self._stream = stream
        self._shown = shown
        self._waiting: list[str] = []
        self._taken: list[str] = []
        self.number = 1
        self.trouble: str | None = None

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.pop() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self._taken.append(line)
        self.number += 1
        return line

    def _readline(self) -> str:
        try:
            return self._stream.readline(LONGEST_LINE)
        except (UnicodeError, OSError) as error:
            text = f"cannot be read as {self._stream.encoding}: {one_line(str(error), 100)}"
            raise ConfigError([Problem(path=self._shown, line=self.number, key="", text=text)]) from error

    def _read(self) -> str:
        line = self._readline()
        if len(line) == LONGEST_LINE and line[-1] not in "\r\n":
            self.trouble = f"is longer than {LONGEST_LINE:,} characters"
            while (rest := self._readline()) and rest[-1] not in "\r\n":
                pass
            # What is left of it is short, and in no quotation marks.
            line = line[:200].replace('"', "").rstrip("\r\n") + "\n"
        return line

    def peek(self) -> str | None:
        """The next line that is not blank, without taking it."""
        while line := next(self, ""):
            if line.strip("\ufeff \t\r\n"):
                self._waiting.append(self._taken.pop())
                self.number -= 1
                return line.rstrip("\r\n")
        return None

    def skip(self) -> None:
        """Pass over a line."""
        next(self, "")

    def forget(self) -> None:
        """A record is done."""
        self._taken.clear()
        self.trouble = None

    def again(self) -> tuple[str, bool]:
        """Give back every line of the record at hand but its first, which is returned; and whether there were more."""
        first, *rest = self._taken
        self._waiting += reversed(rest)
        self.number -= len(rest)
        self._taken.clear()
        return first, bool(rest)


def _encoding(sniffed: bytes) -> str:
    for mark, name in _MARKS:
        if sniffed.startswith(mark):
            return name
    even, odd = sniffed[::2].count(0), sniffed[1::2].count(0)
    if max(even, odd) > len(sniffed) // 8:
        return "utf-16-be" if even > odd else "utf-16-le"
    return "utf-8"


def _delimiter(line: str) -> str:
    """What parts most columns from each other; commas in doubt."""
    return max(_DELIMITERS, key=lambda one: len(_cells(line, one)))


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    """The cells of one line, whatever its quotation marks; a cell is shorter than csv's limit."""
    return tuple(next(csv.reader([line.rstrip("\r\n")[:_SHOWN]], delimiter=delimiter), []))


def _undecoded(cells: Sequence[str]) -> str | None:
    for cell in cells:
        if not cell.isascii() and (found := _UNDECODED.search(cell)):
            return f"byte 0x{ord(found[0]) - 0xDC00:02X} is not UTF-8: save the file as UTF-8, or name its --encoding"
    return None

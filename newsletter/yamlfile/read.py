"""Reading YAML with the line of every value, and without the parts of YAML that surprise.

A stricter language than YAML 1.1: one document, keys that are text and occur
once, no anchors, aliases, merge keys or tags, at most `MAX_DEPTH` deep, UTF-8,
bounded in size.  What is refused is refused with its line.  Values are not
interpreted here: a `Scalar` says what was written and whether it was quoted
(`values` says what that means).

Works on the events of PyYAML's C parser, one at a time, so that neither an
alias bomb nor a list of a hundred thousand people costs memory; on those of the
Python parser where the C one is not built in.
"""

import codecs
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from yaml.events import (
    AliasEvent,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from newsletter.errors import ConfigError, Problem
from newsletter.text import one_line
from newsletter.yamlfile.explain import explain
from newsletter.yamlfile.nodes import Broken, ListNode, MapNode, Node, Scalar, Tree
from newsletter.yamlfile.usual import Quick, T, usual_items
from newsletter.yamlfile.values import not_text

#: How far lists and mappings may be nested; a config needs five.
MAX_DEPTH = 20
#: More mistakes than this are counted, not listed.
MAX_PROBLEMS = 100
MAX_CONFIG_BYTES = 1_000_000
MAX_LIST_BYTES = 200_000_000

#: PyYAML's parsers; the C one is absent from some builds.
PYTHON_PARSER: Any = yaml.SafeLoader
PARSER: Any = getattr(yaml, "CSafeLoader", PYTHON_PARSER)

_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def forbidden_character(text: str) -> str | None:
    """Why a text cannot stand in a file, in words; None where it can."""
    found = _FORBIDDEN.search(text)
    return found and f"the control character U+{ord(found[0]):04X} is not allowed here: remove it"


def shown_path(path: Path) -> str:
    """How a path is best named in a message: from the current folder, if that is shorter."""
    absolute = str(path.absolute())
    try:
        relative = os.path.relpath(absolute)
    except (OSError, ValueError):  # the current folder is gone, or on another drive
        return absolute
    return min(relative, absolute, key=len)


class Problems:
    """Mistakes in one file, up to a number that can be read."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._found: list[Problem] = []
        self._more = 0

    def add(self, line: int | None, text: str, key: str = "") -> None:
        """Note one mistake."""
        if len(self._found) < MAX_PROBLEMS:
            self._found.append(Problem(path=self.path, line=line, key=key, text=text))
        else:
            self._more += 1

    def all(self) -> tuple[Problem, ...]:
        """Every mistake, in the order of the file; the last says how many are not listed."""
        found = sorted(self._found, key=lambda problem: problem.line or 0)
        if self._more:
            found.append(Problem(path=self.path, line=None, key="", text=f"and {self._more} more mistakes"))
        return tuple(found)

    def __bool__(self) -> bool:
        return bool(self._found)


def read_tree(path: Path, *, max_bytes: int = MAX_CONFIG_BYTES, parser: Any = PARSER) -> Tree:
    """Read one document whole.

    Raises:
        ConfigError: the file is missing, unreadable, too large, too deep, not UTF-8 or not YAML.
    """
    shown = shown_path(path)
    return _Reader(lambda: open_file(path), shown, max_bytes, parser).tree()


def parse_tree(text: str, shown: str, *, parser: Any = PARSER) -> Tree:
    """Read one document from a text that is, or will be, the file `shown`.

    Raises:
        ConfigError: as `read_tree`.
    """
    data = text.encode()
    return _Reader(lambda: io.BytesIO(data), shown, len(data) + 1, parser).tree()


def read_items(
    path: Path,
    *,
    max_bytes: int = MAX_LIST_BYTES,
    parser: Any = PARSER,
    quick: Quick[T] = lambda *_: None,
) -> Iterator[Node | T]:
    """Read a list item by item, in memory that does not grow with the file.

    Args:
        path: the file.
        max_bytes: a longer one is refused.
        parser: PyYAML's class.
        quick: makes something of an entry of the usual form without any node (`usual`).

    Raises:
        ConfigError: as `read_tree`, or for anything refused: after the last item that could be read.
    """
    return _items(_Reader(lambda: open_file(path), shown_path(path), max_bytes, parser), quick)


def parse_items(
    text: str, shown: str, *, parser: Any = PARSER, quick: Quick[T] = lambda *_: None
) -> Iterator[Node | T]:
    """Read a list item by item from a text that is, or will be, the file `shown`.

    Raises:
        ConfigError: as `read_items`.
    """
    data = text.encode()
    return _items(_Reader(lambda: io.BytesIO(data), shown, len(data) + 1, parser), quick)


def usual_nodes(text: str) -> Iterator[Node | None]:
    """The entries of a list by the quick way alone; None, and then nothing more, where only a parser can go on."""
    data = text.encode()
    reader = _Reader(lambda: io.BytesIO(data), "", len(data) + 1, PARSER)
    with reader.lines() as lines:
        yield from usual_items(lines, reader.alone)


def _items(reader: "_Reader", quick: Quick[T]) -> Iterator[Node | T]:
    """The quick way as far as it goes, then the parser's."""
    done = 0
    with reader.lines() as lines:
        for node in usual_items(lines, reader.alone, quick):
            if node is None:
                break
            yield node
            done += 1
        else:
            return
    yield from islice(reader.items(), done, None)


def open_file(path: Path) -> BinaryIO:
    """Open a regular file; a pipe or a device would never end.

    Raises:
        ConfigError: saying what is there instead.
    """
    try:
        # O_NONBLOCK: opening a pipe nobody writes to must not wait for one.
        stream = os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb")
    except OSError as error:
        text = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {_reason(error)}"
        raise _error(shown_path(path), None, text) from error
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise _error(shown_path(path), None, "is not a file")
    return stream


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _error(shown: str, line: int | None, text: str) -> ConfigError:
    return ConfigError([Problem(path=shown, line=line, key="", text=text)])


class _Source:
    """What the parser reads from: bytes checked to be UTF-8, without a byte order mark, bounded."""

    def __init__(self, stream: BinaryIO, shown: str, max_bytes: int) -> None:
        self._stream = stream
        self._shown = shown
        self._max = max_bytes
        self._size = 0
        self._lines = 1
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def read(self, size: int = 65536) -> bytes:
        """The next bytes; b"" at the end."""
        return self._next(size)[0]

    def _next(self, size: int = 65536) -> tuple[bytes, str]:
        """The next bytes, and what they say; a character that is not whole yet comes with the bytes after."""
        try:
            data = self._stream.read(max(size, 65536))
        except OSError as error:
            raise _error(self._shown, None, f"cannot be read: {_reason(error)}") from error
        if self._size == 0:
            if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise _error(self._shown, 1, "is UTF-16: save it as UTF-8")
            data = data.removeprefix(codecs.BOM_UTF8)
        self._size += len(data)
        if self._size > self._max:
            raise _error(self._shown, None, f"is larger than {self._max // 1_000_000:,} MB")
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError as error:
            # The error's offsets count from what the decoder had kept of the bytes before: at most three.
            line = self._lines + error.object[: error.start].count(b"\n")
            byte = error.object[error.start]
            raise _error(self._shown, line, f"byte 0x{byte:02X} is not UTF-8: save the file as UTF-8") from error
        self._lines += data.count(b"\n")
        return data, text

    def lines(self) -> Iterator[str]:
        """The lines, with their breaks."""
        rest: list[str] = []
        while True:
            data, text = self._next()
            if not data:
                break
            first, *whole = text.split("\n")
            rest.append(first)
            if not whole:
                continue
            yield "".join(rest) + "\n"
            rest = [whole.pop()]
            for line in whole:
                yield line + "\n"
        if last := "".join(rest):
            yield last


class _Reader:
    """One pass over a file: events in, nodes out."""

    def __init__(
        self, reopen: Callable[[], BinaryIO], shown: str, max_bytes: int, parser: Any, first_line: int = 1
    ) -> None:
        self._first = first_line
        self._reopen = reopen
        self._shown = shown
        self._max = max_bytes
        self._parser = parser
        self._next: Callable[[], Any] = lambda: None
        self._problems = Problems(shown)

    def tree(self) -> Tree:
        with self._document() as first:
            root = None if first is None else self._node(first, 1)
        return Tree(root, self._problems.all())

    def items(self) -> Iterator[Node]:
        with self._document() as first:
            if type(first) is SequenceStartEvent:
                self._refuse(first)
                while type(event := self._next()) is not SequenceEndEvent:
                    yield self._node(event, 2)
            elif first is not None and not _is_nothing(first):
                self._problem(first, "is not a list: every entry begins with `- `")
                self._node(first, 1)
        if self._problems:
            raise ConfigError(self._problems.all())

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """The lines of the file, with their breaks."""
        with self._reopen() as stream:
            yield _Source(stream, self._shown, self._max).lines()

    def alone(self, text: str, first_line: int) -> Node | None:
        """Parse one entry of the list by itself; None where it is not exactly one, or not right."""
        data = text.encode()
        reader = _Reader(lambda: io.BytesIO(data), self._shown, len(data) + 1, self._parser, first_line)
        try:
            nodes = list(reader.items())
        except ConfigError:
            return None
        return nodes[0] if len(nodes) == 1 else None

    @contextmanager
    def _document(self) -> Iterator[Any]:
        """Gives the first event of the document, or None; the block consumes the rest of it."""
        with self._reopen() as stream:
            try:
                loader = self._parser(_Source(stream, self._shown, self._max))
                self._next = loader.get_event
                self._next()  # the start of the stream
                if type(self._next()) is StreamEndEvent:
                    yield None
                    return
                yield self._next()
                self._next()  # the end of the document
                event = self._next()
                if type(event) is not StreamEndEvent:
                    self._problem(event, "a second document begins here: keep one per file, without `---`")
            except yaml.YAMLError as error:
                line, text = self._explain(error)
                fatal = Problem(path=self._shown, line=line, key="", text=text)
                raise ConfigError([*self._problems.all(), fatal]) from error
            except ConfigError as error:
                raise ConfigError([*self._problems.all(), *error.problems], hint=error.hint) from error

    # The type of an event is compared, not its class tree: a million times for a large list.
    def _node(self, event: Any, depth: int) -> Node:
        kind = type(event)
        line = event.start_mark.line + self._first
        if kind is ScalarEvent:
            quoted = not event.implicit[0]
            if event.anchor is not None or event.tag is not None:
                return self._refuse(event)
            if quoted and (found := forbidden_character(event.value)):
                self._problem(event, found)
                return Broken(line)
            return Scalar(line, event.value, quoted)
        if kind is AliasEvent:
            text = (
                f"`*{event.anchor}` is an alias, which is not supported: write the value out, or quote it if it is text"
            )
            self._problem(event, text)
            return Broken(line)
        self._refuse(event)
        if depth > MAX_DEPTH:
            raise _error(self._shown, line, f"is nested more than {MAX_DEPTH} deep")
        if kind is SequenceStartEvent:
            items = []
            while type(event := self._next()) is not SequenceEndEvent:
                items.append(self._node(event, depth + 1))
            return ListNode(line, tuple(items))
        return self._mapping(line, depth)

    def _mapping(self, line: int, depth: int) -> Node:
        pairs: dict[str, Node] = {}
        own_lines: dict[str, int] = {}
        while type(event := self._next()) is not MappingEndEvent:
            key = self._node(event, depth + 1)
            value = self._node(self._next(), depth + 1)
            if not isinstance(key, Scalar):
                if not isinstance(key, Broken):
                    self._problem(event, "a key must be text: quote the value if it begins with { or [")
                continue
            first = own_lines.get(key.value) or pairs[key.value].line if key.value in pairs else None
            if (wrong := _bad_key(key, first)) is not None:
                self._problems.add(key.line, wrong)
                continue
            pairs[key.value] = value
            if key.line != value.line:
                own_lines[key.value] = key.line
        return MapNode(line, pairs, own_lines)

    def _refuse(self, event: Any) -> Broken:
        if event.anchor is not None:
            self._problem(
                event,
                f"`&{event.anchor}` is an anchor, which is not supported: leave it out, or quote it if it is text",
            )
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._problem(event, f"`{tag}` is a tag, which is not supported: leave it out, or quote it if it is text")
        return Broken(event.start_mark.line + self._first)

    def _problem(self, event: Any, text: str) -> None:
        self._problems.add(event.start_mark.line + self._first, text)

    def _explain(self, error: yaml.YAMLError) -> tuple[int | None, str]:
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            return self._forbidden_character()
        return explain(error, self._line(error.problem_mark.line))

    def _forbidden_character(self) -> tuple[int | None, str]:
        with self._reopen() as stream:
            for number, line in enumerate(stream, 1):
                found = forbidden_character(line.decode(errors="replace").removeprefix("\ufeff"))
                if found:
                    return number, found
        return None, "cannot be read as YAML"

    def _line(self, number: int) -> str:
        """A line by its index, for an explanation only."""
        with self._reopen() as stream:
            for index, line in enumerate(stream):
                if index == number:
                    return line.decode(errors="replace").rstrip("\r\n")
        return ""


def _bad_key(key: Scalar, first_line: int | None) -> str | None:
    shown = one_line(key.value, 60)
    if first_line is not None:
        return f"`{shown}` stands here twice: first in line {first_line}"
    if key.quoted:
        return None
    if key.value == "<<":
        return "`<<` is a merge key, which is not supported: write the values out"
    wrong = not_text(key.value)
    return None if wrong is None else f"a key must be text: {wrong}"


def _is_nothing(event: Any) -> bool:
    """Whether a document holds nothing but its own marker: `---`."""
    return type(event) is ScalarEvent and not event.value and event.implicit[0]

"""Rows that could not be used, as files that can be corrected and imported again."""

import csv
import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from newsletter.errors import NewsletterError, UsageError
from newsletter.people.exchange.guard import guarded
from newsletter.people.exchange.rows import BECAUSE, STANDING, Row
from newsletter.people.exchange.spool import Spool
from newsletter.text import one_line
from newsletter.yamlfile import block_item

_UNDECODED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    header: tuple[str, ...] | None  # None: YAML
    rows: Spool


class Rejects:
    """The rejected rows of one import, list by list."""

    def __init__(self) -> None:
        self._sources: list[_Source] = []

    def begin(self, path: Path, header: Sequence[str] | None) -> None:
        """The rows that follow come from this list; it is YAML where there is no header."""
        self._sources.append(_Source(path, None if header is None else tuple(header), Spool()))

    def add(self, row: Row, why: str) -> None:
        """Note a row of the list at hand."""
        word = {"never": row.standing.reason or "", "waits": "unconfirmed"}.get(row.standing.kind, "")
        self._sources[-1].rows.add([row.line, why, str(word), list(row.cells), row.entry])

    def write(self, path: Path) -> list[Path]:
        """Write them; one file, or one for each list where several have any.

        Returns:
            the files, none where nothing was rejected.

        Raises:
            UsageError: one of them is something else already.
            NewsletterError: it cannot be written.
        """
        sources = [source for source in self._sources if len(source.rows)]
        written = []
        for number, source in enumerate(sources):
            name = path if not number else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
            _replace(name, _lines(source))
            written.append(name)
        return written

    def close(self) -> None:
        """Let go of the rows."""
        for source in self._sources:
            source.rows.close()


def _lines(source: _Source) -> Iterator[str]:
    rows = iter(source.rows)
    return _as_yaml(source.path, rows) if source.header is None else _as_csv(source.header, rows)


def _as_yaml(path: Path, rows: Iterator[Any]) -> Iterator[str]:
    yield f"# {BECAUSE}: what each entry needs stands above it\n"
    for line, why, _, _, entry in rows:
        yield f"# {path.name}:{line}: {one_line(why, 300)}\n"
        yield "".join(f"{one}\n" for one in block_item(entry, 0))


def _as_csv(header: Sequence[str], rows: Iterator[Any]) -> Iterator[str]:
    own = [name for name in header if name not in (BECAUSE, STANDING)]
    yield _line([*own, STANDING, BECAUSE])
    for line, why, word, cells, _ in rows:
        by_name = dict(zip(header, cells, strict=False))
        more = cells[len(header) :]  # what stood beyond the last column must not be lost
        yield _line([*(by_name.get(name, "") for name in own), word, f"line {line}: {why}", *more])


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([guarded(_readable(cell)) for cell in cells])
    return buffer.getvalue()


def _readable(cell: str) -> str:
    """Bytes that were no UTF-8 as the encoding has them that they probably come from."""
    return _UNDECODED.sub(lambda found: bytes([ord(found[0]) - 0xDC00]).decode("cp1252", "replace"), cell)


def may_replace(path: Path) -> None:
    """Make sure that rejected rows may be written to a file, before any work is done.

    Raises:
        UsageError: it is something else already.
    """
    if not path.exists():
        return
    if path.is_file():
        with path.open("rb") as stream:
            first = stream.readline(1_000_000)
        if BECAUSE.encode() in first or not first:
            return
    raise UsageError(f"{path} is there already, and is no list of rejected rows", hint="name another file")


def _replace(path: Path, lines: Iterator[str]) -> None:
    """Write a file for its owner's eyes only: the old one or the new one, never a part."""
    may_replace(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        fresh = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                stream.writelines(lines)
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NewsletterError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from error

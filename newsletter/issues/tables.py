"""Wide tables of feeds, rewritten so that they fit a telephone without any style sheet.

A dozen columns on 320 pixels either stand out of the letter or are a letter of the
alphabet wide, and what would let them scroll is the first thing that mail programs
take out.  So a table with more than `COLUMNS` becomes one block per row, each cell
after the heading of its column: "Year: 1998 · Length: 40 m".  Words and links stay.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from newsletter.issues.nesting import BLOCK, Token, attributes, names, tokens
from newsletter.issues.pictures import is_count
from newsletter.issues.plaintext import html_text
from newsletter.text import one_line

#: As many columns of a word each have room on 320 pixels.
COLUMNS: Final = 6

_BLOCKS: Final = BLOCK | names("h1 h2 h3 h4 h5 h6")
_ROOM: Final = names("caption td th")
_HEADING: Final = 40
#: Headings are not repeated in a table of more cells, which nobody reads in a letter.
_CELLS: Final = 1_000
#: Whoever counts columns need not follow absurd spans.
_SPAN: Final = 20


@dataclass(slots=True)
class _Cell:
    """A cell or a caption: its start tag's attributes, its HTML, and how many columns the tables in it have."""

    name: str
    attributes: dict[str, str]
    html: list[str] = field(default_factory=list)
    columns: int = 1

    @property
    def inner(self) -> str:
        return "".join(self.html).strip()

    def span(self, way: str) -> int:
        given = self.attributes.get(way, "1")
        return min(int(given), _SPAN) if is_count(given, 1_000) else 1


@dataclass(slots=True)
class _Table:
    """A table while it is read: as it is written, and its cells row by row."""

    attributes: dict[str, str]
    written: list[str] = field(default_factory=list)
    rows: list[list[_Cell]] = field(default_factory=list)
    captions: list[_Cell] = field(default_factory=list)
    open: _Cell | None = None

    @property
    def columns(self) -> int:
        return max((sum(cell.columns for cell in row) for row in self.rows), default=1)


def narrow_tables(html: str) -> str:
    """Rewrite the wide tables in cleaned HTML; all else stays as it is."""
    return _Reader().run(html) if "<table" in html else html


class _Reader:
    """Reads well-formed HTML and keeps each table apart until its end; see `narrow_tables`."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._tables: list[_Table] = []

    def run(self, html: str) -> str:
        """Read all of it and return what it becomes."""
        for token in tokens(html):
            if not token.name:
                self._write(token.text)
            elif token.name == "table":
                if not token.closing:
                    self._tables.append(_Table(attributes(token.attributes), [f"<table{token.attributes}>"]))
                elif self._tables:
                    self._end_table()
            elif self._tables:
                self._tag(token)
            else:
                self._write(f"<{'/' * token.closing}{token.name}{token.attributes}>")
        while self._tables:
            self._end_table()
        return "".join(self._out)

    def _write(self, markup: str) -> None:
        if not self._tables:
            self._out.append(markup)
            return
        table = self._tables[-1]
        table.written.append(markup)
        if table.open is not None:
            table.open.html.append(markup)

    def _end_table(self) -> None:
        table = self._tables.pop()
        columns = table.columns
        if columns > COLUMNS:
            markup = "".join(_blocks(table))
            columns = max(cell.columns for row in table.rows for cell in row)
        else:
            markup = "".join(table.written) + "</table>"
        if self._tables and (cell := self._tables[-1].open) is not None:
            cell.columns = max(cell.columns, columns)
        self._write(markup)

    def _tag(self, token: Token) -> None:
        tag = f"<{'/' * token.closing}{token.name}{token.attributes}>"
        if token.name not in _ROOM:
            if token.name == "tr" and not token.closing:
                self._tables[-1].rows.append([])
            self._write(tag)
            return
        table = self._tables[-1]
        table.written.append(tag)
        table.open = None
        if not token.closing:
            table.open = _Cell(token.name, attributes(token.attributes))
            table.rows = table.rows or [[]]
            (table.captions if token.name == "caption" else table.rows[-1]).append(table.open)


# ------------------------------------------------------------------ as blocks


def _blocks(table: _Table) -> Iterator[str]:
    around = _marks(table.attributes)
    if around:
        yield f"<div{around}>"
    for caption in table.captions:
        yield from _line([("", caption)])
    rows = [row for row in table.rows if row]
    labels: dict[int, str] = {}
    if len(rows) > 1 and all(cell.name == "th" for cell in rows[0]) and sum(map(len, rows)) <= _CELLS:
        head, *rest = [list(places) for places in _placed(rows)]
        for place, cell in head:
            labels.update(dict.fromkeys(range(place, place + cell.span("colspan")), _heading(cell)))
        used = {place for row in rest for place, cell in row if _says_something(cell)}
        if not all(_is_said(cell, used & set(range(place, place + cell.span("colspan")))) for place, cell in head):
            # What no label says in full is said once, as a row of its own.
            yield from _line([("", cell) for cell in rows[0]])
        for row in rest:
            yield from _line([(labels.get(place, ""), cell) for place, cell in row])
    else:
        for cells in rows:
            yield from _line([("", cell) for cell in cells])
    if around:
        yield "</div>"


def _placed(rows: Sequence[Sequence[_Cell]]) -> Iterator[Iterator[tuple[int, _Cell]]]:
    """Each row's cells with the number of their column, counting those that reach down into the row."""
    taken: dict[int, int] = {}

    def places(row: Sequence[_Cell]) -> Iterator[tuple[int, _Cell]]:
        place = 0
        below = {column: rows - 1 for column, rows in taken.items() if rows > 1}
        for cell in row:
            while place in taken:
                place += 1
            yield place, cell
            end = place + cell.span("colspan")
            if cell.span("rowspan") > 1:
                below.update(dict.fromkeys(range(place, end), cell.span("rowspan") - 1))
            place = end
        taken.clear()
        taken.update(below)

    for row in rows:
        yield places(row)


def _heading(cell: _Cell) -> str:
    """What stands before the cells of a column."""
    return one_line(html_text(cell.inner), _HEADING).rstrip(" :")


def _is_said(cell: _Cell, used: Collection[int]) -> bool:
    """Whether the label in these columns says all that a heading does."""
    inner = cell.inner
    if not _says_something(cell):
        return True
    is_plain = "<a " not in inner and "<img" not in inner and html_text(inner).rstrip(" :") == _heading(cell)
    return is_plain and bool(used)


def _says_something(cell: _Cell) -> bool:
    inner = cell.inner
    return "<img" in inner or "<a " in inner or bool(html_text(inner))


def _line(cells: Sequence[tuple[str, _Cell]]) -> Iterator[str]:
    """One row: its cells in a paragraph, those of several paragraphs below it."""
    run: list[str] = []
    for heading, cell in cells:
        if not _says_something(cell):
            continue
        label = f"<b>{escape(heading, quote=False)}:</b>" if heading else ""
        inner = _without_paragraph(cell.inner)
        marks = _marks(cell.attributes)
        if any(token.name in _BLOCKS for token in tokens(inner)):
            run.append(label)
            yield from _paragraph(run)
            run = []
            yield f"<div{marks}>{inner}</div>"
        else:
            words = f"<span{marks}>{inner}</span>" if marks else inner
            run.append(f"{label} {words}" if label else f"<b>{words}</b>" if cell.name == "th" else words)
    yield from _paragraph(run)


def _paragraph(run: Sequence[str]) -> Iterator[str]:
    if any(run):
        yield f"<p>{' · '.join(filter(None, run))}</p>"


def _without_paragraph(html: str) -> str:
    """The inside of a paragraph that is all there is."""
    if html.startswith("<p>") and html.endswith("</p>") and html.count("<p") == 1:
        inner = html[3:-4]
        return html if any(token.name in _BLOCKS for token in tokens(inner)) else inner
    return html


def _marks(attrs: dict[str, str]) -> str:
    """The language and direction that an element's text is in."""
    return "".join(f' {name}="{escape(attrs[name])}"' for name in ("lang", "dir") if name in attrs)

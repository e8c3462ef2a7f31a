"""How the commands speak: tables for people, JSON for machines, errors with a hint.

Data goes to stdout and can be piped; everything else goes to stderr.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from newsletter.asjson import as_json
from newsletter.cli.log import JsonLog

#: A longer table is not drawn by Rich, which takes a minute for a hundred thousand rows.
_LONG_TABLE = 2000


class Steps(Protocol):
    """A progress bar that can be moved."""

    def __call__(self, done: int, total: int | None = None, note: str = "") -> None:
        """Show that `done` of `total` steps are behind us."""
        ...


class Output:
    """The two streams of one call.

    Args:
        json: print data as JSON.
        quiet: say nothing but errors.
        verbose: say what is usually left out.
        log: write what would be said to the person as events instead.

    What is said has a name, the event, and the facts in it beside its words: a
    person is told the words, a log has all three.
    """

    def __init__(self, *, json: bool, quiet: bool, verbose: bool, log: JsonLog | None = None) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.log = log

    def say(self, text: str, /, *, event: str = "note", **facts: Any) -> None:
        """Tell the person something, on stderr."""
        if self.quiet:
            return
        if self.log:
            self.log.write("info", event, text, facts)
        else:
            print(printable(text), file=sys.stderr)

    def detail(self, text: str, /, *, event: str = "note", **facts: Any) -> None:
        """Tell the person something they asked for with -v."""
        if not self.verbose or self.quiet:
            return
        if self.log:
            self.log.write("debug", event, text, facts)
        else:
            print(printable(text), file=sys.stderr)

    def warn(self, text: str, hint: str | None = None, /, *, event: str = "warning", **facts: Any) -> None:
        """Tell the person about trouble that does not stop the work; also with -q."""
        self._trouble("warning", text, hint, event, facts)

    def error(self, text: str, hint: str | None, /, *, event: str = "error", **facts: Any) -> None:
        """Tell the person why the work has stopped."""
        self._trouble("error", text, hint, event, facts)

    def _trouble(self, label: str, text: str, hint: str | None, event: str, facts: dict[str, Any]) -> None:
        if self.log:
            self.log.write(label, event, text, {"hint": hint, **facts})
            return
        for line in text.splitlines() or [""]:
            print(f"{label}: {printable(line)}", file=sys.stderr)
        if hint:
            print(f"hint: {printable(hint)}", file=sys.stderr)

    def data(self, payload: Any) -> None:
        """Print JSON to stdout."""
        print(as_json(payload, indent=2))

    def line(self, text: str) -> None:
        """Print one line of data to stdout."""
        print(printable(text))

    def raw(self, text: str) -> None:
        """Print data to stdout as it is: for files in a format of their own, which may be piped."""
        sys.stdout.write(text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
        """Print a table to stdout; on a terminal in colour and cut to its width, unless it is a very long one."""
        if len(rows) > _LONG_TABLE or not sys.stdout.isatty():
            self._plain_table(columns, rows, title)
            return
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(highlight=False)
        table = Table(
            box=None, pad_edge=False, header_style="bold", title=title, title_justify="left", title_style="bold"
        )
        for column in columns:
            table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
        for row in rows:
            table.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
        console.print(table)

    @staticmethod
    def _plain_table(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None) -> None:
        """Aligned columns and nothing else, a line a row: a hundred thousand in a second."""
        if title:
            print(title)
        is_right = [column.startswith(">") for column in columns]
        heads = [column.removeprefix(">") for column in columns]
        texts = [heads, *([printable("" if cell is None else str(cell)) for cell in row] for row in rows)]
        widths = [max(map(_width, cells)) for cells in zip(*texts, strict=True)]
        for row in texts:
            padded = (
                f"{' ' * (width - _width(cell))}{cell}" if right else f"{cell}{' ' * (width - _width(cell))}"
                for cell, width, right in zip(row, widths, is_right, strict=True)
            )
            print("  ".join(padded).rstrip())

    @property
    def shows_bars(self) -> bool:
        """Whether somebody is watching a terminal that a progress bar can be drawn on."""
        return not (self.quiet or self.json or self.log) and sys.stderr.isatty()

    @contextmanager
    def progress(self, label: str, total: int | None, *, times: bool = True) -> Iterator[Steps]:
        """Show a progress bar on stderr while the block runs, if somebody is watching.

        Args:
            label: what is being done.
            total: of how many steps.
            times: say how much time is left; else the notes do.
        """
        if not self.shows_bars:
            yield _unseen
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            *([TimeRemainingColumn()] if times else []),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True, highlight=False),
            transient=True,
        )
        with bar:
            task = bar.add_task(label, total=total, note="")

            def step(done: int, total: int | None = None, note: str = "") -> None:
                bar.update(task, completed=done, total=total, note=note)

            yield step


def _unseen(done: int, total: int | None = None, note: str = "") -> None:
    """Move a progress bar that nobody looks at."""


def printable(text: str) -> str:
    """Replace what could command a terminal: control characters other than line feed and tab."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def _width(text: str) -> int:
    """How many places of a terminal a text takes: some signs take two, some none."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)

"""`archive`: past issues as a site of files."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.report import plural
from newsletter.cli.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "archive")(archive)


def archive(
    session: Session,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="A folder; by default the one of `archive.out`, or archive/.", show_default=False),
    ] = None,
) -> None:
    """Write all issues as a site for any web server: pages, feeds, messages, entries by day.

    Nothing of any subscriber is in it.  Files that have not changed are not
    touched, and those of a cancelled issue go.
    """
    from newsletter.app.shelf import write_archive

    with session.out.progress("files", None) as step:
        folder, done = write_archive(session.app, out, on_file=lambda number, _: step(number))
    if session.json:
        session.out.data({"folder": folder, **{name: getattr(done, name) for name in done.__slots__}})
        return
    for name in (*done.new, *done.changed):
        session.out.detail(f"wrote {folder / name}")
    for name in done.removed:
        session.out.detail(f"removed {folder / name}")
    told = [
        f"{plural(len(done.new), 'file', 'files')} new",
        f"{len(done.changed):,} changed",
        f"{len(done.removed):,} removed",
        f"{done.unchanged:,} as before",
    ]
    session.out.say(", ".join(told))
    if done.kept:
        session.out.say(f"{plural(done.kept, 'file', 'files')} kept of what the memory has forgotten since")
    if session.app.config.archive.url is None:
        session.out.say("its feeds and letters know no address of it: say `archive: {url: https://…}`")
    session.out.line(str(folder / "index.html"))

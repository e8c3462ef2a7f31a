"""`demo`: the whole way on bundled samples, with nothing to configure and no network."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.report import fetch_json, fetch_rows, plural, report_json, send_words, shown
from newsletter.cli.session import PARTLY, Session, command


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "demo")(demo)


def demo(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="Where the demo's project lives.")] = Path("newsletter-demo"),
    open_it: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the letter in the browser.", show_default=False)
    ] = False,
) -> int:
    """Send a first issue from bundled feeds to a mail server on this machine.

    Feeds are served and mail is caught on the loopback interface; nothing
    leaves the machine.  A second run in the same folder finds nothing new.
    """
    import asyncio

    from newsletter.app.demo import run_demo

    done = asyncio.run(run_demo(folder))
    out = session.out
    if session.json:
        out.data(
            {
                "folder": done.folder,
                "fetched": fetch_json(done.fetched),
                "recipients": done.recipients,
                "issue": None if done.report is None else report_json(done.report),
                "seconds": done.seconds,
                "files": done.files,
            }
        )
        return 0
    out.table(("feed", ">entries", ">new", "note"), fetch_rows(done.fetched))
    if done.report is None:
        out.line("")
        out.line("Nothing is new since the last run, so nothing was sent.")
        out.say(f"to begin again: remove the folder {folder}")
        return 0
    out.line("")
    out.line(f"Issue {done.report.issue.number}: {done.report.issue.subject}")
    out.line(
        f"{plural(done.report.issue.entries, 'entry', 'entries')} from {plural(len(done.fetched), 'feed')} "
        f"to {plural(done.report.sent_now, 'subscriber')}; fetched in {done.seconds['fetch']:.2f} s, "
        f"built in {done.seconds['build']:.2f} s, {send_words(done.report)}"
    )
    out.line("")
    for label, path in done.files.items():
        out.line(f"  {label:<9} {shown(path)}")
    out.line("")
    out.line("Run it again: nothing is new, and nobody gets it twice.")
    if open_it:
        typer.launch(str(done.files["HTML"]))
    return PARTLY if done.report.sent_now < done.recipients else 0

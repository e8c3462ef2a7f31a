"""`init` and `check`: a new project, and whether a project is in order."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.session import PARTLY, Session, command
from newsletter.errors import UsageError

_TEMPLATES_NOTE = """\
A file here replaces the built-in template of the same name, in this project only:

    issue.html.j2   issue.txt.j2   issue.md.j2   archive.md.j2   subject.txt.j2

To change one part, extend the built-in and override a block, for example in issue.html.j2:

    {% extends "default/issue.html.j2" %}
    {% block masthead %} … {% endblock %}

`newsletter template eject` writes such a file with the names of all blocks, `newsletter template list` shows the
themes, and `newsletter template check` says whether they work, with file and line.
"""


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "init")(init)
    command(app, "check")(check)


def init(
    session: Session,
    folder: Annotated[Path, typer.Argument(help="Where; the current folder by default.", show_default=False)] = Path(),
    feed: Annotated[
        list[str] | None, typer.Option("--feed", help="A feed's address; may be given again.", show_default=False)
    ] = None,
    sender: Annotated[
        str | None, typer.Option("--from", help='Who sends: "Name <address>".', show_default=False)
    ] = None,
    title: Annotated[str | None, typer.Option(help="What the newsletter is called.", show_default=False)] = None,
    timezone: Annotated[str | None, typer.Option(help="For dates, e.g. Europe/Berlin.", show_default=False)] = None,
    smtp: Annotated[str | None, typer.Option(help="The mail server: host or host:port.", show_default=False)] = None,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Ask nothing; take the defaults.", show_default=False)
    ] = False,
) -> None:
    """Make a new project: newsletter.yaml, subscribers.yaml, templates/."""
    from newsletter.app.edit import write_new
    from newsletter.app.starter import local_timezone, starter_files

    config = folder / "newsletter.yaml"
    for taken in (config, folder / "subscribers.yaml"):
        if taken.exists():
            raise UsageError(f"{taken} is there already", hint="name another folder, or edit that file")
    feeds = list(feed or [])
    if not yes:
        if not feeds:
            given = typer.prompt(
                "The address of a feed to begin with (empty: later)", default="", show_default=False, err=True
            )
            feeds = [given] if given.strip() else []
        sender = sender or typer.prompt(
            "Your address, as From", default="The Morning Wire <wire@example.com>", err=True
        )
        timezone = timezone or typer.prompt("Your time zone", default=local_timezone(), err=True)
        smtp = smtp or typer.prompt(
            "Your mail server, host or host:port (empty: later)", default="", show_default=False, err=True
        )
    files = starter_files(
        feeds=feeds,
        sender=sender or "The Morning Wire <wire@example.com>",
        title=title,
        timezone=timezone or local_timezone(),
        smtp=smtp or None,
    )
    written = write_new(folder, files | {"templates/README.md": _TEMPLATES_NOTE})
    if session.json:
        session.out.data({"folder": folder.resolve(), "files": written})
        return
    for path in written:
        session.out.say(f"wrote {path}")
    where = "" if folder == Path() else f"cd {folder} && "
    session.out.say(f"next: {where}newsletter check, then newsletter preview --out preview")


def check(
    session: Session,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Also ask the feeds, the mail server, the DNS, the public pages.", show_default=False
        ),
    ] = False,
    max_age: Annotated[
        str | None,
        typer.Option(
            "--max-age",
            metavar="TIME",
            help="For monitors: only whether every scheduled digest has gone out within this time (26h); exit 1 if not.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """Check the config, the people, and the built message: what, where, why, how to fix. Exit 3: the letter has errors."""
    if max_age is not None:
        return _check_age(session, max_age, online=online)
    from newsletter.app.check import Level
    from newsletter.app.check import check as look

    findings = look(session.app, online=online)
    errors = [finding for finding in findings if finding.level is Level.error]
    # A letter with faults is work done in part; anything else that is broken is an error.
    code = 0 if not errors else PARTLY if all(finding.rule for finding in errors) else 1
    if session.json:
        names = ("what", "text", "hint", "rule", "where", "why")
        session.out.data([{"level": f.level.name} | {name: getattr(f, name) for name in names} for f in findings])
        return code
    for finding in findings:
        where = f" ({finding.where})" if finding.where else ""
        session.out.line(f"{finding.level.name:<8} {finding.what}: {finding.text}{where}")
        if finding.level is not Level.ok:
            if finding.why:
                session.out.line(f"         why: {finding.why}")
            if finding.hint:
                session.out.line(f"         hint: {finding.hint}")
    return code


def _check_age(session: Session, max_age: str, *, online: bool) -> int:
    from datetime import timedelta

    from newsletter.app.lateness import standings
    from newsletter.config.timing import lateness

    if online:
        raise UsageError("--max-age asks the memory alone: it cannot go with --online")
    try:
        oldest = timedelta(seconds=lateness(max_age))
    except ValueError as error:
        raise UsageError(f"--max-age {error}", hint="newsletter check --max-age 26h") from error
    found = standings(session.app, oldest)
    if session.json:
        session.out.data(found)
    else:
        for one in found:
            session.out.line(f"{'late' if one.is_late else 'ok':<8} {one.digest}: {one.words}")
    return 1 if any(one.is_late for one in found) else 0

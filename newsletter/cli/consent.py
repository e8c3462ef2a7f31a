"""`subscriber consents` and `subscriber erase`: what people have said, and forgetting somebody."""

import sys
from typing import Annotated

import typer

from newsletter.cli.report import moment, plural
from newsletter.cli.session import Session, command
from newsletter.cli.subscriber import group
from newsletter.errors import UsageError


def consents(
    session: Session,
    email: Annotated[str | None, typer.Argument(help="Of this person only.", show_default=False)] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, for a spreadsheet or an archive.")] = False,
) -> None:
    """Show the record of consent: who came, changed, paused and left, when, and by which way."""
    from newsletter.app.consents import consents as lines_of
    from newsletter.app.consents import consents_csv

    lines = lines_of(session.app, email)
    if as_csv:
        if session.json:
            raise UsageError("--csv and --json exclude each other")
        for line in consents_csv(lines):
            session.out.line(line)
        return
    found = list(lines)
    if session.json:
        session.out.data(found)
        return
    session.out.table(
        ("when", "email", "what", "digest", "by", "note"),
        [(moment(one.at), one.email, one.event, one.digest or "all", one.source, one.note) for one in found],
    )
    session.out.say(plural(len(found), "line"))


def erase(
    session: Session,
    email: Annotated[str, typer.Argument(help="The address.")],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.", show_default=False)] = False,
) -> int:
    """Forget a person: their entry, record, links and address are gone for good, and only a keyed hash stays.

    It keeps every later import from bringing them back.  Past issues keep their figures.
    """
    from newsletter.app.consents import about
    from newsletter.app.consents import erase as forget

    what = about(session.app, email)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("erasing cannot be undone and needs a yes", hint=f"newsletter subscriber erase {email} -y")
        session.out.say(f"{what} will be forgotten for good.")
        if not typer.confirm("Erase them?", err=True):
            session.out.say("nothing was erased")
            return 1
    gone = forget(session.app, email)
    if session.json:
        session.out.data(gone)
    session.out.say(
        f"erased {gone.email}: {f'the entry in {gone.place}' if gone.place else 'no entry in the list'}, "
        f"{plural(gone.rows, 'row')} about them; {plural(gone.deliveries, 'message')} count on without a name"
    )
    for name in gone.still_in:
        session.out.warn(f"{name} still has them: it is the list as it was before a move", f"delete {name}")
    session.out.say("what stays is a keyed hash, by which the address is known and refused should it come back")
    return 0


command(group, "consents")(consents)
command(group, "erase")(erase)

"""`db`: the store itself."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from newsletter.cli import upkeep
from newsletter.cli.report import plural, shown
from newsletter.cli.session import Session, command
from newsletter.errors import UsageError

group = typer.Typer(name="db", help="The project's database.", no_args_is_help=True, rich_markup_mode=None)


def info(session: Session) -> None:
    """Say where the database is, its schema, and how much is in it."""
    found, barred = session.app.store.info(), session.app.barred()
    if session.json:
        session.out.data({**asdict(found), "barred": None if barred is None else barred.why})
        return
    if barred is not None:
        session.out.warn(barred.why, barred.hint)
    session.out.table(
        ("what", "value"),
        [
            ("address", found.url_masked),
            ("schema", found.schema),
            ("size", f"{found.size:,} bytes"),
            *found.counts.items(),
        ],
    )


def migrate(session: Session) -> None:
    """Bring an older database to this version's schema; a SQLite file is backed up before."""
    schema, backup = session.app.migrate()
    if session.json:
        session.out.data({"schema": schema, "backup": backup})
    session.out.say(f"the database is at schema {schema}")
    if backup is not None:
        session.out.say(f"as it was before: {shown(backup)}")


def rotate_links(
    session: Session,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Let no link work that was made before.", show_default=False)
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.", show_default=False)] = False,
) -> int:
    """Make the personal links of new issues with a new secret; those in old messages go on working.

    With --revoke they do not, for when messages have got into wrong hands:
    then nobody can unsubscribe by a message that they have already got.
    What is still to be sent of an issue keeps its links, and they work.
    """
    if revoke and not yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "revoking links cannot be undone and needs a yes", hint="newsletter db rotate-links --revoke -y"
            )
        session.out.say(
            "No link in a message that was sent will work any more, neither to unsubscribe nor to settings."
        )
        if not typer.confirm("Revoke them?", default=False, err=True):
            session.out.say("nothing has changed")
            return 1
    found = session.app.store.rotate_links(revoke=revoke)
    if session.json:
        session.out.data(found)
    session.out.say("new issues get new links" + (f"; {plural(found.forgotten, 'link')} revoked" if revoke else ""))
    return 0


command(group, "info")(info)
command(group, "migrate")(migrate)
command(group, "rotate-links")(rotate_links)
upkeep.register(group)

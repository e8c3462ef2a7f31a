"""`suppression`: who must not be mailed, whatever the file says."""

from typing import Annotated, Literal

import typer

from newsletter.cli.report import moment, plural
from newsletter.cli.session import Session, command

group = typer.Typer(
    name="suppression", help="Addresses that must not be mailed, and why.", no_args_is_help=True, rich_markup_mode=None
)


def add(
    session: Session,
    email: Annotated[str, typer.Argument(help="The address.")],
    reason: Annotated[Literal["unsubscribed", "bounced", "complained", "manual"], typer.Option(help="Why.")] = "manual",
    note: Annotated[str, typer.Option(help="Anything worth remembering.", show_default=False)] = "",
) -> None:
    """Mail this address no more, from the next message on, also in a running send."""
    from newsletter.app.edit import suppress
    from newsletter.model import SuppressionReason

    suppression = suppress(session.app, email, SuppressionReason(reason), note)
    if session.json:
        session.out.data(suppression)
    session.out.say(f"{suppression.email} will not be mailed ({suppression.reason})")


def list_(session: Session) -> None:
    """List the addresses that are not mailed."""
    rows = session.app.store.suppressions()
    if session.json:
        session.out.data(rows)
        return
    session.out.table(
        ("email", "reason", "since", "note"), [(s.email, s.reason, moment(s.since), s.note) for s in rows]
    )
    session.out.say(plural(len(rows), "suppression"))


def remove(session: Session, email: Annotated[str, typer.Argument(help="The address.")]) -> None:
    """Allow mail to this address again, because the person asked for it."""
    from newsletter.app.edit import unsuppress

    unsuppress(session.app, email)
    if session.json:
        session.out.data({"email": email})
    session.out.say(f"{email} may be mailed again")


command(group, "add")(add)
command(group, "list")(list_)
command(group, "remove")(remove)

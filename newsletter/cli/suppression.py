"""`suppression`: who must not be mailed, whatever the file says."""

from dataclasses import asdict
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
    digest: Annotated[str | None, typer.Option(help="Of this digest only.", show_default=False)] = None,
) -> None:
    """Mail this address no more, from the next message on, also in a running send."""
    from newsletter.app.edit import suppress
    from newsletter.model import SuppressionReason

    suppression = suppress(session.app, email, SuppressionReason(reason), note, digest)
    on_the_way = session.app.store.on_the_way(suppression.key, suppression.digest)
    if session.json:
        session.out.data({**asdict(suppression), "on_the_way": on_the_way})
    what = f"get no {suppression.digest}" if suppression.digest else "not be mailed"
    session.out.say(f"{suppression.email} will {what} ({suppression.reason})")
    if on_the_way:
        session.out.say(f"{plural(on_the_way, 'message is', 'messages are')} on the way just now and may still arrive")


def list_(session: Session) -> None:
    """List the addresses that are not mailed."""
    rows = session.app.store.suppressions()
    if session.json:
        session.out.data(rows)
        return
    session.out.table(
        ("email", "digest", "reason", "since", "note"),
        [(s.email, s.digest or "all", s.reason, moment(s.since), s.note) for s in rows],
    )
    session.out.say(plural(len(rows), "suppression"))


def remove(
    session: Session,
    email: Annotated[str, typer.Argument(help="The address.")],
    digest: Annotated[
        str | None, typer.Option(help="Only what holds for this digest alone.", show_default=False)
    ] = None,
) -> None:
    """Allow mail to this address again, because the person asked for it."""
    from newsletter.app.edit import unsuppress

    unsuppress(session.app, email, digest)
    if session.json:
        session.out.data({"email": email, "digest": digest})
    session.out.say(f"{email} may be mailed again")


command(group, "add")(add)
command(group, "list")(list_)
command(group, "remove")(remove)

"""`delivery`: what became of each message."""

from typing import Annotated, Literal

import typer

from newsletter.cli.report import moment, plural
from newsletter.cli.session import Session, command

group = typer.Typer(
    name="delivery",
    help="Look at single messages: who got them, who did not, and why.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_State = Literal["queued", "sending", "sent", "deferred", "failed", "unknown", "held", "suppressed", "cancelled"]


def list_(
    session: Session,
    status: Annotated[_State | None, typer.Option("--status", help="Only these.", show_default=False)] = None,
    issue: Annotated[
        int | None, typer.Option("--issue", help="Only of the issue with this number.", show_default=False)
    ] = None,
    digest: Annotated[str | None, typer.Option("--digest", help="Whose issue that is.", show_default=False)] = None,
    person: Annotated[
        str | None, typer.Option("--email", "--to", metavar="EMAIL", help="Only to this address.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> None:
    """List messages with the server's last answer, newest first."""
    from newsletter.app.status import delivery_rows

    # One more than is shown tells whether there are more.
    found = delivery_rows(session.app, status=status, number=issue, digest=digest, email=person, limit=limit + 1)
    rows, more = found[:limit], len(found) > limit
    if session.json:
        session.out.data(rows)
        return
    session.out.table(
        (">id", "issue", "to", "state", ">tries", "last answer", "when"),
        [
            (r.id, r.issue, r.email, r.state, r.attempts, r.answer, moment(r.settled_at or r.next_attempt_at))
            for r in rows
        ],
    )
    session.out.say(plural(len(rows), "message") + (", and there are more: --limit shows them" if more else ""))


command(group, "list")(list_)

"""`delivery`: what became of each message, and trying again."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from newsletter.cli.completing import digest_names
from newsletter.cli.report import moment, plural
from newsletter.cli.session import Session, command
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from newsletter.store.repeating import Repeated

group = typer.Typer(
    name="delivery",
    help="Look at single messages: who got them, who did not, and why; try some again.",
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
    digest: Annotated[
        str | None,
        typer.Option("--digest", help="Whose issue that is.", show_default=False, autocompletion=digest_names),
    ] = None,
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


def retry(
    session: Session,
    ids: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", help="Only these messages.", show_default=False)
    ] = None,
    status: Annotated[
        Literal["failed", "held", "unknown"] | None,
        typer.Option("--status", help="Only those in this state; by default all three.", show_default=False),
    ] = None,
    issue: Annotated[
        int | None, typer.Option("--issue", help="Only of the issue with this number.", show_default=False)
    ] = None,
    digest: Annotated[
        str | None,
        typer.Option("--digest", help="Whose issue that is.", show_default=False, autocompletion=digest_names),
    ] = None,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.", show_default=False)] = False,
) -> None:
    """Put messages that failed or are held back into the outbox; the next send takes them."""
    from newsletter.app.again import retry as bring_back
    from newsletter.app.again import which_deliveries

    if not yes and not sys.stdin.isatty():
        raise UsageError("not on a terminal, so there is nobody to ask", hint="add --yes (-y)")
    which = which_deliveries(session.app, ids or [], status, issue, digest)

    def agrees(found: "Repeated") -> bool:
        question = f"Send {plural(found.queued, 'message')} again with the next send?"
        return yes or typer.confirm(question, default=False, err=True)

    done = bring_back(session.app, which, agrees)
    if session.json:
        session.out.data({"queued": 0} if done is None else done)
    if done is None:
        session.out.say("nothing has changed")
        return
    _tell_left(session, done)
    if done.queued:
        whom = "the workers" if session.app.store.workers() else "the next newsletter send"
        session.out.say(f"{plural(done.queued, 'message waits', 'messages wait')} for {whom}")
    else:
        session.out.say("there is nothing to try again")


def _tell_left(session: Session, done: "Repeated") -> None:
    if done.suppressed:
        people = plural(done.suppressed, "person is", "people are")
        session.out.say(f"{people} suppressed by now and stay without")
    if done.cancelled:
        session.out.say(f"{plural(done.cancelled, 'message belongs', 'messages belong')} to a cancelled issue")


def limits(
    session: Session,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget all of it, and find out anew.", show_default=False)
    ] = False,
) -> None:
    """Show what the refusals of mail servers have taught us that they allow; kept to for thirty days."""
    store = session.app.store
    if forget:
        gone = store.forget_limits()
        if session.json:
            session.out.data({"forgotten": gone})
        session.out.say(f"forgot what was known of {plural(gone, 'mail server')}")
        return
    known = store.all_server_limits()
    if session.json:
        session.out.data(known)
        return
    session.out.table(
        ("server", ">connections", ">messages over one", "rates", "since"),
        [
            (
                server,
                found.connections or "",
                found.per_connection or "",
                ", ".join(f"{count:,} in {seconds:g} s" for count, seconds in found.rates),
                moment(found.learned_at),
            )
            for server, found in known.items()
        ],
    )
    session.out.say(plural(len(known), "mail server"))


command(group, "list")(list_)
command(group, "limits")(limits)
command(group, "retry")(retry)

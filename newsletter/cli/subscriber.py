"""`subscriber`: the people in subscribers.yaml."""

from typing import Annotated, Literal

import typer

from newsletter.cli.report import plural
from newsletter.cli.session import Session, command
from newsletter.errors import UsageError

group = typer.Typer(name="subscriber", help="Add, list and remove people.", no_args_is_help=True, rich_markup_mode=None)


def add(
    session: Session,
    email: Annotated[str, typer.Argument(help="The address.")],
    name: Annotated[str | None, typer.Option(help="What to call the person.", show_default=False)] = None,
    digest: Annotated[
        list[str] | None, typer.Option("--digest", help="Only this digest; may be given again.", show_default=False)
    ] = None,
    language: Annotated[str | None, typer.Option(help="A language tag, e.g. de.", show_default=False)] = None,
    format_: Annotated[
        Literal["html", "text"], typer.Option("--format", help="Multipart with HTML, or plain text only.")
    ] = "html",
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="KEY=VALUE", help="May be given again.", show_default=False),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also somebody who was erased and asks to be back.", show_default=False)
    ] = False,
) -> None:
    """Add a person to subscribers.yaml; comments and order stay."""
    attributes = {}
    for pair in attribute or []:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--attribute {pair!r} is not KEY=VALUE")
        attributes[key.strip()] = value.strip()
    from newsletter.app.consents import add_person
    from newsletter.model import Format

    subscriber = add_person(
        session.app,
        email,
        name=name or "",
        digests=digest or (),
        language=language,
        format_=Format(format_),
        attributes=attributes,
        again=again,
    )
    suppression = session.app.store.suppression(subscriber.key)
    if session.json:
        session.out.data(subscriber)
    session.out.say(f"added {subscriber.email}")
    if suppression is not None:
        session.out.warn(
            f"{subscriber.email} is suppressed ({suppression.reason}) and will not be mailed",
            f"if the person asks to be back: newsletter suppression remove {subscriber.email}",
        )


def list_(
    session: Session,
    digest: Annotated[
        str | None, typer.Option("--digest", help="Only who gets this digest.", show_default=False)
    ] = None,
) -> None:
    """List the people, and whether they are mailed."""
    from newsletter.app.status import subscribers_with_status

    people = subscribers_with_status(session.app, digest)
    if session.json:
        session.out.data([{**row, "subscriber": subscriber} for subscriber, row in people])
        return
    session.out.table(
        ("email", "name", "digests", "language", "format", "status"),
        [
            (s.email, s.name, ", ".join(s.digests) or "all", s.language or "", s.format, row["status"])
            for s, row in people
        ],
    )
    mailed = sum(1 for _, row in people if row["status"] == "active")
    session.out.say(f"{plural(len(people), 'person', 'people')}, {mailed} mailed")


def remove(session: Session, email: Annotated[str, typer.Argument(help="The address.")]) -> None:
    """Take a person out of subscribers.yaml; what was delivered stays known."""
    from newsletter.app.consents import remove_person

    gone = remove_person(session.app, email)
    if session.json:
        session.out.data({"email": gone.email})
    session.out.say(f"removed {gone.email}")


command(group, "add")(add)
command(group, "list")(list_)
command(group, "remove")(remove)

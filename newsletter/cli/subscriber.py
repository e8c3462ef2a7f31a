"""`subscriber`: the people of the list."""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from newsletter.cli.completing import digest_names
from newsletter.cli.options import pairs_of
from newsletter.cli.report import moment, plural
from newsletter.cli.session import Session, command
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from newsletter.app.person import Facts
    from newsletter.app.subscribers import Listed
    from newsletter.people.choosing import Selection

group = typer.Typer(
    name="subscriber",
    help="Add, list, change, remove, import and export people.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Email = Annotated[str, typer.Argument(help="The address.", show_default=False)]
NameFlag = Annotated[str | None, typer.Option(help="What to call the person.", show_default=False)]
LanguageFlag = Annotated[str | None, typer.Option(help="A language tag, e.g. de.", show_default=False)]
TimezoneFlag = Annotated[str | None, typer.Option(help="A time zone, e.g. Europe/Berlin.", show_default=False)]

#: What chooses people, for `list` and `export`.
OfDigest = Annotated[
    str | None,
    typer.Option("--digest", help="Only who gets this digest.", show_default=False, autocompletion=digest_names),
]
OfStatus = Annotated[
    Literal["active", "suppressed", "unsubscribed", "bounced", "complained", "manual", "erased"] | None,
    typer.Option("--status", help="Only these; suppressed is any of those after it.", show_default=False),
]
OfTag = Annotated[
    list[str] | None, typer.Option("--tag", help="Only who has it; may be given again.", show_default=False)
]
OfAttribute = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="KEY=VALUE", help="Only with this attribute; may be given again.", show_default=False
    ),
]
OfLanguage = Annotated[
    str | None, typer.Option("--language", help="Only whose letters are in it; de takes de-AT too.", show_default=False)
]


def selection(
    digest: str | None, status: str | None, tags: list[str] | None, where: list[str] | None, language: str | None
) -> "Selection":
    """The people that the options choose."""
    from newsletter.people.choosing import Selection

    return Selection(
        digest=digest,
        status=status,
        tags=tuple(tags or ()),
        attributes=pairs_of("--where", where),
        language=language,
    )


def add(
    session: Session,
    email: Email,
    name: NameFlag = None,
    digest: Annotated[
        list[str] | None,
        typer.Option(
            "--digest", help="Only this digest; may be given again.", show_default=False, autocompletion=digest_names
        ),
    ] = None,
    language: LanguageFlag = None,
    format_: Annotated[
        Literal["html", "text"], typer.Option("--format", help="Multipart with HTML, or plain text only.")
    ] = "html",
    timezone: TimezoneFlag = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be given again.", show_default=False)] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="KEY=VALUE", help="May be given again.", show_default=False),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also somebody who was erased and asks to be back.", show_default=False)
    ] = False,
) -> None:
    """Add a person to the list; in a file comments and order stay."""
    from newsletter.app.consents import add_person
    from newsletter.model import Format
    from newsletter.people.entry import Details

    details = Details(
        name=name or "",
        digests=digest or (),
        language=language,
        format=Format(format_),
        timezone=timezone,
        tags=tag or (),
        attributes=pairs_of("--attribute", attribute),
    )
    subscriber = add_person(session.app, email, details, again=again)
    suppression = session.app.store.suppression(subscriber.key)
    if session.json:
        session.out.data(subscriber)
    session.out.say(f"added {subscriber.email}")
    if suppression is not None:
        session.out.warn(
            f"{subscriber.email} is suppressed ({suppression.reason}) and will not be mailed",
            f"if the person asks to be back: newsletter suppression remove {subscriber.email}",
        )


def edit(
    session: Session,
    email: Email,
    name: NameFlag = None,
    address: Annotated[
        str | None, typer.Option("--email", metavar="NEW", help="The person's new address.", show_default=False)
    ] = None,
    digest: Annotated[
        list[str] | None,
        typer.Option("--digest", help="Only this digest from now on; may be given again.", show_default=False),
    ] = None,
    language: LanguageFlag = None,
    format_: Annotated[
        Literal["html", "text"] | None, typer.Option("--format", help="What the person gets.", show_default=False)
    ] = None,
    timezone: TimezoneFlag = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="This tag instead of those there are; may be given again.", show_default=False),
    ] = None,
    add_tag: Annotated[
        list[str] | None, typer.Option("--add-tag", help="One more tag; may be given again.", show_default=False)
    ] = None,
    remove_tag: Annotated[
        list[str] | None, typer.Option("--remove-tag", help="Without this tag; may be given again.", show_default=False)
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", metavar="KEY=VALUE", help="May be given again.", show_default=False),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option(
            "--unset",
            metavar="KEY",
            help="Take a key out: name, attributes.city; may be given again.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Change what is said about a person; in a file every other character stays."""
    from newsletter.app.subscribers import edit_subscriber
    from newsletter.model import Format
    from newsletter.people.editing import Edit

    wanted = Edit(
        email=address,
        name=name,
        digests=digest,
        language=language,
        format=None if format_ is None else Format(format_),
        timezone=timezone,
        tags=tag,
        add_tags=add_tag or (),
        remove_tags=remove_tag or (),
        attributes=pairs_of("--attribute", attribute),
        unset=unset or (),
    )
    if wanted == Edit():
        raise UsageError("there is nothing to change", hint="newsletter subscriber edit --help shows what can be said")
    before, after = edit_subscriber(session.app, email, wanted)
    if session.json:
        session.out.data({"before": before, "after": after})
    if before == after:
        session.out.say(f"{before.email} is so already; nothing has changed")
    elif before.email != after.email:
        session.out.say(f"changed {before.email}, now {after.email}")
    else:
        session.out.say(f"changed {after.email}")


def list_(
    session: Session,
    digest: OfDigest = None,
    status: OfStatus = None,
    tag: OfTag = None,
    where: OfAttribute = None,
    language: OfLanguage = None,
    csv: Annotated[bool, typer.Option("--csv", help="As a CSV table.", show_default=False)] = False,
) -> None:
    """List the people, and whether they are mailed."""
    from newsletter.app.subscribers import chosen

    wanted = selection(digest, status, tag, where, language)
    if csv and not session.json:
        from newsletter.app.exchange import export_people

        session.out.say(counted(export_people(session.app, "csv", wanted, session.out.raw).counts))
        return
    people = list(chosen(session.app, wanted))
    if session.json:
        session.out.data([{"status": one.status, "subscriber": one.subscriber} for one in people])
        return
    _table(session, people)
    session.out.say(counted(Counter(one.status for one in people)))


def _table(session: Session, people: "list[Listed]") -> None:
    """A column only where it says something."""
    rows = [
        {
            "email": one.subscriber.email,
            "name": one.subscriber.name,
            "digests": ", ".join(one.subscriber.digests) or "all",
            "language": one.subscriber.language or "",
            "format": one.subscriber.format.value,
            "timezone": one.subscriber.timezone or "",
            "tags": ", ".join(one.subscriber.tags),
            "status": one.status,
        }
        for one in people
    ]
    usual = {"name": "", "digests": "all", "language": "", "format": "html", "timezone": "", "tags": ""}
    columns = [key for key in rows[0] if any(row[key] != usual.get(key) for row in rows)] if rows else []
    session.out.table(columns, [[row[key] for key in columns] for row in rows])


def counted(statuses: "Counter[str]") -> str:
    """`12 people: 10 mailed, 2 unsubscribed`."""
    total, mailed = statuses.total(), statuses["active"]
    others = [f"{number:,} {status}" for status, number in sorted(statuses.items()) if status != "active"]
    return f"{plural(total, 'person', 'people')}: {', '.join([f'{mailed:,} mailed', *others])}"


def show(session: Session, email: Email) -> None:
    """Show everything that is stored about a person."""
    from newsletter.app.person import facts_about

    address, facts = facts_about(session.app, email)
    for fact in facts:
        if fact.trouble:
            session.out.warn(fact.trouble)
    if session.json:
        session.out.data({"email": address.email, **{fact.kind: fact.data for fact in facts}})
        return
    session.out.line(address.email)
    for fact in facts:
        session.out.line("")
        _show(session, fact)


def _show(session: Session, fact: "Facts") -> None:
    if fact.is_empty:
        session.out.line(f"{fact.kind}: nothing")
        return
    session.out.line(f"{fact.kind}:")
    width = max((len(label) for label, _ in fact.pairs), default=0)
    for label, value in fact.pairs:
        text = str(_plain(value)).replace("\n", f"\n  {'':{width}}  ")
        session.out.line(f"  {label:{width}}  {text}")
    if fact.rows:
        session.out.table(fact.columns, [[_plain(value) for value in row] for row in fact.rows])


def _plain(value: object) -> object:
    when: datetime | None = value if hasattr(value, "astimezone") else None  # type: ignore[assignment]
    return value if when is None else moment(when)


def remove(session: Session, email: Email) -> None:
    """Take a person off the list; what was delivered stays known."""
    from newsletter.app.consents import remove_person

    gone = remove_person(session.app, email)
    if session.json:
        session.out.data({"email": gone.email})
    session.out.say(f"removed {gone.email}")


command(group, "add")(add)
command(group, "list")(list_)
command(group, "show")(show)
command(group, "edit")(edit)
command(group, "remove")(remove)

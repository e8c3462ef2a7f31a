"""`feed import`, `feed export` and `import-from`: lists of feeds, and coming from another tool."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.report import plural, shown
from newsletter.cli.session import PARTLY, Session, command
from newsletter.text import one_line

if TYPE_CHECKING:
    from newsletter.app.moving import Moved

DryRun = Annotated[
    bool, typer.Option("-n", "--dry-run", help="Say what would happen; change nothing.", show_default=False)
]

AllowPrivate = Annotated[
    bool,
    typer.Option("--allow-private", help="They may be on this machine or a private network.", show_default=False),
]


def register(app: typer.Typer, feed: typer.Typer) -> None:
    """Add the commands to the program, and to its group `feed`."""
    command(feed, "import")(import_)
    command(feed, "export")(export)
    command(app, "import-from")(import_from)


def import_(
    session: Session,
    file: Annotated[Path, typer.Argument(help="An OPML file.", show_default=False)],
    allow_private: AllowPrivate = False,
    dry_run: DryRun = False,
) -> int:
    """Add the feeds of an OPML file to newsletter.yaml; its groups become tags."""
    from newsletter.app.moving import import_opml

    return _tell(session, import_opml(session.app, file, dry_run=dry_run, allow_private=allow_private))


def export(
    session: Session,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file, instead of printing it.", show_default=False)
    ] = None,
) -> None:
    """Print the project's feeds as OPML, for any other reader."""
    from newsletter.app.moving import export_opml
    from newsletter.errors import UsageError

    text = export_opml(session.app)
    if out is None:
        session.out.line(text.rstrip("\n"))
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error
    session.out.say(f"wrote {shown(out)}")


def import_from(
    session: Session,
    tool: Annotated[str, typer.Argument(help="rss2email, goeland, matcha or opml.", show_default=False)],
    path: Annotated[Path, typer.Argument(help="The tool's configuration, or its folder.", show_default=False)],
    seen: Annotated[
        Path | None,
        typer.Option(
            "--seen", help="Where the tool keeps what it sent, if not in its usual place.", show_default=False
        ),
    ] = None,
    feeds_only: Annotated[
        bool, typer.Option("--feeds-only", help="Bring the feeds as new ones, not what was sent.", show_default=False)
    ] = False,
    allow_private: AllowPrivate = False,
    dry_run: DryRun = False,
) -> int:
    """Bring the feeds of another tool, and what it had sent, so that nothing is sent twice."""
    from newsletter.app.moving import import_from as bring

    moved = bring(
        session.app,
        tool,
        path,
        seen=seen,
        feeds_only=feeds_only,
        dry_run=dry_run,
        allow_private=allow_private,
    )
    return _tell(session, moved)


def _tell(session: Session, moved: "Moved") -> int:
    refused = moved.number("refused")
    if session.json:
        session.out.data(moved)
    else:
        sent = any(feed.sent for feed in moved.feeds)
        session.out.table(
            ("feed", "tags", "what became of it", *((">sent before",) if sent else ())),
            [
                (
                    one_line(feed.title or feed.url, 80),
                    ", ".join(feed.tags),
                    f"{feed.became}: {feed.why}" if feed.why else feed.became,
                    *((feed.sent,) if sent else ()),
                )
                for feed in moved.feeds
            ],
        )
    for remark in moved.remarks:
        session.out.warn(remark)
    would = "would be " if moved.dry_run else ""
    said = f"{plural(moved.number('added'), 'feed')} {would}added, {moved.number('there already')} there already"
    session.out.say(f"{said}, {refused} refused" if refused else said)
    total = sum(feed.sent for feed in moved.feeds) + moved.sent_anywhere
    if total:
        session.out.say(
            f"{moved.rule}; {plural(total, 'entry', 'entries')} {'would be' if moved.dry_run else 'are'} remembered as"
            " sent, and no issue will have them"
        )
    if not refused:
        return 0
    return PARTLY if refused < len(moved.feeds) else 1

"""`subscriber import`, `export` and `move`: lists from and for other tools, and where our own is kept."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from newsletter.cli.report import plural
from newsletter.cli.session import PARTLY, Session, command
from newsletter.cli.subscriber import OfAttribute, OfDigest, OfLanguage, OfStatus, OfTag, counted, selection
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from newsletter.app.exchange import ImportReport
    from newsletter.people.exchange.merge import Outcome

_Source = Literal["mailchimp", "substack", "ghost", "listmonk", "beehiiv", "buttondown", "kit", "csv", "yaml"]
_Status = Literal["subscribed", "unconfirmed", "unsubscribed", "bounced", "complained", "manual"]


def import_(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="The lists.", show_default=False)],
    source: Annotated[
        _Source | None,
        typer.Option("--from", help="Whose lists they are; by default told by the header.", show_default=False),
    ] = None,
    status: Annotated[
        _Status | None,
        typer.Option("--status", help="What holds for rows that do not say it themselves.", show_default=False),
    ] = None,
    digest: Annotated[
        list[str] | None,
        typer.Option("--digest", help="What the people get; all by default; may be given again.", show_default=False),
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Take over what the lists know of people who are here.", show_default=False)
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Show what would be, and change nothing.", show_default=False)
    ] = False,
    rejects: Annotated[
        Path | None,
        typer.Option(
            "--rejects", metavar="FILE", help="Write the rows that cannot be used, to be corrected.", show_default=False
        ),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of the tables, e.g. cp1252; by default found out.", show_default=False)
    ] = None,
) -> int | None:
    """Bring people in from lists; who must not be mailed becomes a suppression.

    An import done twice changes nothing the second time.
    """
    from newsletter.app.exchange import import_lists

    with session.out.progress("reading", None, times=False) as step:
        report = import_lists(
            session.app,
            files,
            tool=source,
            status=status,
            digests=digest or (),
            encoding=encoding,
            update=update,
            dry_run=dry_run,
            rejects_to=rejects,
            keep_all=session.json or session.verbose,
            on_row=lambda done: None if done % 500 else step(done),
        )
    if session.json:
        session.out.data(
            {
                "dry_run": report.dry_run,
                "changed": report.wrote and not report.dry_run,
                "lists": report.lists,
                "counts": report.counts,
                "rejects": report.rejects,
                "outcomes": report.outcomes,
            }
        )
    else:
        _tell(session, report)
    return PARTLY if report.counts["rejected"] else None


def _tell(session: Session, report: "ImportReport") -> None:
    out = session.out
    for read in report.lists:
        out.say(f"{read.file}: {read.tool}, {plural(read.rows, 'row')}")
    for read in report.lists:
        if read.notice:
            out.warn(f"{read.file}: {read.notice}")
    by_kind: dict[str, list[Outcome]] = {}
    for outcome in report.outcomes:
        by_kind.setdefault(outcome.kind.value, []).append(outcome)
    in_full = report.dry_run or session.verbose
    for kind, heading in _HEADS.items():
        if kind in by_kind and (in_full or kind not in _ONLY_IN_FULL) and (kind != "unchanged" or session.verbose):
            out.line(f"{heading} ({report.counts[kind]:,}):")
            for one in by_kind[kind]:
                out.line(f"  {one.place}: {one.email}{_joint(kind, one.why)}{one.why}")
            if left := report.counts[kind] - len(by_kind[kind]):
                out.line(f"  and {left:,} more (-v shows all)")
    _tell_rejected(session, report, by_kind.get("rejected", ()))
    out.say(_summary(report))
    _tell_what_next(session, report, by_kind.get("unchanged", ()))


def _tell_rejected(session: Session, report: "ImportReport", rejected: "Sequence[Outcome]") -> None:
    for one in rejected:
        session.out.warn(f"{one.place}: {one.why}")
    if left := report.counts["rejected"] - len(rejected):
        session.out.warn(f"and {left:,} more rows that cannot be used", "--rejects FILE writes them all")


def _tell_what_next(session: Session, report: "ImportReport", unchanged: "Sequence[Outcome]") -> None:
    from newsletter.people.exchange.merge import DIFFERS

    more = next((one.why.removesuffix(DIFFERS).strip() for one in unchanged if one.why.endswith(DIFFERS)), None)
    if more is not None:
        session.out.say(f"of some people the list knows more than {more}, or otherwise: --update takes it over")
    for path in report.rejects:
        session.out.say(f"what cannot be used stands in {path}: correct it there, and import that file")


#: What becomes of rows, as a heading.
_HEADS = {
    "added": "added",
    "changed": "changed",
    "suppressed": "suppressed, because the list says so",
    "withheld": "not added, because of a suppression",
    "left out": "left out",
    "unchanged": "unchanged",
}
_ONLY_IN_FULL = frozenset({"added", "changed"})


def _joint(kind: str, why: str) -> str:
    if not why:
        return ""
    return " " if why.startswith(("is ", "has ", "was ")) else ": " if kind == "changed" else ", "


def _summary(report: "ImportReport") -> str:
    counts = report.counts
    would = "would be " if report.dry_run else ""
    parts = [f"{counts[kind]:,} {would}{kind}" for kind in ("added", "changed", "suppressed") if counts[kind]]
    parts += [
        f"{counts[kind]:,} {word}"
        for kind, word in (
            ("unchanged", "unchanged"),
            ("withheld", "not added because suppressed"),
            ("left out", "left out"),
            ("rejected", "rejected"),
        )
        if counts[kind]
    ]
    words = ", ".join(parts) or "no rows"
    if report.dry_run:
        return f"{words}; nothing was changed (--dry-run)"
    return words if report.wrote else f"{words}; nothing has changed"


def export(
    session: Session,
    form: Annotated[
        Literal["csv", "yaml", "json", "mailchimp", "listmonk", "ghost"],
        typer.Option("--format", help="For which program; csv has all that is known."),
    ] = "csv",
    digest: OfDigest = None,
    status: OfStatus = None,
    tag: OfTag = None,
    where: OfAttribute = None,
    language: OfLanguage = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Instead of stdout.", show_default=False)
    ] = None,
) -> None:
    """Take people out, for another program or another project.

    A format that cannot say who must not be mailed leaves those people out.
    """
    from newsletter.app.exchange import export_people, export_to_file

    if session.json:
        raise UsageError("an export is a file of its own form", hint="--format json")
    wanted = selection(digest, status, tag, where, language)
    if out is None:
        done = export_people(session.app, form, wanted, sys.stdout.write)
    else:
        done = export_to_file(session.app, form, wanted, out)
    session.out.say(counted(done.counts) + (f", in {out}" if out else ""))
    if done.left_out:
        people = plural(done.left_out, "person who is", "people who are")
        session.out.say(f"left out {people} not mailed: {form} has no place for that; --status suppressed exports them")


def move(
    session: Session,
    to: Annotated[
        Literal["database", "file"], typer.Option("--to", help="Where the people are to be.", show_default=False)
    ],
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would be, and change nothing.", show_default=False)
    ] = False,
) -> None:
    """Move the people from their file into the database, or back; newsletter.yaml says where they are.

    All that is known of them moves; the comments of a file cannot, so the old file is kept.
    """
    from newsletter.app.relocating import move_people

    moved = move_people(session.app, to_database=to == "database", dry_run=dry_run)
    if session.json:
        session.out.data({"dry_run": dry_run, **asdict(moved)})
    people, where = plural(moved.people, "person", "people"), "the database" if to == "database" else moved.file
    if not moved.is_news:
        session.out.say(f"{people} in {where} already; nothing has changed")
        return
    if dry_run:
        session.out.say(f"{people} would move to {where}; nothing was changed (--dry-run)")
        if to == "database":
            session.out.say(f"comments cannot move: {moved.file} would be kept as {moved.file}.moved")
        return
    session.out.say(f"moved {people} to {where}, and newsletter.yaml says so")
    if moved.set_aside:
        comments = " with its comments, which cannot move" if to == "database" else ""
        session.out.say(f"the old file is kept{comments}: {moved.set_aside}")


def register(group: typer.Typer) -> None:
    """Add the commands to their group."""
    command(group, "import")(import_)
    command(group, "export")(export)
    command(group, "move")(move)

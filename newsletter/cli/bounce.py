"""`bounce`: what came back, and what it led to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.report import moment, plural
from newsletter.cli.session import PARTLY, Session, command
from newsletter.text import one_line

if TYPE_CHECKING:
    from datetime import datetime

    from newsletter.model import Bounce, BounceReport
    from newsletter.people.bounces.scan import Seen

#: Of a server's words, in a line of many.
_WORDS = 120

group = typer.Typer(
    name="bounce", help="Reports and complaints that came back.", no_args_is_help=True, rich_markup_mode=None
)


def scan(
    session: Session,
    maildir: Annotated[
        Path | None, typer.Option("--maildir", metavar="DIR", help="Read this maildir.", show_default=False)
    ] = None,
    imap: Annotated[
        str | None,
        typer.Option("--imap", metavar="URL", help="Read imaps://USER@HOST/FOLDER.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what is there, and change nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Read also what was read before.")] = False,
) -> int:
    """Read the mailbox for reports, and stop mail to addresses that are gone."""
    from newsletter.app.bounces import scan as read

    out = session.out

    def told(seen: "Seen") -> None:
        for line in _lines(seen):
            out.say(line)

    found = read(session.app, maildir=maildir, imap=imap, dry_run=dry_run, again=again, on_seen=told)
    if session.json:
        out.data(
            {
                "mailbox": found.mailbox,
                "kinds": {kind.value: number for kind, number in found.kinds.items()},
                "messages": found.seen,
                "error": None if found.error is None else str(found.error),
            }
        )
    stopped = sum(len(one.stopped) for one in found.seen)
    unproven = sum(
        1
        for one in found.seen
        for bounce in one.bounces
        if one.is_new and bounce.proof is None and bounce.kind not in ("policy", "delay")
    )
    words = ", ".join(f"{number} {kind}" for kind, number in sorted(found.kinds.items())) or "nothing new"
    if found.seen or found.error is None:
        out.say(f"{plural(len(found.seen), 'message')} read in {found.mailbox}: {words}; mail to {stopped} stopped")
    if unproven:
        out.warn(
            f"{plural(unproven, 'bounce')} without proof that we wrote there: kept, and counted for nothing",
            "newsletter bounce list --unproven",
        )
    if found.error is None:
        return 0
    out.error(str(found.error), found.error.hint)
    return PARTLY if found.seen else 1


def _lines(seen: "Seen") -> list[str]:
    lines = []
    if seen.command is not None:
        lines.append(f"{seen.sender} wrote “{seen.subject}”: {seen.command}")
    for bounce in seen.bounces:
        if not seen.is_new:
            continue
        reason = seen.stopped.get(bounce.key)
        end = f": suppressed ({reason})" if reason is not None else "" if bounce.proof else ": no proof, not counted"
        words = one_line(bounce.words, _WORDS) or bounce.status or "no reason given"
        lines.append(f"{bounce.email}: {bounce.kind}, {words}{end}")
    return lines


def list_(
    session: Session,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Only what has no proof and counts for nothing.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 50,
) -> None:
    """List reports, and what servers refused while we were sending, the newest first."""
    from newsletter.app.bounces import what_to_do

    rows = session.app.store.reports(unproven=unproven, limit=limit)
    refusals = [] if unproven else session.app.store.refusals(limit)
    if session.json:
        session.out.data([*map(_json, rows), *map(_refusal_json, refusals)])
        return
    out = session.out
    lines: list[tuple[datetime, int | None, str, tuple[Bounce, ...], str]]
    lines = [(row.recorded_at, row.id, row.kind, row.bounces, row.subject) for row in rows]
    lines += [(one.recorded_at, None, one.kind, (one,), "") for one in refusals]
    lines.sort(key=lambda line: line[0], reverse=True)
    out.table(
        (">id", "recorded", "kind", "whom", "status", "words", "proof"),
        [
            (
                id_ or "—",
                moment(recorded_at),
                kind,
                ", ".join(one.email for one in bounces) or "—",
                next((one.status for one in bounces if one.status), ""),
                one_line(next((one.words for one in bounces), subject), _WORDS),
                ", ".join(dict.fromkeys(one.proof or "none" for one in bounces)),
            )
            for recorded_at, id_, kind, bounces, subject in lines[:limit]
        ],
    )
    more = f", {plural(len(refusals), 'refusal')} while we were sending" if refusals else ""
    out.say(f"{plural(len(rows), 'report')}{more}")
    if unproven and rows:
        rules = session.app.config.bounces.rules
        out.say(next((words for row in rows if (words := what_to_do(row, rules))), ""))


def show(session: Session, number: Annotated[int, typer.Argument(metavar="ID", help="Of `bounce list`.")]) -> None:
    """Show one report: what it says of whom, what shows that it is true, and the report itself."""
    from newsletter.app.bounces import find_report, what_to_do
    from newsletter.store.bounces import PROOFS
    from newsletter.text import multi_line

    report = find_report(session.app, number)
    text = multi_line(report.raw.decode("utf-8", "replace"))
    if session.json:
        session.out.data({**_json(report), "raw": text})
        return
    out = session.out
    out.line(f"report {report.id}: {report.kind}, recorded {moment(report.recorded_at)}")
    out.line(
        f"  from {report.sender or '—'}: {report.subject or 'no subject'} ({report.size:,} bytes, {report.mailbox})"
    )
    for one in report.bounces:
        out.line(f"  {one.email}: {one.kind}, {one.status or 'no status'}, {moment(one.happened_at)}")
        if one.words:
            out.line(f"    “{one.words}”")
        out.line(f"    {'no proof' if one.proof is None else PROOFS[one.proof]}{'; forgiven' if one.forgiven else ''}")
    if todo := what_to_do(report, session.app.config.bounces.rules):
        out.line(f"  {todo}")
    out.line("")
    out.line(text or "the report itself is no longer kept")


def _json(report: "BounceReport") -> dict[str, object]:
    return {
        "id": report.id,
        "kind": report.kind,
        "recorded_at": report.recorded_at,
        "mailbox": report.mailbox,
        "sender": report.sender,
        "subject": report.subject,
        "size": report.size,
        "bounces": report.bounces,
    }


def _refusal_json(bounce: "Bounce") -> dict[str, object]:
    return {
        "id": None,
        "kind": bounce.kind,
        "recorded_at": bounce.recorded_at,
        "mailbox": None,
        "sender": None,
        "subject": None,
        "size": None,
        "bounces": [bounce],
    }


command(group, "scan")(scan)
command(group, "list")(list_)
command(group, "show")(show)

"""`issue`: past and present issues, their files, sending one again, and stopping one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli import draft
from newsletter.cli.completing import digest_names, issue_numbers
from newsletter.cli.options import moment_of
from newsletter.cli.report import moment, plural
from newsletter.cli.session import PARTLY, Session, command

if TYPE_CHECKING:
    from newsletter.app.rebuild import Rebuilt
    from newsletter.model import Issue

group = typer.Typer(
    name="issue",
    help="Look at issues, export them, send one again, pause or cancel one; change and approve drafts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Number = Annotated[int, typer.Argument(help="The issue's number.", show_default=False, autocompletion=issue_numbers)]
DigestFlag = Annotated[
    str | None,
    typer.Option(
        "--digest", help="Which digest, where there are several.", show_default=False, autocompletion=digest_names
    ),
]

AsOfFlag = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="Instead of a number: the last issue by that time, such as 2026-11-20T07:00.",
        show_default=False,
    ),
]

_FORMATS = ("markdown", "archive", "html", "text", "eml", "json")


def list_(session: Session, digest: DigestFlag = None) -> None:
    """List issues, newest first; drafts that wait for their editor above them."""
    from newsletter.app.drafts import open_drafts
    from newsletter.app.status import issue_rows

    rows = issue_rows(session.app, digest)
    if not session.json:
        draft.say_drafts(session.out, [row for row in open_drafts(session.app) if digest in (None, row.digest)])
    if session.json:
        session.out.data(rows)
        return
    session.out.table(
        ("issue", "frozen", ">entries", ">sent", ">to come", "state", "subject"),
        [
            (f"{r.digest} {r.number}", moment(r.frozen_at), r.entries, r.sent, r.unsettled, r.words, r.subject)
            for r in rows
        ],
    )


def show(session: Session, number: Number, digest: DigestFlag = None) -> None:
    """Show one issue: its entries, and what became of its messages; or a draft that waits for its editor."""
    from newsletter.app.drafts import draft_row, find_draft
    from newsletter.app.status import issue_details

    if (kept := find_draft(session.app, number, digest)) is not None:
        draft.show_draft(session, draft_row(session.app, kept))
        return
    row, entries = issue_details(session.app, number, digest)
    if session.json:
        session.out.data({**row.as_dict(), "list": entries})
        return
    out = session.out
    out.line(f"{row.digest} {row.number}: {row.subject}")
    out.line(f"frozen {moment(row.frozen_at)}, {row.words}")
    if row.note:
        out.line("")
        out.line(row.note)
    out.line("")
    out.table(("entry", "as", "why", "address"), [(e["title"], e["as"], e["why"], e["url"]) for e in entries])
    out.line("")
    out.table(("state", ">messages"), [(state, number) for state, number in row.counts.items()])


def export(
    session: Session,
    number: Number,
    format_: Annotated[str, typer.Option("--format", help=", ".join(_FORMATS))] = "markdown",
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder; stdout by default where it is one file.", show_default=False)
    ] = None,
    digest: DigestFlag = None,
) -> None:
    """Write an issue as Markdown, archive files, HTML, text, .eml or JSON."""
    from newsletter.app.exports import export_issue

    files = export_issue(session.app, number, digest, format_)
    if out is None and len(files) == 1 and not session.json:
        typer.echo(next(iter(files.values())), nl=False)
        return
    folder = out or Path()
    written = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        written.append(path)
    if session.json:
        session.out.data(written)
        return
    for path in written:
        session.out.line(str(path))


def rebuild(
    session: Session,
    number: Annotated[int | None, typer.Argument(help="The issue's number.", show_default=False)] = None,
    as_of: AsOfFlag = None,
    with_now: Annotated[
        bool,
        typer.Option(
            "--now",
            help="With the settings and templates of now instead of those it was made with.",
            show_default=False,
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write what was made again into this folder.", show_default=False)
    ] = None,
    digest: DigestFlag = None,
) -> int:
    """Make a past issue again from its entries as they were, and compare it with what was frozen.

    Exit code 1 says that they are not the same, byte for byte; what has
    changed since then is named either way.
    """
    from newsletter.app.rebuild import issue_at, write_rebuilt
    from newsletter.app.rebuild import rebuild as make_again

    moment = None if as_of is None else moment_of("--as-of", as_of, session, digest)
    issue = issue_at(session.app, number, digest, moment)
    done = make_again(session.app, issue, with_now=with_now)
    files = [] if out is None else write_rebuilt(session.app, done, out)
    if session.json:
        session.out.data(
            {
                "issue": issue.number,
                "digest": issue.digest,
                "same": done.is_same,
                "recipe_kept": done.kept,
                "with_now": done.with_now,
                "renderings": [{"key": one.key, "differs": one.differs} for one in done.renderings],
                "personal": done.personal,
                "entries": done.entries,
                "changes": done.changes,
                "files": files,
            }
        )
        return 0 if done.is_same else 1
    _tell_rebuilt(session, done)
    for path in files:
        session.out.line(str(path))
    return 0 if done.is_same else 1


def _tell_rebuilt(session: Session, done: "Rebuilt") -> None:
    from newsletter.issues.sidebyside import diff

    out, issue = session.out, done.issue
    for entry in done.entries:
        out.line(entry)
    for one in done.renderings:
        for part in one.differs:
            if part == "fields":
                out.line(f"{one.key}: merge fields {one.frozen.fields} then, {one.rebuilt.fields} now")
                continue
            name, token = f"{issue.digest}-{issue.number}.{one.key}.{part}", issue.envelope.merge_token
            for line in diff(part, getattr(one.frozen, part), getattr(one.rebuilt, part), token, name=name):
                out.line(line)
    source = "with the settings and templates of now" if done.with_now else "with what it was made with"
    made = f"issue {issue.number} of {issue.digest} made again {source}: "
    made += plural(len(done.renderings), "rendering", "renderings")
    out.say(f"{made}, the same bytes" if done.is_same else f"{made}; they differ")
    if done.personal:
        words = plural(done.personal, "rendering was", "renderings were")
        out.say(f"{words} made for readers of whom a template asks something, which is not kept: not compared")
    if not done.kept:
        out.say("it was frozen by a version that did not keep what an issue is made from")
    for change in done.changes:
        is_file = change.what.startswith("templates/")
        out.say(f"since then: {change.what} " + ("has changed" if is_file else f"{change.then!r} → {change.now!r}"))


def pause(session: Session, number: Number, digest: DigestFlag = None) -> None:
    """Stop sending an issue, also in a running send; what is left waits."""
    from newsletter.app.status import find_issue

    issue = find_issue(session.app, number, digest)
    session.app.store.pause(issue.id, "")
    _tell(session, "paused", issue)


def resume(session: Session, number: Number, digest: DigestFlag = None) -> None:
    """Let a paused issue go on: with the next send, or by the workers that there are."""
    from newsletter.app.edit import resume as let_go_on
    from newsletter.app.status import find_issue

    issue = find_issue(session.app, number, digest)
    goes_on = let_go_on(session.app, issue)
    _tell(session, f"resumed; {'the workers go' if goes_on else 'newsletter send goes'} on with it", issue)


def cancel(session: Session, number: Number, digest: DigestFlag = None) -> None:
    """Send no more of an issue, or nothing for a draft; if nothing of it went out, its entries wait again."""
    from newsletter.app.drafts import cancel_draft, find_draft
    from newsletter.app.edit import cancel as cancel_issue
    from newsletter.app.status import find_issue

    if (kept := find_draft(session.app, number, digest)) is not None:
        closed = cancel_draft(session.app, kept)
        _say(
            session,
            f"draft of issue {closed.number} of {closed.digest}",
            f"cancelled; nothing goes out for {closed.slot}",
        )
        return
    issue = find_issue(session.app, number, digest)
    released = cancel_issue(session.app, issue)
    _tell(session, "cancelled; its entries wait for the next one" if released else "cancelled", issue)


def resend(
    session: Session,
    number: Number,
    to: Annotated[str, typer.Option("--to", metavar="EMAIL", help="To whom; somebody on the list.")],
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also to somebody who got it: the same message, under the same Message-ID.",
            show_default=False,
        ),
    ] = False,
    digest: DigestFlag = None,
) -> int:
    """Mail an issue now to one person who did not get it or asks again, and to nobody else."""
    import asyncio

    from newsletter.app.again import resend as send_again
    from newsletter.cli.report import report_json
    from newsletter.cli.stopping import until_stopped
    from newsletter.model import UNSETTLED, DeliveryState

    report, before = asyncio.run(
        until_stopped(
            lambda stop: send_again(session.app, number, digest, to, force=force, on_progress=lambda _: None, stop=stop)
        )
    )
    name = f"issue {number} of {report.issue.digest}"
    state = next(iter(report.counts))
    if session.json:
        session.out.data({**report_json(report), "to": to, "before": before})
    if report.stopped:
        session.out.error(report.stopped, "newsletter send tries again")
        return 1
    if state is DeliveryState.sent:
        again = ", again: the same message, under the same Message-ID" if before is DeliveryState.sent else ""
        session.out.say(f"{name} sent to {to}{again}")
        return 0
    if report.is_handed_out and state in UNSETTLED:
        session.out.say(f"{name} to {to} is left to the workers, who are at that part of the issue")
        return PARTLY
    session.out.say(f"{name} to {to}: {state}; newsletter explain {to} says why")
    return PARTLY


def _tell(session: Session, words: str, issue: "Issue") -> None:
    _say(session, f"issue {issue.number} of {issue.digest}", words)


def _say(session: Session, name: str, words: str) -> None:
    if session.json:
        session.out.data({"issue": name.removeprefix("issue "), "done": words})
    session.out.say(f"{name} {words}")


draft.register(group)
command(group, "list")(list_)
command(group, "show")(show)
command(group, "export")(export)
command(group, "rebuild")(rebuild)
command(group, "pause")(pause)
command(group, "resume")(resume)
command(group, "resend")(resend)
command(group, "cancel")(cancel)

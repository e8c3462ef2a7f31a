"""`issue edit | approve`, and what other commands say of drafts that wait for their editor."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.output import Output
from newsletter.cli.report import moment, plural
from newsletter.cli.session import Session, command
from newsletter.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from newsletter.app.drafts import DraftRow
    from newsletter.model import StoredDraft

MaybeNumber = Annotated[
    int | None, typer.Argument(help="The draft's number; by default the only draft there is.", show_default=False)
]
DigestFlag = Annotated[
    str | None, typer.Option("--digest", help="Which digest, where there are several.", show_default=False)
]
_STDIN = "-"


def register(group: typer.Typer) -> None:
    """Add the commands to `issue`."""
    command(group, "approve")(approve)
    command(group, "edit")(edit)


def approve(
    session: Session,
    number: MaybeNumber = None,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="HEX", help="Only if its letter is still this one.", show_default=False),
    ] = None,
    digest: DigestFlag = None,
) -> None:
    """Approve a draft: it goes out at its slot, or with the next look where that has passed."""
    from newsletter.app.drafts import approve as approve_draft
    from newsletter.app.drafts import require_draft

    kept = approve_draft(session.app, require_draft(session.app, number, digest), fingerprint)
    when = "with the next look" if kept.due_at <= session.app.clock.now() else f"at {moment(kept.due_at)}"
    _tell(session, kept, f"approved as {kept.fingerprint}; it goes out {when} (newsletter send --due, newsletter run)")


def edit(
    session: Session,
    number: MaybeNumber = None,
    note: Annotated[
        str | None,
        typer.Option("--note", metavar="TEXT", help='What stands above the entries: Markdown, @FILE, or "".'),
    ] = None,
    hide: Annotated[
        list[int] | None,
        typer.Option("--hide", metavar="ID", help="An entry to leave out for good; may be given again."),
    ] = None,
    show: Annotated[list[int] | None, typer.Option("--show", metavar="ID", help="An entry to take in again.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Take up this file, which --out wrote; - for standard input.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the draft as a file to change.")] = None,
    digest: DigestFlag = None,
) -> None:
    """Change a draft: in your editor (VISUAL, EDITOR), by a file, or by the options. It then waits for approval again."""
    from newsletter.app.drafts import change, draft_text, require_draft, take_text

    given = note is not None or bool(hide) or bool(show)
    if given + (file is not None) + (out is not None) > 1:
        raise UsageError("--file, --out, and the other options cannot go together")
    app = session.app
    kept = require_draft(app, number, digest)
    if out is not None:
        out.write_text(draft_text(app, kept), encoding="utf-8")
        session.out.say(f"wrote {out}: change it, then newsletter issue edit {kept.number} --file {out}")
        if session.json:
            session.out.data({"file": out, "revision": kept.revision})
        return
    if given:
        changed = change(app, kept, note=note, hide=hide or (), show=show or ())
    elif file is not None:
        changed = take_text(app, kept, _read(file), path=str(file))
    else:
        changed = _in_editor(session, kept)
    if changed.revision == kept.revision:
        _tell(session, kept, "as it was")
        return
    _tell(session, changed, f"changed; newsletter issue approve {kept.number} lets it go out")


def _read(file: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == _STDIN else file.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error


def _in_editor(session: Session, kept: "StoredDraft") -> "StoredDraft":
    """Have the person change the draft in their own editor; what has mistakes is not lost."""
    from newsletter.app.drafts import draft_text, take_text

    if not sys.stdin.isatty():
        raise UsageError(
            "not on a terminal, so there is no editor to open",
            hint=f"newsletter issue edit {kept.number} --out draft.md, then --file draft.md",
        )
    from newsletter.app.texteditor import edited

    name = Path(f"draft-{kept.digest}-{kept.number}.md")
    text = edited(draft_text(session.app, kept), name.name)
    try:
        return take_text(session.app, kept, text, path=str(name))
    except ConfigError as error:
        name.write_text(text, encoding="utf-8")
        raise ConfigError(
            error.problems, hint=f"what you wrote is in {name}: newsletter issue edit {kept.number} --file {name}"
        ) from error


def show_draft(session: Session, row: "DraftRow") -> None:
    """Show a draft as `issue show` does an issue."""
    out = session.out
    if session.json:
        out.data(row)
        return
    out.line(f"{row.digest} {row.number}: {row.subject or row.problem}")
    out.line(f"{row.words}; {plural(row.entries, 'entry', 'entries')}, to {plural(row.recipients, 'subscriber')}")
    if row.reason:
        out.line(row.reason)
    out.line(
        f"letter {row.fingerprint}, change {row.revision - 1}" if row.revision > 1 else f"letter {row.fingerprint}"
    )
    if row.note:
        out.line("")
        out.line(row.note)
    out.line("")
    out.table((">id", "entry", "as", "why", "address"), [(e.id, e.title, e.as_, e.why, e.url or "") for e in row.list])
    out.line("")
    for line in next_steps(row):
        out.line(line)


def next_steps(row: "DraftRow") -> list[str]:
    """What may be done about a draft, and what follows if nothing is."""
    if row.state == "approved":
        return [
            f"newsletter send --due sends it from {moment(row.due_at)} on; newsletter issue cancel {row.number} drops it"
        ]
    otherwise = {
        "send": f"it goes out at {moment(row.answer_by)}",
        "hold": "it waits until the next draft is due",
        "cancel": f"nothing goes out for this slot after {moment(row.answer_by)}",
    }
    steps = [f"newsletter issue approve {row.number} | edit {row.number} | cancel {row.number}"]
    return [*steps, f"without an answer {otherwise[row.without_answer]}"] if row.without_answer else steps


def say_drafts(out: Output, rows: "list[DraftRow] | tuple[DraftRow, ...]") -> None:
    """Name each draft that waits, with what to do."""
    for row in rows:
        out.line(f"{row.digest} {row.number}: {row.words}; {'; '.join(next_steps(row))}")


def kept_words(kept: "StoredDraft") -> str:
    """Which draft it is, and how it stands."""
    how = "approved" if kept.state == "approved" else "which waits for its approval"
    return f"the draft for {kept.slot}, {how}"


def say_kept(out: Output, kept: "StoredDraft") -> None:
    """Say that a draft has been made, or waits again, and what to do."""
    if kept.reason:
        out.warn(
            f"{kept.digest}, {kept.slot}: {kept.reason}",
            f"newsletter issue approve {kept.number} --digest {kept.digest}",
            event="draft.again",
            digest=kept.digest,
            slot=kept.slot,
            issue=kept.number,
        )
        return
    out.say(
        f"{kept.digest}: the draft of issue {kept.number}, for {kept.slot}, waits for its approval: "
        f"newsletter issue show {kept.number}, then approve, edit or cancel {kept.number}",
        event="draft.waits",
        digest=kept.digest,
        slot=kept.slot,
        issue=kept.number,
    )


def _tell(session: Session, kept: "StoredDraft", words: str) -> None:
    name = f"{kept.number} of {kept.digest}"
    if session.json:
        session.out.data(
            {"draft": name, "slot": kept.slot, "state": kept.state, "revision": kept.revision, "done": words}
        )
    session.out.say(f"draft of issue {name}: {words}")

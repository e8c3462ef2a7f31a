"""`preview`: the next issue, or a past one, in the browser or as files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.options import DigestArgument, NoteFlag, moment_of
from newsletter.cli.report import pictures_json, pictures_words
from newsletter.cli.session import Session, command
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from newsletter.app.desk import EditorsDesk
    from newsletter.preview.choice import Choice


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "preview")(preview)


def preview(
    session: Session,
    digest: DigestArgument = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the page and the letter's parts into this folder.", show_default=False),
    ] = None,
    as_email: Annotated[
        str | None, typer.Option("--as", metavar="EMAIL", help="As this subscriber gets it.", show_default=False)
    ] = None,
    issue: Annotated[
        int | None, typer.Option("--issue", metavar="N", help="A past issue instead of the next.", show_default=False)
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="TIME",
            help="The next issue as of another time, such as 2026-11-20T07:00.",
            show_default=False,
        ),
    ] = None,
    note: NoteFlag = None,
    fetch_first: Annotated[
        bool, typer.Option("--fetch/--no-fetch", help="Poll the feeds first (without recording it).")
    ] = True,
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where to serve; a free one by default.", show_default=False)
    ] = 0,
    open_it: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open it in the browser.", show_default=False)
    ] = None,
) -> int:
    """Show the next issue as a subscriber will get it; changes no state at all.

    It is served on this machine until Ctrl-C and follows every file you save;
    with --out it is written as files.
    """
    from newsletter.app.desk import EditorsDesk
    from newsletter.preview.choice import Choice

    moment = None if as_of is None else moment_of("--as-of", as_of, session, digest)
    start = Choice(digest=digest, issue=issue, reader=as_email, as_of=moment)
    desk = EditorsDesk(session.config, start=start, note=note, fetch_first=fetch_first)
    try:
        _poll(session, desk)
        choice = desk.start
        if out is not None:
            return _write(session, desk, choice, out, open_it=bool(open_it))
        return _serve(session, desk, choice, port, open_it=open_it)
    finally:
        desk.close()


def _poll(session: Session, desk: "EditorsDesk") -> None:
    with session.out.progress("feeds", desk.feeds) as step:
        done = 0

        def answered(_: object) -> None:
            nonlocal done
            done += 1
            step(done)

        desk.open(answered)


def _write(session: Session, desk: "EditorsDesk", choice: "Choice", folder: Path, *, open_it: bool) -> int:
    from newsletter.app.letters import Letter
    from newsletter.preview.frozen import write_frozen

    copy = desk.copy(choice)
    view = desk.letter(choice)
    assert view.issue is not None
    files = copy.write(folder)
    data = {
        "project": desk.project(),
        "letter": view,
        "findings": desk.findings(choice),
        "status": desk.status(),
    }
    files += write_frozen(folder, data)
    page = folder / "index.html"
    for notice in view.notices:
        session.out.warn(notice)
    if session.json:
        session.out.data(
            {
                "digest": view.issue.digest,
                "number": view.issue.number,
                "subject": view.subject,
                "entries": view.issue.entries,
                "sample": view.sample,
                "as": copy.reader.email,
                "size": desk.size(choice),
                "pictures": pictures_json(copy.draft) if isinstance(copy, Letter) else None,
                "files": files,
            }
        )
    else:
        session.out.say(
            f"issue {view.issue.number} of {view.issue.digest}, {view.issue.entries} entries, "
            f"as {copy.reader.email} would get it"
        )
        session.out.say(f"subject: {view.subject}")
        if view.size is not None:
            session.out.say(view.size.words)
        if isinstance(copy, Letter) and copy.draft.pictures:
            session.out.say(pictures_words(copy.draft))
        for path in files:
            if path.suffix not in (".js", ".css"):
                session.out.line(str(path))
    if open_it:
        typer.launch(str(page))
    return 0


def _serve(session: Session, desk: "EditorsDesk", choice: "Choice", port: int, *, open_it: bool | None) -> int:
    import asyncio

    from newsletter.preview.server import Preview

    view = desk.letter(choice)
    if view.problem is not None and view.problem.kind == "usage":
        raise UsageError(view.problem.message, hint=view.problem.hint)
    for notice in (view.problem.message,) if view.problem else view.notices:
        session.out.warn(notice)

    async def serve() -> None:
        import signal

        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with Preview(desk, desk.ids.token()).serving(port) as address:
            if session.json:
                session.out.data({"url": address})
            else:
                session.out.line(address)
                session.out.say("the preview follows what you save; Ctrl-C ends it")
            sys.stdout.flush()
            if sys.stdout.isatty() and not session.json if open_it is None else open_it:
                typer.launch(address)
            await stop.wait()

    asyncio.run(serve())
    return 0

"""`fetch`, `preview` and `status`: what is there, and how it would look."""

from pathlib import Path
from typing import Annotated

import typer

from newsletter.cli.report import (
    fetch_detail,
    fetch_json,
    fetch_rows,
    fetch_summary,
    moment,
    pictures_json,
    pictures_words,
    warn_of_missing_pictures,
)
from newsletter.cli.session import PARTLY, Session, command

DigestArgument = Annotated[
    str | None, typer.Argument(help="Which digest; may be left out where there is one.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "fetch")(fetch)
    command(app, "preview")(preview)
    command(app, "status")(status)


def fetch(
    session: Session,
    feeds: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FEED]...", help="Addresses or titles; all by default.", show_default=False),
    ] = None,
) -> int:
    """Poll feeds now and record what is new; sends nothing."""
    import asyncio

    from newsletter import pipeline

    app = session.app
    chosen = app.choose_feeds(feeds or [])
    with session.out.progress("feeds", len(chosen)) as step:
        done = 0

        def polled(_: object) -> None:
            nonlocal done
            done += 1
            step(done)

        results = asyncio.run(pipeline.fetch(app.parts(), chosen, on_answer=polled))
    for result in results:
        session.out.detail(fetch_detail(result))
    failed = sum(1 for result in results if result.error)
    if session.json:
        session.out.data(fetch_json(results))
    else:
        session.out.table(("feed", ">entries", ">new", "note"), fetch_rows(results))
        session.out.say(fetch_summary(results))
    if not failed:
        return 0
    return 1 if failed == len(results) else PARTLY


def preview(
    session: Session,
    digest: DigestArgument = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The folder for the files; a new temporary one by default.", show_default=False),
    ] = None,
    as_email: Annotated[
        str | None, typer.Option("--as", metavar="EMAIL", help="As this subscriber gets it.", show_default=False)
    ] = None,
    fetch_first: Annotated[
        bool,
        typer.Option("--fetch/--no-fetch", help="Poll the feeds first, and get the pictures (without recording it)."),
    ] = True,
    open_it: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the HTML in the browser.", show_default=False)
    ] = False,
) -> int:
    """Show the next issue as files; changes no state at all."""
    import asyncio
    import tempfile

    from newsletter.app.letters import preview as build_preview

    found = asyncio.run(build_preview(session.app, digest, as_email=as_email, fetch_first=fetch_first))
    for result in found.fetched:
        if result.error:
            session.out.warn(f"{result.feed.url}: {result.error}", result.hint)
    warn_of_missing_pictures(session.out, found.draft)
    if found.draft.total == 0:
        if session.json:
            session.out.data({"digest": found.draft.digest, "entries": 0, "files": []})
        session.out.say(f"nothing is new for {found.draft.digest}")
        return 0
    folder = out or Path(tempfile.mkdtemp(prefix="newsletter-preview-"))
    files = found.write(folder)
    if session.json:
        session.out.data(
            {
                "digest": found.draft.digest,
                "number": found.draft.number,
                "subject": found.subject,
                "entries": found.draft.total,
                "as": found.reader.email,
                "size": found.size,
                "pictures": pictures_json(found.draft),
                "files": files,
            }
        )
    else:
        session.out.say(
            f"issue {found.draft.number} of {found.draft.digest}, {found.draft.total} entries, as {found.reader.email} would get it"
        )
        session.out.say(f"subject: {found.subject}")
        if found.size is not None:
            session.out.say(found.size.words)
        if found.draft.pictures:
            session.out.say(pictures_words(found.draft))
        for path in files:
            session.out.line(str(path))
    if open_it:
        typer.launch(str(next(path for path in files if path.suffix == ".html")))
    return 0


def status(session: Session) -> int:
    """Show the last issues, what is waiting, the outbox, and feeds in trouble."""
    from newsletter.app.status import status as look

    picture = look(session.app)
    if session.json:
        session.out.data(picture)
        return 0
    out = session.out
    out.table(
        ("digest", ">waiting", "last issue", "last sent"),
        [
            (d.name, d.waiting, "—" if d.last_number is None else f"no. {d.last_number}", moment(d.last_frozen_at))
            for d in picture.digests
        ],
    )
    if picture.issues:
        out.line("")
        out.table(
            ("issue", "frozen", ">entries", ">sent", ">to come", ">held", ">failed", "state"),
            [
                (
                    f"{i.digest} {i.number}",
                    moment(i.frozen_at),
                    i.entries,
                    i.sent,
                    i.unsettled,
                    i.held,
                    i.failed,
                    i.words,
                )
                for i in picture.issues
            ],
        )
    trouble = [feed for feed in picture.feeds if feed.status in ("failing", "held")]
    if trouble:
        out.line("")
        out.table(
            ("feed in trouble", "what", "since the last good fetch"),
            [(f.title or f.url, f.last_error or f"{f.held} entries held", moment(f.last_success_at)) for f in trouble],
        )
    never = sum(1 for feed in picture.feeds if feed.status == "never")
    out.say(
        f"{len(picture.feeds)} feeds ({len(trouble)} in trouble, {never} never fetched), "
        f"{picture.subscribers} subscribers, {picture.suppressions} suppressions"
    )
    return 0

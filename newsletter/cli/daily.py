"""`fetch` and `status`: what is there."""

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.report import (
    fetch_detail,
    fetch_json,
    fetch_rows,
    fetch_summary,
    moment,
)
from newsletter.cli.session import PARTLY, Session, command

if TYPE_CHECKING:
    from newsletter.app.status import DigestRow


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "fetch")(fetch)
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
            (d.name, _waiting(d), "—" if d.last_number is None else f"no. {d.last_number}", moment(d.last_frozen_at))
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
    back = picture.bounces
    if back.kinds:
        words = ", ".join(f"{number} {kind}" for kind, number in sorted(back.kinds.items()))
        out.say(f"came back within 30 days: {words} (newsletter bounce list)")
    if back.unproven:
        out.warn(
            f"{back.unproven} bounces have no proof that we wrote there, and count for nothing",
            "newsletter bounce list --unproven",
        )
    never = sum(1 for feed in picture.feeds if feed.status == "never")
    out.say(
        f"{len(picture.feeds)} feeds ({len(trouble)} in trouble, {never} never fetched), "
        f"{picture.subscribers} subscribers, {picture.suppressions} suppressions"
    )
    return 0


def _waiting(digest: "DigestRow") -> str:
    return f"{digest.waiting}, {digest.settling} settling" if digest.settling else str(digest.waiting)

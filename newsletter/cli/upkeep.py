"""`db`: the database backed up and put back, taken elsewhere, adopted, tidied."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.report import moment, plural, shown
from newsletter.cli.session import PARTLY, Session, command
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from newsletter.model import Tidied

Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.", show_default=False)]


def backup(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(help="A file, or a folder; .newsletter/backups by default.", show_default=False),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep only so many there, the newest.", show_default=False)
    ] = None,
) -> None:
    """Write a copy of the database to a file, at any time; put back, it sends nothing unasked.

    It is of one moment, though a send runs, and is looked through before it counts.
    On PostgreSQL it is such a file, too; pg_dump makes the server's own kind.
    """
    from newsletter.app.upkeep import back_up

    found = back_up(session.app, file, keep=keep)
    if session.json:
        session.out.data(found)
        return
    session.out.say(f"wrote {shown(found.path)}, {found.size:,} bytes, whole")
    for path in found.removed:
        session.out.detail(f"removed {shown(path)}")
    if found.removed:
        session.out.say(f"removed {plural(len(found.removed), 'older backup')}")


def restore(
    session: Session,
    backup_file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.", show_default=False)],
    yes: Yes = False,
) -> int:
    """Make a backup the project's database; what was there is set aside, and nothing is sent until you decide."""
    from newsletter.app.upkeep import restore as put

    if not _agreed(
        session, yes, f"{backup_file} takes the place of the project's database, which is set aside.", "restore"
    ):
        return 1
    found = put(session.app, backup_file)
    if session.json:
        session.out.data(found)
        return 0
    session.out.say(f"{shown(found.path)} is {backup_file} now; it knows what happened until {moment(found.until)}")
    if found.aside is not None:
        session.out.say(f"the one of before is {shown(found.aside)}; it takes nothing more")
    if found.issues_since:
        session.out.warn(f"that one froze {plural(found.issues_since, 'issue')} after the last thing the backup knows")
    session.out.say("nothing is sent from it until somebody says what went out since then:")
    session.out.say("  newsletter db adopt --sent      issues went out: what the feeds have now is taken to be sent")
    session.out.say("  newsletter db adopt --unsent    none did: go on where it was")
    return 0


def adopt(
    session: Session,
    sent: Annotated[
        bool | None,
        typer.Option(
            "--sent/--unsent",
            help="Of an older database: whether issues went out since it was written.",
            show_default=False,
        ),
    ] = None,
    yes: Yes = False,
) -> int:
    """Let this database send from where it is: after it was copied, moved or put back.

    Make sure first that no other copy of it sends.  With --sent, what was on its way is
    held (newsletter delivery list), and what waits, and what the feeds have
    now, counts as sent; with --unsent it goes on as if nothing had happened.
    """
    from newsletter.app.upkeep import adopt as decide
    from newsletter.app.upkeep import require_answer
    from newsletter.config.system import machine

    barred = session.app.store.barred(machine())
    if barred is None and sent is None:
        session.out.say("this database is at home here; there is nothing to decide")
        return 0
    if barred is not None:
        require_answer(barred, sent=sent)
        session.out.say(barred.why)
    if not _agreed(session, yes, "If another copy of it sends too, people get everything twice.", "adopt"):
        return 1
    done, fetched = asyncio.run(decide(session.app, sent=sent))
    failed = [one for one in fetched if one.error]
    if session.json:
        session.out.data({"held": done.held, "skipped": done.skipped, "unread": [one.feed.url for one in failed]})
    session.out.say("this database sends from here now")
    if sent:
        session.out.say(
            f"{plural(done.held, 'message')} held, {plural(done.skipped, 'entry', 'entries')} taken to be sent"
        )
    for one in failed:
        session.out.warn(
            f"{one.feed.url} could not be read: what it has published since may come twice",
            "newsletter fetch, then --sent again",
        )
    return PARTLY if failed else 0


def copy(
    session: Session,
    to: Annotated[str, typer.Option("--to", help="A path, or postgresql://….", show_default=False)],
    replace: Annotated[bool, typer.Option("--replace", help="Lose what is there.", show_default=False)] = False,
    yes: Yes = False,
) -> int:
    """Take everything to another database, also in the middle of an issue; the project goes on there.

    All of it or nothing: rows are counted and compared.  The old database takes
    nothing more and sends nothing.
    """
    from newsletter.app.upkeep import take

    if replace and not _agreed(session, yes, "What the other database has is lost.", "copy --replace"):
        return 1
    total = sum(session.app.store.info().counts.values())
    with session.out.progress("copying", total) as step:
        done = 0

        def on_rows(number: int) -> None:
            nonlocal done
            done += number
            step(done)

        found = take(session.app, to, replacing=replace, on_rows=on_rows)
    if session.json:
        session.out.data({"store": found.moved.where, "rows": found.moved.rows, "written": found.said is not None})
    session.out.say(f"{plural(found.moved.total, 'row')} copied to {found.moved.where} and compared")
    if found.said is not None:
        session.out.say(
            f"newsletter.yaml says so: store: {found.said}; what runs (run, serve, worker) must be started again"
        )
    if found.hint is not None:
        session.out.warn("newsletter.yaml does not name the new database yet", found.hint)
    return 0


def tidy(
    session: Session,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Only say how much it would be.", show_default=False)
    ] = False,
) -> None:
    """Let go of what is over, as `keep` in newsletter.yaml says; send --due and run do so once a day.

    Old deliveries become numbers, entries that were never sent are forgotten two
    years after their feed dropped them.  Nobody's consent, and no suppression, goes.
    """
    from newsletter.app.upkeep import tidy as let_go

    app = session.app
    if dry_run:
        found = app.store.untidy(app.config.keep)
    else:
        with session.out.progress("tidying", app.store.untidy(app.config.keep).total) as step:
            found = let_go(app, on_step=lambda so_far: step(so_far.total))
    if session.json:
        session.out.data(found)
        return
    session.out.table(("what", ">rows", "kept for"), _tidied_rows(session, found))
    if not dry_run and found.total:
        session.out.say("newsletter db vacuum gives the room back to the disk; new rows use it otherwise")


def _tidied_rows(session: Session, found: "Tidied") -> list[tuple[object, ...]]:
    keep = session.app.config.keep
    rows = (
        (f"deliveries of {plural(found.issues, 'issue')}, summed up", found.deliveries, keep.deliveries),
        ("entries that no issue carried", found.entries, keep.entries),
        ("pictures inside messages", found.pictures, keep.pictures),
        ("what came of slots, outages of feeds", found.ticks, keep.ticks),
        ("reports of bounces", found.reports, keep.reports),
    )
    return [(what, f"{number:,}", "always" if kept is None else f"{kept.days} d") for what, number, kept in rows]


def vacuum(session: Session) -> None:
    """Give the room of what was deleted back to the disk; never while a send runs."""
    from newsletter.app.upkeep import vacuum as shrink

    before, after = shrink(session.app)
    if session.json:
        session.out.data({"before": before, "after": after})
    session.out.say(f"{before:,} bytes before, {after:,} now")


def _agreed(session: Session, yes: bool, what: str, name: str) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{what} That needs a yes", hint=f"newsletter db {name} … -y")
    session.out.say(what)
    if typer.confirm("Go on?", default=False, err=True):
        return True
    session.out.say("nothing has changed")
    return False


def register(group: typer.Typer) -> None:
    """Add the commands to `db`."""
    for function in (backup, restore, adopt, copy, tidy, vacuum):
        command(group)(function)

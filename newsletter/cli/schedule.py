"""`schedule`: when digests go out."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from newsletter.cli.completing import digest_names
from newsletter.cli.session import Session, command
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from newsletter.app.schedules import Upcoming
    from newsletter.cli.output import Output
    from newsletter.schedule import Slot

group = typer.Typer(name="schedule", help="When digests go out.", no_args_is_help=True, rich_markup_mode=None)

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@command(group, "next")
def upcoming(
    session: Session,
    digest: Annotated[
        str | None, typer.Argument(help="Only this digest.", show_default=False, autocompletion=digest_names)
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, max=1000, help="How many of each digest.")] = 5,
) -> None:
    """Show when each digest goes out next, in its own time zone."""
    from newsletter.app.schedules import upcoming as found_in

    now = session.app.clock.now()
    found = found_in(session.app.config, now, count=count, digest=digest)
    if session.json:
        session.out.data(
            [
                {
                    "digest": one.digest,
                    "schedule": one.schedule,
                    "timezone": one.timezone,
                    "clock": "subscriber" if one.by_person else "digest",
                    "slots": [
                        {"slot": slot.name, "at": slot.at, "begins": begin}
                        for slot, begin in zip(one.slots, one.begins, strict=True)
                    ],
                }
                for one in found
            ]
        )
        return
    _table(session.out, found, now)
    for one in found:
        if one.by_person:
            session.out.say(f"{one.digest} goes out by each subscriber's own clock: shown is that of {one.timezone}")
        if one.schedule is None:
            session.out.say(
                f"{one.digest} has no schedule: it goes out when somebody says newsletter send {one.digest}"
            )


def _table(out: "Output", found: "Sequence[Upcoming]", now: datetime) -> None:
    head = ["digest", "goes out", "in", "time zone"]
    rows = [
        [one.digest, _local(slot.at, one.timezone), _ahead(slot, now), one.timezone]
        for one in found
        for slot in one.slots
    ]
    begins = [
        "" if begin == slot.at else _local(begin, one.timezone)
        for one in found
        for slot, begin in zip(one.slots, one.begins, strict=True)
    ]
    if any(begins):
        head.append("waits until")
        rows = [[*row, begin] for row, begin in zip(rows, begins, strict=True)]
    if rows:
        out.table(head, rows)


@command(group)
def install(
    session: Session,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="By a timer of your user's systemd.", show_default=False)
    ] = False,
    cron: Annotated[bool, typer.Option("--cron", help="By a line in your crontab.", show_default=False)] = False,
    only_print: Annotated[
        bool, typer.Option("--print", help="Only show what would be put in place.", show_default=False)
    ] = False,
) -> None:
    """Have the system look every five minutes which feeds and digests are due; nothing stays up in between."""
    from newsletter.app import installing

    if systemd and cron:
        raise UsageError("--systemd and --cron cannot go together")
    way: installing.Way | None = "systemd" if systemd else "cron" if cron else None
    config = session.app.config
    if only_print:
        session.out.raw(installing.installation(config, way or "systemd").text)
        return
    found = installing.install(config, way)
    if session.json:
        session.out.data({"way": found.way, "name": found.name, "files": [str(path) for path in found.files]})
    if found.way == "cron":
        session.out.say("your crontab has a line now that looks every five minutes what is due")
    else:
        session.out.say(f"systemd looks every five minutes what is due: systemctl --user status {found.name}.timer")
        if not installing.stays_when_logged_out():
            session.out.warn("while you are not logged in, your timers do not run", "loginctl enable-linger")
    session.out.say("newsletter schedule next shows what is to come, newsletter status what came of it")


@command(group)
def uninstall(session: Session) -> None:
    """Take away what install has put in place."""
    from newsletter.app import installing

    gone = installing.uninstall(session.app.config)
    if session.json:
        session.out.data({"gone": gone})
    words = " and from ".join({"systemd": "systemd", "cron": "your crontab"}[way] for way in gone)
    session.out.say(f"taken from {words}" if gone else "nothing was installed for this project")


def _local(at: datetime, zone: str) -> str:
    return f"{at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}"


def _ahead(slot: "Slot", now: datetime) -> str:
    """How long until then, in two units at most."""
    seconds = int((slot.at - now).total_seconds())
    days, hours, minutes = seconds // _DAY, seconds % _DAY // _HOUR, seconds % _HOUR // _MINUTE
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else "less than a minute"

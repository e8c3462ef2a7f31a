"""`check`: whether the project is in order, down to the bytes of the message it would send.

    project    the config, the people      state   the database, the disk, who may read what
    schedules  when, and who looks         mail    the server, the keys, the mailbox for reports
    letter     the message itself          feeds   each of them, asked
    pages      where the links lead        dns     what receivers read of the sender
    machines   who sends, where several do

Each finding says what to do.  Nothing is changed, recorded or mailed.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from newsletter.app.check.dns import sender
from newsletter.app.check.feeds import feeds
from newsletter.app.check.finding import Finding
from newsletter.app.check.letter import digest_of, findings_of
from newsletter.app.check.machines import machines
from newsletter.app.check.mail import login, mail, mailbox
from newsletter.app.check.pages import pages
from newsletter.app.check.project import config, people
from newsletter.app.check.schedules import schedules, strays
from newsletter.app.check.state import rights, room, store
from newsletter.app.project import App
from newsletter.delivery.published import LookUp
from newsletter.issues.check import Level

__all__ = ["Finding", "Level", "check", "findings_of"]

#: A clock that is this far off gives messages a wrong date, and schedules a wrong time.
_OFF: Final = timedelta(minutes=2)


def check(app: App, *, online: bool, look_up: LookUp | None = None) -> list[Finding]:
    """Look at everything; a broken config is raised, all else is a finding.

    Args:
        app: the project.
        online: also fetch every feed and the pictures that letters bring along, log in to the
            mail server and to the mailbox for reports, ask for the public pages, and read what
            the DNS says of the sender; records nothing.
        look_up: asks the DNS; None: this machine's resolver.
    """
    findings = [*config(app), *people(app), *store(app), *machines(app), *room(app), *rights(app), *schedules(app)]
    findings.extend(mail(app))
    findings.extend(mailbox(app, online=online))
    for digest in app.config.digests:
        findings.extend(digest_of(app, digest, online=online))
    if online:
        findings.extend([*asyncio.run(_online(app)), *sender(app, look_up), *strays(app)])
    # What two digests share is said once.
    return list(dict.fromkeys(findings))


async def _online(app: App) -> list[Finding]:
    of_feeds, clocks = await feeds(app)
    of_pages, more = await pages(app)
    return [*of_feeds, *of_pages, *await login(app), *_clock([*clocks, *more])]


def _clock(ahead: Sequence[timedelta]) -> list[Finding]:
    """Hold our clock against those of the servers that have answered: the middle one counts."""
    if not ahead:
        return []
    off = sorted(ahead)[len(ahead) // 2]
    if abs(off) <= _OFF:
        return [Finding(level=Level.ok, what="clock", text="agrees with the servers that were asked")]
    # Less than a second tells nobody anything.
    words = str(timedelta(seconds=round(abs(off).total_seconds())))
    return [
        Finding(
            level=Level.error,
            what="clock",
            text=f"this machine's clock is {words} {'behind' if off > timedelta() else 'ahead'}, by what "
            f"{len(ahead)} {'server says' if len(ahead) == 1 else 'servers say'}",
            hint="set it (timedatectl set-ntp true): schedules go by it, and so do the dates of messages",
        )
    ]

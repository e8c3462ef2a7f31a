"""The schedules: whether they come at all, get in each other's way, and whether anybody looks at them."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations
from typing import Final
from zoneinfo import ZoneInfo

from newsletter.app.check.finding import Finding
from newsletter.app.installing import installed
from newsletter.app.project import App
from newsletter.app.schedules import Upcoming, upcoming
from newsletter.issues.check import Level
from newsletter.schedule import Schedule

#: So many slots of each digest are looked at, within so many days.
_SLOTS: Final = 60
_SOON: Final = timedelta(days=35)
_LONG: Final = timedelta(days=400)
#: Whoever looks does so every few minutes.
_LATE: Final = timedelta(minutes=20)


def schedules(app: App) -> Iterator[Finding]:
    """What is odd about the digests' schedules."""
    now = app.clock.now()
    found = [one for one in upcoming(app.config, now, count=_SLOTS) if one.schedule is not None]
    for one in found:
        if not one.slots or one.slots[0].at > now + _LONG:
            yield Finding(
                level=Level.warning,
                what=one.digest,
                text=f"the schedule {one.schedule} "
                + ("never comes" if not one.slots else f"comes first on {one.slots[0].name}"),
                hint="newsletter schedule next shows what it means",
            )
    for first, second in combinations(found, 2):
        yield from _overlap(app, first, second)
    if found:
        yield from _caller(app)


def _overlap(app: App, first: Upcoming, second: Upcoming) -> Iterator[Finding]:
    """Say where two digests come at one moment with the same feeds: whoever has both gets the same twice."""
    soon = app.clock.now() + _SOON
    both = {slot.at for slot in first.slots if slot.at <= soon} & {slot.at for slot in second.slots}
    of_first, of_second = ({feed.url for feed in app.config.digest(one.digest).feeds} for one in (first, second))
    feeds = of_first & of_second
    if both and feeds:
        name = next(slot.name for slot in first.slots if slot.at == min(both))
        yield Finding(
            level=Level.warning,
            what=second.digest,
            text=f"{first.digest} and {second.digest} both go out at {name}, and share "
            f"{len(feeds)} {'feed' if len(feeds) == 1 else 'feeds'}: who gets both gets the same stories twice at once",
            hint="choose other times, or feeds or tags of its own for each",
        )


def _caller(app: App) -> Iterator[Finding]:
    """Whether something calls the program when a slot comes."""
    ways = installed(app.config)
    for one in ways:
        yield Finding(
            level=Level.ok if one.is_current else Level.warning,
            what="schedule",
            text=f"{one.words} looks every few minutes what is due"
            + ("" if one.is_current else ", and was made for another place of the program or the project"),
            hint=None if one.is_current else "newsletter schedule install",
        )
    if len(ways) > 1:
        yield Finding(
            level=Level.warning,
            what="schedule",
            text="both a systemd timer and a crontab line call it; nothing is sent twice, and one is enough",
            hint="newsletter schedule uninstall, then newsletter schedule install",
        )
    if not ways and (missed := _missed(app)):
        yield Finding(
            level=Level.warning,
            what="schedule",
            text=f"{missed}, and neither a timer nor a crontab line of this project is there",
            hint="newsletter schedule install, or keep newsletter run up",
        )


def _missed(app: App) -> str:
    """Which slot has come and was looked at by nobody, in words; "" where there is none."""
    now = app.clock.now()
    for digest in app.config.digests:
        if digest.schedule is None:
            continue
        since = app.memory.schedule_seen(digest.name)
        if since is None:
            return f"nobody has looked at the schedule of {digest.name} yet"
        last = next(Schedule.parse(digest.schedule, ZoneInfo(digest.timezone)).before(now - _LATE), None)
        if last is None or last.at < since:
            continue
        if not app.memory.settled_slots(digest.name, [last.name]):
            return f"nobody looked when {last.name}, a slot of {digest.name}, came"
    return ""


def strays(app: App) -> Iterator[Finding]:
    """Timers and crontab lines for projects that are not there any more."""
    for stray in installed(None):
        if stray.folder != app.config.folder and not (stray.folder / "newsletter.yaml").exists():
            yield Finding(
                level=Level.warning,
                what="schedule",
                text=f"{stray.words} looks after {stray.folder}, where there is no project any more",
                hint=stray.removal,
            )

"""Several machines at one project: whether somebody sends, and whether they agree on the time and the version."""

from collections.abc import Iterator
from typing import Final

from newsletter import __version__, jobs
from newsletter.app.check.finding import Finding
from newsletter.app.project import App
from newsletter.app.spread import OFF, Spread, spread
from newsletter.errors import NewsletterError
from newsletter.issues.check import Level
from newsletter.keeper import CLOCK_OFF, clock_words
from newsletter.store import Store

_SET_IT: Final = "set it, with NTP say (timedatectl set-ntp true)"


def machines(app: App) -> Iterator[Finding]:
    """Who sends for the project beside this machine; nothing where its store is a file."""
    if not Store.exists(app.config.store):
        return
    try:
        if not app.memory.is_shared:
            return
        found, off = spread(app), app.memory.clock_off()
    except NewsletterError:
        return  # said of the store
    if abs(off) > OFF:
        yield Finding(
            level=Level.error if abs(off) > CLOCK_OFF else Level.warning,
            what="clock",
            text=clock_words(off) + (": nothing is sent from here" if abs(off) > CLOCK_OFF else ""),
            hint=_SET_IT,
        )
    yield from _work(found)
    yield from _workers(found)


def _work(found: Spread) -> Iterator[Finding]:
    if found.nobody_sends:
        left = sum(share.backlog for share in found.shares)
        yield Finding(
            level=Level.warning,
            what="workers",
            text=f"{left:,} messages are to come of {_names(found)}, some of which may go now, and nobody is sending",
            hint="newsletter worker, on any number of machines, or newsletter send",
        )
    for server in found.servers:
        yield Finding(
            level=Level.warning,
            what="workers",
            text=f"the mail server {server.server} is left alone by all for now: {server.reason}",
            hint="it is tried again by itself",
        )


def _workers(found: Spread) -> Iterator[Finding]:
    if not found.workers:
        return
    number = len(found.workers)
    yield Finding(
        level=Level.ok,
        what="workers",
        text=f"{number} {'process' if number == 1 else 'processes'} at work for the project",
    )
    if not jobs.is_installed():
        yield Finding(
            level=Level.warning,
            what="workers",
            text="workers send for this project, and this machine can have none: the package procrastinate is missing",
            hint="pip install 'newsletter-press[scale]'",
        )
    versions = {worker.version for worker in found.workers} | {__version__}
    if len(versions) > 1:
        yield Finding(
            level=Level.warning,
            what="workers",
            text=f"versions differ: {__version__} here, {', '.join(sorted(versions - {__version__}))} at work",
            hint="bring all machines to one version; until then nothing is lost and nobody gets it twice",
        )
    for worker in found.workers:
        if abs(worker.clock_off) > OFF:
            ahead = "ahead of" if worker.clock_off > 0 else "behind"
            yield Finding(
                level=Level.error if abs(worker.clock_off) > CLOCK_OFF else Level.warning,
                what="clock",
                text=f"the clock of {worker.host} is {abs(worker.clock_off):,.0f} s {ahead} the database's"
                + (": it sends nothing" if abs(worker.clock_off) > CLOCK_OFF else ""),
                hint=_SET_IT,
            )


def _names(found: Spread) -> str:
    return ", ".join(f"issue {share.number} of {share.digest}" for share in found.shares)

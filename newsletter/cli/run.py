"""`run`: stay up and send every digest on its schedule."""

from typing import TYPE_CHECKING

import typer

from newsletter.cli.log import LogForm
from newsletter.cli.options import ListenFlag, place_of
from newsletter.cli.report import moment, plural
from newsletter.cli.session import LogFlag, Session, command
from newsletter.cli.staying import StayingUp

if TYPE_CHECKING:
    from newsletter.app import App


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "run")(run)


def run(
    session: Session,
    listen: ListenFlag = None,
    log: LogFlag = LogForm.human,
) -> int:
    """Stay up: ask each feed when its time has come, and send every digest on its schedule.

    What happens is said on stderr, with -v also how each feed was polled.  A change of
    newsletter.yaml is followed.  SIGTERM or Ctrl-C lets what is in flight end.
    """
    import asyncio

    from newsletter.app.notify import tell_systemd
    from newsletter.app.running import run as stay_up
    from newsletter.cli.stopping import until_stopped
    from newsletter.cli.watching import watching
    from newsletter.clock import SystemClock

    session.log_as(log)
    place = None if listen is None else place_of(listen)
    listener = _Listener(session.out)
    try:
        with watching(session.out, SystemClock(), ask=False) as watch:
            asyncio.run(
                until_stopped(
                    lambda stop: stay_up(session.config, watch=watch, listener=listener, stop=stop, listen=place)
                )
            )
    finally:
        tell_systemd("STOPPING=1")
    session.out.say("stopped when asked to", event="run.stopped")
    return 0


class _Listener(StayingUp):
    """Says what happens, a line each."""

    def began(self, app: "App") -> None:
        from newsletter.app.notify import tell_systemd
        from newsletter.app.schedules import upcoming

        tell_systemd("READY=1")
        ahead = upcoming(app.config, app.clock.now(), count=1)
        slots = [f"{one.digest} {moment(one.slots[0].at)}" if one.slots else f"{one.digest} by hand" for one in ahead]
        self._out.say(
            f"{app.config.title}: {plural(len(app.config.feeds), 'feed')}; next: {', '.join(slots)}",
            event="run.began",
            feeds=len(app.config.feeds),
            next={one.digest: one.slots[0].at for one in ahead if one.slots},
        )

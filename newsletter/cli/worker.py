"""`worker`: one of any number of processes that send."""

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.log import LogForm
from newsletter.cli.options import ListenFlag, place_of
from newsletter.cli.output import Output
from newsletter.cli.report import plural
from newsletter.cli.session import PARTLY, LogFlag, Session, command
from newsletter.cli.staying import StayingUp

if TYPE_CHECKING:
    from newsletter.app import App
    from newsletter.app.working import Left
    from newsletter.model import SendReport, Shard


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "worker")(worker)


def worker(
    session: Session,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", min=1, max=64, help="How many shards are sent at once.")
    ] = 2,
    until_idle: Annotated[
        bool,
        typer.Option(
            "--until-idle", help="End when nothing is left that may go now; keep no schedule.", show_default=False
        ),
    ] = False,
    listen: ListenFlag = None,
    log: LogFlag = LogForm.human,
) -> int:
    """Send what waits, beside any number of other workers; keep schedules and poll feeds together with them.

    The project's `store` must be on PostgreSQL.  A worker takes shards of 500 messages,
    and shares the connections that `smtp.connections` allows among those it sends at
    once.  SIGTERM or Ctrl-C lets what is in flight end; what a worker leaves when it
    dies is taken over by the others.
    """
    import asyncio

    from newsletter.app.notify import tell_systemd
    from newsletter.app.working import work
    from newsletter.cli.stopping import until_stopped
    from newsletter.cli.watching import watching
    from newsletter.clock import SystemClock

    session.log_as(log)
    place = None if listen is None else place_of(listen)
    listener = _Listener(session.out)
    try:
        with watching(session.out, SystemClock(), ask=False) as watch:
            left = asyncio.run(
                until_stopped(
                    lambda stop: work(
                        session.config,
                        concurrency=concurrency,
                        until_idle=until_idle,
                        watch=watch,
                        listener=listener,
                        stop=stop,
                        listen=place,
                    )
                )
            )
    finally:
        tell_systemd("STOPPING=1")
    sent = listener.sent
    if session.json:
        session.out.data({"sent": sent, "left": None if left is None else _left_json(left)})
    if left is None:
        session.out.say(f"stopped when asked to, {plural(sent, 'message')} sent", event="worker.stopped", sent=sent)
        return 0
    session.out.say(_ended(sent, left), event="worker.idle", sent=sent, **_left_json(left))
    if left.stopped:
        return 1
    return PARTLY if left.deferred or left.others else 0


def _left_json(left: "Left") -> dict[str, object]:
    return {"deferred": left.deferred, "waiting": left.waiting, "others": left.others, "stopped": left.stopped}


def _ended(sent: int, left: "Left") -> str:
    words = [f"{plural(sent, 'message')} sent from here"]
    if left.deferred:
        words.append(f"{left.deferred:,} to be tried again later")
    if left.waiting:
        words.append(f"{left.waiting:,} wait for their hours")
    if left.others:
        words.append(f"{left.others:,} left ({left.stopped or 'paused'})")
    return f"nothing is left that may go now: {', '.join(words)}"


class _Listener(StayingUp):
    """Says what happens, a line each."""

    def __init__(self, out: Output) -> None:
        super().__init__(out)
        self.sent = 0

    def began(self, app: "App", who: str) -> None:
        from newsletter.app.notify import tell_systemd

        tell_systemd("READY=1")
        self._out.say(f"{app.config.title}: at work as {who[:8]}", event="worker.began", worker=who)

    def delivered(self, shard: "Shard", report: "SendReport") -> None:
        self.sent += report.sent_now
        issue = report.issue
        facts = {
            "digest": issue.digest,
            "issue": issue.number,
            "shard": shard.number,
            "sent": report.sent_now,
            "seconds": round(report.seconds, 3),
        }
        text = f"issue {issue.number} of {issue.digest}, shard {shard.number}: {report.sent_now:,} sent in {report.seconds:.1f} s"
        self._out.detail(text, event="shard.sent", **facts)
        if report.stopped:
            self._out.warn(f"{text}; {report.stopped}", report.hint, event="shard.stopped", **facts)

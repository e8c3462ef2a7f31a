"""`fetch` and `status`: what is there."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.completing import feed_names
from newsletter.cli.output import Output
from newsletter.cli.report import (
    detail_polls,
    fetch_json,
    fetch_rows,
    moment,
    plural,
    say_polls,
    tick_words,
)
from newsletter.cli.session import PARTLY, Session, command
from newsletter.errors import UsageError
from newsletter.text import duration

if TYPE_CHECKING:
    from newsletter.model import FetchProgress, OpenCircuit

if TYPE_CHECKING:
    from newsletter.app.spread import Spread
    from newsletter.app.status import DigestRow


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "fetch")(fetch)
    command(app, "status")(status)


def fetch(
    session: Session,
    feeds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FEED", help="Addresses or titles; all by default.", show_default=False, autocompletion=feed_names
        ),
    ] = None,
    due: Annotated[
        bool,
        typer.Option(
            "--due", help="Only feeds whose time has come: for cron, as often as you like.", show_default=False
        ),
    ] = False,
) -> int:
    """Poll feeds now and record what is new; sends nothing."""
    import asyncio

    from newsletter import pipeline
    from newsletter.cli.polled import waiting_note
    from newsletter.model import Round

    if due and feeds:
        raise UsageError("--due finds the feeds itself: it cannot go with their names")
    app = session.app
    chosen = app.choose_feeds(feeds or [])
    kind = Round.due if due else Round.named if feeds else Round.every
    with session.out.progress("feeds", len(chosen), times=False) as step:

        def show(progress: "FetchProgress") -> None:
            step(progress.done, progress.total, waiting_note(progress))

        results = asyncio.run(pipeline.fetch(app.parts(), chosen, kind=kind, on_progress=show))
    if due and not results:
        _none_due(session)
        return 0
    detail_polls(session.out, results)
    failed = sum(1 for result in results if result.error)
    if session.json:
        session.out.data(fetch_json(results))
    else:
        session.out.table(("feed", ">entries", ">new", "note"), fetch_rows(results))
        say_polls(session.out, results)
    if not failed:
        return 0
    return 1 if failed == len(results) else PARTLY


def _none_due(session: Session) -> None:
    polls = session.app.store.polls([feed.url for feed in session.app.config.feeds]).values()
    times = [poll.next_at for poll in polls if poll.next_at and not poll.paused]
    session.out.say(f"no feed is due; the next one is at {moment(min(times))}" if times else "no feed is due")
    if session.json:
        session.out.data([])


def status(session: Session) -> int:
    """Show the last issues, what is waiting, the outbox, and feeds in trouble."""
    from newsletter.app.status import status as look
    from newsletter.cli.draft import say_drafts

    picture = look(session.app)
    if session.json:
        session.out.data(picture)
        return 0
    out = session.out
    out.table(
        ("digest", ">waiting", "last issue", "last sent", "next", "last slot"),
        [
            (
                d.name,
                _waiting(d),
                "—" if d.last_number is None else f"no. {d.last_number}",
                moment(d.last_frozen_at),
                moment(d.next_at),
                tick_words(d.last_tick),
            )
            for d in picture.digests
        ],
    )
    slots = [tick for d in picture.digests for tick in d.last_ticks[:3]]
    if len(slots) > len(picture.digests):
        out.line("")
        out.table(
            ("slot", "of", "what came of it", "why"),
            [
                (t.slot, t.digest, t.outcome.value if t.number is None else f"issue {t.number}", t.why)
                for t in sorted(slots, key=lambda t: t.due_at, reverse=True)
            ],
        )
    if picture.drafts:
        out.line("")
        say_drafts(out, picture.drafts)
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
                    i.words if i.opens_at is None else f"{i.words}, from {moment(i.opens_at)}",
                )
                for i in picture.issues
            ],
        )
    _tell_spread(out, picture.spread)
    rows = [(feed, item.words, item.hint) for feed in picture.feeds for item in feed.troubles]
    rows += [(f, f.last_error or f"{f.held} entries held", None) for f in picture.feeds if f.status == "held"]
    if rows:
        out.line("")
        out.table(
            ("feed in trouble", "what", "what to do", "last good fetch"),
            [(f.title or f.url, what, hint or "", moment(f.last_success_at)) for f, what, hint in rows],
        )
    if picture.barred is not None:
        out.warn(picture.barred.why, picture.barred.hint)
    back = picture.bounces
    if back.kinds:
        words = ", ".join(f"{number} {kind}" for kind, number in sorted(back.kinds.items()))
        out.say(f"came back within 30 days: {words} (newsletter bounce list)")
    if back.unproven:
        out.warn(
            f"{back.unproven} bounces have no proof that we wrote there, and count for nothing",
            "newsletter bounce list --unproven",
        )
    in_trouble = len({feed.url for feed, _, _ in rows})
    states = Counter(feed.status.value for feed in picture.feeds)
    more = "".join(
        f", {states[state]} {words}"
        for state, words in (("hiccup", "not read the last time"), ("paused", "paused"))
        if states[state]
    )
    out.say(
        f"{plural(len(picture.feeds), 'feed')} ({in_trouble} in trouble, {states['never']} never fetched{more}), "
        f"{plural(picture.subscribers, 'subscriber')}, {plural(picture.suppressions, 'suppression')}"
    )
    return 0


def _tell_spread(out: Output, spread: "Spread") -> None:
    """Who works for the project, and how far they are, where it has several machines."""
    if spread.workers:
        out.line("")
        out.table(
            ("worker", "process", "version", "since", ">shards", "note"),
            [(w.host, w.pid, w.version, moment(w.started_at), w.shards, ", ".join(w.notes)) for w in spread.workers],
        )
    if spread.shares:
        out.line("")
        out.table(
            ("issue in shards", ">to come", ">shards", ">sending", ">left", "how fast"),
            [(f"{s.digest} {s.number}", s.backlog, s.shards, s.sending, s.left, s.words) for s in spread.shares],
        )
    if spread.nobody_sends:
        out.warn("messages may go now, and nobody is sending", "newsletter worker, or newsletter send")
    if spread.rates:
        out.line("")
        out.table(
            ("rate", "for messages to", ">used just now"),
            [(rate.rate, rate.domain or "everybody", rate.used) for rate in spread.rates],
        )
    if spread.servers:
        out.line("")
        out.table(
            ("server left alone", "for", "why"),
            [(s.server, _for_how_long(s), s.reason) for s in spread.servers],
        )


def _for_how_long(server: "OpenCircuit") -> str:
    return duration(server.seconds) if server.seconds else "tried out now" if server.prober else "may be tried"


def _waiting(digest: "DigestRow") -> str:
    return f"{digest.waiting}, {digest.settling} settling" if digest.settling else str(digest.waiting)

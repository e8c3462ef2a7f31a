"""`send`: fetch, freeze, deliver; or see what it would do; or mail it to yourself."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.draft import kept_words, say_kept
from newsletter.cli.log import LogForm
from newsletter.cli.options import DigestArgument, NoteFlag
from newsletter.cli.output import Output
from newsletter.cli.polled import news_json
from newsletter.cli.report import (
    fetch_json,
    moment,
    pictures_json,
    pictures_words,
    plural,
    report_json,
    say_settling,
    send_rows,
    send_words,
    tick_json,
    warn_of_missing_pictures,
    warn_slow,
)
from newsletter.cli.session import PARTLY, LogFlag, Session, command
from newsletter.cli.watching import issue_facts, watching
from newsletter.errors import UsageError
from newsletter.text import duration, one_line

if TYPE_CHECKING:
    from newsletter.app.due import Looked, Looks
    from newsletter.app.letters import Plan
    from newsletter.model import Draft, SendReport
    from newsletter.stages import Sent


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "send")(send)


def send(
    session: Session,
    digest: DigestArgument = None,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Say what would happen; change nothing.", show_default=False)
    ] = False,
    test: Annotated[
        str | None,
        typer.Option(
            "--test",
            metavar="EMAIL",
            help="Mail the next issue to this address only; change nothing.",
            show_default=False,
        ),
    ] = None,
    note: NoteFlag = None,
    canary: Annotated[
        str | None,
        typer.Option(
            "--canary",
            metavar="SHARE",
            help="So many get it first (1%, or 50 people), and refusals are watched; off: all at once.",
            show_default=False,
        ),
    ] = None,
    due: Annotated[
        bool,
        typer.Option("--due", help="Send every digest whose time has come, once; never asks.", show_default=False),
    ] = False,
    now: Annotated[
        bool,
        typer.Option("--now", help="Also outside of the send window, and in quiet hours.", show_default=False),
    ] = False,
    enqueue: Annotated[
        bool,
        typer.Option("--enqueue", help="Leave the delivery to the workers (newsletter worker).", show_default=False),
    ] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before mailing.", show_default=False)] = False,
    log: LogFlag = LogForm.human,
) -> int:
    """Fetch, freeze and deliver the next issue; finish an unfinished one first."""
    session.log_as(log)
    if due:
        if dry_run or test or note is not None or canary is not None or now or enqueue:
            raise UsageError("--due goes by the project's settings: of the other options only --yes may be with it")
        return _due(session, digest)
    _require_one(dry_run=dry_run, test=bool(test), enqueue=enqueue, now=now, canary=canary is not None)
    if dry_run:
        return _dry_run(session, digest, note, canary)
    if test:
        return _test(session, digest, test, note)
    if not yes and (session.out.log or not sys.stdin.isatty()):
        raise UsageError("not on a terminal, so there is nobody to ask", hint="add --yes (-y) to send without asking")
    import asyncio

    from newsletter.app.send import closed_until
    from newsletter.app.send import send as send_digest
    from newsletter.cli.stopping import until_stopped

    if not now and not yes and (opens_at := closed_until(session.app, digest)) is not None:
        name = session.app.config.digest(digest).name
        now = typer.confirm(
            f"{name} is not mailed at this hour: its hours begin {moment(opens_at)}. Send it all the same?",
            default=False,
            err=True,
        )
        if not now:
            session.out.say("not sent; nothing has changed")
            return 0
    with watching(session.out, session.app.clock, ask=not yes) as watch:
        sent = asyncio.run(
            until_stopped(
                lambda stop: send_digest(
                    session.app,
                    digest,
                    watch=watch,
                    stop=stop,
                    note=note,
                    canary=canary,
                    at_any_hour=now,
                    enqueue=enqueue,
                )
            )
        )
    return _report(session, sent)


def _require_one(*, dry_run: bool, test: bool, enqueue: bool, now: bool, canary: bool) -> None:
    """Raise UsageError where options contradict each other."""
    if dry_run + test + enqueue > 1:
        raise UsageError("of --dry-run, --test and --enqueue only one can be given")
    if enqueue and now:
        raise UsageError("workers keep to the hours, so --now cannot go with --enqueue", hint="leave --enqueue out")
    if canary and test:
        raise UsageError("--canary is for sending: it cannot go with --test")


def _due(session: Session, digest: str | None) -> int:
    import asyncio

    from newsletter.app.due import send_due
    from newsletter.cli.stopping import until_stopped

    with watching(session.out, session.app.clock, ask=False) as watch:
        found = asyncio.run(until_stopped(lambda stop: send_due(session.app, digest, watch=watch, stop=stop)))
    reports = [*found.finished, *(one.sent.report for one in found.looked if one.sent and one.sent.report)]
    if session.json:
        session.out.data(
            {
                "digests": [
                    {
                        "digest": one.digest,
                        "tick": None if one.tick is None else tick_json(one.tick),
                        "draft": one.sent.kept.number if one.sent and one.sent.kept else None,
                    }
                    for one in found.looked
                ],
                "issues": [report_json(report) for report in reports],
                "told": [{"words": one.words, "is_over": one.is_over} for one in found.telling.told],
                "not_told": list(found.telling.errors),
            }
        )
    tell_looks(session.out, found)
    failed = any(one.tick is not None and one.tick.outcome == "failed" for one in found.looked)
    if failed or any(report.stopped for report in reports):
        return 1
    return PARTLY if any(_incomplete(report) for report in reports) else 0


def tell_looks(out: Output, found: "Looks", *, also_nothing: bool = True) -> None:
    """Say what came of a look at all digests, also of those of which nothing was due."""
    for report in (*found.finished, *(one.sent.report for one in found.looked if one.sent and one.sent.report)):
        _tell(out, report)
    for one in found.looked:
        _tell_looked(out, one, also_nothing=also_nothing)
    for notice in found.telling.told:
        out.say(f"told the owner: {notice.words}", event="owner.told", matter=notice.key, over=notice.is_over)
    for error in found.telling.errors:
        out.warn(f"the owner could not be told: {error}", "it is tried again in a while", event="owner.untold")


def _tell_looked(out: Output, one: "Looked", *, also_nothing: bool) -> None:
    slot = one.tick.slot if one.tick else None
    if one.error is not None:
        out.error(f"{one.digest}: {one.error}", one.error.hint, event="slot.failed", digest=one.digest, slot=slot)
    elif one.sent is not None and one.sent.kept is not None:
        say_kept(out, one.sent.kept)
    elif one.tick is None:
        if also_nothing:
            out.say(f"{one.digest}: nothing is due", event="slot.none", digest=one.digest)
    elif one.tick.outcome == "held":
        # Said when it began to wait; whoever stays up looks every minute.
        if also_nothing:
            text = f"{one.digest}, {slot}: {one.tick.why}"
            out.say(text, event="slot.held", digest=one.digest, slot=slot)
    elif one.tick.number is None:
        text = f"{one.digest}, {slot}: {one.tick.why}; nothing to send"
        out.say(text, event="slot.nothing", digest=one.digest, slot=slot, outcome=one.tick.outcome)


def _report(session: Session, sent: "Sent") -> int:
    reports = [*sent.finished, *([sent.report] if sent.report else [])]
    if sent.draft is not None and not sent.recipients:  # else that was said before it was asked
        warn_slow(session.out, sent.draft.slow_rules)
    if session.json:
        session.out.data(
            {
                "fetched": fetch_json(sent.fetched),
                "news": news_json(sent.news),
                "waiting": 0 if sent.draft is None else sent.draft.total,
                "settling": 0 if sent.draft is None else len(sent.draft.settling),
                "declined": sent.declined,
                "pictures": None if sent.draft is None else pictures_json(sent.draft),
                "issues": [report_json(report) for report in reports],
            }
        )
    for report in reports:
        _tell(session.out, report)
    if any(report.is_handed_out for report in reports) and not session.app.store.workers():
        session.out.warn(
            "no worker is at work now", "newsletter worker, on this machine or on others", event="workers.none"
        )
    if sent.declined:
        session.out.say("not sent; nothing has changed", event="issue.declined")
    elif sent.draft is not None and sent.report is None:
        session.out.say(_nothing(sent.draft), event="nothing.new", digest=sent.draft.digest, waiting=sent.draft.total)
        say_settling(session.out, sent.draft)
    if any(report.stopped for report in reports):
        return 1
    waits = _tell_rest(session, told={report.issue.id for report in reports})
    return PARTLY if waits or any(_incomplete(report) for report in reports) else 0


def _tell_rest(session: Session, told: set[int]) -> bool:
    """Say of which issues something is left that nobody could do now; whether there are any."""
    from newsletter.app.send import to_try_again

    left = [one for one in to_try_again(session.app) if one[0].id not in told]
    for issue, waiting, when in left:
        session.out.say(
            f"issue {issue.number} of {issue.digest}: {plural(waiting, 'message')} to be tried again after {moment(when)}",
            event="issue.waits",
            **issue_facts(issue),
            until=when,
        )
    return bool(left)


def _tell(out: Output, report: "SendReport") -> None:
    from newsletter.model import UNSETTLED

    about = issue_facts(report.issue)
    if report.is_handed_out:
        left = sum(report.counts.get(state, 0) for state in UNSETTLED) - report.waiting
        text = f"issue {report.issue.number} of {report.issue.digest}: {plural(left, 'message')} left to the workers"
        out.say(text, event="issue.handed-out", **about, messages=left)
        return
    if not (out.json or out.log):
        out.table((f"issue {report.issue.number} of {report.issue.digest}", ">messages"), send_rows(report))
    out.say(
        send_words(report),
        event="issue.delivered",
        **about,
        counts=report.counts,
        sent_now=report.sent_now,
        seconds=round(report.seconds, 3),
    )
    for what in report.learned:
        out.say(f"learned from the mail server, and kept to from now on: at most {what}", event="server.learned")
    if report.stopped:
        hint = report.hint or "newsletter send goes on where this run stopped"
        out.error(report.stopped, hint, event="issue.stopped", **about)
    elif report.next_attempt_at:
        when = report.next_attempt_at.astimezone().strftime("%H:%M")
        text = f"some servers asked us to try later: run newsletter send again after {when}"
        out.say(text, event="issue.waits", **about, until=report.next_attempt_at)
    if report.waiting:
        out.say(
            f"{plural(report.waiting, 'message waits', 'messages wait')} for their hours, the first until "
            f"{moment(report.opens_at)}: newsletter run and send --due go on by themselves",
            event="issue.asleep",
            **about,
            waiting=report.waiting,
            until=report.opens_at,
        )


def _nothing(draft: "Draft") -> str:
    if draft.total:
        return f"{plural(draft.total, 'entry waits', 'entries wait')}, fewer than min_entries; nothing to send"
    return f"nothing is new for {draft.digest}; nothing to send"


def _incomplete(report: "SendReport") -> bool:
    from newsletter.model import DeliveryState

    if report.is_handed_out:
        return False
    bad = (DeliveryState.failed, DeliveryState.held, DeliveryState.deferred, DeliveryState.unknown)
    # What waits for its hours is as it should be.
    left = report.counts.get(DeliveryState.queued, 0) > report.waiting
    return left or any(report.counts.get(state) for state in bad)


def _dry_run(session: Session, digest: str | None, note: str | None, canary: str | None) -> int:
    import asyncio

    from newsletter.app.letters import plan as make_plan
    from newsletter.app.send import closed_until

    plan = asyncio.run(make_plan(session.app, digest, note=note, canary=canary))
    opens_at = closed_until(session.app, digest)
    for result in plan.fetched:
        if result.error:
            session.out.warn(f"{result.feed.url}: {result.error}", result.hint)
    for notice in plan.draft.notices:
        session.out.warn(notice)
    warn_slow(session.out, plan.draft.slow_rules)
    warn_of_missing_pictures(session.out, plan.draft)
    if session.json:
        session.out.data(
            {
                "digest": plan.draft.digest,
                "number": plan.draft.number,
                "entries": plan.draft.total,
                "settling": len(plan.draft.settling),
                "subject": plan.subject,
                "recipients": plan.recipients,
                "suppressed": plan.suppressed,
                "unfinished": plan.unfinished,
                "size": plan.size,
                "canary": plan.canary,
                "draft": None if plan.kept is None else {"slot": plan.kept.slot, "state": plan.kept.state},
                "pictures": pictures_json(plan.draft),
                "opens_at": opens_at,
            }
        )
        return 0
    _tell_plan(session.out, plan)
    if opens_at is not None:
        session.out.line(f"not at this hour: its hours begin {moment(opens_at)} (--now sends it all the same)")
    return 0


def _tell_plan(out: Output, plan: "Plan") -> None:
    for words in plan.unfinished:
        out.line(f"would finish {words} first")
    say_settling(out, plan.draft)
    if plan.subject is None:
        out.line(_nothing(plan.draft))
        return
    out.line(f"would send issue {plan.draft.number} of {plan.draft.digest}: {plan.subject}")
    _tell_letter(out, plan)
    if plan.size is not None:
        out.line(plan.size.words)
    if plan.draft.pictures:
        out.line(pictures_words(plan.draft))
    if plan.canary is not None:
        first = min(plan.canary.first, plan.recipients)
        out.line(
            f"{plural(first, 'subscriber')} would get it first, watched for {duration(plan.canary.wait)}: "
            f"if more than {plan.canary.stop_at:.0%} were refused, the others would not get it"
        )
    skipped = f", {plan.suppressed} suppressed" if plan.suppressed else ""
    out.line(f"to {plural(plan.recipients, 'subscriber')}{skipped}; nothing has been sent or recorded")


def _tell_letter(out: Output, plan: "Plan") -> None:
    if plan.kept is not None:
        out.line(f"  as {kept_words(plan.kept)}")
    if plan.draft.note:
        out.line(f"  note: {one_line(plan.draft.note.markdown, 80)}")
    for section in plan.draft.sections:
        out.line(f"  {section.title}")
        for entry in section.entries:
            out.line(f"    {entry.title}")
        for entry in section.more:
            out.line(f"    {entry.title} (headline)")


def _test(session: Session, digest: str | None, email: str, note: str | None) -> int:
    import asyncio

    from newsletter.app.letters import send_test

    draft, reply = asyncio.run(send_test(session.app, digest, email, note=note))
    warn_slow(session.out, draft.slow_rules)
    warn_of_missing_pictures(session.out, draft)
    say_settling(session.out, draft)
    if reply is None:
        session.out.say(_nothing(draft))
    else:
        session.out.say(
            f"sent issue {draft.number} of {draft.digest} to {email} as a test: {reply}; nothing has been recorded"
        )
    if session.json:
        session.out.data({"digest": draft.digest, "number": draft.number, "to": email, "reply": reply})
    return 0

"""Words and rows that several commands share."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from newsletter.cli.output import Output

if TYPE_CHECKING:
    from newsletter.model import Draft, FetchResult, SendReport, SlowRule, Tick

# Fewer messages than these make no rate.
_ENOUGH = 50


def moment(when: datetime | None) -> str:
    """A moment in this machine's time, or a dash."""
    return "—" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M")


def plural(number: int, one: str, many: str | None = None) -> str:
    """`3 feeds`, `1 feed`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def tick_json(tick: "Tick") -> dict[str, object]:
    """One slot of a schedule and what came of it, for JSON."""
    return {
        "digest": tick.digest,
        "slot": tick.slot,
        "due_at": tick.due_at,
        "outcome": tick.outcome,
        "issue": tick.number,
        "why": tick.why,
    }


def tick_words(tick: "Tick | None") -> str:
    """What came of a slot, in a few words."""
    if tick is None:
        return ""
    words = f"issue {tick.number}" if tick.number is not None else tick.outcome.value
    return f"{tick.slot}: {words}{f' ({tick.why})' if tick.why else ''}"


def fetch_rows(results: "Sequence[FetchResult]") -> list[tuple[object, ...]]:
    """One row per feed: title, entries, new ones, what to know."""
    return [
        (
            r.feed.title or r.title or r.feed.url,
            "" if r.error or r.unchanged else r.entries,
            "" if r.error else r.new,
            _note(r),
        )
        for r in results
    ]


def fetch_detail(result: "FetchResult") -> str:
    """How one feed was polled, for -v."""
    if result.spared:
        return f"{result.feed.url}: not asked: {result.spared}"
    found = (
        "failed" if result.error else "unchanged" if result.unchanged else plural(result.entries, "entry", "entries")
    )
    return f"{result.feed.url}: {found}, {result.new} new, {result.offered} offered, in {result.seconds:.2f} s"


def detail_polls(out: Output, results: "Sequence[FetchResult]") -> None:
    """Say how each feed was polled, with -v."""
    for result in results:
        out.detail(
            fetch_detail(result),
            event="feed.polled",
            feed=result.feed.url,
            entries=result.entries,
            new=result.new,
            offered=result.offered,
            seconds=round(result.seconds, 3),
            spared=result.spared,
            error=result.error,
        )


def say_polls(out: Output, results: "Sequence[FetchResult]") -> None:
    """Say what a round of fetching brought, in one line."""
    asked = [r for r in results if not r.spared]
    out.say(
        fetch_summary(results),
        event="feeds.polled",
        feeds=len(asked),
        new=sum(r.new for r in asked),
        failed=sum(1 for r in asked if r.error),
    )


def fetch_json(results: "Sequence[FetchResult]") -> list[dict[str, object]]:
    """One mapping per feed, without the headers it is asked with: they may carry a password."""
    return [
        {
            "url": r.feed.url,
            "title": r.feed.title or r.title,
            "entries": r.entries,
            "new": r.new,
            "offered": r.offered,
            "edited": r.edited,
            "held": r.held,
            "sent_elsewhere": r.elsewhere,
            "unchanged": r.unchanged,
            "spared": r.spared,
            "notes": list(r.notes),
            "warning": r.warning,
            "error": r.error,
            "hint": r.hint,
            "seconds": round(r.seconds, 3),
        }
        for r in results
    ]


def fetch_summary(results: "Sequence[FetchResult]") -> str:
    """What a round of fetching brought, in one line."""
    failed = sum(1 for r in results if r.error)
    asked = sum(1 for r in results if not r.spared)
    words = f"{plural(asked, 'feed')} polled, {plural(sum(r.new for r in results), 'new entry', 'new entries')}"
    return f"{words}, {failed} failed" if failed else words


def _note(result: "FetchResult") -> str:
    if result.spared:
        return f"not asked: {result.spared}"
    if result.error:
        words = "; ".join((result.error, *result.notes))
        return f"{words} ({result.hint})" if result.hint else words
    if result.warning:
        return "; ".join((result.warning, *result.notes))
    notes = []
    if result.unchanged:
        notes.append("unchanged")
    if result.offered != result.new:
        notes.append(f"{result.offered} offered")
    if result.elsewhere:
        notes.append(f"{result.elsewhere} sent before by another tool")
    if result.edited:
        notes.append(f"{result.edited} edited")
    return ", ".join((*notes, *result.notes))


def warn_slow(out: Output, rules: "Sequence[SlowRule]") -> None:
    """Warn of filters that ran out of time, once each."""
    if rules:
        from newsletter.issues.filters import SLOW_HINT, slow_words

        for rule in rules:
            out.warn(slow_words(rule), SLOW_HINT, event="rule.slow")


def say_settling(out: Output, draft: "Draft") -> None:
    """Say how many entries wait until they have stopped changing, where any does."""
    if draft.settling:
        from newsletter.feeds.settling import settling_words

        text = settling_words(draft.settling)
        out.say(text, event="entries.settling", digest=draft.digest, entries=len(draft.settling))


def warn_of_missing_pictures(out: Output, draft: "Draft") -> None:
    """Name every picture that the letter was to bring along and does not."""
    for missing in draft.missing_pictures:
        out.warn(str(missing), event="picture.missing", digest=draft.digest, issue=draft.number)


def pictures_words(draft: "Draft") -> str:
    """How many pictures travel inside the message, in one line."""
    size = sum(len(picture.data) for picture in draft.pictures)
    return f"{plural(len(draft.pictures), 'picture')} inside the message, {size:,} bytes"


def pictures_json(draft: "Draft") -> dict[str, object]:
    """The pictures of a letter as a mapping: how many it brings along, and which it does not."""
    return {
        "embedded": len(draft.pictures),
        "bytes": sum(len(picture.data) for picture in draft.pictures),
        "left_out": [{"url": one.url, "reason": one.reason} for one in draft.missing_pictures],
    }


def send_rows(report: "SendReport") -> list[tuple[object, ...]]:
    """One row per delivery state that occurs."""
    from newsletter.model import DeliveryState

    return [(state.value, report.counts[state]) for state in DeliveryState if report.counts.get(state)]


def send_words(report: "SendReport") -> str:
    """What a run of the outbox achieved, in one line."""
    words = f"{plural(report.sent_now, 'message')} sent in {report.seconds:.1f} s"
    if report.sent_now < _ENOUGH or not report.seconds:
        return words
    return f"{words} ({report.sent_now / report.seconds:,.0f}/s)"


def report_json(report: "SendReport") -> dict[str, object]:
    """What a run of the outbox achieved, as a mapping."""
    return {
        "digest": report.issue.digest,
        "number": report.issue.number,
        "subject": report.issue.subject,
        "entries": report.issue.entries,
        "counts": {state.value: number for state, number in report.counts.items()},
        "sent_now": report.sent_now,
        "seconds": round(report.seconds, 3),
        "next_attempt_at": report.next_attempt_at,
        "waiting": report.waiting,
        "opens_at": report.opens_at,
        "stopped": report.stopped,
        "hint": report.hint,
        "learned": list(report.learned),
    }


def shown(path: Path) -> str:
    """A path as a person here would type it."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

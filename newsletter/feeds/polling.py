"""When to ask a feed: whom a round asks, when again, and whether entries may have come and gone in between.

Learned from the feed itself: how often it brings something, and how long an
entry stays in its document.  What servers ask for (`manners`) comes first.
Nothing here reads or writes; a clock that was set back makes nothing wait.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from newsletter.feeds.manners import LONGEST_FRESH, LONGEST_REST, allowed_at, rest_words
from newsletter.feeds.rhythm import entries_a_day, silence, silent_from
from newsletter.model import (
    Failed,
    Feed,
    Fetched,
    FetchResult,
    Hints,
    NotModified,
    Poll,
    Rhythm,
    Round,
    Spared,
    Trouble,
    Wish,
)

#: No feed is polled more often than this, nor (failures and wishes aside) less often, in seconds.
SHORTEST: Final = 900.0
LONGEST: Final = 12 * 3_600.0
#: How often a feed is polled of which nothing is known yet, in seconds.
USUAL: Final = 3_600.0
#: So soon after a good answer a digest takes a server's word that it still holds.
JUST_NOW: Final = timedelta(minutes=15)
#: An entry should be in this many of the documents that are fetched.
_LOOKS: Final = 4
#: An interval may be cut by this share, at most by so many seconds: cron never comes at the same second.
_EARLY: Final = 0.1
_EARLIEST: Final = 300.0
#: How long a gap is shown.
_GAP_SHOWN: Final = timedelta(days=7)
#: More new entries than this share of a document are nearly all of it.
_NEARLY_ALL: Final = 2 / 3
#: A window that was measured grows by so much with each fetch that brings something.
_FORGET: Final = 1.5
#: So many new entries tell something of how fast a document changes.
_TELLING: Final = 3
#: So many of the last days with entries are looked at for the busiest.
_LATELY: Final = 30
_DAY: Final = 86_400.0
_NO_HINTS: Final = Hints()
GONE: Final = "its server says that it is gone for good (410)"
BY_HAND: Final = "by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What one fetch of one feed has come to: the answer, what recording it brought, and when."""

    outcome: Fetched | NotModified | Failed
    result: FetchResult
    now: datetime


def spare(feed: Feed, poll: Poll, kind: Round, *, now: datetime) -> Spared | None:
    """Say why a round should not ask a feed; None where it should."""
    if kind is Round.named:
        return None
    if poll.paused is not None:
        return Spared(feed=feed, why=f"paused: {poll.paused}")
    retry_at = _ahead(poll.wish.retry_at, LONGEST_REST, now)
    if kind is Round.wanted and retry_at and poll.answered_at and not poll.failures:
        # It came with a good answer, so it is no refusal: a digest a day must not miss a day for some seconds.
        retry_at = _ahead(min(retry_at, poll.answered_at + LONGEST_FRESH), LONGEST_REST, now)
    if retry_at is not None:
        return Spared(
            feed=feed, why=f"its server asks to be left alone for {rest_words(retry_at - now)}", until=retry_at
        )
    until, why = None, ""
    if kind is Round.wanted and not poll.failures and poll.answered_at:
        if timedelta() <= now - poll.answered_at <= JUST_NOW:
            until = _ahead(poll.wish.fresh_until, LONGEST_FRESH, now)
            why = "asked just now, and its server says that the answer holds"
    elif kind is Round.due:
        until = _ahead(poll.next_at, LONGEST_REST + timedelta(days=1), now)
        why = f"not due for {rest_words(until - now)}" if until else ""
    return Spared(feed=feed, why=why, until=until) if until else None


def needs_past(poll: Poll, asked: Asked) -> bool:
    """Whether the days of its entries must be looked up, because more than one may have passed since the last look."""
    if isinstance(asked.outcome, Failed) or asked.result.error or not asked.result.new:
        return False
    return poll.answered_at is None or asked.now - poll.answered_at > timedelta(hours=36)


def after(poll: Poll, asked: Asked, rhythm: Rhythm | None) -> Poll:
    """What is to be remembered after a fetch.

    Args:
        poll: what was remembered before.
        asked: what the fetch has come to.
        rhythm: the feed's days, those of this fetch included; None where they need no new look.
    """
    outcome, result, now = asked.outcome, asked.result, asked.now
    if isinstance(outcome, Failed) or result.error:
        wish = Wish(retry_at=outcome.wish.retry_at, fresh_until=None)
        base = _interval(result.feed, poll.interval)
        pause = min(base * 2.0 ** min(max(result.failures - 1, 0), 16), max(LONGEST, base))
        gone = isinstance(outcome, Failed) and outcome.gone
        return replace(
            poll,
            wish=wish,
            next_at=_next(now, pause, wish, poll, hints_too=False),
            paused=poll.paused or (GONE if gone else None),
        )
    if isinstance(outcome, NotModified) and rhythm is None and outcome.moved_to == poll.moved_to and not poll.gap:
        # The usual day of most feeds, hence made cheap.
        next_at = _next(now, _interval(result.feed, poll.interval), outcome.wish, poll, hints_too=True)
        paused = None if poll.paused == GONE else poll.paused
        return replace(poll, wish=outcome.wish, answered_at=now, paused=paused, next_at=next_at)
    a_day = entries_a_day(rhythm.days) if rhythm else None
    window, learned = poll.window, poll.interval
    if rhythm is not None and result.new:
        window = _window(poll, asked, rhythm)
        learned = _learned(a_day, window)
    hints = outcome.hints if isinstance(outcome, Fetched) else poll.hints
    found = replace(
        poll,
        wish=outcome.wish,
        hints=hints,
        answered_at=now,
        window=window,
        interval=learned,
        moved_to=outcome.moved_to,
        # One that was gone is back; one that a person paused waits for that person.
        paused=None if poll.paused == GONE else poll.paused,
    )
    if rhythm is not None:
        today = now.toordinal()
        found = replace(found, silent=silence(rhythm, today=today), silent_from=silent_from(rhythm))
    found = _gap(found, poll, asked, rhythm)
    return replace(found, next_at=_next(now, _interval(result.feed, learned), found.wish, found, hints_too=True))


def looks_silent(poll: Poll, *, now: datetime) -> bool:
    """Whether the feed's days must be looked at, because it is or may be silent."""
    return poll.silent is not None or (poll.silent_from is not None and now.toordinal() >= poll.silent_from)


def may_have_lost(poll: Poll, asked: Asked, a_day: float | None, *, again: bool) -> bool:
    """Whether entries may have come and gone since the last good answer.

    They may where nothing in the document was there then, unless the feed's pace
    says that fewer than half a document came meanwhile.  That is said of a batch
    too, which replaces the whole document at once; but not of one that comes
    `again` on the same day.  Where its pace is not known, a few entries or a few
    minutes say nothing.

    Args:
        poll: what was remembered before.
        asked: what the fetch has come to.
        a_day: how many entries the feed brings a day, as far as that is known.
        again: it had brought something on this day before.
    """
    result = asked.result
    if poll.answered_at is None or result.held or result.older or not result.entries or result.new < result.entries:
        return False
    since = _since(poll, asked)
    telling = result.entries >= _TELLING and since >= SHORTEST * (1 - _EARLY)
    if a_day is None:
        return telling
    return a_day * since / _DAY > result.entries / 2 or (again and telling)


def _gap(found: Poll, poll: Poll, asked: Asked, rhythm: Rhythm | None) -> Poll:
    result, now = asked.result, asked.now
    if result.held:
        return found
    if rhythm is not None and poll.answered_at is not None and result.new and result.entries:
        away = rest_words(timedelta(seconds=_since(poll, asked)))
        if _lost(poll, asked, rhythm):
            words = (
                f"none of its {result.entries} entries was there {away} ago: others may have come and gone meanwhile"
            )
            return replace(found, gap=Trouble.lost, gap_at=now, gap_words=words)
        words = ""
        if result.older:
            words = f"{result.older} entries had gone from it after {away}; its older pages still had them"
        elif _TELLING <= result.entries != result.new > result.entries * _NEARLY_ALL:
            words = (
                f"{result.new} of its {result.entries} entries are new after {away}: soon some may come and go unseen"
            )
        if words and not (poll.gap is Trouble.lost and _recent(poll, now)):
            return replace(found, gap=Trouble.tight, gap_at=now, gap_words=words)
    return found if _recent(poll, now) else replace(found, gap=None, gap_at=None, gap_words=None)


def _lost(poll: Poll, asked: Asked, rhythm: Rhythm) -> bool:
    """`may_have_lost`, with the feed's days, those of this fetch included."""
    today = dict(rhythm.days).get(asked.now.toordinal(), 0)
    return may_have_lost(poll, asked, entries_a_day(rhythm.days), again=today > asked.result.new)


def _recent(poll: Poll, now: datetime) -> bool:
    """Whether a gap was noticed so lately that it is still worth saying."""
    return poll.gap_at is not None and now - poll.gap_at < _GAP_SHOWN


def _window(poll: Poll, asked: Asked, rhythm: Rhythm) -> float | None:
    """How long an entry stays in the document, in seconds; None where nothing is known of it.

    By the busiest of its days; and where a good part of the document is new, by
    how long that took.  What was measured once is believed less and less.
    """
    result = asked.result
    if not result.entries or result.held:
        return poll.window
    found = [] if poll.window is None else [poll.window * _FORGET]
    if len(rhythm.days) > 1:
        found.append(result.entries / max(number for _, number in rhythm.days[-_LATELY:]) * _DAY)
    if poll.answered_at is not None:
        if _lost(poll, asked, rhythm) or result.older:
            found.append(_since(poll, asked))
        elif _TELLING <= result.new < result.entries and result.new >= result.entries / 3:
            found.append(_since(poll, asked) * result.entries / result.new)
    return min(found, default=None)


def _since(poll: Poll, asked: Asked) -> float:
    """Seconds since the last good answer; at least one, whatever the clock says."""
    return max((asked.now - (poll.answered_at or asked.now)).total_seconds(), 1.0)


def _learned(a_day: float | None, window: float | None) -> float:
    """How often to ask: twice as often as something comes, and before any of it can go."""
    usual = LONGEST if a_day else USUAL
    twice = _DAY / a_day / 2 if a_day else usual
    return max(min(twice, usual, LONGEST if window is None else window / _LOOKS), SHORTEST)


def _interval(feed: Feed, learned: float | None) -> float:
    return feed.poll or learned or USUAL


def _next(now: datetime, interval: float, wish: Wish, poll: Poll, *, hints_too: bool) -> datetime:
    """The moment a feed is due: its interval, a little early, but never before its server wants it."""
    moment = now + timedelta(seconds=interval - min(interval * _EARLY, _EARLIEST))
    if hints_too and (poll.hints != _NO_HINTS or wish.fresh_until):
        ttl = timedelta(seconds=min(poll.hints.ttl or 0, LONGEST_FRESH.total_seconds()))
        moment = allowed_at(max(moment, now + ttl, wish.fresh_until or now), poll.hints)
    return max(moment, wish.retry_at or now)


def _ahead(moment: datetime | None, longest: timedelta, now: datetime) -> datetime | None:
    """A moment that is to be waited for; None where it is over, or so far ahead that a clock must have jumped."""
    return moment if moment is not None and now < moment <= now + longest else None

"""When a feed is asked again, over weeks of its life: often enough that nothing slips by, and no more often."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.feeds.polling import GONE, LONGEST, SHORTEST, Asked, after, spare
from newsletter.feeds.rhythm import seen
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
    Validators,
    Wish,
)
from tests.conftest import START

FEED = Feed(url="https://paper.example/feed")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CRON = timedelta(minutes=15)


@dataclass
class Life:
    """A feed with a document of so many entries, asked by cron when it is due."""

    window: int
    written: list[datetime] = field(default_factory=list)
    poll: Poll = field(default_factory=lambda: Poll(url=FEED.url))
    rhythm: Rhythm = field(default_factory=Rhythm)
    asked: list[datetime] = field(default_factory=list)
    missed: int = 0
    gaps: set[Trouble] = field(default_factory=set)

    def ask(self, now: datetime) -> None:
        there = [moment for moment in self.written if moment <= now]
        last = self.asked[-1] if self.asked else None
        fresh = [moment for moment in there if last is None or moment > last]
        new = min(len(fresh), self.window)
        self.missed += 0 if last is None else len(fresh) - new
        self.asked.append(now)
        result = FetchResult(feed=FEED, entries=min(len(there), self.window), new=new, unchanged=not new)
        rhythm = None
        if new:
            days: dict[int, int] = {}
            for moment in fresh[-new:]:
                day = moment.toordinal() if last is None else now.toordinal()
                days[day] = days.get(day, dict(self.rhythm.days).get(day, 0)) + 1
            rhythm = self.rhythm = seen(self.rhythm, days, today=now.toordinal())
        outcome = document() if new else NotModified(feed=FEED, seconds=0.1)
        self.poll = after(self.poll, Asked(outcome=outcome, result=result, now=now), rhythm)
        self.gaps |= {self.poll.gap} if self.poll.gap else set()

    def live(self, begin: datetime, days: int) -> None:
        now = begin
        while now < begin + days * DAY:
            if spare(FEED, self.poll, Round.due, now=now) is None:
                self.ask(now)
            now += CRON

    def asked_a_day(self, since: datetime) -> float:
        return sum(moment >= since for moment in self.asked) / ((self.asked[-1] - since) / DAY)


def document(**about: object) -> Fetched:
    return Fetched(
        feed=FEED,
        final_url=FEED.url,
        body=b"",
        content_type=None,
        validators=Validators(),
        seconds=0.1,
        **about,  # type: ignore[arg-type]
    )


def every(step: timedelta) -> Callable[[random.Random], list[datetime]]:
    return lambda _: [START + step * number for number in range(int(30 * DAY / step))]


def by_chance(step: timedelta) -> Callable[[random.Random], list[datetime]]:
    def moments(chance: random.Random) -> list[datetime]:
        found, now = [], START
        while now < START + 30 * DAY:
            now += chance.expovariate(1.0) * step
            found.append(now)
        return found

    return moments


def in_the_morning(number: int) -> Callable[[random.Random], list[datetime]]:
    """All of a day's entries within an hour."""
    return lambda chance: sorted(START + DAY * day + HOUR * chance.random() for day in range(30) for _ in range(number))


def a_number_a_week(number: int) -> Callable[[random.Random], list[datetime]]:
    return lambda _: [START + 7 * DAY * week for week in range(5) for _ in range(number)]


#: When entries are written, how many the document has, how often a day it may be asked, what may slip by, what is told.
LIVES: dict[str, tuple[Callable[[random.Random], list[datetime]], int, tuple[float, float], int, set[Trouble]]] = {
    "one a day": (every(DAY), 20, (2, 3), 0, set()),
    "one a week": (every(7 * DAY), 20, (2, 3), 0, set()),
    "a picture of the day": (every(DAY), 1, (4, 7), 0, set()),
    "six a day": (every(4 * HOUR), 20, (10, 14), 0, set()),
    "one in half an hour": (every(HOUR / 2), 10, (60, 97), 0, set()),
    "one in half an hour, a long document": (every(HOUR / 2), 200, (60, 97), 0, set()),
    "a day's worth by chance": (by_chance(DAY), 10, (2, 4), 0, set()),
    "one an hour by chance": (by_chance(HOUR), 15, (40, 97), 0, set()),
    "ten in the morning": (in_the_morning(10), 20, (8, 30), 0, set()),
    # More in an hour than the document has: nobody can have all of it, and that is told.
    "sixty in the morning": (in_the_morning(60), 10, (20, 97), 1400, {Trouble.lost, Trouble.tight}),
    # A weekly, whose document is one number of it: nothing has gone that was not there.
    "twenty a week, all at once": (a_number_a_week(20), 20, (2, 30), 0, set()),
}


@pytest.mark.parametrize("kind", LIVES)
def test_nothing_slips_by_and_nobody_is_asked_without_need(kind: str) -> None:
    moments, window, (least, most), may_slip, told = LIVES[kind]
    life = Life(window, written=moments(random.Random(kind)))
    life.live(START + HOUR, 30)

    assert life.missed <= may_slip
    assert life.gaps <= told
    assert not life.missed or Trouble.lost in life.gaps
    assert least <= life.asked_a_day(START + 15 * DAY) <= most
    assert SHORTEST <= (life.poll.interval or 0) <= LONGEST


def test_what_slipped_by_before_a_feed_was_known_is_told() -> None:
    """A hundred a day, in a document of ten: the first hours are told of, then nothing is missed."""
    life = Life(10, written=every(DAY / 100)(random.Random(1)))
    life.live(START + DAY, 2)
    missed = life.missed
    life.live(START + 3 * DAY, 20)

    assert missed == life.missed
    assert Trouble.lost in life.gaps or not missed


results = st.builds(
    lambda entries, new, held, error: FetchResult(
        feed=FEED,
        entries=entries,
        new=min(new, entries),
        held=held if new else 0,
        error="no" if error else None,
        failures=3 * error,
    ),
    st.integers(0, 60),
    st.integers(0, 60),
    st.sampled_from([0, 0, 0, 5]),
    st.booleans(),
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.timedeltas(-3 * DAY, 30 * DAY), results), max_size=12),
    st.builds(Hints, ttl=st.none() | st.integers(1, 10**9), hours=st.sets(st.integers(0, 23)).map(tuple)),
)
def test_whatever_happens_the_next_time_is_ahead_and_within_bounds(
    days: list[tuple[timedelta, FetchResult]], hints: Hints
) -> None:
    """Also with a clock that is set back."""
    poll, rhythm, now = Poll(url=FEED.url), Rhythm(), START
    for step, result in days:
        now += step
        if result.new:
            rhythm = seen(rhythm, {now.toordinal(): result.new}, today=now.toordinal())
        asked = Asked(outcome=document(hints=hints), result=result, now=now)
        poll = after(poll, asked, rhythm if result.new and not result.error else None)

        assert poll.next_at is not None
        assert now + timedelta(seconds=SHORTEST) * 0.8 <= poll.next_at <= now + DAY + 2 * HOUR
        assert SHORTEST <= (poll.interval or SHORTEST) <= LONGEST


def test_gone_pauses_until_it_is_back_and_a_person_s_pause_stays() -> None:
    failed = FetchResult(feed=FEED, error="gone", failures=1)
    gone = Asked(outcome=Failed(feed=FEED, reason="gone", hint=None, seconds=0.1, gone=True), result=failed, now=START)
    back = Asked(outcome=document(), result=FetchResult(feed=FEED, entries=3, new=3), now=START + DAY)

    assert GONE == after(Poll(url=FEED.url), gone, None).paused
    assert None is after(after(Poll(url=FEED.url), gone, None), back, Rhythm()).paused
    assert "by hand" == after(Poll(url=FEED.url, paused="by hand"), gone, None).paused
    assert "by hand" == after(Poll(url=FEED.url, paused="by hand"), back, Rhythm()).paused


@pytest.mark.parametrize("kind", Round)
def test_a_moment_too_far_ahead_is_the_mark_of_a_wrong_clock(kind: Round) -> None:
    far = START + 100 * DAY
    poll = Poll(url=FEED.url, answered_at=far, next_at=far, wish=Wish(retry_at=far, fresh_until=far))

    assert None is spare(FEED, poll, kind, now=START)


def test_a_paused_feed_says_why_it_is_spared() -> None:
    for kind in (Round.every, Round.wanted, Round.due):
        assert Spared(feed=FEED, why="paused: by hand") == spare(
            FEED, Poll(url=FEED.url, paused="by hand"), kind, now=START
        )
    assert None is spare(FEED, Poll(url=FEED.url, paused="by hand"), Round.named, now=START)

"""A feed's own past says when it has fallen silent: no sooner for weekly, bursty and new ones."""

import random
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.feeds.rhythm import REMEMBERED, entries_a_day, patience, seen, silence, silent_from, usual_pace
from newsletter.model import Rhythm

DAY_ONE = date(2024, 1, 1).toordinal()

#: How many entries there are on a day, of a feed's own kind of chance.
Life = Callable[[random.Random, int], int]


def poisson(rate: float) -> Life:
    def entries(chance: random.Random, _: int) -> int:
        number, moment = 0, chance.expovariate(rate)
        while moment < 1:
            number, moment = number + 1, moment + chance.expovariate(rate)
        return number

    return entries


def on_weekdays(rate: float) -> Life:
    any_day = poisson(rate)
    return lambda chance, day: any_day(chance, day) if day % 7 < 5 else 0


def weekly(late: int, left_out: float) -> Life:
    """Each week once, up to so many days late, and sometimes not at all."""
    days: set[int] = set()

    def entries(chance: random.Random, day: int) -> int:
        if day % 7 == 0 and chance.random() >= left_out:
            days.add(day + chance.randint(0, late))
        return int(day in days)

    return entries


def bursty(pause: float) -> Life:
    """Up to three days full of entries, then a long pause of any length."""
    state = {"next": 0, "left": 0}

    def entries(chance: random.Random, day: int) -> int:
        if day >= state["next"]:
            state["left"] = chance.randint(1, 3)
            state["next"] = day + state["left"] + 1 + int(chance.expovariate(1 / pause))
        state["left"] -= 1
        return chance.randint(1, 15) if state["left"] >= 0 else 0

    return entries


#: Kind, its life, how many false alarms a year are borne, and after how many days half of the dead are noticed.
KINDS: dict[str, tuple[Callable[[], Life], float, float]] = {
    "five a day": (lambda: poisson(5), 0.01, 10),
    "three a day": (lambda: poisson(3), 0.01, 12),
    "one a day": (lambda: poisson(1), 0.06, 25),
    "one in ten days": (lambda: poisson(0.1), 0.08, 200),
    "three a weekday": (lambda: on_weekdays(3), 0.01, 14),
    "weekly": (lambda: weekly(2, 0.03), 0.05, 60),
    "weekly, to the day": (lambda: weekly(0, 0), 0.0, 16),
    "weekly, one in five left out": (lambda: weekly(3, 0.2), 0.05, 100),
    "monthly": (lambda: lambda _, day: int(day % 30 == 0), 0.0, 80),
    "bursts": (lambda: bursty(10), 0.08, 200),
    "rare bursts": (lambda: bursty(30), 0.12, 500),
}


def alarms(life: Life, chance: random.Random, days: int) -> tuple[int, Rhythm]:
    """Live; how often it was called silent though it was not."""
    rhythm, number, was_silent, first = Rhythm(), 0, False, None
    for day in range(days):
        today = DAY_ONE + day
        if found := life(chance, day):
            rhythm = seen(rhythm, {today: found}, today=today)
            first = silent_from(rhythm)
        is_silent = first is not None and today >= first
        number += is_silent and not was_silent
        was_silent = is_silent
    return number, rhythm


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lives", [3, pytest.param(300, marks=pytest.mark.soak)])
def test_few_are_called_silent_that_are_not_and_the_dead_are_noticed(kind: str, lives: int) -> None:
    make, borne, noticed = KINDS[kind]
    found = [alarms(make(), random.Random(f"{kind} {number}"), 700) for number in range(lives)]
    years = lives * 700 / 365
    waits = sorted(patience(rhythm) or 999.0 for _, rhythm in found)

    # In a few lives one alarm is chance; in many it is a rate.
    assert sum(number for number, _ in found) <= max(borne * years, 0.0 if borne == 0 else 2.0)
    assert waits[len(waits) // 2] <= noticed


@pytest.mark.parametrize("days", [1, 3, 7, 20])
def test_a_new_feed_is_not_called_silent(days: int) -> None:
    rhythm = seen(Rhythm(), {DAY_ONE + day: 5 for day in range(days)}, today=DAY_ONE + days)

    assert patience(rhythm) is None
    assert silence(rhythm, today=DAY_ONE + 1000) is None


def test_a_holiday_is_borne_from_the_second_year_on() -> None:
    """Three a weekday, and two weeks of nothing at the end of each year."""
    usual = on_weekdays(3)
    chance = random.Random(1)
    number, rhythm = alarms(lambda c, day: 0 if day % 365 > 350 else usual(c, day), chance, 3 * 365)

    assert number == 1
    assert 14 < (patience(rhythm) or 0) < 30


def test_the_words_say_what_was_usual_and_since_when_it_is_not() -> None:
    rhythm = seen(Rhythm(), {DAY_ONE + day: 3 for day in range(60)}, today=DAY_ONE + 59)

    assert silence(rhythm, today=DAY_ONE + 62) is None
    assert "usually 3 a day, none for 9 days" == silence(rhythm, today=DAY_ONE + 68)
    first = silent_from(rhythm)
    assert first is not None
    assert silence(rhythm, today=first - 1) is None
    assert silence(rhythm, today=first) is not None


@pytest.mark.parametrize(
    ("every", "each", "words"),
    [(1, 12, "12 a day"), (2, 1, "4 a week"), (7, 1, "1 a week"), (10, 1, "3 a month"), (90, 1, "less than 1 a month")],
)
def test_a_pace_in_words(every: int, each: int, words: str) -> None:
    assert words == usual_pace([(DAY_ONE + number * every, each) for number in range(10)])


@settings(max_examples=40)
@given(st.dictionaries(st.integers(0, 5000), st.integers(0, 50), max_size=200), st.integers(0, 5000))
def test_what_is_remembered_is_bounded_and_in_order(found: dict[int, int], today: int) -> None:
    at_once = seen(Rhythm(), found, today=today)
    one_by_one = Rhythm()
    for day in sorted(found):
        one_by_one = seen(one_by_one, {day: found[day]}, today=today)

    known = sorted((day, number) for day, number in found.items() if number and day <= today)
    assert at_once.days == one_by_one.days == tuple(known[-REMEMBERED:])
    assert at_once.pause == one_by_one.pause
    assert (entries_a_day(at_once.days) is None) == (len(at_once.days) < 2)

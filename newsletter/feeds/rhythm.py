"""How often a feed brings something, learned from its own past, and when it has fallen silent.

What is learned are the days with entries, not the entries: a burst of twenty is
one day.  The longest pause a feed has ever made is the measure; it counts for
less, so is multiplied by more, the fewer pauses of that kind were seen.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from newsletter.model import Rhythm

#: So many days with entries are remembered.
REMEMBERED: Final = 120
#: Before so many days with entries, over so long a time, nothing is called silence.
_ENOUGH_DAYS: Final = 8
_ENOUGH_SPAN: Final = 21
#: No feed is called silent sooner, in days.
_SHORTEST: Final = 4
#: How many times its longest pause a feed must be quiet: at least so many, and more where few pauses are known.
_TIMES: Final = 2.0
_UNSURE: Final = 3.0
#: The same for a pause unlike all others, a holiday say, which is remembered for more than a year.
_AGAIN: Final = 1.5
_YEAR: Final = 400
_WEEK: Final = 7
_MONTH: Final = 30
_ABOUT_ONE: Final = 0.9


def seen(rhythm: Rhythm, found: Mapping[int, int], *, today: int) -> Rhythm:
    """Add days with entries to what is known; a day named again counts anew.  Days are ordinals."""
    known = dict(rhythm.days) | {day: number for day, number in found.items() if number and day <= today}
    days = sorted(known.items())
    pause, ended = rhythm.pause, rhythm.pause_on
    if today - ended > _YEAR:
        pause, ended = 0, 0
    for (earlier, _), (later, _) in pairwise(days[: 1 - REMEMBERED] if len(days) > REMEMBERED else ()):
        if later - earlier >= pause:
            pause, ended = later - earlier, later
    return Rhythm(days=tuple(days[-REMEMBERED:]), pause=pause, pause_on=ended)


def patience(rhythm: Rhythm) -> float | None:
    """After how many days without an entry the feed has fallen silent; None where it is not known well enough."""
    days = [day for day, _ in rhythm.days]
    if len(days) < _ENOUGH_DAYS or days[-1] - days[0] < _ENOUGH_SPAN:
        return None
    pauses = sorted((later - earlier for earlier, later in pairwise(days)), reverse=True)
    longest = max(pauses[0], rhythm.pause)
    alike = sum(pause > longest / 2 for pause in (*pauses, rhythm.pause))
    if alike == 1:
        # A holiday, it seems: it may come again, and says little of any other day.
        usual = pauses[1] if pauses[0] == longest else pauses[0]
        return max(longest * _AGAIN, usual * (_TIMES + _UNSURE), _SHORTEST)
    return max(longest * (_TIMES + _UNSURE / alike), _SHORTEST)


def silent_from(rhythm: Rhythm) -> int | None:
    """The first day (ordinal) on which the feed will have fallen silent, if nothing comes until then."""
    allowed = patience(rhythm)
    return None if allowed is None else rhythm.days[-1][0] + int(allowed) + 1


def silence(rhythm: Rhythm, *, today: int) -> str | None:
    """What to say of a feed that is quiet for longer than its own past explains; None where it is not."""
    begins = silent_from(rhythm)
    if begins is None or today < begins:
        return None
    return f"usually {usual_pace(rhythm.days)}, none for {today - rhythm.days[-1][0]} days"


def entries_a_day(days: Sequence[tuple[int, int]]) -> float | None:
    """How many entries a day these days bring, of days that brought any; None for fewer than two."""
    if len(days) < 2:  # noqa: PLR2004 - between one day and itself lies no time
        return None
    # The entries of the last day come at the end of the time that is looked at, so they are left out.
    return sum(number for _, number in days[:-1]) / (days[-1][0] - days[0][0])


def usual_pace(days: Sequence[tuple[int, int]]) -> str:
    """How often a feed brings something, in words: `3 a day`, `2 a week`, `1 a month`."""
    a_day = entries_a_day(days) or 0.0
    for size, name in ((1, "day"), (_WEEK, "week"), (_MONTH, "month")):
        if a_day * size >= _ABOUT_ONE:
            return f"{round(a_day * size):,} a {name}"
    return "less than 1 a month"

"""A rule names the same slots whoever asks: none is left out and none comes twice, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.schedule import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
FRIDAY = datetime(2026, 3, 27, 12, tzinfo=UTC)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


def names(rule: str, count: int, after: datetime = FRIDAY) -> list[str]:
    return [slot.name for slot in islice(Schedule.parse(rule, BERLIN).after(after), count)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("daily 07:30", ["2026-03-28 07:30", "2026-03-29 07:30", "2026-03-30 07:30"]),
        ("every day at 7:30", ["2026-03-28 07:30", "2026-03-29 07:30", "2026-03-30 07:30"]),
        ("mon-fri 07:00, 16:00", ["2026-03-27 16:00", "2026-03-30 07:00", "2026-03-30 16:00"]),
        ("weekdays 07:00", ["2026-03-30 07:00", "2026-03-31 07:00", "2026-04-01 07:00"]),
        ("Saturday,Sunday 09:00", ["2026-03-28 09:00", "2026-03-29 09:00", "2026-04-04 09:00"]),
        ("fri-mon 09:00", ["2026-03-28 09:00", "2026-03-29 09:00", "2026-03-30 09:00"]),
        ("sun 18:00", ["2026-03-29 18:00", "2026-04-05 18:00", "2026-04-12 18:00"]),
        ("1st mon 09:00", ["2026-04-06 09:00", "2026-05-04 09:00", "2026-06-01 09:00"]),
        ("2nd,4th tue 09:00", ["2026-04-14 09:00", "2026-04-28 09:00", "2026-05-12 09:00"]),
        ("last fri 17:00", ["2026-03-27 17:00", "2026-04-24 17:00", "2026-05-29 17:00"]),
        ("1st,15th 08:00", ["2026-04-01 08:00", "2026-04-15 08:00", "2026-05-01 08:00"]),
        ("last day 18:00", ["2026-03-31 18:00", "2026-04-30 18:00", "2026-05-31 18:00"]),
        ("every 6h", ["2026-03-27 18:00", "2026-03-28 00:00", "2026-03-28 06:00"]),
        ("every 30 minutes", ["2026-03-27 13:30", "2026-03-27 14:00", "2026-03-27 14:30"]),
        ("15 7 * * 1-5", ["2026-03-30 07:15", "2026-03-31 07:15", "2026-04-01 07:15"]),
    ],
)
def test_rules_are_read_as_people_mean_them(rule: str, expected: list[str]) -> None:
    assert expected == names(rule, 3)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("daily", "names no time: write daily 07:30"),
        ("mon-fri", "names no time: write mon-fri 07:30"),
        ("07:30", "names no day: write daily 07:30"),
        ("daily 24:00", "there is no 24:00 on a clock; midnight is 00:00 of the next day"),
        ("daily 7:60", "there is no 7:60 on a clock"),
        ("daily 7.30", "is not a schedule: write daily 07:30"),
        ("mon-fri 07:00 16:00", "is not a time of day"),
        ("every 7h", "does not come at the same times each day: 1h, 2h, 3h"),
        ("every 0m", "does not come at the same times"),
        ("31st 09:00", "not every month has a 31st: write last day"),
        ("5th mon 09:00", "most months have no 5th: write last"),
        ("6th mon 09:00", "is no week of a month"),
        ("foo 07:00", "'foo' is no day: write daily"),
        ("mon-tue-wed 07:00", "is no day"),
        ("0 0 31 4 *", "bad day-of-month"),
        ("61 * * * *", "bad minute"),
        ("banana", "is not a schedule"),
        ("* * * * * *", "is not a schedule"),
    ],
)
def test_what_is_no_rule_is_refused_with_what_to_write(rule: str, said: str) -> None:
    with pytest.raises(ValueError) as error:
        Schedule.parse(rule, BERLIN)

    assert said in str(error.value)


@given(st.text(max_size=40) | st.from_regex(r"(?a)[a-z0-9 ,:*/-]{0,30}", fullmatch=True))
def test_no_text_at_all_makes_a_traceback(text: str) -> None:
    try:
        schedule = Schedule.parse(text, BERLIN)
    except ValueError:
        return

    assert next(schedule.after(FRIDAY)).at > FRIDAY


def test_a_time_that_does_not_come_is_the_moment_when_the_clocks_jump() -> None:
    slots = list(islice(Schedule.parse("daily 02:30", BERLIN).after(FRIDAY + timedelta(days=1)), 2))

    assert ["2026-03-29 02:30", "2026-03-30 02:30"] == [slot.name for slot in slots]
    assert [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 3, 30, 0, 30, tzinfo=UTC)] == [
        slot.at for slot in slots
    ]


def test_a_time_that_comes_twice_is_its_first_coming() -> None:
    schedule = Schedule.parse("daily 02:30", BERLIN)
    slot = next(schedule.after(datetime(2026, 10, 24, 12, tzinfo=UTC)))

    assert ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) == (slot.name, slot.at)
    assert "2026-10-26 02:30" == next(schedule.after(slot.at)).name
    # At its second coming the last slot is still that one.
    assert slot == next(schedule.before(datetime(2026, 10, 25, 1, 30, tzinfo=UTC)))


# ------------------------------------------------------------------- all zones, two years


@cache
def zones() -> list[str]:
    """A zone for every way in which the clocks of a place go in these two years."""
    found: dict[tuple[timedelta | None, ...], str] = {}
    days = [BEGIN + timedelta(days=day) for day in range((END - BEGIN).days)]
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        found.setdefault(tuple(day.astimezone(zone).utcoffset() for day in days), name)
    return list(found.values())


def spans(zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
    """Some days around each change of the clocks, and around the new year."""
    days = [BEGIN + timedelta(days=day) for day in range((END - BEGIN).days)]
    changes = [
        day for day, after in pairwise(days) if day.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()
    ]
    return [(day - timedelta(days=3), day + timedelta(days=4)) for day in [*changes, datetime(2027, 1, 1, tzinfo=UTC)]]


def judge(rule: str, zone: ZoneInfo, begin: datetime, end: datetime) -> None:
    """Each day has its slot once, at its time on the wall or where the clocks jump over it."""
    slots = list(takewhile(lambda slot: slot.at < end, Schedule.parse(rule, zone).after(begin)))
    first, last = slots[0].wall.date(), slots[-1].wall.date()
    every_day = [date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1)]

    assert every_day == [slot.wall.date() for slot in slots], zone
    assert abs(len(slots) - (end - begin).days) <= 1, zone
    assert all(one.at < other.at for one, other in pairwise(slots)), zone
    for slot in slots:
        wall = slot.at.astimezone(zone).replace(tzinfo=None)
        if wall != slot.wall:
            before = (slot.at - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
            assert before < slot.wall < wall, (zone, slot)


RULES = ("daily 02:30", "daily 00:00", "daily 01:59")


@pytest.mark.parametrize("rule", RULES)
def test_in_every_zone_each_day_has_its_slot_once_whatever_the_clocks_do(rule: str) -> None:
    for name in zones():
        for begin, end in spans(ZoneInfo(name)):
            judge(rule, ZoneInfo(name), begin, end)


@pytest.mark.soak
@pytest.mark.parametrize("rule", RULES)
def test_in_every_zone_each_day_of_two_years_has_its_slot_once(rule: str) -> None:
    for name in available_timezones():
        judge(rule, ZoneInfo(name), BEGIN, END)


@settings(max_examples=40)
@given(data=st.data(), rule=st.sampled_from(["every 6h", "daily 02:30", "mon-fri 07:00, 16:00", "every 30m"]))
def test_whoever_looks_now_and_then_meets_each_slot_once(data: st.DataObject, rule: str) -> None:
    """Looks fall anywhere, also in the hour that comes twice; forwards and backwards name the same slots."""
    zone = ZoneInfo(data.draw(st.sampled_from(zones())))
    schedule = Schedule.parse(rule, zone)
    begin = BEGIN + timedelta(hours=data.draw(st.integers(0, 17_000)))
    looks = sorted(data.draw(st.lists(st.integers(0, 6 * 86_400), max_size=12)))
    moments = [begin, *(begin + timedelta(seconds=second) for second in looks), begin + timedelta(days=6)]

    met = [
        slot.name
        for last, now in pairwise(moments)
        for slot in takewhile(lambda slot, now=now: slot.at <= now, schedule.after(last))  # type: ignore[misc]
    ]

    back = [slot.name for slot in takewhile(lambda slot: slot.at > begin, schedule.before(moments[-1]))]
    assert met == back[::-1]
    assert len(set(met)) == len(met)

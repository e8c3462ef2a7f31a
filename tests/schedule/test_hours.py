"""The hours in which a digest may be mailed: what may be written, and when they are open, on every clock there is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.config import parse_project
from newsletter.errors import ConfigError
from newsletter.hours import Hours, spans_of

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Chatham", "Asia/Kolkata", "UTC"]
RANGES = ["mon-fri 08:00-18:00", "22:00-07:00", "sun 22:00-06:00", "02:15-02:45", "sat,sun 00:00-24:00", "01:30-02:30"]


def hours(
    window: list[str], quiet: list[str] | None = None, zone: ZoneInfo = BERLIN, *, by_person: bool = False
) -> Hours:
    made = Hours.parse(window, quiet or [], zone, by_person=by_person)
    assert made is not None
    return made


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-03-02 07:59", "2026-03-02 08:00"),
        ("2026-03-02 08:00", "2026-03-02 08:00"),
        ("2026-03-02 17:59", "2026-03-02 17:59"),
        ("2026-03-02 18:00", "2026-03-03 08:00"),
        ("2026-03-06 18:00", "2026-03-09 08:00"),  # over a weekend
        ("2026-03-27 19:00", "2026-03-30 08:00"),  # over the change of the clocks
    ],
)
def test_a_window_of_office_hours_is_waited_for(moment: str, opens: str) -> None:
    assert berlin(opens) == hours(["mon-fri 08:00-18:00"]).opening(berlin(moment))


def test_quiet_hours_go_over_midnight_and_over_the_end_of_the_week() -> None:
    night = hours([], ["22:00-07:00"])

    assert [(420, 1320)] == [(begin, end) for begin, end in night.spans if begin < 1440]
    assert berlin("2026-03-02 07:00") == night.opening(berlin("2026-03-01 23:30"))  # Sunday to Monday
    assert [(6 * 1440 + 1320, 7 * 1440), (0, 420)] == spans_of("sun 22:00-07:00")


def test_several_windows_hold_together_and_quiet_hours_are_taken_from_them() -> None:
    rule = hours(["mon-fri 08:00-12:00, 13:00-18:00", "sat 09:00-12:00"], ["17:00-09:00"])

    open_at = [hour for hour in range(24) if rule.are_open(berlin(f"2026-03-02 {hour:02}:30"))]
    assert [9, 10, 11, 13, 14, 15, 16] == open_at
    assert [9, 10, 11] == [hour for hour in range(24) if rule.are_open(berlin(f"2026-03-07 {hour:02}:30"))]


def test_an_hour_that_does_not_come_is_not_waited_for_and_one_that_comes_twice_is_open_twice() -> None:
    half = hours(["02:15-02:45"])

    assert berlin("2026-03-30 02:15") == half.opening(berlin("2026-03-28 02:45"))
    first, second = berlin("2026-10-25 02:15"), berlin("2026-10-25 02:15", fold=1)
    assert timedelta(hours=1) == second - first
    assert first == half.opening(berlin("2026-10-25 01:00"))
    assert second == half.opening(first + timedelta(minutes=30))
    # From 03:00 the clocks go back to 02:00, into a window that had closed.
    assert berlin("2026-10-25 02:00", fold=1) == hours(["01:00-02:30"]).opening(berlin("2026-10-25 02:30"))


@settings(max_examples=60)
@given(
    window=st.lists(st.sampled_from(RANGES), max_size=2),
    quiet=st.lists(st.sampled_from(RANGES[:2]), max_size=1),
    zone=st.sampled_from(ZONES),
    around=st.sampled_from(
        ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01", "2026-06-01"]
    ),
    minutes=st.integers(0, 2 * 1440),
)
def test_the_opening_is_the_first_minute_at_which_the_wall_says_so(
    window: list[str], quiet: list[str], zone: str, around: str, minutes: int
) -> None:
    try:
        rule = Hours.parse(window, quiet, ZoneInfo(zone))
    except ValueError:
        return
    if rule is None:
        return
    moment = datetime.fromisoformat(f"{around}T00:00+00:00") - timedelta(days=1) + timedelta(minutes=minutes)

    opening = rule.opening(moment)

    # Looked at minute by minute, up to a week.
    steps = range(int((opening - moment) / timedelta(minutes=1)))
    assert not any(rule.are_open(moment + timedelta(minutes=step)) for step in steps)
    assert rule.are_open(opening)


@pytest.mark.parametrize(
    ("person", "begins"),
    [
        (None, "2026-03-02 06:00"),  # Berlin
        ("Asia/Tokyo", "2026-03-02 06:00"),  # their seven o'clock is past
        ("Europe/London", "2026-03-02 07:00"),
        ("America/New_York", "2026-03-02 12:00"),
        ("Pacific/Pago_Pago", "2026-03-02 18:00"),
        ("Nowhere/Gone", "2026-03-02 06:00"),
    ],
)
def test_by_their_own_clock_people_get_it_when_their_wall_says_the_hour_of_the_slot(
    person: str | None, begins: str
) -> None:
    frozen, wall = datetime(2026, 3, 2, 6, 0, tzinfo=UTC), datetime(2026, 3, 2, 7, 0)  # noqa: DTZ001 - on the wall

    found = hours([], [], by_person=True).begin(frozen, person, wall=wall)

    assert datetime.fromisoformat(begins).replace(tzinfo=UTC) == found


def test_on_people_s_own_clocks_the_hours_are_theirs_too() -> None:
    night = hours([], ["22:00-07:00"], by_person=True)
    moment = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)  # midnight in Tokyo

    assert moment == night.begin(moment, "Europe/Berlin")
    assert datetime(2026, 3, 2, 22, 0, tzinfo=UTC) == night.begin(moment, "Asia/Tokyo")


def configured(settings: str) -> Hours | None:
    text = f"title: T\nfrom: a@example.com\nfeeds: []\ndigests:\n  daily:\n    timezone: Asia/Tokyo\n    {settings}\n"
    return parse_project(text, Path("newsletter.yaml")).digest().hours


def test_hours_are_written_as_one_range_or_several() -> None:
    one, several = (
        configured("send_window: mon-fri 08:00-18:00"),
        configured("{send_window: [08:00-12:00, sat 9:00-12:00]}"[1:-1]),
    )

    assert one is not None
    assert several is not None
    assert "Asia/Tokyo" == one.zone.key
    assert "08:00-12:00; sat 9:00-12:00; Asia/Tokyo" == several.text
    assert configured("sort: newest") is None


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("send_window: office hours", "'office hours' names no hours: write mon-fri 08:00-18:00"),
        ("send_window: [mon-fri 08:00-18:00, xyz 09:00-10:00]", "send_window[1]: 'xyz 09:00-10:00': 'xyz' is no day"),
        ("quiet_hours: 25:00-07:00", "there is no 25:00 on a clock"),
        ("quiet_hours: 07:00-07:00", "begins when it ends: a whole day is 00:00-24:00"),
        ("quiet_hours: 00:00-24:00", "leave no time at which anything may be mailed"),
        ("clock: theirs", "clock"),
    ],
)
def test_hours_that_cannot_be_are_named_with_their_line(written: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        configured(written)

    assert "newsletter.yaml:7: digests.daily." in str(raised.value)
    assert words in str(raised.value)

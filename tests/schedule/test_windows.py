"""What waits for its hours goes when they open, to each once, whatever is changed meanwhile."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.due import Looks, send_due
from newsletter.app.explain import explain
from newsletter.app.send import Watcher, send
from newsletter.app.status import status
from newsletter.delivery.ports import Progress
from newsletter.errors import NewsletterError
from newsletter.model import DeliveryState
from tests.cli.conftest import Wire, a_wire
from tests.conftest import FakeClock

#: A Monday in Berlin, 06:50.
MORNING = datetime(2026, 3, 2, 5, 50, tzinfo=UTC)
PEOPLE = [f"p{number}@example.com" for number in range(6)]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MORNING)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


def configure(wire: Wire, more: str, *, people: str | None = None, rule: str = "daily 07:00") -> None:
    wire.configure(
        wire.web.feed("/rss", "First"),
        people=people or "".join(f"- {email}\n" for email in PEOPLE),
        more=f"digests:\n  daily: {{schedule: '{rule}', {more}}}\n",
        smtp=f"{{host: 127.0.0.1, port: {wire.mail.port}, tls: none, connections: 1}}",
    )


def look(wire: Wire, clock: FakeClock, at: str | None = None, watch: Watcher | None = None) -> Looks:
    """One look at what is due, at a moment in UTC."""
    if at is not None:
        clock.time = datetime.fromisoformat(at).replace(tzinfo=UTC)
    with closing(App.open(wire.folder, clock=clock)) as app:
        return asyncio.run(send_due(app, None, watch=watch or Watcher(), stop=asyncio.Event()))


def words(wire: Wire, clock: FakeClock) -> list[tuple[str, datetime | None]]:
    with closing(App.open(wire.folder, clock=clock)) as app:
        return [(issue.words, issue.opens_at) for issue in status(app).issues]


class Slow(Watcher):
    """Each message takes ten minutes."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def delivered(self, progress: Progress) -> None:
        self._clock.advance(timedelta(minutes=10))


def test_an_issue_is_frozen_in_its_slot_and_mailed_when_its_window_opens(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "send_window: mon-fri 08:00-18:00")

    tick = look(wire, clock, "2026-03-02 06:01").looked[0].tick

    assert tick is not None
    assert (1, "6 go later, in their hours") == (tick.number, tick.why)
    assert [] == wire.inbox()
    assert [("waits for its hours", datetime(2026, 3, 2, 7, 0, tzinfo=UTC))] == words(wire, clock)
    # What is new since then is for the next issue.
    wire.web.feed("/rss", "Second", "First")
    assert () == look(wire, clock, "2026-03-02 06:59").finished
    look(wire, clock, "2026-03-02 07:00")
    assert PEOPLE == sorted(wire.inbox())
    look(wire, clock, "2026-03-02 07:05")
    assert PEOPLE == sorted(wire.inbox())
    assert [("finished", None)] == words(wire, clock)


def test_when_the_window_closes_the_rest_waits_until_it_opens_again(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "send_window: 07:00-07:25", rule="daily 07:00")

    found = look(wire, clock, "2026-03-02 06:00", Slow(clock))

    sent = found.looked[0].sent
    assert sent is not None
    report = sent.report
    assert report is not None
    assert report.stopped is None
    first = wire.inbox()
    # One or two were on their way when it closed.
    assert 3 <= len(first) <= 5
    assert (6 - len(first), datetime(2026, 3, 3, 6, 0, tzinfo=UTC)) == (report.waiting, report.opens_at)
    look(wire, clock, "2026-03-03 05:59")
    assert first == wire.inbox()
    look(wire, clock, "2026-03-03 06:00")
    assert PEOPLE == sorted(wire.inbox())


def test_a_window_that_is_changed_is_the_one_that_counts(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "send_window: 18:00-20:00")
    look(wire, clock, "2026-03-02 06:01")
    configure(wire, "send_window: 12:00-13:00")

    look(wire, clock, "2026-03-02 06:05")
    assert [("waits for its hours", datetime(2026, 3, 2, 11, 0, tzinfo=UTC))] == words(wire, clock)
    configure(wire, "sort: newest")
    look(wire, clock, "2026-03-02 06:10")
    assert PEOPLE == sorted(wire.inbox())


@pytest.mark.parametrize(
    ("day", "before", "opens"),
    [
        ("2026-03-29", "00:30", "05:00"),  # Berlin goes from UTC+1 to UTC+2
        ("2026-10-25", "00:30", "06:00"),  # and back
    ],
)
def test_the_hours_are_those_on_the_wall_when_the_clocks_change(
    wire: Wire, clock: FakeClock, day: str, before: str, opens: str
) -> None:
    configure(wire, "quiet_hours: 22:00-07:00", rule="daily 01:00")
    clock.time = datetime.fromisoformat(f"{day}T00:00+00:00") - timedelta(hours=3)
    look(wire, clock)

    look(wire, clock, f"{day} {before}")

    expected = datetime.fromisoformat(f"{day}T{opens}+00:00")
    assert [("waits for its hours", expected)] == words(wire, clock)
    clock.time = expected - timedelta(minutes=1)
    look(wire, clock)
    assert [] == wire.inbox()
    clock.advance(timedelta(minutes=1))
    look(wire, clock)
    assert PEOPLE == sorted(wire.inbox())


def test_by_hand_it_must_be_said_that_it_is_meant_now(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "send_window: mon-fri 08:00-18:00")
    look(wire, clock, "2026-03-02 06:01")
    clock.advance(timedelta(minutes=1))

    def by_hand(*, at_any_hour: bool) -> None:
        with closing(App.open(wire.folder, clock=clock)) as app:
            asyncio.run(send(app, None, watch=Watcher(), stop=asyncio.Event(), at_any_hour=at_any_hour))

    with pytest.raises(NewsletterError, match=r"its hours begin Mon 2026-03-02 08:00 \(Europe/Berlin\)"):
        by_hand(at_any_hour=False)
    assert [] == wire.inbox()
    by_hand(at_any_hour=True)
    assert PEOPLE == sorted(wire.inbox())


# --------------------------------------------------------------- each by their own clock

WORLD = {
    "tokyo": "Asia/Tokyo",
    "berlin": "",
    "london": "Europe/London",
    "york": "America/New_York",
    "pago": "Pacific/Pago_Pago",
}


def world(**zones: str) -> str:
    named = {**WORLD, **zones}
    return "".join(
        f"- {{email: {name}@example.com, timezone: {zone}}}\n" if zone else f"- {name}@example.com\n"
        for name, zone in named.items()
    )


def arrivals(wire: Wire, clock: FakeClock, *moments: str) -> list[tuple[str, str]]:
    """Who got it when (UTC), looking at these days and times of March 2026."""
    found = []
    for moment in moments:
        before = len(wire.inbox())
        look(wire, clock, f"2026-03-{moment}")
        found += [(moment, email.partition("@")[0]) for email in wire.inbox()[before:]]
    return found


def test_each_subscriber_gets_it_at_the_hour_of_the_slot_on_their_own_wall(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "clock: subscriber", people=world())
    look(wire, clock)

    found = arrivals(
        wire, clock, "02 06:00", "02 06:59", "02 07:00", "02 11:59", "02 12:00", "02 17:59", "02 18:00", "03 05:00"
    )

    assert [
        ("02 06:00", "berlin"),
        ("02 06:00", "tokyo"),
        ("02 07:00", "london"),
        ("02 12:00", "york"),
        ("02 18:00", "pago"),
    ] == sorted(found)


def test_explain_says_until_when_somebody_waits_and_by_whose_clock(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "clock: subscriber", people=world())
    look(wire, clock)
    look(wire, clock, "2026-03-02 06:00")

    with closing(App.open(wire.folder, clock=clock)) as app:
        said = explain(app, "york@example.com").next_send

    local = datetime(2026, 3, 2, 12, 0, tzinfo=UTC).astimezone()
    assert (
        f"Issue 1 of daily waits for its hours: it goes out from {local:%Y-%m-%d %H:%M} on, "
        "by the clock of America/New_York."
    ) in said


def test_those_who_wait_keep_nobody_from_the_next_issue_and_get_both(wire: Wire, clock: FakeClock) -> None:
    """A digest of four slots a day: issues overlap, and each comes to everybody once, in order."""
    configure(wire, "clock: subscriber", people=world(), rule="every 6h")
    look(wire, clock, "2026-03-02 04:00")
    titles = ["First"]
    found = []
    for hour in (5, 11, 17, 23):
        found += arrivals(wire, clock, f"02 {hour:02}:00", f"02 {hour:02}:30")
        titles.insert(0, f"Number {hour}")
        wire.web.feed("/rss", *titles)
    found += arrivals(wire, clock, "03 00:00", "03 05:00", "03 11:00", "03 17:00")

    with closing(App.open(wire.folder, clock=clock)) as app:
        issues = app.store.issues()
        for issue in issues:
            rows = app.store.deliveries(issue.id)
            assert set(WORLD) == {row.email.partition("@")[0] for row in rows}
        late = [
            row for issue in issues[-4:] for row in app.store.deliveries(issue.id) if row.state != DeliveryState.sent
        ]
    assert [] == late
    assert 4 <= len(issues)
    mailed = [caught.recipients[0] for caught in wire.mail.caught]
    assert len(mailed) == len(found)
    assert all(4 <= mailed.count(f"{name}@example.com") <= len(issues) for name in WORLD)


def test_a_zone_that_is_changed_in_between_counts_from_the_next_issue_on(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "clock: subscriber", people=world())
    look(wire, clock)
    look(wire, clock, "2026-03-02 06:00")
    wire.web.feed("/rss", "Second", "First")
    (wire.folder / "subscribers.yaml").write_text(
        world(york="Asia/Tokyo", tokyo="America/New_York", london="Europe/London"), encoding="utf-8"
    )

    found = arrivals(wire, clock, "02 07:00", "02 12:00", "02 18:00", "03 06:00", "03 07:00", "03 12:00", "03 18:00")

    of = {name: [when for when, who in found if who == name] for name in WORLD}
    assert ["02 12:00", "03 06:00"] == of["york"]
    assert ["03 12:00"] == of["tokyo"]
    assert ["02 07:00", "03 07:00"] == of["london"]


def test_quiet_hours_are_those_of_each_subscriber_also_when_they_begin_in_the_middle(
    wire: Wire, clock: FakeClock
) -> None:
    """A slow server: New York's evening begins while messages to it are left; London's does not."""
    people = "".join(f"- {{email: y{n}@example.com, timezone: America/New_York}}\n" for n in range(6))
    people += "".join(f"- {{email: w{n}@example.com, timezone: America/Los_Angeles}}\n" for n in range(3))
    configure(wire, "clock: subscriber, quiet_hours: 22:00-06:00", people=people, rule="daily 21:30")
    look(wire, clock)
    look(wire, clock, "2026-03-02 20:31")
    assert [] == wire.inbox()

    look(wire, clock, "2026-03-03 02:30", Slow(clock))

    evening = wire.inbox()
    assert 3 <= len(evening) <= 5
    assert {"y"} == {email[0] for email in evening}
    look(wire, clock, "2026-03-03 05:30")
    assert 3 == len([email for email in wire.inbox() if email[0] == "w"])
    look(wire, clock, "2026-03-03 10:59")
    assert len(evening) + 3 == len(wire.inbox())
    look(wire, clock, "2026-03-03 11:00")
    assert 9 == len(set(wire.inbox())) == len(wire.inbox())


def test_a_canary_is_drawn_from_those_who_may_have_it_first(wire: Wire, clock: FakeClock) -> None:
    people = "".join(f"- {{email: h{n}@example.com, timezone: Pacific/Honolulu}}\n" for n in range(20))
    people += "- b0@example.com\n- b1@example.com\n"
    configure(wire, "clock: subscriber, canary: {share: 1, wait: 1s}", people=people)
    look(wire, clock)

    class Patient(Watcher):
        def watching(self, until: datetime, first: int) -> None:
            clock.time = until

    look(wire, clock, "2026-03-02 06:00", Patient())

    assert ["b0@example.com", "b1@example.com"] == sorted(wire.inbox())
    look(wire, clock, "2026-03-02 17:00")
    assert 22 == len(set(wire.inbox())) == len(wire.inbox())


# ------------------------------------------------------------------ what a publisher sees


def test_schedule_next_and_status_say_what_waits_and_until_when(wire: Wire) -> None:
    slot, opens, closes = (datetime.now(UTC) + timedelta(hours=hours) for hours in (2, 5, 6))
    configure(wire, f"timezone: UTC, send_window: '{opens:%H:%M}-{closes:%H:%M}'", rule=f"daily {slot:%H:%M}")
    slots = wire("schedule", "next", "-n", "1")
    [said] = wire("schedule", "next", "-n", "1", "--json").data

    assert "waits until" in slots.out
    assert re.search(rf"{slot:%a %Y-%m-%d %H:%M} .*UTC +{opens:%a %Y-%m-%d %H:%M}", slots.out)
    assert f"{opens:%Y-%m-%dT%H:%M:00+00:00}" == said["slots"][0]["begins"]
    refused = wire("send", "-y")
    assert 1 == refused.code
    assert "daily is not mailed at this hour: its hours begin " in refused.err
    assert "--now sends it all the same" in refused.err
    assert "not at this hour: its hours begin" in wire("send", "-n").out
    assert 2 == wire("send", "--due", "--now").code
    assert 0 == wire("send", "-y", "--now").code
    assert PEOPLE == sorted(wire.inbox())


def test_status_names_the_last_slots_and_the_next(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "send_window: 12:00-13:00")
    look(wire, clock)
    look(wire, clock, "2026-03-02 06:01")
    look(wire, clock, "2026-03-03 06:01")

    with closing(App.open(wire.folder, clock=clock)) as app:
        [digest] = status(app).digests
    said = wire("status").out

    assert ("2026-03-04 07:00", "2026-03-05 07:00", "2026-03-06 07:00") == digest.next_slots
    assert ["2026-03-03 07:00", "2026-03-02 07:00"] == [tick.slot for tick in digest.last_ticks]
    assert re.search(r"2026-03-02 07:00 +daily +issue 1 +6 go later, in their hours", said)
    assert re.search(r"2026-03-03 07:00 +daily +nothing +nothing is new", said)

"""A slot is sent for once, whatever becomes of the clock, of the process and of the feeds."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.app import App
from newsletter.app.due import Looks, send_due
from newsletter.app.send import Watcher
from newsletter.errors import UsageError
from newsletter.model import TickOutcome
from newsletter.schedule import Lateness, Schedule, due
from tests.cli.conftest import Wire, a_wire
from tests.conftest import FakeClock

#: A Monday in Berlin, 06:50.
MORNING = datetime(2026, 3, 2, 5, 50, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MORNING)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


def configure(wire: Wire, *titles: str, more: str = "", rule: str = "mon-fri 07:00") -> None:
    wire.configure(wire.web.feed("/rss", *titles), more=f"digests:\n  daily: {{schedule: '{rule}'{more}}}\n")


def look(wire: Wire, clock: FakeClock, digest: str | None = None) -> Looks:
    with closing(App.open(wire.folder, clock=clock)) as app:
        return asyncio.run(send_due(app, digest, watch=Watcher(), stop=asyncio.Event()))


def outcomes(wire: Wire, clock: FakeClock) -> list[tuple[str, TickOutcome]]:
    with closing(App.open(wire.folder, clock=clock)) as app:
        return [(tick.slot, tick.outcome) for tick in reversed(app.store.ticks())]


def test_a_slot_is_sent_for_when_it_has_come_and_only_once(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "First")

    assert look(wire, clock).looked[0].tick is None
    clock.advance(timedelta(minutes=12))
    tick = look(wire, clock).looked[0].tick
    assert tick is not None
    assert ("2026-03-02 07:00", TickOutcome.sent, 1) == (tick.slot, tick.outcome, tick.number)
    wire.web.feed("/rss", "Second", "First")
    clock.advance(timedelta(minutes=12))
    assert look(wire, clock).looked[0].tick is None
    assert ["ada@example.com"] == wire.inbox()
    clock.advance(timedelta(days=1))
    look(wire, clock)
    assert ["ada@example.com"] * 2 == wire.inbox()
    assert [("2026-03-02 07:00", TickOutcome.sent), ("2026-03-03 07:00", TickOutcome.sent)] == outcomes(wire, clock)


def test_a_slot_with_nothing_new_is_over_too(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "First")
    clock.advance(timedelta(minutes=12))
    look(wire, clock)
    clock.advance(timedelta(days=1))

    tick = look(wire, clock).looked[0].tick

    assert tick is not None
    assert (TickOutcome.nothing, "nothing is new") == (tick.outcome, tick.why)
    wire.web.feed("/rss", "Second", "First")
    clock.advance(timedelta(hours=1))
    assert look(wire, clock).looked[0].tick is None


def test_a_schedule_that_is_new_does_not_send_for_what_is_past(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "First")
    clock.advance(timedelta(hours=3))

    assert look(wire, clock).looked[0].tick is None
    assert [] == outcomes(wire, clock)
    clock.advance(timedelta(days=1))
    look(wire, clock)
    assert [("2026-03-03 07:00", TickOutcome.sent)] == outcomes(wire, clock)


def test_cron_that_calls_at_the_slot_sends_on_the_first_day(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "First")
    clock.advance(timedelta(minutes=10, seconds=3))

    look(wire, clock)

    assert ["ada@example.com"] == wire.inbox()


@pytest.mark.parametrize(("catch_up", "sent"), [("skip", 0), ("one", 1)])
def test_a_machine_that_slept_for_days_makes_up_for_one_slot_or_none(
    wire: Wire, clock: FakeClock, catch_up: str, sent: int
) -> None:
    configure(wire, "First", more=f", catch_up: {catch_up}")
    look(wire, clock)
    clock.advance(timedelta(days=4, hours=12))

    look(wire, clock)

    assert sent == len(wire.inbox())
    last = TickOutcome.sent if sent else TickOutcome.late
    expected = [("2026-03-02", TickOutcome.late), ("2026-03-03", TickOutcome.late), ("2026-03-04", TickOutcome.late)]
    expected += [("2026-03-05", TickOutcome.late), ("2026-03-06", last)]
    assert expected == [(slot[:10], outcome) for slot, outcome in outcomes(wire, clock)]
    look(wire, clock)
    assert sent == len(wire.inbox())


def test_a_look_within_the_lateness_is_in_time(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "First", more=", max_lateness: 30m")
    look(wire, clock)
    clock.advance(timedelta(minutes=39))

    look(wire, clock)

    assert ["ada@example.com"] == wire.inbox()


def test_a_clock_that_is_set_back_a_day_repeats_nothing(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "First")
    clock.advance(timedelta(minutes=12))
    look(wire, clock)
    wire.web.feed("/rss", "Second", "First")
    clock.advance(timedelta(days=1))
    look(wire, clock)
    wire.web.feed("/rss", "Third", "Second", "First")

    clock.advance(timedelta(days=-1))
    look(wire, clock)

    assert 2 == len(wire.inbox())


def test_a_slot_whose_feeds_cannot_be_read_is_tried_again(wire: Wire, clock: FakeClock) -> None:
    configure(wire, "First")
    wire.web.pages["/rss"] = (500, b"")
    clock.advance(timedelta(minutes=12))

    failed = look(wire, clock).looked[0].tick
    assert failed is not None
    assert TickOutcome.failed is failed.outcome
    assert failed.why.startswith("no feed could be read: ")
    wire.web.feed("/rss", "First")
    clock.advance(timedelta(minutes=15))
    look(wire, clock)
    assert [("2026-03-02 07:00", TickOutcome.sent)] == outcomes(wire, clock)


def test_an_issue_that_was_frozen_before_a_crash_is_its_slots(wire: Wire, clock: FakeClock) -> None:
    """The process died between the freeze and the record: the next look finishes it, and freezes no other."""
    configure(wire, "First")
    look(wire, clock)
    clock.advance(timedelta(minutes=12))
    look(wire, clock)
    with closing(App.open(wire.folder, clock=clock)) as app, app.store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM ticks")
    wire.web.feed("/rss", "Second", "First")

    look(wire, clock)

    assert ["ada@example.com"] == wire.inbox()


def test_a_digest_that_fails_does_not_keep_the_others(wire: Wire, clock: FakeClock) -> None:
    feed = wire.web.feed("/rss", "First")
    wire.configure(
        feed, more="digests:\n  broken: {schedule: daily 07:00, theme: bad}\n  fine: {schedule: daily 07:00}\n"
    )
    (wire.folder / "templates" / "bad").mkdir(parents=True)
    (wire.folder / "templates" / "bad" / "issue.html.j2").write_text("{{ nobody.knows }}", encoding="utf-8")
    clock.advance(timedelta(minutes=12))

    found = look(wire, clock)

    assert [TickOutcome.failed, TickOutcome.sent] == [one.tick and one.tick.outcome for one in found.looked]
    assert found.looked[0].error is not None


def test_without_a_schedule_there_is_nothing_to_look_at(wire: Wire, clock: FakeClock) -> None:
    wire.configure(wire.web.feed("/rss", "First"))

    with pytest.raises(UsageError, match="no digest has a schedule"):
        look(wire, clock)


def test_the_command_tells_what_it_did_and_status_shows_it(wire: Wire) -> None:
    now = datetime.now(ZoneInfo("Europe/Berlin")) - timedelta(minutes=2)
    configure(wire, "First", rule=f"daily {now:%H:%M}")

    sent = wire("send", "--due")
    again = wire("send", "--due", "--json")
    status = wire("status")

    assert (0, 1) == (sent.code, len(wire.inbox()))
    assert [{"digest": "daily", "tick": None, "draft": None}] == again.data["digests"]
    assert "daily: nothing is due" in again.err
    assert f"{now:%H:%M}: issue 1" in status.out
    assert 2 == wire("send", "--due", "-n").code


def test_a_look_at_which_nothing_is_due_asks_nobody_for_the_password(wire: Wire, clock: FakeClock) -> None:
    asked = wire.folder / "asked"
    command = f"[sh, -c, 'echo once >> {asked}; echo secret']"
    wire.configure(
        wire.web.feed("/rss", "First"),
        more="digests:\n  daily: {schedule: daily 07:00}\n",
        smtp=f"{{host: 127.0.0.1, port: {wire.mail.port}, tls: none, username: ada, password_command: {command}}}",
    )

    look(wire, clock)
    assert not asked.exists()
    clock.advance(timedelta(minutes=12))
    look(wire, clock)
    assert "once\n" == asked.read_text()


# ------------------------------------------------------------- any looks, any clock


@settings(max_examples=150)
@given(
    looks=st.lists(st.integers(-2 * 86_400, 3 * 86_400), min_size=1, max_size=20),
    rule=st.sampled_from(["daily 02:30", "every 6h", "mon-fri 07:00, 16:00"]),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    start=st.integers(0, 365 * 1_440).map(lambda minutes: MORNING + timedelta(minutes=minutes)),
    catch_up=st.booleans(),
)
def test_no_way_of_looking_sends_for_a_slot_twice_or_backwards(
    looks: list[int], rule: str, zone: str, start: datetime, catch_up: bool
) -> None:
    """The clock goes forwards and back between looks; what was decided is remembered as the store does."""
    schedule = Schedule.parse(rule, ZoneInfo(zone))
    since = now = start
    over: set[str] = set()
    sent: list[str] = []
    for step in looks:
        now += timedelta(seconds=step)
        found = due(
            schedule,
            now,
            since=since,
            lateness=Lateness(catch_up=catch_up),
            settled=over.intersection,
        )
        over.update(slot.name for slot in found.missed)
        if found.slot is not None:
            assert found.slot.at <= now
            assert catch_up or now - found.slot.at <= timedelta(hours=6)
            over.add(found.slot.name)
            sent.append(found.slot.name)

    assert len(set(sent)) == len(sent)
    if all(step >= 0 for step in looks):
        assert all(one < other for one, other in pairwise(sent))

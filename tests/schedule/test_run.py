"""`newsletter run` stays up, polls and sends by itself, and ends in order."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from newsletter.app import App
from newsletter.app.due import Looks
from newsletter.app.running import run
from newsletter.app.send import Watcher
from newsletter.errors import ConfigError, NewsletterError
from newsletter.model import FetchResult
from tests.cli.conftest import Wire, a_wire
from tests.conftest import ROOT, FakeClock

#: A Monday in Berlin, 06:50.
MORNING = datetime(2026, 3, 2, 5, 50, tzinfo=UTC)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


class Heard:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.ticks: list[str] = []
        self.polls = 0
        self.troubles: list[str] = []
        self.begun = 0

    def began(self, app: App) -> None:
        self.begun += 1

    def monitored(self, address: str) -> None: ...

    def looked(self, found: Looks) -> None:
        self.ticks += [f"{one.tick.slot} {one.tick.outcome.value}" for one in found.looked if one.tick]

    def polled(self, results: Sequence[FetchResult]) -> None:
        self.polls += 1

    def troubled(self, error: NewsletterError) -> None:
        self.troubles.append(str(error))

    def recovered(self) -> None:
        self.troubles.append("it works again")


def stay_up(wire: Wire, clock: FakeClock, hours: float, at: dict[float, Callable[[], None]] | None = None) -> Heard:
    """Run for so long by a clock of our own; at some hours something happens."""
    heard, stop, end = Heard(), asyncio.Event(), clock.now() + timedelta(hours=hours)
    begin, left = clock.now(), dict(at or {})

    async def rest(seconds: float) -> None:
        # Steps of a quarter of an hour, as of a machine that sleeps a little all the time.
        clock.advance(timedelta(seconds=seconds if seconds < 60 else 900))
        for hour in [hour for hour in left if clock.now() - begin >= timedelta(hours=hour)]:
            left.pop(hour)()
        if clock.now() >= end:
            stop.set()

    asyncio.run(run(wire.folder, watch=Watcher(), listener=heard, stop=stop, clock=clock, rest=rest))
    return heard


def configure(wire: Wire, *titles: str, rule: str = "daily 07:00") -> None:
    wire.configure(wire.web.feed("/rss", *titles), more=f"digests:\n  daily: {{schedule: '{rule}'}}\n")


def test_it_sends_each_day_and_polls_in_between(wire: Wire) -> None:
    configure(wire, "First")

    def publish() -> None:
        wire.web.feed("/rss", "Second", "First")

    heard = stay_up(wire, FakeClock(MORNING), 30, {5: publish})

    assert ["2026-03-02 07:00 sent", "2026-03-03 07:00 sent"] == heard.ticks
    assert ["ada@example.com"] * 2 == wire.inbox()
    assert heard.polls > 2
    assert 1 == heard.begun


def test_a_change_of_the_project_is_followed_and_a_mistake_in_it_is_told_once(wire: Wire) -> None:
    configure(wire, "First", rule="daily 23:00")
    file = wire.folder / "newsletter.yaml"

    def spoil() -> None:
        file.write_text(file.read_text().replace("daily 23:00", "daily 25:00"))

    def mend() -> None:
        file.write_text(file.read_text().replace("daily 25:00", "daily 12:00"))

    heard = stay_up(wire, FakeClock(MORNING), 8, {1: spoil, 3: mend})

    assert ["2026-03-02 12:00 sent"] == heard.ticks
    assert 2 == heard.begun
    assert 2 == len(heard.troubles)
    assert "there is no 25:00 on a clock" in heard.troubles[0]
    assert "it works again" == heard.troubles[1]


def test_a_send_by_hand_at_the_same_time_is_waited_for(wire: Wire) -> None:
    configure(wire, "First")
    clock = FakeClock(MORNING)
    stay_up(wire, clock, 0.01)
    with closing(App.open(wire.folder, clock=clock)) as app, app.store.lock():
        heard = stay_up(wire, clock, 0.5)
    assert [] == heard.ticks + heard.troubles

    assert ["2026-03-02 07:00 sent"] == stay_up(wire, clock, 0.5).ticks


def test_a_project_with_mistakes_does_not_begin(wire: Wire) -> None:
    configure(wire, "First", rule="daily 25:00")

    with pytest.raises(ConfigError):
        stay_up(wire, FakeClock(MORNING), 1)


def test_the_process_sends_tells_systemd_and_ends_when_asked_to(wire: Wire, tmp_path: Path) -> None:
    now = datetime.now(ZoneInfo("Europe/Berlin")) - timedelta(minutes=2)
    configure(wire, "First", rule=f"daily {now:%H:%M}")
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(address))
        notices.settimeout(30)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "newsletter", "run"],
            cwd=wire.folder,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(address)},
        )
        try:
            first = notices.recv(100)
            for _ in range(300):
                if wire.inbox():
                    break
                time.sleep(0.1)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
        last = notices.recv(100)

    assert (b"READY=1", b"STOPPING=1") == (first, last)
    assert (0, ["ada@example.com"]) == (process.returncode, wire.inbox())
    assert "issue 1 of daily" in said
    assert said.rstrip().endswith("stopped when asked to")

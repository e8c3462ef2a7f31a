"""What a monitor is told of `newsletter run`: whether it does its work, and in figures."""

import asyncio
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from newsletter.app import App
from newsletter.app.due import Looks
from newsletter.app.pulse import Pulse
from newsletter.app.running import run
from newsletter.app.send import Watcher
from newsletter.delivery.ports import Progress
from newsletter.errors import NewsletterError
from newsletter.model import FetchResult
from newsletter.web.monitor import Metric, exposition
from tests.cli.conftest import Wire, a_wire
from tests.conftest import FakeClock

#: A Monday in Berlin, 06:50.
MORNING = datetime(2026, 3, 2, 5, 50, tzinfo=UTC)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


class Asked:
    """Listens to `run`, and asks it as monitors do, each time it rests."""

    def __init__(self, wire: Wire, clock: FakeClock, *steps: str) -> None:
        self.answers: list[tuple[int, str]] = []
        self.address = ""
        self._wire, self._clock, self._steps = wire, clock, list(steps)
        self._stop = asyncio.Event()

    def began(self, app: App) -> None: ...
    def looked(self, found: Looks) -> None: ...
    def polled(self, results: Sequence[FetchResult]) -> None: ...
    def troubled(self, error: NewsletterError) -> None: ...
    def recovered(self) -> None: ...

    def monitored(self, address: str) -> None:
        self.address = address

    async def rest(self, _: float) -> None:
        step = self._steps.pop(0)
        if step == "break":
            (self._wire.folder / "newsletter.yaml").write_text("title: [\n", encoding="utf-8")
        elif step == "hang":
            self._clock.advance(timedelta(minutes=4))
        async with aiohttp.ClientSession() as session:
            for path in ("/healthz", "/metrics"):
                async with session.get(f"{self.address}{path}") as answer:
                    self.answers.append((answer.status, await answer.text()))
            async with session.get(f"{self.address}/metrics", headers={"Host": "evil.example"}) as answer:
                assert (421, "newsletter") == (answer.status, answer.headers["Server"])
        self._clock.advance(timedelta(minutes=11))
        if not self._steps:
            self._stop.set()

    def all(self) -> list[tuple[int, str]]:
        asyncio.run(
            run(
                self._wire.folder,
                watch=Watcher(),
                listener=self,
                stop=self._stop,
                clock=self._clock,
                rest=self.rest,
                listen=("127.0.0.1", 0),
            )
        )
        return self.answers


def test_monitors_hear_of_what_was_sent_and_whether_it_goes_on(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First", "Second"), more="digests:\n  daily: {schedule: daily 07:00}\n")
    clock = FakeClock(MORNING)

    before, figures_before, after, figures, hanging, _, broken, _ = Asked(
        wire, clock, "look", "look", "hang", "break"
    ).all()

    assert ((200, "ok\n"), (200, "ok\n")) == (before, after)
    assert (200, 200) == (figures_before[0], figures[0])
    assert 'newsletter_entries_waiting{digest="daily"} 2\n' in figures_before[1]
    for line in (
        "newsletter_up 1",
        'newsletter_ticks_total{digest="daily",outcome="sent"} 1',
        'newsletter_entries_waiting{digest="daily"} 0',
        'newsletter_feeds{health="ok"} 1',
        'newsletter_last_issue_deliveries{digest="daily",state="sent"} 1',
        f'newsletter_last_issue_timestamp_seconds{{digest="daily"}} {(MORNING + timedelta(minutes=11)).timestamp():.0f}',
        "# TYPE newsletter_ticks_total counter",
    ):
        assert f"{line}\n" in figures[1]
    assert re.search(
        r'^newsletter_build_info\{version="[^"]+",python="[^"]+",schema="\d+"\} 1$', figures[1], re.MULTILINE
    )
    assert "ada@example.com" not in figures[1]
    assert (503, True) == (hanging[0], hanging[1].startswith("nothing has been looked at since 2026-03-02"))
    # A mistake was made in newsletter.yaml, and the next look finds it; until then all is well.
    assert 200 == broken[0]


def test_a_project_that_cannot_be_read_any_more_is_trouble(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"), more="digests:\n  daily: {schedule: daily 07:00}\n")

    answers = Asked(wire, FakeClock(MORNING), "break", "look").all()

    assert (200, 503) == (answers[0][0], answers[2][0])
    assert "newsletter.yaml" in answers[2][1]
    assert "newsletter_up 0\n" in answers[3][1]


def test_a_long_send_is_work_and_a_silent_one_is_not(wire: Wire) -> None:
    clock = FakeClock(MORNING)
    pulse = Pulse(clock)
    watch = pulse.hearing(Watcher())
    wire.configure()

    with closing(App.open(wire.folder, clock=clock)) as app:
        pulse.opened(app)
        for _ in range(20):
            clock.advance(timedelta(minutes=10))
            watch.delivered(Progress(total=20, sent=1))
            assert pulse.trouble() is None
        watch.watching(clock.now() + timedelta(hours=2), 10)
        clock.advance(timedelta(hours=2))
        assert pulse.trouble() is None
        clock.advance(timedelta(minutes=20))
        assert "nothing has been looked at since it began" == pulse.trouble()


def test_figures_are_written_as_prometheus_reads_them() -> None:
    odd = Metric(name="x", kind="gauge", about="Odd.", samples=[({"of": 'a"b\\c\nd'}, 1.5), ({}, 1_772_000_000)])
    none = Metric(name="y", kind="gauge", about="None.", samples=[])

    assert ('# HELP x Odd.\n# TYPE x gauge\nx{of="a\\"b\\\\c\\nd"} 1.5\nx 1772000000\n') == exposition([odd, none])


def test_an_address_that_is_taken_is_said(wire: Wire) -> None:
    wire.configure()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = wire("run", "--listen", str(taken.getsockname()[1]))

    assert 1 == done.code
    assert "monitoring cannot be served at 127.0.0.1:" in done.err
    assert 2 == wire("run", "--listen", "here").code

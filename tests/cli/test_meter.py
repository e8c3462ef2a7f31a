"""What `send` shows while it sends: on a terminal a bar, elsewhere a line now and then."""

import io
import sys

import pytest

from newsletter.cli.meter import Meter
from newsletter.cli.output import Output
from newsletter.cli.watching import _Watch
from newsletter.delivery.deliver import Progress
from newsletter.text import duration
from tests.conftest import FakeClock


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_note_says_rate_time_left_and_who_did_not_get_it(clock: FakeClock) -> None:
    meter = Meter(clock)
    assert "" == meter.note(Progress(total=1000, sent=3))
    clock.advance(10)

    assert "25/s, 30 s left" == meter.note(Progress(total=1000, sent=250))
    assert "30/s, 23 s left, 2 deferred, 48 failed" == meter.note(Progress(total=1000, sent=250, deferred=2, failed=48))
    assert "1.2/s" == meter.note(Progress(total=12, sent=12))
    assert "3 held, 1 suppressed" in meter.note(Progress(total=9, sent=1, held=3, suppressed=1))


def test_a_log_gets_a_line_every_half_minute(clock: FakeClock) -> None:
    meter = Meter(clock)
    lines = []
    for number in range(1, 121):
        clock.advance(1)
        lines.append(meter.line(Progress(total=2400, sent=number * 10, failed=2)))

    told = [(second, line) for second, line in enumerate(lines, 1) if line is not None]
    assert [30, 60, 90, 120] == [second for second, _ in told]
    assert "300 of 2,400 messages sent, 10/s, 3 min left, 2 failed" == told[0][1]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (99, "99 s"), (100, "2 min"), (5_930, "99 min"), (6_000, "1 h 40 min"), (90_000, "25 h 0 min")],
)
def test_a_duration_is_said_roughly(seconds: float, words: str) -> None:
    assert words == duration(seconds)


def watched(clock: FakeClock, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, **flags: bool) -> str:
    """What a watcher shows of a send that takes a minute."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    out = Output(json=flags.get("json", False), quiet=flags.get("quiet", False), verbose=False)
    with _Watch(out, clock, ask=False) as watch:
        for number in range(1, 61):
            clock.advance(1)
            watch.delivered(Progress(total=60, sent=number - number // 20, failed=number // 20))
    return stream.getvalue()


def test_without_a_terminal_lines_take_the_place_of_the_bar(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = watched(clock, io.StringIO(), monkeypatch)

    assert [
        "29 of 60 messages sent, 1.0/s, 30 s left, 1 failed",
        "57 of 60 messages sent, 1.0/s, 3 failed",
    ] == shown.splitlines()


def test_on_a_terminal_the_bar_carries_the_note(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = watched(clock, Terminal(), monkeypatch)

    assert "sending" in shown
    assert "60/60" in shown
    assert "1.0/s, 3 failed" in shown


def test_quiet_shows_nothing(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "" == watched(clock, io.StringIO(), monkeypatch, quiet=True)
    assert "" == watched(clock, Terminal(), monkeypatch, quiet=True)

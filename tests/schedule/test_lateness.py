"""When a digest is late, by the clock on the wall."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.lateness import standings
from newsletter.model import Tick, TickOutcome
from tests.cli.conftest import Wire, a_wire
from tests.conftest import FakeClock

FRIDAY = datetime(2026, 3, 6, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("rule", "oldest", "fine", "late"),
    [
        ("daily 07:00", 26, 25.9, 26.1),
        ("mon-fri 07:00", 26, 72.9, 73.1),
        ("fri 07:00", 26, 168.9, 169.1),
        ("every 6h", 7, 6.9, 7.1),
    ],
)
def test_a_digest_is_late_when_it_is_old_and_a_slot_has_come_since(
    wire: Wire, rule: str, oldest: float, fine: float, late: float
) -> None:
    clock = FakeClock(FRIDAY)
    wire.configure(wire.web.url + "/rss", more=f"digests:\n  daily: {{schedule: '{rule}'}}\n")
    with closing(App.open(wire.folder, clock=clock)) as app:
        app.store.scheduled_since("daily", rule, "Europe/Berlin")
        tick = Tick(digest="daily", slot="x", due_at=FRIDAY, outcome=TickOutcome.nothing, at=FRIDAY, why="")
        app.store.record_ticks([tick])
        found = []
        for hours in (fine, late):
            clock.advance(FRIDAY + hours * HOUR - clock.now())
            found.append(standings(app, oldest * HOUR)[0].is_late)

    assert [False, True] == found

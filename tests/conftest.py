"""What every test may ask for: a clock and ids that repeat, the corpus, one Hypothesis profile."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from newsletter.clock import Ids
from tests.memory import in_memory

pytest_plugins = ["tests.postgresql"]

# Nobody pulls the plug on a test: what is killed here are our own processes.  So files may be in memory, where a commit
# costs nothing; half of the suite's time would be waiting for a disk.
if (memory := in_memory()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory)
    os.environ.setdefault("TMPDIR", memory)

# Whoever runs the tests may not want compiled modules; the programs that tests start are started hundreds of times.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# One profile for all: no deadline (machines are shared), and a printed blob to repeat a failure with.
settings.register_profile("suite", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

ROOT = Path(__file__).resolve().parent.parent
START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have `xdist_group` mean something: one worker starts the browsers, one the mail servers, each of them once.

    pytest-xdist 3.8 writes a test's group into a field that pytest 9.2 reads no more, and nothing tells (its issue 1386).
    """
    if config.getoption("loadgroup", default=False):
        for item in items:
            if (mark := item.get_closest_marker("xdist_group")) and not item.nodeid.endswith(f"@{mark.args[0]}"):
                item._id = type(item.id).parse(f"{item.nodeid}@{mark.args[0]}")


class FakeClock:
    """A clock that moves only when a test says so."""

    def __init__(self, start: datetime = START) -> None:
        self.time = start
        self.ticks = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.ticks

    def advance(self, delta: timedelta | float) -> None:
        """Move both hands; a float is seconds."""
        step = delta if isinstance(delta, timedelta) else timedelta(seconds=delta)
        self.time += step
        self.ticks += step.total_seconds()


def counting_ids(seed: str = "seed") -> Ids:
    """Ids that are the same in every run: the hash of a counter."""

    def stream() -> Iterator[bytes]:
        number = 0
        while True:
            yield sha256(f"{seed}:{number}".encode()).digest() * 2
            number += 1

    values = stream()
    return Ids(lambda size: next(values)[:size])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ids() -> Ids:
    return counting_ids()


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real feeds, digests, lists and bounces that stands beside the checkout."""
    folder = Path(os.environ.get("NEWSLETTER_CORPUS", ROOT.parent / "shared" / "corpus"))
    if not folder.is_dir():
        pytest.skip(f"no corpus at {folder}: set NEWSLETTER_CORPUS to a folder that has one")
    return folder

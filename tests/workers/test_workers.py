"""However workers end, freeze, or lose their database or their queue: nobody is missed, and nobody gets it twice.

`kills.py` and `scenes.py` do it with real processes, from one that has started no thread before it forks.
`pytest tests/workers --kills 1000 --crash-seed 7`, or NEWSLETTER_KILLS, for more.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def run(program: str, url: str, *options: str) -> list[dict[str, Any]]:
    """Run one of the programs; its verdicts."""
    done = subprocess.run(
        [sys.executable, str(HERE / program), "--database", url, *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=7200,
    )
    assert 0 == done.returncode, done.stderr
    verdicts: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    print(*verdicts, sep="\n")
    for verdict in verdicts:
        assert [] == verdict["failures"], f"{verdict}\n{done.stderr}"
        assert (0, 0, 0, 0) == tuple(verdict[one] for one in ("lost", "strays", "changed", "ledger_differs")), verdict
    # A worker that loses its database says so in its own words; nothing else is for a person to read.
    assert "Traceback" not in done.stderr
    return verdicts


def asked(config: pytest.Config, kills: int) -> list[str]:
    number = config.getoption("--kills", default=None) or int(os.environ.get("NEWSLETTER_KILLS", kills))
    return ["--kills", str(number), *seeded(config)]


def seeded(config: pytest.Config) -> list[str]:
    seed = config.getoption("--crash-seed", default=None)
    return [] if seed is None else ["--seed", str(seed)]


def require_few_copies(verdict: dict[str, Any]) -> None:
    """No worker that was killed costs more copies than it had connections."""
    assert verdict["most_connected"] <= verdict["connections"], verdict
    assert verdict["worst_kill"] <= verdict["connections"], verdict
    # The kills do hit what they are meant for.
    assert 0 < verdict["duplicates"] <= verdict["connections"] * verdict["kills"], verdict


def test_fifty_kills_among_four_workers_miss_nobody(postgres_url: str, request: pytest.FixtureRequest) -> None:
    [verdict] = run("kills.py", postgres_url, *asked(request.config, 50))

    require_few_copies(verdict)


def test_workers_that_freeze_or_lose_database_or_queue_harm_nobody(
    postgres_url: str, request: pytest.FixtureRequest
) -> None:
    """What may have arrived is held; so is what a worker could not write down because its session was ended."""
    verdicts = run("scenes.py", postgres_url, "zombie", "cut", "no-queue", "--hold", *seeded(request.config))

    for verdict in verdicts:
        assert 0 == verdict["worst"], verdict
        assert verdict["held_though_sent"] <= verdict["connections"], verdict
        assert verdict["worst_after"] <= verdict["connections"], verdict
        assert verdict["came_back"] == (verdict["turns"] if verdict["scene"] != "no-queue" else 0), verdict


@pytest.mark.soak
def test_a_thousand_kills_among_four_workers_miss_nobody(postgres_url: str) -> None:
    [verdict] = run("kills.py", postgres_url, "--kills", "1000")

    require_few_copies(verdict)


@pytest.mark.soak
def test_where_what_may_have_arrived_is_held_no_kill_among_workers_makes_a_copy(postgres_url: str) -> None:
    [verdict] = run("kills.py", postgres_url, "--kills", "300", "--hold")

    assert 0 == verdict["duplicates"], verdict
    # And one more for each connection, which was only announced (ARCHITECTURE.md, "The outbox").
    assert 0 < verdict["held"] <= 2 * verdict["connections"] * verdict["kills"], verdict


@pytest.mark.soak
@pytest.mark.parametrize("scene", ["zombie", "cut", "swallow", "slow", "no-queue"])
def test_in_real_time_others_take_over_within_two_minutes(postgres_url: str, scene: str) -> None:
    """A worker is frozen for a minute and more, a server says nothing for as long; nobody hurries anything."""
    [verdict] = run("scenes.py", postgres_url, scene, "--patient", "--turns", "3")

    assert verdict["worst"] <= verdict["connections"], verdict
    assert verdict["worst_after"] <= verdict["connections"], verdict
    assert max(verdict["finished"], verdict["noticed"]) <= 120, verdict


@pytest.mark.soak
@pytest.mark.parametrize("scene", ["zombie", "cut", "swallow"])
def test_twenty_times_somebody_is_away_for_a_while(postgres_url: str, scene: str) -> None:
    [verdict] = run("scenes.py", postgres_url, scene, "--turns", "20")

    assert 0 < verdict["worst"] <= verdict["connections"], verdict
    assert verdict["worst_after"] <= verdict["connections"], verdict
    assert verdict["came_back"] == verdict["turns"], verdict

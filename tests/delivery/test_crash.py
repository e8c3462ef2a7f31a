"""However often a send is killed, nobody is missed, and a kill costs at most one copy per open connection.

`crash.py` does the killing, in a process that has started no thread before it forks.
`pytest tests/delivery/test_crash.py --kills 1000 --crash-seed 7`, or NEWSLETTER_KILLS, for more.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CRASH = Path(__file__).with_name("crash.py")
ROOT = Path(__file__).resolve().parents[2]


def crash(*options: str) -> dict[str, Any]:
    """Run the series; its verdict."""
    done = subprocess.run(
        [sys.executable, str(CRASH), *options],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert 0 == done.returncode, done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    print(verdict)
    assert [] == verdict["failures"], f"{verdict}\n{done.stderr}"
    return verdict


def asked(config: pytest.Config, kills: int) -> list[str]:
    number = config.getoption("--kills", default=None) or int(os.environ.get("NEWSLETTER_KILLS", kills))
    seed = config.getoption("--crash-seed", default=None)
    return ["--kills", str(number), *([] if seed is None else ["--seed", str(seed)])]


def test_two_hundred_kills_miss_nobody(request: pytest.FixtureRequest) -> None:
    verdict = crash(*asked(request.config, 200))

    assert (
        200 <= verdict["kills"] or "NEWSLETTER_KILLS" in os.environ or request.config.getoption("--kills", default=None)
    )
    assert 0 == verdict["lost"], verdict
    assert verdict["worst_kill"] <= verdict["connections"], verdict
    assert (0, 0) == (verdict["changed_ids"], verdict["changed_bytes"]), verdict
    assert 0 == verdict["ledger_differs"], verdict
    # The kills do hit what they are meant for.
    assert 0 < verdict["duplicates"] <= verdict["connections"] * verdict["kills"], verdict


def test_where_what_may_have_arrived_is_held_no_kill_makes_a_copy(request: pytest.FixtureRequest) -> None:
    verdict = crash("--hold", *asked(request.config, 40))

    assert (0, 0) == (verdict["lost"], verdict["duplicates"]), verdict
    assert 0 == verdict["ledger_differs"], verdict
    assert 0 < verdict["held"] <= verdict["connections"] * verdict["kills"], verdict


def test_signed_messages_are_the_same_bytes_after_a_kill(request: pytest.FixtureRequest) -> None:
    """Signing happens in threads, ahead of the wire: it must cost neither a reader nor a second signature."""
    verdict = crash("--dkim", *asked(request.config, 30))

    assert 0 == verdict["lost"], verdict
    assert verdict["worst_kill"] <= verdict["connections"], verdict
    assert (0, 0) == (verdict["changed_ids"], verdict["changed_bytes"]), verdict
    assert 0 == verdict["ledger_differs"], verdict
    assert 0 < verdict["duplicates"] <= verdict["connections"] * verdict["kills"], verdict


@pytest.mark.parametrize("hold", [False, True], ids=["resend", "hold"])
def test_with_a_window_a_kill_costs_at_most_a_copy_per_message_in_flight(
    request: pytest.FixtureRequest, hold: bool
) -> None:
    options = ["--window", "4", "--connections", "2", *(["--hold"] if hold else [])]
    verdict = crash(*options, *asked(request.config, 30))

    most = verdict["connections"] * verdict["window"]
    assert (0, 0, 0, 0) == tuple(verdict[one] for one in ("lost", "changed_ids", "changed_bytes", "ledger_differs")), (
        verdict
    )
    assert verdict["worst_kill"] <= most, verdict
    found = verdict["held" if hold else "duplicates"]
    assert 0 < found <= most * verdict["kills"], verdict
    assert 0 == verdict["duplicates" if hold else "held"], verdict


@pytest.mark.soak
@pytest.mark.parametrize(("connections", "window"), [(1, 16), (4, 4), (16, 2)])
def test_ten_thousand_kills_with_a_window_miss_nobody(connections: int, window: int) -> None:
    verdict = crash("--kills", "10000", "--connections", str(connections), "--window", str(window))

    assert (0, 0, 0, 0) == tuple(verdict[one] for one in ("lost", "changed_ids", "changed_bytes", "ledger_differs")), (
        verdict
    )
    assert verdict["worst_kill"] <= connections * window, verdict


@pytest.mark.soak
@pytest.mark.parametrize("connections", [1, 4, 16])
def test_ten_thousand_kills_miss_nobody(connections: int) -> None:
    verdict = crash("--kills", "10000", "--connections", str(connections))

    assert (0, 0, 0, 0) == tuple(verdict[one] for one in ("lost", "changed_ids", "changed_bytes", "ledger_differs")), (
        verdict
    )
    assert verdict["worst_kill"] <= connections, verdict

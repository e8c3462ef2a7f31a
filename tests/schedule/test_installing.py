"""The system's own clock calls the program; beside the real tools' names stand scripts that note how they are called."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Wire, a_wire
from tests.conftest import ROOT

CRONTAB = """#!/bin/sh
table={table}
if [ "$1" = -l ]; then [ -f "$table" ] && /bin/cat "$table" || {{ echo "no crontab" >&2; exit 1; }}; else /bin/cat > "$table"; fi
"""
SYSTEMCTL = """#!/bin/sh
echo "$@" >> {calls}
case "$2" in show-environment) exit {code};; esac
"""


class Machine:
    """A home, and the two tools."""

    def __init__(self, folder: Path) -> None:
        self.home, self.tools = folder / "home", folder / "tools"
        self.table, self.calls = folder / "table", folder / "calls"
        self.home.mkdir()
        self.tools.mkdir()
        self.has_systemd()

    def has_systemd(self, *, works: bool = True) -> None:
        self._tool("systemctl", SYSTEMCTL.format(calls=self.calls, code=0 if works else 1))
        self._tool("loginctl", "#!/bin/sh\necho Linger=no\n")

    def has_cron(self) -> None:
        self._tool("crontab", CRONTAB.format(table=self.table))

    def _tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "XDG_CONFIG_HOME": "", "PATH": str(self.tools)}

    @property
    def units(self) -> dict[str, str]:
        folder = self.home / ".config" / "systemd" / "user"
        return {path.suffix: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        made.configure(made.web.feed("/rss", "First"), more="digests:\n  daily: {schedule: daily 07:00}\n")
        yield made


def test_a_timer_of_systemd_is_set_up_and_taken_away(wire: Wire, machine: Machine) -> None:
    done = wire("schedule", "install", **machine.environment)

    assert 0 == done.code, done.err
    assert {".service", ".timer"} == set(machine.units)
    assert "OnCalendar=*:0/5" in machine.units[".timer"]
    commands = [line for line in machine.units[".service"].splitlines() if line.startswith("ExecStart=")]
    fetch, send = (shlex.split(line.removeprefix("ExecStart=").removeprefix("-")) for line in commands)
    assert [["fetch", "--due", "-q", "-c", str(wire.folder)], ["send", "--due", "-q", "-c", str(wire.folder)]] == [
        fetch[-5:],
        send[-5:],
    ]
    assert "loginctl enable-linger" in done.err
    calls = machine.calls.read_text()
    assert "--user daemon-reload\n--user enable --now newsletter-the-morning-wire-" in calls
    gone = wire("schedule", "uninstall", **machine.environment)
    assert "taken from systemd" in gone.err
    assert {} == machine.units
    assert "--user disable --now newsletter-the-morning-wire-" in machine.calls.read_text()
    assert "nothing was installed" in wire("schedule", "uninstall", **machine.environment).err


def test_what_the_unit_calls_is_the_program(wire: Wire, machine: Machine) -> None:
    wire("schedule", "install", "--systemd", **machine.environment)
    line = next(one for one in machine.units[".service"].splitlines() if "send" in one)

    words = shlex.split(line.removeprefix("ExecStart="))
    done = subprocess.run(
        [*words[:-5], "--version"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert done.stdout.startswith("newsletter ")


def test_a_line_of_cron_stands_beside_the_others_once(wire: Wire, machine: Machine) -> None:
    machine.has_systemd(works=False)
    machine.has_cron()
    machine.table.write_text("0 1 * * * backup\n")

    for _ in range(2):
        assert 0 == wire("schedule", "install", **machine.environment).code

    lines = machine.table.read_text().splitlines()
    assert ("0 1 * * * backup", 2) == (lines[0], len(lines))
    assert lines[1].startswith("*/5 * * * * ")
    assert lines[1].count(str(wire.folder)) == 2
    wire("schedule", "uninstall", **machine.environment)
    assert "0 1 * * * backup\n" == machine.table.read_text()


def test_only_printed_nothing_is_put_in_place(wire: Wire, machine: Machine) -> None:
    machine.has_cron()

    shown = wire("schedule", "install", "--print", **machine.environment)
    line = wire("schedule", "install", "--print", "--cron", **machine.environment)

    assert "[Timer]" in shown.out
    assert "ExecStart=" in shown.out
    assert line.out.startswith("*/5 * * * * ")
    assert {} == machine.units
    assert not machine.table.exists()


def test_odd_characters_of_a_folder_are_none_for_systemd_and_cron(tmp_path: Path, machine: Machine) -> None:
    folder = tmp_path / 'od%d "fol$der'
    folder.mkdir()
    with a_wire(folder) as made:
        made.configure(made.web.feed("/rss", "First"), more="digests:\n  daily: {schedule: daily 07:00}\n")
        units = made("schedule", "install", "--print", **machine.environment).out
        line = made("schedule", "install", "--print", "--cron", **machine.environment).out

    name = str(made.folder)
    assert name.replace("%", "%%").replace('"', '\\"').replace("$", "$$") in units
    # What cron hands to the shell, read as the shell would.
    command = line.removeprefix("*/5 * * * * ").replace(r"\%", "%").partition("; ")[0]
    assert name == shlex.split(command)[-1]


@pytest.mark.parametrize("refuses", ["systemctl", "nothing"])
def test_what_cannot_be_set_up_is_said(wire: Wire, machine: Machine, refuses: str) -> None:
    if refuses == "systemctl":
        machine._tool("systemctl", "#!/bin/sh\n[ $2 = show-environment ] && exit 0\necho 'no bus' >&2; exit 1\n")
    else:
        machine.has_systemd(works=False)

    done = wire("schedule", "install", **machine.environment)

    assert 1 == done.code
    assert ("no bus" if refuses == "systemctl" else "neither systemd for users nor crontab") in done.err
    assert "schedule install --print" in done.err


def test_without_a_schedule_nothing_is_installed(wire: Wire, machine: Machine) -> None:
    wire.configure(wire.web.feed("/rss", "First"))

    done = wire("schedule", "install", **machine.environment)

    assert (2, {}) == (done.code, machine.units)

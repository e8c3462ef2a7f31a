"""docs/tutorial.md, command by command, as a reader types it."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.due import send_due
from newsletter.app.send import Watcher
from tests.cli.conftest import Wire, call
from tests.conftest import ROOT, FakeClock

PAGE = ROOT / "docs" / "tutorial.md"
#: What changes the machine rather than the project.
NOT_HERE = {"pipx install newsletter-press", "newsletter schedule install"}


@dataclass(frozen=True)
class Step:
    """A command and what it prints, or a file and what is in it."""

    command: str
    expected: list[str]
    file: str = ""


def steps() -> Iterator[Step]:
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        if kind == "yaml":
            name, _, _ = block.removeprefix("# ").partition("\n")
            yield Step(command="", expected=[], file=f"{name}\n{block}")
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:] if kind == "console" else []:
            command, *expected = part.splitlines()
            yield Step(command=command, expected=[line for line in expected if line.strip(" …")])


def as_here(text: str, wire: Wire) -> str:
    """With the addresses of this test's servers, which speak no TLS."""
    text = text.replace("https://news.example.com/feed.xml", wire.web.url + "/feed.xml")
    text = re.sub(r"^  - (http://127\S+)$", r"  - {url: \1, allow_private: true}", text, flags=re.MULTILINE)
    smtp = f"smtp: {{host: 127.0.0.1, port: {wire.mail.port}, tls: none}}"
    return re.sub(r"^smtp: .*$", smtp, text, flags=re.MULTILINE)


def matches(expected: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.search(f"^{pattern}$", printed, re.MULTILINE) is not None


def run(step: Step, folder: Path, wire: Wire) -> tuple[str, int]:
    words = shlex.split(as_here(step.command, wire))
    if words[:2] == ["umask", "077"]:
        (folder / words[-1]).write_text("your password\n", encoding="utf-8")
        (folder / words[-1]).chmod(0o600)
        return "", 0
    assert "newsletter" == words[0], f"the tutorial has a command that this test cannot run: {step.command}"
    private = ["--allow-private"] if words[1:3] == ["feed", "add"] else []
    done = call(*words[1:], *private, cwd=folder)
    return done.out + done.err, done.code


def test_the_tutorial_is_true_from_the_first_command_to_the_second_morning(tmp_path: Path, wire: Wire) -> None:
    wire.web.feed("/feed.xml", "Rain again", "A bridge", "A fair", "Old news")
    folder = tmp_path
    ran = 0
    for step in steps():
        if step.file:
            name, _, text = step.file.partition("\n")
            (folder / name).write_text(as_here(text, wire), encoding="utf-8")
        elif step.command.startswith("cd "):
            folder = folder / step.command.removeprefix("cd ")
        elif step.command not in NOT_HERE:
            printed, code = run(step, folder, wire)
            assert (0, []) == (code, [line for line in step.expected if not matches(line, printed)]), (
                f"{step.command}\n{printed}"
            )
            ran += 1
    assert ran > 15
    assert ["ada@example.com", "grace@example.com", "wire@example.com", "you@example.com"] == sorted(wire.inbox())

    # And the morning after: what the timer calls, at five past seven.
    before = len(wire.inbox("ada@example.com"))
    wire.web.feed("/feed.xml", "Sun at last", "Rain again", "A bridge")
    morning = (datetime.now(UTC) + timedelta(days=1)).replace(hour=7, minute=5)
    for _ in range(2):
        app = App.open(folder, clock=FakeClock(morning))
        asyncio.run(send_due(app, None, watch=Watcher(), stop=asyncio.Event()))
        app.close()
    assert before + 1 == len(wire.inbox("ada@example.com"))


@pytest.mark.parametrize("command", sorted(NOT_HERE))
def test_what_is_not_run_stands_in_the_tutorial(command: str) -> None:
    assert [step.command for step in steps()].count(command) == 1

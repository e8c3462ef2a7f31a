"""What is shipped beside the program: the units, the container's recipe, and the commands that the papers tell one to type."""

import fnmatch
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from docs.making.commands import Command, all_commands, common_options
from tests.project.tree import ROOT, texts, tracked

UNITS = sorted((ROOT / "docs/systemd").glob("*.service"))


@cache
def commands() -> dict[tuple[str, ...], Command]:
    return {command.words[1:]: command for command in all_commands()}


def flags(command: Command) -> set[str]:
    """How its options may be written."""
    written = [option.written for option in (*command.options, *common_options(), *commands()[()].options)]
    return {"-h", "--help"} | {word for text in written for word in re.findall(r"(?<![\w-])--?[\w-]+", text)}


def wrong(line: str) -> str:
    """What is wrong with a call of the program; "" if it could be typed."""
    words = shlex.split(line, comments=True)[1:]
    while words and words[0].startswith("-"):  # options of the program itself
        del words[: 2 if words[0] in ("-c", "--config") else 1]
    path = next((tuple(words[:size]) for size in (2, 1, 0) if tuple(words[:size]) in commands()), ())
    command = commands()[path]
    if command.is_group and words[len(path) :] and not words[len(path)].startswith("-"):
        return f"no command {' '.join(words[: len(path) + 1])}"
    given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    return ", ".join(sorted(given - flags(command)))


def calls() -> Iterator[tuple[str, str]]:
    """Every call of the program in the papers: lines of a console, and code within a sentence."""
    for name, text in texts(".md"):
        if name.startswith(("tests/", "docs/adr/", "docs/reference/")):
            continue
        for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in re.findall(r"^\$ (newsletter .*)$", block, re.MULTILINE):
                yield name, line.partition(" | ")[0].partition(" && ")[0]
        for line in re.findall(r"`(newsletter [a-z][^`]*)`", text):
            yield name, line.partition("…")[0].partition(" | ")[0]


def test_every_command_in_the_papers_can_be_typed() -> None:
    found = list(calls())

    assert len(found) > 150
    assert [] == [f"{name}: {line}: {what}" for name, line in found if (what := wrong(line))]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("newsletter send --soon", "--soon"),
        ("newsletter feed ad x", "no command feed ad"),
        ("newsletter -c x subscriber list --tagg=a", "--tagg"),
        ("newsletter frobnicate", "no command frobnicate"),
        ("newsletter send -y --config x", ""),
    ],
)
def test_a_command_that_is_none_is_noticed(line: str, what: str) -> None:
    assert what == wrong(line)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_calls_what_there_is_and_writes_to_the_project_alone(unit: Path) -> None:
    text = unit.read_text(encoding="utf-8")
    keys = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))

    assert "" == wrong(keys["ExecStart"])
    assert ("strict", "/srv/newsletter/%i") == (keys["ProtectSystem"], keys["ReadWritePaths"])
    assert ("newsletter", "yes", "") == (keys["User"], keys["NoNewPrivileges"], keys["CapabilityBoundingSet"])


def test_the_units_harden_alike() -> None:
    hardened = [unit.read_text(encoding="utf-8").partition("# What it needs")[2] for unit in UNITS]

    assert 3 == len(hardened)
    assert "" not in hardened
    assert 1 == len(set(hardened))


def in_the_image() -> list[str]:
    """What of the repository gets into the container's build, by .containerignore: its last rule that hits decides."""
    lines = (ROOT / ".containerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]

    def taken(name: str) -> bool:
        ignored = False
        for rule in rules:
            pattern = rule.lstrip("!").removeprefix("**/")
            parts = ["/".join(name.split("/")[: size + 1]) for size in range(name.count("/") + 1)]
            hit = any(
                fnmatch.fnmatch(part if "**/" not in rule else part.rpartition("/")[2], pattern) for part in parts
            )
            ignored = not rule.startswith("!") if hit else ignored
        return not ignored

    return [name for name in (*tracked(), ".newsletter/newsletter.db", "newsletter/__pycache__/x.pyc") if taken(name)]


def test_the_image_is_built_from_all_that_the_wheel_needs_and_of_nobody_s_data() -> None:
    inside = in_the_image()

    for needed in ("pyproject.toml", "requirements.lock", "README.md", "LICENSE", "docs/man/newsletter.1"):
        assert needed in inside
    assert {name for name in tracked() if name.startswith(("newsletter/", "templates/"))} <= set(inside)
    for private in ("subscribers.yaml", "newsletter.yaml", ".newsletter/newsletter.db", "newsletter/__pycache__/x.pyc"):
        assert private not in inside


def test_the_container_runs_as_nobody_in_particular_and_takes_the_lock_with_its_hashes() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")

    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert "--require-hashes --requirement requirements.lock" in text
    for line in re.findall(r"(?:CMD|ENTRYPOINT) \[(.*)\]$", text, re.MULTILINE):
        words = [word for word in re.findall(r'"([^"]*)"', line) if word != "newsletter"]
        assert "" == wrong(" ".join(["newsletter", *words]))

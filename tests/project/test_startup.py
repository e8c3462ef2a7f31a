"""`newsletter --help` answers at once: no command loads what another one needs."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.project.tree import ROOT

HEAVY = (
    "PIL",
    "aiohttp",
    "aiosmtpd",
    "aiosmtplib",
    "alembic",
    "babel",
    "cryptography",
    "email_validator",
    "feedparser",
    "html_to_markdown",
    "jinja2",
    "lxml",
    "nh3",
    "premailer",
    "psycopg",
    "pydantic",
    "regex",
    "requests",
    "rich",
    "sqlalchemy",
    "yaml",
)
PROBE = """
import json, sys
sys.argv = ["newsletter", *sys.argv[1:]]
from newsletter.cli import main
try:
    main()
except SystemExit as end:
    code = end.code or 0
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print("\\n" + json.dumps([code, loaded]))
"""


def run(*arguments: str) -> tuple[str, int, set[str]]:
    """What a command printed, its exit code, and the top-level modules it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    printed, _, last = done.stdout.rstrip("\n").rpartition("\n")
    code, loaded = json.loads(last)
    return printed, code, set(loaded)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    printed, code, loaded = run(*arguments)

    assert 0 == code
    assert "newsletter" in printed.lower()
    assert set() == loaded & set(HEAVY)


@pytest.mark.parametrize("command", [["send"], ["feed", "add"], ["subscriber", "list"], ["demo"]])
def test_the_help_of_a_command_loads_none_either(command: list[str]) -> None:
    printed, code, loaded = run(*command, "--help")

    assert 0 == code
    assert " ".join(["newsletter", *command]) in printed
    # Typer itself asks pydantic about the types of parameters.
    assert set() == loaded & set(HEAVY) - {"pydantic"}


def test_the_heavy_libraries_are_those_of_this_program() -> None:
    """A misspelt name would never be found loaded."""
    assert [] == [name for name in HEAVY if find_spec(name) is None]

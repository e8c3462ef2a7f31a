"""The other Pythons the program promises to run on, where this machine has them.

The libraries of this run are built for this Python, so another one gets only
what needs none: the syntax of every module, the bottom layer, and the header
code, whose standard library differs from version to version.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

from tests.project.tree import PACKAGE, ROOT

SYNTAX = """
import pathlib, sys
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.py")):
    compile(path.read_text(encoding="utf-8"), str(path), "exec")
print("fine")
"""
BOTTOM = """
import importlib, sys
sys.path.insert(0, sys.argv[1])
for name in ("model", "errors", "clock", "text", "urls", "address"):
    importlib.import_module(f"newsletter.{name}")
print("fine")
"""
HEADERS = """
import json, sys
sys.path.insert(0, sys.argv[1])
from newsletter.delivery import headers
texts = ["plain", "caf\\u00e9 \\u2014 na\\u00efve", "\\u0627\\u0644\\u0639\\u0628\\u0651\\u0627\\u0631\\u0629", "x" * 200,
         "two\\r\\nBcc: eve@example.net", "=?utf-8?q?a=0D=0ABcc:_eve@example.net?=", "tab\\there, quote\\" and \\\\", "\\U0001f4ec" * 40]
made = [headers.encode_header_text(text).decode("ascii") for text in texts]
made += [headers.address_header(text, "ada@example.com").decode("ascii") for text in texts]
print(json.dumps(made))
"""


def supported() -> list[str]:
    """The versions that pyproject.toml promises, as `3.11`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [line.rpartition(" ")[2] for line in project["classifiers"] if ":: Python :: 3." in line]


@cache
def python(version: str) -> str:
    """An interpreter of that version: by its name, or from a version manager's folder; skips where there is none."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in [shutil.which(f"python{version}"), *sorted(managed.glob(f"{version}.*/bin/python"))]:
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(found)
    pytest.skip(f"no Python {version} on this machine")


def run(version: str, program: str, folder: Path) -> str:
    done = subprocess.run(
        [python(version), "-I", "-W", "error", "-c", program, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize("version", supported())
def test_every_module_is_written_in_the_language_of_that_python(version: str) -> None:
    assert "fine\n" == run(version, SYNTAX, PACKAGE)


@pytest.mark.parametrize("version", supported())
def test_the_bottom_layer_needs_nothing_but_that_python(version: str) -> None:
    assert "fine\n" == run(version, BOTTOM, ROOT)


@pytest.mark.parametrize("version", supported())
def test_headers_come_out_the_same_under_that_python(version: str) -> None:
    here = run(f"{sys.version_info.major}.{sys.version_info.minor}", HEADERS, ROOT)

    assert json.loads(here) == json.loads(run(version, HEADERS, ROOT))
    assert [] == [
        line for header in json.loads(here) for line in header.split("\r\n") if line.lower().startswith("bcc")
    ]

"""Top may import down, never up: the contracts of pyproject.toml hold, and would notice if they did not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.tree import PACKAGE, ROOT


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the copy of the project in `folder`."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_the_layers_hold() -> None:
    found = lint_imports(ROOT)

    assert 0 == found.returncode, found.stdout + found.stderr


@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("model/feeds.py", "import newsletter.app", "top may import down, never up"),
        ("feeds/identity.py", "import newsletter.store.store", "top may import down, never up"),
        ("issues/digest.py", "import sqlite3", "the deciding parts import no I/O library"),
    ],
)
def test_an_import_in_the_wrong_direction_is_noticed(tmp_path: Path, path: str, line: str, contract: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / "newsletter", ignore=shutil.ignore_patterns("__pycache__", "templates"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    wrong = tmp_path / "newsletter" / path
    wrong.write_text(wrong.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")

    found = lint_imports(tmp_path)

    assert 1 == found.returncode, found.stdout + found.stderr
    assert f"{contract} BROKEN" in " ".join(found.stdout.split())

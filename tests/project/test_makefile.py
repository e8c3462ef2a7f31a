"""`make`: says what it can do, refuses an old Python in words, and installs only what has changed."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.project.tree import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in the checkout, as a person would."""
    clean = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "PYTHON", "VENV"}}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def done(tmp_path: Path) -> Path:
    """An environment in which every step is done, all at once, after the files it depends on."""
    for stamp in (".made", ".runtime", ".dev"):
        (tmp_path / stamp).touch()
        os.utime(tmp_path / stamp, times=(time.time() + 60,) * 2)
    return tmp_path


def test_make_alone_tells_what_there_is_and_does_nothing() -> None:
    found = make()

    assert 0 == found.returncode
    for command in ("demo", "test", "soak", "check", "lint", "types", "layers", "bench", "wheel", "lock", "clean"):
        assert f"  make {command} " in found.stdout


def test_an_old_python_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.10.4" && exit\nexit 1\n', encoding="utf-8")
    old.chmod(0o755)

    found = make("demo", f"PYTHON={old}", f"VENV={tmp_path / 'env'}")

    assert found.returncode != 0
    assert f'error: newsletter needs Python 3.11 or newer, and "{old}" is: Python 3.10.4' in found.stderr
    assert "hint: make PYTHON=" in found.stderr
    assert not (tmp_path / "env").exists()


@pytest.mark.parametrize("command", ["demo", "test", "check", "soak", "bench"])
def test_a_second_run_installs_nothing(command: str, done: Path) -> None:
    found = make("--dry-run", command, f"VENV={done}")

    assert 0 == found.returncode, found.stderr
    assert str(done) in found.stdout
    assert "pip" not in found.stdout
    assert "venv " not in found.stdout


@pytest.mark.parametrize(
    ("command", "stamp", "lock"), [("demo", ".runtime", "requirements.lock"), ("test", ".dev", "requirements-dev.lock")]
)
def test_what_is_installed_is_the_lock_with_its_hashes_and_nothing_past_it(
    command: str, stamp: str, lock: str, done: Path
) -> None:
    (done / stamp).unlink()

    found = make("--dry-run", command, f"VENV={done}")

    assert 0 == found.returncode, found.stderr
    assert f"install --require-hashes -r {lock}" in found.stdout
    assert "install --no-deps --no-build-isolation --editable ." in found.stdout


def test_who_can_test_can_run_the_demo_without_installing_again(done: Path) -> None:
    (done / ".dev").unlink()
    (done / ".runtime").unlink()

    found = make("--dry-run", "test", f"VENV={done}")

    assert f"touch {done / '.runtime'} {done / '.dev'}" in found.stdout

"""The archives: they carry what a run needs, nobody's addresses, and work far from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from newsletter.demo.catcher import Catcher
from tests.project.test_pythons import python, supported
from tests.project.tree import ROOT, tracked

# One worker builds them, once.
pytestmark = pytest.mark.xdist_group("packaging")

SECRET = "somebody-real@private.invalid"


def run(*command: str | Path, cwd: Path, patience: float = 180, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program away from the checkout's environment; its output is the message of a failure."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "NEWSLETTER"))
    }
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience,
    )
    assert 0 == done.returncode, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built without a network from a clone that somebody has used."""
    clone = tmp_path_factory.mktemp("clone") / "newsletter-press"
    for name in tracked():
        target = clone / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    # What a person who really sends from the clone has lying there.
    for private in ("subscribers.yaml", ".newsletter/newsletter.db", ".newsletter/log", "demo/subscribers.yaml"):
        (clone / private).parent.mkdir(exist_ok=True)
        (clone / private).write_text(f"- {SECRET}\n", encoding="utf-8")
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, clone, cwd=out)
    return out


@pytest.fixture(scope="module")
def wheel(archives: Path) -> zipfile.ZipFile:
    [path] = archives.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def sdist(archives: Path) -> dict[str, bytes]:
    """The sdist's files by their path below its one folder."""
    [path] = archives.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        return {
            member.name.partition("/")[2]: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member))
        }


def test_the_wheel_carries_all_modules_templates_migrations_and_samples(wheel: zipfile.ZipFile) -> None:
    inside = set(wheel.namelist())
    package = {name for name in tracked() if name.startswith("newsletter/")}
    templates = {f"newsletter/{name}" for name in tracked() if name.startswith("templates/")}

    assert set() == (package | templates) - inside
    names = ("issue.html", "issue.txt", "issue.md", "archive.md", "subject.txt")
    expected = {f"newsletter/templates/{name}.j2" for name in names}
    expected |= {f"newsletter/demo/samples/{name}" for name in ("courier.xml", "sky.atom", "shelf.json")}
    assert set() == (expected | {"newsletter/py.typed"}) - inside
    assert any(name.startswith("newsletter/store/migrations/versions/0001") for name in inside)


def test_the_wheel_carries_nothing_else(wheel: zipfile.ZipFile) -> None:
    strangers = [name for name in wheel.namelist() if not name.startswith(("newsletter/", "newsletter_press-"))]

    assert [] == strangers
    assert [] == [name for name in wheel.namelist() if SECRET.encode() in wheel.read(name)]
    assert [] == [name for name in wheel.namelist() if "subscribers" in name and not name.endswith(".py")]


def test_no_person_leaves_in_the_sdist(sdist: dict[str, bytes]) -> None:
    mine = {"tests/project/test_packaging.py"}

    assert [] == [name for name, content in sdist.items() if SECRET.encode() in content and name not in mine]
    assert [] == [name for name in sdist if name.startswith((".newsletter", "demo/")) or name == "subscribers.yaml"]


def test_the_sdist_is_the_repository(sdist: dict[str, bytes]) -> None:
    without = {"subscribers.yaml", ".gitignore"}

    assert [] == [name for name in tracked() if name not in sdist and name not in without]
    assert "newsletter-press" in sdist["PKG-INFO"].decode()


def test_the_archives_are_named_for_the_distribution(archives: Path) -> None:
    from newsletter import __version__

    expected = [f"newsletter_press-{__version__}-py3-none-any.whl", f"newsletter_press-{__version__}.tar.gz"]
    assert expected == sorted(path.name for path in archives.iterdir())


@pytest.fixture(scope="module")
def installed(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `newsletter` command of a fresh environment: the wheel, and the libraries of this run lent to it."""
    place = tmp_path_factory.mktemp("elsewhere") / "env"
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=archives)
    [wheel] = archives.glob("*.whl")
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        place / "bin" / "python",
        "--disable-pip-version-check",
    ]
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=archives)
    [site] = place.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return place / "bin" / "newsletter"


def test_the_installed_program_is_the_wheel_s_and_says_its_version(installed: Path, tmp_path: Path) -> None:
    from newsletter import __version__

    where = run(installed.with_name("python"), "-c", "import newsletter; print(newsletter.__file__)", cwd=tmp_path)

    assert Path(where.stdout.strip()).is_relative_to(installed.parent.parent)
    assert f"newsletter {__version__}\n" == run(installed, "--version", cwd=tmp_path).stdout
    assert (
        f"newsletter {__version__}\n"
        == run(installed.with_name("python"), "-m", "newsletter", "--version", cwd=tmp_path).stdout
    )


def sent_from(program: Path, folder: Path) -> None:
    """A new project, looked at and sent to the one person it begins with."""
    mine = folder / "mine"
    with Catcher(folder / "caught") as mail:
        run(program, "init", mine, "--yes", "--smtp", f"127.0.0.1:{mail.port}", cwd=folder)
        shutil.copy(ROOT / "newsletter/demo/samples/courier.xml", mine / "courier.xml")
        run(program, "feed", "add", "courier.xml", cwd=mine)
        run(program, "preview", "--out", "seen", cwd=mine)
        run(program, "send", "--yes", cwd=mine)

    assert "Port Merrow" in (mine / "seen" / "issue.html").read_text(encoding="utf-8")
    assert [b"Port Merrow" in path.read_bytes() for path in (folder / "caught").glob("*.eml")] == [True]


def test_a_new_project_of_the_installed_program_is_looked_at_and_sent(installed: Path, tmp_path: Path) -> None:
    sent_from(installed, tmp_path)


def test_the_manual_and_the_units_are_installed_beside_the_program(installed: Path) -> None:
    share = installed.parent.parent / "share"

    assert (share / "man/man1/newsletter.1").read_bytes() == (ROOT / "docs/man/newsletter.1").read_bytes()
    assert {"newsletter@.service", "newsletter-serve@.service", "newsletter-worker@.service"} == {
        path.name for path in (share / "newsletter/systemd").iterdir()
    }


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    first = run(installed, "demo", "shown", cwd=tmp_path)
    letters = sorted((tmp_path / "shown").rglob("*.eml"))

    assert letters, first.stdout + first.stderr
    assert [] == [path for path in letters if b"Port Merrow" not in path.read_bytes()]
    assert list((tmp_path / "shown").rglob("*.html"))
    assert list((tmp_path / "shown").rglob("*.md"))


@pytest.mark.soak
@pytest.mark.parametrize("version", supported())
def test_the_wheel_works_under_that_python_with_the_locked_libraries(
    archives: Path, version: str, tmp_path: Path
) -> None:
    """Nothing is lent here: a fresh environment, as somebody else makes it."""
    env, [wheel] = tmp_path / "env", archives.glob("*.whl")
    pip: list[str | Path] = [env / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(python(version), "-m", "venv", env, cwd=tmp_path)
    run(*pip, "--require-hashes", "--requirement", ROOT / "requirements.lock", cwd=tmp_path, patience=900)
    run(*pip, "--no-deps", "--no-index", wheel, cwd=tmp_path)

    sent_from(env / "bin/newsletter", tmp_path)
    run(env / "bin/newsletter", "demo", "shown", cwd=tmp_path)

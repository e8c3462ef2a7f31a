"""The lock files: everything pinned and hashed, nothing missing, and one version in both."""

import re
import tomllib
from functools import cache
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.tree import ROOT

RUNTIME, DEV, DOCS = "requirements.lock", "requirements-dev.lock", "requirements-docs.lock"
BOTH = pytest.mark.parametrize("name", [RUNTIME, DEV])


@cache
def pins(name: str) -> dict[str, tuple[Requirement, int]]:
    """The requirements of a lock by their names, each with the number of its hashes."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: dict[str, tuple[Requirement, int]] = {}
    for block in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = block.split("--hash=sha256:")
        pin = Requirement(requirement)
        assert all(re.fullmatch(r"[0-9a-f]{64}", hash_.strip()) for hash_ in hashes)
        found[canonicalize_name(pin.name)] = (pin, len(hashes))
    return found


def project() -> dict[str, list[Requirement]]:
    """What pyproject.toml asks for: of the program, of the optional database, and of the people who build it."""
    read = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = read["dependency-groups"]
    asked = {
        "runtime": read["project"]["dependencies"],
        "build": groups["build"],
        "postgres": read["project"]["optional-dependencies"]["postgres"],
        "dev": [item for item in groups["dev"] if isinstance(item, str)],
        "docs": groups["docs"],
    }
    return {key: [Requirement(text) for text in texts] for key, texts in asked.items()}


@pytest.mark.parametrize("name", [RUNTIME, DEV, DOCS])
def test_every_package_is_pinned_to_one_version_with_its_hashes(name: str) -> None:
    assert len(pins(name)) > 40
    for pin, hashes in pins(name).values():
        assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), pin
        assert hashes >= 1, pin
        assert pin.url is None, pin


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        (RUNTIME, ["runtime", "build"]),
        (DEV, ["runtime", "build", "postgres", "dev"]),
        (DOCS, ["runtime", "build", "docs"]),
    ],
)
def test_a_lock_holds_all_that_the_project_asks_for(name: str, groups: list[str]) -> None:
    """`make lock` was run after the last change of pyproject.toml."""
    for asked in chain.from_iterable(project()[group] for group in groups):
        pin, _ = pins(name)[canonicalize_name(asked.name)]
        [version] = pin.specifier
        assert version.version in asked.specifier, f"{asked} but {pin}: make lock"


def test_who_has_the_development_lock_has_the_other_one_too() -> None:
    runtime = {name: str(pin.specifier) for name, (pin, _) in pins(RUNTIME).items()}
    dev = {name: str(pin.specifier) for name, (pin, _) in pins(DEV).items()}

    assert runtime == {name: version for name, version in dev.items() if name in runtime}


@BOTH
def test_a_lock_is_for_every_system(name: str) -> None:
    """Made in one place, it holds wheels for others; a lock of this machine alone would have few hashes."""
    assert pins(name)["lxml"][1] > 20
    # A backport is for the Pythons that need it.
    markers = {str(pin.marker) for package, (pin, _) in pins(name).items() if pin.marker and "backports" not in package}
    assert any("win32" in marker for marker in markers)
    assert [] == [marker for marker in markers if "python" in marker.replace("platform_python", "")]

"""The Nu HTML checker on the HTML part: no errors outside what mail needs and HTML has no word for."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from newsletter.app.letters import Letter

pytestmark = pytest.mark.xdist_group("proof")

_PACKAGE = "vnu-jar@26.9.27"
#: What old clients need: table attributes, Word's properties and namespaces, Apple's metas.
_MEANT = re.compile(
    r"obsolete\. Use CSS"
    r"|mso-"
    r"|bgcolor"
    r"|Attribute “xmlns:[vo]” (not allowed|is not serializable)"
    r"|supported-color-schemes"
    r"|-(webkit|ms)-text-size-adjust"
    r"|text-decoration-thickness"
)


@pytest.fixture(scope="session")
def checker(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the checker; installed from npm where it is not there."""
    if shutil.which("java") is None or shutil.which("npm") is None:
        pytest.skip("the Nu HTML checker needs java and npm")
    folder = tmp_path_factory.mktemp("npm")
    try:
        done = subprocess.run(
            ["npm", "install", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund", _PACKAGE],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring the Nu HTML checker within a minute")
    jar = folder / "node_modules" / "vnu-jar" / "build" / "dist" / "vnu.jar"
    if done.returncode or not jar.exists():
        pytest.skip(f"npm cannot install the Nu HTML checker: {done.stderr.strip()[-200:]}")
    return ["java", "-Xss1m", "-jar", str(jar), "--format", "json", "--exit-zero-always", "--stdout", "--errors-only"]


def errors(checker: list[str], *files: Path) -> list[str]:
    """What the checker finds in the files, as `file:line: what`."""
    done = subprocess.run([*checker, *map(str, files)], capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(done.stdout)["messages"]
    return [
        f"{Path(message.get('url', '')).name}:{message.get('lastLine')}: {message['message']}"
        for message in found
        if message["type"] != "info" and not _MEANT.search(message["message"])
    ]


def test_the_letters_are_valid_html(checker: list[str], letters: dict[str, Letter], tmp_path: Path) -> None:
    paths = []
    for name, letter in letters.items():
        paths.append(tmp_path / f"{name}.html")
        paths[-1].write_text(letter.html, encoding="utf-8")
    bad = tmp_path / "bad.html"
    bad.write_text(letters["sample"].html.replace("<h1", '<p height="auto"><div></p></div><h1'), encoding="utf-8")

    found = errors(checker, *paths, bad)

    assert [] == [line for line in found if not line.startswith("bad.html")]
    assert found, "the checker finds faults where there are some"

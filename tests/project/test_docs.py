"""The papers: every link leads somewhere, every decision is listed, every command they name exists."""

import re
from collections.abc import Iterator

import pytest

from tests.project.tree import ROOT, texts, tracked

ADRS = [name for name in tracked() if re.fullmatch(r"docs/adr/\d{4}-[\w-]+\.md", name)]


def prose(text: str) -> str:
    """Markdown without its code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def anchors(text: str) -> set[str]:
    """The fragments of a page's headings, as forges make them."""
    headings = re.findall(
        r"^#+ +(.+?) *#*$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def local_links() -> Iterator[tuple[str, str]]:
    """Every link inside the repository: the page it stands on, and where it leads."""
    for name, text in texts(".md"):
        if name.startswith("tests/"):
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", prose(text)):
            link = "".join(target)
            if not re.match(r"[a-z]+:", link):
                yield name, link


def test_every_link_leads_to_a_file_and_a_heading_that_exist() -> None:
    dead = []
    for name, link in local_links():
        path, _, fragment = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        if not target.exists() or (fragment and fragment not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(f"{name}: {link}")

    assert [] == dead
    assert any(name == "ARCHITECTURE.md" for name, _ in local_links())


def test_every_decision_is_listed_in_order() -> None:
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (ROOT / "docs/adr/README.md").read_text(encoding="utf-8"))

    assert sorted(name.removeprefix("docs/adr/") for name in ADRS) == listed
    assert [f"{number:04}" for number in range(1, len(ADRS) + 1)] == [name[:4] for name in listed]


@pytest.mark.parametrize("name", ADRS)
def test_a_decision_says_why_what_and_what_it_cost_in_forty_lines(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    assert len(text.splitlines()) <= 40
    assert ["Context", "Decision", "What we gave up"] == re.findall(r"^## (.+)$", text, re.MULTILINE)
    number, title = re.findall(r"^# (\d+)\. (.+)$", text, re.MULTILINE)[0]
    assert int(number) == int(name[9:13])
    assert f"[{title}]({name.removeprefix('docs/adr/')})" in (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")


def make_targets() -> dict[str, str]:
    """The Makefile's commands, each with its line of help."""
    found = re.findall(r"^([a-z]+):[^=\n]*?## (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", ".ci/run"])
def test_every_make_command_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:`|^\s*|\$ )make ([a-z]+)", text, re.MULTILINE))

    assert named
    assert set() == named - make_targets().keys()


def test_contributing_names_every_make_command() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

    assert [] == [target for target in make_targets() if target != "help" and f"make {target}" not in text]


def test_the_two_commands_of_the_readme_are_what_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ci = (ROOT / ".ci/run").read_text(encoding="utf-8")

    assert [] == [command for command in ("make demo", "make test") if command not in readme]
    assert ["make check", "make test"] == re.findall(r"^make .*$", ci, re.MULTILINE)
    assert ci.rstrip().endswith("make test")


def test_the_papers_are_short() -> None:
    longest = {"README.md": 110, "ARCHITECTURE.md": 120, "CONTRIBUTING.md": 110}
    lengths = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in longest}

    assert {} == {name: length for name, length in lengths.items() if length > longest[name]}

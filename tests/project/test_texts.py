"""What is in the repository belongs there: no address of a machine, no real person, nothing private in an archive."""

import re

import pytest

from newsletter.address import is_reserved
from tests.project.tree import ROOT, texts, tracked

# Written in pieces, so that this file does not name what it forbids.
REGISTRY = re.compile(
    r"(?:extra-)?index-" + r"url|//[^ \"]*/sim" + r"ple(?:/|\b)|registry *= *\""
    r"|pypi\." + r"org|pythonhosted\." + r"org|registry\.npm" + r"js|deb\.debian\." + r"org"
)
MACHINE = re.compile(r"(?<![\w.])/(?:wo" + r"rk|fa" + r"rm|ro" + r"ot|opt/py" + r"pi|tmp/con" + r"tract)(?:/|\b)")
MAILBOX = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")


def places(pattern: re.Pattern[str]) -> list[str]:
    """Where the pattern stands in a tracked text, as `path:line: what`."""
    return [
        f"{name}:{number}: {found.group()}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if (found := pattern.search(line))
    ]


def test_no_text_names_a_package_index() -> None:
    assert [] == places(REGISTRY)


def test_no_text_names_a_path_of_somebody_s_machine() -> None:
    assert [] == places(MACHINE)


@pytest.mark.parametrize(
    "text", ["--index-" + "url https://x", "https://x.example/sim" + "ple/", "see pypi." + "org", "registry" + ' = "x"']
)
def test_an_index_would_be_noticed(text: str) -> None:
    assert REGISTRY.search(text)


@pytest.mark.parametrize("text", ["cd /wo" + "rk/main", '"/ro' + 'ot/.config"', "(/opt/py" + "pi)"])
def test_a_path_would_be_noticed(text: str) -> None:
    assert MACHINE.search(text)


@pytest.mark.parametrize("text", ["the framework/main", "https://example.com/root/x", "tests/root/"])
def test_a_harmless_text_is_no_path(text: str) -> None:
    assert not MACHINE.search(text)


@pytest.mark.parametrize("name", ["subscribers.yaml", "newsletter.yaml"])
def test_the_people_of_the_root_project_exist_nowhere(name: str) -> None:
    """Somebody will run `newsletter send` in a fresh clone; nobody may be at the other end."""
    domains = MAILBOX.findall((ROOT / name).read_text(encoding="utf-8"))

    assert domains
    assert [] == [domain for domain in domains if not is_reserved(domain)]


def test_the_words_of_the_program_and_its_papers_name_no_mailbox_of_a_real_person() -> None:
    """Code, samples, templates and documents; tests may quote what attackers write."""
    found = {
        f"{name}: {found.group()}"
        for name, text in texts(".py", ".md", ".xml", ".atom", ".json", ".j2", ".yaml", ".toml")
        if not name.startswith("tests/")
        for found in MAILBOX.finditer(text)
        # `@` also stands in Message-IDs that are computed, and before decorators and versions.
        if not is_reserved(found.group(1)) and not re.fullmatch(r"[\d.]+", found.group(1))
    }

    assert set() == found


def test_nothing_that_a_run_leaves_behind_is_tracked() -> None:
    left = re.compile(r"(^|/)(\.newsletter|\.venv|__pycache__|dist|\.hypothesis|\.mypy_cache)/|\.(pyc|db|db-wal|eml)$")

    assert [] == [name for name in tracked() if left.search(name) and not name.startswith("tests/")]
    assert [] == [name for name in tracked() if name.startswith("demo/")]


def test_every_text_ends_with_one_line_end_and_has_no_tabs_for_blanks() -> None:
    wrong = [
        name
        for name, text in texts(".py", ".md", ".toml", ".yaml", ".j2", ".lock")
        if (text and not text.endswith("\n"))
        or text.endswith("\n\n")
        or "\t" in text.replace("\\t", "")
        or "\r" in text
    ]

    assert [] == [name for name in wrong if not name.startswith("tests/")]

"""A person's entry is changed: what was meant, and nothing else, whenever the program dies."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.errors import AddressError, ConfigError, UsageError
from newsletter.model import Format
from newsletter.people.editing import Edit
from newsletter.people.entry import Details
from newsletter.people.file import FileRoster
from tests.killing import run_and_kill

PEOPLE = """\
# The people
- ada@example.com      # an address is enough

# From the fair
- email: "Grace@Example.com"   # by letter
  name: 'Grace Hopper'
  digests: [weekly]
  tags:
    - vip    # since May
    - navy
  attributes: {city: Arlington, motto: "one\\ntwo"}
- {email: konrad@bücher.example}
"""
KILLS = 110


@pytest.fixture
def roster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileRoster:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "subscribers.yaml"
    path.write_text(PEOPLE)
    return FileRoster(path, ["daily", "weekly"])


def test_only_what_was_asked_for_changes(roster: FileRoster) -> None:
    before, after = roster.edit(
        "grace@EXAMPLE.com",
        Edit(
            name="Grace Murray Hopper",
            email="grace@navy.example",
            add_tags=["admiral"],
            remove_tags=["navy"],
            attributes={"city": "New York"},
            unset=["digests", "attributes.motto"],
            timezone="America/New_York",
        ),
    )

    assert (
        PEOPLE.replace('"Grace@Example.com"', '"grace@navy.example"')
        .replace("'Grace Hopper'", "'Grace Murray Hopper'")
        .replace("  digests: [weekly]\n", "")
        .replace("    - navy\n", "    - admiral\n")
        .replace('{city: Arlington, motto: "one\\ntwo"}', "{city: New York}")
        .replace("- {email", "  timezone: America/New_York\n- {email")
        == roster.path.read_text()
    )
    assert "Grace@example.com" == before.email
    assert roster.find("grace@navy.example") == after


def test_an_address_alone_becomes_more_only_where_it_must(roster: FileRoster) -> None:
    roster.edit("ada@example.com", Edit(email="Lovelace@example.com"))
    assert PEOPLE.replace("ada@", "Lovelace@") == roster.path.read_text()

    roster.edit("lovelace@example.com", Edit(format=Format.text, language="en-GB"))
    entry = "- email: Lovelace@example.com      # an address is enough\n  language: en-GB\n  format: text\n"
    assert entry in roster.path.read_text()

    roster.edit("lovelace@example.com", Edit(format=Format.html))
    assert "format" not in roster.path.read_text()


def test_what_is_so_already_leaves_the_file_untouched(roster: FileRoster) -> None:
    written = roster.path.stat().st_mtime_ns
    before, after = roster.edit(
        "grace@example.com", Edit(name="Grace Hopper", tags=["vip", "navy"], format=Format.html)
    )

    assert before == after
    assert written == roster.path.stat().st_mtime_ns


def test_one_mailbox_can_be_spelled_anew(roster: FileRoster) -> None:
    roster.edit("konrad@xn--bcher-kva.example", Edit(email="Konrad@bücher.example"))

    assert "- {email: Konrad@bücher.example}\n" in roster.path.read_text()


def test_what_cannot_be_is_refused_and_nothing_changes(roster: FileRoster) -> None:
    for edit, error, said in (
        (Edit(email="ADA@example.com"), UsageError, r"ada@example\.com is there already: subscribers\.yaml:2"),
        (Edit(email="nobody"), AddressError, "is not an e-mail address"),
        (Edit(digests=["weakly"]), UsageError, r"there is no digest weakly: did you mean weekly\?"),
        (Edit(timezone="Berlin"), UsageError, "timezone: 'Berlin' is not a time zone .*did you mean Europe/Berlin"),
        (Edit(language="xx"), UsageError, "language: 'xx' is not a language we know"),
        (Edit(name="x" * 201), UsageError, "name: is longer than 200 characters"),
        (Edit(tags=[str(n) for n in range(101)]), UsageError, "tags: are more than 100"),
        (Edit(unset=["nmae"]), UsageError, r"there is no key 'nmae': did you mean name\?"),
        (Edit(unset=["attributes.ciyt"]), UsageError, r"has no attribute 'ciyt': did you mean city\?"),
        (Edit(unset=["email"]), UsageError, "a person without an address is none"),
    ):
        with pytest.raises(error, match=said):
            roster.edit("grace@example.com", edit)
    with pytest.raises(UsageError, match=r"nobody@example\.com is not in subscribers\.yaml"):
        roster.edit("nobody@example.com", Edit(name="x"))
    assert PEOPLE == roster.path.read_text()

    roster.path.write_text(PEOPLE + "- bad@\n")
    with pytest.raises(ConfigError, match=r"subscribers\.yaml:13: 'bad@'"):
        roster.edit("grace@example.com", Edit(name="x"))
    assert PEOPLE + "- bad@\n" == roster.path.read_text()


def test_killed_at_any_moment_of_any_edit_the_file_is_an_old_one_or_the_next(roster: FileRoster) -> None:
    """Each child makes the same edits for ever; whatever it leaves is one of the files it went through."""
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    steps: list[Callable[[], object]] = [
        lambda: roster.edit("grace@example.com", Edit(name="Admiral", add_tags=["new"], unset=["attributes"])),
        lambda: roster.add("mary@example.com", Details(name="Mary", tags=["a", "b"])),
        lambda: roster.edit("mary@example.com", Edit(email="somerville@example.com", timezone="Europe/London")),
        lambda: roster.remove("somerville@example.com"),
        lambda: roster.edit("grace@example.com", Edit(name="Grace Hopper")),
    ]
    files = [PEOPLE]
    began = time.monotonic()
    for step in steps:
        step()
        files.append(roster.path.read_text())
    took = time.monotonic() - began
    seen = set()
    roster.path.write_text(PEOPLE)
    for _ in range(KILLS):
        start = files.index(roster.path.read_text())

        def edit(start: int = start) -> None:
            for step in steps[start % len(steps) :]:
                step()

        run_and_kill(edit, chance.uniform(0.0005, took))

        text = roster.path.read_text()
        assert text in files, f"seed {seed}"
        seen.add(files.index(text))
        if files.index(text) == len(steps):
            roster.path.write_text(PEOPLE)
    assert len(seen) > 2, "the edits were under way when they were killed"
    roster.edit("ada@example.com", Edit(name="Ada"))
    assert ["subscribers.yaml"] == sorted(path.name for path in roster.path.parent.iterdir())

"""What `make docs` makes of the program is what lies in docs/."""

import re

import pytest

from docs.making.commands import all_commands
from docs.making.made import DOCS, made
from docs.making.manual import manual_page
from docs.making.markdown import commands_page
from docs.making.settings import Undescribed, all_blocks, settings_page
from newsletter.cli.session import EXIT_CODES
from newsletter.config.schema import ProjectBlock
from newsletter.people.entry import KEYS
from tests.project.test_rules import all_errors

SETTINGS = (DOCS / "settings.md").read_text(encoding="utf-8")


def test_what_is_made_is_up_to_date() -> None:
    stale = [path.name for path, text in made().items() if text != path.read_text(encoding="utf-8")]

    assert [] == stale, "run make docs"


def test_every_command_with_every_option_is_on_both_pages() -> None:
    markdown, manual = commands_page(), manual_page().replace("\\-", "-")
    commands = [command for command in all_commands() if len(command.words) > 1]

    assert len(commands) > 50
    for command in commands:
        assert f"\n{'#' * len(command.words)} {command.name}\n" in markdown
        assert f'.SS "{command.name}"' in manual
        for option in (*command.arguments, *command.options):
            assert f"* `{option.written}`" in markdown
            assert f'.B "{option.written}"' in manual


def test_every_exit_code_of_an_error_has_its_meaning() -> None:
    assert {kind.exit_code for kind in all_errors()} <= EXIT_CODES.keys()


def test_no_line_of_the_manual_is_taken_for_a_request_that_is_none() -> None:
    known = {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".BR", ".RI", ".nh", ".ad", '.\\"'}

    assert set() == {line.split(" ")[0] for line in manual_page().splitlines() if line[0] in ".'"} - known


def row(key: str, table: str) -> str:
    """The row of a key in the table below a heading."""
    found = re.search(rf"^\| `{key}` \|.*\n", SETTINGS.partition(f"\n### {table}\n")[2], re.MULTILINE)
    assert found
    return found[0]


def test_a_setting_without_words_is_noticed() -> None:
    with pytest.raises(Undescribed, match=r"no row for theme of DigestBlock"):
        settings_page(SETTINGS.replace(row("theme", "A digest"), ""))


def test_words_about_a_setting_that_is_not_there_are_noticed() -> None:
    wrong = row("theme", "A digest")

    with pytest.raises(Undescribed, match=r"describes colour, which DigestBlock does not have"):
        settings_page(SETTINGS.replace(wrong, wrong + wrong.replace("theme", "colour")))


def test_another_default_than_the_program_s_is_noticed() -> None:
    wrong = row("max_lateness", "A digest")

    with pytest.raises(Undescribed, match=r"max_lateness of DigestBlock: the default is `21600.0`"):
        settings_page(SETTINGS.replace(wrong, wrong.replace("| `6h` |", "| `7h` |")))


def test_a_row_as_one_writes_it_gets_its_type() -> None:
    made_row = row("catch_up", "A digest")
    written = made_row.replace(" `skip` or `one` |", "", 1)

    assert written != made_row
    assert SETTINGS == settings_page(SETTINGS.replace(made_row, written))


def test_a_block_without_a_table_is_noticed() -> None:
    with pytest.raises(Undescribed, match=r"ImapBlock has no table"):
        settings_page(SETTINGS.replace("| key of `imap` |", "| of imap |"))


def test_every_block_is_found() -> None:
    names = {block.__name__ for block in all_blocks(ProjectBlock)}

    assert {"ProjectBlock", "FeedBlock", "DigestBlock", "CanaryBlock", "SmtpBlock", "DkimBlock"} <= names


def test_every_key_of_a_person_is_described() -> None:
    named = set(re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (.*?) \|", SETTINGS, re.MULTILINE))))

    assert set(KEYS) - named == set()

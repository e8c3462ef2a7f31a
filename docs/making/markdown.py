"""docs/reference/commands.md: every command with its arguments, options and exit codes."""

import re
from collections.abc import Iterator, Sequence

from docs.making.commands import Command, Option, all_commands, common_options
from newsletter.cli.session import EXIT_CODES

_HEAD = """\
# Commands

What `newsletter COMMAND --help` says, all on one page. This page is made by `make docs`; `man newsletter` has the same.

Data goes to stdout and talk to stderr; with `--json` the data are JSON. These options may stand before or after any
command:
"""


def commands_page() -> str:
    """The whole page."""
    return "\n".join(_lines()).rstrip() + "\n"


def _lines() -> Iterator[str]:
    program, *commands = all_commands()
    yield _HEAD
    yield from _listed(common_options())
    yield ""
    yield "And the program alone takes these:"
    yield ""
    common = common_options()
    yield from _listed([option for option in program.options if option not in common])
    yield ""
    yield "## Exit codes"
    yield ""
    yield "| code | meaning |"
    yield "|---|---|"
    for code, meaning in EXIT_CODES.items():
        yield f"| {code} | {meaning} |"
    yield ""
    for command in commands:
        yield from _section(command)


def _section(command: Command) -> Iterator[str]:
    yield f"{'#' * len(command.words)} {command.name}"
    yield ""
    for paragraph in command.help:
        yield _escaped(paragraph)
        yield ""
    if command.is_group:
        return
    yield "```"
    yield f"{command.name} {command.usage}".rstrip()
    yield "```"
    yield ""
    if command.arguments or command.options:
        yield from _listed([*command.arguments, *command.options])
        yield ""


def _listed(options: Sequence[Option]) -> Iterator[str]:
    for option in options:
        yield f"* `{option.written}`: {_escaped(option.help)}" if option.help else f"* `{option.written}`"


def _escaped(text: str) -> str:
    """Words in which Markdown sees nothing but its code spans."""
    return re.sub(r"(`[^`]*`)|([\[\]<>*_|])", lambda found: found[1] or f"\\{found[2]}", text)

"""The commands as the command line has them: what `--help` says, as plain values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import typer
import typer.main

from newsletter.cli import app
from newsletter.cli.session import COMMON


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An argument or an option: how it is written, and what it does."""

    written: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command, or a group of them: `words` are what one types, `usage` what follows them.

    `help` are its paragraphs; `options` leave out those that every command has.
    """

    words: tuple[str, ...]
    usage: str
    help: tuple[str, ...]
    arguments: tuple[Option, ...]
    options: tuple[Option, ...]
    is_group: bool

    @property
    def name(self) -> str:
        """What one types."""
        return " ".join(self.words)


@cache
def all_commands() -> tuple[Command, ...]:
    """The program itself first, then every command in the order of `--help`, groups before what is in them."""
    root = typer.main.get_command(app)
    return tuple(_walk(root, typer.Context(root, info_name="newsletter")))


def common_options() -> tuple[Option, ...]:
    """What every command takes."""
    return tuple(option for option in all_commands()[0].options if _long(option) in _COMMON)


_COMMON = frozenset(f"--{name}" for name in COMMON)


def _walk(command: object, context: typer.Context) -> Iterator[Command]:
    found = getattr(command, "commands", None)
    arguments, options = [], []
    for parameter in context.command.params:
        record = parameter.get_help_record(context)
        if record is None:
            continue
        option = Option(written=_plain(record[0]), help=_bracketed(" ".join(record[1].split())))
        if not parameter.opts[0].startswith("-"):
            arguments.append(option)
        elif context.parent is None or _long(option) not in _COMMON:
            options.append(option)
    paragraphs = (context.command.help or "").split("\n\n")
    words = tuple(context.command_path.split())
    yield Command(
        words=words,
        usage=context.command.get_usage(context).partition(context.command_path)[2].strip(),
        help=tuple(" ".join(paragraph.split()) for paragraph in paragraphs if paragraph.strip()),
        arguments=tuple(arguments),
        options=tuple(options),
        is_group=found is not None,
    )
    for name, inner in (found or {}).items():
        if not inner.hidden:
            yield from _walk(inner, typer.Context(inner, info_name=name, parent=context))


def _bracketed(text: str) -> str:
    """What Typer says of defaults and bounds, as in a sentence."""
    text = re.sub(r" *\[required\]", "", text)
    text = re.sub(r"(-?\d+)<=x<=(-?\d+)", r"\1 to \2", text)
    text = re.sub(r"x>=(-?\d+)", r"at least \1", text)
    return re.sub(r"\[(default: [^\]]*|at least \d+|-?\d+ to -?\d+)\]", r"(\1)", text)


def _long(option: Option) -> str:
    return option.written.split(",")[-1].split()[0]


def _plain(written: str) -> str:
    """`--tag <list[str]>` as a person would write it."""
    for python, word in (("<list[str]>", "TEXT"), ("<str>", "TEXT"), ("<path>", "PATH"), ("<int>", "NUMBER")):
        written = written.replace(python, word)
    return written.replace("<float>", "NUMBER").replace("<int range>", "NUMBER")

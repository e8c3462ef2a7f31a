"""docs/man/newsletter.1: the same as a page for man(1), in the macros of man(7)."""

import re
from collections.abc import Iterator, Sequence

from docs.making.commands import Option, all_commands, common_options
from newsletter import __version__
from newsletter.cli.session import EXIT_CODES
from newsletter.config.secret import PASSWORD_VARIABLE

_FILES = (
    ("newsletter.yaml", "The project: feeds, digests, the mail server.  Found in this folder or the nearest above."),
    ("subscribers.yaml", "The people, unless they are in the database."),
    ("templates/", "What a project changes of the letter."),
    (".newsletter/", "The memory: what was sent to whom.  Keep it; a copy of it is the backup."),
)
_VARIABLES = (
    ("NEWSLETTER_STORE", "Where the database is; wins over newsletter.yaml."),
    (PASSWORD_VARIABLE, "The password of the mail server, unless newsletter.yaml names another place."),
)


def manual_page() -> str:
    """The whole page, as roff."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    program, *commands = all_commands()
    yield r".\" Made by `make docs` from the command line itself."
    yield f'.TH NEWSLETTER 1 "" "newsletter {__version__}" "User Commands"'
    yield ".nh"
    yield ".ad l"
    yield ".SH NAME"
    yield r"newsletter \- reads feeds, gathers what is new, and mails it to subscribers"
    yield ".SH SYNOPSIS"
    yield r".B newsletter"
    yield r".RI [ options ] " + '" " ' + r"command " + '" " ' + r"[ arguments ]"
    yield ".SH DESCRIPTION"
    yield from _paragraphs(program.help)
    yield ".PP"
    yield _text(
        "Data goes to stdout and talk to stderr.  Errors say what to type next.  `newsletter COMMAND --help` says what "
        "stands here of one command."
    )
    yield ".SH OPTIONS"
    yield ".SS For every command"
    common = common_options()
    yield from _listed([(option.written, option.help) for option in common])
    yield ".SS For the program alone"
    yield from _options([option for option in program.options if option not in common])
    yield ".SH COMMANDS"
    for command in commands:
        yield f".SS {_quoted(command.name)}"
        yield from _paragraphs(command.help)
        if not command.is_group:
            yield ".PP"
            yield f".B {_quoted(command.name)}"
            yield _text(command.usage)
            yield from _options([*command.arguments, *command.options])
    yield ".SH EXIT STATUS"
    yield from _listed([(str(code), meaning) for code, meaning in EXIT_CODES.items()])
    yield ".SH FILES"
    yield from _listed(_FILES)
    yield ".SH ENVIRONMENT"
    yield from _listed(_VARIABLES)
    yield ".SH SEE ALSO"
    yield r".BR systemd.timer (5),"
    yield r".BR crontab (5)"


def _paragraphs(paragraphs: Sequence[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield ".PP"
        yield _text(paragraph)


def _options(options: Sequence[Option]) -> Iterator[str]:
    yield from _listed([(option.written, option.help) for option in options])


def _listed(items: Sequence[tuple[str, str]]) -> Iterator[str]:
    for term, words in items:
        yield ".TP"
        yield f".B {_quoted(term)}"
        yield _text(words) if words else r"\&"


def _text(text: str) -> str:
    """Words as roff: no line of them is a request, and a hyphen that one types is one."""
    safe = re.sub(r"`([^`]*)`", lambda found: rf"\fB{_escaped(found[1])}\fR", _marked(text))
    return rf"\&{safe}" if safe.startswith((".", "'")) else safe


def _marked(text: str) -> str:
    """Escape what stands outside code spans; they are escaped on their own."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _escaped(part) for part in parts)


def _escaped(text: str) -> str:
    found = text.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq").replace("…", "...")
    return found.replace("“", r"\(lq").replace("”", r"\(rq").replace("’", r"\(cq")


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace('"', r"\(dq") + '"'

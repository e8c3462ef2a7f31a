"""Passwords: where one is kept, and a box for it that shows nothing."""

import hmac
import os
import re
import shlex
import stat
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from newsletter.errors import NewsletterError
from newsletter.text import one_line
from newsletter.yamlfile import shown_path

#: The variable that is looked at whatever the project says, and wins.
PASSWORD_VARIABLE = "NEWSLETTER_SMTP_PASSWORD"  # noqa: S105  a name, not a password
#: Where a feed's password stands in its headers.
PLACEHOLDER = "{password}"
_PRINTABLE = re.compile(r"[\x20-\x7e]+", re.ASCII)
_COMMAND_SECONDS = 10
_LONGEST = 10_000


class Secret:
    """A text that no log, message or traceback shows; `reveal` is the only way to it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…"

    def __format__(self, _: str) -> str:
        return "…"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written anywhere")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSource:
    """Where the project says a password is kept; read only when it is needed.

    `protocol` is what it is for ("SMTP", "IMAP"); NEWSLETTER_SMTP_PASSWORD in the
    environment, or the other's, wins over what the project says.  A password of
    which a project has several is looked for only where it says: `block` names
    the settings that do, and `stem` is what their names begin with.
    """

    protocol: str = "SMTP"
    variable: str | None = None
    file: Path | None = None
    command: tuple[str, ...] | None = None
    folder: Path = Path()
    block: str | None = None
    stem: str = "password"

    def read(self) -> Secret:
        """Get the password.

        Raises:
            NewsletterError: saying where it was looked for; never with what was found.
        """
        usual = PASSWORD_VARIABLE.replace("SMTP", self.protocol)
        nothing = f"no {self.protocol} password" if self.stem == "password" else f"no address for {self.protocol}"
        given = os.environ.get(usual) if self.block is None else None
        if given:
            return _checked(given, usual, nothing)
        if self.file is not None:
            return _checked(_from_file(self.file, nothing), shown_path(self.file), nothing)
        if self.command is not None:
            return _checked(_from_command(self.command, self.folder), "password_command", nothing)
        variable = self.variable or usual
        found = os.environ.get(variable)
        if not found:
            block = self.block or ("smtp" if self.protocol == "SMTP" else f"bounces.{self.protocol.lower()}")
            raise NewsletterError(
                f"{nothing}: the environment variable {variable} is not set",
                hint=f"export {variable}=…, or name a {self.stem}_file or {self.stem}_command under {block}",
            )
        return _checked(found, variable, nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSecret:
    """What a feed is asked with that is a password, or holds one; read only when it is asked.

    With a `username` the login of RFC 7617; in `templates`, header fields whose
    value holds `{password}`.
    """

    username: str | None
    templates: Mapping[str, str]
    source: PasswordSource = field(repr=False)

    def headers(self) -> dict[str, str]:
        """The header fields, password and all.

        Raises:
            NewsletterError: the password is not where the project says, or does not fit a header.
        """
        password = self.source.read().reveal()
        found = {}
        if self.username is not None:
            found["Authorization"] = f"Basic {b64encode(f'{self.username}:{password}'.encode()).decode()}"
        if self.templates and not _PRINTABLE.fullmatch(password):
            raise NewsletterError("the feed's password has characters that no header can carry")
        return found | {name: value.replace(PLACEHOLDER, password) for name, value in self.templates.items()}


def _checked(text: str, where: str, nothing: str) -> Secret:
    """The password without the line break that files and commands end in."""
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\n" in text or "\0" in text:
        raise NewsletterError(f"{nothing}: {where} {'holds more than one line' if text else 'is empty'}")
    return Secret(text)


def _from_file(path: Path, nothing: str) -> str:
    shown = shown_path(path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as stream:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise NewsletterError(f"{nothing}: {shown} is not a file")
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                mode = stat.S_IMODE(found.st_mode)
                raise NewsletterError(
                    f"the password file {shown} can be read or written by others (mode {mode:o})",
                    hint=f"chmod 600 {shlex.quote(shown)}",
                )
            return stream.read(_LONGEST).decode()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NewsletterError(f"{nothing}: {shown} cannot be read: {reason}") from error
    except UnicodeDecodeError:
        raise NewsletterError(f"{nothing}: {shown} is not UTF-8") from None  # the cause would show the bytes


def _from_command(command: tuple[str, ...], folder: Path) -> str:
    name = one_line(command[0], 60)
    try:
        # No shell: nothing in the list is interpreted.  The user's own terminal
        # stays within reach, for tools that ask for a passphrase there.
        done = subprocess.run(  # noqa: S603  the project names the command, as documented
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        text = f"password_command {name} has not answered within {_COMMAND_SECONDS} s"
        raise NewsletterError(text) from None  # the cause would carry what it had printed
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NewsletterError(f"password_command {name} cannot be run: {reason.lower()}") from error
    if done.returncode:
        said = one_line(done.stderr.decode(errors="replace"), 200)
        raise NewsletterError(f"password_command {name} failed with {done.returncode}" + (f": {said}" if said else ""))
    try:
        return done.stdout[:_LONGEST].decode()
    except UnicodeDecodeError:
        raise NewsletterError(f"password_command {name} did not print UTF-8") from None

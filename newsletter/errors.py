"""Everything that can go wrong, as one tree.

    NewsletterError                     exit 1   message, hint
    ├── UsageError                      exit 2   the command line asks for the impossible
    ├── ConfigError                     exit 2   problems: every mistake, each with its place
    ├── FeedError                                one feed; recorded, never stops an issue
    │   ├── FetchError                           no bytes
    │   │   └── StatusError                      the server says no, and perhaps until when
    │   └── ParseError                           bytes, but no feed
    ├── TemplateError                   exit 2   template and line
    ├── AddressError                             one e-mail address
    ├── MessageError                             a built message that must not leave
    ├── TransportError                           the server, not a recipient: pauses the issue
    └── StoreError
        ├── SchemaError                          an older or a newer database
        ├── MovedError                           its content is elsewhere, or somebody must decide first
        └── BusyError                   exit 75  another run holds the lock

`str()` of each is the message without a full stop.  `hint` says what to type
next.  Inside a batch a failure is a value (`Failed`, a settled row); only what
must stop the run is raised past its stage.  Other people's exceptions never
cross a stage: the module that does the I/O turns them into ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class NewsletterError(Exception):
    """Something went wrong that the user can be told in one sentence."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class UsageError(NewsletterError):
    """The command line asks for something that cannot be."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a file: `newsletter.yaml:5: feeds[1].max_entries: …`."""

    path: str
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class ConfigError(NewsletterError):
    """A project file says something that cannot be followed; all mistakes at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = tuple(problems)


class FeedError(NewsletterError):
    """One feed could not be read; the others go on."""


class FetchError(FeedError):
    """A feed's address gave no usable answer."""


class StatusError(FetchError):
    """A server answered with another status than success; `status` is its number."""

    def __init__(self, message: str, *, hint: str | None = None, status: int) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ParseError(FeedError):
    """A feed's address gave something that is no feed."""


class TemplateError(NewsletterError):
    """A template cannot be rendered; nothing is frozen and nothing is sent."""

    exit_code = 2

    def __init__(self, template: str, line: int | None, text: str, *, hint: str | None = None) -> None:
        place = template if line is None else f"{template}:{line}"
        super().__init__(f"{place}: {text}", hint=hint)
        self.template = template
        self.line = line


class AddressError(NewsletterError):
    """An e-mail address cannot be used."""


class MessageError(NewsletterError):
    """A built message failed its own re-reading and must not leave."""


class TransportError(NewsletterError):
    """The mail server refuses us or cannot be reached; no recipient is to blame."""


class StoreError(NewsletterError):
    """The database cannot be used as it is; nothing is mailed."""


class SchemaError(StoreError):
    """The database was written by an older or a newer version of the program."""


class MovedError(StoreError):
    """Nothing may be sent from this database any more: it has moved, or a person must decide first."""


class BusyError(StoreError):
    """Another run is at work on this project; try again when it is done."""

    exit_code = 75

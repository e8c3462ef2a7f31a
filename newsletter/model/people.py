"""People: who asked for what, who must not be mailed, and what they have said."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final


class Format(StrEnum):
    """What a subscriber wants to get: multipart with HTML, or plain text only."""

    html = "html"
    text = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A person who asked for one or more digests.

    `email` is as written; `wire_email` is what goes on the wire (IDN domain as
    A-label); `key` is what two spellings of one mailbox share.  An empty
    `digests` means all of them.  `timezone` is an IANA name; None is the
    project's.  `line` is where the file has the person.
    """

    email: str
    wire_email: str
    key: str
    name: str = ""
    digests: tuple[str, ...] = ()
    language: str | None = None
    format: Format = Format.html
    timezone: str | None = None
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    line: int | None = None


_SETTERS: Final = tuple(vars(Subscriber)[one.name].__set__ for one in fields(Subscriber))


def subscriber_of(values: tuple[Any, ...]) -> Subscriber:
    """A person of all their fields, in their order: what is read by the hundred thousand.

    The constructor of a frozen dataclass asks twice before it sets a field; this
    takes less than half the time.
    """
    person = object.__new__(Subscriber)
    for setter, value in zip(_SETTERS, values, strict=True):
        setter(person, value)
    return person


class Home(StrEnum):
    """Where the people of the project are at home."""

    file = "file"
    moving = "moving"  # from the file into the database; newsletter.yaml says which of them counts
    database = "database"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleHome:
    """What the store's table of people is: the list itself, or what a file says.

    `fingerprint` is of the bytes of `file` when both said the same; `is_exact`
    is whether the table still says that.
    """

    home: Home
    file: str = ""
    fingerprint: str = ""
    is_exact: bool = False


class SuppressionReason(StrEnum):
    """Why an address must not be mailed."""

    unsubscribed = "unsubscribed"
    bounced = "bounced"
    complained = "complained"
    manual = "manual"
    erased = "erased"


#: Stands for all digests where one may be named.
EVERY_DIGEST: Final = ""

#: From weak to strong.  A stronger reason replaces a weaker one, never the other
#: way round: a bounce that is forgiven later must not lift what a person has asked for.
REASONS_BY_STRENGTH = (
    SuppressionReason.bounced,
    SuppressionReason.manual,
    SuppressionReason.unsubscribed,
    SuppressionReason.complained,
    SuppressionReason.erased,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """An address we must not mail, why, and since when; `digest` is the one it holds for, or EVERY_DIGEST."""

    key: str
    email: str
    reason: SuppressionReason
    since: datetime
    note: str = ""
    digest: str = EVERY_DIGEST


class ConsentEvent(StrEnum):
    """What happened to a person's consent."""

    asked = "asked"  # signed up, and was sent a mail to confirm it
    confirmed = "confirmed"  # answered that mail
    added = "added"  # by whoever keeps the list
    imported = "imported"
    changed = "changed"  # what they get
    paused = "paused"
    resumed = "resumed"
    left = "left"
    returned = "returned"
    removed = "removed"  # by whoever keeps the list


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One line of a person's consent record: when, what, and where it came from.

    `source` names the page, the file with its line, the mail or the command;
    `digest` is the one meant, or EVERY_DIGEST.
    """

    key: str
    email: str
    event: ConsentEvent
    at: datetime
    source: str
    digest: str = EVERY_DIGEST
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignUp:
    """Somebody asked to get digests and has not confirmed it yet; an empty `digests` means all of them."""

    token: str
    key: str
    email: str
    name: str
    digests: tuple[str, ...]
    language: str | None
    format: Format
    source: str
    asked_at: datetime
    confirmed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A person who wants nothing until a moment; `digest` is the one meant, or EVERY_DIGEST."""

    key: str
    until: datetime
    digest: str = EVERY_DIGEST


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSuppression:
    """An address that must not be mailed from now on, and why; never `erased`, which is more than that."""

    key: str
    email: str
    reason: SuppressionReason
    note: str = ""

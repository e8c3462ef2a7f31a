"""What a mailbox is to those who read it: names, bytes, and a sign that something has been read."""

from dataclasses import dataclass, field
from typing import Protocol

from newsletter.errors import NewsletterError


class MailboxError(NewsletterError):
    """The mailbox cannot be read, or went away while it was; what was read before is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message of a mailbox: the first `letter.LIMIT` bytes of it, and how many there are."""

    raw: bytes = field(repr=False)
    size: int


class Mailbox(Protocol):
    """A place that reports come to."""

    @property
    def name(self) -> str:
        """What it is called, in the store and to people; without a password."""
        ...

    def names(self) -> list[str]:
        """The names of all messages there, which stay the same from scan to scan.

        Raises:
            MailboxError: it cannot be read.
        """
        ...

    def read(self, name: str) -> Mail | None:
        """One message; None where it is gone meanwhile.

        Raises:
            MailboxError: the mailbox went away.
        """
        ...

    def done(self, name: str) -> None:
        """A report has been recorded: show it as read, or remove it, as the project wants it.

        Raises:
            MailboxError: the mailbox went away; nothing is lost by that.
        """
        ...

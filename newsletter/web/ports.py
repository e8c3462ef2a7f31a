"""Whom the public pages ask, and for what; `app` picks who answers.

All but `Post` may block and are asked from threads.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from newsletter.model import (
    Consent,
    Consumed,
    Format,
    Issue,
    Pause,
    Picture,
    Rendering,
    SignUp,
    StoredEntry,
    Subscriber,
    Suppression,
)
from newsletter.people.editing import Edit
from newsletter.people.entry import Details


class People(Protocol):
    """The list, wherever it is kept."""

    def find(self, email: str) -> Subscriber | None:
        """The person with that address, in whichever spelling."""
        ...

    def add(self, email: str, details: Details) -> Subscriber:
        """Add a person; UsageError where they are there already."""
        ...

    def edit(self, email: str, edit: Edit) -> tuple[Subscriber, Subscriber]:
        """Change what a person gets; the person before and after."""
        ...


class Past(Protocol):
    """What past issues are made of."""

    def issues(self, digest: str | None = None, limit: int | None = None) -> list[Issue]:
        """Issues of a digest, newest first."""
        ...

    def issue(self, number: int, digest: str) -> Issue | None:
        """The issue of this number."""
        ...

    def neutral_keys(self, issue_id: int) -> dict[str, str]:
        """The keys of an issue's renderings that were made for nobody in particular, and their languages."""
        ...

    def rendering(self, issue_id: int, key: str) -> Rendering:
        """One rendering of an issue."""
        ...

    def pictures(self, issue_id: int) -> list[Picture]:
        """What travels inside the messages of an issue."""
        ...

    def issue_entries(self, issue_id: int) -> list[tuple[StoredEntry, Consumed]]:
        """What an issue used up, in its order."""
        ...


class Memory(Past, Protocol):
    """The store, as far as the pages need it."""

    def secret(self, name: str) -> bytes:
        """The project's secret of this name."""
        ...

    # Whose a link is, and what they have said.

    def whose(self, digest: str, token: str) -> str | None:
        """The key of the person who has this token in this digest."""
        ...

    def links_secret(self) -> str:
        """The name of the secret that new links are made with."""
        ...

    def remember_link(self, digest: str, token: str, key: str) -> None:
        """Know a token from now on."""
        ...

    def last_address(self, key: str) -> str | None:
        """The address that the person's last message went to, as it was written."""
        ...

    def is_sending_to(self, key: str) -> bool:
        """Whether a message to this person is on its way just now."""
        ...

    def suppressions_of(self, key: str) -> list[Suppression]:
        """Every suppression of one person."""
        ...

    def pauses_of(self, key: str) -> list[Pause]:
        """The pauses of a person that last."""
        ...

    def consents_of(self, key: str) -> list[Consent]:
        """The record of one person, the oldest line first."""
        ...

    def record_consents(self, consents: Iterable[Consent]) -> None:
        """Add lines to the record."""
        ...

    def leave(self, key: str, email: str, *, digest: str, source: str) -> bool:
        """Unsubscribe a person; says whether that changed anything."""
        ...

    def come_back(self, key: str, email: str, *, digest: str, source: str) -> bool:
        """Take back that a person unsubscribed; says whether that changed anything."""
        ...

    def pause_until(self, key: str, email: str, until: datetime | None, *, source: str) -> None:
        """Send a person nothing until a moment, or (None) end that."""
        ...

    # Signing up.

    def sign_up(
        self,
        key: str,
        email: str,
        *,
        name: str,
        digests: Sequence[str],
        language: str | None,
        format_: Format,
        source: str,
    ) -> SignUp:
        """Remember that somebody asked."""
        ...

    def signup(self, token: str) -> SignUp | None:
        """The sign-up with this token."""
        ...

    def signups_since(self, moment: datetime, key: str | None = None) -> int:
        """How many have asked since then: all, or one person."""
        ...

    def confirm(self, signup: SignUp, *, source: str) -> bool:
        """Note that the person has confirmed; says whether this was the first time."""
        ...

    def forget_signups(self, before: datetime) -> int:
        """Drop what was asked for before then and never confirmed."""
        ...


class Post(Protocol):
    """Mails one message."""

    async def send(self, message: bytes, recipient: str) -> None:
        """Hand a composed message to the mail server; NewsletterError where it does not take it."""
        ...

    def reaches(self, email: str) -> bool:
        """Whether mail may go to this address at all: nobody is at a reserved domain (RFC 2606)."""
        ...

    def compose(self, *, recipient: str, subject: str, text: str) -> bytes:
        """Write a message from the project to an address in its form for the wire."""
        ...

"""Who answers the page: the editor's desk, as the server needs it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from newsletter.preview.answers import FindingRow, LetterView, ReaderView, Snippet
from newsletter.preview.choice import Answer, Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What the page hears of when it is saved: single files, and folders with all that is in them."""

    files: tuple[Path, ...]
    folders: tuple[Path, ...]


class Desk(Protocol):
    """Answers for one project.

    Every method may block and may take its time; the server calls one at a
    time, from a thread of its own.  All but `letter` raise `NewsletterError`
    where there is no answer.
    """

    def project(self) -> object:
        """What there is to choose from, and the choice to begin with."""
        ...

    def letter(self, choice: Choice) -> LetterView:
        """The letter of a choice; never raises for what a project can do wrong."""
        ...

    def findings(self, choice: Choice) -> Sequence[FindingRow]:
        """What `newsletter check` says of that letter."""
        ...

    def people(self, search: str, digest: str | None) -> tuple[int, Sequence[ReaderView]]:
        """How many subscribers there are, and the first of those whose address or name has the search in it."""
        ...

    def test(self, choice: Choice, email: str) -> str:
        """Mail the letter to one address as a test; returns what the server said, in words."""
        ...

    def snippet(self, choice: Choice) -> Snippet:
        """Settings that do what the choice's `hidden` and `order` do."""
        ...

    def answer(self, choice: Choice, answer: Answer, fingerprint: str) -> str:
        """Approve or cancel the draft of a choice, or keep in it what the page has hidden and moved; in words.

        The one question that changes the project.  `fingerprint` is of the letter that was on screen.
        """
        ...

    def fetch(self) -> str:
        """Poll the feeds again, for this preview only; returns what came of it, in words."""
        ...

    def status(self) -> object:
        """What `newsletter status --json` says."""
        ...

    def reload(self) -> None:
        """Take up what was saved; a mistake in it is the problem of every letter until it is mended."""
        ...

    @property
    def revision(self) -> int:
        """Counts what could have changed letters."""
        ...

    @property
    def watched(self) -> Watched:
        """Which files letters are made from."""
        ...

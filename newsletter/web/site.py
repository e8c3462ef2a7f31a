"""What the public pages need to know of the project."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import quote, urlsplit

#: How long the link in a confirmation mail is good; the pages and the mail say "a week".
CONFIRM_DAYS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestPage:
    """A digest that people may subscribe to; `title` is what readers know it by."""

    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A project on the web.

    `base_url` has no slash at its end; `contact` is where answers go.  `confirm`
    says whether who signs up must first follow a link in a mail, `has_form`
    whether there is a form at all.
    """

    title: str
    language: str
    timezone: str
    base_url: str
    digests: tuple[DigestPage, ...]
    from_name: str
    from_email: str
    contact: str
    postal_address: str | None = None
    confirm: bool = True
    has_form: bool = True

    @property
    def prefix(self) -> str:
        """The path that all pages begin with: "" or "/wire"."""
        return urlsplit(self.base_url).path.rstrip("/")

    @property
    def host(self) -> str:
        """The name, and the port where one is said, by which visitors call us."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2].lower()

    @property
    def names(self) -> tuple[str, ...]:
        """The digests' names, in the project's order."""
        return tuple(digest.name for digest in self.digests)

    @property
    def patience(self) -> timedelta:
        """How long we wait for a confirmation."""
        return timedelta(days=CONFIRM_DAYS)

    def title_of(self, digest: str) -> str:
        """What a digest is called; one that the project no longer has goes by the project's name."""
        return next((one.title for one in self.digests if one.name == digest), self.title)

    def titles(self, digests: Sequence[str]) -> str:
        """What some digests are called together; none named means all of them."""
        if not digests or len(digests) == len(self.digests):
            return self.title
        return ", ".join(map(self.title_of, digests))

    def url(self, *parts: str) -> str:
        """The address of a page."""
        return "/".join([self.base_url, *(quote(part, safe=".") for part in parts)])

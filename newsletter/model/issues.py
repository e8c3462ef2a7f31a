"""Issues: what goes into one, how it reads, and how it stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from newsletter.model.feeds import Enclosure, Settling, StoredEntry

#: How the rule of an issue's hours ends where they are read on each subscriber's own clock.
BY_PERSON = "by each subscriber's clock"


class Disposition(StrEnum):
    """How an issue used up an entry."""

    shown = "shown"
    headline = "headline"  # over a cap: title and link only
    duplicate = "duplicate"  # the same story stands under another feed
    excluded = "excluded"  # a filter of the project left it out


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """One entry that an issue uses up, and why it stands where it stands."""

    entry_id: int
    disposition: Disposition
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An entry that no issue of a digest will carry as things stand, and why; a held one may yet be released."""

    stored: StoredEntry
    why: str
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A named address, as in "also in: …"."""

    title: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that travels inside the message, as it is frozen.

    `cid` is its Content-ID without angle brackets (RFC 2392); it is made from
    the bytes, so that two pictures with the same `cid` are one.  `width` and
    `height` are in pixels.
    """

    cid: str
    media_type: str
    data: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPicture:
    """A picture that the letter was to bring along and does not, and why."""

    url: str
    reason: str

    def __str__(self) -> str:
        return f"picture {self.url}: {self.reason}; left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftEntry:
    """An entry ready for a template: safe HTML, absolute addresses, plain text titles.

    `published_at` is for display: the feed's date, or None.  `image_alt` is what
    the feed says `image` shows, or "" where that tells nothing beside the title.
    `feed_title` is what the feed is called, for sections that are not one feed's.
    `to_embed` is where the picture is that the letter is to bring along; `image`
    is None until it does.  `image_width` is in pixels, where it is known.
    `is_edited` says that the editor wrote the text: a letter shows all of it.
    """

    id: int
    feed_url: str
    title: str
    url: str | None
    author: str | None
    published_at: datetime | None
    summary: str
    content: str
    language: str | None
    image: str | None = None
    image_alt: str = ""
    enclosures: tuple[Enclosure, ...] = ()
    tags: tuple[str, ...] = ()
    also_in: tuple[Link, ...] = ()
    reading_time: int = 0
    feed_title: str = ""
    to_embed: str | None = None
    image_width: int | None = None
    is_edited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A group of entries under one heading, in one language and direction.

    `entries` are shown; `more` stand as headlines because a cap was reached.
    """

    title: str
    url: str | None
    feed_url: str | None
    language: str
    dir: str
    entries: tuple[DraftEntry, ...]
    more: tuple[DraftEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the editor says above the entries: as written, and as HTML that may stand in a letter."""

    markdown: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowRule:
    """A filter that could not decide in time on so many entries; `kind` is "include" or "exclude"."""

    feed_url: str
    kind: str
    name: str
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a feed called itself, its page, and its language, when a draft was built."""

    title: str | None
    home_url: str | None
    language: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an issue was made from, kept with it: `made` as JSON values (`issues.recipe`), templates by name."""

    made: Mapping[str, Any]
    templates: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An issue that has been built but not frozen: the selection, in order.

    `consumed` says for every candidate what becomes of it; `updated` are
    entries sent before and edited since (`edits: mention`).  `notices` are
    sentences for the publisher about what is not as they may expect, `slow_rules`
    filters that ran out of time, so that the selection may not be what was meant.
    `pictures` travel inside the message, each once; `missing_pictures` are those
    that do not.  `settling` waits for a later issue.  `heads` are, by address, what
    the feeds of its entries called themselves.
    """

    digest: str
    number: int
    date: datetime
    sections: tuple[Section, ...]
    updated: tuple[DraftEntry, ...]
    consumed: tuple[Consumed, ...]
    note: Note | None = None
    notices: tuple[str, ...] = ()
    slow_rules: tuple[SlowRule, ...] = ()
    pictures: tuple[Picture, ...] = ()
    missing_pictures: tuple[MissingPicture, ...] = ()
    settling: tuple[Settling, ...] = ()
    heads: Mapping[str, Head] = field(default_factory=dict[str, Head])

    @property
    def entries(self) -> tuple[DraftEntry, ...]:
        """All entries shown in full, in order."""
        return tuple(e for s in self.sections for e in s.entries)

    @property
    def total(self) -> int:
        """How many entries the issue carries, shown or as headlines."""
        return sum(len(s.entries) + len(s.more) for s in self.sections)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """An issue rendered once for everybody who reads it the same way.

    The texts carry merge tokens (see `merge`) where values differ per
    subscriber; `fields` names those that occur.  `key` tells renderings of one
    issue apart: a language tag, and for templates that decide on the
    subscriber a digest of the values they saw.
    """

    key: str
    language: str
    subject: str
    html: str
    text: str
    markdown: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """All header material of an issue, fixed at freeze so that a retry is the same message.

    `date` goes into Date:, `boundary` separates the parts, `merge_token`
    marks the merge fields in the renderings.  `links_secret` is the name under
    which the store keeps the secret that personal links are made with; `archive_url` is
    where past issues stand as files (`newsletter.web.still`).
    """

    from_name: str
    from_email: str
    reply_to: str | None
    list_id: str
    list_name: str
    base_url: str | None
    unsubscribe_email: str
    language: str
    date: datetime
    boundary: str
    merge_token: str
    links_secret: str = "links"  # noqa: S105 - a name, not a secret
    archive_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRule:
    """What a digest says of its canary: who get an issue first, and what stops it.

    `first` is a share of the recipients (a float up to 1) or a number of them;
    `wait` is in seconds; `stop_at` is the share of refusals that is still fine.
    """

    first: float | int
    wait: float
    stop_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A canary that an issue still has before it: so many recipients, how many seconds, which share is still fine.

    An issue whose canary is over has none any more.  One that `is_stopped`
    waits for a person.
    """

    first: int
    wait: float
    stop_at: float
    is_stopped: bool = False


class IssueState(StrEnum):
    """What may happen to an issue; whether it is finished is counted from its rows."""

    open = "open"
    paused = "paused"
    cancelled = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """One edition of a digest: numbered and frozen.

    `state_reason` says what the mail server did where the program paused the
    issue, or what stopped its canary; it is empty where a person did.  `note` is
    the editor's, as written.  `hours` is the rule by which its messages wait for
    their hours, in words; "" where they may go at any time.
    """

    id: int
    digest: str
    number: int
    slot: str
    state: IssueState
    state_reason: str
    subject: str
    entries: int
    envelope: Envelope
    frozen_at: datetime
    note: str = ""
    canary: Canary | None = None
    hours: str = ""

    @property
    def by_person(self) -> bool:
        """Whether its hours are read on each subscriber's own clock."""
        return self.hours.endswith(BY_PERSON)

    @property
    def waits_for_a_person(self) -> bool:
        """Whether a person or its canary has paused it, so that only a person may let it go on."""
        is_stopped = self.canary is not None and self.canary.is_stopped
        return self.state is IssueState.paused and (not self.state_reason or is_stopped)

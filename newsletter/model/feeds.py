"""What feeds say, and what we make of it: feeds, entries, and which of them are new."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.model.polling import Hints, Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A filter of a feed: a regular expression and what it is called; one without a name is called by its pattern."""

    name: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A URL (or a local file) that is polled, with what the project says about it.

    `title` and `language` win over what the document says.  `include` and
    `exclude` are rules on title and text (`exclude` wins).
    `allow_private` permits loopback and private addresses for this feed only.
    `headers` may carry a password, so they are shown nowhere.  `poll` is how
    many seconds lie between two fetches when it is due, None for what is learned.  An entry waits
    until it has not changed for `settle` seconds.
    """

    url: str
    title: str | None = None
    language: str | None = None
    tags: tuple[str, ...] = ()
    max_entries: int | None = None
    include: tuple[Rule, ...] = ()
    exclude: tuple[Rule, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    allow_private: bool = False
    settle: float = 0.0
    poll: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server gave us to ask "has it changed?" with (RFC 9110 §13.1)."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document arrived: its decoded body and where it finally came from.

    `moved_to` is where the feed is now for good, if every redirect on the way
    was a permanent one (RFC 9110 §15.4.2, §15.4.9); `hints` what the document
    says of its own pace; `ahead` how much later it was by the server's clock.
    """

    feed: Feed
    final_url: str
    body: bytes
    content_type: str | None
    validators: Validators
    seconds: float
    wish: Wish = field(default_factory=Wish)
    hints: Hints = field(default_factory=Hints)
    moved_to: str | None = None
    ahead: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """Nothing has changed: the server said 304, or sent what it had sent before, with these new validators."""

    feed: Feed
    seconds: float
    validators: Validators | None = None
    wish: Wish = field(default_factory=Wish)
    moved_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The feed could not be read this time; the reason, and what to do about it.

    `gone` is the server's word that it never will be (410).
    """

    feed: Feed
    reason: str
    hint: str | None
    seconds: float
    wish: Wish = field(default_factory=Wish)
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spared:
    """The feed was not asked; why, and until when."""

    feed: Feed
    why: str
    until: datetime | None = None


FetchOutcome = Fetched | NotModified | Failed | Spared


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file that goes with an entry (a podcast episode, a PDF)."""

    url: str
    media_type: str | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What reading a document found out about an entry beside what the entry says.

    `text_hash` and `keys` are what `feeds.identity` says of it.  `item_hash` stands for the
    bytes of the item, and for all else in the document that its reading depends
    on; it is empty where the item cannot be told from the rest of the document.
    `known_id` is the recorded entry that was read from the same bytes: then the
    entry has its place only, until the rest is filled in from the store (`feeds.wire.filled`).
    """

    text_hash: str
    keys: tuple[str, ...] = ()
    item_hash: str = ""
    known_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of a feed, as its document gave it.

    `title`, `author` and `tags` are plain text, already free of control
    characters.  `summary` and `content` are HTML exactly as the feed gave it:
    hostile until `issues.sanitize` has been over it.  `published_at` is None
    where the feed says nothing usable; it never decides *whether* an entry is
    sent (ARCHITECTURE.md, "What is new").  `position` counts from 0 in document
    order.
    """

    guid: str
    url: str | None
    title: str
    author: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    summary: str = ""
    content: str = ""
    base_url: str | None = None
    language: str | None = None
    image: str | None = None
    enclosures: tuple[Enclosure, ...] = ()
    tags: tuple[str, ...] = ()
    position: int = 0
    mark: Mark | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed feed document: what it says of itself, and its entries."""

    title: str | None
    home_url: str | None
    language: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntry:
    """What the store remembers of an entry, as far as recognising it needs."""

    id: int
    title: str
    url: str | None
    text_hash: str
    published_at: datetime | None
    guid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedMemory:
    """What the store knows of a feed before it is polled.

    `body_hash` is the sha256 of its last good document.
    """

    validators: Validators = Validators()
    body_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownItems:
    """The entries of a feed's last document by the hashes of their items' bytes, as ids; `document` is its number."""

    document: int = 0
    ids: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFeed:
    """What the store knew of a feed before this document was read.

    `keys` maps each remembered key that the document uses to the id of its
    entry, or to None where the key was once shared by two entries and proves
    nothing any more.  `recent` are the entries of the last good fetch, newest
    first, for recognising a moved site.  `new_per_day` is the feed's usual pace.
    `elsewhere` says of keys that the document uses, and of all sums of texts, which
    other tool had sent them before the project came from there, `moved_from` what tool that was (None
    where the feed came from none).
    """

    fetched_before: bool
    keys: Mapping[str, int | None]
    entries: Mapping[int, KnownEntry]
    recent: tuple[KnownEntry, ...]
    last_success_at: datetime | None
    new_per_day: float | None
    elsewhere: Mapping[str, str] = field(default_factory=dict[str, str])
    moved_from: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One entry of a document, recognised (`known_id`) or new (None).

    `skipped` says why a new one is offered to no digest; `note` what is worth
    telling of how it was recognised, or not.
    """

    entry: Entry
    keys: tuple[str, ...]
    text_hash: str
    known_id: int | None
    edited: bool = False
    held: bool = False
    skipped: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a document means: its sightings, and keys that turned out shared.

    `warning` says why sightings are held (the flood guard), in words for the
    publisher.  `goes_on` says that the feed was read before, by another tool:
    what is new is offered however much it is.  `seen` are, by their ids, the
    places of recorded entries that are still there byte for byte, and need no sighting.
    """

    sightings: tuple[Sighting, ...]
    seen: Mapping[int, int] = field(default_factory=dict[int, int])
    shared_keys: tuple[str, ...] = ()
    warning: str | None = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry the store has recorded, with the feed it belongs to.

    Of one that waits, `changed_at` is when its present form was first seen; None
    where it was there when the digest first read the feed.
    """

    id: int
    feed_url: str
    entry: Entry
    first_seen_at: datetime
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """A waiting entry that may still change, and from when on it may go if it does not."""

    stored: StoredEntry
    ready_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """How long a feed could not be read for one and the same reason; `ended_at` is None while it cannot."""

    since: datetime
    last_at: datetime
    ended_at: datetime | None
    times: int
    error: str
    hint: str | None


class FeedStatus(StrEnum):
    """How a feed is doing; `failing`, `held` and `paused` need somebody to look.

    A `hiccup` is a failure or two of a feed that was well before.
    """

    ok = "ok"
    never = "never"
    hiccup = "hiccup"
    paused = "paused"
    failing = "failing"
    held = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHealth:
    """What the store knows of a feed, for `status` and `feed list`.

    `paused`, `gap` and `silent` are sentences (see `Poll`), None where there is nothing to say.
    """

    url: str
    title: str | None
    home_url: str | None
    language: str | None
    status: FeedStatus
    entries: int
    held: int
    failures: int
    last_error: str | None
    last_hint: str | None
    last_success_at: datetime | None
    last_attempt_at: datetime | None
    next_at: datetime | None = None
    moved_to: str | None = None
    paused: str | None = None
    gap: str | None = None
    silent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """What one poll of one feed brought, for reports; `title` is what the feed calls itself.

    `spared` is why it was not asked, where it was not; `failures` how often in a
    row it could not be read; `notes` what has changed about it with this poll.
    `older` of the new ones are from its older pages, where that closed a gap.
    `elsewhere` is how many of the new entries another tool had sent before.
    """

    feed: Feed
    title: str | None = None
    entries: int = 0
    new: int = 0
    offered: int = 0
    edited: int = 0
    held: int = 0
    elsewhere: int = 0
    unchanged: bool = False
    warning: str | None = None
    error: str | None = None
    hint: str | None = None
    seconds: float = 0.0
    spared: str | None = None
    failures: int = 0
    notes: tuple[str, ...] = ()
    older: int = 0

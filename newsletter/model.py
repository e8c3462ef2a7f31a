"""The nouns of the program, in the order data meets them.

Plain data only: frozen, slotted, keyword-only.  All datetimes are aware and in
UTC; a datetime in local time exists only in rendered text.  The words are those
of ARCHITECTURE.md ("Words"); nothing here reads, writes or decides anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

# --------------------------------------------------------------------------- feeds


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
    `headers` may carry a password, so they are shown nowhere.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server gave us to ask "has it changed?" with (RFC 9110 §13.1)."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A document arrived: its decoded body and where it finally came from."""

    feed: Feed
    final_url: str
    body: bytes
    content_type: str | None
    validators: Validators
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """The server said 304: nothing has changed since the validators were given."""

    feed: Feed
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The feed could not be read this time; the reason, and what to do about it."""

    feed: Feed
    reason: str
    hint: str | None
    seconds: float


FetchOutcome = Fetched | NotModified | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A file that goes with an entry (a podcast episode, a PDF)."""

    url: str
    media_type: str | None = None
    length: int | None = None


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed feed document: what it says of itself, and its entries."""

    title: str | None
    home_url: str | None
    language: str | None
    entries: tuple[Entry, ...]


# ------------------------------------------------- which of the entries are new


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownEntry:
    """What the store remembers of an entry, as far as recognising it needs."""

    id: int
    title: str
    url: str | None
    text_hash: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFeed:
    """What the store knew of a feed before this document was read.

    `keys` maps each remembered key that the document uses to the id of its
    entry, or to None where the key was once shared by two entries and proves
    nothing any more.  `recent` are the entries of the last good fetch, newest
    first, for recognising a moved site.  `new_per_day` is the feed's usual pace.
    """

    fetched_before: bool
    keys: Mapping[str, int | None]
    entries: Mapping[int, KnownEntry]
    recent: tuple[KnownEntry, ...]
    last_success_at: datetime | None
    new_per_day: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One entry of a document, recognised (`known_id`) or new (None)."""

    entry: Entry
    keys: tuple[str, ...]
    text_hash: str
    known_id: int | None
    edited: bool = False
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a document means: its sightings, and keys that turned out shared.

    `warning` says why sightings are held (the flood guard), in words for the
    publisher.
    """

    sightings: tuple[Sighting, ...]
    shared_keys: tuple[str, ...] = ()
    warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry the store has recorded, with the feed it belongs to."""

    id: int
    feed_url: str
    entry: Entry
    first_seen_at: datetime


class FeedStatus(StrEnum):
    """How a feed is doing; `failing` and `held` need somebody to look."""

    ok = "ok"
    never = "never"
    failing = "failing"
    held = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedHealth:
    """What the store knows of a feed, for `status` and `feed list`."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """What one poll of one feed brought, for reports; `title` is what the feed calls itself."""

    feed: Feed
    title: str | None = None
    entries: int = 0
    new: int = 0
    offered: int = 0
    edited: int = 0
    held: int = 0
    unchanged: bool = False
    warning: str | None = None
    error: str | None = None
    hint: str | None = None
    seconds: float = 0.0


# -------------------------------------------------------------------------- people


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


# ------------------------------------------------------------------------- bounces


class BounceKind(StrEnum):
    """What came back: a rejection, a spam report, or nothing that concerns the mailbox.

    `policy` refuses the message or its sender and blames no recipient; `delay`
    says that a server still tries.
    """

    hard = "hard"
    soft = "soft"
    policy = "policy"
    delay = "delay"
    complaint = "complaint"
    reply = "reply"  # an answer by a machine: a vacation notice, a receipt
    other = "other"  # nothing of the kind


class Proof(StrEnum):
    """What shows that a report is about a message of ours to that person."""

    message_id = "message-id"  # our Message-ID came back
    return_path = "return-path"  # it came to the address that only this message had
    smtp = "smtp"  # the server told us itself while we were sending
    assumed = "assumed"  # none: we had written there, and the project takes that for enough


@dataclass(frozen=True, slots=True, kw_only=True)
class NewReport:
    """A message that was found in the mailbox, read, and is to be remembered.

    `fingerprint` is the same for every copy of it; `raw` is as much of its bytes
    as is kept, `size` how many it had.
    """

    fingerprint: str
    mailbox: str
    name: str
    kind: BounceKind
    sender: str
    subject: str
    size: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBounce:
    """What a report (or the mail server itself) says of one address.

    `proof` is None where nothing shows that we wrote there: such a bounce is
    kept and counts for nothing.  `delivery_id` is the message it is about.
    """

    key: str
    email: str
    kind: BounceKind
    status: str
    words: str
    happened_at: datetime
    delivery_id: int | None = None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce(NewBounce):
    """One that is remembered; `report_id` is None for what the mail server said while we were sending.

    One that is `forgiven` counts no more: somebody has lifted what it led to.
    """

    id: int
    report_id: int | None
    recorded_at: datetime
    forgiven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceReport(NewReport):
    """A report that is remembered, with what it says of whom."""

    id: int
    recorded_at: datetime
    bounces: tuple[Bounce, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceRules:
    """When bounces stop mail to a person.

    `hard` and `soft` are how many it takes (0: never), each of another message
    and within `days`; a complaint takes one.  `trust_unproven` counts a report
    without proof if we wrote to the address within `days`.
    """

    hard: int = 1
    soft: int = 5
    days: int = 30
    trust_unproven: bool = False


# -------------------------------------------------------------------------- issues


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
class Draft:
    """An issue that has been built but not frozen: the selection, in order.

    `consumed` says for every candidate what becomes of it; `updated` are
    entries sent before and edited since (`edits: mention`).  `notices` are
    sentences for the publisher about what is not as they may expect, `slow_rules`
    filters that ran out of time, so that the selection may not be what was meant.
    `pictures` travel inside the message, each once; `missing_pictures` are those
    that do not.
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
    which the store keeps the secret that personal links are made with.
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
    the editor's, as written.
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

    @property
    def waits_for_a_person(self) -> bool:
        """Whether a person or its canary has paused it, so that only a person may let it go on."""
        is_stopped = self.canary is not None and self.canary.is_stopped
        return self.state is IssueState.paused and (not self.state_reason or is_stopped)


# ---------------------------------------------------------------------- deliveries


class DeliveryState(StrEnum):
    """What has happened to one message; drawn in ARCHITECTURE.md, "The outbox"."""

    queued = "queued"
    sending = "sending"
    sent = "sent"
    deferred = "deferred"
    failed = "failed"
    unknown = "unknown"
    held = "held"
    suppressed = "suppressed"
    cancelled = "cancelled"


#: States that still want something to happen.
UNSETTLED = (DeliveryState.queued, DeliveryState.sending, DeliveryState.deferred, DeliveryState.unknown)


class OnUnknown(StrEnum):
    """What becomes of a message whose fate the server never told (RFC 1047)."""

    resend = "resend"
    hold = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """One row to be: written by the freeze transaction."""

    email: str
    wire_email: str
    key: str
    name: str
    format: Format
    rendering: str
    merge: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the outbox: an issue addressed to one subscriber, and its fate.

    `merge` holds the values of the rendering's merge fields as they were at
    freeze.  `attempts` counts intents.  `message_id` is without angle brackets.
    """

    id: int
    issue_id: int
    email: str
    wire_email: str
    key: str
    name: str
    format: Format
    rendering: str
    merge: Mapping[str, str]
    message_id: str
    state: DeliveryState
    attempts: int
    last_code: int | None
    last_reply: str
    queued_at: datetime
    next_attempt_at: datetime | None
    settled_at: datetime | None

    @property
    def domain(self) -> str:
        """The recipient's domain as it goes on the wire, in lower case."""
        return self.wire_email.rpartition("@")[2].lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What came of those who get an issue first.

    `watched_from` is when the last of those that were settled at their first
    attempt was, or of any; None while none is.  `last_refusal` is what the server
    said of the last that failed.
    """

    ids: tuple[int, ...]
    counts: Mapping[DeliveryState, int]
    watched_from: datetime | None
    next_attempt_at: datetime | None
    last_refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """To how many people an issue was addressed, and when it was frozen."""

    digest: str
    number: int
    at: datetime
    recipients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How one attempt ended, to be written to its row; `doubtful` where nobody knows whether the message arrived."""

    delivery_id: int
    state: DeliveryState
    code: int | None = None
    reply: str = ""
    next_attempt_at: datetime | None = None
    doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What a mail server's refusals have taught us that it allows; `rates` are (messages, seconds)."""

    per_connection: int | None = None
    connections: int | None = None
    rates: tuple[tuple[int, float], ...] = ()
    learned_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """What a run of the outbox achieved, counted from the rows; `hint` says what to do where it `stopped`.

    `learned` is what the run found out about the server's limits, in words.
    """

    issue: Issue
    counts: Mapping[DeliveryState, int]
    sent_now: int
    seconds: float
    next_attempt_at: datetime | None = None
    stopped: str | None = None
    hint: str | None = None
    learned: tuple[str, ...] = ()

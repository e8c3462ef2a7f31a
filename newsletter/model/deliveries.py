"""Deliveries: an issue addressed to one person, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from newsletter.model.issues import Issue
from newsletter.model.people import Format


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
    """One row to be: written by the freeze transaction.

    `timezone` is the one of the person that counts for the hours of the issue;
    `not_before` when it may go, None for at once.
    """

    email: str
    wire_email: str
    key: str
    name: str
    format: Format
    rendering: str
    merge: Mapping[str, str]
    timezone: str | None = None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One row of the outbox: an issue addressed to one subscriber, and its fate.

    `merge` holds the values of the rendering's merge fields as they were at
    freeze.  `attempts` counts intents.  `message_id` is without angle brackets.
    `next_attempt_at` is when a deferred one is tried again, and when a queued one
    may go that waits for its hours; `timezone` is by whose clock they are read.
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
    timezone: str | None = None

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

    `waiting` messages wait for their hours, the first of them until `opens_at`.
    `learned` is what the run found out about the server's limits, in words.
    Of an issue that `is_handed_out` nothing was sent: its shards are for whoever sends.
    `is_server_down`: it ended because of the server, which others had better leave alone too.
    """

    issue: Issue
    counts: Mapping[DeliveryState, int]
    sent_now: int
    seconds: float
    next_attempt_at: datetime | None = None
    waiting: int = 0
    opens_at: datetime | None = None
    stopped: str | None = None
    hint: str | None = None
    learned: tuple[str, ...] = ()
    is_handed_out: bool = False
    is_server_down: bool = False

"""What comes back: reports, what they say of whom, and when that stops mail."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


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

"""Drafts that wait for an editor: an issue built ahead of its slot, and what the editor has made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from newsletter.model.feeds import StoredEntry


class WithoutAnswer(StrEnum):
    """What becomes of a draft that nobody has answered when its time has come."""

    send = "send"
    hold = "hold"
    cancel = "cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRule:
    """How long before its slot an issue is built for the editor, and what follows without an answer."""

    ahead: timedelta
    without_answer: WithoutAnswer


class DraftState(StrEnum):
    """How a draft stands; the first two are open, and a digest has at most one of those."""

    waiting = "waiting"
    approved = "approved"
    frozen = "frozen"  # it has become an issue
    cancelled = "cancelled"  # by the editor, or for want of an answer
    passed = "passed"  # its time has passed without either


OPEN_DRAFTS = (DraftState.waiting, DraftState.approved)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryEdit:
    """What the editor has written instead of an entry's title and text, as Markdown; None where it stays."""

    title: str | None = None
    markdown: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftChanges:
    """What the editor has done to a draft.

    `order` has the ids of entries in the order in which they are to stand, and is empty
    where they stand as the digest says; `hidden` are left out for good.
    """

    note: str = ""
    hidden: frozenset[int] = frozenset()
    order: tuple[int, ...] = ()
    edits: Mapping[int, EntryEdit] = field(default_factory=dict[int, EntryEdit])


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedEntry:
    """An entry as it was when the draft was made, and which version that is; `is_mention`: as an update to be told of."""

    stored: StoredEntry
    version: int
    is_mention: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDraft:
    """A draft as the store keeps it: what it is made of, so that it can be built again, word for word.

    `number` is the one its issue is to have; without an answer until `answer_by` its
    digest's rule holds.  `revision` counts the editor's changes from 1.  `fingerprint` is
    of the letter that was approved; `reason` says how it came to its state, where
    no editor said so.
    """

    id: int
    digest: str
    slot: str
    due_at: datetime
    answer_by: datetime
    made_at: datetime
    number: int
    state: DraftState
    revision: int
    changes: DraftChanges
    fingerprint: str = ""
    answered_at: datetime | None = None
    reason: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may still become an issue."""
        return self.state in OPEN_DRAFTS

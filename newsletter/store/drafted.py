"""The tables of drafts: what an editor looks at before it becomes an issue."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, UniqueConstraint, text

from newsletter.model import DraftState
from newsletter.store.columns import Id, metadata
from newsletter.store.types import Json, Moment, Text, Word

# Issues built ahead of their slots.
drafts = Table(
    "drafts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("slot", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("answer_by", Moment, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", Word(DraftState), nullable=False),
    Column("revision", Integer, nullable=False),
    # What the editor has done to it: note, hidden, order, edits.
    Column("changes", Json, nullable=False),
    # Of the letter that was approved.
    Column("fingerprint", Text, nullable=False),
    Column("answered_at", Moment),
    Column("reason", Text, nullable=False),
    UniqueConstraint("digest", "slot"),
    # A digest has at most one that may still become an issue.
    Index(
        "drafts_open",
        "digest",
        unique=True,
        sqlite_where=text("state IN ('waiting', 'approved')"),
        postgresql_where=text("state IN ('waiting', 'approved')"),
    ),
)

# What a draft is made of, as it was then: feeds may change it before it goes out.
draft_entries = Table(
    "draft_entries",
    metadata,
    Column("draft_id", ForeignKey("drafts.id"), primary_key=True),
    Column("entry_id", ForeignKey("entries.id"), primary_key=True, index=True),
    Column("version", Integer, nullable=False),
    Column("entry", Json, nullable=False),
    # Named as updated, and not used up.
    Column("is_mention", Boolean, nullable=False),
)

"""The tables of what came back: reports, what they say of whom, what of a mailbox has been read, whom we answered."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table

from newsletter.model import BounceKind, Proof
from newsletter.store.columns import Id, metadata
from newsletter.store.types import Moment, Text, Word

# What was found in the mailbox for reports; each once, however many copies of it there are.
reports = Table(
    "reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("fingerprint", Text, nullable=False, unique=True),
    Column("mailbox", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Word(BounceKind), nullable=False),
    Column("sender", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("size", Integer, nullable=False),
    # As it came, compressed, as much as is kept; empty once it is old.
    Column("raw", LargeBinary, nullable=False),
    Column("recorded_at", Moment, nullable=False),
)

# What a report says of one address; without a report, what the mail server said while we were sending.
bounces = Table(
    "bounces",
    metadata,
    Column("id", Id, primary_key=True),
    Column("report_id", ForeignKey("reports.id"), index=True),
    Column("delivery_id", BigInteger, index=True),
    Column("key", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("kind", Word(BounceKind), nullable=False),
    Column("status", Text, nullable=False),
    Column("words", Text, nullable=False),
    # NULL: nothing shows that we wrote there, so it counts for nothing.
    Column("proof", Word(Proof)),
    Column("happened_at", Moment, nullable=False),
    Column("recorded_at", Moment, nullable=False),
    # Somebody has lifted what it led to.
    Column("forgiven", Boolean, nullable=False),
    Index("bounces_person", "key", "happened_at"),
)

# What of a mailbox has been read, by the mailbox's own name for it.
scanned = Table(
    "scanned",
    metadata,
    Column("mailbox", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    sqlite_with_rowid=False,
)

# Whom we wrote to because of a mail of theirs, and when last: a loop ends at the second.
answers = Table(
    "answers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("answered_at", Moment, nullable=False),
)

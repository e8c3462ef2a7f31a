"""The tables of what the owner is told."""

from sqlalchemy import Column, Integer, Table

from newsletter.store.columns import Id, metadata
from newsletter.store.types import Moment, Text

# What is so now, and whether the owner knows; a row goes when the owner knows that it is over.
notices = Table(
    "notices",
    metadata,
    Column("key", Text, primary_key=True),
    Column("words", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("over", Text, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("ended_at", Moment),
    # When telling it was tried last, and why it failed.
    Column("tried_at", Moment),
    Column("error", Text, nullable=False),
)

# When the owner was told something: so many times a day are enough.
tellings = Table(
    "tellings",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("notices", Integer, nullable=False),
)

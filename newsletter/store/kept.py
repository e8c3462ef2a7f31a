"""The tables of upkeep: whose the database is and whether it may send, and what is left of old deliveries."""

from sqlalchemy import Column, ForeignKey, Integer, Table

from newsletter.model import DeliveryState
from newsletter.store.columns import metadata
from newsletter.store.types import Json, Moment, Text, Word

# One row (docs/adr/0026-where-a-database-is-at-home.md).
belonging = Table(
    "belonging",
    metadata,
    Column("id", Integer, primary_key=True),
    # The project's, for good: copies have the same.
    Column("project", Text, nullable=False),
    # Where it is at home: a list of {machine, path, file}.
    Column("places", Json, nullable=False),
    # How often sending began; what lies beside the file knows it too, so that an older file is noticed.
    Column("sends", Integer, nullable=False),
    # Where its content is now; nothing is written here any more.
    Column("moved_to", Text),
    Column("moved_at", Moment),
    # Why nothing goes out until somebody decides, in words.
    Column("held", Text),
    Column("held_at", Moment),
    Column("tidied_at", Moment),
)

# How many deliveries of an issue came to which end, once their rows are gone.
tallies = Table(
    "tallies",
    metadata,
    Column("issue_id", ForeignKey("issues.id"), primary_key=True),
    Column("state", Word(DeliveryState), primary_key=True),
    Column("number", Integer, nullable=False),
)

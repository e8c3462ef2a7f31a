"""The tables of schedules: since when each is known, and what came of its slots."""

from sqlalchemy import Column, Integer, Table

from newsletter.model import TickOutcome
from newsletter.store.columns import metadata
from newsletter.store.types import Moment, Text, Word

# Since when a digest has the schedule that it has.
schedules = Table(
    "schedules",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("since", Moment, nullable=False),
)

# What came of each slot of a schedule.
ticks = Table(
    "ticks",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("slot", Text, primary_key=True),
    Column("due_at", Moment, nullable=False),
    Column("outcome", Word(TickOutcome), nullable=False),
    Column("at", Moment, nullable=False),
    Column("number", Integer),
    Column("why", Text, nullable=False),
)

"""The tables of how feeds are asked: when, at what pace, and when they could not be read."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, Table

from newsletter.model import Trouble
from newsletter.store.columns import Id, metadata
from newsletter.store.types import Json, Moment, Text, Word

# When a feed is asked, and what is known of its pace: apart from `feeds`, which says what it said.
polls = Table(
    "polls",
    metadata,
    Column("feed_id", ForeignKey("feeds.id"), primary_key=True),
    Column("next_at", Moment),
    Column("interval_seconds", Float),
    Column("window_seconds", Float),
    Column("answered_at", Moment),
    # What the server has asked for, and the document: {"ttl", "hours", "weekdays"}.
    Column("retry_at", Moment),
    Column("fresh_until", Moment),
    Column("hints", Json),
    Column("moved_to", Text),
    # Why it is not asked; null where it is.
    Column("paused", Text),
    Column("gap", Word(Trouble)),
    Column("gap_at", Moment),
    Column("gap_words", Text),
    Column("silent", Text),
    # A day, as its ordinal.
    Column("silent_from", Integer),
    # {"days": [[ordinal, entries], …], "pause", "pause_on"}; read only where something is new, or missed.
    Column("rhythm", Json),
    # The troubles that the last send has told of.
    Column("told", Json),
    Index("polls_moved_to", "moved_to"),
)


# When a feed could not be read, and why: a row for as long as it was the same.
outages = Table(
    "outages",
    metadata,
    Column("id", Id, primary_key=True),
    Column("feed_id", ForeignKey("feeds.id"), nullable=False, index=True),
    Column("since", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("times", Integer, nullable=False),
    Column("error", Text, nullable=False),
    Column("hint", Text),
)

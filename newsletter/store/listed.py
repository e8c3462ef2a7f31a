"""The tables of the list: who is on it, and what that is to the project."""

from sqlalchemy import Boolean, Column, Integer, Table

from newsletter.model import Format, Home
from newsletter.store.columns import Id, metadata
from newsletter.store.types import Text, Word

# The list, where the project keeps it here; else what its file says, so that it need not be read again.
people = Table(
    "people",
    metadata,
    # Their order.
    Column("position", Id, primary_key=True),
    Column("email", Text, nullable=False),
    Column("wire_email", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    # JSON, in its writer's order: nothing is searched in them but a digest's name.
    Column("digests", Text, nullable=False),
    Column("language", Text),
    Column("format", Word(Format), nullable=False),
    Column("timezone", Text),
    Column("tags", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("line", Integer),
)

# What `people` is to the project: one row (docs/adr/0016-people-in-the-table.md).
people_home = Table(
    "people_home",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("home", Word(Home), nullable=False),
    Column("file", Text, nullable=False),
    # Of the bytes of that file, when it said the same as the table.
    Column("fingerprint", Text, nullable=False),
    # Whether the table still says that.
    Column("is_exact", Boolean, nullable=False),
)

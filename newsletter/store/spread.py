"""The tables of work that several machines share: who has which part of an issue, and what they may send together.

Times in them are the database's own (`now()`): the clocks of the machines decide nothing here.
They are used on PostgreSQL; on SQLite they stay empty.
"""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, Table, text

from newsletter.store.columns import Id, metadata
from newsletter.store.types import Moment, Text

# Parts of an issue: its deliveries between two ids, both included.  Number 0 is that of the canary, and has no ids.
shards = Table(
    "shards",
    metadata,
    Column("issue_id", ForeignKey("issues.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    # Counts who has had it: what an earlier holder still writes is not written.
    Column("token", BigInteger, nullable=False, server_default=text("0")),
    # Which worker has it, and until when unless it says more; NULL: nobody.
    Column("holder", Text),
    Column("until", Moment),
)

# Who works for the project just now, or did when it was last heard of.
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    # How many shards it sends at once; 0: it was asked to stop.
    Column("concurrency", Integer, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    # How far its clock is from the database's, in seconds.
    Column("clock_off", Float, nullable=False, server_default=text("0")),
)

# How many messages somebody was allowed to begin, and when: what a rate counts over all machines.
allowances = Table(
    "allowances",
    metadata,
    Column("id", Id, primary_key=True),
    # "host:port" for all messages of a server, "host:port domain" for those to one domain, "host:port #…" for what is
    # known of it (`store/allowances`).
    Column("scope", Text, nullable=False),
    # When the last of them begins, at the latest.
    Column("granted_at", Moment, nullable=False),
    Column("number", Integer, nullable=False),
    Index("allowances_scope", "scope", "granted_at"),
)

# Mail servers ("host:port") that are left alone for now, by all.
circuits = Table(
    "circuits",
    metadata,
    Column("server", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("open_until", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    # Who tries it out, and until when; the others wait for what comes of it.
    Column("prober", Text),
    Column("probe_until", Moment),
)

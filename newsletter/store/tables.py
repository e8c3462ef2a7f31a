"""The tables, in the order data meets them; the migrations build the same.

Kinds of fact, kept apart: what feeds said (`feeds` … `outages`), what
became of it in each digest (`digest_feeds`, `offers`, `issue_entries`,
`mentions`), the outbox (`issues`, `renderings`, `pictures`, `deliveries`),
what people have said (`suppressions` … `pauses`), what came back (`reports`
… `answers`), who is on the list (`people`), and what
an editor is yet to answer or the owner to hear (`drafts`, `notices`), and what
machines that work together tell each other (`shards` … `circuits`).  Decisions are rows with their reason, so that `explain` can
tell them later.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    false,
    text,
)

from newsletter.model import (
    ConsentEvent,
    DeliveryState,
    Disposition,
    Format,
    IssueState,
    SuppressionReason,
)
from newsletter.store.asked import outages, polls
from newsletter.store.columns import Id, metadata
from newsletter.store.drafted import draft_entries, drafts
from newsletter.store.kept import belonging, tallies
from newsletter.store.listed import people, people_home
from newsletter.store.made import recipes, template_texts
from newsletter.store.noticed import notices, tellings
from newsletter.store.returned import answers, bounces, reports, scanned
from newsletter.store.slots import schedules, ticks
from newsletter.store.spread import allowances, circuits, shards, workers
from newsletter.store.types import Json, Moment, Text, Word

feeds = Table(
    "feeds",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("url", Text, nullable=False, unique=True),
    Column("title", Text),
    Column("home_url", Text),
    Column("language", Text),
    Column("etag", Text),
    Column("last_modified", Text),
    # sha256 of the last good document, to notice that nothing has changed.
    Column("body_hash", Text),
    # How many changed documents were recorded; entries name the last one that had them.
    Column("documents", Integer, nullable=False),
    Column("last_attempt_at", Moment),
    Column("last_success_at", Moment),
    Column("failures", Integer, nullable=False),
    Column("last_error", Text),
    Column("last_hint", Text),
    # Why entries are held (the flood guard), in words.
    Column("warning", Text),
    Column("new_per_day", Float),
)

entries = Table(
    "entries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("feed_id", ForeignKey("feeds.id"), nullable=False),
    Column("guid", Text, nullable=False),
    Column("url", Text),
    Column("title", Text, nullable=False),
    Column("author", Text),
    Column("published_at", Moment),
    Column("updated_at", Moment),
    Column("base_url", Text),
    Column("language", Text),
    Column("image", Text),
    Column("enclosures", Json, nullable=False),
    Column("tags", Json, nullable=False),
    Column("position", Integer, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("text_hash", Text, nullable=False),
    # Counts edits from 1.  A counter and not a date says what a reader was
    # told, so that a clock set back hides no edit.
    Column("version", Integer, nullable=False),
    Column("edited_at", Moment),
    Column("held", Boolean, nullable=False),
    # feeds.documents when this entry was last in the document.
    Column("seen_in", Integer, nullable=False),
    # What stands for the bytes it was read from (`feeds.trim`), as long as reading them again would give
    # this guid, link, title, date and text_hash; else NULL.
    Column("item_hash", Text),
    # When that was; how long it must still be remembered counts from there (store.memory).
    Column("last_seen_at", Moment),
    Index("entries_document", "feed_id", "seen_in"),
    Index("entries_held", "feed_id", sqlite_where=text("held"), postgresql_where=text("held")),
    Index(
        "entries_edited",
        "feed_id",
        sqlite_where=text("edited_at IS NOT NULL"),
        postgresql_where=text("edited_at IS NOT NULL"),
    ),
)

# Apart from `entries`, whose rows are written at every fetch and should stay small.
entry_texts = Table(
    "entry_texts",
    metadata,
    Column("entry_id", ForeignKey("entries.id"), primary_key=True),
    Column("summary", Text, nullable=False),
    Column("content", Text, nullable=False),
)

# What an entry said when an issue carried it, once the feed has changed it.
entry_versions = Table(
    "entry_versions",
    metadata,
    Column("entry_id", ForeignKey("entries.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("entry", Json, nullable=False),
)

# Key first: it is looked up within one feed and across all of them.
entry_keys = Table(
    "entry_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("feed_id", ForeignKey("feeds.id"), primary_key=True),
    # NULL: two entries shared the key, so it proves nothing any more.
    Column("entry_id", ForeignKey("entries.id"), index=True),
    sqlite_with_rowid=False,
)

# What was decided about an entry beyond its offers, in words: how it was recognised, that it was held; each kind once.
entry_notes = Table(
    "entry_notes",
    metadata,
    Column("entry_id", ForeignKey("entries.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("words", Text, nullable=False),
)

# What another tool had sent before the project came from there; a key is one of the entry's, or that tool's own.
# Feed 0: in whichever feed it comes.  The key "" says that the feed came from there at all.
sent_elsewhere = Table(
    "sent_elsewhere",
    metadata,
    Column("feed_id", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("tool", Text, nullable=False),
    Column("at", Moment, nullable=False),
    sqlite_with_rowid=False,
)

# Since when a digest reads a feed: only the first time is the flood of a new feed held back.
digest_feeds = Table(
    "digest_feeds",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("feed_id", ForeignKey("feeds.id"), primary_key=True),
    Column("joined_at", Moment, nullable=False),
)

# What an entry is to a digest: waiting (issue_id and skipped NULL), used up by
# an issue, or skipped for the reason named.
offers = Table(
    "offers",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("entry_id", ForeignKey("entries.id"), primary_key=True),
    Column("offered_at", Moment, nullable=False),
    Column("skipped", Text),
    Column("issue_id", ForeignKey("issues.id"), index=True),
    # The entry's version that readers of the digest were told last.
    Column("version", Integer),
    Index("offers_entry_id", "entry_id"),
    Index(
        "offers_waiting",
        "digest",
        sqlite_where=text("issue_id IS NULL AND skipped IS NULL"),
        postgresql_where=text("issue_id IS NULL AND skipped IS NULL"),
    ),
)

issues = Table(
    "issues",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("slot", Text, nullable=False),
    Column("state", Word(IssueState), nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("envelope", Json, nullable=False),
    Column("frozen_at", Moment, nullable=False),
    # Cancelled before anybody got it: its entries went back to waiting.
    Column("released", Boolean, nullable=False),
    # The editor's, as written: the same one is not sent twice.
    Column("note", Text, nullable=False, server_default=""),
    # What goes first and what would stop it, until that is decided.
    Column("canary", Json),
    # The rule by which its messages wait for their hours, in words; "" where they may go at any time.
    Column("hours", Text, nullable=False, server_default=""),
    UniqueConstraint("digest", "number"),
    UniqueConstraint("digest", "slot"),
)

renderings = Table(
    "renderings",
    metadata,
    Column("issue_id", ForeignKey("issues.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("language", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("fields", Json, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("markdown", Text, nullable=False),
)

# What travels inside the messages of an issue; a rendering names those it shows by their `cid`.
pictures = Table(
    "pictures",
    metadata,
    Column("issue_id", ForeignKey("issues.id"), primary_key=True),
    Column("cid", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# What an issue used up, in its order; stays when a cancelled issue releases its entries.
issue_entries = Table(
    "issue_entries",
    metadata,
    Column("issue_id", ForeignKey("issues.id"), primary_key=True),
    Column("entry_id", ForeignKey("entries.id"), primary_key=True, index=True),
    Column("position", Integer, nullable=False),
    Column("disposition", Word(Disposition), nullable=False),
    Column("why", Text, nullable=False),
    Column("version", Integer, nullable=False),
    # What the size budget made of it in the HTML part, in words; empty where nothing.
    Column("shortened", Text, nullable=False, server_default=""),
)

# Entries of earlier issues that an issue names as updated.
mentions = Table(
    "mentions",
    metadata,
    Column("issue_id", ForeignKey("issues.id"), primary_key=True),
    Column("entry_id", ForeignKey("entries.id"), primary_key=True, index=True),
    Column("version", Integer, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("issue_id", Integer, nullable=False),
    Column("email", Text, nullable=False),
    Column("wire_email", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("format", Word(Format), nullable=False),
    Column("rendering", Text, nullable=False),
    Column("merge", Json, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("state", Word(DeliveryState), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_code", Integer),
    Column("last_reply", Text, nullable=False),
    Column("queued_at", Moment, nullable=False),
    # Of a queued one: it waits for its hours, and may not go before.
    Column("next_attempt_at", Moment),
    Column("settled_at", Moment),
    # An attempt before the last has arrived, or may have; what becomes of later ones does not change that.
    Column("doubtful", Boolean, nullable=False, server_default=false()),
    # By whose clock its hours are read; NULL: the digest's.
    Column("timezone", Text),
    # Also finds one person's deliveries: an issue at a time.
    UniqueConstraint("issue_id", "key"),
    # PostgreSQL would look for both again at every row of a million: there the freeze alone sees to it.
    ForeignKeyConstraint(["issue_id"], ["issues.id"], name="deliveries_issue_id_exists").ddl_if(dialect="sqlite"),
    ForeignKeyConstraint(
        ["issue_id", "rendering"], ["renderings.issue_id", "renderings.key"], name="deliveries_rendering_exists"
    ).ddl_if(dialect="sqlite"),
    # Answers all questions of the outbox (what is due, how many are where, when
    # next) without touching the rows.
    Index("deliveries_outbox", "issue_id", "state", "id", "next_attempt_at"),
)

suppressions = Table(
    "suppressions",
    metadata,
    # A keyed hash instead of the address for `erased`.
    Column("key", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("reason", Word(SuppressionReason), nullable=False),
    Column("since", Moment, nullable=False),
    Column("note", Text, nullable=False),
    # "": of all digests.
    Column("digest", Text, primary_key=True, server_default=""),
    # Whether there is any erased person at all, at no cost.
    Index(
        "suppressions_erased",
        "key",
        sqlite_where=text("reason = 'erased'"),
        postgresql_where=text("reason = 'erased'"),
    ),
)

# Whose a personal link is; a token is in every message, and works for as long as this knows it.
links = Table(
    "links",
    metadata,
    Column("token", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("key", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Who asked for what, when and where; never changed, only added to.
consents = Table(
    "consents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("key", Text, nullable=False, index=True),
    Column("email", Text, nullable=False),
    Column("event", Word(ConsentEvent), nullable=False),
    Column("digest", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
)

# Who asked for mail and has not confirmed it, or has.
signups = Table(
    "signups",
    metadata,
    Column("token", Text, primary_key=True),
    Column("key", Text, nullable=False, index=True),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("digests", Json, nullable=False),
    Column("language", Text),
    Column("format", Word(Format), nullable=False),
    Column("source", Text, nullable=False),
    Column("asked_at", Moment, nullable=False, index=True),
    Column("confirmed_at", Moment),
)

# Who wants nothing for a while.
pauses = Table(
    "pauses",
    metadata,
    Column("key", Text, primary_key=True),
    # "": of all digests.
    Column("digest", Text, primary_key=True),
    Column("until", Moment, nullable=False),
)

# What the refusals of a mail server ("host:port") have taught us that it allows.
server_limits = Table(
    "server_limits",
    metadata,
    Column("server", Text, primary_key=True),
    Column("per_connection", Integer),
    Column("connections", Integer),
    Column("rates", Json, nullable=False),
    Column("learned_at", Moment, nullable=False),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)

__all__ = [
    "allowances",
    "answers",
    "belonging",
    "bounces",
    "circuits",
    "consents",
    "deliveries",
    "digest_feeds",
    "draft_entries",
    "drafts",
    "entries",
    "entry_keys",
    "entry_notes",
    "entry_texts",
    "entry_versions",
    "feeds",
    "issue_entries",
    "issues",
    "links",
    "mentions",
    "metadata",
    "notices",
    "offers",
    "outages",
    "pauses",
    "people",
    "people_home",
    "pictures",
    "polls",
    "recipes",
    "renderings",
    "reports",
    "scanned",
    "schedules",
    "secrets",
    "sent_elsewhere",
    "server_limits",
    "shards",
    "signups",
    "suppressions",
    "tallies",
    "tellings",
    "template_texts",
    "ticks",
    "workers",
]

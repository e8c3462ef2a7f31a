"""The first tables.

Written out and not taken from `newsletter.store.tables`: those move on, this
revision stays what it was when people's databases were made with it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    feeds_and_entries()
    issues()
    readings()
    deliveries()


def feeds_and_entries() -> None:
    op.create_table(
        "feeds",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("home_url", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("body_hash", sa.Text),
        sa.Column("documents", sa.Integer, nullable=False),
        sa.Column("last_attempt_at", WHEN),
        sa.Column("last_success_at", WHEN),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_hint", sa.Text),
        sa.Column("warning", sa.Text),
        sa.Column("new_per_day", sa.Float),
        sa.PrimaryKeyConstraint("id", name="feeds_pk"),
        sa.UniqueConstraint("url", name="feeds_url_unique"),
    )
    op.create_table(
        "entries",
        sa.Column("id", BIG, nullable=False),
        sa.Column("feed_id", sa.Integer, nullable=False),
        sa.Column("guid", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("author", sa.Text),
        sa.Column("published_at", WHEN),
        sa.Column("updated_at", WHEN),
        sa.Column("base_url", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("image", sa.Text),
        sa.Column("enclosures", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("first_seen_at", WHEN, nullable=False),
        sa.Column("text_hash", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("edited_at", WHEN),
        sa.Column("held", sa.Boolean, nullable=False),
        sa.Column("seen_in", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="entries_pk"),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name="entries_feed_id_exists"),
    )
    op.create_index("entries_document", "entries", ["feed_id", "seen_in"])
    partial_index("entries_held", "entries", ["feed_id"], "held")
    partial_index("entries_edited", "entries", ["feed_id"], "edited_at IS NOT NULL")
    op.create_table(
        "entry_texts",
        sa.Column("entry_id", BIG, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="entry_texts_pk"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="entry_texts_entry_id_exists"),
    )
    op.create_table(
        "entry_versions",
        sa.Column("entry_id", BIG, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "version", name="entry_versions_pk"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="entry_versions_entry_id_exists"),
    )
    op.create_table(
        "entry_keys",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("feed_id", sa.Integer, nullable=False),
        sa.Column("entry_id", BIG),
        sa.PrimaryKeyConstraint("key", "feed_id", name="entry_keys_pk"),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name="entry_keys_feed_id_exists"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="entry_keys_entry_id_exists"),
        sqlite_with_rowid=False,
    )
    op.create_index("entry_keys_entry_id", "entry_keys", ["entry_id"])


def issues() -> None:
    op.create_table(
        "issues",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("slot", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("state_reason", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("envelope", sa.Text, nullable=False),
        sa.Column("frozen_at", WHEN, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="issues_pk"),
        sa.UniqueConstraint("digest", "number", name="issues_digest_number_unique"),
        sa.UniqueConstraint("digest", "slot", name="issues_digest_slot_unique"),
    )
    op.create_table(
        "renderings",
        sa.Column("issue_id", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("html", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("markdown", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("issue_id", "key", name="renderings_pk"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="renderings_issue_id_exists"),
    )
    for name, columns in {
        "issue_entries": (
            sa.Column("position", sa.Integer, nullable=False),
            sa.Column("disposition", sa.Text, nullable=False),
            sa.Column("why", sa.Text, nullable=False),
        ),
        "mentions": (),
    }.items():
        op.create_table(
            name,
            sa.Column("issue_id", sa.Integer, nullable=False),
            sa.Column("entry_id", BIG, nullable=False),
            *columns,
            sa.Column("version", sa.Integer, nullable=False),
            sa.PrimaryKeyConstraint("issue_id", "entry_id", name=f"{name}_pk"),
            sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name=f"{name}_issue_id_exists"),
            sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name=f"{name}_entry_id_exists"),
        )
        op.create_index(f"{name}_entry_id", name, ["entry_id"])


def readings() -> None:
    op.create_table(
        "digest_feeds",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("feed_id", sa.Integer, nullable=False),
        sa.Column("joined_at", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("digest", "feed_id", name="digest_feeds_pk"),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name="digest_feeds_feed_id_exists"),
    )
    op.create_table(
        "offers",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("entry_id", BIG, nullable=False),
        sa.Column("offered_at", WHEN, nullable=False),
        sa.Column("skipped", sa.Text),
        sa.Column("issue_id", sa.Integer),
        sa.Column("version", sa.Integer),
        sa.PrimaryKeyConstraint("digest", "entry_id", name="offers_pk"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="offers_entry_id_exists"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="offers_issue_id_exists"),
    )
    op.create_index("offers_entry_id", "offers", ["entry_id"])
    op.create_index("offers_issue_id", "offers", ["issue_id"])
    partial_index("offers_waiting", "offers", ["digest"], "issue_id IS NULL AND skipped IS NULL")


def deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", BIG, nullable=False),
        sa.Column("issue_id", sa.Integer, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("wire_email", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("rendering", sa.Text, nullable=False),
        sa.Column("merge", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_code", sa.Integer),
        sa.Column("last_reply", sa.Text, nullable=False),
        sa.Column("queued_at", WHEN, nullable=False),
        sa.Column("next_attempt_at", WHEN),
        sa.Column("settled_at", WHEN),
        sa.PrimaryKeyConstraint("id", name="deliveries_pk"),
        sa.UniqueConstraint("issue_id", "key", name="deliveries_issue_id_key_unique"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="deliveries_issue_id_exists"),
        sa.ForeignKeyConstraint(
            ["issue_id", "rendering"], ["renderings.issue_id", "renderings.key"], name="deliveries_rendering_exists"
        ),
    )
    op.create_index("deliveries_outbox", "deliveries", ["issue_id", "state", "id", "next_attempt_at"])
    op.create_table(
        "suppressions",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", WHEN, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="suppressions_pk"),
    )
    partial_index("suppressions_erased", "suppressions", ["key"], "reason = 'erased'")
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("created_at", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("name", name="secrets_pk"),
    )


def partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(condition), postgresql_where=sa.text(condition))

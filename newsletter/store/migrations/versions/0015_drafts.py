"""Drafts that wait for an editor, and what the owner was told."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
OPEN = sa.text("state IN ('waiting', 'approved')")


def upgrade() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", ID, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("slot", sa.Text, nullable=False),
        sa.Column("due_at", WHEN, nullable=False),
        sa.Column("answer_by", WHEN, nullable=False),
        sa.Column("made_at", WHEN, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("changes", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("answered_at", WHEN),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="drafts_pk"),
        sa.UniqueConstraint("digest", "slot", name="drafts_digest_slot_unique"),
    )
    op.create_index("drafts_open", "drafts", ["digest"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_table(
        "draft_entries",
        sa.Column("draft_id", ID, nullable=False),
        sa.Column("entry_id", ID, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("entry", sa.Text, nullable=False),
        sa.Column("is_mention", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("draft_id", "entry_id", name="draft_entries_pk"),
        sa.ForeignKeyConstraint(["draft_id"], ["drafts.id"], name="draft_entries_draft_id_exists"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="draft_entries_entry_id_exists"),
    )
    op.create_index("draft_entries_entry_id", "draft_entries", ["entry_id"])
    op.create_table(
        "notices",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=False),
        sa.Column("over", sa.Text, nullable=False),
        sa.Column("began_at", WHEN, nullable=False),
        sa.Column("told_at", WHEN),
        sa.Column("ended_at", WHEN),
        sa.Column("tried_at", WHEN),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="notices_pk"),
    )
    op.create_table(
        "tellings",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("notices", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="tellings_pk"),
    )

"""How entries live: when last seen, what was decided about them, what another tool has sent, how feeds failed."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.add_column("entries", sa.Column("last_seen_at", WHEN, nullable=True))
    # Nobody knows exactly; not later than this.
    op.execute("UPDATE entries SET last_seen_at = (SELECT last_success_at FROM feeds WHERE feeds.id = entries.feed_id)")
    op.add_column("issue_entries", sa.Column("shortened", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "entry_notes",
        sa.Column("entry_id", ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "kind", name="entry_notes_pk"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="entry_notes_entry_id_exists"),
    )
    op.create_table(
        "outages",
        sa.Column("id", ID, nullable=False),
        sa.Column("feed_id", sa.Integer, nullable=False),
        sa.Column("since", WHEN, nullable=False),
        sa.Column("last_at", WHEN, nullable=False),
        sa.Column("ended_at", WHEN, nullable=True),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("hint", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name="outages_pk"),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name="outages_feed_id_exists"),
    )
    op.create_index("outages_feed_id", "outages", ["feed_id"])
    op.create_table(
        "sent_elsewhere",
        sa.Column("feed_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("tool", sa.Text, nullable=False),
        sa.Column("at", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("feed_id", "key", name="sent_elsewhere_pk"),
        sqlite_with_rowid=False,
    )

"""When feeds are asked, and what is known of their pace."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "polls",
        sa.Column("feed_id", sa.Integer, nullable=False),
        sa.Column("next_at", WHEN),
        sa.Column("interval_seconds", sa.Float),
        sa.Column("window_seconds", sa.Float),
        sa.Column("answered_at", WHEN),
        sa.Column("retry_at", WHEN),
        sa.Column("fresh_until", WHEN),
        sa.Column("hints", sa.Text),
        sa.Column("moved_to", sa.Text),
        sa.Column("paused", sa.Text),
        sa.Column("gap", sa.Text),
        sa.Column("gap_at", WHEN),
        sa.Column("gap_words", sa.Text),
        sa.Column("silent", sa.Text),
        sa.Column("silent_from", sa.Integer),
        sa.Column("rhythm", sa.Text),
        sa.Column("told", sa.Text),
        sa.PrimaryKeyConstraint("feed_id", name="polls_pk"),
        sa.ForeignKeyConstraint(["feed_id"], ["feeds.id"], name="polls_feed_id_exists"),
    )
    op.create_index("polls_moved_to", "polls", ["moved_to"])

"""Schedules: since when each is known, and what came of their slots."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("since", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="schedules_pk"),
    )
    op.create_table(
        "ticks",
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("slot", sa.Text, nullable=False),
        sa.Column("due_at", WHEN, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("number", sa.Integer),
        sa.Column("why", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("digest", "slot", name="ticks_pk"),
    )

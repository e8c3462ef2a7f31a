"""Whose the database is and whether it may send; what is left of old deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "belonging",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("places", sa.Text, nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("moved_to", sa.Text),
        sa.Column("moved_at", WHEN),
        sa.Column("held", sa.Text),
        sa.Column("held_at", WHEN),
        sa.Column("tidied_at", WHEN),
        sa.PrimaryKeyConstraint("id", name="belonging_pk"),
    )
    op.create_table(
        "tallies",
        sa.Column("issue_id", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("issue_id", "state", name="tallies_pk"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="tallies_issue_id_exists"),
    )

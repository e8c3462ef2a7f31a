"""What mail servers allow, as far as we have found out."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "server_limits",
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("per_connection", sa.Integer),
        sa.Column("connections", sa.Integer),
        sa.Column("rates", sa.Text, nullable=False),
        sa.Column("learned_at", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("server", name="server_limits_pk"),
    )

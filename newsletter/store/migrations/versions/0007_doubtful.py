"""Deliveries remember that an attempt before the last may have arrived."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("doubtful", sa.Boolean, nullable=False, server_default=sa.false()))
    # What is held now was of that kind; of what waits again nobody has kept it.
    op.execute("UPDATE deliveries SET doubtful = (1 = 1) WHERE state IN ('held', 'unknown', 'sending')")

"""Entries remember what they were read from, so that it need not be read again."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # NULL: read at the next change of the feed, and known from then on.
    op.add_column("entries", sa.Column("item_hash", sa.Text))

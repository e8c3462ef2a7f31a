"""Hours: by which rule the messages of an issue wait, and by whose clock."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("issues", sa.Column("hours", sa.Text, nullable=False, server_default=""))
    op.add_column("deliveries", sa.Column("timezone", sa.Text))

"""Pictures that travel inside an issue's messages."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pictures",
        sa.Column("issue_id", sa.Integer, nullable=False),
        sa.Column("cid", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("media_type", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("issue_id", "cid", name="pictures_pk"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="pictures_issue_id_exists"),
    )

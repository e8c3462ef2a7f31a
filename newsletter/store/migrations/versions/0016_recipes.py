"""What issues are made from, so that they can be made again."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "template_texts",
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="template_texts_pk"),
    )
    op.create_table(
        "recipes",
        sa.Column("issue_id", sa.Integer, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
        sa.Column("templates", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("issue_id", name="recipes_pk"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="recipes_issue_id_exists"),
    )

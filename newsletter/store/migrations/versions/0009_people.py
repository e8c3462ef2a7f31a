"""The people of the project: the list itself, or what its file says."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("wire_email", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digests", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("line", sa.Integer),
        sa.PrimaryKeyConstraint("position", name="people_pk"),
        sa.UniqueConstraint("key", name="people_key_unique"),
    )
    op.create_table(
        "people_home",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("home", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("is_exact", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="people_home_pk"),
    )

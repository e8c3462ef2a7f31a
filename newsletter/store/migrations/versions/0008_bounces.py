"""What came back: reports, what they say of whom, and what of a mailbox has been read."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("mailbox", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("recorded_at", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("id", name="reports_pk"),
        sa.UniqueConstraint("fingerprint", name="reports_fingerprint_unique"),
    )
    op.create_table(
        "bounces",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("report_id", sa.Integer, nullable=True),
        sa.Column("delivery_id", sa.BigInteger, nullable=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("proof", sa.Text, nullable=True),
        sa.Column("happened_at", WHEN, nullable=False),
        sa.Column("recorded_at", WHEN, nullable=False),
        sa.Column("forgiven", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="bounces_pk"),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="bounces_report_id_exists"),
    )
    op.create_index("bounces_report_id", "bounces", ["report_id"])
    op.create_index("bounces_delivery_id", "bounces", ["delivery_id"])
    op.create_index("bounces_person", "bounces", ["key", "happened_at"])
    op.create_table(
        "scanned",
        sa.Column("mailbox", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("mailbox", "name", name="scanned_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "answers",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("answered_at", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("key", name="answers_pk"),
    )

"""What several machines share: the parts of an issue, who works, what they may send together."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "shards",
        sa.Column("issue_id", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("first_id", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("holder", sa.Text),
        sa.Column("until", WHEN),
        sa.PrimaryKeyConstraint("issue_id", "number", name="shards_pk"),
        sa.ForeignKeyConstraint(["issue_id"], ["issues.id"], name="shards_issue_id_exists"),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("concurrency", sa.Integer, nullable=False),
        sa.Column("started_at", WHEN, nullable=False),
        sa.Column("seen_at", WHEN, nullable=False),
        sa.Column("clock_off", sa.Float, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="workers_pk"),
    )
    op.create_table(
        "allowances",
        sa.Column("id", ID, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("granted_at", WHEN, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="allowances_pk"),
    )
    op.create_index("allowances_scope", "allowances", ["scope", "granted_at"])
    op.create_table(
        "circuits",
        sa.Column("server", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("open_until", WHEN, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("prober", sa.Text),
        sa.Column("probe_until", WHEN),
        sa.PrimaryKeyConstraint("server", name="circuits_pk"),
    )

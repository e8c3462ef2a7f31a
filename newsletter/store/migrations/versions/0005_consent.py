"""What people have said: suppressions of one digest, personal links, consents, sign-ups, pauses."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
WHEN = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
ERASED = sa.text("reason = 'erased'")


def upgrade() -> None:
    op.drop_index("suppressions_erased", "suppressions")
    with op.batch_alter_table("suppressions") as batch:
        batch.add_column(sa.Column("digest", sa.Text, nullable=False, server_default=""))
        batch.drop_constraint("suppressions_pk", type_="primary")
        batch.create_primary_key("suppressions_pk", ["key", "digest"])
    op.create_index("suppressions_erased", "suppressions", ["key"], sqlite_where=ERASED, postgresql_where=ERASED)
    op.create_table(
        "links",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("token", name="links_pk"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consents",
        sa.Column("id", BIG, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("at", WHEN, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="consents_pk"),
    )
    op.create_index("consents_key", "consents", ["key"])
    op.create_table(
        "signups",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("digests", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("asked_at", WHEN, nullable=False),
        sa.Column("confirmed_at", WHEN),
        sa.PrimaryKeyConstraint("token", name="signups_pk"),
    )
    op.create_index("signups_key", "signups", ["key"])
    op.create_index("signups_asked_at", "signups", ["asked_at"])
    op.create_table(
        "pauses",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("until", WHEN, nullable=False),
        sa.PrimaryKeyConstraint("key", "digest", name="pauses_pk"),
    )

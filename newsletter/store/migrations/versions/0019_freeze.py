"""On PostgreSQL, delivery rows without foreign keys: looked up one by one, they cost more than the rows.

The freeze guarantees what they said (docs/adr/0032-rows-where-people-are.md).
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("deliveries_rendering_exists", "deliveries", type_="foreignkey")
        op.drop_constraint("deliveries_issue_id_exists", "deliveries", type_="foreignkey")

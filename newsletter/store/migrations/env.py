"""Alembic's way in: it works on the connection and in the transaction it is handed.

A new revision is a file in `versions`, written by hand, and a name more in
`schema.REVISIONS`; a test holds it against the tables.
"""

from alembic import context
from sqlalchemy.engine import Connection

from newsletter.store.schema import VERSION_TABLE
from newsletter.store.tables import metadata


def run(connection: Connection) -> None:
    """Run what `alembic.command` has asked for."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])

"""A database whose content has moved takes nothing more, from nobody: what was written there would be lost.

Triggers see to it, so that programs which have had it open all along are
stopped too: public pages that write down who leaves, a fetch, an older version.
"""

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.trouble import MOVED

_NAME: Final = "newsletter_moved"
_ON_SQLITE = ("INSERT", "UPDATE", "DELETE")


def guard(database: Database, connection: Connection) -> None:
    """Let nothing more be written to any table but `belonging`, until `unguard`."""
    if not database.is_sqlite:
        connection.exec_driver_sql(
            f"CREATE OR REPLACE FUNCTION {_NAME}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{MOVED}'; END $$"
        )
    for name in _guarded():
        if database.is_sqlite:
            for what in _ON_SQLITE:
                connection.exec_driver_sql(
                    f"CREATE TRIGGER IF NOT EXISTS {_NAME}_{what.lower()}_{name} BEFORE {what} ON {name} "
                    f"BEGIN SELECT RAISE(ABORT, '{MOVED}'); END"
                )
        else:
            connection.exec_driver_sql(
                f"CREATE OR REPLACE TRIGGER {_NAME} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {name} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {_NAME}()"
            )


def unguard(database: Database, connection: Connection) -> None:
    """Let it be written to again; nothing happens where it may."""
    if database.is_sqlite:
        wanted = sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE :ours")
        for name in connection.execute(wanted, {"ours": f"{_NAME}%"}).scalars().all():
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    else:
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {_NAME}() CASCADE")


def _guarded() -> list[str]:
    return [name for name in t.metadata.tables if name != t.belonging.name]

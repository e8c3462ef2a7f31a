"""Which version of the tables a database has, and how it gets to the newest.

Alembic knows how to change tables but takes long to import: opening a database
that is up to date compares one word and never imports it.
"""

import os
import sqlite3
import threading
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.clock import Ids
from newsletter.errors import SchemaError, StoreError
from newsletter.store.connect import Database, SqliteFile
from newsletter.store.lock import lock_number
from newsletter.store.trouble import explained, undamaged

#: All revisions, oldest first; a test compares them with the files in migrations/versions.
REVISIONS: Final = (
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007"),
    *("0008", "0009", "0010", "0011", "0012", "0013", "0014"),
    *("0015", "0016", "0017", "0018", "0019"),
)
#: Ours alone, so that a PostgreSQL database may be shared with another program that uses Alembic.
VERSION_TABLE: Final = "newsletter_schema"
_version = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))
_alembic = threading.Lock()


class Age(Enum):
    """How a database stands to this version of the program."""

    new = "new"
    older = "older"
    current = "current"


def age(database: Database) -> Age:
    """Look which schema the database has, in one read.

    Raises:
        SchemaError: a newer version of the program has written it.
        StoreError: the file is a database of another program, or does not answer.
    """
    with undamaged(database.name), database.read() as connection:
        return _age(connection, database)


def revision(connection: Connection) -> str | None:
    """The name of the schema's revision; None in an empty database."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(_version.c.version_num)).scalar()


def require_current(database: Database) -> None:
    """Raise SchemaError unless the schema is the one this program writes."""
    found = age(database)
    if found is not Age.current:
        raise SchemaError(
            f"the database {database.name} is {'empty' if found is Age.new else 'of an older version'}",
            hint="newsletter db migrate",
        )


def require_revision(connection: Connection, name: str) -> None:
    """Raise SchemaError if another version of the program has changed the schema while this one was at work."""
    if connection.execute(sa.select(_version.c.version_num)).scalar() != REVISIONS[-1]:
        raise SchemaError(
            f"the database {name} was brought to another version while this program was at work",
            hint="start it again with the version that has done so",
        )


def migrate(database: Database) -> None:
    """Bring the schema to the newest revision, in one transaction, whatever it is now.

    Two processes may try at once: the second finds nothing left to do.
    """
    with explained(database.name), database.engine.connect() as connection:
        if database.is_sqlite:
            # Rebuilding a table drops it for a moment; what that breaks is
            # looked for at the end (sqlite.org/lang_altertable.html §7).
            # Asked of the driver: inside a transaction it would do nothing.
            cast(sqlite3.Connection, connection.connection.driver_connection).execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.execution_options(newsletter_write=True).begin():
                if not database.is_sqlite:
                    schema = connection.execute(sa.select(sa.func.current_schema())).scalar_one()
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_number(schema, "migrate"))))
                found = _age(connection, database)
                if found is Age.new:
                    create(connection)
                elif found is Age.older:
                    _upgrade(connection)
                if database.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    raise StoreError(f"the database {database.name} names rows that do not exist: it is damaged")
        finally:
            # The pool must not hand this connection out with the checks off.
            connection.invalidate()


def make_file(path: Path, ids: Ids) -> None:
    """Make a new SQLite database, mode 0600, in a folder made with mode 0700: it holds people's addresses.

    It is made under another name and appears complete, so that a crash leaves
    no half a database, and of two processes that make it at once one wins.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    draft = path.with_name(f".{path.name}.{ids.token()[:8]}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        try:
            database = SqliteFile(draft)
            try:
                migrate(database)
                database.use_wal()
            finally:
                database.close()
            with suppress(FileExistsError):
                os.link(draft, path)
            sync_folder(path.parent)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"the database {path} cannot be made: {error.strerror}", hint=f"give yourself the right to {path.parent}"
        ) from error


def create(connection: Connection) -> None:
    """Make all tables at once in an empty database, without Alembic.

    They are those that all migrations together make (tests/store/test_open.py), in a tenth of the time.
    """
    from newsletter.store.tables import metadata

    metadata.create_all(connection)
    connection.exec_driver_sql(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
    connection.execute(_version.insert().values(version_num=REVISIONS[-1]))


def _age(connection: Connection, database: Database) -> Age:
    found = revision(connection)
    if found is None:
        if database.is_sqlite and sa.inspect(connection).get_table_names():
            raise StoreError(
                f"the database {database.name} belongs to another program",
                hint="name a file of its own for the store",
            )
        return Age.new
    if found not in REVISIONS:
        raise SchemaError(
            f"the database {database.name} was written by a newer version of the program (schema {found})",
            hint="upgrade the program: pip install --upgrade newsletter-press",
        )
    return Age.current if found == REVISIONS[-1] else Age.older


def sync_folder(folder: Path) -> None:
    """Make the file's name as durable as its content."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _upgrade(connection: Connection, to: str = "head") -> None:
    """Have Alembic run what is missing; it can work on one database at a time in a process."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _alembic:
        command.upgrade(config, to)

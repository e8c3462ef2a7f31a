"""One open database: its connections, and the two kinds of transaction.

`read()` sees one moment and changes nothing; `write()` is all or nothing and
waits its turn.  On SQLite both are begun by us and not by the driver, so that a
writing transaction takes the write lock before it reads what it will decide on.
"""

import os
import shutil
import sqlite3
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from shlex import quote
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from newsletter.errors import StoreError
from newsletter.model import Place
from newsletter.store.hands import Hands, OwnThread
from newsletter.store.lines import PATIENCE, Lines, watched
from newsletter.store.lock import Held, advisory_lock, file_lock, number_beside
from newsletter.store.trouble import damaged, explained

#: So many free pages are given back at once.
_PAGES: Final = 2000
_OLDEST_SQLITE = (3, 34)
_WRITE = "newsletter_write"


class Database(ABC):
    """What SQLite files, PostgreSQL and the scratch database have in common.

    `name` is how messages call it; it never holds a password.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self.is_sqlite = engine.dialect.name == "sqlite"
        event.listen(engine, "begin", self._on_begin)

    def close(self) -> None:
        """Close every connection; those lent out are closed when they come back."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads."""
        with explained(self.name), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that writes: committed at the end, undone by any exception."""
        with (
            explained(self.name),
            self.engine.connect().execution_options(**{_WRITE: True}) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def write_at_once(self) -> Iterator[Connection]:
        """The same, for what can be left undone: it does not wait for others.

        Raises:
            BusyError: somebody else is writing.
        """
        with self.write() as connection:
            yield connection

    @contextmanager
    def writer(self) -> Iterator[Callable[[], AbstractContextManager[Connection]]]:
        """A connection of one's own, and what begins a writing transaction on it."""
        with explained(self.name), self.engine.connect().execution_options(**{_WRITE: True}) as connection:

            @contextmanager
            def begin() -> Iterator[Connection]:
                with explained(self.name), connection.begin():
                    yield connection

            yield begin

    def hands(self) -> Hands:
        """Who does the work of one outbox writer."""
        return OwnThread()

    def insert(self, table: sa.Table) -> "postgresql.Insert | sqlite.Insert":
        """INSERT with this database's ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def lock_table(self, connection: Connection, table: sa.Table, mode: str, *, wait: bool = True) -> None:
        """Lock a table for the rest of the transaction; SQLite's write lock does it for all of them."""
        if not self.is_sqlite:
            connection.exec_driver_sql(f"LOCK TABLE {table.name} IN {mode} MODE{'' if wait else ' NOWAIT'}")

    def take_time(self, connection: Connection) -> None:
        """Let a transaction that only reads go at the pace of whoever is given what it reads."""
        if not self.is_sqlite:
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")

    @abstractmethod
    def lock(self, name: str) -> AbstractContextManager[Held]:
        """Hold a lock that other processes see and that dies with this one."""

    def place(self, machine: str) -> Place | None:  # noqa: ARG002
        """Where its file lies, on this machine; None where it has none that could be copied."""
        return None

    def seen(self) -> int:
        """The number that lies beside the lock for sending; 0 where there is none."""
        return 0

    @abstractmethod
    def give_back(self) -> None:
        """Give pages that are free back to the file system, where that is cheap."""

    @abstractmethod
    def vacuum(self) -> None:
        """Write the tables anew without what was deleted.

        Raises:
            StoreError: there is no room for it.
        """

    @abstractmethod
    def size(self) -> int:
        """Bytes on disk."""

    @abstractmethod
    def check(self, *, thorough: bool) -> None:
        """Raise StoreError if the database is damaged, as far as it can tell itself."""

    def _on_begin(self, connection: Connection) -> None:
        """Begin the transaction the way its kind wants it; PostgreSQL's driver does so itself."""
        if self.is_sqlite:
            writing = connection.get_execution_options().get(_WRITE, False)
            _begin(connection, "BEGIN IMMEDIATE" if writing else "BEGIN")


def _begin(connection: Connection, how: str) -> None:
    """Begin through the driver: SQLAlchemy's own way of running a text costs more than a short transaction does."""
    cast("sqlite3.Connection", connection.connection.driver_connection).execute(how).close()


class SqliteFile(Database):
    """A SQLite database in a file, in WAL mode, durable at every commit.

    The file is made with mode 0600 in a folder of mode 0700: it holds people's
    addresses.
    """

    def __init__(self, path: Path) -> None:
        # One database is one lock, by whatever link it is reached.
        self.path = Path(os.path.realpath(path))
        engine = sa.create_engine(
            "sqlite+pysqlite://",
            creator=self._connect,
            poolclass=QueuePool,
            pool_use_lifo=True,
            hide_parameters=True,
        )
        super().__init__(engine, str(path))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=PATIENCE)
        try:
            # A commit that has returned survives a power cut (ARCHITECTURE.md, "The outbox").  4 MB of pages per
            # connection: an outbox is read and written in its order, and more of it in memory makes nothing faster.
            for pragma in ("synchronous=FULL", "foreign_keys=ON", "cache_size=-4096"):
                connection.execute(f"PRAGMA {pragma}").close()
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def write_at_once(self) -> Iterator[Connection]:
        """One transaction that writes, if nobody else does."""
        with explained(self.name), self.engine.connect().execution_options(**{_WRITE: True}) as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            driver.execute("PRAGMA busy_timeout=0").close()
            try:
                with connection.begin():
                    yield connection
            finally:
                driver.execute(f"PRAGMA busy_timeout={PATIENCE * 1000:.0f}").close()

    def use_wal(self) -> None:
        """Switch to the write-ahead log, for good; only for a database known to be ours."""
        with explained(self.name), self.engine.connect() as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            driver.execute("PRAGMA journal_mode=WAL").close()

    def lock(self, name: str) -> AbstractContextManager[Held]:
        """An advisory lock on a file beside the database."""
        return file_lock(self._lock_file(name))

    def seen(self) -> int:
        """What the last process that sent from here left beside its lock."""
        return number_beside(self._lock_file("send"))

    def _lock_file(self, name: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{name}.lock")

    def place(self, machine: str) -> Place | None:
        """The file's path, and its number on this file system."""
        return Place(machine=machine, path=str(self.path), file=self.path.stat().st_ino)

    def size(self) -> int:
        """The file and its write-ahead log."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def give_back(self) -> None:
        """Cut free pages off the end of a file that `vacuum` has prepared for it; does nothing to others."""
        with self.write() as connection:
            connection.exec_driver_sql(f"PRAGMA incremental_vacuum({_PAGES})").close()

    def vacuum(self) -> None:
        """Have SQLite write the file anew; from then on `give_back` can shorten it."""
        room, size = shutil.disk_usage(self.path.parent).free, self.size()
        if room < 2 * size:
            raise StoreError(
                f"the database {self.name} has {size:,} bytes, and there are {room:,} left on its disk: "
                "writing it anew takes twice as much as it has",
                hint="make room first",
            )
        with explained(self.name), self.engine.connect() as connection:
            driver = cast("sqlite3.Connection", connection.connection.driver_connection)
            for statement in ("PRAGMA auto_vacuum=INCREMENTAL", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
                driver.execute(statement).close()

    def check(self, *, thorough: bool) -> None:
        """Have SQLite read every page; with `thorough`, compare every index with its table too."""
        with self.read() as connection:
            check = "integrity_check(1)" if thorough else "quick_check(1)"
            faults = connection.exec_driver_sql(f"PRAGMA {check}").scalars().all()
        if faults != ["ok"]:
            raise damaged(self.name, str(faults[0]).splitlines()[-1] if faults else "")


class Postgresql(Database):
    """A PostgreSQL database, through psycopg 3."""

    def __init__(self, url: URL) -> None:
        name = url.set(drivername="postgresql").render_as_string(hide_password=True)
        try:
            engine = sa.create_engine(
                watched(url.set(drivername="postgresql+psycopg")),
                pool_pre_ping=True,
                pool_use_lifo=True,
                hide_parameters=True,
            )
        except ImportError as error:
            raise StoreError(
                "PostgreSQL needs the package psycopg, which is not installed here",
                hint="pip install 'newsletter-press[postgres]'",
            ) from error
        self.lines = Lines()
        event.listen(engine, "connect", self.lines.configure)
        super().__init__(engine, name)

    def lock(self, name: str) -> AbstractContextManager[Held]:
        """An advisory lock of a session of its own; the server frees it when the session ends."""
        return advisory_lock(self.engine, name, self.name)

    def size(self) -> int:
        """All tables of ours with their indexes."""
        from newsletter.store.tables import metadata

        with self.read() as connection:
            return sum(
                connection.execute(sa.select(sa.func.pg_total_relation_size(sa.func.to_regclass(table)))).scalar() or 0
                for table in metadata.tables
            )

    def give_back(self) -> None:
        """Nothing: the server does it by itself."""

    def vacuum(self) -> None:
        """Have the server tidy our tables, and count them anew for its plans."""
        from newsletter.store.tables import metadata

        with explained(self.name), self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for table in metadata.tables:
                connection.exec_driver_sql(f"VACUUM (ANALYZE) {table}")

    def check(self, *, thorough: bool) -> None:  # noqa: ARG002
        """Ask the server for a sign of life; its own checksums watch over the pages."""
        with self.read() as connection:
            encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise StoreError(
                f"the database {self.name} stores text as {encoding}", hint="create it with: createdb --encoding=UTF8"
            )


class Memory(Database):
    """A SQLite database in memory, for what must change nothing.

    It has one connection; transactions take turns, and one begun inside
    another on the same thread is part of it.
    """

    def __init__(self) -> None:
        engine = sa.create_engine(
            "sqlite+pysqlite://",
            creator=self._connect,
            poolclass=StaticPool,
            hide_parameters=True,
        )
        super().__init__(engine, "in memory")
        self._turn = threading.RLock()
        self._open: Connection | None = None

    @staticmethod
    def _connect() -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA foreign_keys=ON").close()
        return connection

    def _on_begin(self, connection: Connection) -> None:
        """Begin without a lock: there is nobody else, and a database attached for copying must not be locked."""
        _begin(connection, "BEGIN")

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, or the one this thread is in already."""
        with self._turn:
            if self._open is not None:
                yield self._open
                return
            with super().write() as connection:
                self._open = connection
                try:
                    yield connection
                finally:
                    self._open = None

    read = write

    @contextmanager
    def writer(self) -> Iterator[Callable[[], AbstractContextManager[Connection]]]:
        """The one connection there is, when it is free."""
        yield self.write

    @contextmanager
    def lock(self, name: str) -> Iterator[Held]:  # noqa: ARG002
        """Nobody else sees this database."""
        yield Held()

    def size(self) -> int:
        """Bytes of memory."""
        with self.read() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            return int(pages * connection.exec_driver_sql("PRAGMA page_size").scalar_one())

    def give_back(self) -> None:
        """Nothing: it is gone soon enough."""

    vacuum = give_back

    def check(self, *, thorough: bool) -> None:
        """Memory is taken to be sound."""


def locate(url: str) -> Path | URL:
    """Find out which database a project names: a path, sqlite:///PATH, or postgresql://….

    Raises:
        StoreError: there is no such kind of database.
    """
    if "://" not in url:
        return Path(url)
    try:
        parsed = make_url(url.strip())
        kind = parsed.get_backend_name()
    except (SQLAlchemyError, ValueError) as error:
        # Not shown: it may hold a password.
        raise StoreError("the address of the store cannot be read", hint=_FORMS) from error
    if kind == "sqlite" and parsed.database and parsed.database != ":memory:":
        return Path(parsed.database)
    if kind in ("postgresql", "postgres"):
        return parsed
    raise StoreError(f"a store cannot be {kind}{'' if parsed.database else ' without a file'}", hint=_FORMS)


def connect(where: Path | URL) -> Database:
    """Get ready to use a database that is there; nothing has been asked of it yet.

    Raises:
        StoreError: no driver, or no right to the file.
    """
    if isinstance(where, URL):
        return Postgresql(where)
    _require_usable(where)
    return SqliteFile(where)


_FORMS = "write a path like .newsletter/newsletter.db, or postgresql://user@host/database"


def _require_usable(path: Path) -> None:
    """See to it that the file is there and may be written, before SQLite says it in its own words."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(
            f"SQLite {sqlite3.sqlite_version} is too old: the store needs {'.'.join(map(str, _OLDEST_SQLITE))}",
            hint="use a newer Python, or PostgreSQL",
        )
    path = Path(os.path.realpath(path))
    try:
        status = path.stat()
    except FileNotFoundError:
        raise StoreError(f"there is no database at {path}", hint="newsletter init") from None
    except OSError as error:
        raise StoreError(f"the database {path} cannot be opened: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        raise StoreError(f"the database {path} is a folder", hint="name the file: .newsletter/newsletter.db")
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(f"the database {path} is read-only", hint=f"chmod u+rw {quote(str(path))}")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise StoreError(
            f"the folder {path.parent} is read-only, and the database writes its journal there",
            hint=f"chmod u+rwx {quote(str(path.parent))}",
        )
    if status.st_size == 0:
        # A new database is never seen empty (`schema.make_file`): this one lost what it had.
        raise damaged(str(path), "it is empty")

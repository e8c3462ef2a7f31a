"""The store: the memory of a project, on SQLite or on PostgreSQL.

One object, used from any thread.  Each method is one transaction, named in its
docstring; none leaves a connection open.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from newsletter.clock import Clock, Ids
from newsletter.errors import SchemaError, StoreError
from newsletter.store import schema
from newsletter.store import tables as t
from newsletter.store.backup import back_up, backup_path
from newsletter.store.batches import Batches
from newsletter.store.bounces import Bounces
from newsletter.store.canaries import Canaries
from newsletter.store.connect import Database, Memory, SqliteFile, connect, locate
from newsletter.store.deliveries import Deliveries
from newsletter.store.drafts import Drafts
from newsletter.store.erasing import Erasing
from newsletter.store.freeze import Freeze
from newsletter.store.history import History
from newsletter.store.issues import Issues
from newsletter.store.limits import Limits
from newsletter.store.memory import Elsewhere
from newsletter.store.moving import Moving
from newsletter.store.notices import Notices
from newsletter.store.outages import Outages
from newsletter.store.pace import Pace
from newsletter.store.people import People
from newsletter.store.polling import Polling
from newsletter.store.recipes import Recipes
from newsletter.store.repeating import Repeating
from newsletter.store.rewinding import Rewinding
from newsletter.store.scratch import scratch_copy
from newsletter.store.shards import Shards
from newsletter.store.signups import SignUps
from newsletter.store.statistics import Statistics
from newsletter.store.ticks import Ticks
from newsletter.store.tidying import Tidying
from newsletter.store.trouble import undamaged
from newsletter.store.working import Working


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreInfo:
    """What a database is and holds; `size` in bytes, `counts` rows by table."""

    url_masked: str
    schema: str
    size: int
    counts: Mapping[str, int]


class Store(
    Batches,
    Polling,
    Issues,
    Freeze,
    Deliveries,
    Canaries,
    Drafts,
    Notices,
    Repeating,
    Recipes,
    Bounces,
    Statistics,
    Rewinding,
    SignUps,
    Erasing,
    Limits,
    Ticks,
    People,
    Elsewhere,
    Outages,
    History,
    Moving,
    Tidying,
    Shards,
    Working,
    Pace,
):
    """All that a project remembers.  Open it with `Store.open`; close it, or use it as a context manager."""

    @classmethod
    def open(
        cls,
        url: str,
        *,
        clock: Clock,
        ids: Ids,
        create: bool = True,
        check: bool = True,
        migrate: bool = False,
        on_backup: Callable[[Path], None] = lambda _: None,
    ) -> Self:
        """Open a database, and make it where there is none.

        Args:
            url: a path, sqlite:///PATH or postgresql://….
            clock: the source of every time it writes.
            ids: the source of its secrets.
            create: make the file and the tables if they are missing.
            check: look for damage of the structure first; `Store.check` looks harder.
            migrate: bring an older schema up to date instead of refusing it.
            on_backup: told where a SQLite file was backed up before that.

        Raises:
            SchemaError: an older or a newer version of the program wrote it.
            StoreError: it cannot be reached, read or written, is damaged, or is
                no database of this program.
        """
        where = locate(url)
        if create and isinstance(where, Path) and not where.exists():
            schema.make_file(where, ids)
        database = connect(where)
        try:
            if check:
                with undamaged(database.name):
                    database.check(thorough=False)
            _bring_up(database, create=create, migrate=migrate, before=_backed_up(clock, ids, on_backup))
        except BaseException:
            database.close()
            raise
        return cls(database, clock, ids)

    @classmethod
    def in_memory(cls, *, clock: Clock, ids: Ids) -> Self:
        """Make a new store that is gone when it is closed, for this process only."""
        database = Memory()
        with database.write() as connection:
            schema.create(connection)
        return cls(database, clock, ids)

    @staticmethod
    def exists(url: str) -> bool:
        """Whether there is a database already; a server is taken to have one."""
        where = locate(url)
        return not isinstance(where, Path) or where.exists()

    def close(self) -> None:
        """Close every connection; a scratch store is gone then."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def check(self) -> None:
        """Make sure that the database is whole and of this schema; before anything is mailed.

        SQLite reads all of its file and compares every index with its table.
        What no database can notice is another letter inside a text.

        Transaction: two reads.

        Raises:
            SchemaError: another version of the program has changed the schema.
            StoreError: it is damaged, or does not answer.
        """
        with undamaged(self._database.name):
            self._database.check(thorough=True)
        schema.require_current(self._database)

    def migrate(self) -> None:
        """Bring the schema to the newest version; nothing happens if it is that already.

        Transaction: one write, all or nothing.
        """
        schema.migrate(self._database)

    def back_up(self, path: Path) -> int:
        """Write a copy of everything to a file, while others go on working; returns its size in bytes.

        Transaction: one read.

        Raises:
            StoreError: it cannot be written, or is not whole; what was there before stays.
        """
        return back_up(self._database, path, self._ids, now=self._clock.now())

    def vacuum(self) -> None:
        """Write the tables anew, without the room of what was deleted; never while a send runs.

        Transaction: the database's own.

        Raises:
            StoreError: there is no room for it on the disk.
        """
        self._database.vacuum()

    def info(self) -> StoreInfo:
        """What `db info` shows; the address is without its password.

        Transaction: one read.
        """
        size = self._database.size()
        with self._database.read() as connection:
            counts = {
                name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                for name, table in t.metadata.tables.items()
            }
            revision = schema.revision(connection) or ""
        return StoreInfo(url_masked=self._database.name, schema=revision, size=size, counts=counts)

    def lock(self, name: str = "send") -> AbstractContextManager[object]:
        """Keep other processes from the same work; free again when the block ends or the process dies.

        Raises (when entered):
            BusyError: another process holds it.
        """
        return self._database.lock(name)

    def scratch(self, *, clock: Clock | None = None, since: datetime | None = None) -> "Store":
        """A copy in memory to try things on: what changes it changes nothing.

        It has feeds, keys, entries (with the text of those that may still be
        shown), offers, issues without what they sent, suppressions
        and secrets.  It works like any other store, in this process only.

        Args:
            clock: what time the copy takes it to be.
            since: keep also the texts of what issues frozen after this moment used up (`rewind`).

        Transaction: one read.
        """
        return Store(scratch_copy(self._database, since), clock or self._clock, self._ids)


def _backed_up(clock: Clock, ids: Ids, on_backup: Callable[[Path], None]) -> Callable[[SqliteFile], None]:
    def back(database: SqliteFile) -> None:
        now = clock.now()
        path = backup_path(database.path, now, f"before-{schema.REVISIONS[-1]}-")
        back_up(database, path, ids, now=now)
        on_backup(path)

    return back


def _bring_up(
    database: Database, *, create: bool, migrate: bool, before: Callable[[SqliteFile], None] = lambda _: None
) -> None:
    """Make sure the schema is the newest, as far as the caller allows."""
    age = schema.age(database)
    if age is schema.Age.new and not create:
        raise StoreError(f"the database {database.name} is empty", hint="newsletter init")
    if age is schema.Age.older and not migrate:
        raise SchemaError(
            f"the database {database.name} was written by an older version of the program",
            hint="newsletter db migrate",
        )
    if age is schema.Age.older and isinstance(database, SqliteFile):
        before(database)
    if age is not schema.Age.current:
        schema.migrate(database)
    if isinstance(database, SqliteFile):
        # A copy made by other means may have lost it.
        database.use_wal()

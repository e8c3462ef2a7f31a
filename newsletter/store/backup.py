"""A copy of the database as one file, which does not send when it is put back unless somebody says so."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from newsletter.clock import Ids
from newsletter.errors import StoreError
from newsletter.store import schema
from newsletter.store.connect import Database, SqliteFile
from newsletter.store.copying import copy_rows, require_same
from newsletter.store.guard import guard
from newsletter.store.lock import file_lock
from newsletter.store.trouble import damaged, explained

_STAMP: Final = "20260302T070000Z"
_ROOM: Final = "make room and run the same command again"


def back_up(source: Database, path: Path, ids: Ids, *, now: datetime) -> int:
    """Write a copy of the database, as it is at one moment, to a file of mode 0600; returns its size in bytes.

    Others go on working meanwhile, a send included.  The copy is looked through
    before it takes the place of a file of that name.  It says of itself that it
    is a backup of `now`: put back, it sends nothing until somebody decides.

    Raises:
        StoreError: it could not be written, or is not whole.
    """
    with _draft(path, ids) as draft:
        if isinstance(source, SqliteFile):
            _copy_file(source, draft)
        else:
            _copy_rows(source, draft, ids)
        with explained(str(draft)), closing(sqlite3.connect(draft, isolation_level=None)) as copy:
            _mark(copy, ids, f"is a backup of {now:%Y-%m-%d %H:%M} UTC", now)
            # One file, with nothing beside it.
            copy.execute("PRAGMA journal_mode=DELETE").close()
            faults = [row[0] for row in copy.execute("PRAGMA integrity_check(1)")]
            if faults != ["ok"]:
                raise damaged(str(path), faults[0] if faults else "")
        return draft.stat().st_size


def backup_path(database: Path, now: datetime, what: str = "") -> Path:
    """Where a backup of this moment goes unless somebody says otherwise; the names sort by time."""
    return database.parent / "backups" / f"{database.stem}-{what}{now:%Y%m%dT%H%M%SZ}.db"


def older_backups(path: Path, keep: int) -> list[Path]:
    """The backups beside this one that `keep` leaves out, the oldest first; none that was made before a migration."""
    kind = re.compile(re.escape(path.stem[: -len(_STAMP)]) + r"\d{8}T\d{6}Z\.db")
    return sorted(one for one in path.parent.iterdir() if kind.fullmatch(one.name))[:-keep]


def put_back(backup: Path, path: Path, ids: Ids, *, now: datetime) -> Path | None:
    """Put a copy of a backup in the place of the database; says where that is now, None where there was none.

    Nobody may send meanwhile.  What was there takes nothing more, so that whoever
    still has it open is stopped.  The copy has today's schema, and sends nothing
    until somebody decides.

    Raises:
        BusyError: a send is at work.
        StoreError: the backup is not whole or none of ours, or it could not be written: nothing has changed.
    """
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_lock(path.with_name(f"{path.name}.send.lock")):
        fresh = path.with_name(f".{path.name}.put-back")
        try:
            with _draft(fresh, ids) as draft:
                _copy_backup(backup, draft)
            _make_ready(fresh, ids, f"was put back from {backup.name}", now)
            aside = _set_aside(path, now) if path.exists() else None
            fresh.rename(path)
        finally:
            for suffix in ("", "-wal", "-shm"):
                fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
        schema.sync_folder(path.parent)
    return aside


def _copy_backup(backup: Path, draft: Path) -> None:
    with (
        explained(str(backup)),
        closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(draft)) as target,
    ):
        source.backup(target)
        faults = [row[0] for row in target.execute("PRAGMA integrity_check(1)")]
    if faults != ["ok"]:
        raise damaged(str(backup), faults[0] if faults else "")


def _make_ready(path: Path, ids: Ids, why: str, now: datetime) -> None:
    """Bring a copy to today's schema, and let it say of itself what it is if it does not."""
    database = SqliteFile(path)
    try:
        if schema.age(database) is schema.Age.new:
            raise StoreError(
                f"{path.name} is no database of this program", hint="name a file of `newsletter db backup`"
            )
        schema.migrate(database)
    finally:
        database.close()
    with explained(str(path)), closing(sqlite3.connect(path, isolation_level=None)) as copy:
        if not copy.execute("SELECT 1 FROM belonging WHERE held IS NOT NULL").fetchone():
            _mark(copy, ids, why, now)


def _set_aside(path: Path, now: datetime) -> Path:
    """Move a database file out of the way and let it take nothing more; one that is damaged just moves."""
    database = SqliteFile(path)
    with suppress(StoreError), database.write() as connection:
        guard(database, connection)
    database.close()
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    aside = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%S}.old")
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(aside.with_name(aside.name + suffix))
    return aside


@contextmanager
def _draft(path: Path, ids: Ids) -> Iterator[Path]:
    """A new file beside `path` that takes its place when the block ends well."""
    draft = path.with_name(f".{path.name}.{ids.token()[:8]}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        try:
            yield draft
            _flush(draft)
            draft.replace(path)
            schema.sync_folder(path.parent)
        finally:
            for suffix in ("", "-wal", "-shm", "-journal"):
                draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}", hint=_ROOM) from error


def _copy_file(source: SqliteFile, draft: Path) -> None:
    """SQLite's own way (sqlite.org/backup.html), all pages in one step: one moment, and nobody waits for it."""
    with (
        explained(source.name),
        source.engine.connect() as connection,
        closing(sqlite3.connect(draft)) as target,
    ):
        original: Any = connection.connection.driver_connection
        original.backup(target)


def _copy_rows(source: Database, draft: Path, ids: Ids) -> None:
    """Row by row into tables of SQLite, in one snapshot of the other database."""
    draft.unlink()
    # Made anew with all tables; the name is ours already.
    schema.make_file(draft, ids)
    target = SqliteFile(draft)
    try:
        with target.write() as writing, explained(source.name), source.engine.connect() as connection:
            reading = connection.execution_options(isolation_level="REPEATABLE READ")
            with reading.begin():
                copied = copy_rows(reading, writing)
            require_same(writing, copied)
    finally:
        target.close()


def _mark(copy: sqlite3.Connection, ids: Ids, why: str, now: datetime) -> None:
    """Write into the copy that it is one; a schema of before this was known has no place for it."""
    if not copy.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'belonging'").fetchone():
        return
    moment = now.isoformat(timespec="microseconds")
    if not copy.execute("UPDATE belonging SET held = ?, held_at = ?", (why, moment)).rowcount:
        copy.execute(
            "INSERT INTO belonging (id, project, places, sends, held, held_at) VALUES (1, ?, '[]', 0, ?, ?)",
            (ids.token(), why, moment),
        )


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

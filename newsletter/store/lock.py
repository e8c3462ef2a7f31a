"""Locks between processes: held by one, seen by all, gone with the process.

No lease and no time limit, so nothing is left behind by `kill -9` and no clock
decides (ARCHITECTURE.md, "The outbox").
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from newsletter.errors import BusyError, StoreError
from newsletter.store.trouble import explained

_BUSY_HINT = "wait for it to finish, or stop it: what it has not sent stays in the outbox"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that is held, and the number that was last written beside it; 0 where none was."""

    descriptor: int | None = None
    seen: int = 0

    def write(self, number: int) -> None:
        """Leave a number for whoever holds it next; a lock without a file forgets it."""
        if self.descriptor is not None:
            written = f"{os.getpid()}\n{number}\n".encode()
            os.pwrite(self.descriptor, written, 0)
            os.ftruncate(self.descriptor, len(written))


@contextmanager
def file_lock(path: Path) -> Iterator[Held]:
    """Hold `path` locked (flock(2)); the file stays, its lock does not.

    Raises:
        BusyError: another process holds it; names that process.
        StoreError: the file system cannot lock.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(f"the lock {path} cannot be made: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder, _ = _content(descriptor)
            who = f"process {holder}" if holder.isdigit() else "another process"
            raise BusyError(f"{who} is at work on this project", hint=_BUSY_HINT) from error
        except OSError as error:
            raise StoreError(f"the lock {path} cannot be taken: {error.strerror}") from error
        held = Held(descriptor, _content(descriptor)[1])
        held.write(held.seen)
        yield held
    finally:
        os.close(descriptor)


def number_beside(path: Path) -> int:
    """The number in a lock's file, without taking the lock; 0 where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        return _content(descriptor)[1]
    finally:
        os.close(descriptor)


def _content(descriptor: int) -> tuple[str, int]:
    """Who holds, or held, the lock, and the number beside it."""
    holder, _, number = os.pread(descriptor, 60, 0).decode("ascii", "replace").partition("\n")
    return holder.strip(), int(number) if number.strip().isdecimal() else 0


@contextmanager
def advisory_lock(engine: Engine, name: str, database: str) -> Iterator[Held]:
    """Hold PostgreSQL's advisory lock of this name in this schema, on a session of its own.

    Raises:
        BusyError: another session holds it.
    """
    with explained(database):
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            # Never back into the pool: the lock belongs to the session.
            connection.detach()
            schema = connection.execute(sa.select(sa.func.current_schema())).scalar_one()
            taken = connection.execute(sa.select(sa.func.pg_try_advisory_lock(lock_number(schema, name)))).scalar_one()
        except BaseException:
            connection.close()
            raise
    try:
        if not taken:
            raise BusyError("another process is at work on this project", hint=_BUSY_HINT)
        yield Held()
    finally:
        # The end of the session frees it too, but a little later than whoever comes next may ask.
        with suppress(SQLAlchemyError):
            connection.execute(sa.select(sa.func.pg_advisory_unlock_all()))
        connection.close()


def is_free(connection: Connection, name: str) -> bool:
    """Whether no session holds PostgreSQL's advisory lock of this name; nobody else gets it before the transaction ends."""
    schema = connection.execute(sa.select(sa.func.current_schema())).scalar_one()
    wanted = sa.select(sa.func.pg_try_advisory_xact_lock_shared(lock_number(schema, name)))
    return bool(connection.execute(wanted).scalar_one())


def lock_number(schema: str, name: str) -> int:
    """The 64-bit number PostgreSQL knows a named lock by; signed, as its bigint is."""
    return int.from_bytes(sha256(f"newsletter\0{schema}\0{name}".encode()).digest()[:8], "big", signed=True)

"""What goes wrong inside a database, in words a person can act on.

SQLite is told by its result codes (https://www.sqlite.org/rescode.html),
PostgreSQL by its SQLSTATE classes (PostgreSQL manual, appendix A).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from newsletter.errors import BusyError, MovedError, StoreError
from newsletter.text import one_line

_RESTORE = "nothing was mailed; restore it from a backup, or move it away to begin anew"

#: What a database says whose content is in another one by now (`guard`).
MOVED = "the state of this project has moved to another database"

#: SQLite result code (its first word) → the rest of the sentence, and the hint.
_SQLITE = {
    "SQLITE_CORRUPT": ("is damaged", _RESTORE),
    "SQLITE_NOTADB": ("is not a database, or is damaged", _RESTORE),
    "SQLITE_FULL": ("cannot grow: the disk is full", "make room and run the same command again: nothing is lost"),
    "SQLITE_IOERR": ("could not be read or written", "look at the disk, then run the same command again"),
    "SQLITE_READONLY": ("is read-only", "give yourself the right to write the file and its folder"),
    "SQLITE_CANTOPEN": ("cannot be opened", "give yourself the right to write the file and its folder"),
    "SQLITE_PERM": ("cannot be opened", "give yourself the right to write the file and its folder"),
    "SQLITE_AUTH": ("cannot be opened", "give yourself the right to write the file and its folder"),
}

#: SQLSTATE or its first two characters → the same; the longest match counts.
_POSTGRESQL = {
    "53100": ("cannot grow: its disk is full", "make room and run the same command again: nothing is lost"),
    "53300": ("has no connection left", "raise max_connections, or run fewer workers"),
    "25006": ("is read-only", "use the primary server, not a replica"),
    "25P03": ("has not waited any longer for this program", "run the same command again: nothing is lost"),
    "28": ("refuses the user or the password", "look at user and password in `store`, or in NEWSLETTER_STORE"),
    "3D": ("does not exist", "create it: createdb NAME"),
    "42501": ("refuses what the user is not allowed to do", "grant the user the right to create and write tables"),
    "42P01": ("lacks a table", "newsletter db migrate"),
    "42703": ("lacks a column", "newsletter db migrate"),
    "57": ("has shut the connection", "run the same command again when the server is back: nothing is lost"),
    "08": ("cannot be reached", "start the server, or correct `store`"),
    "XX001": ("is damaged", _RESTORE),
    "XX002": ("is damaged", "rebuild its indexes with REINDEX; nothing was mailed"),
}

_BUSY = "wait until the other command is done, then run the same command again"


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn the database's exceptions into ours; `name` says which database.

    Raises:
        BusyError: another process has kept the database locked for too long.
        StoreError: anything else the database could not do.
    """
    try:
        yield
    except SQLAlchemyError as error:
        raise explain(error, name) from error
    except sqlite3.Error as error:
        raise _sqlite(error, name) from error


@contextmanager
def undamaged(name: str) -> Iterator[None]:
    """Take a text that is no UTF-8 for damage; for reading a schema and for checks.

    SQLite hands out its own messages with the bytes it found in them.
    """
    try:
        yield
    except UnicodeDecodeError as error:
        raise damaged(name, "its schema is no text any more") from error


def damaged(name: str, how: str) -> StoreError:
    """The sentence for a database that is not what it was."""
    return StoreError(f"the database {name} is damaged ({one_line(how, 200)})", hint=_RESTORE)


def explain(error: SQLAlchemyError, name: str) -> StoreError:
    """The sentence for one exception of SQLAlchemy or of the driver beneath it."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    if cause is not None and MOVED in str(cause):
        return MovedError(
            f"{MOVED}; nothing is written to {name} any more",
            hint="name the new one as `store` in newsletter.yaml, and start again what runs",
        )
    if isinstance(error, IntegrityError):
        return StoreError(
            f"the database {name} refuses a change that contradicts what it holds: {_first_line(cause)}",
            hint="another command changed the same rows meanwhile: run this one again",
        )
    if isinstance(cause, sqlite3.Error):
        return _sqlite(cause, name)
    if isinstance(error, DBAPIError) and cause is not None:
        return _postgresql(error, cause, name)
    return StoreError(f"the database {name} could not be used: {_first_line(error)}")


def _sqlite(error: sqlite3.Error, name: str) -> StoreError:
    code = str(getattr(error, "sqlite_errorname", None) or "")
    family = "_".join(code.split("_")[:2])
    if family in ("SQLITE_BUSY", "SQLITE_LOCKED"):
        return BusyError(f"another command is writing to the database {name}", hint=_BUSY)
    if family in _SQLITE:
        words, hint = _SQLITE[family]
        return StoreError(f"the database {name} {words} ({_first_line(error)})", hint=hint)
    if "decode" in str(error):
        # Text that is no UTF-8: nobody wrote that, the disk did.
        return damaged(name, "a text is no text any more")
    if str(error).startswith(("no such column", "no such table")):
        # Which revision it is was looked at when it was opened: what that has cannot be missing.
        return damaged(name, _first_line(error))
    return StoreError(f"the database {name} could not be used: {_first_line(error)}")


def _postgresql(error: DBAPIError, cause: BaseException, name: str) -> StoreError:
    state = str(getattr(cause, "sqlstate", None) or "")
    if state in ("55P03", "40P01", "40001"):
        return BusyError(f"another command is writing to the database {name}", hint=_BUSY)
    for code in (state, state[:2]):
        if code in _POSTGRESQL:
            words, hint = _POSTGRESQL[code]
            return StoreError(f"the database {name} {words} ({_first_line(cause)})", hint=hint)
    if not state and ("password" in str(cause) or "authentication" in str(cause)):
        words, hint = _POSTGRESQL["28"]
        return StoreError(f"the database {name} {words} ({_first_line(cause)})", hint=hint)
    if error.connection_invalidated or (not state and isinstance(error, OperationalError | InterfaceError)):
        # No SQLSTATE: the server never answered, or the connection is gone.
        words, hint = _POSTGRESQL["3D" if "does not exist" in str(cause) else "08"]
        return StoreError(f"the database {name} {words} ({_first_line(cause)})", hint=hint)
    return StoreError(f"the database {name} could not be used: {_first_line(cause)}")


def _first_line(error: BaseException | None) -> str:
    """What the database itself said, as one line; never the rows or addresses it was about."""
    lines = str(error).strip().splitlines() if error is not None else []
    return one_line(lines[0], 200).rstrip(".") if lines else "it gave no reason"

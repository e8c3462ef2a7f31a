"""What a rehearsal counts per message and per recipient: on disk, so that memory stays flat however many they are."""

import sqlite3
from collections.abc import Sequence
from zlib import crc32

_TABLES = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -8000;
    CREATE TABLE taken (id TEXT PRIMARY KEY, copies INTEGER, checksum INTEGER) WITHOUT ROWID;
    CREATE TABLE visits (recipient TEXT PRIMARY KEY, times INTEGER) WITHOUT ROWID;
    BEGIN;
"""


class Tally:
    """How often each message was taken, and how often each recipient was asked for.

    A database of SQLite's temporary kind: a file without a name that is gone
    when this is closed.
    """

    def __init__(self) -> None:
        #: Messages taken, copies included.
        self.total = 0
        #: Messages taken, each counted once.
        self.distinct = 0
        #: Copies that were not, byte for byte, what the first one was.
        self.changed = 0
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)

    @property
    def duplicates(self) -> int:
        """How many copies there were beside the first ones."""
        return self.total - self.distinct

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def take(self, message_id: str, message: bytes) -> None:
        """Count a message."""
        checksum = crc32(message)
        self.total += 1
        first = self._database.execute("SELECT checksum FROM taken WHERE id = ?", (message_id,)).fetchone()
        if first is None:
            self.distinct += 1
            self._database.execute("INSERT INTO taken VALUES (?, 1, ?)", (message_id, checksum))
            return
        self.changed += first[0] != checksum
        self._database.execute("UPDATE taken SET copies = copies + 1 WHERE id = ?", (message_id,))

    def visit(self, recipient: str) -> int:
        """Count an attempt to reach somebody; the how-manieth it is."""
        execute = self._database.execute
        if execute("UPDATE visits SET times = times + 1 WHERE recipient = ?", (recipient,)).rowcount:
            (times,) = execute("SELECT times FROM visits WHERE recipient = ?", (recipient,)).fetchone()
            return int(times)
        execute("INSERT INTO visits VALUES (?, 1)", (recipient,))
        return 1

    def copies(self, message_ids: Sequence[str]) -> dict[str, int]:
        """How often each of these messages was taken; those that never were are not in it."""
        marks = ",".join("?" * len(message_ids))
        found = self._database.execute(f"SELECT id, copies FROM taken WHERE id IN ({marks})", message_ids)  # noqa: S608
        return dict(found.fetchall())

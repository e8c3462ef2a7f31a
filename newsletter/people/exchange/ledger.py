"""What lists have said of each person, by key: on disk, for there may be a million of them."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from newsletter.model import SuppressionReason
from newsletter.people.exchange.standing import Standing, never

_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8192;
CREATE TABLE willing (key TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE doubtful (key TEXT PRIMARY KEY, place TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE forbidden (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, place TEXT NOT NULL, email TEXT NOT NULL,
    reason TEXT NOT NULL, why TEXT NOT NULL
);
BEGIN;
"""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Somebody a list forbids: by the strongest word, which stands at `place`."""

    key: str
    place: str
    email: str
    standing: Standing


class Ledger:
    """Who may be mailed by which row, who must not be, and who is in doubt.

    A database of SQLite's temporary kind: a file without a name that is gone
    when this is closed.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.executescript(_TABLES)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def willing(self, key: str, place: str) -> str | None:
        """Note the first row by which a person may be mailed; returns the place of the first, if this is another."""
        return self._first("willing", key, place)

    def not_willing(self, key: str) -> None:
        """Take back that a row of theirs can be used."""
        self._database.execute("DELETE FROM willing WHERE key = ?", (key,))

    def doubt(self, key: str, place: str) -> None:
        """Note that a row about a person cannot be used."""
        self._first("doubtful", key, place)

    def _first(self, table: str, key: str, place: str) -> str | None:
        new = self._database.execute(f"INSERT OR IGNORE INTO {table} VALUES (?, ?)", (key, place))  # noqa: S608
        if new.rowcount:
            return None
        return str(self._database.execute(f"SELECT place FROM {table} WHERE key = ?", (key,)).fetchone()[0])  # noqa: S608

    def forbidden(self, key: str) -> Forbidden | None:
        """What forbids a person."""
        return self.forbidden_among([key]).get(key)

    def forbid(self, one: Forbidden) -> None:
        """Note what forbids a person, instead of what did so before; they keep their place in the order."""
        self._database.execute(
            "INSERT INTO forbidden (key, place, email, reason, why) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (key) DO UPDATE SET place = excluded.place, email = excluded.email, "
            "reason = excluded.reason, why = excluded.why",
            (one.key, one.place, one.email, (one.standing.reason or SuppressionReason.manual).value, one.standing.why),
        )

    def forbidden_among(self, keys: Collection[str]) -> Mapping[str, Forbidden]:
        """Those of these people who must not be mailed."""
        marks = ",".join("?" * len(keys))
        found = self._database.execute(
            f"SELECT key, place, email, reason, why FROM forbidden WHERE key IN ({marks})",  # noqa: S608
            tuple(keys),
        )
        return {row[0]: _forbidden(*row) for row in found}

    def doubtful_among(self, keys: Collection[str]) -> Mapping[str, str]:
        """Those of these people of whom a row cannot be used, and its place."""
        marks = ",".join("?" * len(keys))
        return dict(
            self._database.execute(f"SELECT key, place FROM doubtful WHERE key IN ({marks})", tuple(keys))  # noqa: S608
        )

    def all_forbidden(self) -> Iterator[list[Forbidden]]:
        """Everybody who must not be mailed, in the order in which they came, some at a time."""
        after = 0
        while True:
            rows = self._database.execute(
                "SELECT number, key, place, email, reason, why FROM forbidden WHERE number > ? ORDER BY number LIMIT ?",
                (after, _AT_ONCE),
            ).fetchall()
            if not rows:
                return
            yield [_forbidden(*row[1:]) for row in rows]
            after = rows[-1][0]


def _forbidden(key: str, place: str, email: str, reason: str, why: str) -> Forbidden:
    return Forbidden(key, place, email, never(SuppressionReason(reason), why))

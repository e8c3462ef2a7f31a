"""All rows of one database into another, of the same kind or the other, and whether they arrived.

Rows are streamed and compared by count and by a sum of their hashes, which needs
no order: the two databases sort texts differently.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import StoreError
from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.rows import in_chunks
from newsletter.store.types import Moment

#: Rows at a time; of tables with whole letters and pictures in a row, fewer.
_ROWS: Final = 500
_WIDE: Final = 10
_WIDE_TABLES: Final = frozenset({"renderings", "pictures", "reports", "entry_versions"})
#: Whose a database is does not travel: it says where.  Nor does who works on it.
_STAYS: Final = frozenset({"belonging", "workers", "circuits"})
_MODULUS: Final = 1 << 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """How many rows a table has, and what they add up to."""

    rows: int
    content: int


def copy_rows(
    source: Connection, target: Connection, *, on_rows: Callable[[int], None] = lambda _: None
) -> dict[str, Sum]:
    """Copy every table in the order of the foreign keys; what is in the way must be gone.

    Args:
        source: sees one moment, whatever others do.
        target: in a transaction that the caller commits, or does not.
        on_rows: told how many more are there.

    Returns:
        what was written, by table.
    """
    done = {}
    for table in _tables():
        total = _Adder()
        insert = sa.insert(table)
        for rows in in_chunks(_rows(source, table), _size(table)):
            total.add(rows)
            target.execute(insert, [dict(zip(table.columns.keys(), row, strict=True)) for row in rows])
            on_rows(len(rows))
        done[table.name] = total.sum
    return done


def require_same(target: Connection, copied: dict[str, Sum]) -> None:
    """Read everything back.

    Raises:
        StoreError: something has arrived otherwise than it was sent.
    """
    for table in _tables():
        total = _Adder()
        for rows in in_chunks(_rows(target, table), _size(table)):
            total.add(rows)
        if total.sum != copied[table.name]:
            raise StoreError(
                f"the copy of {table.name} is not what was copied: {total.sum.rows:,} rows of {copied[table.name].rows:,}",
                hint="nothing has changed; look at the disk and at the database server",
            )


def clear(database: Database, connection: Connection) -> None:
    """Delete all rows of all tables but the one that says whose they are."""
    names = [table.name for table in reversed(_tables())]
    if database.is_sqlite:
        for name in names:
            connection.exec_driver_sql(f"DELETE FROM {name}")  # noqa: S608 - names of ours
    else:
        connection.exec_driver_sql(f"TRUNCATE {', '.join(names)}")


def count_rows(connection: Connection) -> int:
    """How many rows there are in all."""
    return sum(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() for table in _tables())


def set_sequences(database: Database, connection: Connection) -> None:
    """Let new ids follow those that were copied; SQLite does so by itself."""
    if database.is_sqlite:
        return
    for table in t.metadata.sorted_tables:
        for column in table.primary_key:
            sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))).scalar()
            if sequence is not None:
                last = connection.execute(sa.select(sa.func.max(column))).scalar() or 0
                connection.execute(sa.select(sa.func.setval(sequence, last + 1, False)))


def lock_all(database: Database, connection: Connection) -> None:
    """Let nobody else write until the transaction ends; SQLite's write lock does it already."""
    for table in t.metadata.sorted_tables:
        database.lock_table(connection, table, "EXCLUSIVE")


class _Adder:
    def __init__(self) -> None:
        self._rows = 0
        self._content = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        self._rows += len(rows)
        for row in rows:
            self._content += int.from_bytes(sha256(repr(tuple(row)).encode("utf-8", "surrogatepass")).digest(), "big")

    @property
    def sum(self) -> Sum:
        return Sum(rows=self._rows, content=self._content % _MODULUS)


def _rows(connection: Connection, table: sa.Table) -> Iterator[Sequence[Any]]:
    yield from connection.execute(sa.select(table).execution_options(yield_per=_size(table)))


def _size(table: sa.Table) -> int:
    return _WIDE if table.name in _WIDE_TABLES else _ROWS


@cache
def _tables() -> tuple[sa.Table, ...]:
    """Our tables with plain columns: words and JSON travel as the texts that they are."""
    plain = sa.MetaData()
    return tuple(
        sa.Table(table.name, plain, *(sa.Column(column.name, _plain(column.type)) for column in table.columns))
        for table in t.metadata.sorted_tables
        if table.name not in _STAYS
    )


def _plain(kind: Any) -> Any:
    if isinstance(kind, Moment | sa.LargeBinary | sa.Boolean | sa.Integer | sa.Float):
        return kind
    return sa.Text()

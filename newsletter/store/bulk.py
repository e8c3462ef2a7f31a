"""Many rows in one statement, the way each database likes it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from newsletter.errors import StoreError
from newsletter.store.connect import Database
from newsletter.store.prepared import cursor_of


def insert_new(
    database: Database,
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    unique: Sequence[str],
) -> None:
    """Insert rows that all have the same columns, leaving out those whose `unique` columns are there already.

    Of two such rows among the new ones the first stays.
    """
    insert = database.insert(table).on_conflict_do_nothing(index_elements=unique)
    if database.is_sqlite:
        connection.execute(insert, list(rows))
        return
    # One JSON text instead of a thousand parameter lists: half the work for psycopg and for the server.
    columns = [table.c[name] for name in rows[0]]
    new = records(columns, "rows", name="new")
    names = [column.name for column in columns]
    connection.execute(
        insert.from_select(names, sa.select(*new.c)),
        {"rows": as_json(connection, columns, rows)},
    )


def records(columns: Sequence[sa.Column[Any]], parameter: str, *, name: str) -> sa.TableValuedAlias:
    """Rows that a statement for PostgreSQL gets as one parameter, made by `as_json`; it calls them by `name`."""
    return (
        sa.func.json_to_recordset(sa.cast(sa.bindparam(parameter, type_=sa.Text), sa.JSON))
        .table_valued(*(sa.column(column.name, column.type) for column in columns))
        .render_derived(name=name, with_types=True)
    )


def as_json(connection: Connection, columns: Sequence[sa.Column[Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as what `records` reads, each value as its column stores it; what is in no column is left out."""
    processors = {column.name: column.type.bind_processor(connection.dialect) for column in columns}
    plain = [
        {name: row[name] if process is None else process(row[name]) for name, process in processors.items()}
        for row in rows
    ]
    return json.dumps(plain, default=datetime.isoformat)


#: What a statement of `write_rows` has become for a database: its SQL, whether its parameters are named by their
#: order alone, and of each its name, what makes its value storable, and the value that stands where no row has one.
_Plan = tuple[str, bool, list[tuple[str, Callable[[Any], Any] | None, Any]]]
_PLANS: Final = dict[tuple[str, str], _Plan]()


def write_rows(
    connection: Connection,
    name: str,
    statement: Callable[[], Any],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Execute one statement for many rows, by the driver alone.

    A small part of the work of `Connection.execute`, which looks at every value of every row.

    Args:
        connection: an open writing transaction.
        name: of the statement; the same name is always the same statement and the same columns.
        statement: makes it, at its first use: INSERT, or UPDATE with `bindparam`s.
        columns: names of the columns, or of the `bindparam`s.
        rows: the values of each row, in that order.

    Raises:
        StoreError: a value is none that its column can hold.
    """
    given = dict(zip(columns, zip(*rows, strict=True), strict=False))
    if not given:
        return
    count = len(next(iter(given.values())))
    dialect = connection.dialect
    plan = _PLANS.get((name, dialect.name))
    if plan is None:
        plan = _PLANS[name, dialect.name] = _planned(statement(), columns, dialect)
    sql, is_positional, parameters = plan
    try:
        written = [
            _storable(given[key], process) if key in given else _storable([default] * count, process)
            for key, process, default in parameters
        ]
    except (ValueError, TypeError) as error:
        raise StoreError(f"what is to be written ({name}) cannot be stored: {error}") from error
    ready: list[Any] = list(zip(*written, strict=True))
    if not is_positional:
        names = [key for key, _, _ in parameters]
        ready = [dict(zip(names, row, strict=True)) for row in ready]
    with cursor_of(connection) as cursor:
        cursor.executemany(sql, ready)


def _planned(statement: Any, columns: Sequence[str], dialect: Dialect) -> _Plan:
    compiled = statement.compile(dialect=dialect, column_keys=list(columns) if statement.is_insert else None)
    parameters = [
        (key, compiled.binds[key].type.bind_processor(dialect), compiled.params[key])
        for key in (compiled.positiontup or compiled.params)
    ]
    return str(compiled), bool(compiled.positional), parameters


def _storable(values: Sequence[Any], process: Callable[[Any], Any] | None) -> Sequence[Any]:
    """A column, as the driver wants it; what stands in one row after the other is made so once."""
    if process is None:
        return values
    found, last, ready = [], object(), None
    for value in values:
        if value is not last:
            last, ready = value, process(value)
        found.append(ready)
    return found

"""Many rows in one statement, the way each database likes it."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

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
    processors = {column.name: column.type.bind_processor(connection.dialect) for column in columns}
    plain = [
        {name: value if (process := processors[name]) is None else process(value) for name, value in row.items()}
        for row in rows
    ]
    records = (
        sa.func.json_to_recordset(sa.cast(sa.bindparam("rows", type_=sa.Text), sa.JSON))
        .table_valued(*(sa.column(column.name, column.type) for column in columns))
        .render_derived(name="new", with_types=True)
    )
    connection.execute(
        insert.from_select(list(processors), sa.select(*records.c)),
        {"rows": json.dumps(plain, default=datetime.isoformat)},
    )


#: What a statement of `write_rows` has become for a database: its SQL, and its parameters in order, each with
#: what makes its value storable and the value that stands where a row has none.
_Plan = tuple[str, bool, list[tuple[str, Callable[[Any], Any] | None, Any]]]
_PLANS: Final = dict[tuple[str, str], _Plan]()


def write_rows(
    connection: Connection, name: str, statement: Callable[[], Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Execute one statement for many rows that all have the same columns, by the driver alone.

    A small part of the work of `Connection.execute`, which looks at every value of every row.

    Args:
        connection: an open writing transaction.
        name: of the statement; the same name is always the same statement and the same columns.
        statement: makes it, at its first use: INSERT, or UPDATE with `bindparam`s.
        rows: values by column, or by name of a `bindparam`.

    Raises:
        StoreError: a value is none that its column can hold.
    """
    if not rows:
        return
    dialect = connection.dialect
    plan = _PLANS.get((name, dialect.name))
    if plan is None:
        wanted = statement()
        columns = list(rows[0]) if wanted.is_insert else None
        compiled = wanted.compile(dialect=dialect, column_keys=columns)
        parameters = [
            (key, compiled.binds[key].type.bind_processor(dialect), compiled.params[key])
            for key in (compiled.positiontup or compiled.params)
        ]
        plan = _PLANS[name, dialect.name] = (str(compiled), bool(compiled.positional), parameters)
    sql, is_positional, parameters = plan
    columns_of: list[list[Any]] = []
    try:
        for key, process, default in parameters:
            values = [row.get(key, default) for row in rows]
            columns_of.append(values if process is None else [process(value) for value in values])
    except (ValueError, TypeError) as error:
        raise StoreError(f"what is to be written ({name}) cannot be stored: {error}") from error
    written: list[Any] = list(zip(*columns_of, strict=True))
    if not is_positional:
        names = [key for key, _, _ in parameters]
        written = [dict(zip(names, row, strict=True)) for row in written]
    with cursor_of(connection) as cursor:
        cursor.executemany(sql, written)

"""Statements compiled once for a database, for where one runs for every few messages.

SQLAlchemy writes the SQL and knows how each type is stored; what it does anew
at every execution (looking up the compiled form, gathering parameters) costs
several times what SQLite takes to do the work.  Here that is done once.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError

Process = Callable[[Any], Any]


class Prepared:
    """One statement for one dialect.

    Args:
        statement: SELECT or UPDATE, without `expanding` parameters.
        dialect: of the database it will run on.
    """

    def __init__(self, statement: sa.Select[Any] | sa.Update, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._sql = str(compiled)
        self._is_positional = compiled.positiontup is not None
        self._given: dict[str, Process | None] = {}
        self._fixed: dict[str, Any] = {}
        for bound, name in compiled.bind_names.items():
            process = _binding(bound.type, dialect)
            if bound.required:
                self._given[name] = process
            else:
                value = bound.effective_value
                self._fixed[name] = value if process is None else process(value)
        self._order: Sequence[str] = compiled.positiontup or [*self._fixed, *self._given]
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self._results = [_reading(column.type, dialect) for column in columns]

    def run(self, connection: Connection, *sets: Mapping[str, Any]) -> None:
        """Execute it for each set of values."""
        with _cursor(connection) as cursor:
            cursor.executemany(self._sql, [self._parameters(values) for values in sets])

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Execute it once; all rows, each value as its column's type reads it."""
        with _cursor(connection) as cursor:
            cursor.execute(self._sql, self._parameters(values))
            found = cursor.fetchall()
        reads = self._results
        return [
            tuple([value if read is None else read(value) for read, value in zip(reads, row, strict=True)])
            for row in found
        ]

    def _parameters(self, values: Mapping[str, Any]) -> Any:
        fixed, given = self._fixed, self._given
        ready = [
            fixed[name]
            if name in fixed
            else values[name]
            if (process := given[name]) is None
            else process(values[name])
            for name in self._order
        ]
        return tuple(ready) if self._is_positional else dict(zip(self._order, ready, strict=True))


@contextmanager
def _cursor(connection: Connection) -> Iterator[Any]:
    """The driver's own cursor; what it raises is raised as SQLAlchemy would."""
    dialect = connection.dialect
    base = dialect.loaded_dbapi.Error
    cursor = connection.connection.cursor()
    try:
        yield cursor
    except base as error:
        raise DBAPIError.instance(None, None, error, base, hide_parameters=True, dialect=dialect) from error
    finally:
        cursor.close()


def among(column: sa.ColumnElement[int], name: str, dialect: Dialect) -> sa.ColumnElement[bool]:
    """Whether a column is one of the numbers in the parameter `name`; the SQL is the same for any number of them.

    What `run` and `rows` are given for it comes from `numbers`.
    """
    if dialect.name == "sqlite":
        each = sa.func.json_each(sa.bindparam(name, type_=sa.Text, required=True)).table_valued("value")
        return column.in_(sa.select(each.c.value))
    return column == sa.any_(sa.bindparam(name, type_=ARRAY(sa.BigInteger), required=True))


def numbers(values: Sequence[int], dialect: Dialect) -> Any:
    """Numbers in the form that `among` compares with."""
    return json.dumps(list(values)) if dialect.name == "sqlite" else list(values)


def _binding(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Process | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reading(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Process | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)

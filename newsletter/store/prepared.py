"""Statements compiled once for a database, for where one runs for every few messages.

SQLAlchemy writes the SQL and knows how each type is stored; what it does anew
at every execution (looking up the compiled form, gathering parameters) costs
several times what SQLite takes to do the work.  Here that is done once.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError

Process = Callable[[Any], Any]
T = TypeVar("T")

_decoded = json.JSONDecoder().decode
_encoded = json.JSONEncoder(default=datetime.isoformat).encode


@contextmanager
def cursor_of(connection: Connection) -> Iterator[DBAPICursor]:
    """A cursor of the driver's own; what that raises is raised as SQLAlchemy would."""
    dialect, cursor = connection.dialect, connection.connection.cursor()
    try:
        yield cursor
    except dialect.loaded_dbapi.Error as error:
        kind = dialect.loaded_dbapi.Error
        raise DBAPIError.instance(None, None, error, kind, hide_parameters=True, dialect=dialect) from error
    finally:
        cursor.close()


class Prepared:
    """One statement for one dialect.

    Args:
        statement: SELECT or UPDATE, without `expanding` parameters; what it selects are numbers and texts.
        dialect: of the database it will run on.
    """

    def __init__(self, statement: sa.Select[Any] | sa.Update, dialect: Dialect) -> None:
        columns = statement.selected_columns if isinstance(statement, sa.Select) else ()
        self._is_query = isinstance(statement, sa.Select)
        #: Python's SQLite lets go of the interpreter for every row; all of them in one need it once.
        self._in_one = isinstance(statement, sa.Select) and dialect.name == "sqlite"
        if isinstance(statement, sa.Select) and self._in_one:
            rows = statement.subquery()
            statement = sa.select(sa.func.json_group_array(sa.func.json_array(*rows.c)))
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
        reads = [_reading(column.type, dialect) for column in columns]
        self._reads = [(at, read) for at, read in enumerate(reads) if read is not None]

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Execute it."""
        self._execute(connection, values)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[list[Any]]:
        """Execute it; all rows, each value as its column's type reads it."""
        found = self._execute(connection, values)
        for row in found:
            for at, read in self._reads:
                row[at] = read(row[at])
        return found

    def _execute(self, connection: Connection, values: Mapping[str, Any]) -> list[list[Any]]:
        """Execute it with a cursor of the driver's own; what that raises is raised as SQLAlchemy would."""
        with cursor_of(connection) as cursor:
            cursor.execute(self._sql, self._parameters(values))
            if self._in_one:
                ((in_one,),) = cursor.fetchall()
                rows: list[list[Any]] = _decoded(in_one)
                return rows
            return list(map(list, cursor.fetchall())) if self._is_query else []

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


_MADE: Final = dict[tuple[Any, str], Any]()


def for_dialect(kind: Callable[[Dialect], T], dialect: Dialect) -> T:
    """What this makes for a kind of database, made once for all that are opened in this process."""
    key = (kind, dialect.name)
    if key not in _MADE:
        _MADE[key] = kind(dialect)
    made: T = _MADE[key]
    return made


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
    return f"[{','.join(map(str, values))}]" if dialect.name == "sqlite" else list(values)


def among_texts(column: sa.ColumnElement[str], name: str, dialect: Dialect) -> sa.ColumnElement[bool]:
    """Whether a column is one of the texts in the parameter `name`, which comes from `texts`."""
    given = sa.bindparam(name, type_=sa.Text, required=True)
    if dialect.name == "sqlite":
        each = sa.func.json_each(given).table_valued("value")
        return column.in_(sa.select(each.c.value))
    return column.in_(sa.select(sa.func.json_array_elements_text(sa.cast(given, sa.JSON))))


def texts(values: Iterable[str]) -> str:
    """Texts in the form that `among_texts` compares with."""
    return _encoded(list(values))


class Records:
    """Any number of records in one parameter, to be read by one statement as a table.

    A statement for all of them lets go of the interpreter once, where
    `executemany` does so for each.

    Args:
        name: of the parameter.
        columns: the table's, with the type of each.
        dialect: of the database the statement will run on.
    """

    def __init__(self, name: str, columns: Mapping[str, sa.types.TypeEngine[Any]], dialect: Dialect) -> None:
        self._bindings = [_binding(kind, dialect) for kind in columns.values()]
        given: sa.ColumnElement[Any] = sa.bindparam(name, type_=sa.Text, required=True)
        if dialect.name == "sqlite":
            each = sa.func.json_each(given).table_valued("value")
            read: list[sa.ColumnElement[Any]] = [
                sa.func.json_extract(each.c.value, f"$[{at}]") for at in range(len(columns))
            ]
        else:
            each = sa.func.jsonb_array_elements(sa.cast(given, JSONB)).table_valued(sa.column("value", JSONB))
            read = [each.c.value.op("->>")(at) for at in range(len(columns))]
        self.table = sa.select(
            *(sa.cast(one, kind).label(column) for one, (column, kind) in zip(read, columns.items(), strict=True))
        ).subquery(name)

    def written(self, records: Iterable[Sequence[Any]]) -> str:
        """Records as the parameter wants them, each with its values in the order of the columns."""
        bindings = self._bindings
        return _encoded(
            [
                [value if bind is None else bind(value) for bind, value in zip(bindings, record, strict=True)]
                for record in records
            ]
        )


def _binding(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Process | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _reading(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Process | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)

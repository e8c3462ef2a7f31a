"""Rows for a database of any revision, past ones included, made from what its tables say of themselves.

A project in the middle of its life: every table has rows, every state occurs,
and what one row names another has.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store.schema import VERSION_TABLE
from tests.store.samples import START

#: Rows that a table gets of each revision.
ROWS = 6
#: Tables of one row.
_SINGLE = {"people_home": 1, "belonging": 1}

_STATES = ("queued", "sent", "sending", "deferred", "unknown", "failed")
_ENVELOPE = {
    "from_name": "The Morning Wire",
    "from_email": "wire@example.com",
    "reply_to": None,
    "list_id": "daily.wire.example.com",
    "list_name": "The Morning Wire",
    "base_url": None,
    "unsubscribe_email": "wire@example.com",
    "language": "en",
    "date": START.isoformat(),
    "boundary": "boundary0123456789",
    "merge_token": "0123456789abcdef0123456789abcdef",
}


def _long_ago(number: int) -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=9000 - number)


def _address(what: str) -> Callable[[int], str]:
    return lambda number: f"{what}{number}@example.com"


#: What stands in a column, by its name or by table and name: a value, several in turn, or a function of the row's number.
_VALUES: dict[str, Any] = {
    # One issue of each revision is in the middle of being sent, and the others are over.
    "deliveries.issue_id": lambda number: number - (number - 1) % ROWS,
    "deliveries.next_attempt_at": lambda number: tuple(
        _long_ago(number) if state == "deferred" else None for state in _STATES
    ),
    "deliveries.settled_at": lambda number: tuple(
        _long_ago(number) if state in ("sent", "failed") else None for state in _STATES
    ),
    # A message that has waited for a year is given up.
    "deliveries.queued_at": lambda _: datetime.now(UTC) - timedelta(hours=1),
    "message_id": lambda number: f"{number:032x}@example.com",
    "pictures.cid": lambda number: f"{number:032x}@wire.example.com",
    "deliveries.key": _address("reader"),
    "deliveries.email": _address("reader"),
    "deliveries.wire_email": _address("reader"),
    "suppressions.key": _address("left"),
    "suppressions.email": _address("left"),
    "people.key": _address("member"),
    "people.email": _address("member"),
    "people.wire_email": _address("member"),
    "issues.state": "open",
    "issues.state_reason": "",
    "issues.digest": "daily",
    "issues.canary": None,
    "issues.released": False,
    "envelope": json.dumps(_ENVELOPE),
    "renderings.key": "en",
    "renderings.fields": "[]",
    "renderings.html": "<html><body><p>Grüße 🗞</p></body></html>",
    "deliveries.state": _STATES,
    "deliveries.rendering": "en",
    "deliveries.merge": "{}",
    "deliveries.format": ("html", "text"),
    "deliveries.doubtful": False,
    "deliveries.last_code": 250,
    "deliveries.attempts": 1,
    "language": "en",
    "format": "html",
    "disposition": ("shown", "headline", "duplicate", "excluded"),
    "suppressions.reason": ("unsubscribed", "bounced", "complained", "manual"),
    "suppressions.digest": "",
    "consents.event": ("subscribed", "unsubscribed"),
    "media_type": "image/png",
    "offers.digest": "weekly",
    "offers.skipped": (None, "not among the newest 3", None),
    "offers.issue_id": None,
    "entries.enclosures": "[]",
    "entries.tags": '["a"]',
    "entries.version": 1,
    "entries.held": False,
    "entries.item_hash": None,
    "entry_versions.entry": "{}",
    "entry_versions.version": 1,
    "reports.kind": ("hard", "soft", "other"),
    "bounces.kind": ("hard", "soft", "other"),
    "bounces.proof": (None, "message_id"),
    "bounces.forgiven": True,
    "digests": '["daily"]',
    "attributes": "{}",
    "tags": "[]",
    "people_home.home": "file",
    "people_home.file": "subscribers.yaml",
    "hints": None,
    "rhythm": None,
    "told": None,
    "gap": None,
    "paused": None,
    "rates": "[]",
    "ticks.outcome": ("sent", "nothing", "late", "failed"),
    "tallies.state": "sent",
    "places": "[]",
    "moved_to": None,
    "held": None,
    "belonging.sends": 0,
    "deliveries.name": "Ada",
}


def tables(connection: Connection) -> list[sa.Table]:
    """The tables that there are, in the order of their foreign keys."""
    found = sa.MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name != VERSION_TABLE]


def fill(connection: Connection, stage: int) -> dict[str, list[dict[str, Any]]]:
    """Give every table rows that no earlier stage has; says which."""
    made: dict[str, list[dict[str, Any]]] = {}
    for table in tables(connection):
        numbers = range(1, 2) if table.name in _SINGLE else range(stage * ROWS + 1, (stage + 1) * ROWS + 1)
        rows = [_row(table, number, is_text=connection.dialect.name == "sqlite") for number in numbers]
        if table.name in _SINGLE and connection.execute(sa.select(table)).first() is not None:
            continue
        connection.execute(sa.insert(table), rows)
        made[table.name] = rows
        for column in _counted(table) if connection.dialect.name == "postgresql" else ():
            sequence = sa.select(sa.func.pg_get_serial_sequence(table.name, column.name)).scalar_subquery()
            connection.execute(sa.select(sa.func.setval(sequence, sa.select(sa.func.max(column)).scalar_subquery())))
    return made


def missing(connection: Connection, made: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    """Rows that are not there any more as they were, by what columns there still are."""
    for table in tables(connection):
        rows = made.get(table.name, [])
        if not rows:
            continue
        names = [name for name in rows[0] if name in table.columns]
        wanted = sa.select(*(table.c[name] for name in names))
        there = {repr([_plain(value) for value in row]) for row in connection.execute(wanted)}
        for row in rows:
            if repr([_plain(row[name]) for name in names]) not in there:
                yield f"{table.name}: {row}"


def _counted(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.primary_key if column.name == "id" and table.name not in _SINGLE]


def _row(table: sa.Table, number: int, *, is_text: bool) -> dict[str, Any]:
    return {column.name: _value(table.name, column, number, is_text=is_text) for column in table.columns}


def _value(table: str, column: sa.Column[Any], number: int, *, is_text: bool) -> Any:
    for key in (f"{table}.{column.name}", column.name):
        if key in _VALUES:
            found = _VALUES[key]
            if callable(found):
                found = found(number)
            value = found[(number - 1) % len(found)] if isinstance(found, tuple) else found
            return value.isoformat(timespec="microseconds") if is_text and isinstance(value, datetime) else value
    if column.name.endswith(("_at", "since", "until")) or isinstance(column.type, sa.DateTime):
        return _long_ago(number).isoformat(timespec="microseconds") if is_text else _long_ago(number)
    return _by_type(column.type, number, f"{table} {column.name} {number} ü")


def _by_type(kind: Any, number: int, text: str) -> Any:
    kinds: dict[Any, Any] = {sa.Boolean: number % 2 == 0, sa.Integer: number, sa.Numeric: 1.5, sa.Float: 1.5}
    kinds[sa.LargeBinary] = bytes([number % 256]) * 32
    return next((value for type_, value in kinds.items() if isinstance(kind, type_)), text)


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return value.isoformat() if isinstance(value, datetime) and value.tzinfo else value

"""Column types that read and write the same on SQLite and on PostgreSQL.

What comes back from a damaged file may be anything: a value that cannot be read
is a `StoreError`, never somebody else's exception.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from newsletter.errors import StoreError

E = TypeVar("E", bound=StrEnum)

#: What one of the two databases cannot hold in a text: PostgreSQL refuses NUL,
#: UTF-8 has no form for half a surrogate pair.  Both arrive from JSON feeds.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Replace what cannot be stored (NUL, lone surrogates) by U+FFFD.

    Two texts are stored alike exactly if this returns the same for both.
    """
    if text.isascii() and "\0" not in text:
        return text
    return _UNSTORABLE.sub("\ufffd", text)


class Text(TypeDecorator[str]):
    """Text of any length and origin."""

    impl = sa.Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:  # noqa: ARG002
        """Make the text storable."""
        return lambda value: None if value is None else storable(value)


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC, exact to the microsecond, comparable in SQL.

    PostgreSQL has a type for it; SQLite gets ISO 8601 of fixed width, which
    sorts as text the way it sorts in time.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, `timestamptz` on PostgreSQL."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.DateTime(timezone=True))

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """Refuse a naive datetime: nobody could say which moment it is."""
        as_text = dialect.name == "sqlite"

        def process(value: datetime | None) -> Any:
            if value is None:
                return None
            if value.tzinfo is not UTC:
                if value.tzinfo is None:
                    raise ValueError(f"{value!r} has no time zone")
                value = value.astimezone(UTC)
            return value.isoformat(timespec="microseconds") if as_text else value

        return process

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002
        """Give back the moment in UTC, whatever zone the session is in."""

        def process(value: Any) -> datetime | None:
            if value is None:
                return None
            try:
                moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
                return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
            except (ValueError, TypeError) as error:
                raise unreadable("a time", value) from error

        return process


class Word(TypeDecorator[E], Generic[E]):
    """A `StrEnum`, stored as its word so that the tables can be read by people."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, words: type[E]) -> None:
        super().__init__()
        self.words = words

    def bind_processor(self, dialect: Dialect) -> Callable[[E | None], str | None]:  # noqa: ARG002
        """Store the word; a text that is no word of this kind is refused."""
        stored: dict[E | None, str | None] = {member: member.value for member in self.words}
        stored[None] = None

        def process(value: E | None) -> str | None:
            try:
                return stored[value]
            except KeyError:
                raise ValueError(f"{value!r} is no {self.words.__name__}") from None

        return process

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], E | None]:  # noqa: ARG002
        """Give back the member."""
        members: dict[Any, E | None] = {member.value: member for member in self.words}
        members[None] = None

        def process(value: Any) -> E | None:
            try:
                return members[value]
            except (KeyError, TypeError) as error:
                raise unreadable(f"a {self.words.__name__}", value) from error

        return process


class Json(TypeDecorator[Any]):
    """Small structured values that are read and written whole, never searched."""

    impl = sa.Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:  # noqa: ARG002
        """Write compact JSON; equal values give equal text."""
        encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
        return lambda value: None if value is None else storable(encode(value))

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002
        """Read it back."""
        decode = json.JSONDecoder().decode

        def process(value: Any) -> Any:
            try:
                return None if value is None else decode(value)
            except (ValueError, TypeError, RecursionError) as error:
                raise unreadable("a record", value) from error

        return process


def unreadable(what: str, value: object) -> StoreError:
    """What to raise where the database holds something that nobody has written."""
    shown = repr(value)
    return StoreError(
        f"the database holds {shown[:40]}{'…' if len(shown) > 40 else ''} where {what} belongs: it is damaged",  # noqa: PLR2004
        hint="restore it from a backup; nothing was mailed",
    )

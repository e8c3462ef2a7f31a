"""The rows of an issue for people who stand in the same database: made there, by one INSERT … SELECT.

What Python decides it decides once for all who are alike: people of one language
and, where each one's own clock counts, one time zone.  The rest of a row (Message-ID,
token, merge fields, whether somebody is barred and why) PostgreSQL computes; the rows
are those that the stream of `Store.freeze` gives, only the way is another.

The stream is taken instead (`address_listed` returns False, and nothing has been written)

* on SQLite, and where the list is at home in a file;
* where the templates decide on the person, so that who is alike cannot be said beforehand;
* where there are more than `MOST_KINDS` kinds of people, or an attribute holds what
  PostgreSQL cannot read out of JSON;
* where somebody on the list changed between the two looks at it, or another process came first
  with a link: then a constraint fails, and a savepoint undoes what was begun.

Why this way, and what it costs: docs/adr/0032-rows-where-people-are.md.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from newsletter.address import RESERVED_DOMAINS, RESERVED_TLDS
from newsletter.model import EVERY_DIGEST, DeliveryState, Home
from newsletter.store import tables as t
from newsletter.store.bulk import as_json, records
from newsletter.store.connect import Database
from newsletter.store.keyed import Keyed, first_bits
from newsletter.store.people import gets
from newsletter.store.suppressions import ANYBODY_ERASED, erased_in_sql
from newsletter.store.types import Json, Moment, Word, storable

#: With more of them, deciding for each kind is no less than deciding for each person.
MOST_KINDS: Final = 5000

_p, _d = t.people.c, t.deliveries.c
_ATTRIBUTE: Final = "subscriber.attributes."
#: As `address.is_reserved` judges the last part of a key.
_RESERVED: Final = rf"[@.]({'|'.join(map(re.escape, (*RESERVED_TLDS, *RESERVED_DOMAINS)))})\.*$"
# What `text.one_line` looks for, in PostgreSQL's spelling: what it takes out, what it makes a blank (white
# space among it), and whether a text has any of it at all, which few have.
_BIDI: Final = r"\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069"
_BLANK: Final = r"\u0001-\u0020\u007F-\u00A0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000\uFFFE\uFFFF"
_UNTIDY: Final = rf"^ |  | $|[{_BIDI}{_BLANK.replace('0020', '001F')}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """What is the same in the rows of all who are alike (see `NewDelivery`).

    `rendering` is the key of theirs, `fields` the `subscriber.*` fields that it needs.
    """

    rendering: str
    fields: tuple[str, ...]
    timezone: str | None
    not_before: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """How the rows of an issue follow from the list in the database.

    Args:
        alike: from a language and a time zone to what people of it get; None where that depends on more.
        by_timezone: whether their time zone counts; if not, `alike` is asked with None.
        without_reserved: whether people at reserved domains get no row.
        tokens: what the tokens of their links are the first bits of.
    """

    alike: Callable[[str | None, str | None], Alike | None]
    by_timezone: bool
    without_reserved: bool
    tokens: Keyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """The issue that rows are made for: its id, its digest, when it was frozen, and how its Message-IDs are made."""

    id: int
    digest: str
    now: datetime
    message_ids: Keyed
    domain: str
    erased: bytes


def address_listed(
    database: Database,
    connection: Connection,
    issue: Numbered,
    listed: Listed,
    *,
    write_renderings: Callable[[], object],
) -> bool:
    """Write the delivery rows and the links of an issue for the list in this database.

    Args:
        database: where the list and the issue are.
        connection: the freeze transaction.
        issue: the issue, which is there already.
        listed: how its rows follow.
        write_renderings: writes the renderings that there are by then.

    Returns:
        whether that was done; if not, no row has been written.
    """
    if database.is_sqlite or connection.execute(sa.select(t.people_home.c.home)).scalar() in (None, Home.file):
        return False
    wanted = gets(issue.digest)
    if listed.without_reserved:
        wanted &= ~_p.key.regexp_match(_RESERVED, flags="i")
    kinds = _kinds(connection, listed, wanted)
    if kinds is None:
        return False
    shapes = list(dict.fromkeys(kind["fields"] for kind in kinds))
    if any(field.startswith(_ATTRIBUTE) for shape in shapes for field in shape) and _has_unreadable(connection):
        return False
    write_renderings()
    # The estimate is of a million rows, for which compiling the plan looks worth its while; it never was.
    connection.exec_driver_sql("SET LOCAL jit = off").close()
    connection.exec_driver_sql("SET LOCAL work_mem = '128MB'").close()
    rows = [{**kind, "shape": shapes.index(kind["fields"])} for kind in kinds]
    statement = _statement(issue, listed, wanted, shapes, anybody_erased=_anybody_erased(connection))
    try:
        with connection.begin_nested():
            connection.execute(statement, {"kinds": as_json(connection, _KIND, rows)})
    except IntegrityError:
        return False
    return True


# ------------------------------------------------------------------ who is alike

#: A value behind a sign, so that none at all is a value too, and joins.
_KIND: Final = (
    sa.Column("language_key", sa.Text),
    sa.Column("timezone_key", sa.Text),
    sa.Column("rendering", sa.Text),
    sa.Column("shape", sa.Integer),
    sa.Column("timezone", sa.Text),
    sa.Column("not_before", Moment),
)


def _kinds(connection: Connection, listed: Listed, wanted: sa.ColumnElement[bool]) -> list[dict[str, Any]] | None:
    """What the kinds of people get, in the order in which the list has the first of each; None where it takes more."""
    timezone = _p.timezone if listed.by_timezone else sa.null()
    found = sa.select(_p.language, sa.cast(timezone, sa.Text).label("zone"), sa.func.min(_p.position).label("first"))
    counted = found.where(wanted).group_by(_p.language, sa.text("zone")).order_by(sa.text("first"))
    kinds: list[dict[str, Any]] = []
    for language, zone, _ in connection.execute(counted.limit(MOST_KINDS + 1)):
        alike = listed.alike(language, zone)
        if alike is None or len(kinds) == MOST_KINDS:
            return None
        kinds.append(
            {
                "language_key": _key_of(language),
                "timezone_key": _key_of(zone),
                "rendering": alike.rendering,
                "fields": alike.fields,
                "timezone": alike.timezone,
                "not_before": alike.not_before,
            }
        )
    return kinds


def _key_of(value: str | None) -> str:
    return "" if value is None else f"={value}"


def _key_in_sql(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.func.coalesce(sa.literal_column("'='", sa.Text).concat(column), sa.literal_column("''"))


def _anybody_erased(connection: Connection) -> bool:
    return bool(connection.execute(sa.select(ANYBODY_ERASED)).scalar())


def _has_unreadable(connection: Connection) -> bool:
    r"""Whether an attribute holds NUL, which PostgreSQL has no text for; written as \u0000 it could be stored."""
    return bool(connection.execute(sa.select(sa.exists().where(_attributes().contains("\\u0000")))).scalar())


# ------------------------------------------------------------------- their rows


def _statement(
    issue: Numbered,
    listed: Listed,
    wanted: sa.ColumnElement[bool],
    shapes: Sequence[tuple[str, ...]],
    *,
    anybody_erased: bool,
) -> Any:
    """Both tables in one statement, which sees one moment: a row for everybody, and a link for every row."""
    kind = records(_KIND, "kinds", name="kind")
    source: Any = t.people.outerjoin(
        kind,
        (_key_in_sql(_p.language) == kind.c.language_key)
        & ((_key_in_sql(_p.timezone) if listed.by_timezone else sa.literal("")) == kind.c.timezone_key),
    )
    barring = sa.select(t.suppressions.c.key).where(t.suppressions.c.digest.in_([EVERY_DIGEST, issue.digest]))
    known = barring.distinct().subquery("known")
    source = source.outerjoin(known, known.c.key == _p.key)
    suppressed: sa.ColumnElement[bool] = known.c.key.is_not(None)
    if anybody_erased:
        erased = barring.distinct().subquery("erased")
        source = source.outerjoin(erased, erased.c.key == erased_in_sql(_p.key, issue.erased))
        suppressed |= erased.c.key.is_not(None)
    pauses = (
        sa.select(t.pauses.c.key, sa.func.max(t.pauses.c.until).label("until"))
        .where(t.pauses.c.digest.in_([EVERY_DIGEST, issue.digest]), t.pauses.c.until > issue.now)
        .group_by(t.pauses.c.key)
        .subquery("paused")
    )
    source = source.outerjoin(pauses, pauses.c.key == _p.key)
    barred = suppressed | pauses.c.until.is_not(None)
    until = sa.func.to_char(sa.func.timezone("UTC", pauses.c.until), "YYYY-MM-DD")
    empty, now = sa.literal_column("''", sa.Text), sa.literal(issue.now, Moment)
    columns = {
        _d.issue_id: sa.literal(issue.id),
        _d.email: _p.email,
        _d.wire_email: _p.wire_email,
        _d.key: _p.key,
        _d.name: _p.name,
        _d.format: _p.format,
        # None where somebody has changed since the kinds were read: the row is refused, and all rows with it.
        _d.rendering: kind.c.rendering,
        _d.merge: _merged(kind.c.shape, shapes),
        _d.message_id: first_bits(issue.message_ids.in_sql(_p.key), "hex").concat("@" + issue.domain),
        _d.state: sa.case((barred, _word(DeliveryState.suppressed)), else_=_word(DeliveryState.queued)),
        _d.attempts: sa.literal_column("0"),
        _d.last_reply: sa.case(
            (suppressed, empty),
            (pauses.c.until.is_not(None), sa.literal_column("'paused until '", sa.Text).concat(until)),
            else_=empty,
        ),
        _d.queued_at: sa.func.coalesce(kind.c.not_before, now),
        _d.next_attempt_at: sa.case((barred, sa.null()), else_=kind.c.not_before),
        _d.timezone: kind.c.timezone,
        _d.settled_at: sa.case((barred, now), else_=sa.null()),
    }
    rows = sa.select(*columns.values()).select_from(source).where(wanted)
    made = (
        sa.insert(t.deliveries).from_select(list(columns), rows, include_defaults=False).returning(_d.key).cte("made")
    )
    token = first_bits(listed.tokens.in_sql(made.c.key), "base64url")
    every = sa.select(token.label("token"), sa.literal(issue.digest).label("digest"), made.c.key)
    # Behind an OFFSET a token is computed once, and not again wherever it is looked at.
    links = every.offset(sa.literal_column("0")).subquery("link")
    # In their order, and without ON CONFLICT, which tries every row first: half the cost.
    is_known = sa.exists().where(t.links.c.token == links.c.token)
    new = sa.select(links.c.token, links.c.digest, links.c.key).where(~is_known).order_by(links.c.token)
    return sa.insert(t.links).from_select(["token", "digest", "key"], new)


def _word(state: DeliveryState) -> sa.ColumnElement[Any]:
    return sa.literal(state, Word(DeliveryState))


def _merged(shape: sa.ColumnElement[int], shapes: Sequence[tuple[str, ...]]) -> sa.ColumnElement[Any]:
    """What `merge_values` gives, as `Json` writes it: which fields are needed differs from rendering to rendering."""
    texts = [_object(fields) for fields in shapes] or [_object(())]
    if len(texts) == 1:
        return texts[0]
    return sa.case(*((shape == number, text) for number, text in enumerate(texts)))


def _object(fields: Sequence[str]) -> sa.ColumnElement[Any]:
    written: sa.ColumnElement[Any] = sa.literal("{")
    for number, field in enumerate(sorted(fields)):
        name = storable(json.dumps(field, ensure_ascii=False))
        written = written.concat(sa.literal(f"{',' if number else ''}{name}:"))
        written = written.concat(sa.cast(sa.func.to_json(_one_line(_value(field))), sa.Text))
    return sa.type_coerce(written.concat(sa.literal("}")), Json)


def _value(field: str) -> sa.ColumnElement[str]:
    if field == "subscriber.name":
        return _p.name
    if field == "subscriber.email":
        return _p.email
    value = sa.cast(_attributes(), sa.JSON).op("->>", return_type=sa.Text())(
        sa.literal(storable(field.removeprefix(_ATTRIBUTE)), sa.Text)
    )
    return sa.func.coalesce(value, sa.literal_column("''"))


def _attributes() -> sa.ColumnElement[str]:
    return sa.type_coerce(_p.attributes, sa.Text)


def _one_line(text: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """`text.one_line`, for PostgreSQL."""
    without = sa.func.regexp_replace(text, f"[{_BIDI}]", "", "g")
    tidied = sa.func.btrim(sa.func.regexp_replace(without, f"[{_BLANK}]+", " ", "g"))
    return sa.case((text.regexp_match(_UNTIDY), tidied), else_=text)

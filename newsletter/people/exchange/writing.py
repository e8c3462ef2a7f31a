"""The people as a table or a file that other programs read, and this one too.

A table never loses what keeps mail from a person: it has their status, or they
are not in it (`Form.has_status`).
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from newsletter.asjson import as_json
from newsletter.model import Subscriber
from newsletter.people.choosing import ACTIVE
from newsletter.people.entry import data_of, written
from newsletter.people.exchange.guard import guarded
from newsletter.people.exchange.rows import words_cell
from newsletter.yamlfile import block_item

#: Somebody and their status, as often as one asks.
People = Iterable[tuple[Subscriber, str]]

#: More attributes than this, and they stand in one cell, as JSON.
_MOST_COLUMNS = 200


@dataclass(frozen=True, slots=True)
class Column:
    """One column of our own table: its name, and what a person has in it."""

    name: str
    value: Callable[[Subscriber, str], str]


#: In this order; `attributes.KEY` come after them.  What is kept of a person elsewhere joins them here.
COLUMNS = (
    Column("email", lambda person, _: person.email),
    Column("name", lambda person, _: person.name),
    Column("status", lambda _, status: status),
    Column("digests", lambda person, _: words_cell(person.digests)),
    Column("language", lambda person, _: person.language or ""),
    Column("format", lambda person, _: person.format.value),
    Column("timezone", lambda person, _: person.timezone or ""),
    Column("tags", lambda person, _: words_cell(person.tags)),
)


def csv_text(people: People) -> Iterator[str]:
    """Our own table: everything that is known, one attribute a column.

    Args:
        people: asked for twice, the first time for the names of their attributes.
    """
    keys = dict.fromkeys(key for person, _ in people for key in person.attributes)
    apart = list(keys) if len(keys) <= _MOST_COLUMNS else []
    together = [] if apart or not keys else ["attributes"]
    yield _line([*(column.name for column in COLUMNS), *(f"attributes.{key}" for key in apart), *together])
    for person, status in people:
        own = [column.value(person, status) for column in COLUMNS]
        more = [person.attributes.get(key, "") for key in apart]
        yield _line([*own, *more, *([_json(person.attributes)] if together else [])])


def _yaml(people: People) -> Iterator[str]:
    is_empty = True
    for person, _ in people:
        is_empty = False
        yield "".join(f"{line}\n" for line in block_item(written(data_of(person)), 0))
    if is_empty:
        yield "[]\n"


def _json_text(people: People) -> Iterator[str]:
    begin = "["
    for person, status in people:
        values = {
            "email": person.email,
            "name": person.name,
            "status": status,
            "digests": person.digests,
            "language": person.language,
            "format": person.format,
            "timezone": person.timezone,
            "tags": person.tags,
            "attributes": person.attributes,
        }
        yield f"{begin}\n  {as_json(values)}"
        begin = ","
    yield "[]\n" if begin == "[" else "\n]\n"


def _mailchimp(people: People) -> Iterator[str]:
    keys = list(dict.fromkeys(key for person, _ in people for key in person.attributes))
    yield _line(["Email Address", "First Name", "Last Name", "Tags", *keys])
    for person, _ in people:
        first, _, last = person.name.partition(" ")
        more = (person.attributes.get(key, "") for key in keys)
        yield _line([person.email, first, last, words_cell(person.tags), *more])


def _listmonk(people: People) -> Iterator[str]:
    yield _line(["email", "name", "attributes"])
    for person, _ in people:
        tags = {"tags": list(person.tags)} if person.tags else {}
        yield _line([person.email, person.name, _json({**person.attributes, **tags})])


def _ghost(people: People) -> Iterator[str]:
    yield _line(["email", "name", "note", "subscribed_to_emails", "labels"])
    for person, status in people:
        wish = "true" if status == ACTIVE else "false"
        yield _line([person.email, person.name, person.attributes.get("note", ""), wish, words_cell(person.tags)])


@dataclass(frozen=True, slots=True)
class Form:
    """A form of the list: who writes it, and whether it says who must not be mailed."""

    write: Callable[[People], Iterator[str]]
    has_status: bool


FORMS = {
    "csv": Form(csv_text, has_status=True),
    "yaml": Form(_yaml, has_status=False),
    "json": Form(_json_text, has_status=True),
    "mailchimp": Form(_mailchimp, has_status=False),
    "listmonk": Form(_listmonk, has_status=False),
    "ghost": Form(_ghost, has_status=True),
}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=dict)


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow([guarded(cell) for cell in cells])
    return buffer.getvalue()

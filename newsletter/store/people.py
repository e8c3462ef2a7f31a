"""The people of the project: the list itself, or what its file says.

Which of the two is a row of its own (`people_home`).  What is only in the table
is never overwritten by what a file says (docs/adr/0016-people-in-the-table.md).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import BusyError, StoreError
from newsletter.model import Format, Home, PeopleHome, Subscriber, subscriber_of
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.bulk import insert_new
from newsletter.store.connect import Memory
from newsletter.store.rows import CHUNK, in_chunks
from newsletter.store.types import storable

#: In the order of the fields of a `Subscriber`, as the database has them: what is read by the hundred thousand is
#: interpreted here, once for each text.
_FIELDS: Final = tuple(
    sa.type_coerce(t.people.c[name], sa.Integer if name == "line" else sa.Text).label(name)
    for name in (
        "email",
        "wire_email",
        "key",
        "name",
        "digests",
        "language",
        "format",
        "timezone",
        "tags",
        "attributes",
        "line",
    )
)
_EVERYBODY: Final = sa.select(*_FIELDS).order_by(t.people.c.position)
_BY_KEYS: Final = sa.select(*_FIELDS).where(t.people.c.key.in_(sa.bindparam("keys", expanding=True)))
_ONE: Final = 1
_FORMATS: Final = {one.value: one for one in Format}


class People(Part):
    """Who is on the list."""

    def people_home(self) -> PeopleHome | None:
        """What the table of people is; None before anybody stood in it.

        Transaction: one read.
        """
        with self._database.read() as connection:
            return _home(connection)

    def people(self, digest: str | None = None) -> Iterator[Subscriber]:
        """Everybody in their order, or who gets a digest, as one moment has them, in memory that does not grow.

        Transaction: one read, which ends with the last person or when the iterator is closed.
        """
        wanted = _EVERYBODY if digest is None else _EVERYBODY.where(gets(digest))
        if isinstance(self._database, Memory):
            # Its one connection is everybody's: what is begun must end before somebody else's turn.
            yield from self._in_pages(wanted)
            return
        with self._database.read() as connection:
            self._database.take_time(connection)
            streaming = connection.execution_options(yield_per=CHUNK, stream_results=True)
            # Left early, it is closed here and not by the garbage collector.
            with streaming.execute(wanted) as found:
                for rows in found.partitions():
                    yield from map(_person, rows)

    def _in_pages(self, wanted: Any) -> Iterator[Subscriber]:
        after = 0
        page = wanted.add_columns(t.people.c.position).limit(CHUNK)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(page.where(t.people.c.position > after)).all()
            yield from map(_person, [row[:-1] for row in rows])
            if len(rows) < CHUNK:
                return
            after = rows[-1].position

    def people_keys(self, digest: str | None = None) -> Iterator[str]:
        """The key of everybody, or of who gets a digest, in memory that does not grow.

        Transaction: one read for each ten thousand.
        """
        wanted = sa.select(t.people.c.key).order_by(t.people.c.key).limit(10 * CHUNK)
        if digest is not None:
            wanted = wanted.where(gets(digest))
        after = ""
        while True:
            with self._database.read() as connection:
                keys = connection.execute(wanted.where(t.people.c.key > after)).scalars().all()
            yield from keys
            if len(keys) < 10 * CHUNK:
                return
            after = keys[-1]

    def count_people(self, digest: str | None = None) -> int:
        """How many there are, or get a digest.

        Transaction: one read.
        """
        wanted = sa.select(sa.func.count()).select_from(t.people)
        with self._database.read() as connection:
            return connection.execute(wanted if digest is None else wanted.where(gets(digest))).scalar_one()

    def people_by_key(self, keys: Iterable[str]) -> dict[str, Subscriber]:
        """Those of these people who are there.

        Transaction: one read.
        """
        found: dict[str, Subscriber] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(keys):
                forms = {storable(key): key for key in chunk}
                rows = connection.execute(_BY_KEYS, {"keys": list(forms)}).all()
                found.update((forms[row.key], _person(row)) for row in rows)
        return found

    # ---------------------------------------------------------------- the list is here

    def add_people(self, people: Iterable[Subscriber]) -> int:
        """Add people at the end, streaming; who is there already is left as they are.

        Returns:
            how many were added.

        Transaction: one write.

        Raises:
            BusyError: the list is at home in a file, by now.
        """
        with self._database.write() as connection:
            self._own(connection)
            return self._insert(connection, people)

    def change_people(self, changes: Iterable[tuple[str, Subscriber]]) -> None:
        """Let people be as they are given, each named by the key they had; their order stays.

        Transaction: one write.

        Raises:
            BusyError: the list is at home in a file, by now.
            StoreError: a new address is somebody else's.
        """
        fields = [name for name in _row_of(_NOBODY) if name != "line"]
        update = (
            sa.update(t.people)
            .where(t.people.c.key == sa.bindparam("whose"))
            .values({name: sa.bindparam(f"new_{name}") for name in fields})
        )
        with self._database.write() as connection:
            self._own(connection)
            for chunk in in_chunks(changes):
                for key, person in chunk:
                    if key != person.key and connection.execute(_BY_KEYS, {"keys": [person.key]}).first():
                        raise StoreError(f"{person.email} is there already")
                rows = [(key, _row_of(person)) for key, person in chunk]
                connection.execute(
                    update, [{"whose": key, **{f"new_{name}": row[name] for name in fields}} for key, row in rows]
                )

    def remove_person(self, key: str) -> Subscriber | None:
        """Take a person off the list; returns them as they were, None where they are not there.

        Transaction: one write.

        Raises:
            BusyError: the list is at home in a file, by now.
        """
        with self._database.write() as connection:
            self._own(connection)
            found = connection.execute(_BY_KEYS, {"keys": [key]}).first()
            if found is not None:
                connection.execute(sa.delete(t.people).where(t.people.c.key == key))
        return None if found is None else _person(found)

    # --------------------------------------------------------- what a file says is here

    def forget_kept(self, key: str) -> None:
        """Let go of what is kept of a person here because a file says it; who is at home here stays.

        Transaction: one write.
        """
        with self._database.write() as connection:
            forget_kept(connection, key)

    def remember_people(
        self, people: Iterable[Subscriber], file: str, fingerprint: Callable[[], str], *, home: Home = Home.file
    ) -> bool:
        """Keep what a file says, streaming, instead of what was kept of it before.

        Args:
            people: everybody in the file.
            file: its name.
            fingerprint: of the file, asked for when everybody has been read.
            home: `file`, or `moving`: the list is to be here from the moment newsletter.yaml says so.

        Returns:
            whether that was done: not where people are at home here, nor where somebody else writes just now.

        Transaction: one write; nothing has changed if reading the people raises.
        """
        try:
            with self._database.write_at_once() as connection:
                # First, so that nobody comes between the look and what is done after it.
                self._database.lock_table(connection, t.people, "EXCLUSIVE", wait=False)
                known = _home(connection)
                is_only_here = known is not None and known.home is Home.database and not _stands_in(known, file)
                if is_only_here and connection.execute(sa.select(t.people.c.position).limit(1)).first():
                    return False
                connection.execute(sa.delete(t.people))
                self._insert(connection, people)
                _settle(connection, PeopleHome(home=home, file=file, fingerprint=fingerprint(), is_exact=True))
        except BusyError:
            return False
        return True

    def settle_people(
        self, new: PeopleHome, *, expected: PeopleHome | None, before: Callable[[], object] = lambda: None
    ) -> None:
        """Say what the table is from now on.

        Args:
            new: what.
            expected: what it is; if it is something else by now nothing happens.
            before: called within the transaction; if it raises nothing has changed here.

        Transaction: one write.

        Raises:
            BusyError: the list was changed meanwhile.
        """
        with self._database.write() as connection:
            self._database.lock_table(connection, t.people, "EXCLUSIVE")
            if _home(connection) != expected:
                raise BusyError("the list was changed meanwhile", hint="type the command again")
            before()
            _settle(connection, new)

    def _own(self, connection: Connection) -> None:
        """Make sure that the list is at home here, and note that it is about to change."""
        known = _home(connection, lock=not self._database.is_sqlite)
        if known is None:
            known = PeopleHome(home=Home.database)
            _settle(connection, known)
        if known.home is Home.file:
            raise BusyError(
                f"the people are at home in {known.file}: newsletter.yaml was changed by hand, or the list was moved "
                "while this program ran",
                hint="start it again; to move the people into the database: newsletter subscriber move --to database",
            )
        if known.home is Home.moving or known.is_exact:
            _settle(connection, replace(known, home=Home.database, is_exact=False))

    def _insert(self, connection: Connection, people: Iterable[Subscriber]) -> int:
        counted = sa.select(sa.func.count()).select_from(t.people)
        before = connection.execute(counted).scalar_one()
        for chunk in in_chunks(people):
            if self._database.is_sqlite:
                # Past SQLAlchemy's parameters, which cost more than the writing.
                connection.exec_driver_sql(_INSERT, [tuple(_row_of(one).values()) for one in chunk])
            else:
                insert_new(self._database, connection, t.people, list(map(_row_of, chunk)), unique=["key"])
        return int(connection.execute(counted).scalar_one()) - int(before)


def _home(connection: Connection, *, lock: bool = False) -> PeopleHome | None:
    wanted = sa.select(t.people_home)
    row = connection.execute(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        return None
    return PeopleHome(home=row.home, file=row.file, fingerprint=row.fingerprint, is_exact=row.is_exact)


def forget_kept(connection: Connection, key: str) -> None:
    """What `People.forget_kept` does, within a transaction that writes."""
    known = _home(connection)
    if known is None or known.home is Home.database:
        return
    if connection.execute(sa.delete(t.people).where(t.people.c.key == key)).rowcount:
        _settle(connection, replace(known, is_exact=False))


def _stands_in(known: PeopleHome, file: str) -> bool:
    """Whether everybody in the table is known to stand in this file, or to have stood there since."""
    return known.is_exact and known.file == file and bool(known.fingerprint)


def _settle(connection: Connection, new: PeopleHome) -> None:
    if new.home is Home.database:
        # They stand in no line of a file any more.
        connection.execute(sa.update(t.people).where(t.people.c.line.is_not(None)).values(line=None))
    connection.execute(sa.delete(t.people_home))
    connection.execute(
        sa.insert(t.people_home).values(
            id=_ONE, home=new.home, file=new.file, fingerprint=new.fingerprint, is_exact=new.is_exact
        )
    )


def gets(digest: str) -> sa.ColumnElement[bool]:
    """Who of the table gets a digest, as a condition: whoever names it, and whoever names none."""
    named: sa.ColumnElement[str] = sa.type_coerce(t.people.c.digests, sa.Text)
    return (named == "[]") | named.contains(json.dumps(digest), autoescape=True)


# --------------------------------------------------------------------------- rows and people

_scan: Final[Any] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NOBODY: Final = Subscriber(email="", wire_email="", key="")


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


@lru_cache(maxsize=4096)
def _written(words: Sequence[str]) -> str:
    return _encode(list(words))


def _person(row: Sequence[Any]) -> Subscriber:
    email, wire, key, name, digests, language, format_, timezone, tags, attributes, line = row
    try:
        more: Mapping[str, str] = {} if attributes == "{}" else _scan(attributes, 0)[0]
        return subscriber_of(
            (
                email,
                wire,
                key,
                name,
                () if digests == "[]" else _words(digests),
                language,
                _FORMATS[format_],
                timezone,
                () if tags == "[]" else _words(tags),
                more,
                line,
            )
        )
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError) as error:
        raise StoreError(
            f"the database holds a person who cannot be read ({email}): it is damaged",
            hint="restore it from a backup; nothing was mailed",
        ) from error


def _row_of(person: Subscriber) -> dict[str, Any]:
    return {
        "email": storable(person.email),
        "wire_email": storable(person.wire_email),
        "key": storable(person.key),
        "name": storable(person.name),
        "digests": storable(_written(person.digests)) if person.digests else "[]",
        "language": person.language and storable(person.language),
        "format": person.format.value,
        "timezone": person.timezone and storable(person.timezone),
        "tags": storable(_written(person.tags)) if person.tags else "[]",
        "attributes": storable(_encode(dict(person.attributes))) if person.attributes else "{}",
        "line": person.line,
    }


_COLUMNS: Final = tuple(_row_of(_NOBODY))
_INSERT: Final = (
    f"INSERT INTO people ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "  # noqa: S608 - our own names
    "ON CONFLICT (key) DO NOTHING"
)

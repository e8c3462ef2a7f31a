"""Whose the database is, where it is at home, and whether it may send (docs/adr/0026-where-a-database-is-at-home.md)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import StoreError
from newsletter.model import UNSETTLED, Bar, Barred, Belonging, DeliveryState, Place
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.fence import require_idle
from newsletter.store.guard import unguard
from newsletter.store.rows import Row

#: So many homes are remembered: one in a container and one outside, and a few more.
_HOMES: Final = 8
_DECIDE: Final = (
    "newsletter db adopt --sent if issues went out since then, newsletter db adopt --unsent if none did; "
    "the first repeats nothing"
)
_MESSAGE_IDS: Final = "message-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What a decision to go on here did: messages that are held, entries that are taken to have been sent."""

    held: int = 0
    skipped: int = 0


class Belongings(Part):
    """The one row that says whose the database is."""

    def belonging(self) -> Belonging | None:
        """Whose the database is; None where nobody has sent from it yet.

        Transaction: one read.
        """
        with self._database.read() as connection:
            return read(connection)

    def barred(self, machine: str, *, follow: bool = False) -> Barred | None:
        """Why nothing may be sent from here; None where all is well.

        Args:
            machine: the name of this machine, "" where it has none.
            follow: a database that was copied here may send.

        Transaction: one read.
        """
        return self._barred(self.belonging(), self._database.place(machine), self._database.seen(), follow=follow)

    @contextmanager
    def sending(self, machine: str = "", *, follow: bool = False, name: str = "send") -> Iterator[None]:
        """Keep other processes from the same work, and make sure that it is this database's.

        That sending has begun is written into the database and beside it.

        Args:
            machine: the name of this machine, "" where it has none.
            follow: a database that was copied here may send.
            name: the lock's.

        Transaction: one write.

        Raises (when entered):
            BusyError: another process is at work.
            StoreError: the database must not send as it is; says what to do.
        """
        here = self._database.place(machine)
        with self._database.lock(name) as lock:
            with self._database.write() as connection:
                found = read(connection)
                barred = self._barred(found, here, lock.seen if name == "send" else 0, follow=follow)
                if barred is not None:
                    raise StoreError(barred.why, hint=barred.hint)
                found = found or self._new()
                found = replace(found, places=_with(found.places, here), sends=found.sends + (name == "send"))
                write(connection, found)
            if name == "send":
                lock.write(found.sends)
            yield

    def adopt(self, machine: str, *, sent: bool | None) -> Adopted:
        """Let the database send from where it is, whatever kept it.

        Args:
            machine: the name of this machine.
            sent: for one that is older than what went out: whether its unsettled messages, and what
                waits, are taken to have been sent.  Such messages are held, such entries
                skipped, and new issues get Message-IDs of their own.

        Transaction: one write.

        Raises:
            BusyError: another process is at work, or sends.
        """
        here = self._database.place(machine)
        now = self._clock.now()
        done = Adopted()
        with self._database.lock("send") as lock, self._database.write() as connection:
            self._database.lock_table(connection, t.shards, "EXCLUSIVE")
            require_idle(self._database, connection)
            found = read(connection) or self._new()
            unguard(self._database, connection)
            if sent:
                done = _taken_as_sent(connection, found.held or "a later database of this project had", now)
                connection.execute(
                    sa.update(t.secrets).where(t.secrets.c.name == _MESSAGE_IDS).values(value=self._ids.key())
                )
            found = replace(
                found,
                places=_with(found.places, here),
                sends=max(found.sends, lock.seen) + 1,
                moved_to=None,
                moved_at=None,
                held=None,
                held_at=None,
            )
            write(connection, found)
            lock.write(found.sends)
        return done

    def hold(self, why: str) -> None:
        """Let nothing go out until somebody decides; the reason is for people.

        Transaction: one write.
        """
        with self._database.write() as connection:
            found = read(connection) or self._new()
            write(connection, replace(found, held=why, held_at=self._clock.now()))

    def latest_moment(self) -> datetime | None:
        """The latest moment at which anything was written, as far as rows tell; None in a new database.

        Transaction: one read.
        """
        columns = (t.issues.c.frozen_at, t.ticks.c.at, t.feeds.c.last_attempt_at, t.belonging.c.tidied_at)
        with self._database.read() as connection:
            found = [connection.execute(sa.select(sa.func.max(column))).scalar() for column in columns]
        return max((moment for moment in found if moment is not None), default=None)

    def _new(self) -> Belonging:
        return Belonging(project=self._ids.token(), places=(), sends=0)

    def _barred(self, found: Belonging | None, here: Place | None, seen: int, *, follow: bool) -> Barred | None:
        name = self._database.name
        if found is not None and found.moved_to:
            return Barred(
                bar=Bar.moved,
                why=f"the state of this project has moved to {found.moved_to}; nothing is sent or changed in {name}",
                hint="name the new one as `store` in newsletter.yaml; newsletter db adopt goes on with this one instead",
            )
        if found is not None and found.held:
            return Barred(bar=Bar.held, why=f"nothing is sent: the database {name} {found.held}", hint=_DECIDE)
        if seen > (found.sends if found is not None else 0):
            return Barred(
                bar=Bar.older,
                why=f"nothing is sent: the database {name} is older than the one that last sent from here",
                hint=_DECIDE,
            )
        if found is None or here is None or follow or not found.places or here.is_home(found.places):
            return None
        return Barred(
            bar=Bar.elsewhere,
            why=f"nothing is sent: the database {name} was copied here from {found.places[0].path}"
            + (" on another machine" if here.path == found.places[0].path else "")
            + "; if both sent, everybody would get everything twice",
            hint="see to it that the other one sends no more, then: newsletter db adopt",
        )


def read(connection: Connection) -> Belonging | None:
    """The row, if there is one."""
    row = connection.execute(sa.select(t.belonging)).first()
    return None if row is None else _belonging_of(row)


def write(connection: Connection, found: Belonging) -> None:
    """Write the row anew."""
    values: Mapping[str, Any] = {**asdict(found), "places": [asdict(place) for place in found.places]}
    if not connection.execute(sa.update(t.belonging).where(t.belonging.c.id == 1).values(values)).rowcount:
        connection.execute(sa.insert(t.belonging).values(id=1, **values))


def _with(places: tuple[Place, ...], here: Place | None) -> tuple[Place, ...]:
    """The homes, the present one first; a file that was moved has one path."""
    if here is None:
        return places
    others = [one for one in places if one.path != here.path and (one.machine, one.file) != (here.machine, here.file)]
    return (here, *others)[:_HOMES]


def _taken_as_sent(connection: Connection, why: str, now: datetime) -> Adopted:
    words = f"perhaps sent already: the database {why}"
    held = connection.execute(
        sa.update(t.deliveries)
        .where(t.deliveries.c.state.in_(UNSETTLED))
        .values(state=DeliveryState.held, doubtful=True, next_attempt_at=None, settled_at=now, last_reply=words)
    ).rowcount
    waits = t.offers.c.issue_id.is_(None) & t.offers.c.skipped.is_(None)
    skipped = connection.execute(sa.update(t.offers).where(waits).values(skipped=words)).rowcount
    return Adopted(held=held, skipped=skipped)


def _belonging_of(row: Row) -> Belonging:
    try:
        places = tuple(Place(**place) for place in row.places)
    except TypeError as error:
        raise StoreError("the record of where the database is at home cannot be read: it is damaged") from error
    values = {key: value for key, value in row._mapping.items() if key not in ("id", "places")}  # noqa: SLF001
    return Belonging(places=places, **values)

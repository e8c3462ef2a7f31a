"""Who works for the project: a row and a session for each process that sends, seen by all others."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from newsletter.errors import BusyError
from newsletter.model import Shard, Worker
from newsletter.store import schema
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.connect import Postgresql
from newsletter.store.lines import Lines
from newsletter.store.lock import is_free, lock_number
from newsletter.store.trouble import explained

#: Whoever was not heard of for so long is forgotten.
_FORGOTTEN: Final = timedelta(days=1)
_w, _s = t.workers.c, t.shards.c


class Presence:
    """A session with the database that lasts as long as a process works; where it is gone, others take over.

    Args:
        engine: of the database.
        who: the worker's id.
        database: what messages call it.
    """

    def __init__(self, engine: Engine, who: str, database: str) -> None:
        self._engine = engine
        self._who = who
        self._name = database
        self._session: Connection | None = None

    def keep(self) -> None:
        """Make sure that the session is there, anew where the server has ended it.

        Raises:
            StoreError: the database does not answer.
            BusyError: the server has not noticed yet that the last one is gone.
        """
        with explained(self._name):
            if self._session is not None:
                try:
                    self._session.execute(sa.select(1))
                except SQLAlchemyError:
                    self.end()
                else:
                    return
            session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            # Never back into the pool: the lock belongs to the session.
            session.detach()
            schema = session.execute(sa.select(sa.func.current_schema())).scalar_one()
            taken = sa.select(sa.func.pg_try_advisory_lock(lock_number(schema, self._who)))
            if not session.execute(taken).scalar_one():
                session.close()
                raise BusyError("an earlier session of this worker is not over yet")
            self._session = session

    def end(self) -> None:
        """Let others know at once that nobody is there."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(SQLAlchemyError):
                session.execute(sa.select(sa.func.pg_advisory_unlock_all()))
            with suppress(SQLAlchemyError):
                session.close()


class Working(Part):
    """The workers of a project, on PostgreSQL."""

    @contextmanager
    def at_work(self, who: str, *, host: str, pid: int, version: str, concurrency: int) -> Iterator[Presence]:
        """Be known as a worker as long as the block lasts.

        Args:
            who: its id, which no other has.
            host: the machine's name.
            pid: the process's number there.
            version: the program's.
            concurrency: how many shards it sends at once.

        Transaction: one write at each end.
        """
        presence = Presence(self._database.engine, who, self._database.name)
        presence.keep()
        try:
            now = sa.func.clock_timestamp()
            with self._database.write() as connection:
                connection.execute(sa.delete(t.workers).where(_w.seen_at < now - _FORGOTTEN))
                connection.execute(
                    sa.insert(t.workers).values(
                        id=who,
                        host=host,
                        pid=pid,
                        version=version,
                        concurrency=concurrency,
                        started_at=now,
                        seen_at=now,
                    )
                )
            yield presence
        finally:
            with suppress(Exception), self._database.write() as connection:
                connection.execute(sa.delete(t.workers).where(_w.id == who))
            presence.end()

    @property
    def name(self) -> str:
        """What messages call the database; without a password."""
        return self._database.name

    def queue(self, prepare: Callable[[Connection], str]) -> tuple[URL, str, Lines]:
        """Where the queue is, its password with it; `prepare` makes it, and says what it is called.

        Its connections are to be among the lines that `hang_up` cuts.

        Transaction: one write.
        """
        assert isinstance(self._database, Postgresql)
        with self._database.write() as connection:
            return self._database.engine.url, prepare(connection), self._database.lines

    def hang_up(self) -> None:
        """Give up all connections with the database, from any thread: who waits for an answer learns that none comes."""
        assert isinstance(self._database, Postgresql)
        self._database.lines.cut()

    def hand_out(
        self, hand_out: Callable[[Connection, Sequence[tuple[int, int]]], object], shards: Collection[Shard]
    ) -> None:
        """Tell workers of shards.

        Transaction: one write.
        """
        with self._database.write() as connection:
            hand_out(connection, [(shard.issue_id, shard.number) for shard in shards])

    def beat(self, who: str, *, concurrency: int) -> float:
        """Say that a worker is there; returns how far this machine's clock is ahead of the database's, in seconds.

        Transaction: one read, one write.

        Raises:
            SchemaError: another version of the program has changed the database.
        """
        off = self.clock_off()
        with self._database.write() as connection:
            schema.require_revision(connection, self._database.name)
            connection.execute(
                sa.update(t.workers)
                .where(_w.id == who)
                .values(seen_at=sa.func.clock_timestamp(), clock_off=off, concurrency=concurrency)
            )
        return off

    def clock_off(self) -> float:
        """How far this machine's clock is ahead of the database's, in seconds; half a round trip is the error.

        Transaction: one read.
        """
        with self._database.read() as connection:
            connection.execute(sa.select(1))
            before = self._clock.now()
            theirs = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
            after = self._clock.now()
        off: timedelta = before + (after - before) / 2 - theirs
        return off.total_seconds()

    def workers(self) -> list[Worker]:
        """Who works for the project just now, longest first; nobody on SQLite.

        Transaction: one read.
        """
        if self._database.is_sqlite:
            return []
        now = sa.func.clock_timestamp()
        shards = sa.select(sa.func.count()).where(_s.holder == _w.id, _s.until > now).scalar_subquery()
        silent = sa.func.extract("epoch", now - _w.seen_at)
        wanted = sa.select(t.workers, shards.label("shards"), silent.label("silent")).order_by(_w.started_at, _w.id)
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
            return [
                Worker(**{**row._mapping, "silent": float(row.silent)})  # noqa: SLF001
                for row in rows
                if not is_free(connection, row.id)
            ]

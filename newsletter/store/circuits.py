"""Mail servers that are left alone for a while, by all who send."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import OpenCircuit
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import Row
from newsletter.text import one_line

#: Seconds of the first pause, and of the longest.
_FIRST: Final = 30.0
_LONGEST: Final = 900.0
#: Seconds that somebody has to try a server out before another may.
_PROBE: Final = 60.0
#: Whoever waits for what comes of that asks again after so many.
_LOOK: Final = 5.0
_REASON: Final = 300

_ROW = t.circuits.c
_NOW: Final = sa.func.clock_timestamp()


def _until(moment: sa.ColumnElement[object]) -> sa.ColumnElement[float]:
    return sa.cast(sa.extract("epoch", moment - sa.func.statement_timestamp()), sa.Float)


#: How a server stands, and for how many seconds.
_STANDING: Final = sa.select(
    _ROW.failures, _until(_ROW.open_until).label("left"), _ROW.prober, _until(_ROW.probe_until).label("trying")
).where(_ROW.server == sa.bindparam("name"))


class Circuits(Part):
    """Which servers ("host:port") have failed, or want less for now; on PostgreSQL, by its clock.

    On SQLite one process sends, and a run keeps this to itself (`delivery/circuit`).
    """

    def ask_server(self, server: str, who: str) -> float:
        """Seconds before somebody may use a server; 0.0: now.

        When the pause of one that failed is over, the first who asks tries it out;
        the others wait for what comes of it, but not for ever.

        Args:
            server: "host:port".
            who: names whoever asks, a worker.

        Transaction: one read; one write where the server has failed.
        """
        if self._database.is_sqlite:
            return 0.0
        with self._database.read() as connection:
            if connection.execute(_STANDING, {"name": server}).first() is None:
                return 0.0
        with self._database.write() as connection:
            row = connection.execute(_STANDING.with_for_update(), {"name": server}).first()
            wait = 0.0 if row is None else max(row.left, min(_tried_by_others(row, who), _LOOK))
            if row is not None and wait <= 0 and row.failures:
                _write(connection, server, prober=who, probe_until=_after(_PROBE))
            elif row is not None and wait <= 0:
                connection.execute(sa.delete(t.circuits).where(_ROW.server == server))
        return max(float(wait), 0.0)

    def server_failed(self, server: str, who: str, reason: str) -> None:
        """Leave a server alone from now on: for half a minute, and twice as long each time it fails again, up to 15.

        What others say who were still at it, while it is left alone or tried out by somebody, counts for nothing.

        Transaction: one write.
        """
        if self._database.is_sqlite:
            return
        with self._database.write() as connection:
            row = self._locked(connection, server, reason)
            if row.failures and (row.left > 0 or _tried_by_others(row, who) > 0):
                return
            pause = min(_FIRST * 2.0 ** min(row.failures, 10), _LONGEST)
            until = sa.func.greatest(_ROW.open_until, _after(pause))
            _write(
                connection,
                server,
                failures=row.failures + 1,
                open_until=until,
                reason=one_line(reason, _REASON),
                prober=None,
                probe_until=None,
            )

    def server_worked(self, server: str) -> None:
        """A server has answered for a message: all may use it.  A pause that it has asked for stays.

        Transaction: one write, of nothing where it had not failed.
        """
        if not self._database.is_sqlite:
            with self._database.write() as connection:
                connection.execute(sa.delete(t.circuits).where(_ROW.server == server, _ROW.failures > 0))

    def hold_server(self, server: str, seconds: float, reason: str) -> None:
        """A server wants less of us: nobody begins anything for so many seconds.  It has not failed.

        Transaction: one write.
        """
        if self._database.is_sqlite:
            return
        with self._database.write() as connection:
            self._locked(connection, server, reason)
            _write(connection, server, open_until=sa.func.greatest(_ROW.open_until, _after(seconds)))

    def open_circuits(self) -> list[OpenCircuit]:
        """Servers that are left alone, or tried out, by name.

        Transaction: one read.
        """
        if self._database.is_sqlite:
            return []
        trying = sa.case((_ROW.probe_until > sa.func.statement_timestamp(), _ROW.prober))
        wanted = sa.select(
            _ROW.server, _ROW.failures, _until(_ROW.open_until).label("left"), _ROW.reason, trying.label("prober")
        ).order_by(_ROW.server)
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        return [
            OpenCircuit(
                server=row.server,
                failures=row.failures,
                seconds=max(row.left, 0.0),
                reason=row.reason,
                prober=row.prober,
            )
            for row in rows
            if row.failures or row.left > 0
        ]

    def _locked(self, connection: Connection, server: str, reason: str) -> Row:
        """The server's row, made where there was none, and nobody else's until the transaction ends."""
        connection.execute(
            self._database.insert(t.circuits)
            .values(server=server, failures=0, open_until=_NOW, reason=one_line(reason, _REASON))
            .on_conflict_do_nothing(index_elements=["server"])
        )
        return connection.execute(_STANDING.with_for_update(), {"name": server}).one()


def _tried_by_others(row: Row, who: str) -> float:
    """For how many seconds somebody else may try it out; 0.0 where nobody does."""
    return 0.0 if row.prober in (None, who) else max(float(row.trying or 0.0), 0.0)


def _after(seconds: float) -> sa.ColumnElement[object]:
    return _NOW + sa.literal(timedelta(seconds=seconds), sa.Interval)


def _write(connection: Connection, server: str, **values: object) -> None:
    connection.execute(sa.update(t.circuits).where(_ROW.server == server).values(**values))

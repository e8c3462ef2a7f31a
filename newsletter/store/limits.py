"""What mail servers allow, as far as we have found out."""

import sqlalchemy as sa

from newsletter.model import ServerLimits
from newsletter.store import tables as t
from newsletter.store.allowances import LASTING, Allowances
from newsletter.store.circuits import Circuits
from newsletter.store.rows import Row


class Limits(Allowances, Circuits):
    """Limits of mail servers, each known by "host:port", and what of them all who send share."""

    def server_limits(self, server: str) -> ServerLimits:
        """What has been learned of a server in the last thirty days.

        Transaction: one read.
        """
        return self.all_server_limits().get(server, ServerLimits())

    def all_server_limits(self) -> dict[str, ServerLimits]:
        """What has been learned of every server in the last thirty days.

        Transaction: one read.
        """
        fresh = t.server_limits.c.learned_at >= self._clock.now() - LASTING
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.server_limits).where(fresh).order_by(t.server_limits.c.server)).all()
        return {row.server: _limits(row) for row in rows}

    def learn_limits(self, server: str, limits: ServerLimits) -> None:
        """Remember what a server allows, from now on; the strictest of it that somebody has learned in thirty days.

        Transaction: one write.
        """
        row, now = t.server_limits.c, self._clock.now()
        with self._database.write() as connection:
            wanted = sa.select(t.server_limits).where(row.server == server, row.learned_at >= now - LASTING)
            before = connection.execute(wanted.with_for_update()).first()
            known = ServerLimits() if before is None else _limits(before)
            rates = dict[float, int]()
            for count, seconds in (*known.rates, *limits.rates):
                rates[seconds] = min(count, rates.get(seconds, count))
            values = {
                "per_connection": _least(known.per_connection, limits.per_connection),
                "connections": _least(known.connections, limits.connections),
                "rates": [[count, seconds] for seconds, count in rates.items()],
                "learned_at": now,
            }
            connection.execute(
                self._database.insert(t.server_limits)
                .values(server=server, **values)
                .on_conflict_do_update(index_elements=["server"], set_=values)
            )

    def forget_limits(self) -> int:
        """Forget what was learned; says of how many servers.

        Transaction: one write.
        """
        with self._database.write() as connection:
            return connection.execute(sa.delete(t.server_limits)).rowcount


def _limits(row: Row) -> ServerLimits:
    return ServerLimits(
        per_connection=row.per_connection,
        connections=row.connections,
        rates=tuple((int(count), float(seconds)) for count, seconds in row.rates),
        learned_at=row.learned_at,
    )


def _least(one: int | None, other: int | None) -> int | None:
    return min((limit for limit in (one, other) if limit is not None), default=None)

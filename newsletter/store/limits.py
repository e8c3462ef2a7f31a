"""What mail servers allow, as far as we have found out."""

from datetime import timedelta
from typing import Final

import sqlalchemy as sa

from newsletter.model import ServerLimits
from newsletter.store import tables as t
from newsletter.store.base import Part

#: What was learned longer ago is forgotten: servers change, and only going faster shows it.
_LASTING: Final = timedelta(days=30)


class Limits(Part):
    """Limits of mail servers, each known by "host:port"."""

    def server_limits(self, server: str) -> ServerLimits:
        """What has been learned of a server in the last thirty days.

        Transaction: one read.
        """
        return self.all_server_limits().get(server, ServerLimits())

    def all_server_limits(self) -> dict[str, ServerLimits]:
        """What has been learned of every server in the last thirty days.

        Transaction: one read.
        """
        fresh = t.server_limits.c.learned_at >= self._clock.now() - _LASTING
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.server_limits).where(fresh).order_by(t.server_limits.c.server)).all()
        return {
            row.server: ServerLimits(
                per_connection=row.per_connection,
                connections=row.connections,
                rates=tuple((int(count), float(seconds)) for count, seconds in row.rates),
                learned_at=row.learned_at,
            )
            for row in rows
        }

    def learn_limits(self, server: str, limits: ServerLimits) -> None:
        """Remember what a server allows, from now on.

        Transaction: one write.
        """
        values = {
            "per_connection": limits.per_connection,
            "connections": limits.connections,
            "rates": [list(rate) for rate in limits.rates],
            "learned_at": self._clock.now(),
        }
        with self._database.write() as connection:
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

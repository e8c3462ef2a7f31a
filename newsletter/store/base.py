"""What every part of the store stands on: a database, a clock, a source of ids, and secrets."""

import sqlalchemy as sa

from newsletter.clock import Clock, Ids
from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.lookups import Lookups
from newsletter.store.prepared import for_dialect


class Part:
    """One subject of the store; `Store` is all of them together."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    @property
    def is_shared(self) -> bool:
        """Whether several processes may send at once: shards, rates and servers left alone are theirs together then."""
        return not self._database.is_sqlite

    @property
    def _lookups(self) -> Lookups:
        """What recording a document asks."""
        return for_dialect(Lookups, self._database.engine.dialect)

    def secret(self, name: str) -> bytes:
        """The project's secret of this name: 32 bytes, made at the first call and never changed.

        Transaction: one read; the first time also one write.
        """
        wanted = sa.select(t.secrets.c.value).where(t.secrets.c.name == name)
        with self._database.read() as connection:
            found = connection.execute(wanted).scalar()
        if found is None:
            with self._database.write() as connection:
                # Two processes may ask first at once: one key wins, both use it.
                connection.execute(
                    self._database.insert(t.secrets)
                    .values(name=name, value=self._ids.key(), created_at=self._clock.now())
                    .on_conflict_do_nothing(index_elements=["name"])
                )
                found = connection.execute(wanted).scalar_one()
        return bytes(found)

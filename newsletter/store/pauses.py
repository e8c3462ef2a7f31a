"""Who wants nothing for a while."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import EVERY_DIGEST, Pause
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import in_chunks


class Pauses(Part):
    """Pauses: an issue that is frozen during one is not sent to the person, then or later."""

    def pauses_of(self, key: str) -> list[Pause]:
        """The pauses of a person that last, that of all digests first.

        Transaction: one read.
        """
        lasting = (t.pauses.c.key == key) & (t.pauses.c.until > self._clock.now())
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.pauses).where(lasting).order_by(t.pauses.c.digest)).all()
        return [Pause(key=row.key, digest=row.digest, until=row.until) for row in rows]

    def _pause(self, connection: Connection, key: str, digest: str, until: datetime | None) -> None:
        """Let a pause last until then, or (None) end it."""
        connection.execute(sa.delete(t.pauses).where(t.pauses.c.key == key, t.pauses.c.digest == digest))
        if until is not None:
            connection.execute(sa.insert(t.pauses).values(key=key, digest=digest, until=until))


def paused_among(connection: Connection, keys: Iterable[str], digest: str, now: datetime) -> dict[str, str]:
    """Who of these wants no issue of this digest now: by key, in words until when."""
    found: dict[str, str] = {}
    for chunk in in_chunks(keys):
        rows = connection.execute(
            sa.select(t.pauses.c.key, t.pauses.c.until)
            .where(t.pauses.c.key.in_(chunk), t.pauses.c.digest.in_([EVERY_DIGEST, digest]), t.pauses.c.until > now)
            .order_by(t.pauses.c.until)
        )
        found.update((row.key, f"paused until {row.until:%Y-%m-%d}") for row in rows)
    return found

"""One shard of an issue as an outbox of its own, for who has leased it."""

from collections.abc import Iterable

import sqlalchemy as sa

from newsletter.clock import Clock, Ids
from newsletter.errors import StoreError
from newsletter.model import Delivery, Issue, Lease
from newsletter.store import tables as t
from newsletter.store.canaries import Canaries
from newsletter.store.chosen import Chosen
from newsletter.store.connect import Database
from newsletter.store.deliveries import Deliveries
from newsletter.store.fence import holds
from newsletter.store.issues import Issues
from newsletter.store.limits import Limits


class Leased(Canaries, Issues, Deliveries, Limits):
    """The outbox, cut down to a shard (`Store.leased`); the canary's is cut down again, by `only`.

    Once somebody else has the shard, it says that the issue is none any more.
    """

    def __init__(self, database: Database, clock: Clock, ids: Ids, lease: Lease) -> None:
        super().__init__(database, clock, ids)
        self.lease = self._held_under = lease
        self._first, self._last = lease.shard.first_id, lease.shard.last_id

    def issue(self, number: int, digest: str) -> Issue | None:
        """The issue as it is now; None also where the shard is somebody else's.

        Transaction: two reads.
        """
        return super().issue(number, digest) if self.is_held() else None

    def is_held(self) -> bool:
        """Whether the shard is still its holder's.

        Transaction: one read.
        """
        with self._database.read() as connection:
            return holds(connection, self._held_under)

    def due(self, issue_id: int, *, after_id: int = 0, limit: int) -> list[Delivery]:
        """The next deliveries of the shard to attempt, in the order of their ids, from `after_id` on.

        Transaction: one read.
        """
        return self._due_between(issue_id, max(after_id, self._first - 1), self._last + 1, limit)

    def only(self, delivery_ids: Iterable[int]) -> Chosen:
        """An outbox that has these deliveries and no others."""
        return Chosen(self._database, self._clock, self._ids, delivery_ids, lease=self.lease)

    def end_canary(self, issue_id: int) -> None:
        """Let the others have the issue, if this is still for us to say.

        Transaction: one read, one write.

        Raises:
            StoreError: it is not.
        """
        self._require_held()
        super().end_canary(issue_id)

    def stop_canary(self, issue_id: int, reason: str) -> bool:
        """Pause an open issue because of what came of its canary, if this is still for us to say.

        Transaction: one read, one write.

        Raises:
            StoreError: it is not.
        """
        self._require_held()
        return super().stop_canary(issue_id, reason)

    def _of(self, issue_id: int) -> sa.ColumnElement[bool]:
        return super()._of(issue_id) & t.deliveries.c.id.between(self._first, self._last)

    def _require_held(self) -> None:
        if not self.is_held():
            raise StoreError("another worker watches the canary of this issue by now")

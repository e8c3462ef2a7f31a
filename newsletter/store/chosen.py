"""Some deliveries of an issue as an outbox of their own: what the others do is no business of whoever sends these."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime

import sqlalchemy as sa

from newsletter.clock import Clock, Ids
from newsletter.model import Delivery, DeliveryState, Lease
from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.deliveries import Deliveries, is_ready
from newsletter.store.issues import Issues
from newsletter.store.limits import Limits
from newsletter.store.rows import DELIVERY, delivery_of, in_chunks


class Chosen(Issues, Deliveries, Limits):
    """The outbox, cut down to deliveries with these ids (`Store.only`)."""

    def __init__(
        self, database: Database, clock: Clock, ids: Ids, chosen: Iterable[int], *, lease: Lease | None = None
    ) -> None:
        super().__init__(database, clock, ids)
        self.lease = lease
        self._chosen = sorted(set(chosen))

    def due(self, issue_id: int, *, after_id: int = 0, limit: int) -> list[Delivery]:
        """The next chosen deliveries to attempt, in the order of their ids, from `after_id` on.

        Transaction: one read per thousand of them that are not due.
        """
        found: list[Delivery] = []
        row, now = t.deliveries.c, self._clock.now()
        ready = is_ready(DeliveryState.queued, now) | is_ready(DeliveryState.deferred, now)
        for chunk in in_chunks(self._chosen[bisect_right(self._chosen, after_id) :]):
            wanted = DELIVERY.where(row.issue_id == issue_id, row.id.in_(chunk), ready).order_by(row.id)
            with self._database.read() as connection:
                found += map(delivery_of, connection.execute(wanted.limit(limit - len(found))))
            if len(found) == limit:
                break
        return found

    def counts(self, issue_id: int) -> dict[DeliveryState, int]:
        """How many of the chosen deliveries are in which state.

        Transaction: one read.
        """
        found: Counter[DeliveryState] = Counter()
        state = t.deliveries.c.state
        with self._database.read() as connection:
            for mine in self._mine(issue_id):
                rows = connection.execute(sa.select(state, sa.func.count()).where(mine).group_by(state))
                found.update({row[0]: row[1] for row in rows})
        return {one: found[one] for one in DeliveryState if one in found}

    def next_attempt(self, issue_id: int) -> datetime | None:
        """When the first chosen delivery that is deferred may be tried again.

        Transaction: one read.
        """
        moments = []
        with self._database.read() as connection:
            for mine in self._mine(issue_id):
                wanted = sa.select(sa.func.min(t.deliveries.c.next_attempt_at))
                deferred = wanted.where(mine, t.deliveries.c.state == DeliveryState.deferred)
                moments.append(connection.execute(deferred).scalar())
        return min((moment for moment in moments if moment is not None), default=None)

    def _mine(self, issue_id: int) -> Iterator[sa.ColumnElement[bool]]:
        for chunk in in_chunks(self._chosen):
            yield (t.deliveries.c.issue_id == issue_id) & t.deliveries.c.id.in_(chunk)

"""Deliveries that wait for their hours: until when, and by whose clock."""

from collections.abc import Callable, Collection
from datetime import datetime

import sqlalchemy as sa

from newsletter.model import DeliveryState
from newsletter.store import tables as t
from newsletter.store.base import Part

_d = t.deliveries.c


class Postponing(Part):
    """What has to wait is `queued`, with the moment from which it may go."""

    def postponed(self, issue_id: int) -> tuple[int, datetime | None]:
        """How many deliveries of an issue wait for their hours, and until when the first of them does.

        Transaction: one read.
        """
        wanted = sa.select(sa.func.count(), sa.func.min(_d.next_attempt_at)).where(
            _d.issue_id == issue_id,
            _d.state == DeliveryState.queued,
            _d.next_attempt_at > sa.bindparam("now", self._clock.now(), type_=_d.next_attempt_at.type),
        )
        with self._database.read() as connection:
            number, until = connection.execute(wanted).one()
        return number, until

    def postpone(self, issue_id: int, until: datetime, timezones: Collection[str | None] | None = None) -> int:
        """Let what may not go now wait for its hours: everybody, or people of these time zones; returns how many.

        Transaction: one write.
        """
        late = _d.next_attempt_at.is_(None) | (_d.next_attempt_at < until)
        whose = sa.true() if timezones is None else sa.or_(*(_is_in(zone) for zone in timezones))
        ready = _d.state.in_((DeliveryState.queued, DeliveryState.deferred))
        with self._database.write() as connection:
            return connection.execute(
                sa.update(t.deliveries).where(_d.issue_id == issue_id, ready, late, whose).values(next_attempt_at=until)
            ).rowcount

    def change_hours(self, issue_id: int, hours: str, begin: Callable[[str | None], datetime | None]) -> None:
        """Let the deliveries of an issue that have not gone wait by another rule.

        Args:
            issue_id: the issue's.
            hours: the rule, in words.
            begin: from a time zone to when its people may get the issue; None for at once.

        Transaction: one write.
        """
        mine = (_d.issue_id == issue_id) & (_d.state == DeliveryState.queued)
        with self._database.write() as connection:
            connection.execute(sa.update(t.issues).where(t.issues.c.id == issue_id).values(hours=hours))
            for zone in connection.execute(sa.select(_d.timezone).where(mine).distinct()).scalars().all():
                connection.execute(
                    sa.update(t.deliveries).where(mine, _is_in(zone)).values(next_attempt_at=begin(zone))
                )


def _is_in(timezone: str | None) -> sa.ColumnElement[bool]:
    return _d.timezone.is_(None) if timezone is None else _d.timezone == timezone

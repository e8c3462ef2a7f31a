"""Deliveries that wait for their hours: until when, and by whose clock."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

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
            self._of(issue_id),
            _d.state == DeliveryState.queued,
            _d.next_attempt_at > sa.bindparam("now", self._clock.now(), type_=_d.next_attempt_at.type),
        )
        with self._database.read() as connection:
            number, until = connection.execute(wanted).one()
        return number, until

    def _of(self, issue_id: int) -> sa.ColumnElement[bool]:
        """Which deliveries of an issue are meant."""
        return _d.issue_id == issue_id

    def postpone(self, issue_id: int, until: datetime | Mapping[str | None, datetime]) -> int:
        """Let what may not go now wait for its hours; returns how many.

        Args:
            issue_id: the issue's.
            until: when they open, for everybody or for people of these time zones.

        Transaction: one write.
        """
        whose: sa.ColumnElement[bool] = sa.true()
        if isinstance(until, datetime):
            moment = _moment(until)
        else:
            whose, moment = _is_in(list(until)), _by_zone(until)
        ready = _d.state.in_((DeliveryState.queued, DeliveryState.deferred))
        late = _d.next_attempt_at.is_(None) | (_d.next_attempt_at < moment)
        with self._database.write() as connection:
            return connection.execute(
                sa.update(t.deliveries).where(self._of(issue_id), ready, whose, late).values(next_attempt_at=moment)
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
            zones = connection.execute(sa.select(_d.timezone).where(mine).distinct()).scalars().all()
            connection.execute(
                sa.update(t.deliveries)
                .where(mine)
                .values(next_attempt_at=_by_zone({zone: begin(zone) for zone in zones}))
            )


def _by_zone(moments: Mapping[str | None, datetime | None]) -> sa.ColumnElement[Any]:
    """The moment of a row's time zone; NULL of those that have none.  One walk over the rows, however many zones."""
    zones: dict[datetime, list[str | None]] = {}
    for zone, moment in moments.items():
        if moment is not None:
            zones.setdefault(moment, []).append(zone)
    if not zones:
        return sa.null()
    return sa.case(*((_is_in(those), _moment(moment)) for moment, those in zones.items()))


def _moment(moment: datetime) -> sa.ColumnElement[Any]:
    return sa.literal(moment, _d.next_attempt_at.type)


def _is_in(zones: Sequence[str | None]) -> sa.ColumnElement[bool]:
    named = _d.timezone.in_([zone for zone in zones if zone is not None])
    return named | _d.timezone.is_(None) if None in zones else named

"""What came of each slot of a schedule, and since when a schedule is known."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from newsletter.model import Tick, TickOutcome
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import Row, in_chunks

#: What may yet become something else.
_NOT_OVER = (TickOutcome.failed, TickOutcome.held)


class Ticks(Part):
    """Slots that were looked at, by digest."""

    def scheduled_since(self, digest: str, rule: str, timezone: str) -> datetime:
        """Since when a digest has this schedule, as far as anybody looked; from now on, if it had another.

        Transaction: one read; one write where the schedule is new.
        """
        since = self.schedule_known_since(digest, rule, timezone)
        if since is not None:
            return since
        values = {"rule": rule, "timezone": timezone, "since": self._clock.now()}
        with self._database.write() as connection:
            connection.execute(
                self._database.insert(t.schedules)
                .values(digest=digest, **values)
                .on_conflict_do_update(index_elements=["digest"], set_=values)
            )
        return values["since"]  # type: ignore[return-value]

    def schedule_seen(self, digest: str) -> datetime | None:
        """Since when somebody looks at the digest's schedule; None where nobody ever did.

        Transaction: one read.
        """
        with self._database.read() as connection:
            row = t.schedules.c
            since: datetime | None = connection.execute(sa.select(row.since).where(row.digest == digest)).scalar()
        return since

    def schedule_known_since(self, digest: str, rule: str, timezone: str) -> datetime | None:
        """Since when a digest has this schedule; None where nobody has looked at it yet.

        Transaction: one read.
        """
        row = t.schedules.c
        wanted = sa.select(row.since).where(row.digest == digest, row.rule == rule, row.timezone == timezone)
        with self._database.read() as connection:
            return connection.execute(wanted).scalar()

    def record_ticks(self, ticks: Iterable[Tick]) -> None:
        """Write what came of slots; of one that had failed or was held, what came of it now.

        Transaction: one write.
        """
        with self._database.write() as connection:
            for tick in ticks:
                values = {
                    "due_at": tick.due_at,
                    "outcome": tick.outcome,
                    "at": tick.at,
                    "number": tick.number,
                    "why": tick.why,
                }
                connection.execute(
                    self._database.insert(t.ticks)
                    .values(digest=tick.digest, slot=tick.slot, **values)
                    .on_conflict_do_update(
                        index_elements=["digest", "slot"], set_=values, where=t.ticks.c.outcome.in_(_NOT_OVER)
                    )
                )

    def settled_slots(self, digest: str, slots: Iterable[str]) -> frozenset[str]:
        """Those of these slots that are over and done with: something final came of them, or an issue is theirs.

        Transaction: one read.
        """
        row, issue = t.ticks.c, t.issues.c
        found: set[str] = set()
        with self._database.read() as connection:
            for chunk in in_chunks(dict.fromkeys(slots)):
                over = sa.select(row.slot).where(
                    row.digest == digest, row.slot.in_(chunk), row.outcome.not_in(_NOT_OVER)
                )
                frozen = sa.select(issue.slot).where(issue.digest == digest, issue.slot.in_(chunk))
                found.update(connection.execute(over).scalars())
                found.update(connection.execute(frozen).scalars())
        return frozenset(found)

    def tick_counts(self) -> dict[tuple[str, TickOutcome], int]:
        """How many slots of each digest came to what.

        Transaction: one read.
        """
        row = t.ticks.c
        wanted = sa.select(row.digest, row.outcome, sa.func.count()).group_by(row.digest, row.outcome)
        with self._database.read() as connection:
            return {(digest, outcome): number for digest, outcome, number in connection.execute(wanted)}

    def ticks(self, digest: str | None = None, limit: int = 20) -> list[Tick]:
        """The last ticks of a digest, or of all, the latest first.

        Transaction: one read.
        """
        wanted = sa.select(t.ticks).order_by(t.ticks.c.due_at.desc(), t.ticks.c.digest).limit(limit)
        if digest is not None:
            wanted = wanted.where(t.ticks.c.digest == digest)
        with self._database.read() as connection:
            return [_tick(row) for row in connection.execute(wanted)]


def _tick(row: Row) -> Tick:
    return Tick(
        digest=row.digest,
        slot=row.slot,
        due_at=row.due_at,
        outcome=row.outcome,
        at=row.at,
        number=row.number,
        why=row.why,
    )

"""Letting go of what is over, a little at a time (docs/adr/0027-what-is-let-go.md).

Every step is one small transaction that leaves all counts as they were, so that
it may end anywhere and others are hardly held up.  Nothing that is needed to
know an entry again, to reach a person or to keep one from being mailed goes:
consent, suppressions and links are not touched.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import UNSETTLED, DeliveryState, Keep, Tidied
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.belonging import read, write
from newsletter.store.memory import may_be_forgotten

Kind = Literal["deliveries", "issues", "entries", "pictures", "ticks", "reports"]

#: Rows in one transaction; entries have other rows with them.
_STEP: Final = 1000
_ENTRIES: Final = 300
#: Of reports as they came, so many bytes are kept in all, the newest.
RAW: Final = 100_000_000
#: After so long a pause the clock may be wrong: what looks old then is looked at again on another day.
_PAUSE: Final = timedelta(days=31)
_DAY: Final = timedelta(hours=22)

_d, _i = t.deliveries.c, t.issues.c
_LIVELY: Final = (*UNSETTLED, DeliveryState.held)
#: What goes with an entry that is forgotten; a key that proves nothing belongs to none, and stays.
_OF_ENTRIES: Final = (t.offers, t.entry_notes, t.entry_keys, t.entry_versions, t.entry_texts)


class Tidying(Part):
    """What is let go, and when."""

    def tidy_is_due(self) -> bool:
        """Whether it is a day since the last time; after a long pause it is, but only tomorrow.

        A clock that is years ahead makes everything look old: a day is the time
        to notice.

        Transaction: one read; a write where a day begins to count.
        """
        now = self._clock.now()
        with self._database.read() as connection:
            found = read(connection)
        if found is None or (found.tidied_at is not None and timedelta() <= now - found.tidied_at < _DAY):
            return False
        if found.tidied_at is not None and timedelta() <= now - found.tidied_at < _PAUSE:
            return True
        self._note_tidied(now)
        return False

    def tidy(
        self,
        keep: Keep,
        *,
        enough: Callable[[], bool] = lambda: False,
        on_step: Callable[[Tidied], None] = lambda _: None,
    ) -> Tidied:
        """Let go of what is older than that; the caller holds the lock for sending.

        Args:
            keep: for how long what is kept.
            enough: asked between the steps; whatever is left then, the next time does.
            on_step: told how much it is so far.

        Transaction: many small writes.
        """
        now = self._clock.now()
        done: Counter[Kind] = Counter()
        for kind, number in self._work(keep, now):
            done[kind] += number
            on_step(_counted(done))
            if enough():
                return replace(_counted(done), is_done=False)
        self._database.give_back()
        self._note_tidied(now)
        return _counted(done)

    def untidy(self, keep: Keep) -> Tidied:
        """How much `tidy` would let go now.

        Transaction: one read.
        """
        now = self._clock.now()
        count = sa.func.count
        wanted: dict[Kind, list[sa.Select[Any]]] = {}
        if keep.deliveries is not None:
            old = sa.select(_i.id).where(_over(now - keep.deliveries), _not_newest())
            wanted["deliveries"] = [sa.select(count()).where(_d.issue_id.in_(old))]
            wanted["issues"] = [sa.select(count(sa.distinct(_d.issue_id))).where(_d.issue_id.in_(old))]
        if keep.entries is not None:
            wanted["entries"] = [sa.select(count()).select_from(t.entries).where(_forgettable(now, keep.entries))]
        if keep.pictures is not None:
            shown = sa.select(_i.id).where(_over(now - keep.pictures))
            wanted["pictures"] = [sa.select(count()).where(t.pictures.c.issue_id.in_(shown))]
        if keep.ticks is not None:
            wanted["ticks"] = [sa.select(count()).where(rule) for _, rule in _old_log(now - keep.ticks)]
        if keep.reports is not None:
            wanted["reports"] = [sa.select(count()).where(rule) for _, rule in _old_reports(now - keep.reports)]
        with self._database.read() as connection:
            found = {
                kind: sum(connection.execute(query).scalar_one() for query in queries)
                for kind, queries in wanted.items()
            }
        return _counted(found)

    def _work(self, keep: Keep, now: datetime) -> Iterator[tuple[Kind, int]]:
        """Do it, a transaction at a time; says after each how many rows of what it let go."""
        if keep.deliveries is not None:
            yield from self._sum_up(now - keep.deliveries)
        if keep.entries is not None:
            yield from self._forget(now, keep.entries)
        if keep.pictures is not None:
            for issue_id in self._ids_of(sa.select(_i.id).where(_over(now - keep.pictures))):
                mine = t.pictures.c.issue_id == issue_id
                yield from (("pictures", number) for number in self._delete(t.pictures, mine, t.pictures.c.cid))
        if keep.ticks is not None:
            self._begin_schedules(now - keep.ticks)
            for table, rule in _old_log(now - keep.ticks):
                column = t.ticks.c.slot if table is t.ticks else t.outages.c.id
                yield from (("ticks", number) for number in self._delete(table, rule, column))
        if keep.reports is not None:
            for table, rule in _old_reports(now - keep.reports):
                yield from (("reports", number) for number in self._delete(table, rule, table.c.id))
        self._empty_raw()

    def _sum_up(self, before: datetime) -> Iterator[tuple[Kind, int]]:
        """Put numbers in the place of rows: rows and numbers together always say what the rows said."""
        # The last row of all stays: SQLite would give its id to another one, and reports name ids.
        not_last = _d.id < sa.select(sa.func.max(t.deliveries.alias().c.id)).scalar_subquery()
        has_rows = sa.exists().where(_d.issue_id == _i.id, not_last)
        for issue_id in self._ids_of(sa.select(_i.id).where(_over(before), _not_newest(), has_rows)):
            wanted = sa.select(_d.id, _d.state).where(_d.issue_id == issue_id, not_last).limit(_STEP)
            while True:
                with self._database.write() as connection:
                    rows = connection.execute(wanted).all()
                    for state, number in Counter(row.state for row in rows).items():
                        self._add(connection, issue_id, state, number)
                    connection.execute(sa.delete(t.deliveries).where(_d.id.in_([row.id for row in rows])))
                if not rows:
                    break
                yield "deliveries", len(rows)
            yield "issues", 1

    def _add(self, connection: Connection, issue_id: int, state: DeliveryState, number: int) -> None:
        connection.execute(
            self._database.insert(t.tallies)
            .values(issue_id=issue_id, state=state, number=number)
            .on_conflict_do_update(index_elements=["issue_id", "state"], set_={"number": t.tallies.c.number + number})
        )

    def _forget(self, now: datetime, after: timedelta) -> Iterator[tuple[Kind, int]]:
        rule = _forgettable(now, after)
        for feed_id in self._ids_of(sa.select(t.entries.c.feed_id).distinct().where(rule)):
            wanted = sa.select(t.entries.c.id).where(t.entries.c.feed_id == feed_id, rule).limit(_ENTRIES)
            while True:
                with self._database.write() as connection:
                    # Whoever records a document of this feed has its row locked, too.
                    connection.execute(sa.select(t.feeds.c.id).where(t.feeds.c.id == feed_id).with_for_update())
                    ids = connection.execute(wanted).scalars().all()
                    for table in _OF_ENTRIES:
                        connection.execute(sa.delete(table).where(table.c.entry_id.in_(ids)))
                    connection.execute(sa.delete(t.entries).where(t.entries.c.id.in_(ids)))
                if not ids:
                    break
                yield "entries", len(ids)

    def _delete(self, table: sa.Table, rule: sa.ColumnElement[bool], column: sa.ColumnElement[Any]) -> Iterator[int]:
        """Delete rows of one table, a step at a time; `column` tells them apart well enough."""
        while True:
            with self._database.write() as connection:
                some = connection.execute(sa.select(column).where(rule).limit(_STEP)).scalars().all()
                number = connection.execute(sa.delete(table).where(rule, column.in_(some))).rowcount if some else 0
            if not number:
                return
            yield number

    def _begin_schedules(self, moment: datetime) -> None:
        """Let schedules begin no earlier: slots whose ticks are gone must not look as if nobody had come."""
        since = t.schedules.c.since
        with self._database.write() as connection:
            connection.execute(sa.update(t.schedules).where(since < moment).values(since=moment))

    def _empty_raw(self) -> None:
        """Keep the newest reports as they came, as many as there is room for."""
        size = sa.func.length(t.reports.c.raw)
        with self._database.write() as connection:
            if (connection.execute(sa.select(sa.func.sum(size))).scalar() or 0) <= RAW:
                return
            total = 0
            rows = connection.execute(sa.select(t.reports.c.id, size).where(size > 0).order_by(t.reports.c.id.desc()))
            for id_, length in rows.all():
                total += length
                if total > RAW:
                    older = (t.reports.c.id <= id_) & (size > 0)
                    connection.execute(sa.update(t.reports).where(older).values(raw=b""))
                    return

    def _ids_of(self, wanted: sa.Select[Any]) -> list[int]:
        with self._database.read() as connection:
            return list(connection.execute(wanted).scalars())

    def _note_tidied(self, now: datetime) -> None:
        with self._database.write() as connection:
            if (found := read(connection)) is not None:
                write(connection, replace(found, tidied_at=now))


def _counted(found: Mapping[Kind, int]) -> Tidied:
    return Tidied(
        deliveries=found.get("deliveries", 0),
        issues=found.get("issues", 0),
        entries=found.get("entries", 0),
        pictures=found.get("pictures", 0),
        ticks=found.get("ticks", 0),
        reports=found.get("reports", 0),
    )


def _over(before: datetime) -> sa.ColumnElement[bool]:
    """Issues frozen before that moment of which nothing is to come, and nothing waits for a person."""
    lively = sa.exists().where(_d.issue_id == _i.id, _d.state.in_(_LIVELY))
    return (_i.frozen_at < before) & ~lively


def _not_newest() -> sa.ColumnElement[bool]:
    """Issues that a later one of their digest follows, and not the last of all: its rows have the highest ids."""
    later = t.issues.alias("later")
    return sa.exists().where(later.c.digest == _i.digest, later.c.id > _i.id)


def _forgettable(now: datetime, after: timedelta) -> sa.ColumnElement[bool]:
    """Entries that need not be remembered, and that stand in no issue: what was sent can be read for good."""
    carried = [sa.exists().where(table.c.entry_id == t.entries.c.id) for table in (t.issue_entries, t.mentions)]
    return may_be_forgotten(now, after) & ~carried[0] & ~carried[1]


def _old_log(before: datetime) -> tuple[tuple[sa.Table, sa.ColumnElement[bool]], ...]:
    """What came of slots, and when feeds could not be read."""
    return (t.ticks, t.ticks.c.due_at < before), (t.outages, t.outages.c.ended_at < before)


def _old_reports(before: datetime) -> tuple[tuple[sa.Table, sa.ColumnElement[bool]], ...]:
    """What came back, and the mail that said so: what it led to is a suppression, and stays."""
    said = sa.exists().where(t.bounces.c.report_id == t.reports.c.id)
    return (t.bounces, t.bounces.c.recorded_at < before), (t.reports, (t.reports.c.recorded_at < before) & ~said)

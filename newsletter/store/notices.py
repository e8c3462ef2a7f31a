"""What the owner is told: each matter once when it begins and once when it ends, whoever runs when."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from newsletter.model import Matter, Notice
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import Row, in_chunks

#: So long the times of tellings are kept.
_KEPT: Final = timedelta(days=30)


class Notices(Part):
    """Matters that last, and whether the owner knows of them."""

    def record_matters(self, matters: Mapping[str, Matter], undecided: Collection[str] = ()) -> None:
        """Note what is so now: what is new is to be told, and so is what has ended, if its beginning was.

        Args:
            matters: all that is so, by key.
            undecided: keys of which nobody can say at the moment whether they have ended.

        Transaction: one read; one write where something has changed.
        """
        n, now = t.notices.c, self._clock.now()
        with self._database.read() as connection:
            known = {row.key: row for row in connection.execute(sa.select(t.notices))}
        begun = matters.keys() - known.keys()
        again = [key for key, row in known.items() if key in matters and row.ended_at is not None]
        reworded = [
            key
            for key, row in known.items()
            if key in matters
            and row.told_at is None
            and (row.words, row.hint) != (matters[key].words, matters[key].hint)
        ]
        gone = [
            row for key, row in known.items() if key not in matters and key not in undecided and row.ended_at is None
        ]
        if not (begun or again or reworded or gone):
            return
        unsaid = [row.key for row in gone if row.told_at is None or not row.over]
        ended = [row.key for row in gone if row.key not in unsaid]
        with self._database.write() as connection:
            for chunk in in_chunks(unsaid):
                connection.execute(sa.delete(t.notices).where(n.key.in_(chunk), n.told_at.is_(None) | (n.over == "")))
            for chunk in in_chunks(again):
                connection.execute(sa.update(t.notices).where(n.key.in_(chunk)).values(ended_at=None, error=""))
            for chunk in in_chunks(ended):
                connection.execute(
                    sa.update(t.notices).where(n.key.in_(chunk)).values(ended_at=now, tried_at=None, error="")
                )
            for key in reworded:
                values = {"words": matters[key].words, "hint": matters[key].hint}
                connection.execute(sa.update(t.notices).where(n.key == key, n.told_at.is_(None)).values(values))
            for key in sorted(begun):
                one = matters[key]
                connection.execute(
                    self._database.insert(t.notices)
                    .values(key=key, words=one.words, hint=one.hint, over=one.over, began_at=now, error="")
                    .on_conflict_do_nothing(index_elements=["key"])
                )

    def untold(self) -> list[Notice]:
        """What the owner is to be told, the oldest first.

        Transaction: one read.
        """
        n = t.notices.c
        wanted = sa.select(t.notices).where(n.told_at.is_(None) | n.ended_at.is_not(None)).order_by(n.began_at, n.key)
        with self._database.read() as connection:
            return [_notice(row) for row in connection.execute(wanted)]

    def owner_told(self, notices: Iterable[Notice], *, counts: bool = True) -> None:
        """The owner knows; `counts` says whether this counts against what they are told in a day.

        Transaction: one write.
        """
        n, now = t.notices.c, self._clock.now()
        listed = list(notices)
        with self._database.write() as connection:
            for chunk in in_chunks([one.key for one in listed if one.is_over]):
                connection.execute(sa.delete(t.notices).where(n.key.in_(chunk), n.ended_at.is_not(None)))
            for chunk in in_chunks([one.key for one in listed if not one.is_over]):
                connection.execute(sa.update(t.notices).where(n.key.in_(chunk)).values(told_at=now, error=""))
            if counts:
                connection.execute(sa.insert(t.tellings).values(at=now, notices=len(listed)))
            connection.execute(sa.delete(t.tellings).where(t.tellings.c.at < now - _KEPT))

    def owner_not_told(self, notices: Iterable[Notice], error: str) -> None:
        """The owner could not be told now, and why.

        Transaction: one write.
        """
        with self._database.write() as connection:
            for chunk in in_chunks([one.key for one in notices]):
                connection.execute(
                    sa.update(t.notices)
                    .where(t.notices.c.key.in_(chunk))
                    .values(tried_at=self._clock.now(), error=error)
                )

    def tellings_since(self, moment: datetime) -> int:
        """How often the owner was told something since then.

        Transaction: one read.
        """
        wanted = sa.select(sa.func.count()).select_from(t.tellings).where(t.tellings.c.at > moment)
        with self._database.read() as connection:
            return connection.execute(wanted).scalar_one()


def _notice(row: Row) -> Notice:
    is_over = row.ended_at is not None
    return Notice(
        key=row.key,
        words=row.over if is_over else row.words,
        hint="" if is_over else row.hint,
        since=row.ended_at if is_over else row.began_at,
        is_over=is_over,
        tried_at=row.tried_at,
        error=row.error,
    )

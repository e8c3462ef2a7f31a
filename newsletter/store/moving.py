"""The state of a project moved into another database: all of it or nothing, and never two that send.

In this order: the copy is complete and compared, in one transaction, but may
not send; the original takes nothing more; the copy may send.  Wherever it breaks
off, one of them may send at most, and both say why not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from newsletter.errors import StoreError
from newsletter.model import Belonging
from newsletter.store.base import Part
from newsletter.store.belonging import Belongings, read, write
from newsletter.store.copying import clear, copy_rows, count_rows, lock_all, require_same, set_sequences
from newsletter.store.fence import require_idle
from newsletter.store.guard import guard, unguard


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Where everything is now (without a password), and how many rows of which table."""

    where: str
    rows: dict[str, int]

    @property
    def total(self) -> int:
        """All rows."""
        return sum(self.rows.values())


class Moving(Belongings):
    """Taking a project to another database."""

    def move_to(
        self,
        other: Part,
        *,
        machine: str = "",
        follow: bool = False,
        replacing: bool = False,
        on_rows: Callable[[int], None] = lambda _: None,
        trace: Callable[[str], None] = lambda _: None,
    ) -> Moved:
        """Copy everything to another store, which goes on where this one stops; this one takes nothing more.

        Nobody sends meanwhile; whoever else writes here waits.

        Args:
            other: of this schema; empty, or to be emptied.
            machine: the name of this machine.
            follow: a database that was copied here may be moved.
            replacing: whether what the other has may go.
            on_rows: told how many more are copied.
            trace: told "copied", "moved" and "opened", after each durable step.

        Transaction: one write in each; a small one in the other at the end.

        Raises:
            BusyError: a send or a worker is at work on either.
            StoreError: the other is not empty, or what arrived is not what was sent: nothing has changed.
        """
        here, there = self._database, other._database  # noqa: SLF001 - a store like this one
        with self.sending(machine, follow=follow), here.lock("bounces"), there.lock("send") as their_lock:
            with here.write() as original:
                # Before and after: whoever sends is not to be held up for nothing, nor to begin meanwhile.
                require_idle(here, original)
                lock_all(here, original)
                require_idle(here, original)
                mine = read(original) or self._new()
                with there.write() as copy:
                    lock_all(there, copy)
                    require_idle(there, copy)
                    unguard(there, copy)
                    if (number := count_rows(copy)) and not replacing:
                        raise StoreError(
                            f"the database {there.name} is not empty: it has {number:,} rows",
                            hint="name an empty one, or say --replace to lose what it has",
                        )
                    clear(there, copy)
                    copied = copy_rows(original, copy, on_rows=on_rows)
                    set_sequences(there, copy)
                    require_same(copy, copied)
                    place = there.place(machine)
                    theirs = Belonging(
                        project=mine.project,
                        places=() if place is None else (place,),
                        sends=max(mine.sends, their_lock.seen) + 1,
                        held=f"is a copy of {here.name} that was not finished: run newsletter db copy again",
                        held_at=self._clock.now(),
                        tidied_at=mine.tidied_at,
                    )
                    write(copy, theirs)
                trace("copied")
                guard(here, original)
                write(original, replace(mine, moved_to=there.name, moved_at=self._clock.now()))
            trace("moved")
            with there.write() as copy:
                write(copy, replace(theirs, held=None, held_at=None))
            trace("opened")
        return Moved(where=there.name, rows={name: found.rows for name, found in copied.items()})

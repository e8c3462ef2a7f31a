"""Which waiting entries may still change: they wait until they have been the same for a while (`settle`).

Counted on our clock, from when the present form of an entry was first seen; what
the feed says of dates decides nothing.  No entry is lost by it: one that keeps
changing, or is gone from its feed, goes all the same.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from newsletter.model import Feed, Settling, StoredEntry

#: So many times as long as it must be the same, an entry waits at most.
PATIENCE: Final = 4


def settled(
    waiting: Sequence[StoredEntry], feeds: Iterable[Feed], *, now: datetime
) -> tuple[list[StoredEntry], tuple[Settling, ...]]:
    """Part what waits for a digest into what may go and what is settling, both in the order given."""
    waits = {feed.url: timedelta(seconds=feed.settle) for feed in feeds if feed.settle}
    ready: list[StoredEntry] = []
    settling: list[Settling] = []
    for stored in waiting:
        at = _ready_at(stored, waits.get(stored.feed_url), now)
        if at is None or at <= now:
            ready.append(stored)
        else:
            settling.append(Settling(stored=stored, ready_at=at))
    return ready, tuple(settling)


def _ready_at(stored: StoredEntry, wait: timedelta | None, now: datetime) -> datetime | None:
    if wait is None or stored.changed_at is None:
        return None
    if max(stored.changed_at, stored.first_seen_at) > now:
        # A clock that was ahead when the entry was seen keeps nothing back.
        return None
    return min(stored.changed_at + wait, stored.first_seen_at + PATIENCE * wait)


def settling_words(settling: Sequence[Settling]) -> str:
    """How many entries wait, and until when the first does, in one sentence; times are this machine's."""
    first = min(one.ready_at for one in settling).astimezone()
    number = "1 entry is" if len(settling) == 1 else f"{len(settling)} entries are"
    return f"{number} settling (may still change): the first can go after {first:%Y-%m-%d %H:%M}"

"""One process among several that send: what it is called, and the thread that says it lives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from newsletter.errors import NewsletterError, StoreError
from newsletter.model import Lease
from newsletter.stages import Parts
from newsletter.store.shards import LEASED
from newsletter.store.working import Presence

#: Seconds between two signs of life; a lease lasts several of them.
_BEAT: Final = 5.0
#: A clock that is off by more is refused: what it says of when a message may go is not to be believed.
CLOCK_OFF: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a process is called, where others see it."""

    who: str
    host: str
    pid: int
    version: str


def clock_words(off: float) -> str:
    """What is wrong with a clock that is off by so many seconds."""
    return f"this machine's clock is {abs(off):,.0f} s {'ahead of' if off > 0 else 'behind'} the database's"


class Keeper:
    """Says in a thread of its own that a process lives, and keeps its leases, whatever the event loop is at.

    Args:
        parts: what to work with.
        presence: the process's session.
        who: its id.
        concurrency: how many shards it sends at once.
    """

    def __init__(self, parts: Parts, presence: Presence, who: str, concurrency: int) -> None:
        self.who = who
        self.concurrency = concurrency
        #: How far this machine's clock is ahead of the database's, in seconds.
        self.clock_off = 0.0
        #: Why the database could not be told the last time; None if it could.
        self.trouble: NewsletterError | None = None
        self._store = parts.store
        self._presence = presence
        self._held: dict[Lease, Callable[[], None]] = {}
        self._turn = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """Do so as long as the block lasts."""
        self.beat()
        self._thread.start()
        try:
            yield
        finally:
            self._over.set()
            self._thread.join()

    @contextmanager
    def holding(self, lease: Lease, lost: Callable[[], None]) -> Iterator[None]:
        """Keep a lease as long as the block lasts, then give it back; `lost` is called, in the thread, if it is another's."""
        with self._turn:
            self._held[lease] = lost
        try:
            yield
        finally:
            with self._turn:
                self._held.pop(lease, None)
            # What cannot be given back ends by itself.
            with suppress(StoreError):
                self._store.give_back(lease)

    def beat(self) -> None:
        """Give a sign of life now.

        Raises:
            StoreError: the database does not answer.
        """
        self._presence.keep()
        with self._turn:
            held = dict(self._held)
        for lease in self._store.renew_leases(held.keys()):
            held[lease]()
        self.clock_off = self._store.beat(self.who, concurrency=self.concurrency)

    @property
    def is_clock_off(self) -> bool:
        """Whether this machine's clock cannot be believed."""
        return abs(self.clock_off) > CLOCK_OFF

    def _run(self) -> None:
        while not self._over.wait(_BEAT):
            # If there is no answer for so long, none comes: then nobody shall wait for one, this thread least of all.
            watch = threading.Timer(LEASED.total_seconds(), self._store.hang_up)
            watch.daemon = True
            watch.start()
            try:
                self.beat()
            except NewsletterError as error:
                self.trouble = error
            else:
                self.trouble = None
            finally:
                watch.cancel()


@contextmanager
def at_work(parts: Parts, me: Identity, *, concurrency: int) -> Iterator[Keeper]:
    """Be one of those who send, as long as the block lasts.

    Raises:
        StoreError: the database does not answer.
        NewsletterError: this machine's clock cannot be believed.
    """
    store = parts.store
    with store.at_work(me.who, host=me.host, pid=me.pid, version=me.version, concurrency=concurrency) as presence:
        keeper = Keeper(parts, presence, me.who, concurrency)
        with keeper.keeping():
            yield keeper

"""Messages made before their turn, by a few threads: signing takes longer than all the rest of a message.

OpenSSL lets go of the interpreter while it signs, so the event loop goes on
talking to servers meanwhile, and two processors sign twice as much.  What is
made ahead is nothing but bytes in memory: no row is taken, no intent written,
and a run that ends drops them.
"""

import asyncio
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from newsletter.delivery.compose import Skeleton
from newsletter.model import Delivery

#: More threads than processors only take turns; a send is not all that a machine does.
_THREADS: Final = min(4, os.cpu_count() or 1)


class Ahead:
    """Composes deliveries in the order in which they are begun.

    Args:
        depth: how many messages may be there before somebody asks for them.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="signing")
        self._begun: dict[int, Future[list[bytes]]] = {}

    def begin(self, delivery: Delivery, skeleton: Skeleton) -> None:
        """Begin to make a message, where there is room; what has begun is not begun again."""
        if delivery.id not in self._begun and len(self._begun) < self.depth:
            self._begun[delivery.id] = self._pool.submit(skeleton.pieces, delivery)

    async def pieces(self, delivery: Delivery, skeleton: Skeleton) -> list[bytes]:
        """The message, made now if it was not before.

        Raises:
            MessageError: as `Skeleton.pieces`.
        """
        begun = self._begun.pop(delivery.id, None) or self._pool.submit(skeleton.pieces, delivery)
        return begun.result() if begun.done() else await asyncio.wrap_future(begun)

    def close(self) -> None:
        """Drop what nobody asked for; returns when the threads have ended."""
        self._begun.clear()
        self._pool.shutdown(cancel_futures=True)

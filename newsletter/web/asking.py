"""Where what blocks is done, so that nobody else waits for it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_THREADS = 4


class Asking:
    """A few threads; call it with what is to be done."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="pages")

    async def __call__(self, work: Callable[[], T]) -> T:
        """Do something elsewhere, and give what came of it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Let what has begun end."""
        self._threads.shutdown()

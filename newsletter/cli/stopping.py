"""Work that ends in order when somebody asks the process to end."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

_Result = TypeVar("_Result")


async def until_stopped(work: Callable[[asyncio.Event], Awaitable[_Result]]) -> _Result:
    """Do the work; on SIGTERM or Ctrl-C set its event, so that it finishes what is in flight."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        return await work(stop)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

"""Telling systemd how a service of ours is doing (sd_notify(3)): a datagram to the socket that it names."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from newsletter.config.system import notify_socket, watchdog_seconds


def tell_systemd(state: str) -> None:
    """Send a state such as READY=1; nothing happens where nobody waits for it."""
    address = notify_socket()
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notice:
        # "@" stands for the zero byte of an abstract address (unix(7)).
        notice.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        notice.sendall(state.encode())


@asynccontextmanager
async def watched_by_systemd(does_its_work: Callable[[], bool]) -> AsyncIterator[None]:
    """While the block lasts, say so in time where the unit has a WatchdogSec=; silence makes systemd start it anew."""
    seconds = watchdog_seconds()

    async def bark() -> None:
        while True:
            if does_its_work():
                tell_systemd("WATCHDOG=1")
            # sd_watchdog_enabled(3): twice as often as is asked for.
            await asyncio.sleep(seconds / 2)

    task = asyncio.create_task(bark()) if seconds else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

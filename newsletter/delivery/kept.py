"""Connections that outlive a run: whoever sends one shard after the other need not take leave in between."""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from newsletter.delivery.attempt import Gate, Outcome
from newsletter.delivery.ports import Carrier, Transport

#: Servers end connections that are silent for longer; RFC 5321 §4.5.3.2.7 asks them for five minutes.
_IDLE: Final = 20.0


class KeptTransport:
    """Opens connections, or gives out those that an earlier run has left.

    Args:
        transport: what opens them.
        per_connection: how many messages one may carry; None: any number.
    """

    def __init__(self, transport: Transport, per_connection: int | None) -> None:
        self._transport = transport
        self._per_connection = per_connection
        self._idle: deque[tuple[Carrier, float]] = deque()
        self._sweeping: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self) -> Carrier:
        """One that is ready for messages.

        Raises:
            TransportError: none could be opened.
        """
        now = asyncio.get_running_loop().time()
        while self._idle:
            carrier, since = self._idle.pop()
            if carrier.is_usable and now - since < _IDLE:
                return _Kept(self, carrier)
            await carrier.close()
        return _Kept(self, await self._transport.open())

    async def keep(self, carrier: Carrier) -> None:
        """Have it back, or let it end."""
        is_spent = self._per_connection is not None and carrier.begun >= self._per_connection
        if carrier.is_usable and not is_spent and not self._is_closed:
            self._idle.append((carrier, asyncio.get_running_loop().time()))
            if self._sweeping is None or self._sweeping.done():
                self._sweeping = asyncio.create_task(self._sweep())
        else:
            await carrier.close()

    async def close(self) -> None:
        """Take leave of the server; what comes back later is not kept."""
        self._is_closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        while self._idle:
            await self._idle.pop()[0].close()

    async def _sweep(self) -> None:
        """End those that nobody wants any more: a server counts them."""
        while self._idle:
            carrier, since = self._idle[0]
            if (left := since + _IDLE - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(left)
            elif self._idle:
                self._idle.popleft()
                await carrier.close()


class _Kept:
    """A connection that goes back when a run is done with it."""

    def __init__(self, home: KeptTransport, carrier: Carrier) -> None:
        self._home = home
        self._carrier = carrier
        self._is_back = False

    @property
    def is_local(self) -> bool:
        return self._carrier.is_local

    @property
    def is_usable(self) -> bool:
        return not self._is_back and self._carrier.is_usable

    @property
    def begun(self) -> int:
        return self._carrier.begun

    @property
    def accepted(self) -> int:
        return self._carrier.accepted

    async def transaction(self, *, sender: str, recipient: str, gate: Gate, message: Sequence[bytes]) -> Outcome:
        return await self._carrier.transaction(sender=sender, recipient=recipient, gate=gate, message=message)

    async def close(self) -> None:
        if not self._is_back:
            self._is_back = True
            await self._home.keep(self._carrier)

    def abort(self, reason: str) -> None:
        self._carrier.abort(reason)

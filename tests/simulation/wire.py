"""A TCP connection in memory, as both ends see it: late, in pieces, in order, and cut anywhere."""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tests.simulation.timeline import Loop, Timeline

if TYPE_CHECKING:
    from tests.simulation.process import Process


#: Where commands are pipelined, MAIL and RCPT are one write.
_RECIPIENT = re.compile(rb"RCPT TO:<([^>]*)>")


class Peer(Protocol):
    """The server's end."""

    def receive(self, data: bytes) -> None:
        """Bytes have come."""

    def gone(self) -> None:
        """No more will come."""


class Wire:
    """One connection of a process to a server.

    Args:
        process: whose it is; a dead one hears and says nothing.
        capacity: how many bytes the systems at both ends take before the writer must wait.
        delay: how many seconds a piece is on its way at most.
    """

    def __init__(self, timeline: Timeline, process: "Process", loop: Loop, *, capacity: int, delay: float) -> None:
        self.process = process
        self._timeline = timeline
        self._loop = loop
        self._capacity = capacity
        self._delay = delay
        self.transport = Transport(self, loop)
        self.peer: Peer | None = None
        #: Written and not read by the server: [bytes].  What is first has been written first.
        self._under_way: deque[bytes] = deque()
        self._arrives = 0.0
        self._returns = 0.0
        self._is_deaf = False
        #: The client has hung up; the server has.
        self.is_cut = False
        self.is_over = False

    # ------------------------------------------------------------- from the client

    @property
    def room(self) -> int:
        return self._capacity - sum(map(len, self._under_way))

    def carry(self, data: bytes) -> None:
        """Take bytes that fit in; they arrive late, perhaps in two pieces."""
        cut = self._timeline.chance.randrange(len(data)) if self._timeline.chance.random() < 0.2 else 0
        for piece in (data[:cut], data[cut:]):
            if piece:
                self._under_way.append(piece)
                self._arrives = max(self._arrives, self._timeline.seconds + self._timeline.a_while(self._delay))
                self._timeline.after(self._arrives - self._timeline.seconds, self._arrive)

    def hang_up(self, *, abruptly: bool) -> None:
        """The client's end is closed; abruptly, what is under way may be lost from any byte on."""
        if self.is_cut:
            return
        self.is_cut = True
        if abruptly and self._under_way and self._timeline.chance.random() < 0.5:
            whole = b"".join(self._under_way)
            kept = whole[: self._timeline.chance.randrange(len(whole))]
            self._under_way = deque([kept] if kept else [])
        self._arrives = max(self._arrives, self._timeline.seconds + self._timeline.a_while(self._delay))
        self._timeline.after(self._arrives - self._timeline.seconds, self._end)

    def _arrive(self) -> None:
        if self._is_deaf or self.is_over or not self._under_way or self.peer is None:
            return
        if not self.process.is_over:
            self.process.step("arrive")
        self.peer.receive(self._under_way.popleft())
        self._loop_soon(self.transport.go_on)

    def _end(self) -> None:
        if self.is_over or self.peer is None:
            return
        while self._under_way and not self.is_over and not self._is_deaf:
            self.peer.receive(self._under_way.popleft())
        if not self.is_over:
            self.is_over = True
            self.peer.gone()

    # ------------------------------------------------------------- from the server

    def reply(self, data: bytes, *, wait: float = 0.0, on_heard: Callable[[], None] | None = None) -> None:
        """Send bytes to the client; `on_heard` is told when the last of them has been read by a process that lives."""
        cut = self._timeline.chance.randrange(len(data)) if self._timeline.chance.random() < 0.2 else 0
        pieces = [piece for piece in (data[:cut], data[cut:]) if piece]
        for number, piece in enumerate(pieces, 1):

            def read(piece: bytes = piece, *, is_last: bool = number == len(pieces)) -> None:
                if self.transport.hear(piece) and is_last and on_heard is not None:
                    on_heard()

            self._return(read, wait)

    def close(self) -> None:
        """The server hangs up, after what it has said."""
        self.is_over = True
        self._return(self.transport.hear_end)

    def reset(self) -> None:
        """The server, or the way to it, breaks; what it said before may still be read."""
        self.is_over = True
        self._return(lambda: self.transport.lose(ConnectionResetError("the connection was reset")))

    def stop_reading(self) -> None:
        """The server reads no more."""
        self._is_deaf = True

    def _return(self, read: Callable[[], None], wait: float = 0.0) -> None:
        self._returns = max(self._returns, self._timeline.seconds + wait + self._timeline.a_while(self._delay))
        self._timeline.after(self._returns - self._timeline.seconds, lambda: self._loop_soon(read))

    def _loop_soon(self, callback: Callable[[], None]) -> None:
        if not self.process.is_over:
            self._loop.call_soon(callback)


class Transport(asyncio.Transport):
    """The client's end, as asyncio shows it to a protocol."""

    def __init__(self, wire: Wire, loop: Loop) -> None:
        super().__init__({"peername": ("127.0.0.1", 25), "sockname": ("127.0.0.1", 50_000)})
        self._wire = wire
        self._loop = loop
        self._protocol: Any = None
        self._buffer = b""
        self._high, self._low = 65_536, 16_384
        self._is_paused = False
        self._is_closing = False
        self._is_lost = False

    # -------------------------------------------------- what asyncio's transports do

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        return self._is_closing

    def is_reading(self) -> bool:
        return not self._is_closing

    def pause_reading(self) -> None:
        raise NotImplementedError

    def resume_reading(self) -> None:
        raise NotImplementedError

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 65_536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing or not data:
            return
        self._wire.process.step("write")
        if bytes(data[:4]) in (b"MAIL", b"RSET") and (found := _RECIPIENT.search(bytes(data[:1_000]))):
            self._wire.process.starts[-1].append((self._loop.time(), found[1].decode()))
        self._buffer += bytes(data)
        self._hand_over()
        if len(self._buffer) > self._high and not self._is_paused:
            self._is_paused = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        raise NotImplementedError

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        """Close when everything has gone out."""
        if not self._is_closing:
            self._is_closing = True
            if not self._buffer:
                self._close(None, abruptly=False)

    def abort(self) -> None:
        self._is_closing = True
        self._close(None, abruptly=True)

    # ------------------------------------------------------------- for the wire

    def go_on(self) -> None:
        """There may be room again."""
        if self._is_lost:
            return
        self._hand_over()
        if self._is_paused and len(self._buffer) <= self._low:
            self._is_paused = False
            self._protocol.resume_writing()
        if self._is_closing and not self._buffer:
            self._close(None, abruptly=False)

    def hear(self, data: bytes) -> bool:
        """Give bytes to the protocol; whether it still listens."""
        if self._is_closing:
            return False
        self._protocol.data_received(data)
        return True

    def hear_end(self) -> None:
        if not self._is_closing and not self._protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None) -> None:
        self._is_closing = True
        self._close(error, abruptly=True)

    def _hand_over(self) -> None:
        room = self._wire.room
        if self._buffer and room > 0:
            data, self._buffer = self._buffer[:room], self._buffer[room:]
            self._wire.carry(data)

    def _close(self, error: Exception | None, *, abruptly: bool) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self._buffer = b""
        if self._wire.process.is_over:
            return
        self._wire.hang_up(abruptly=abruptly)
        self._loop.call_soon(self._protocol.connection_lost, error)

"""Our side of an SMTP session once it is open: what is written, what is answered, in which order.

aiosmtplib opens, secures and authenticates a connection; then this protocol
takes its place on the same transport.  It differs in three things that
"nobody is missed, and nobody gets it twice" depends on: commands may be written
together (RFC 2920), every reply is read within bounds, and the end of a
connection is an ordinary value of which the reader knows when it came.
"""

import asyncio
from collections import deque

from newsletter.delivery.replies import GARBAGE, Reply, ReplyReader


class ConversationOver(Exception):  # noqa: N818 - the ordinary end of a connection
    """The server will say no more: the connection is closed, or nothing came in time."""


class Conversation(asyncio.Protocol):
    """Writes to a server and hands out its replies in order.

    Args:
        transport: open, secured and authenticated; this takes it over.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended: str | None = None
        # "Drained" means that nothing is left on our side: only then is it known whether the final dot has gone.
        # (0 would do for plain connections; asyncio's TLS takes "0 waiting" for "full" then.)
        transport.set_write_buffer_limits(high=1, low=0)
        transport.set_protocol(self)

    @property
    def is_quiet(self) -> bool:
        """Whether the connection is open and the server has said nothing that nobody asked for."""
        return self._ended is None and not self._replies and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write something; to a connection that has ended, nothing happens."""
        if self._ended is None:
            self._transport.write(data)

    async def drained(self, timeout: float) -> None:  # noqa: ASYNC109 - one rule for all waits here
        """Wait until everything that was written is with the operating system.

        Raises:
            ConversationOver: the connection ended, or the server read nothing for `timeout` seconds.
        """
        if not self._writable.is_set():
            try:
                async with asyncio.timeout(timeout):
                    await self._writable.wait()
            except TimeoutError:
                raise ConversationOver(f"the server took nothing in for {timeout:g} s") from None
        if self._ended is not None:
            raise ConversationOver(self._ended)

    async def reply(self, timeout: float) -> Reply:  # noqa: ASYNC109 - one rule for all waits here
        """The next reply.

        Raises:
            ConversationOver: the connection ended before it, or it took longer than `timeout` seconds.
        """
        if not self._replies and self._ended is None:
            self._waiting = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._waiting
            except TimeoutError:
                raise ConversationOver(f"the server said nothing for {timeout:g} s") from None
            finally:
                self._waiting = None
        if not self._replies:
            raise ConversationOver(self._ended or "the connection is closed")
        reply = self._replies.popleft()
        if not self._replies:
            self._reader.forget()
        return reply

    def abort(self, reason: str = "the connection was given up") -> None:
        """End the connection at once; whoever waits is told."""
        self._end(reason)
        self._transport.abort()

    # ------------------------------------------------------- called by the event loop

    def data_received(self, data: bytes) -> None:
        """Take in what the server sent."""
        replies = self._reader.feed(data)
        self._replies.extend(replies)
        if replies and replies[-1].code == GARBAGE:
            # Nothing that comes after it can be trusted, and it may never stop coming.
            self._end(replies[-1].text)
            self._transport.abort()
        if replies:
            self._wake()

    def eof_received(self) -> bool:
        """The server has hung up."""
        self._end("the server closed the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._end(f"the connection was lost: {exc}" if exc else "the connection is closed")

    def pause_writing(self) -> None:
        """The buffer for what is written is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The buffer has room again."""
        self._writable.set()

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason
        self._writable.set()
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

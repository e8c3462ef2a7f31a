"""Our side of an SMTP session once it is open: what is written, what is answered, in which order.

aiosmtplib opens, secures and authenticates a connection; then this protocol
takes its place on the same transport.  It differs in three things that
"nobody is missed, and nobody gets it twice" depends on: commands may be written
ahead of the answers to earlier ones (RFC 2920), every reply is read within
bounds and belongs to what was asked for it, and the end of a connection is an
ordinary value of which the reader knows when it came.
"""

import asyncio
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from newsletter.delivery.replies import CLOSING, GARBAGE, Reply, ReplyReader

#: Seconds a server gets for its last words, once it has said that it closes (421).
_LAST_WORDS: Final = 5.0
#: Bytes read before it is seen whether anybody asked for them; half of what the reader bears.
_SLICE: Final = 32_768
#: The system forgets it after a while, so it is said again with every reply; only Linux has it.
_QUICKLY: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)


class ConversationOver(Exception):  # noqa: N818 - the ordinary end of a connection
    """The server takes nothing more in: the connection is closed, or stuck."""


@dataclass(slots=True)
class Answers:
    """What came back for one `Conversation.ask`: a reply per command, or fewer and the reason why no more."""

    replies: list[Reply] = field(default_factory=list)
    over: str | None = None


class _Question:
    """What was asked and is not answered in full."""

    __slots__ = ("answers", "future", "timeouts")

    def __init__(self, future: "asyncio.Future[Answers]", timeouts: tuple[float, ...]) -> None:
        self.future = future
        self.timeouts = timeouts
        self.answers = Answers()


class Conversation(asyncio.Protocol):
    """Writes to a server and hands each reply to whoever asked for it.

    Args:
        transport: open, secured and authenticated; this takes it over.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._reader = ReplyReader()
        self._questions: deque[_Question] = deque()
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended: str | None = None
        self._is_closing = False
        #: When the next reply must have come, and what looks at the clock then (or earlier, and again).
        self._deadline = 0.0
        self._patience = 0.0
        self._timer: asyncio.TimerHandle | None = None
        #: What the server said although nobody had asked.
        self.unasked: Reply | None = None
        # "Drained" means that nothing is left on our side: only then is it known whether the final dot has gone.
        # (0 would do for plain connections; asyncio's TLS takes "0 waiting" for "full" then.)
        transport.set_write_buffer_limits(high=1, low=0)
        transport.set_protocol(self)

    @property
    def is_quiet(self) -> bool:
        """Whether the connection is open and the server has said nothing that nobody asked for."""
        return self._ended is None and self.unasked is None and not self._transport.is_closing()

    def ask(self, data: bytes, *timeouts: float) -> "asyncio.Future[Answers]":
        """Write commands, and have their replies when all of them have come.

        Any number of questions may be open; they are answered in the order in
        which they were asked.

        Args:
            data: the commands, or a message.
            timeouts: per reply, the seconds it may take once it is the next to come.
        """
        question = _Question(self._loop.create_future(), timeouts)
        if self._ended is not None or self.unasked is not None:
            # A reply that nobody asked for would be taken for the answer to this.
            question.answers.over = self._ended or f"the server said, without being asked: {self.unasked}"
            question.future.set_result(question.answers)
            return question.future
        self._questions.append(question)
        if len(self._questions) == 1:
            self._expect_next()
        self._transport.write(data)
        return question.future

    def write(self, data: bytes) -> None:
        """Write what has no answer of its own; to a connection that has ended, nothing happens."""
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

    def abort(self, reason: str = "the connection was given up") -> None:
        """End the connection at once; whoever waits is told."""
        self._end(reason)
        self._transport.abort()

    # ------------------------------------------------------- called by the event loop

    def data_received(self, data: bytes) -> None:
        """Take in what the server sent."""
        self._acknowledge()
        for start in range(0, len(data), _SLICE):
            replies = self._reader.feed(data[start : start + _SLICE] if len(data) > _SLICE else data)
            for reply in replies:
                self._answer(reply)
            if replies and self._ended is None:
                if self.unasked is None:
                    self._reader.forget()
                if self._questions:
                    self._expect_next()

    def _acknowledge(self) -> None:
        """Have the system say at once that it has come.

        Several replies to what we wrote together are several small packets.  A server
        that waits for the acknowledgement of one before it sends the next (RFC 896)
        would wait as long as a system may keep one back (RFC 1122 §4.2.3.2): 40 ms on
        Linux, for each message, and a third of the speed.
        """
        if self._socket is not None and _QUICKLY is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKLY, 1)

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

    # --------------------------------------------------------------------- inside

    def _answer(self, reply: Reply) -> None:
        """Give a reply to the question it belongs to."""
        questions = self._questions
        if questions:
            question = questions[0]
            replies = question.answers.replies
            replies.append(reply)
            if len(replies) == len(question.timeouts):
                questions.popleft()
                if not question.future.done():
                    question.future.set_result(question.answers)
        else:
            self.unasked = self.unasked or reply
        if reply.code == GARBAGE:
            # Nothing that comes after it can be trusted, and it may never stop coming.
            self.abort(reply.text)
            return
        self._is_closing = self._is_closing or reply.code == CLOSING

    def _expect_next(self) -> None:
        """Begin to wait for the next reply."""
        question = self._questions[0]
        patience = question.timeouts[len(question.answers.replies)]
        self._patience = min(patience, _LAST_WORDS) if self._is_closing else patience
        self._deadline = self._loop.time() + self._patience
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        """Give up if the next reply is late.

        One timer stays in place over many replies, because setting one costs more than reading a reply.
        """
        self._timer = None
        if not self._questions or self._ended is not None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look)
        else:
            self.abort(f"the server said nothing for {self._patience:g} s")

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._writable.set()
        while self._questions:
            question = self._questions.popleft()
            question.answers.over = self._ended
            if not question.future.done():
                question.future.set_result(question.answers)

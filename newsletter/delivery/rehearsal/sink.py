"""The mail server of a rehearsal: on loopback, with faults on purpose, and with a count of what it really took.

It says of each message whether it took it only to itself; what the sender
believes is compared with that afterwards.  It offers PIPELINING and CHUNKING, and
is strict: a transaction that is open must be taken back before the next begins.
"""

import asyncio
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from newsletter.clock import Clock
from newsletter.delivery.rehearsal.faults import Fault, Faults, Moment
from newsletter.delivery.rehearsal.tally import Tally

_HOST: Final = "127.0.0.1"
_MESSAGE_ID = re.compile(rb"(?mi)^Message-ID:\s*<([^>\r\n]+)>")
_END = b"\r\n.\r\n"
_BDAT = re.compile(rb"BDAT ([0-9]{1,9})( LAST)?", re.IGNORECASE)
_GARBAGE = b"\x00\xff no reply at all\r\n"
_CLOSING = "421"
#: A command line is never longer (RFC 5321 §4.5.3.1.4 says 512).
_LONGEST_LINE = 4096
_GREETING = b"220 rehearsal.invalid ESMTP\r\n"
_OFFERED = ("PIPELINING", "SIZE 52428800", "8BITMIME", "SMTPUTF8", "CHUNKING")
_WELCOME: Final = {
    b"EHLO": "\r\n".join([*(f"250-{line}" for line in ("rehearsal.invalid", *_OFFERED)), "250 ENHANCEDSTATUSCODES"]),
    b"HELO": "250 rehearsal.invalid",
    b"NOOP": "250 2.0.0 nothing done",
}


class Sink:
    """The server, for as long as the `async with` block lasts.

    Args:
        faults: what goes wrong how often.
        seed: decides whom it befalls.
        clock: measures how long it is busy.
        kills: numbers of messages taken at which the sender is to die, in order.
        on_kill: called then.
        window: how many messages the sender has on the way over a connection at most.
    """

    def __init__(
        self,
        faults: Faults,
        seed: int,
        *,
        clock: Clock,
        kills: Sequence[int] = (),
        on_kill: Callable[[], None] = lambda: None,
        window: int = 1,
    ) -> None:
        #: How often each message was taken, by Message-ID.
        self.taken = Tally()
        #: How often each fault befell somebody.
        self.injected: Counter[str] = Counter()
        #: Messages taken whose sender was not told so.
        self.doubtful = 0
        #: Messages whose sender was told nothing after the final dot, whether they were taken or not.
        self.untold = 0
        self.port = 0
        self.window = window
        self._faults = faults
        self._seed = seed
        self._clock = clock
        self._on_kill = on_kill
        self._kills = deque(kills)
        self._sessions: set[_Session] = set()
        self._first_at: float | None = None
        self._last_at = 0.0
        self._busy = 0.0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Session(self), _HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.hang_up()
        await asyncio.sleep(0)
        self.taken.close()

    @property
    def seconds(self) -> float:
        """How long messages were coming in, pauses between two runs left out."""
        running = 0.0 if self._first_at is None else self._last_at - self._first_at
        return self._busy + running

    def hang_up(self) -> None:
        """End every session and the measuring of this run."""
        for session in tuple(self._sessions):
            session.abort()
        self._busy, self._first_at = self.seconds, None

    # -------------------------------------------------------------- for the sessions

    def join(self, session: "_Session") -> None:
        """A session begins."""
        self._sessions.add(session)

    def leave(self, session: "_Session") -> None:
        """A session is over."""
        self._sessions.discard(session)

    def draw(self, recipient: str) -> tuple[Fault, Moment] | None:
        """What befalls the next attempt to reach this recipient."""
        if not self._faults.faults:
            return None
        drawn = self._faults.drawn(self._seed, recipient, self.taken.visit(recipient))
        if drawn is not None:
            self.injected[drawn[0].name] += 1
        return drawn

    def take(self, message: bytes, *, told: bool) -> None:
        """Count a message; `told`: whether its sender will hear of it."""
        found = _MESSAGE_ID.search(message, 0, 65_536)
        self.taken.take(found[1].decode("ascii", "replace") if found else "", message)
        self.doubtful += not told
        now = self._clock.monotonic()
        self._first_at = now if self._first_at is None else self._first_at
        self._last_at = now
        if self._kills and self.taken.total >= self._kills[0]:
            self._kills.popleft()
            self._on_kill()


class _Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._searched = 0
        self._in_data = False
        #: The chunk that is coming in: how long it is, and whether it is the last.
        self._chunk: tuple[int, bool] | None = None
        self._chunks = bytearray()
        self._is_mute = False
        self._recipient = ""
        self._has_sender = False
        self._fault: tuple[Fault, Moment] | None = None
        #: Of the last messages that the sender may have on the way: whether it was told that they were taken.
        self._told: deque[bool] = deque(maxlen=sink.window)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink.join(self)
        transport.write(_GREETING)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        """The client has gone."""
        self._sink.leave(self)

    def abort(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in what came, and answer what is complete."""
        if self._is_mute:
            return
        self._buffer += data
        while not self._is_mute and not self._transport.is_closing() and self._step():
            pass

    def _step(self) -> bool:
        """Deal with one command or one message; False where more must come first."""
        if self._in_data:
            return self._message()
        if self._chunk is not None:
            return self._take_in(*self._chunk)
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > _LONGEST_LINE:
                self.abort()
            return False
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        self._command(line)
        return True

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        match verb:
            case b"EHLO" | b"HELO" | b"NOOP":
                self._say(_WELCOME[verb])
            case b"MAIL" if not self._has_sender:
                self._has_sender = True
                self._told.append(False)
                self._say("250 2.1.0 sender ok")
            case b"RCPT" if self._has_sender:
                self._rcpt(line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace"))
            case b"DATA" if self._recipient:
                self._in_data, self._searched = True, 0
                self._say("354 go ahead")
            case b"BDAT" if found := _BDAT.fullmatch(line):
                self._chunk = int(found[1]), bool(found[2])
            case b"RSET":
                self._forget()
                self._say("250 2.0.0 forgotten")
            case b"QUIT":
                self._say("221 2.0.0 bye")
                self._transport.close()
            case b"MAIL" | b"RCPT" | b"DATA":
                self._say("503 5.5.1 not now")
            case _:
                self._say("500 5.5.2 what?")

    def _forget(self) -> None:
        self._has_sender, self._recipient, self._fault = False, "", None
        self._chunks.clear()

    def _rcpt(self, recipient: str) -> None:
        self._fault = self._sink.draw(recipient)
        if self._fault is not None and self._fault[1] is Moment.rcpt:
            self._befall(self._fault[0])
            return
        self._recipient = recipient
        self._say("250 2.1.5 recipient ok")

    def _message(self) -> bool:
        """Take in a message that ends with a dot."""
        if self._breaks_off():
            return False
        # An empty message ends without a line of its own.
        end = self._buffer.find(_END, max(self._searched - len(_END), 0))
        if end < 0:
            self._searched = len(self._buffer)
            return False
        message = bytes(self._buffer[: end + 2])
        del self._buffer[: end + len(_END)]
        self._in_data, fault = False, self._fault
        self._forget()
        self._whole(message, fault)
        return True

    def _take_in(self, size: int, is_last: bool) -> bool:  # noqa: FBT001 - called in one place
        """Take in a chunk (RFC 3030): all of it, whatever is said of it then."""
        if self._recipient and self._breaks_off():
            return False
        if len(self._buffer) < size:
            return False
        self._chunk = None
        chunk = bytes(self._buffer[:size])
        del self._buffer[:size]
        if not self._recipient:
            self._say("503 5.5.1 no valid recipients")
            return True
        self._chunks += chunk
        if not is_last:
            self._say("250 2.0.0 go on")
            return True
        message, fault = bytes(self._chunks), self._fault
        if fault is None:
            self._forget()
            self._told[-1] = True
        else:
            # What was refused stays until RSET (RFC 3030 §2).
            self._recipient, self._fault = "", None
        self._whole(message, fault)
        return True

    def _breaks_off(self) -> bool:
        """Let the connection break in the middle of a message, if that is to be."""
        if self._fault is None or self._fault[1] is not Moment.data or not self._buffer:
            return False
        self._befall(self._fault[0])
        return True

    def _whole(self, message: bytes, drawn: tuple[Fault, Moment] | None) -> None:
        """Answer for a message of which every byte is there."""
        if drawn is None:
            # Written down first, as a good server does.
            self._sink.take(message, told=True)
            self._say("250 2.0.0 taken")
            return
        fault, moment = drawn
        self._sink.untold += fault.reply is None
        if moment is Moment.taken:
            self._sink.take(message, told=False)
        self._befall(fault)

    def _befall(self, fault: Fault) -> None:
        if fault.name == "drop":
            # Answers that are under way get lost where the sender is writing just then.
            self._sink.doubtful += sum(self._told)
            self.abort()
        elif fault.name == _CLOSING:
            # Closed at once, with unread messages, the system would take the answers before it back as well.
            self._say(fault.reply or "")
            self._transport.write_eof()
            self._is_mute = True
        elif fault.reply is not None:
            self._say(fault.reply)
        else:
            if fault.name == "garbage":
                self._transport.write(_GARBAGE)
            self._is_mute = True

    def _say(self, reply: str) -> None:
        self._transport.write(reply.encode() + b"\r\n")

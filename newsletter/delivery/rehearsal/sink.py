"""The mail server of a rehearsal: on loopback, with faults on purpose, and with a count of what it really took.

It says of each message whether it took it only to itself; what the sender
believes is compared with that afterwards.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self
from zlib import crc32

from newsletter.clock import Clock
from newsletter.delivery.rehearsal.faults import Fault, Faults, Moment

_HOST: Final = "127.0.0.1"
_MESSAGE_ID = re.compile(rb"(?mi)^Message-ID:\s*<([^>\r\n]+)>")
_END = b"\r\n.\r\n"
_CLOSING = "421"
#: A command line is never longer (RFC 5321 §4.5.3.1.4 says 512).
_LONGEST_LINE = 4096
_GREETING = b"220 rehearsal.invalid ESMTP\r\n"
_EXTENSIONS = b"250-rehearsal.invalid\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES\r\n"


class Sink:
    """The server, for as long as the `async with` block lasts.

    Args:
        faults: what goes wrong how often.
        seed: decides whom it befalls.
        clock: measures how long it is busy.
        on_kill: called when so many messages have been taken that the sender is to die.
    """

    def __init__(self, faults: Faults, seed: int, *, clock: Clock, on_kill: Callable[[], None]) -> None:
        #: How often each message was taken, by Message-ID.
        self.taken: Counter[str] = Counter()
        #: How often each fault befell somebody.
        self.injected: Counter[str] = Counter()
        #: Messages taken whose sender was not told so.
        self.doubtful = 0
        #: Messages whose sender was told nothing after the final dot, whether they were taken or not.
        self.untold = 0
        #: Copies that were not, byte for byte, what the first one was.
        self.changed = 0
        self.port = 0
        self._faults = faults
        self._seed = seed
        self._clock = clock
        self._on_kill = on_kill
        self._kills = list(faults.kills)
        self._sums: dict[str, int] = {}
        self._visits: Counter[str] = Counter()
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
        self._visits[recipient] += 1
        drawn = self._faults.drawn(self._seed, recipient, self._visits[recipient])
        if drawn is not None:
            self.injected[drawn[0].name] += 1
        return drawn

    def take(self, message: bytes, *, told: bool) -> None:
        """Count a message; `told`: whether its sender will hear of it."""
        found = _MESSAGE_ID.search(message, 0, 65_536)
        message_id = found[1].decode("ascii", "replace") if found else ""
        total = crc32(message)
        self.taken[message_id] += 1
        if self._sums.setdefault(message_id, total) != total:
            self.changed += 1
        self.doubtful += not told
        now = self._clock.monotonic()
        self._first_at = now if self._first_at is None else self._first_at
        self._last_at = now
        if self._kills and self.taken.total() >= self._kills[0]:
            self._kills.pop(0)
            self._on_kill()


class _Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._searched = 0
        self._in_data = False
        self._is_mute = False
        self._recipient = ""
        self._has_sender = False
        self._fault: tuple[Fault, Moment] | None = None

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
        self._buffer += data
        while not self._is_mute and not self._transport.is_closing() and self._step():
            pass

    def _step(self) -> bool:
        """Deal with one command or one message; False where more must come first."""
        if self._in_data:
            return self._message()
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
            case b"EHLO":
                self._transport.write(_EXTENSIONS)
            case b"HELO":
                self._say("250 rehearsal.invalid")
            case b"MAIL":
                self._has_sender, self._recipient = True, ""
                self._say("250 2.1.0 sender ok")
            case b"RCPT" if self._has_sender:
                self._rcpt(line.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace"))
            case b"DATA" if self._recipient:
                self._in_data, self._searched = True, 0
                self._say("354 go ahead")
            case b"RSET":
                self._has_sender, self._recipient = False, ""
                self._say("250 2.0.0 forgotten")
            case b"NOOP":
                self._say("250 2.0.0 nothing done")
            case b"QUIT":
                self._say("221 2.0.0 bye")
                self._transport.close()
            case b"RCPT" | b"DATA":
                self._say("503 5.5.1 not now")
            case _:
                self._say("500 5.5.2 what?")

    def _rcpt(self, recipient: str) -> None:
        self._fault = self._sink.draw(recipient)
        if self._fault is not None and self._fault[1] is Moment.rcpt:
            self._befall(self._fault[0])
            return
        self._recipient = recipient
        self._say("250 2.1.5 recipient ok")

    def _message(self) -> bool:
        fault, moment = self._fault or (None, None)
        if moment is Moment.data and fault is not None and self._buffer:
            self._befall(fault)
            return False
        # An empty message ends without a line of its own.
        end = self._buffer.find(_END, max(self._searched - len(_END), 0))
        if end < 0:
            self._searched = len(self._buffer)
            return False
        message = bytes(self._buffer[: end + 2])
        del self._buffer[: end + len(_END)]
        self._in_data, self._has_sender, self._recipient, self._fault = False, False, "", None
        if fault is None:
            # Written down first, as a good server does.
            self._sink.take(message, told=True)
            self._say("250 2.0.0 taken")
            return True
        self._sink.untold += fault.reply is None
        if moment is Moment.taken:
            self._sink.take(message, told=False)
        self._befall(fault)
        return True

    def _befall(self, fault: Fault) -> None:
        if fault.name == "drop":
            self.abort()
        elif fault.reply is None:
            self._is_mute = True
        else:
            self._say(fault.reply)
            if fault.name == _CLOSING:
                self._transport.close()

    def _say(self, reply: str) -> None:
        self._transport.write(reply.encode() + b"\r\n")

"""A mail server that does what a test tells it to, on loopback, and writes down what it accepts.

It is no mock of ours: it speaks SMTP over a socket.  A script may answer any
step with something else than 250: a refusal, garbage, silence, or the end of
the connection.  Run as a program it accepts everything and appends one line of
JSON for each message to a file, before it answers, and one when a session begins or ends:

    python tests/delivery/sink.py LOG        prints its port
"""

import asyncio
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

EXTENSIONS = ("PIPELINING", "SIZE 33554432", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
CHUNKING = (*EXTENSIONS, "CHUNKING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a session stands: what the client wants (`banner ehlo auth mail rcpt data chunk message quit`), and of whom.

    `chunk` is a BDAT that is not the last (RFC 3030); `message` is a whole message, however it came.

    `connection` and `message` count from 1, the latter within the connection;
    `attempt` counts how often this recipient (or, before RCPT, anybody) has come to this step.
    """

    name: str
    recipient: str
    connection: int
    message: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One message that was taken, as it came over the wire, dots unstuffed."""

    sender: str
    recipient: str
    raw: bytes

    @property
    def message_id(self) -> str:
        found = re.search(rb"(?m)^Message-ID: (\S+)\r$", self.raw)
        return found.group(1).decode() if found else ""


#: What to answer: a reply ("550 5.1.1 no"), or one of
#:   drop      reset the connection          eof    close it
#:   silence   never answer                  raw X  send X as it is, then go silent
#:   deaf X    send X and read no more       partly X  send X, then close
#:   take X    for a message: take it, then do X        wait N    give the ordinary answer after N seconds
#: None is the ordinary answer.
Script = Callable[[Step], str | None]


@dataclass
class Sink:
    """The server, for as long as the `async with` block lasts."""

    script: Script = lambda _: None
    extensions: tuple[str, ...] = EXTENSIONS
    #: Whether BDAT is a command here, whatever is offered.
    knows_bdat: bool = True
    log: Path | None = None
    accepted: list[Accepted] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    connections: int = 0
    open_now: int = 0
    most_open: int = 0
    port: int = 0
    host: str = "127.0.0.1"

    async def __aenter__(self) -> Self:
        self._sessions: set[asyncio.Task[None]] = set()
        self._visits: Counter[tuple[str, str]] = Counter()
        self._log = None if self.log is None else os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._server = await asyncio.start_server(self._session, self.host, 0, limit=2**24)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)
        if self._log is not None:
            os.close(self._log)

    def copies(self) -> Counter[str]:
        """How many messages each recipient has got."""
        return Counter(one.recipient for one in self.accepted)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        number = self.connections
        self.note({"session": "begins", "connection": number})
        try:
            await _Session(self, reader, writer, number).talk()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            self.open_now -= 1
            self.note({"session": "ends", "connection": number})
            self._sessions.discard(task)
            writer.close()

    def answer(self, step: Step) -> str | None:
        """What the script says; counts the visit."""
        return self.script(step)

    def visit(self, name: str, recipient: str) -> int:
        self._visits[name, recipient] += 1
        return self._visits[name, recipient]

    def take(self, sender: str, recipient: str, raw: bytes, connection: int) -> None:
        """Write a message down before anybody is told that it was accepted."""
        accepted = Accepted(sender=sender, recipient=recipient, raw=raw)
        if self._log is None:
            self.accepted.append(accepted)
            return
        hashed = sha256(raw).hexdigest()
        self.note({"to": recipient, "id": accepted.message_id, "sha256": hashed, "connection": connection})

    def note(self, line: dict[str, object]) -> None:
        """Append a line to the log, if there is one."""
        if self._log is not None:
            os.write(self._log, json.dumps(line).encode() + b"\n")


class _EndError(Exception):
    """This session is at its end."""


class _Session:
    def __init__(self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.sink = sink
        self.reader = reader
        self.writer = writer
        self.number = number
        self.message = 1
        self.forget()

    sender: str | None
    recipient: str
    chunks: bytes

    async def talk(self) -> None:
        try:
            await self.step("banner", "220 sink.example ESMTP")
            while line := await self.reader.readline():
                self.sink.commands.append(line)
                await self.command(line.rstrip(b"\r\n"))
        except _EndError:
            pass

    async def command(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        match verb.upper():
            case b"EHLO":
                lines = ["sink.example", *self.sink.extensions]
                await self.step("ehlo", "\r\n".join([*(f"250-{one}" for one in lines[:-1]), f"250 {lines[-1]}"]))
            case b"HELO":
                await self.step("helo", "250 sink.example")
            case b"MAIL":
                if self.sender is not None:
                    await self.reply("503 5.5.1 one after the other")
                elif await self.step("mail", "250 2.1.0 sender ok") == "250":
                    self.sender = _address(rest)
            case b"RCPT":
                if self.sender is None:
                    await self.reply("503 5.5.1 need MAIL first")
                    return
                recipient = _address(rest)
                if await self.step("rcpt", "250 2.1.5 recipient ok", recipient) == "250":
                    self.recipient = recipient
            case b"DATA":
                await self.data()
            case b"BDAT" if self.sink.knows_bdat:
                await self.bdat(rest)
            case b"AUTH":
                if rest.upper() not in (b"PLAIN", b"CRAM-MD5") and not rest.upper().startswith(b"PLAIN "):
                    await self.reply("334 UGFzc3dvcmQ6")
                    self.sink.commands.append(await self.reader.readline())
                elif rest.upper() == b"CRAM-MD5":
                    await self.reply("334 PDEuMkBzaW5rLmV4YW1wbGU+")
                    self.sink.commands.append(await self.reader.readline())
                await self.step("auth", "235 2.7.0 welcome", rest.partition(b" ")[0].decode())
            case b"RSET":
                self.forget()
                await self.step("rset", "250 2.0.0 forgotten")
            case b"QUIT":
                await self.step("quit", "221 2.0.0 bye")
                raise _EndError
            case _:
                await self.reply("500 5.5.2 what?")

    async def data(self) -> None:
        if not self.recipient:
            await self.reply("554 5.5.1 no valid recipients")
            return
        if await self.step("data", "354 go ahead", self.recipient) != "354":
            return
        raw = (await self.reader.readuntil(b"\r\n.\r\n"))[:-3].replace(b"\r\n..", b"\r\n.")
        await self.whole(raw, forget=True)

    async def bdat(self, rest: bytes) -> None:
        """A chunk: read before anything is said of it (RFC 3030 §2), whatever that is."""
        size, _, last = rest.partition(b" ")
        chunk = await self.reader.readexactly(int(size))
        if not self.recipient:
            await self.reply("503 5.5.1 no valid recipients")
            return
        if not last:
            if await self.step("chunk", "250 2.0.0 go on", self.recipient) == "250":
                self.chunks += chunk
            return
        # What was refused stays until it is taken back: "the sender MUST issue RSET" is held to.
        await self.whole(self.chunks + chunk, forget=False)

    async def whole(self, raw: bytes, *, forget: bool) -> None:
        sender, recipient = self.sender or "", self.recipient
        script = self.sink.answer(self.at("message", recipient))
        self.message += 1
        taken = script is None or script.startswith(("take ", "250", "wait "))
        if taken or forget:
            self.forget()
        if taken:
            self.sink.take(sender, recipient, raw, self.number)
        await self.reply((script or "250 2.0.0 taken").removeprefix("take "))

    def forget(self) -> None:
        self.sender, self.recipient, self.chunks = None, "", b""

    def at(self, name: str, recipient: str) -> Step:
        visit = self.sink.visit(name, recipient)
        return Step(name=name, recipient=recipient, connection=self.number, message=self.message, attempt=visit)

    async def step(self, name: str, ordinary: str, recipient: str = "") -> str:
        """Answer a step; the code that was sent."""
        answer = self.sink.answer(self.at(name, recipient or self.recipient)) or ordinary
        if answer.startswith("wait "):
            await asyncio.sleep(float(answer[5:]))
            answer = ordinary
        await self.reply(answer)
        return answer[:3]

    async def reply(self, text: str) -> None:
        match text.partition(" "):
            case "drop", _, _:
                self.writer.transport.abort()
                raise _EndError
            case "eof", _, _:
                raise _EndError
            case "silence", _, _:
                await asyncio.Event().wait()
            case "raw", _, data:
                self.writer.write(data.encode("latin-1"))
                await self.writer.drain()
                await asyncio.Event().wait()
            case "wait", _, seconds:
                await asyncio.sleep(float(seconds))
                await self.reply("250 2.0.0 taken, at last")
            case "deaf", _, data:
                self.writer.write(data.encode("latin-1"))
                self.writer.transport.pause_reading()  # type: ignore[attr-defined]
                await asyncio.Event().wait()
            case "partly", _, data:
                self.writer.write(data.encode("latin-1"))
                await self.writer.drain()
                raise _EndError
            case _:
                self.writer.write(text.encode() + b"\r\n")
                await self.writer.drain()
                if text.startswith("421"):
                    raise _EndError


def _address(rest: bytes) -> str:
    return rest.partition(b"<")[2].partition(b">")[0].decode()


async def _serve(log: Path) -> None:
    async with Sink(log=log, extensions=CHUNKING) as sink:
        print(sink.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))

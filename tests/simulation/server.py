"""A mail server as a state machine: what it takes, what it says, and how it misbehaves when it is told to.

It is strict: who breaks the order of RFC 5321, 2920 or 3030 is told so, and
`Server.breaches` tells the test.  Faults are planned, not drawn: the n-th time
that a step is reached, the server gives another answer.

    450 later            a reply
    drop / eof           the connection breaks, or is closed
    silence / deaf       it says nothing any more; it reads nothing any more
    raw TEXT             these bytes, and then nothing any more
    partly TEXT          these bytes, and the connection is closed
    wait SECONDS         the ordinary answer, late
    take ANSWER          (of a whole message) it is taken, whatever is said of it
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from tests.simulation.timeline import Timeline
from tests.simulation.wire import Wire

_MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([^>]*)>", re.MULTILINE | re.IGNORECASE)

#: What can happen at which step.
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "connect": ("refuse", "silence"),
    "banner": (
        "421 4.3.2 too busy",
        "421 4.7.0 too many connections",
        "554 5.7.1 no",
        "silence",
        "drop",
        "raw what?\r\n",
        "wait 30",
    ),
    "ehlo": ("421 4.3.2 too busy", "502 5.5.1 what?", "silence", "drop", "wait 70"),
    "mail": ("421 4.3.2 closing", "451 4.3.0 not now", "550 5.1.0 sender refused", "silence", "drop", "eof", "wait 70"),
    # No server may refuse RSET (RFC 5321 §4.3.2); it may be on its way out.
    "rset": ("421 4.3.2 closing", "drop", "wait 20"),
    "rcpt": (
        "421 4.3.2 closing",
        "450 4.2.1 try later",
        "450 4.7.1 rate limit exceeded",
        "550 5.1.1 no such user",
        "550 no such user",
        "530 5.7.0 log in first",
        "silence",
        "drop",
        "eof",
        "deaf",
        "raw hello?\r\n",
        "partly 250 2.1",
        "wait 20",
    ),
    "data": (
        "421 4.3.2 closing",
        "451 4.3.0 not now",
        "554 5.5.1 no",
        "554 5.7.1 policy",
        "250 2.0.0 what?",
        "silence",
        "drop",
    ),
    "body": ("drop", "deaf", "421 4.3.2 closing", "552 5.3.4 too much"),
    "chunk": ("421 4.3.2 closing", "451 4.3.0 not now", "552 5.3.4 too much", "502 5.5.1 what?", "silence", "drop"),
    "message": (
        "421 4.3.2 closing",
        "451 4.3.0 not now",
        "451 4.7.1 too many messages",
        "552 5.2.3 too big",
        "550 5.7.1 looks like spam",
        "drop",
        "eof",
        "silence",
        "raw 250-fine\r\n251 fine\r\n",
        "take drop",
        "take eof",
        "take silence",
        "take raw fine\r\n",
        "take partly 250 2.0.0 ta",
        "take wait 120",
        "take wait 590",
        "take wait 700",
    ),
    "quit": ("silence", "drop"),
}


@dataclass(frozen=True)
class Fault:
    """The n-th time (from 1) that a step is reached, this is the answer."""

    step: str
    nth: int
    answer: str


@dataclass(frozen=True)
class Traits:
    """What a server is like, good or bad days alike."""

    extensions: tuple[str, ...] = ("PIPELINING", "CHUNKING", "SIZE 1000000", "8BITMIME")
    knows_bdat: bool = True
    #: 354 although no recipient was taken (RFC 2920 §3.1 allows it).
    generous: bool = False
    #: Seconds from the first try on in which a recipient is told to wait.
    greylist: float | None = None
    #: Who will never get anything.
    unknown: tuple[str, ...] = ()
    #: Messages after which a connection is closed.
    per_connection: int | None = None
    #: Seconds to think, at most.
    slowness: float = 0.05
    capacity: int = 65_536


@dataclass
class Copy:
    """A message that was taken."""

    recipient: str
    message_id: str
    sha256: str
    process: int
    wire: Wire
    #: Whether a process that lived has read the answer that says so.
    heard: bool = False

    @property
    def is_open(self) -> bool:
        """Whether somebody still waits for that answer."""
        return not (self.heard or self.wire.is_cut or self.wire.is_over)


@dataclass
class Server:
    """What all sessions share, and what a judge wants to know.

    `on_taken` is told of every message, when it has been answered.
    """

    timeline: Timeline
    traits: Traits
    on_taken: Callable[[], None] = lambda: None
    faults: list[Fault] = field(default_factory=list)
    is_down: bool = False
    copies: list[Copy] = field(default_factory=list)
    #: What was said to refuse somebody for good.
    refusals: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    breaches: list[str] = field(default_factory=list)
    _visits: Counter[str] = field(default_factory=Counter)
    _first_seen: dict[str, float] = field(default_factory=dict)
    sessions: list["Session"] = field(default_factory=list)

    def plan(self, faults: list[Fault]) -> None:
        """From now on these things go wrong, and no others."""
        self.faults = list(faults)
        self._visits.clear()

    def fault(self, step: str) -> str | None:
        """What goes wrong at this visit of a step."""
        self._visits[step] += 1
        for fault in self.faults:
            if (fault.step, fault.nth) == (step, self._visits[step]):
                self.timeline.log(f"fault: {step} {fault.nth}: {fault.answer!r}")
                return fault.answer
        return None

    def join(self, wire: Wire) -> "Session":
        self.sessions.append(Session(self, wire, len(self.sessions) + 1))
        return self.sessions[-1]

    def must_wait(self, recipient: str) -> bool:
        first = self._first_seen.setdefault(recipient, self.timeline.seconds)
        return self.traits.greylist is not None and self.timeline.seconds - first < self.traits.greylist


class Session:
    """One connection.

    Args:
        server: whose.
        wire: the other end hears what is said into it.
        number: counts the sessions.
    """

    def __init__(self, server: Server, wire: Wire, number: int) -> None:
        self._server = server
        self._wire = wire
        self._name = f"session {number}"
        self._buffer = b""
        self._sender: str | None = None
        self._recipient = ""
        self._is_in_data = False
        self._is_over = False
        self._chunks = b""
        self._chunk_left: tuple[int, bool] | None = None
        self._must_reset = False
        #: How many were announced over it.
        self.messages = 0
        self._answer("banner", "220 mx.example.com ready")

    # ----------------------------------------------------------------- the wire's

    def receive(self, data: bytes) -> None:
        """Take in what came, and answer all that is complete."""
        self._buffer += data
        while not self._is_over and self._next():
            pass

    def gone(self) -> None:
        if not self._is_over:
            self._log("the client has gone")
        self._is_over = True

    def _next(self) -> bool:
        if self._chunk_left is not None:
            return self._chunk()
        if self._is_in_data:
            return self._data()
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end:
            return False
        self._buffer = rest
        self._command(line)
        return True

    # --------------------------------------------------------------- the commands

    def _command(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        self._log(f"< {verb.decode('ascii', 'replace')} {_address(rest)}".rstrip())
        match verb.upper():
            case b"EHLO":
                lines = ["mx.example.com", *self._server.traits.extensions]
                text = "\r\n".join([*(f"250-{one}" for one in lines[:-1]), f"250 {lines[-1]}"])
                self._answer("ehlo", text)
            case b"HELO":
                self._say("250 mx.example.com")
            case b"MAIL":
                self._mail(_address(rest))
            case b"RCPT":
                self._rcpt(_address(rest))
            case b"DATA":
                self._begin_data()
            case b"BDAT" if self._server.traits.knows_bdat:
                size, _, last = rest.partition(b" ")
                self._chunk_left = int(size), last.upper() == b"LAST"
            case b"RSET":
                self._forget()
                self._answer("rset", "250 2.0.0 forgotten")
            case b"QUIT":
                if self._answer("quit", "221 2.0.0 bye"):
                    self._end(self._wire.close)
            case _:
                if self._server.traits.knows_bdat:
                    # Else it may be a chunk, which nobody here has counted.
                    self._breach(f"the command {line[:30]!r}")
                self._say("500 5.5.2 what?")

    def _mail(self, sender: str) -> None:
        if self._sender is not None or self._must_reset:
            self._breach("MAIL inside a transaction")
            self._say("503 5.5.1 one after the other")
            return
        limit = self._server.traits.per_connection
        if limit is not None and self.messages >= limit:
            self._befall("421 4.7.0 enough for one connection")
            return
        self.messages += 1
        if self._answer("mail", "250 2.1.0 sender ok") == "250":
            self._sender = sender

    def _rcpt(self, recipient: str) -> None:
        if self._sender is None:
            self._say("503 5.5.1 need MAIL first")
            return
        if recipient in self._server.traits.unknown:
            self._say("550 5.1.1 no such user", recipient)
        elif self._server.must_wait(recipient):
            self._say("450 4.2.0 greylisted")
        elif self._answer("rcpt", "250 2.1.5 recipient ok", recipient) == "250":
            self._recipient = recipient

    # ----------------------------------------------------------- DATA and the dot

    def _begin_data(self) -> None:
        if self._sender is None or (not self._recipient and not self._server.traits.generous):
            self._say("503 5.5.1 need MAIL and RCPT first")
            return
        if self._answer("data", "354 go ahead", self._recipient) == "354":
            self._is_in_data = True

    def _data(self) -> bool:
        if self._buffer == b".\r\n" or self._buffer.startswith(b".\r\n"):
            raw, self._buffer = b"", self._buffer[3:]
        else:
            end = self._buffer.find(b"\r\n.\r\n")
            if end < 0:
                return self._is_cut_in_the_middle()
            raw, self._buffer = self._buffer[: end + 2], self._buffer[end + 5 :]
        self._is_in_data = False
        recipient = self._recipient
        # Whatever is said of it, the transaction is over (RFC 5321 §4.1.1.4).
        self._forget()
        if not recipient:
            self._say("554 5.5.1 no valid recipients")
        else:
            self._whole(recipient, raw.replace(b"\r\n..", b"\r\n."))
        return True

    def _is_cut_in_the_middle(self) -> bool:
        """Some of the message is here: whether that is already too much."""
        if self._buffer and self._recipient and (fault := self._server.fault("body")) is not None:
            self._befall(fault, self._recipient)
            if not self._is_over:
                # It wants no more of it, and will not hear what comes.
                self._end(self._wire.close)
        return False

    # ----------------------------------------------------------------------- BDAT

    def _chunk(self) -> bool:
        """A chunk is read before anything is said of it, whatever that is (RFC 3030 §2)."""
        assert self._chunk_left is not None
        size, is_last = self._chunk_left
        if len(self._buffer) < size:
            return False
        chunk, self._buffer, self._chunk_left = self._buffer[:size], self._buffer[size:], None
        if self._must_reset or not self._recipient:
            self._say("503 5.5.1 no valid recipients")
        elif not is_last:
            self._chunks += chunk
            if self._answer("chunk", "250 2.0.0 go on", self._recipient) != "250":
                self._must_reset = True
        else:
            recipient, raw = self._recipient, self._chunks + chunk
            if self._whole(recipient, raw):
                self._forget()
            else:
                # "The sender MUST issue RSET" is held to.
                self._must_reset = True
        return True

    # ------------------------------------------------------------- a whole message

    def _whole(self, recipient: str, raw: bytes) -> bool:
        """Take a message, or do not; whether it was taken."""
        answer = self._server.fault("message") or "250 2.0.0 taken"
        taken = answer.startswith(("take ", "250"))
        answer = answer.removeprefix("take ")
        if not taken:
            self._log(f"does not take the message to {recipient}")
            self._befall(answer, recipient)
            return False
        found = _MESSAGE_ID.search(raw)
        copy = Copy(
            recipient=recipient,
            message_id=found[1].decode() if found else "",
            sha256=sha256(raw).hexdigest(),
            process=self._wire.process.number,
            wire=self._wire,
        )
        self._log(f"takes the message to {recipient} {copy.sha256[:12]}")
        self._server.copies.append(copy)

        def on_heard() -> None:
            copy.heard = True

        if answer.startswith("wait "):
            self._say("250 2.0.0 taken, at last", wait=float(answer[5:]), on_heard=on_heard)
        elif answer.startswith("250"):
            self._say(answer, on_heard=on_heard)
        else:
            self._befall(answer, recipient)
        self._server.on_taken()
        return True

    # -------------------------------------------------------------------- answers

    def _answer(self, step: str, ordinary: str, recipient: str = "") -> str:
        """Answer a step; the code that was said, empty if it was none."""
        fault = self._server.fault(step)
        if fault is None:
            self._say(ordinary)
            return ordinary[:3]
        if fault.startswith("wait "):
            self._say(ordinary, wait=float(fault[5:]))
            return ordinary[:3]
        return self._befall(fault, recipient or self._recipient)

    def _befall(self, answer: str, recipient: str = "") -> str:
        """Give an answer that is out of the ordinary; the code that was said, empty if it was none."""
        match answer.partition(" "):
            case "drop", _, _:
                self._end(self._wire.reset)
            case "eof", _, _:
                self._end(self._wire.close)
            case "silence", _, _:
                self._end(lambda: None)
            case "deaf", _, _:
                self._end(self._wire.stop_reading)
            case "raw", _, data:
                self._wire.reply(data.encode())
                self._end(lambda: None)
            case "partly", _, data:
                self._wire.reply(data.encode())
                self._end(self._wire.close)
            case _:
                self._say(answer, recipient)
                if answer.startswith("421"):
                    self._end(self._wire.close)
                return answer[:3]
        return ""

    def _say(
        self, text: str, recipient: str = "", *, wait: float = 0.0, on_heard: Callable[[], None] | None = None
    ) -> None:
        self._log(f"> {text.splitlines()[-1]}{f' in {wait:g} s' if wait else ''}")
        if text.startswith("5") and recipient:
            self._server.refusals[recipient].add(text)
        think = self._server.timeline.a_while(self._server.traits.slowness)
        self._wire.reply(text.encode() + b"\r\n", wait=wait + think, on_heard=on_heard)

    def _end(self, how: Callable[[], None]) -> None:
        self._log("is over")
        self._is_over = True
        how()

    def _forget(self) -> None:
        self._sender, self._recipient, self._chunks, self._must_reset = None, "", b"", False

    def _breach(self, what: str) -> None:
        self._log(f"breach: {what}")
        self._server.breaches.append(f"{self._name}: {what}")

    def _log(self, line: str) -> None:
        self._server.timeline.log(f"{self._name} {line}")


def _address(rest: bytes) -> str:
    return rest.partition(b"<")[2].partition(b">")[0].decode("utf-8", "replace")

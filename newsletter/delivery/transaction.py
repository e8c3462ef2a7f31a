"""Messages over an open connection: MAIL, RCPT, the gate, the message, and what came of it.

Where the server offers PIPELINING (RFC 2920) nothing waits for an answer that
it need not wait for:

    MAIL RCPT DATA          one write; while the message before is still being answered
    the gate                opens when the intent is on disk
    the message and its dot one write; the next message's MAIL RCPT DATA follow at once

Where it offers CHUNKING (RFC 3030) too, and more than one message may be in
flight, all of a message is one write behind the gate:

    RSET MAIL RCPT BDAT     and the message; so many of them unanswered as the window allows

Replies come in order, and each belongs to one command of one message.  From the
last byte of a message on only the server knows what becomes of it (RFC 1047).
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from newsletter.delivery.attempt import Gate, Outcome
from newsletter.delivery.conversation import Answers, Conversation, ConversationOver
from newsletter.delivery.replies import GARBAGE, Phase, Reply, Verdict, judge

_GO_AHEAD: Final = 354
#: Seconds a server gets to say goodbye.
_PARTING: Final = 5.0
#: RFC 5321 §4.5.3.2 gives a block of data three times what other commands get here.
_DATA_SHARE: Final = 3
#: Up to this size a message and its dot are one write; the dot of a larger one waits until the rest has gone.
_ONE_WRITE: Final = 262_144
#: What may stand between the angle brackets of a command; anything else could end it.
_PATH = re.compile(r"[^\x00-\x20\x7f-\xa0<>\\\"]+@[A-Za-z0-9.-]+")
#: After these nothing more is sent over the connection.
_LAST = frozenset({Verdict.back_off, Verdict.refused, Verdict.rejected, Verdict.unknown})
#: Answers to BDAT that mean the command, not the message (RFC 5321 §4.2.4, RFC 3030 §2).
_NO_COMMAND = frozenset({500, 501, 502, 503, 504})
_Phases = tuple[Phase, ...]


@dataclass(slots=True)
class Abilities:
    """What a server has shown that it can or cannot do; shared by all connections to it."""

    #: False once it has answered BDAT as a command it does not know, whatever it offers.
    chunking: bool = True


class Connection:
    """An open, secured and authenticated connection, and the messages that go over it.

    `transaction` may be called again while earlier calls are waiting: messages
    are written in the order of the calls, as far ahead as the server allows.

    Args:
        conversation: has taken over the connection.
        extensions: what the server offers, by lower-case keyword, with its parameters.
        is_local: the server is on this machine.
        timeout: seconds for the answer to a command.
        after_dot: seconds for the answer to a whole message.
        window: how many messages the caller has in flight at most; from 2 on CHUNKING is used.
        abilities: what is known of the server.
        trace: told "before-data", "after-dot" and "after-250".
        certified_until: when the server's certificate ends.
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        extensions: Mapping[str, str],
        is_local: bool,
        timeout: float,
        after_dot: float,
        trace: Callable[[str], None],
        window: int = 1,
        abilities: Abilities | None = None,
        certified_until: datetime | None = None,
    ) -> None:
        self.is_local = is_local
        #: Until when the server's certificate is good; None where there is none.
        self.certified_until = certified_until
        #: How many transactions have begun.
        self.begun = 0
        #: How many messages went over it whole, whatever became of them.
        self.carried = 0
        #: How many of them were taken.
        self.accepted = 0
        self._conversation = conversation
        self._timeout = timeout
        self._after_dot = after_dot
        self._trace = trace
        self._abilities = abilities or Abilities()
        self._pipelining = "pipelining" in extensions
        self._chunking = window > 1 and self._pipelining and "chunking" in extensions and self._abilities.chunking
        #: Whether this server has taken a chunk over this connection: an offer alone is no proof.
        self._chunking_works = False
        self._smtputf8 = "smtputf8" in extensions
        self._offers_size = "size" in extensions
        size = extensions.get("size", "").strip()
        # "0" and nothing mean that no limit is known (RFC 1870 §4).
        self._largest = int(size) if size.isascii() and size.isdigit() and len(size) < 20 else 0  # noqa: PLR2004
        self._turn = asyncio.Lock()
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_transaction = False
        #: Messages written in chunks whose answers nobody has looked at yet.
        self._unjudged = 0
        self._is_over = False
        #: Nothing more is to begin; what has begun may go.
        self._is_leaving = False

    @property
    def is_usable(self) -> bool:
        """Whether another message may be tried over this connection."""
        return not self._is_leaving and self._is_alive

    @property
    def _is_alive(self) -> bool:
        """Whether a message that has begun may go on."""
        return not self._is_over and self._conversation.is_quiet

    async def transaction(self, *, sender: str, recipient: str, gate: Gate, message: Sequence[bytes]) -> Outcome:
        """Hand over one message.

        Args:
            sender: for MAIL, as it goes on the wire.
            recipient: for RCPT, as it goes on the wire.
            gate: opened before the message can be accepted.
            message: pieces that join to lines with CR LF, none of which begins with a dot.

        Raises:
            Whatever the gate raises; the connection is given up then.
        """
        size = sum(map(len, message))
        refusal = self._impossible(sender, recipient, size)
        if refusal is not None:
            return refusal
        self.begun += 1
        self._active += 1
        self._idle.clear()
        try:
            hand_over = self._in_chunks if self._chunking else self._after_data
            outcome = await hand_over(self._parameters(sender, recipient, size), recipient, gate, message)
            self.accepted += outcome.verdict is Verdict.sent
            if outcome.verdict in _LAST:
                self._is_over = True
        except BaseException:
            self.abort()
            raise
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()
        return outcome

    async def close(self) -> None:
        """Let what has begun end, take leave (QUIT) where the server still listens, and close."""
        self._is_leaving = True
        await self._idle.wait()
        self._is_over = True
        if self._conversation.is_quiet:
            await self._conversation.ask(b"QUIT\r\n", min(self._timeout, _PARTING))
        self._conversation.abort("the connection is closed")

    def abort(self, reason: str = "the connection was given up") -> None:
        """Close at once; attempts under way end with what is known of them."""
        self._is_over = True
        self._conversation.abort(reason)

    # -------------------------------------------------------------- what need not be tried

    def _impossible(self, sender: str, recipient: str, size: int) -> Outcome | None:
        # The null path is for what nobody is to answer (RFC 5321 §4.5.5).
        if sender and (not _PATH.fullmatch(sender) or not sender.isascii()):
            return Outcome(verdict=Verdict.refused, text=f"{sender!r} cannot be a sender's address")
        if not _PATH.fullmatch(recipient):
            return Outcome(verdict=Verdict.failed, text=f"{recipient!r} cannot be a recipient's address")
        if not recipient.isascii() and not self._smtputf8:
            text = f"{recipient} is not plain ASCII, and the server does not take that (it offers no SMTPUTF8)"
            return Outcome(verdict=Verdict.failed, text=text)
        if self._largest and size > self._largest:
            text = f"the message has {size:,} bytes, and the server takes {self._largest:,} at most"
            return Outcome(verdict=Verdict.refused, text=text)
        return None

    # ------------------------------------------------------------------- the envelope

    def _parameters(self, sender: str, recipient: str, size: int) -> str:
        parameters = f"<{sender}>"
        if self._offers_size:
            parameters += f" SIZE={size}"
        if not recipient.isascii():
            parameters += " BODY=8BITMIME SMTPUTF8"
        return parameters

    def _envelope(self, parameters: str, recipient: str) -> tuple[_Phases, list[bytes]]:
        """MAIL and RCPT, RSET first where a transaction is open or may be: what each is for, and the commands."""
        commands = [f"MAIL FROM:{parameters}\r\n".encode(), f"RCPT TO:<{recipient}>\r\n".encode()]
        if self._in_transaction:
            return (Phase.mail, Phase.mail, Phase.rcpt), [b"RSET\r\n", *commands]
        self._in_transaction = True
        return (Phase.mail, Phase.rcpt), commands

    def _ended_before(self) -> Outcome | None:
        """The outcome for a message whose turn comes when the connection is no good any more."""
        if self._is_alive:
            return None
        return Outcome(verdict=Verdict.back_off, phase=Phase.mail, text="the connection had ended", is_stale=True)

    # ------------------------------------------------------------------ DATA and a dot

    async def _after_data(self, parameters: str, recipient: str, gate: Gate, message: Sequence[bytes]) -> Outcome:
        async with self._turn:
            ended = self._ended_before() if await gate.ready() else Outcome(verdict=Verdict.withheld)
            if ended is not None:
                return ended
            gate.begin()
            gate.hurry()
            refusal = await self._announced(parameters, recipient, gate)
            if refusal is not None:
                return refusal
            self._trace("before-data")
            if not self._conversation.is_quiet:
                return self._premature()
            data = b"".join(message)
            if len(data) > _ONE_WRITE:
                try:
                    self._conversation.write(data)
                    await self._conversation.drained(_DATA_SHARE * self._timeout)
                except ConversationOver as over:
                    self.abort(str(over))
                    return Outcome(verdict=Verdict.back_off, phase=Phase.data, text=str(over))
                if not self._conversation.is_quiet:
                    return self._premature()
                data = b""
            self.carried += 1
            # Whatever is answered, the end of a message ends its transaction (RFC 5321 §4.1.1.4).
            self._in_transaction = False
            answer = self._conversation.ask(data + b".\r\n", self._after_dot)
            self._trace("after-dot")
            if not self._pipelining:
                await answer
        return self._delivered((Phase.dot,), await answer)

    async def _announced(self, parameters: str, recipient: str, gate: Gate) -> Outcome | None:
        """MAIL, RCPT, DATA and the gate; what ends the transaction, or None if the message may come."""
        phases, commands = self._envelope(parameters, recipient)
        if not self._pipelining:
            for phase, command in zip(phases, commands, strict=True):
                refusal = self._refusal((phase,), await self._conversation.ask(command, self._timeout))
                if refusal is not None:
                    return refusal
            if not await gate.open():
                return Outcome(verdict=Verdict.withheld)
            phases, commands = (), []
        answers = await self._ask(*commands, b"DATA\r\n")
        refusal = self._refusal((*phases, Phase.data), answers)
        waits_for_data = answers.over is None and answers.replies[-1].code == _GO_AHEAD
        if refusal is None and not await gate.open():
            refusal = Outcome(verdict=Verdict.withheld)
            # It waits for a message that must not come, and there is no way back from DATA but to hang up.
            self.abort("a message was withheld")
        elif refusal is not None and waits_for_data:
            # RFC 2920 §3.1: DATA may be accepted although no recipient was; then a lone dot ends it.
            await self._conversation.ask(b".\r\n", self._after_dot)
        return refusal

    def _premature(self) -> Outcome:
        """It answers a message it has not got, or has gone: without the dot nothing is delivered."""
        reply = self._conversation.unasked
        outcome = Outcome(verdict=Verdict.back_off, phase=Phase.data, text="the connection ended")
        if reply is not None:
            outcome = self._judged(Phase.data, reply)
        self.abort()
        return outcome

    # -------------------------------------------------------------------------- BDAT

    async def _in_chunks(self, parameters: str, recipient: str, gate: Gate, message: Sequence[bytes]) -> Outcome:
        if not await gate.open():
            return Outcome(verdict=Verdict.withheld)
        data = b"".join(message)
        async with self._turn:
            carried = self.carried
            try:
                # One message at a time in our own buffer, however large the window.
                await self._conversation.drained(_DATA_SHARE * self._timeout)
            except ConversationOver as over:
                self.abort(str(over))
                return self._ended_before() or Outcome(verdict=Verdict.back_off, text=str(over))
            if not (await gate.ready() and await gate.open()):
                return Outcome(verdict=Verdict.withheld)
            if (ended := self._ended_before()) is not None:
                return ended
            if not self._chunking_works:
                gate.begin()
                return await self._first_chunks(parameters, recipient, gate, data)
            # What is in flight may be refused in the middle and leave its transaction open; perhaps it has been, and
            # the answer is here, but its own turn has not come to read it.
            self._in_transaction = self._in_transaction or self._unjudged > 0
            gate.begin()
            phases, commands = self._envelope(parameters, recipient)
            answer = self._last_chunk(commands, data)
        outcome = await self._judged_last((*phases, Phase.dot), answer)
        is_stale = outcome.phase is Phase.mail and outcome.verdict is Verdict.back_off and carried > 0
        return replace(outcome, is_stale=True) if is_stale else outcome

    async def _first_chunks(self, parameters: str, recipient: str, gate: Gate, data: bytes) -> Outcome:
        """The first message of a connection: its first line alone, to see whether BDAT is understood.

        A server that takes BDAT for an unknown command would read what follows
        as commands.  So only a header line of our own goes ahead, and all else
        when it was taken for what it is.
        """
        cut = data.index(b"\r\n") + 2
        phases, commands = self._envelope(parameters, recipient)
        answers = await self._ask(*commands, b"BDAT %d\r\n" % cut + data[:cut])
        refusal = self._refusal((*phases, Phase.data), answers, go_ahead=False)
        if refusal is not None and refusal.phase is Phase.data and refusal.code in _NO_COMMAND:
            self._abilities.chunking = False
            self.abort("the server offers CHUNKING and does not know BDAT")
            return replace(refusal, verdict=Verdict.back_off, is_stale=True)
        if refusal is not None:
            return refusal
        self._chunking_works = True
        if not await gate.open():
            # Half a message is none: RSET comes before the next one.
            return Outcome(verdict=Verdict.withheld)
        if not self._is_alive:
            return Outcome(verdict=Verdict.back_off, phase=Phase.data, text="the connection ended")
        return await self._judged_last((Phase.dot,), self._last_chunk([], data[cut:]))

    def _last_chunk(self, commands: Sequence[bytes], data: bytes) -> "asyncio.Future[Answers]":
        """Write all that is left of a message, after the commands before it."""
        self._trace("before-data")
        written = b"".join([*commands, b"BDAT %d LAST\r\n" % len(data), data])
        answer = self._conversation.ask(written, *[self._timeout] * len(commands), self._after_dot)
        self.carried += 1
        self._in_transaction = False
        self._unjudged += 1
        self._trace("after-dot")
        return answer

    async def _judged_last(self, phases: _Phases, answer: "asyncio.Future[Answers]") -> Outcome:
        """Wait for the answers to a message written in chunks; from now on it is known how it left the session."""
        answers = await answer
        self._unjudged -= 1
        return self._delivered(phases, answers)

    # ----------------------------------------------------------------------- answers

    def _ask(self, *commands: bytes) -> "asyncio.Future[Answers]":
        """Write commands together; each has its own reply."""
        return self._conversation.ask(b"".join(commands), *[self._timeout] * len(commands))

    def _refusal(self, phases: _Phases, answers: Answers, *, go_ahead: bool = True) -> Outcome | None:
        """The first command of those before the message that was not accepted, if any."""
        for phase, reply in zip(phases, answers.replies, strict=False):
            wants_354 = go_ahead and phase is Phase.data
            if not (reply.code == _GO_AHEAD if wants_354 else reply.is_positive):
                return self._stale_or_not(self._judged(phase, reply))
        if answers.over is None:
            return None
        phase = phases[len(answers.replies)]
        self._conversation.abort()
        return self._stale_or_not(Outcome(verdict=judge(phase, None), phase=phase, text=answers.over))

    def _stale_or_not(self, outcome: Outcome) -> Outcome:
        is_stale = outcome.phase is Phase.mail and outcome.verdict is Verdict.back_off and self.carried > 0
        return replace(outcome, is_stale=True) if is_stale else outcome

    def _delivered(self, phases: _Phases, answers: Answers) -> Outcome:
        """The outcome for a message of which every byte was written."""
        self._trace("after-250")
        before, last = phases[:-1], phases[-1]
        first = next((at for at, _ in enumerate(before) if not _is_accepted(answers, at)), None)
        reply = answers.replies[-1] if answers.over is None else None
        if first is not None:
            self._in_transaction = True
            refusal = answers.replies[first]
            if not refusal.is_negative or (reply is not None and reply.is_positive):
                # It took a message whose sender or recipient it had refused, or said something that is no answer.
                text = f"{refusal}, and then {reply}" if reply is not None else str(refusal)
                return Outcome(verdict=Verdict.unknown, phase=last, text=text)
            return self._judged(before[first], refusal)
        if reply is None:
            self._conversation.abort()
            return Outcome(verdict=judge(last, None), phase=last, text=answers.over or "")
        outcome = self._judged(last, reply)
        if self._chunking and not reply.is_positive:
            # RFC 3030 §2: after a BDAT that failed, RSET.
            self._in_transaction = True
            if outcome.code in _NO_COMMAND:
                return replace(outcome, verdict=Verdict.back_off)
        return outcome

    def _judged(self, phase: Phase, reply: Reply) -> Outcome:
        verdict = judge(phase, reply)
        code = None if reply.code == GARBAGE else reply.code
        return Outcome(verdict=verdict, phase=phase, code=code, text=reply.text)


def _is_accepted(answers: Answers, at: int) -> bool:
    """Whether a command was, or may have been if the answer never came."""
    return at >= len(answers.replies) or answers.replies[at].is_positive

"""One message over an open connection: MAIL, RCPT, the gate, DATA, the final dot, and what came of it.

MAIL, RCPT          written together where the server offers PIPELINING (RFC 2920)
the gate            opens when the intent is on disk; overlaps MAIL and RCPT
DATA, the message   everything but the dot; a connection lost here delivered nothing
the dot             from here on only the server knows (RFC 1047)
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from newsletter.delivery.conversation import Conversation, ConversationOver
from newsletter.delivery.replies import GARBAGE, Phase, Reply, Verdict, judge

_GO_AHEAD: Final = 354
_GOODBYE: Final = 221
#: Seconds a server gets to say goodbye.
_PARTING: Final = 5.0
#: RFC 5321 §4.5.3.2 gives a block of data three times what other commands get here.
_DATA_SHARE: Final = 3
#: What may stand between the angle brackets of a command; anything else could end it.
_PATH = re.compile(r"[^\x00-\x20\x7f-\xa0<>\\\"]+@[A-Za-z0-9.-]+")
#: After these nothing more is sent over the connection.
_LAST = frozenset({Verdict.back_off, Verdict.refused, Verdict.rejected, Verdict.unknown})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt to hand over one message ended; `code` is None where no reply decided it."""

    verdict: Verdict
    phase: Phase | None = None
    code: int | None = None
    text: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip() if self.code is not None else self.text


class Connection:
    """An open, secured and authenticated connection, and the messages that go over it.

    Args:
        conversation: has taken over the connection.
        extensions: what the server offers, by lower-case keyword, with its parameters.
        is_local: the server is on this machine.
        timeout: seconds for the answer to a command.
        after_dot: seconds for the answer to a whole message.
        trace: told "before-data", "after-dot" and "after-250".
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
    ) -> None:
        self.is_local = is_local
        #: How many messages this connection has carried, whatever became of them.
        self.carried = 0
        self._conversation = conversation
        self._timeout = timeout
        self._after_dot = after_dot
        self._trace = trace
        self._pipelining = "pipelining" in extensions
        self._smtputf8 = "smtputf8" in extensions
        self._offers_size = "size" in extensions
        size = extensions.get("size", "").strip()
        # "0" and nothing mean that no limit is known (RFC 1870 §4).
        self._largest = int(size) if size.isascii() and size.isdigit() and len(size) < 20 else 0  # noqa: PLR2004
        self._in_transaction = False
        self._is_over = False
        self._phase = Phase.mail

    @property
    def is_usable(self) -> bool:
        """Whether another message may be tried over this connection."""
        return not self._is_over and self._conversation.is_quiet

    async def transaction(
        self, *, sender: str, recipient: str, gate: Awaitable[bool], message: Sequence[bytes]
    ) -> Outcome:
        """Hand over one message.

        Args:
            sender: for MAIL, as it goes on the wire.
            recipient: for RCPT, as it goes on the wire.
            gate: awaited before DATA; False withholds the message.
            message: pieces that join to lines with CR LF, none of which begins with a dot.

        Raises:
            Whatever the gate raises; the connection is given up then.
        """
        refusal = self._impossible(sender, recipient, sum(map(len, message)))
        if refusal is not None:
            return refusal
        try:
            outcome = await self._attempt(sender, recipient, gate, message)
        except ConversationOver as over:
            outcome = Outcome(verdict=judge(self._phase, None), phase=self._phase, text=str(over))
            self._conversation.abort()
        except BaseException:
            self.abort()
            raise
        if outcome.verdict in _LAST:
            self._is_over = True
        return outcome

    async def close(self) -> None:
        """Take leave (QUIT) where the server still listens, and close."""
        self._is_over = True
        conversation = self._conversation
        try:
            conversation.write(b"QUIT\r\n")
            # Answers to what was written before may come first.
            while (await conversation.reply(min(self._timeout, _PARTING))).code != _GOODBYE:
                pass
        except ConversationOver:
            pass
        finally:
            conversation.abort()

    def abort(self, reason: str = "the connection was given up") -> None:
        """Close at once; an attempt under way ends with what is known of it."""
        self._is_over = True
        self._conversation.abort(reason)

    # ---------------------------------------------------------------------- steps

    def _impossible(self, sender: str, recipient: str, size: int) -> Outcome | None:
        """What need not be tried."""
        if not _PATH.fullmatch(sender) or not sender.isascii():
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

    async def _attempt(self, sender: str, recipient: str, gate: Awaitable[bool], message: Sequence[bytes]) -> Outcome:
        conversation = self._conversation
        refusal = await self._envelope(sender, recipient, sum(map(len, message)))
        if refusal is not None:
            return refusal
        if not await gate:
            return Outcome(verdict=Verdict.withheld)
        self._trace("before-data")
        self._phase = Phase.data
        conversation.write(b"DATA\r\n")
        reply = await conversation.reply(self._timeout)
        if reply.code != _GO_AHEAD:
            return self._judged(reply)
        self.carried += 1
        conversation.write(b"".join(message))
        await conversation.drained(_DATA_SHARE * self._timeout)
        if not conversation.is_quiet:
            # It answers a message it has not got: without the dot nothing is delivered.
            outcome = self._judged(await conversation.reply(self._timeout))
            self.abort()
            return outcome
        self._phase = Phase.dot
        conversation.write(b".\r\n")
        self._trace("after-dot")
        reply = await conversation.reply(self._after_dot)
        self._trace("after-250")
        self._in_transaction = False
        return self._judged(reply)

    async def _envelope(self, sender: str, recipient: str, size: int) -> Outcome | None:
        """MAIL and RCPT; what ends the transaction, or None if both were accepted."""
        parameters = f" SIZE={size}" if self._offers_size else ""
        if not recipient.isascii():
            parameters += " BODY=8BITMIME SMTPUTF8"
        commands = [
            (Phase.mail, f"MAIL FROM:<{sender}>{parameters}\r\n".encode()),
            (Phase.rcpt, f"RCPT TO:<{recipient}>\r\n".encode()),
        ]
        if self._in_transaction:
            commands.insert(0, (Phase.mail, b"RSET\r\n"))
        self._in_transaction = True
        if self._pipelining:
            self._conversation.write(b"".join(command for _, command in commands))
        for phase, command in commands:
            self._phase = phase
            if not self._pipelining:
                self._conversation.write(command)
            reply = await self._conversation.reply(self._timeout)
            if not reply.is_positive:
                return self._judged(reply)
        return None

    def _judged(self, reply: Reply) -> Outcome:
        verdict = judge(self._phase, reply)
        code = None if reply.code == GARBAGE else reply.code
        return Outcome(verdict=verdict, phase=self._phase, code=code, text=reply.text)

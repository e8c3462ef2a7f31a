"""What a mail server says, and what it means for one message: read with bounds, judged without I/O.

    after          2xx      421        other 4xx   5xx                        silence, EOF, garbage
    MAIL           go on    back off   back off    refused (it is us)         back off
    RCPT           go on    back off   deferred    failed; refused if us      back off
    DATA           -        back off   deferred    failed; rejected if policy back off
    the final dot  sent     back off   deferred    failed; rejected if policy unknown

`refused` and `rejected` stop the run and blame no recipient: the server wants
nothing from us (no login, no relaying, a sender it does not know), or will not
have this content (RFC 3463 §3.8, X.7.Z).  `back off` blames the connection.
`unknown` is the one case in which nobody can say whether the message arrived
(RFC 1047).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from newsletter.text import one_line

#: What is kept of a reply's text.
_TEXT_LIMIT = 400
_LINE_LIMIT = 2_048
_TOTAL_LIMIT = 65_536
#: A line's code, its hyphen and its end, in bytes.
_LINE_FRAME = 6
#: The code of what is no reply at all.
GARBAGE = -1
CLOSING = 421
#: First digits (RFC 5321 §4.2.1).
_DONE, _LATER, _NEVER = 2, 4, 5

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
#: Codes that mean "log in first" or "not with these credentials" (RFC 4954 §6), whatever they answer.
_AUTH_CODES = frozenset({530, 534, 535, 538})
#: Enhanced codes about the sender (RFC 3463 §3.2: X.1.7, X.1.8) or our login (RFC 4954 §6).
_ABOUT_US = re.compile(r"5\.(?:1\.[78]|7\.(?:8|9|11|14))")
#: Servers hold refusals of client and sender back until RCPT; there the text alone tells whom they mean.
_ABOUT_US_TEXT = re.compile(
    r"(?i)relay(?:ing)?(?: access)? (?:denied|prohibited|not (?:permitted|allowed))"
    r"|(?:unable|not permitted|not allowed) to relay|do(?:es)? not relay"
    r"|(?:sender address|client host|helo command) rejected|authentication (?:is )?required"
)


class Phase(StrEnum):
    """How far a transaction had come; what was not answered is the command of this name."""

    mail = "MAIL"
    rcpt = "RCPT"
    data = "DATA"
    dot = "the final dot"


class Verdict(StrEnum):
    """What an attempt means for the message (see the table above)."""

    sent = "sent"
    deferred = "deferred"
    failed = "failed"
    back_off = "back off"
    refused = "refused"
    rejected = "rejected"
    unknown = "unknown"
    withheld = "withheld"  # the gate stayed shut: not ours to send any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One reply of a server: its code (-1 for garbage) and its text on one line."""

    code: int
    text: str

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463), where the text begins with one of the reply's own class."""
        found = _ENHANCED.match(self.text)
        return found.group() if found and found.group(1) == str(self.code)[:1] else None

    @property
    def is_positive(self) -> bool:
        """Whether the server did what it was asked (2yz)."""
        return self.code // 100 == _DONE

    @property
    def is_negative(self) -> bool:
        """Whether the server refused, for now or for good (4yz, 5yz)."""
        return self.code // 100 in (_LATER, _NEVER)

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip() if self.code != GARBAGE else self.text


def judge(phase: Phase, reply: Reply | None) -> Verdict:
    """What a reply that ends a transaction means; None stands for a connection that was lost.

    A reply that lets the transaction go on is not for this function: where it
    comes out of turn, it is garbage.
    """
    kind = 0 if reply is None else reply.code // 100
    if reply is None or kind not in (_DONE, _LATER, _NEVER) or (kind == _DONE and phase is not Phase.dot):
        return Verdict.unknown if phase is Phase.dot else Verdict.back_off
    if kind == _DONE:
        return Verdict.sent
    if kind == _LATER:
        return Verdict.back_off if reply.code == CLOSING or phase is Phase.mail else Verdict.deferred
    if phase is Phase.mail or _is_about_us(reply, phase):
        return Verdict.refused
    is_policy = phase is not Phase.rcpt and (reply.enhanced or "").startswith("5.7.")
    return Verdict.rejected if is_policy else Verdict.failed


def _is_about_us(reply: Reply, phase: Phase) -> bool:
    if reply.code in _AUTH_CODES or _ABOUT_US.fullmatch(reply.enhanced or ""):
        return True
    # X.1.Z and X.2.Z say that it is the recipient's address or mailbox, whatever the text.
    about_recipient = (reply.enhanced or "").startswith(("5.1.", "5.2."))
    return phase is Phase.rcpt and not about_recipient and bool(_ABOUT_US_TEXT.search(reply.text))


class ReplyReader:
    """Cuts what a server sends into replies (RFC 5321 §4.2), within bounds.

    Garbage (no code, a line of more than 2 KB, lines of one reply with
    different codes, more than 64 KB unread) gives one reply with code -1;
    after it nothing is read any more.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._lines: list[str] = []
        self._code = b""
        self._total = 0
        self.is_broken = False

    def feed(self, data: bytes) -> list[Reply]:
        """Take in what arrived; the replies that are now complete."""
        if self.is_broken:
            return []
        self._total += len(data)
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        replies: list[Reply] = []
        for line in lines:
            self._take(line, replies)
            if self.is_broken:
                return replies
        if len(self._buffer) >= _LINE_LIMIT or self._total > _TOTAL_LIMIT:
            replies.append(self._garbage("the server's reply has no end"))
        return replies

    def forget(self) -> None:
        """The replies so far have been read; only what has come of the next one counts as unread."""
        held = sum(len(text) + _LINE_FRAME for text in self._lines) if self._lines else 0
        self._total = len(self._buffer) + held

    def _take(self, line: bytes, replies: list[Reply]) -> None:
        if len(line) >= _LINE_LIMIT:
            replies.append(self._garbage("the server's reply has no end"))
            return
        line = line.rstrip(b"\r")
        if not self._lines and (reply := _whole(line)) is not None:
            replies.append(reply)
            return
        found = _LINE.fullmatch(line)
        if not found or (self._code and found.group(1) != self._code):
            replies.append(self._garbage(f"the server sent something that is no reply: {_text([line])}"))
            return
        self._code = found.group(1)
        self._lines.append((found.group(3) or b"").decode("utf-8", "replace"))
        if found.group(2) != b"-":
            replies.append(_reply(self._code, " ".join(self._lines)))
            self._lines, self._code = [], b""

    def _garbage(self, text: str) -> Reply:
        self.is_broken = True
        self._buffer, self._lines = b"", []
        return Reply(code=GARBAGE, text=text)


@lru_cache(maxsize=64)
def _whole(line: bytes) -> Reply | None:
    """The reply that one line is; a server answers most commands in the same words each time."""
    found = _LINE.fullmatch(line)
    if not found or found.group(2) == b"-":
        return None
    return _reply(found.group(1), (found.group(3) or b"").decode("utf-8", "replace"))


def _reply(code: bytes, text: str) -> Reply:
    if len(text) > _TEXT_LIMIT or not text.isprintable():
        text = one_line(text, _TEXT_LIMIT)
    return Reply(code=int(code), text=text)


def _text(lines: list[bytes]) -> str:
    return one_line(b" ".join(lines).decode("utf-8", "replace"), 100)

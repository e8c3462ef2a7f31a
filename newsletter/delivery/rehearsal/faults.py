"""What goes wrong in a rehearsal, and how often: `421@5%,550@1%,drop@0.5%,silent@0.1%,garbage@0.1%,kill@100`.

    4xx      the server asks to come later (421: and hangs up)
    5xx      it refuses the recipient (552 also after the whole message)
    drop     the connection breaks, before or after the final dot
    silent   no answer after the final dot; `silence` is the same
    garbage  an answer that is none
    kill     the sending process dies (SIGKILL) when so many messages have been taken; without a number, half of them

What befalls a message is drawn from the seed, its recipient and the number of
the attempt, so that a run can be repeated whatever order messages come in.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Final, Self

from newsletter.errors import UsageError
from newsletter.text import one_line

#: Replies that say "it is us": a fault of the account, not of a message.
_ABOUT_US: Final = frozenset({530, 534, 535, 538})
_WRITTEN = re.compile(r"([a-z]+|[0-9]{3})@([0-9]{1,9}(?:\.[0-9]{1,6})?)(%?)", re.ASCII)
_MOST = 100
_EXAMPLE = "write them like 421@5%,451@2%,550@1%,drop@0.5%,silent@0.1%,garbage@0.1%,kill@100"
_CLOSING, _PERMANENT, _FULL = 421, 500, 552
#: Faults that are no reply, and how else they may be written.
_WORDS: Final = {"drop": "drop", "silent": "silent", "silence": "silent", "garbage": "garbage"}
_MIDWAY: Final = "kill"


class Moment(StrEnum):
    """When in a transaction a fault comes."""

    rcpt = "rcpt"  # instead of the answer to RCPT
    data = "data"  # in the middle of the message
    dot = "dot"  # after the final dot, the message not taken
    taken = "taken"  # after the final dot, the message taken and the answer lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault, and which share of the attempts it befalls; `name` is a reply code, drop, silent or garbage."""

    name: str
    share: float

    @property
    def moments(self) -> tuple[Moment, ...]:
        """When it may come; one of them is drawn."""
        if self.name == "drop":
            return (Moment.rcpt, Moment.data, Moment.taken)
        if self.name == "silent":
            return (Moment.dot, Moment.taken)
        if self.name == "garbage":
            return (Moment.rcpt, Moment.dot, Moment.taken)
        is_early = int(self.name) >= _PERMANENT and int(self.name) != _FULL
        return (Moment.rcpt,) if is_early else (Moment.rcpt, Moment.dot)

    @property
    def reply(self) -> str | None:
        """What the server says; None where it says nothing, or nothing that is a reply."""
        if not self.name.isdigit():
            return None
        code = int(self.name)
        special = {_CLOSING: "4.3.2", _FULL: "5.2.2"}
        enhanced = special.get(code, "5.1.1" if code >= _PERMANENT else "4.2.0")
        return f"{code} {enhanced} injected by the rehearsal"

    def __str__(self) -> str:
        return f"{self.name}@{self.share * 100:g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """All faults of one rehearsal; `kills` are numbers of messages taken, and `is_midway` is one more kill at half."""

    faults: tuple[Fault, ...] = ()
    kills: tuple[int, ...] = ()
    is_midway: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `--inject` says.

        Raises:
            UsageError: a fault is not known, or the shares are more than all of them.
        """
        faults: dict[str, Fault] = {}
        kills, is_midway = [], False
        for word in filter(None, (part.strip() for part in text.split(","))):
            if word == _MIDWAY:
                is_midway = True
                continue
            found = _WRITTEN.fullmatch(word)
            if found is None:
                raise UsageError(f"{one_line(word, 40)!r} is no fault with a share", hint=_EXAMPLE)
            name, number, is_share = found[1], float(found[2]), bool(found[3])
            if name == "kill":
                if is_share or number < 1 or not number.is_integer():
                    raise UsageError(
                        f"{word}: kill@100 kills when 100 messages have been taken; a share means nothing",
                        hint=_EXAMPLE,
                    )
                kills.append(int(number))
                continue
            name = _known(name, word)
            if not is_share or number > _MOST:
                raise UsageError(f"{word}: how often must be a percentage of at most 100%", hint=_EXAMPLE)
            if name in faults:
                raise UsageError(f"{name} is there twice", hint=_EXAMPLE)
            faults[name] = Fault(name=name, share=number / 100)
        total = sum(fault.share for fault in faults.values())
        if total > 1:
            raise UsageError(f"the faults befall {total:.0%} of the messages, which is more than all", hint=_EXAMPLE)
        return cls(faults=tuple(faults.values()), kills=tuple(sorted(kills)), is_midway=is_midway)

    def kills_among(self, recipients: int) -> list[int]:
        """When so many recipients are mailed: the numbers of messages taken at which the sender dies, in order."""
        return sorted([*self.kills, *([max(recipients // 2, 1)] if self.is_midway else [])])

    def drawn(self, seed: int, recipient: str, attempt: int) -> tuple[Fault, Moment] | None:
        """What befalls this attempt; None: nothing."""
        if not self.faults:
            return None
        digest = blake2b(f"{seed}\0{attempt}\0{recipient}".encode(), digest_size=16).digest()
        lot = int.from_bytes(digest[:8], "big") / 2**64
        for fault in self.faults:
            if lot < fault.share:
                return fault, fault.moments[digest[8] % len(fault.moments)]
            lot -= fault.share
        return None

    def __str__(self) -> str:
        midway = [_MIDWAY] if self.is_midway else []
        return ",".join([*map(str, self.faults), *midway, *(f"kill@{number}" for number in self.kills)])


def _known(name: str, word: str) -> str:
    """The fault's own name, or an error that says what is wrong with it."""
    if name in _WORDS:
        return _WORDS[name]
    if not name.isdigit():
        raise UsageError(
            f"there is no fault {one_line(name, 30)}: there are replies, drop, silent, garbage and kill", hint=_EXAMPLE
        )
    if int(name) in _ABOUT_US:
        raise UsageError(f"{word}: {name} refuses us and no message: the first would end the send", hint=_EXAMPLE)
    if not 400 <= int(name) <= 599:  # noqa: PLR2004 - RFC 5321 §4.2.1
        raise UsageError(f"{word}: {name} is no reply that refuses: those are 400 to 599", hint=_EXAMPLE)
    return name

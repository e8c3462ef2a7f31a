"""What a mail asks for, by its subject: unsubscribe, subscribe, confirm, pause."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from newsletter.people.bounces.reading import Report
from newsletter.text import one_line

_PREFIXES = r"(?:(?:re|aw|fwd?|sv|antw|rif|odp)\s*(?:\[\d+\])?\s*:\s*)*"
_UNSUBSCRIBE = re.compile(rf"(?i){_PREFIXES}unsubscribe(?:\s+(?-i:([A-Za-z0-9_-]{{22}})))?\s*")
_SUBSCRIBE = re.compile(rf"(?i){_PREFIXES}subscribe(?:\s+(?:to\s+)?([a-z][a-z0-9_-]{{0,39}}))?\s*")
_PAUSE = re.compile(rf"(?i){_PREFIXES}pause(?:\s+(?:for\s+)?(\d{{1,3}})\s*(?:weeks?|wks?|w)?)?\s*")
_CONFIRM = re.compile(r"(?i)\bconfirm\s+(?-i:([A-Za-z0-9_-]{16,64}))(?![A-Za-z0-9_-])")
_SUBJECT: Final = 300

#: Whoever has such an address does not want to hear from a machine (RFC 3834 §2, RFC 2142 §5).
_NOBODY = re.compile(
    r"(?i)(?:mailer-daemon|mail-daemon|postmaster|no-?reply|do-?not-?reply|bounces?|listserv|majordomo|mdaemon|root|daemon"
    r"|owner-.*|.*-(?:request|owner|bounces?|admin|confirm|errors|relay))(?:\+.*)?"
)
_BULK = frozenset({"bulk", "list", "junk", "auto_reply"})
#: Header fields that only lists and machines write.
_BY_MACHINE: Final = (
    "List-Id",
    "List-Unsubscribe",
    "List-Post",
    "X-Loop",
    "X-Autoreply",
    "X-Autorespond",
    "X-Auto-Response-Suppress",
    "Feedback-ID",
)


class Wish(StrEnum):
    """What a mail may ask for."""

    unsubscribe = "unsubscribe"
    subscribe = "subscribe"
    confirm = "confirm"
    pause = "pause"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a mail asks for.

    `word` is a token (unsubscribe, confirm), a digest's name (subscribe) or a
    number of weeks (pause), "" where there is none.  `sender` and `name` are
    what it says of itself, and anybody can say that.  What is `by_machine` is
    never answered.
    """

    wish: Wish
    word: str
    sender: str
    name: str
    message_id: str
    by_machine: bool


def read_command(report: Report) -> Command | None:
    """What a mail asks for; None where it asks for nothing."""
    subject = report.subject[:_SUBJECT]
    found = _wish(subject)
    if found is None or not report.sender:
        return None
    wish, word = found
    name = report.letter.header("From").partition("<")[0].strip(" \"'")
    return Command(
        wish=wish,
        word=word,
        sender=report.sender,
        name=one_line(name, 100) if "@" not in name else "",
        message_id=report.letter.header("Message-ID").strip("<> "),
        by_machine=_is_by_machine(report),
    )


def _wish(subject: str) -> tuple[Wish, str] | None:
    for wish, pattern in ((Wish.unsubscribe, _UNSUBSCRIBE), (Wish.subscribe, _SUBSCRIBE), (Wish.pause, _PAUSE)):
        if match := pattern.fullmatch(subject):
            return wish, (match.group(1) or "")
    if match := _CONFIRM.search(subject):
        return Wish.confirm, match.group(1)
    return None


def _is_by_machine(report: Report) -> bool:
    """Whether no person wrote it, as far as that can be told (RFC 3834 §2)."""
    letter = report.letter
    submitted = letter.header("Auto-Submitted").split(";")[0].strip().lower()
    if submitted not in ("", "no") or letter.header("Precedence").strip().lower() in _BULK:
        return True
    if any(letter.message.get(field) is not None for field in _BY_MACHINE) or letter.header("Return-Path") == "<>":
        return True
    return bool(_NOBODY.fullmatch(report.sender.rpartition("@")[0]))

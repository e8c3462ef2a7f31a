"""What a report says: of whom, what kind, in which words, and about which message of ours.

In this order, because each looks like the next to a less careful reader:

    feedback   a spam report (RFC 5965)
    status     a delivery report (RFC 3464), the groups of its recipients
    reply      an answer by a machine (RFC 3834): a vacation notice, a receipt (RFC 8098)
    words      what older servers write to people: flufl.bounce knows their forms
    daemon     a mail system says something and names nobody

Nothing here decides whether it is true: anybody can write a report.
"""

import re
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from itertools import islice
from typing import Final

from newsletter.model import BounceKind
from newsletter.people.bounces.classify import Meaning, classify
from newsletter.people.bounces.letter import Letter, addresses_in, header, take_apart
from newsletter.text import one_line

#: Recipients, and Message-IDs, that one report may name.
MOST: Final = 50
_MOST_IDS: Final = 10
_MOST_PARTS: Final = 100
#: How soon a report to people says what it is.
_TOLD_WITHIN: Final = 2_000

_MESSAGE_ID = re.compile(r"(?im)^[>\s]{0,8}message-id:\s*<?([^\s<>@]{1,200}@[^\s<>@]{1,200})>?")
_DAEMON = re.compile(r"(?i)(?:mailer[-_.]?daemon|mail[-_.]?daemon|postmaster|mdaemon|mail[-_.]?system|mailbot)\b")
_FAILURE_SUBJECT = re.compile(
    r"(?i)undeliver|un?able to deliver|delivery (?:status|fail|notif|report|has|error|problem)|returned? (?:mail|to sender|message)"
    r"|fail(?:ed|ure) (?:notice|notif|deliver|to deliver|mail)|mail (?:error|system error|failure|delivery)|could not (?:be )?(?:send|sent|deliver)"
    r"|message not delivered|non.?deliver|rejected mail|not be delivered"
)
#: The same in a text; or a server's answer, in whatever language the rest is.
_FAILURE = re.compile(rf"{_FAILURE_SUBJECT.pattern}|\b[45]\d\d[ -][45]\.\d{{1,3}}\.\d{{1,3}}\b")
#: Where a report ends and a copy of the message begins.
_COPY = re.compile(
    r"(?im)^.{0,20}(?:below this line|(?:this|included|following|attached|here) is a copy|copy of (?:the|your) (?:original )?message|original message follows|^-+ ?original message"
    r"|header of the source mail|message header|message text follows|the header of)|^(?:Received|Return-Path|X-[A-Za-z-]+): "
)
_REPLY_SUBJECT = re.compile(
    r"(?i)^(?:out of (?:the )?office|auto(?:matic|mated)?[- ]?(?:reply|response|answer)|vacation|autoreply|away from|abwesen|absence"
    r"|r[ée]ponse automatique|automatische antwort|respuesta autom|risposta autom)"
)
_REPLY_HEADERS = ("X-Autoreply", "X-Autorespond", "X-Auto-Reply-From", "X-Mail-Autoreply", "X-FC-MachineGenerated")
#: Spam reports of the kinds that a person presses a button for (RFC 5965 §7.3); `opt-out` is older and means the same.
_COMPLAINTS = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_IS_ADDRESS = re.compile(r"[^\s<>,;]{1,200}@[^\s<>,;]{1,200}|@[^\s<>,;]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a report says of one recipient; `recipients` are all the forms of the address, and may be empty."""

    recipients: tuple[str, ...]
    meaning: Meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a message from outside says.

    `kind` is the worst of what is said; `message_ids` are those of messages it
    returns, `addresses` those it came to, `body` all of it that is text: whoever
    judges looks in them for what only we can have written.
    """

    kind: BounceKind
    said: tuple[Said, ...]
    message_ids: tuple[str, ...]
    addresses: tuple[str, ...]
    sender: str
    subject: str
    date: datetime | None
    fingerprint: str
    size: int
    letter: Letter


_WORST = (
    BounceKind.complaint,
    BounceKind.hard,
    BounceKind.soft,
    BounceKind.policy,
    BounceKind.delay,
    BounceKind.reply,
    BounceKind.other,
)


def read_report(raw: bytes, *, size: int | None = None) -> Report:
    """Read what is in a mailbox; every sequence of bytes is something.

    Args:
        raw: the message, or as much of its beginning as is looked at (`letter.LIMIT`).
        size: how many bytes it has in all.
    """
    letter = take_apart(raw, size=size)
    kind, said = _what_is_said(letter)
    kinds = {one.meaning.kind for one in said} or {kind}
    return Report(
        kind=next(one for one in _WORST if one in kinds),
        said=said[:MOST],
        message_ids=tuple(dict.fromkeys(_MESSAGE_ID.findall(letter.body)))[:_MOST_IDS],
        addresses=letter.recipients,
        sender=letter.sender,
        subject=letter.header("Subject"),
        date=letter.date,
        fingerprint=letter.fingerprint,
        size=letter.size,
        letter=letter,
    )


def _what_is_said(letter: Letter) -> tuple[BounceKind, tuple[Said, ...]]:
    if letter.feedback is not None:
        return _of_feedback(letter, letter.feedback)
    if letter.notices and (said := _of_notices(letter)) is not None:
        return BounceKind.other, said
    is_daemon = _is_daemon(letter)
    if letter.is_receipt or (_is_reply(letter) and not _DAEMON.search(letter.header("From"))):
        return BounceKind.reply, ()
    said = _of_words(letter)
    if said:
        return BounceKind.other, said
    text = _own_words(letter)
    subject = letter.header("Subject")
    if is_daemon and (_FAILURE_SUBJECT.search(subject) or _FAILURE.search(text[:_TOLD_WITHIN])):
        returned = () if letter.returned is None else addresses_in(letter.returned, "To")
        meaning = classify(context=text)
        return meaning.kind, (Said(recipients=returned if len(returned) == 1 else (), meaning=meaning),)
    return (BounceKind.reply if _is_reply(letter) else BounceKind.other), ()


# ------------------------------------------------------------------- by machines, for machines


def _of_feedback(letter: Letter, feedback: Message) -> tuple[BounceKind, tuple[Said, ...]]:
    """A feedback report; those on authentication (RFC 6591) or `not-spam` are nobody's complaint."""
    kind = header(feedback, "Feedback-Type").strip().lower()
    if kind not in _COMPLAINTS:
        return BounceKind.other, ()
    named = addresses_in(feedback, "Original-Rcpt-To", "Removal-Recipient")
    if not named and letter.returned is not None:
        named = addresses_in(letter.returned, "To")
    meaning = Meaning(kind=BounceKind.complaint, status="", words=one_line(f"{kind} reported by {letter.sender}", 200))
    return BounceKind.complaint, (Said(recipients=tuple(filter(_IS_ADDRESS.fullmatch, named)), meaning=meaning),)


def _of_notices(letter: Letter) -> tuple[Said, ...] | None:
    """The recipients of a delivery report; None where it names none, so that its words must do.

    What was delivered, relayed or expanded (RFC 3464 §2.3.3) is no bounce.
    """
    context = _own_words(letter)
    said: list[Said] = []
    has_groups = False
    for group in letter.notices[: 4 * MOST]:
        recipients = tuple(
            dict.fromkeys(
                email for name in ("Final-Recipient", "Original-Recipient") if (email := _typed(header(group, name)))
            )
        )
        if not recipients:
            continue
        has_groups = True
        action = header(group, "Action").split(" ")[0].lower()
        if action in ("delivered", "relayed", "expanded"):
            continue
        diagnostic = header(group, "Diagnostic-Code").partition(";")[2].strip() or header(group, "Diagnostic-Code")
        meaning = classify(
            status=header(group, "Status"),
            diagnostic=diagnostic if re.search(r"[A-Za-z]{3}", _ENHANCED_NOISE.sub("", diagnostic)) else "",
            context=f"{diagnostic} {context}",
            action=action,
            is_direct=True,
        )
        one = Said(recipients=recipients, meaning=meaning)
        if one not in said:
            said.append(one)
    return tuple(said) if has_groups else None


#: What a diagnostic may consist of without saying anything.
_ENHANCED_NOISE = re.compile(r"(?i)smtp|[0-9.;:#<>-]+")


def _typed(value: str) -> str:
    """The address in a typed field (RFC 3464 §2.3.1-2), xtext decoded (RFC 3461 §4)."""
    kind, semicolon, rest = value.partition(";")
    text = (rest if semicolon else kind).strip()
    bracketed = re.search(r"<([^<>\s]+)>", text)
    text = bracketed.group(1) if bracketed else text.strip("<>\"' ")
    if not _IS_ADDRESS.fullmatch(text):
        text = next((word for word in re.split(r"[\s<>()\"]+", text) if _IS_ADDRESS.fullmatch(word)), "")
    # A plus that is meant stays one: "+2B" is what it would have been written as.
    return _XTEXT.sub(lambda m: chr(int(m.group(1), 16)), text) if "+3D" in text or "+2B" in text else text


# --------------------------------------------------------------------------- by machines, for people


def _is_daemon(letter: Letter) -> bool:
    """Whether a mail system wrote it: by its name, or because it wants no answer (RFC 5321 §4.5.5)."""
    return bool(_DAEMON.search(letter.header("From"))) or letter.header("Return-Path") in ("<>", "<MAILER-DAEMON>")


def _own_words(letter: Letter) -> str:
    """What the report itself says, without the copy of the message that may follow in the same text."""
    text = "\n".join(letter.texts)
    copy = _COPY.search(text)
    return text[: copy.start()] if copy and text[: copy.start()].strip() else text


def _is_reply(letter: Letter) -> bool:
    """Whether a machine answered for a person (RFC 3834 §5)."""
    submitted = letter.header("Auto-Submitted").split(";")[0].split(" ")[0].strip().lower()
    if submitted == "auto-replied" or any(letter.message.get(name) is not None for name in _REPLY_HEADERS):
        return True
    if letter.header("X-Apple-Action").upper() == "VACATION" or letter.header("Precedence").lower() == "auto_reply":
        return True
    return bool(_REPLY_SUBJECT.search(letter.header("Subject")))


def _of_words(letter: Letter) -> tuple[Said, ...]:
    """What people are told, in the forms that flufl.bounce and X-Failed-Recipients know."""
    text = _own_words(letter)
    for_now, for_good = _flufl(letter.message)
    named = addresses_in(letter.message, "X-Failed-Recipients")
    if not for_now and not for_good:
        for_good = tuple(filter(_IS_ADDRESS.fullmatch, named))
    said = [
        Said(recipients=(email,), meaning=classify(context=_around(text, email), action=action))
        for emails, action in ((for_good, "failed"), (for_now, "delayed"))
        for email in emails
    ]
    return tuple(said)


def _flufl(message: Message) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The addresses that flufl.bounce finds: failing for now, failing for good."""
    import logging

    from flufl.bounce import all_failures

    # It logs each of its own exceptions, traceback and all, which nobody here can do anything about.
    logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)
    if sum(1 for _ in islice(message.walk(), _MOST_PARTS + 1)) > _MOST_PARTS:
        # Each of its detectors walks through all of them.
        return (), ()
    try:
        found = all_failures(_tidied(message))
    except Exception:  # noqa: BLE001 - its detectors trust the form of what they read
        return (), ()
    for_now, for_good = (
        tuple(sorted({text for one in group if _IS_ADDRESS.fullmatch(text := _text(one))})) for group in found
    )
    return for_now, for_good


def _tidied(message: Message) -> Message:
    """A message whose header its detectors can read: they expect plain text, and somebody it is from.

    One detector that fails takes all the others with it.
    """
    tidy = copy(message)
    for name in {name.lower() for name in message}:
        value = message.get(name)
        if not isinstance(value, str):
            del tidy[name]
            tidy[name] = one_line(str(value))
    if not addresses_in(tidy, "From"):
        del tidy["From"]
        tidy["From"] = "MAILER-DAEMON@nowhere.invalid"
    return tidy


def _text(email: bytes | str) -> str:
    return (email.decode("utf-8", "replace") if isinstance(email, bytes) else email).strip("<>\"' ")


def _around(text: str, email: str) -> str:
    """What stands near an address: where a report names several, each has its own reason."""
    lines = text[:100_000].splitlines()
    wanted: dict[int, None] = {}
    for number, line in enumerate(lines):
        if email.lower() in line.lower():
            wanted.update(dict.fromkeys(range(max(0, number - 3), min(len(lines), number + 8))))
        if len(wanted) > MOST:
            break
    return "\n".join(lines[number] for number in wanted) or text

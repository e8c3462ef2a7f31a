"""The header of a message: what RFC 5322, RFC 2369 and RFC 8058 and the large mailbox providers ask for."""

import re
from collections import Counter
from collections.abc import Iterator
from email.utils import getaddresses, parsedate_to_datetime

from newsletter.issues.check.finding import Finding, error, warning
from newsletter.issues.check.reading import Letter, decoded

_ONCE = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version")
#: Headers of addresses: encoded words may stand in their names, never in an address or a URL (RFC 2047 §5).
_ADDRESSES = ("Message-ID", "List-Unsubscribe", "List-Help", "List-Archive", "List-Post", "List-Owner", "Return-Path")
_TELLTALE = re.compile(r"^(Bcc|Received|X-Originating-IP|User-Agent|X-Mailer)$", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>@\s]+@([^<>@\s]+)>")
_URI = re.compile(r"<([^<>\s]+)>")
_ADDRESS_IN_BRACKETS = re.compile(r"<[^<>]*=\?[^<>]*>")
_LIST_ID = re.compile(r"<[^<>\s@]+>\s*$")
#: What whoever adds to a letter would like to replace.
_SIGNED = ("From", "Subject", "List-Unsubscribe", "List-Unsubscribe-Post")
_FEEDBACK_COLONS = 3
_SENDER_ID = range(5, 16)


def check_headers(letter: Letter) -> Iterator[Finding]:
    """Judge the header fields."""
    yield from _once(letter)
    yield from _people(letter)
    yield from _words(letter)
    yield from _ids(letter)
    yield from _list(letter)
    yield from _manners(letter)
    yield from _signatures(letter)


def unsubscribe_uris(letter: Letter) -> list[str]:
    """The addresses of List-Unsubscribe, in order."""
    return _URI.findall(letter.header("List-Unsubscribe"))


def _once(letter: Letter) -> Iterator[Finding]:
    counts = Counter(name.lower() for name, _ in letter.fields)
    for name in _ONCE:
        if counts[name.lower()] != 1:
            yield error(
                "header-once",
                f"{counts[name.lower()] or 'no'} {name} headers, not one",
                where=name,
                why="RFC 5322 §3.6 wants exactly one; filters refuse the rest",
                fix="report this: the program writes these headers itself",
            )


def _people(letter: Letter) -> Iterator[Finding]:
    for name in ("From", "To"):
        value = letter.header(name)
        found = [address for _, address in getaddresses([value])]
        if value and (len(found) != 1 or found[0].count("@") != 1):
            yield error(
                "one-address",
                f"{name} reads as {len(found)} addresses: {', '.join(found) or 'none'}",
                where=name,
                why="a letter has one sender, and shows each reader nobody but themselves",
                fix="take commas and quotation marks out of the name in `from:` or of the subscriber",
            )


def _words(letter: Letter) -> Iterator[Finding]:
    for name in ("Subject", "From", "To"):
        if decoded(letter.header(name)) is None:
            yield error(
                "encoded-word",
                f"{name} holds an encoded word that cannot be read back",
                where=name,
                why="clients show it as =?utf-8?…?= (RFC 2047)",
                fix="report this: the program writes these headers itself",
            )
    for name, value in letter.fields:
        inside = name.lower() in {field.lower() for field in _ADDRESSES} and "=?" in value
        if inside or (name in {"From", "To", "Reply-To"} and _ADDRESS_IN_BRACKETS.search(value)):
            yield error(
                "encoded-address",
                f"{name} has an encoded word inside an address",
                where=name,
                why="RFC 2047 §5 forbids it, and one-click unsubscribe stops working",
                fix="shorten base_url, or write the domain in ASCII",
            )


def _ids(letter: Letter) -> Iterator[Finding]:
    if value := letter.header("Message-ID"):
        match = _MESSAGE_ID.fullmatch(value)
        domain = getaddresses([letter.header("From")])[0][1].rpartition("@")[2] if letter.header("From") else ""
        if match is None:
            yield error(
                "message-id",
                f"the Message-ID {value} has no form <left@domain>",
                where="Message-ID",
                why="RFC 5322 §3.6.4; receivers then cannot tell a repeat from a new letter",
                fix="report this: the program writes this header itself",
            )
        elif domain and match[1].lower() != domain.lower():
            yield warning(
                "message-id",
                f"the Message-ID is of {match[1]}, the sender of {domain}",
                where="Message-ID",
                why="filters count a match as a good sign",
                fix="report this: the program writes this header itself",
            )
    if value := letter.header("Date"):
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            date = None
        if date is None or date.tzinfo is None:
            yield error(
                "date",
                f"the Date {value!r} is none, or has no offset",
                where="Date",
                why="RFC 5322 §3.3; clients sort the letter by it",
                fix="report this: the program writes this header itself",
            )
    feedback = letter.header("Feedback-ID")
    if feedback and (feedback.count(":") != _FEEDBACK_COLONS or len(feedback.rpartition(":")[2]) not in _SENDER_ID):
        yield warning(
            "feedback-id",
            f"the Feedback-ID {feedback} is not of the form a:b:c:sender",
            where="Feedback-ID",
            why="Gmail reads four fields, the last of 5 to 15 characters",
            fix="set a Feedback-ID of that form, or none",
        )


def _list(letter: Letter) -> Iterator[Finding]:
    uris = unsubscribe_uris(letter)
    web = [uri for uri in uris if uri.lower().startswith("https:")]
    post = letter.header("List-Unsubscribe-Post")
    if not uris:
        yield error(
            "list-unsubscribe",
            "no List-Unsubscribe with an address in angle brackets",
            where="List-Unsubscribe",
            why="Gmail, Yahoo and Microsoft want it of everybody who mails many (RFC 2369 §3.2)",
            fix="report this: the program writes this header itself",
        )
    elif any(not uri.lower().startswith(("https:", "mailto:")) for uri in uris):
        yield error(
            "list-unsubscribe",
            "List-Unsubscribe has an address that is neither https nor mailto",
            where="List-Unsubscribe",
            why="RFC 8058 §3.1 wants https; providers follow nothing else",
            fix="give an https address as base_url",
        )
    elif web and len(web) == len(uris):
        yield warning(
            "list-unsubscribe",
            "List-Unsubscribe has no mailto address beside the web page",
            where="List-Unsubscribe",
            why="some clients can unsubscribe by mail only",
            fix="report this: the program writes this header itself",
        )
    if bool(web) != (post == "List-Unsubscribe=One-Click"):
        yield error(
            "one-click",
            f"List-Unsubscribe-Post is {post!r}" if post else "there is no List-Unsubscribe-Post",
            where="List-Unsubscribe-Post",
            why="RFC 8058 §3.1: with an https address it reads exactly List-Unsubscribe=One-Click, without one there is none",
            fix="report this: the program writes this header itself",
        )
    if not _LIST_ID.search(letter.header("List-Id")):
        yield error(
            "list-id",
            "no List-Id of the form name <label.domain>",
            where="List-Id",
            why="readers' filters sort by it (RFC 2919)",
            fix="set list_id, for example daily.example.com",
        )


def _signatures(letter: Letter) -> Iterator[Finding]:
    for name, value in letter.fields:
        if name.lower() != "dkim-signature":
            continue
        tags = {key.strip(): "".join(text.split()) for key, _, text in (tag.partition("=") for tag in value.split(";"))}
        signed = Counter(tags.get("h", "").lower().split(":"))
        present = Counter(field.lower() for field, _ in letter.fields)
        # RFC 6376 §5.4.2: a name that is listed once more than it occurs can get no second field.
        loose = [field for field in _SIGNED if signed[field.lower()] <= present[field.lower()]]
        if loose:
            yield error(
                "dkim-covers",
                f"the DKIM signature of {tags.get('d', 'nobody')} lets somebody add {', '.join(loose)}",
                where=name,
                why="one-click unsubscribe counts only under a signature (RFC 8058 §4), and a second one on top would lead elsewhere",
                fix="report this: the program signs these headers itself",
            )
        if "l" in tags:
            yield error(
                "dkim-length",
                f"the DKIM signature of {tags.get('d', 'nobody')} covers a part of the letter only",
                where=name,
                why="anybody can put text below what is signed (RFC 6376 §8.2)",
                fix="report this: the program signs the whole letter",
            )


def _manners(letter: Letter) -> Iterator[Finding]:
    if letter.header("Auto-Submitted").lower() != "auto-generated":
        yield warning(
            "auto-submitted",
            "Auto-Submitted is not auto-generated",
            where="Auto-Submitted",
            why="holiday notices will answer the letter (RFC 3834 §5)",
            fix="report this: the program writes this header itself",
        )
    for name, _ in letter.fields:
        if _TELLTALE.match(name):
            yield error(
                "telltale",
                f"the header {name} has no place in a letter that leaves here",
                where=name,
                why="it tells readers of other readers, or of this machine",
                fix="report this: the program writes no such header",
            )

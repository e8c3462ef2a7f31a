"""Proof-reading: a built message is read again, as a stranger would, before anything like it leaves.

`check_message` knows nothing of how the bytes were made.  It parses them with
the standard library and compares what a reader gets with what was meant; so a
mistake in composing, or text that nobody thought of, stops here.
"""

import re
from dataclasses import dataclass
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses

from newsletter.delivery.headers import field_names
from newsletter.errors import MessageError
from newsletter.model import Picture

_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_LONGEST = 998
_LONGEST_QUOTED = 76
#: The one field of a part whose length is not ours: it has a domain in it.
_CONTENT_ID = re.compile(rb"Content-ID: <[^<>\s]+>")
_PICTURE_FIELDS = ("Content-Type", "Content-Transfer-Encoding", "Content-ID", "Content-Disposition")
#: A picture of ours; what a project's own template names otherwise is for `newsletter check` to judge.
_SHOWN = re.compile(r'<img\b[^<>]*\ssrc="cid:([0-9a-f]{32}@[^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a reader must find in a message.

    `fields` are the header names in order.  Names and subject are the cleaned
    texts; addresses are in their form for the wire; `html` is None for a
    message of plain text only.  `pictures` travel with the HTML, in this order.
    """

    fields: tuple[str, ...]
    from_name: str
    from_email: str
    to_name: str
    to_email: str
    subject: str
    message_id: str
    text: str
    html: str | None
    pictures: tuple[Picture, ...] = ()


def check_message(raw: bytes, expected: Expected) -> None:
    """Read a built message again and compare it with what was meant.

    Checks RFC 5322 (one of each field, lines, CR LF), RFC 2045 and 2046
    (quoted-printable lines, two alternatives, plain text first), RFC 2047
    (names and subject decode to what they were), RFC 2387 and 2392 (the HTML
    comes first of what is related to it, every picture it names is there, byte
    for byte, and no other) and that SMTP has no dot to stuff.

    Raises:
        MessageError: naming the first difference.
    """
    head, _, body = raw.partition(b"\r\n\r\n")
    _check_bytes(raw, head, body, expected)
    message: Message = BytesParser(policy=policy.compat32).parsebytes(raw)
    _same("header fields", tuple(message.keys()), expected.fields)
    fields = _unfolded(head)
    _check_mailbox("From", fields["From"], expected.from_name, expected.from_email)
    _check_mailbox("To", fields["To"], expected.to_name, expected.to_email)
    _same("subject", _decoded(fields["Subject"]), expected.subject)
    _same("Message-ID", fields["Message-ID"], f"<{expected.message_id}>")
    _check_parts(message, expected)


def _check_bytes(raw: bytes, head: bytes, body: bytes, expected: Expected) -> None:
    if _BARE.search(raw) or b"\0" in raw:
        raise MessageError("the message has a bare CR or LF or a NUL")
    if not body.isascii() or (not head.isascii() and expected.to_email.isascii()):
        raise MessageError("the message is not plain ASCII")
    _same("header fields", field_names(head + b"\r\n"), expected.fields)
    if max(map(len, head.split(b"\r\n"))) > _LONGEST:
        raise MessageError("a header line is too long")
    lines = body.split(b"\r\n")
    if max(map(len, lines)) > _LONGEST:
        raise MessageError("a line is too long")
    if any(len(line) > _LONGEST_QUOTED and not _CONTENT_ID.fullmatch(line) for line in lines):
        raise MessageError("an encoded line is too long")
    if lines[-1] or any(line.startswith(b".") for line in lines):
        raise MessageError("the message has a line that SMTP would change")


def _unfolded(head: bytes) -> dict[str, str]:
    lines = head.decode("utf-8").replace("\r\n ", " ").split("\r\n")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _check_mailbox(field: str, value: str, name: str, email: str) -> None:
    found = getaddresses([value])
    _same(f"addresses in {field}", [address for _, address in found], [email])
    _same(f"name in {field}", _decoded(found[0][0]), name)


def _decoded(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, ValueError, LookupError) as error:
        raise MessageError(f"the header text {value!r} cannot be read back") from error


def _check_parts(message: Message, expected: Expected) -> None:
    wanted = [("text/plain", expected.text)]
    parts = [message]
    if expected.html is not None:
        wanted.append(("text/html", expected.html))
        _same("content type", message.get_content_type(), "multipart/alternative")
        parts = _parts_of(message)
        _check_named(expected.html, expected.pictures)
        if expected.pictures:
            parts[1:] = [_check_related(parts[-1], expected)]
    _same("parts", [part.get_content_type() for part in parts], [kind for kind, _ in wanted])
    for part, (kind, text) in zip(parts, wanted, strict=True):
        payload = part.get_payload(decode=True)
        if message.defects or part.defects or not isinstance(payload, bytes):
            raise MessageError(f"the {kind} part has defects")
        _same(f"charset of {kind}", part.get_content_charset(), "utf-8")
        _same(f"encoding of {kind}", part["Content-Transfer-Encoding"], "quoted-printable")
        try:
            found = payload.decode("utf-8").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise MessageError(f"the {kind} part is not UTF-8") from error
        if found != text:
            raise MessageError(f"the {kind} part does not read as it was meant{_difference(found, text)}")


def _check_related(related: Message, expected: Expected) -> Message:
    """Check the part that holds the HTML and its pictures; gives the HTML."""
    _same("last alternative", related.get_content_type(), "multipart/related")
    _same("type of what is related", related.get_param("type"), "text/html")
    root, *pictures = _parts_of(related) or [related]
    if related.defects:
        raise MessageError("the multipart/related has defects")
    names = [str(part["Content-ID"]) for part in pictures]
    _same("pictures", names, [f"<{picture.cid}>" for picture in expected.pictures])
    for part, picture in zip(pictures, expected.pictures, strict=True):
        _same(f"fields of {picture.cid}", part.keys(), list(_PICTURE_FIELDS))
        _same(f"type of {picture.cid}", part["Content-Type"], picture.media_type)
        _same(f"encoding of {picture.cid}", part["Content-Transfer-Encoding"], "base64")
        _same(f"disposition of {picture.cid}", part["Content-Disposition"], "inline")
        if part.get_payload(decode=True) != picture.data or part.defects:
            raise MessageError(f"the picture {picture.cid} does not read as it was meant")
    return root


def _check_named(html: str, pictures: tuple[Picture, ...]) -> None:
    """Check that the HTML and the pictures belong together (RFC 2392)."""
    there = {picture.cid for picture in pictures}
    _same("missing pictures", set(_SHOWN.findall(html)) - there, set())
    _same("unused pictures", {cid for cid in there if f"cid:{cid}" not in html}, set())


def _parts_of(message: Message) -> list[Message]:
    payload = message.get_payload()
    return [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise MessageError(f"the message's {what} would read {found!r}, not {expected!r}")


def _difference(found: str, expected: str) -> str:
    for place, (a, b) in enumerate(zip(found, expected, strict=False)):
        if a != b:
            return f": {found[place : place + 40]!r}, not {expected[place : place + 40]!r}"
    return f": {len(found)} characters, not {len(expected)}"

"""A message from outside, taken apart within bounds: its headers, its texts, its machine-readable parts.

The standard library's parser recurses once a level and keeps every part; so
what is deeply nested is not parsed at all but read as one text, and no more
than `LIMIT` bytes of anything are looked at.  A report has what it says at its
beginning (RFC 6522 §3).
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser, HeaderParser
from email.utils import getaddresses, parsedate_to_datetime
from typing import Final

from newsletter.text import one_line

#: Bytes of a message that are looked at, and kept.
LIMIT: Final = 262_144
#: Parts that are looked at, and what is read of each.
_PARTS: Final = 60
_TEXT: Final = 65_536
#: More nesting than any report has.
_NESTED: Final = 40
_HEADER: Final = 2_000

_NEST = re.compile(rb"(?i)boundary\s*=|content-type:\s*message/")
_DELIVERED_TO = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "To", "Cc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message, taken apart.

    `texts` are its readable parts, `notices` the groups of fields of its
    delivery-status parts (RFC 3464 §2.1.2), `feedback` the fields of a feedback
    report (RFC 5965 §2), `returned` the header of the message it is about.
    """

    message: Message
    fingerprint: str
    size: int
    texts: tuple[str, ...]
    notices: tuple[Message, ...]
    feedback: Message | None
    returned: Message | None
    is_receipt: bool
    body: str = field(repr=False)

    def header(self, name: str) -> str:
        """A field of the header on one line, "" where there is none."""
        return header(self.message, name)

    @property
    def sender(self) -> str:
        """The address it says it is from, "" where that is none."""
        return next((email for email in addresses_in(self.message, "From", "Sender") if "@" in email), "")

    @property
    def recipients(self) -> tuple[str, ...]:
        """Every address its header says it came to."""
        return addresses_in(self.message, *_DELIVERED_TO)

    @property
    def date(self) -> datetime | None:
        """When it says it was written."""
        try:
            found = parsedate_to_datetime(self.header("Date"))
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            return None


def header(message: Message, name: str) -> str:
    """A field on one line, within bounds, "" where there is none; undecodable bytes are no error."""
    try:
        value = message.get(name)
    except Exception:  # noqa: BLE001 - the parser's, on a field that is none
        return ""
    text = "" if value is None else str(value)[:_HEADER]
    return one_line(_unencoded(text) if "=?" in text else text)


def _unencoded(text: str) -> str:
    """A field whose encoded-words are read (RFC 2047), as far as they can be."""
    try:
        return str(make_header(decode_header(text)))
    except Exception:  # noqa: BLE001 - unknown charsets, broken base64, half a character
        return text


def addresses_in(message: Message, *names: str) -> tuple[str, ...]:
    """The addresses in these fields, as written, each once."""
    return tuple(dict.fromkeys(email for name in names for email in _addresses(message, name)))


def _addresses(message: Message, name: str) -> list[str]:
    try:
        values = [str(value)[:_HEADER] for value in message.get_all(name, [])[:10]]
        return [email.strip() for _, email in getaddresses(values) if email.strip()]
    except Exception:  # noqa: BLE001 - the parser's, on a field that is none
        return []


def take_apart(raw: bytes, *, size: int | None = None) -> Letter:
    """Read a message; whatever it is, something comes of it.

    Args:
        raw: its bytes, or the first of them.
        size: how many there are in all.
    """
    raw = raw[:LIMIT]
    is_nested = sum(1 for _ in _NEST.finditer(raw)) > _NESTED
    try:
        message = BytesParser().parsebytes(raw, headersonly=is_nested)
    except Exception:  # noqa: BLE001 - hostile bytes have found errors in this parser before
        message = Message()
    head, body = _split(raw)
    parts = _Parts()
    if not is_nested:
        parts.take(message)
    text = body.decode("utf-8", "replace")
    return Letter(
        message=message,
        fingerprint=_fingerprint(message, head, body),
        size=len(raw) if size is None else size,
        texts=tuple(parts.texts) or (text[:_TEXT],),
        notices=tuple(parts.notices),
        feedback=parts.feedback,
        returned=parts.returned,
        is_receipt=parts.is_receipt,
        body="\n".join((text, *parts.decoded)),
    )


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Header and body; a copy that only differs in its line ends is the same."""
    head, _, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    return head, body


def _fingerprint(message: Message, head: bytes, body: bytes) -> str:
    """What is the same for every copy of a message: servers on the way write above the header, and nowhere else."""
    own = header(message, "Message-ID") or header(message, "Date") or head.decode("latin-1")
    return hashlib.sha256(own.encode("utf-8", "replace") + b"\0" + body.strip()).hexdigest()


class _Parts:
    """The parts of a message that say something, as they are met."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.decoded: list[str] = []
        self.notices: list[Message] = []
        self.feedback: Message | None = None
        self.returned: Message | None = None
        self.is_receipt = False

    def take(self, message: Message) -> None:
        """Look at a message and at what is in it, but not into the message it returns."""
        waiting: list[Message] = [message]
        for _ in range(_PARTS):
            if not waiting:
                return
            part = waiting.pop(0)
            inner = _inner(part)
            if part.get_content_type().startswith("multipart/") and inner:
                waiting = [*inner[:_PARTS], *waiting]
            else:
                self._take(part, part.get_content_type(), inner)

    def _take(self, part: Message, kind: str, inner: list[Message]) -> None:
        if kind.endswith("delivery-status"):
            self.notices += _groups(part, inner)
        elif kind.endswith("disposition-notification"):
            self.is_receipt = True
        elif kind == "message/feedback-report":
            self.feedback = self.feedback or next(_groups(part, inner), None)
        elif kind.endswith("rfc822-headers"):
            self.returned = self.returned or _fields(_decoded(part))
        elif kind.startswith("message/"):
            self.returned = self.returned or (inner[0] if inner else _fields(_decoded(part)))
        elif kind.startswith(("text/", "multipart/")):
            self._text(part)

    def _text(self, part: Message) -> None:
        text = _decoded(part)
        if part.get_content_type() == "text/html":
            text = re.sub(r"<[^<>]{0,500}>", " ", text)
        self.texts.append(text)
        if str(part.get("Content-Transfer-Encoding", "")).strip().lower() in ("base64", "quoted-printable"):
            self.decoded.append(text)


def _inner(part: Message) -> list[Message]:
    """The parts of a part; a text that only says it had some has none (asking for it may raise)."""
    payload = part.get_payload() if part.is_multipart() else []
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _groups(part: Message, inner: list[Message]) -> Iterator[Message]:
    """The groups of fields of a status part, however the parser has cut them."""
    yield from inner[:_PARTS]
    texts = [_decoded(one) for one in inner[:_PARTS] or [part]]
    for text in texts:
        for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n"))[:_PARTS]:
            if ":" in block:
                yield _fields(block.strip("\n"))


def _fields(text: str) -> Message:
    try:
        return HeaderParser().parsestr(text[:_TEXT].lstrip("\n"), headersonly=True)
    except Exception:  # noqa: BLE001 - as in `take_apart`
        return Message()


def _decoded(part: Message) -> str:
    """A part's text; an encoding nobody knows is no error."""
    data = b""
    try:
        payload = part.get_payload(decode=True)
        data = payload[:_TEXT] if isinstance(payload, bytes) else b""
        return data.decode(part.get_content_charset("utf-8"), "replace")
    except Exception:  # noqa: BLE001 - as in `take_apart`
        return data.decode("utf-8", "replace")

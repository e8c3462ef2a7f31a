"""Composing: a frozen issue becomes one message per person, at the price of a join.

Whatever is the same for everybody (headers, both parts, quoted-printable,
pictures) is encoded once, when a `Skeleton` is built, and proof-read once.  A message is
that skeleton with one person's values between its pieces.  The same delivery
gives the same bytes whenever it is composed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Self

from newsletter.delivery.dkim import FIELD, Signatures, Signer
from newsletter.delivery.gaps import Gaps
from newsletter.delivery.headers import (
    NAME_LIMIT,
    address_header,
    build_headers,
    clean,
    date_header,
    encode_address,
    encode_header_text,
    header_line,
    list_id_header,
    message_id_line,
    to_line,
    url_list_header,
)
from newsletter.delivery.links import Tokens, links_with
from newsletter.delivery.proof import Expected, check_message
from newsletter.delivery.quoting import quote_piece
from newsletter.delivery.related import PicturePart, shown_in
from newsletter.delivery.signed import check_signatures
from newsletter.errors import MessageError
from newsletter.issues.merge import Piece, fill, fill_subject, split
from newsletter.model import Delivery, DeliveryState, Envelope, Format, Issue, Rendering

_BOUNDARY = re.compile(r"[A-Za-z0-9]{8,60}")

_ONE_CLICK = ("List-Unsubscribe-Post", b"List-Unsubscribe=One-Click")
#: The header fields that differ per person, in their order.
_OWN = ("To", "Subject", "Message-ID", "List-Unsubscribe")


class Skeleton:
    """One rendering of one issue in one format, encoded, with gaps where values differ per person.

    Make one with `Skeleton.build`, which proof-reads it.
    """

    def __init__(
        self,
        issue: Issue,
        rendering: Rendering,
        wanted: Format,
        *,
        secret: bytes,
        pictures: Iterable[PicturePart],
        signers: Sequence[Signer],
    ) -> None:
        self._issue = issue
        self._format = wanted
        self._rendering = rendering
        self._tokens = Tokens(secret, issue.digest)
        # Random, and the issue's own: nothing else in an address looks like it.
        stand_in = issue.envelope.merge_token
        links = links_with(issue.envelope, issue.digest, issue.number, stand_in)
        self._texts = _texts(rendering, wanted)
        self._pictures = () if wanted is Format.text else shown_in(rendering.html, pictures)
        self._fixed = _fixed_headers(issue, wanted)
        self._subject_line = None if self._differs(rendering.subject) else _subject_line(rendering.subject)
        self._slots: dict[Piece, int] = {}
        self._body = _merged(self._encoded_body(), [part.encoded for part in self._pictures])
        self._gaps = Gaps(self._slots, links, stand_in)
        self._stand_in = stand_in.encode("ascii")
        self._unsubscribe_line = header_line("List-Unsubscribe", url_list_header(links.ways_out))
        self._signers = tuple(signers)
        self._signatures = self._prepared_signatures() if signers else None

    @classmethod
    def build(
        cls,
        issue: Issue,
        rendering: Rendering,
        wanted: Format,
        *,
        secret: bytes,
        pictures: Iterable[PicturePart] = (),
        signers: Sequence[Signer] = (),
    ) -> Self:
        """Encode a rendering once, and proof-read a message made from it.

        Args:
            issue: frozen; its envelope goes into the headers.
            rendering: one of the issue's.
            wanted: both parts, or plain text only.
            secret: what personal links are made with (`Envelope.links_secret`).
            pictures: the issue's; those that this rendering shows travel with it, if it goes out as HTML.
            signers: whose DKIM signatures every message carries, in this order.

        Raises:
            MessageError: a message made from this would not read as it is meant.
        """
        skeleton = cls(issue, rendering, wanted, secret=secret, pictures=pictures, signers=signers)
        skeleton._proof_read()
        return skeleton

    def message(self, delivery: Delivery) -> bytes:
        """The bytes of one message: ASCII (SMTPUTF8 addresses aside), CR LF, no line that begins with a dot.

        Raises:
            MessageError: a value of this person cannot be written safely.
        """
        return b"".join(self.pieces(delivery))

    def pieces(self, delivery: Delivery) -> list[bytes]:
        """The message as the pieces it is made of; most of them are shared by all messages.

        Raises:
            MessageError: a value of this person cannot be written safely.
        """
        token = self._tokens.of(delivery.key)
        filled = self._gaps.filled(delivery.merge, token)
        lines = self._own_lines(delivery, token)
        head = self._headers(lines)
        pieces = [head if self._signatures is None else self._signatures.fields(lines, filled) + head]
        for literal, slot in self._body:
            pieces.append(literal)
            if slot is not None:
                pieces.append(filled[slot])
        return pieces

    def unaddressed(self, message_id: str) -> bytes:
        """The message to nobody, for a shelf: no recipient, no way out that is anybody's, no signature.

        For a rendering without merge fields only.

        Args:
            message_id: its own; nobody's message has it.

        Raises:
            MessageError: the rendering has merge fields.
        """
        if self._slots:
            raise MessageError("a message to nobody cannot have merge fields")
        before_to, before_id, before_unsubscribe, rest = self._fixed
        lines = rest.replace(header_line(*_ONE_CLICK), b"", 1)
        subject = self._subject_line or _subject_line(self._rendering.subject)
        head = (before_to, subject, before_id, message_id_line(message_id), before_unsubscribe, lines)
        return b"".join((*head, *(literal for literal, _ in self._body)))

    # What one person gets, in the forms that are not on the wire.

    def subject(self, delivery: Delivery) -> str:
        """The subject as this person reads it."""
        return clean(self._filled_subject(self._values_of(delivery)))

    def text(self, delivery: Delivery) -> str:
        """The plain text as this person reads it."""
        return self._filled(self._rendering.text, delivery)

    def html(self, delivery: Delivery) -> str:
        """The HTML as this person gets it."""
        return self._filled(self._rendering.html, delivery)

    def markdown(self, delivery: Delivery) -> str:
        """The Markdown as this person would get it."""
        return self._filled(self._rendering.markdown, delivery)

    def _filled(self, text: str, delivery: Delivery) -> str:
        return fill(text, self._issue.envelope.merge_token, self._values_of(delivery))

    def _filled_subject(self, values: Mapping[str, str]) -> str:
        return fill_subject(self._rendering.subject, self._issue.envelope.merge_token, values)

    def _values_of(self, delivery: Delivery) -> dict[str, str]:
        return self._gaps.values(delivery.merge, self._tokens.of(delivery.key))

    def _own_lines(self, delivery: Delivery, token: str) -> tuple[bytes, bytes, bytes, bytes]:
        """The header fields of `_OWN`."""
        return (
            to_line(delivery.name, delivery.wire_email),
            self._subject_line or _subject_line(self._filled_subject(self._gaps.values(delivery.merge, token))),
            message_id_line(delivery.message_id),
            self._unsubscribe_line.replace(self._stand_in, token.encode("ascii")),
        )

    def _headers(self, lines: tuple[bytes, bytes, bytes, bytes]) -> bytes:
        before_to, before_id, before_unsubscribe, rest = self._fixed
        to, subject, message_id, unsubscribe = lines
        return b"".join((before_to, to, subject, before_id, message_id, before_unsubscribe, unsubscribe, rest))

    # ------------------------------------------------------------ once per skeleton

    def _prepared_signatures(self) -> Signatures:
        fixed = [
            (name, header_line(name, value))
            for name, value in _fields(self._issue, self._format)
            if value is not None and name not in _OWN
        ]
        return Signatures(self._signers, date=self._issue.envelope.date, fixed=fixed, varying=_OWN, body=self._body)

    def _differs(self, text: str) -> bool:
        return len(self._split(text)) > 1

    def _split(self, text: str) -> list[Piece]:
        return split(text, self._issue.envelope.merge_token)

    def _encoded_body(self) -> list[tuple[bytes, int | None]]:
        """The body as literals, each with the number of the slot that follows it."""
        if self._format is Format.text:
            return self._encoded_part(self._texts[0])
        mark = b"--" + _boundary(self._issue.envelope)
        plain, html = (self._with_head(kind, text) for kind, text in zip(("plain", "html"), self._texts, strict=True))
        if self._pictures:
            html = self._related(html)
        return [(mark + b"\r\n", None), *plain, (mark + b"\r\n", None), *html, (mark + b"--\r\n", None)]

    def _with_head(self, kind: str, text: str) -> list[tuple[bytes, int | None]]:
        head = build_headers(_part_fields(kind)) + b"\r\n"
        return [(head, None), *self._encoded_part(text), (b"\r\n", None)]

    def _related(self, html: list[tuple[bytes, int | None]]) -> list[tuple[bytes, int | None]]:
        """The HTML part with its pictures, as one part (RFC 2387)."""
        boundary = _inner_boundary(self._issue.envelope)
        mark = b"--" + boundary
        head = build_headers([("Content-Type", b'multipart/related; type="text/html";\r\n boundary="%s"' % boundary)])
        items = [(head + b"\r\n" + mark + b"\r\n", None), *html]
        for part in self._pictures:
            items += [(mark + b"\r\n", None), (part.encoded, None)]
        return [*items, (mark + b"--\r\n\r\n", None)]

    def _encoded_part(self, text: str) -> list[tuple[bytes, int | None]]:
        items: list[tuple[bytes, int | None]] = []
        for piece in self._split(text):
            slot = None
            if piece.field is not None:
                slot = self._slots.setdefault(piece._replace(literal=""), len(self._slots))
            items.append((quote_piece(piece.literal, last=slot is None), slot))
        return items

    def _proof_read(self) -> None:
        """Compose for a person whose every value is awkward, and read the result back."""
        envelope = self._issue.envelope
        probe = _awkward(self._issue, self._rendering)
        values = self._values_of(probe)
        texts = [fill(text, envelope.merge_token, values) for text in self._texts]
        expected = Expected(
            fields=(*(FIELD for _ in self._signers), *(name for name, _ in _fields(self._issue, self._format))),
            from_name=clean(envelope.from_name, NAME_LIMIT),
            from_email=envelope.from_email,
            to_name=clean(probe.name, NAME_LIMIT),
            to_email=probe.wire_email,
            subject=self.subject(probe),
            message_id=probe.message_id,
            text=texts[0],
            html=texts[1] if len(texts) > 1 else None,
            pictures=tuple(part.picture for part in self._pictures),
        )
        message = self.message(probe)
        check_message(message, expected)
        check_signatures(message, self._signers)


def _merged(items: Iterable[tuple[bytes, int | None]], apart: Sequence[bytes]) -> list[tuple[bytes, int | None]]:
    """The same body in few pieces; those `apart` stay what they are, shared with other skeletons."""
    merged: list[tuple[bytes, int | None]] = []
    literal = b""
    for more, slot in items:
        is_apart = any(more is one for one in apart)
        if is_apart:
            merged.append((literal, None))
            literal = more
        else:
            literal += more
        if is_apart or slot is not None:
            merged.append((literal, slot))
            literal = b""
    return [*merged, (literal, None)]


def _texts(rendering: Rendering, wanted: Format) -> tuple[str, ...]:
    texts = (rendering.text,) if wanted is Format.text else (rendering.text, rendering.html)
    # What the encoder would change is changed here, so that proof-reading compares like with like.
    return tuple(
        text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
        for text in texts
    )


# -------------------------------------------------------------------------- headers


def _subject_line(subject: str) -> bytes:
    return header_line("Subject", encode_header_text(subject, column=len("Subject: ")))


def _fixed_headers(issue: Issue, wanted: Format) -> tuple[bytes, bytes, bytes, bytes]:
    """The header block without the fields that differ per person: what stands between them."""
    blocks = [b""]
    for name, value in _fields(issue, wanted):
        if name == "Subject":
            continue
        if value is None:
            blocks.append(b"")
        else:
            blocks[-1] += header_line(name, value)
    before_to, before_id, before_unsubscribe, rest = blocks
    return before_to, before_id, before_unsubscribe, rest + b"\r\n"


def _fields(issue: Issue, wanted: Format) -> list[tuple[str, bytes | None]]:
    """Every header field of a message, in order; None stands for what differs per person."""
    envelope = issue.envelope
    links = links_with(envelope, issue.digest, issue.number, envelope.merge_token)
    help_address = url_list_header([f"{links.mailto.partition('?')[0]}?subject=help"])
    fields: list[tuple[str, bytes | None]] = [
        ("From", _mailbox("From", envelope.from_name, envelope.from_email)),
        ("To", None),
        ("Subject", None),
        ("Date", date_header(envelope.date)),
        ("Message-ID", None),
    ]
    if envelope.reply_to:
        fields.append(("Reply-To", _own_address(envelope.reply_to)))
    fields += [
        ("List-Id", list_id_header(envelope.list_name, envelope.list_id, column=len("List-Id: "))),
        ("List-Unsubscribe", None),
    ]
    if links.one_click:
        fields.append(_ONE_CLICK)
    fields += [("List-Post", b"NO"), ("List-Help", help_address)]
    if links.archive_url:
        fields.append(("List-Archive", url_list_header([links.archive_url])))
    return [
        *fields,
        ("Auto-Submitted", b"auto-generated"),
        ("X-Auto-Response-Suppress", b"OOF, AutoReply"),
        ("Precedence", b"list"),
        ("MIME-Version", b"1.0"),
        *(_part_fields("plain") if wanted is Format.text else _multipart_fields(envelope)),
    ]


def _part_fields(kind: str) -> list[tuple[str, bytes]]:
    content_type = b'text/%s; charset="utf-8"' % kind.encode("ascii")
    return [("Content-Type", content_type), ("Content-Transfer-Encoding", b"quoted-printable")]


def _multipart_fields(envelope: Envelope) -> list[tuple[str, bytes]]:
    return [("Content-Type", b'multipart/alternative;\r\n boundary="' + _boundary(envelope) + b'"')]


def _boundary(envelope: Envelope) -> bytes:
    if not _BOUNDARY.fullmatch(envelope.boundary):
        raise MessageError(f"{envelope.boundary!r} cannot be a boundary")
    # "=_" cannot occur in quoted-printable (RFC 2045 §6.7): no text can look like a boundary.
    return b"=_" + envelope.boundary.encode("ascii")


def _inner_boundary(envelope: Envelope) -> bytes:
    # Neither may begin like the other: a line is taken for a boundary by its beginning (RFC 2046 §5.1.1).
    return b"=_=" + _boundary(envelope).removeprefix(b"=_")


def _mailbox(field: str, name: str, email: str) -> bytes:
    return address_header(name, _ascii(email), column=len(field) + 2)


def _own_address(email: str) -> bytes:
    return encode_address(_ascii(email))


def _ascii(email: str) -> str:
    if not email.isascii():
        raise MessageError(
            f"{email} cannot send to everybody: not every server takes an address that is not plain ASCII",
            hint="use an address whose part before the @ is plain ASCII in newsletter.yaml",
        )
    return email


def _awkward(issue: Issue, rendering: Rendering) -> Delivery:
    """A delivery to a person whose every value tries what values can try."""
    value = 'O\'Brien, "Zoë" <.=20&=?utf-8?q?=0D=0ABcc=3A?= 東京> ' + "x" * 80
    return Delivery(
        id=0,
        issue_id=issue.id,
        email="probe@example.com",
        wire_email="probe@example.com",
        key="probe@example.com",
        name=value,
        format=Format.html,
        rendering=rendering.key,
        merge=dict.fromkeys(rendering.fields, value),
        message_id="proof@example.com",
        state=DeliveryState.queued,
        attempts=0,
        last_code=None,
        last_reply="",
        queued_at=datetime(1970, 1, 1, tzinfo=UTC),
        next_attempt_at=None,
        settled_at=None,
    )

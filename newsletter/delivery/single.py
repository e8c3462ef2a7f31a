"""One message to one person that belongs to no issue: plain text, signed like an issue's.

Its words come from us, its recipient from a stranger: nothing but the address
is taken from outside, and the built bytes are read again before they leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter.delivery.dkim import FIELD, Signatures, Signer
from newsletter.delivery.headers import (
    NAME_LIMIT,
    address_header,
    build_headers,
    clean,
    date_header,
    encode_address,
    encode_header_text,
    header_line,
    message_id_header,
)
from newsletter.delivery.proof import Expected, check_message
from newsletter.delivery.quoting import quote_piece
from newsletter.delivery.signed import check_signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Single:
    """What such a message says, and to whom; the addresses are in their form for the wire.

    `message_id` is without angle brackets.
    """

    from_name: str
    from_email: str
    reply_to: str | None
    to_email: str
    subject: str
    text: str
    date: datetime
    message_id: str


def compose_single(said: Single, signers: Sequence[Signer] = ()) -> bytes:
    """Write the message: CR LF, quoted-printable, with a signature of each signer on top.

    It says that a program wrote it (RFC 3834 §5), so that none answers.

    Raises:
        MessageError: it would not read as it is meant.
    """
    fields = [
        ("From", address_header(said.from_name, said.from_email, column=len("From: "))),
        ("To", address_header("", said.to_email, column=len("To: "))),
        ("Subject", encode_header_text(said.subject, column=len("Subject: "))),
        ("Date", date_header(said.date)),
        ("Message-ID", message_id_header(said.message_id)),
        *([("Reply-To", encode_address(said.reply_to))] if said.reply_to else []),
        ("Auto-Submitted", b"auto-generated"),
        ("X-Auto-Response-Suppress", b"All"),
        ("MIME-Version", b"1.0"),
        ("Content-Type", b'text/plain; charset="utf-8"'),
        ("Content-Transfer-Encoding", b"quoted-printable"),
    ]
    text = said.text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    body = quote_piece(text, last=True)
    signature = b""
    if signers:
        lines = [(name, header_line(name, value)) for name, value in fields]
        signatures = Signatures(signers, date=said.date, fixed=lines, varying=(), body=[(body, None)])
        signature = signatures.fields((), ())
    message = signature + build_headers(fields) + b"\r\n" + body
    expected = Expected(
        fields=(*(FIELD for _ in signers), *(name for name, _ in fields)),
        from_name=clean(said.from_name, NAME_LIMIT),
        from_email=said.from_email,
        to_name="",
        to_email=said.to_email,
        subject=clean(said.subject),
        message_id=said.message_id,
        text=text,
        html=None,
    )
    check_message(message, expected)
    check_signatures(message, signers)
    return message

"""Header fields that outside text cannot add to, end or forge, on any supported Python.

The standard library's modern e-mail classes do not give that: on several
releases an encoded-word with CR LF inside becomes a real header line, a long
display name loses the quotes around its comma, a long `List-Unsubscribe` is
encoded until no client can read it, and an IDN domain turns into an
encoded-word.  So field values are written here as bytes, from three alphabets:

    plain words    printable ASCII that nothing can misread
    encoded-words  RFC 2047, "Q" or "B", never inside a quoted-string
    addresses      checked, in angle brackets, never encoded, folded only between items

The bytes depend on the text alone and on no Python release: a message that is
sent again after an upgrade is the same message.
"""

import re
from base64 import b64encode
from binascii import a2b_base64, a2b_qp
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from newsletter.errors import MessageError
from newsletter.text import one_line

#: Characters a display name or a subject may have before it is cut.
NAME_LIMIT = 200
SUBJECT_LIMIT = 250

#: Columns of a header line: RFC 5322 §2.1.1 recommends 78, RFC 2047 §2 wants 76 around encoded-words.
_COLUMNS = 76
_LONGEST = 998
#: What fits between the "=?utf-8?q?" and the "?=" of an encoded-word of 75 characters.
_PAYLOAD = 63
_PLAIN = re.compile(r"[ -~]*")
#: RFC 5322 atoms with single blanks between them: a phrase that needs no quoting.
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
#: What RFC 2047 §5 (3) leaves as it is in a phrase; narrower than a subject would need, and right in both.
_Q_LITERAL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/"
_Q_TABLE = [bytes([byte]) if byte in _Q_LITERAL else b"=%02X" % byte for byte in range(256)]
_Q_TABLE[0x20] = b"_"
_READABLE = _Q_LITERAL + b" "
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
_ADDRESS = re.compile(r'[^\x00-\x20\x7f-\xa0()<>\[\]:;,\\"@]+@' + _HOST)
#: A recipient whose name is atoms with single blanks between and whose address is plain: nothing to encode.
_USUAL_TO = re.compile(rf"To: {_ATOMS.pattern} <[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]+@{_HOST}>\r\n")
_URL = re.compile(r"[!-;=?-~]+")
_MESSAGE_ID = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
_LIST_ID = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
#: A folded field value: no bare CR or LF, and no line that is empty or all white space (RFC 5322 §2.2.3).
_VALUE = re.compile(rb"(?:[!-~\x80-\xff][ -~\x80-\xff]*(?:\r\n [!-~\x80-\xff][ -~\x80-\xff]*)*)?")
_PRINTABLE = bytes({*range(0x20, 0x7F), *range(0x80, 0x100)})
_FIELD_START = re.compile(rb"(?m)^([^ \t\r\n:][^\r\n:]*)")

_ENCODED_WORD = re.compile(r"=\?([A-Za-z0-9_-]{1,40})(?:\*[A-Za-z-]{1,40})?\?([BbQq])\?([^? \t\r\n]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t\r\n]+(?==\?[A-Za-z0-9_-]+(?:\*[A-Za-z-]+)?\?[BbQq]\?)")
#: Charsets that feeds and mail programs have written encoded-words in.
_CHARSETS = re.compile(
    r"(?i)utf[-_]?8|us-ascii|iso-8859-\d+|latin-?1|windows-125\d|cp125\d|koi8-[ru]|gb2312|gbk|gb18030|big5"
    r"|shift_jis|euc-(?:jp|kr)|iso-2022-jp"
)


# -------------------------------------------------------------------------- text


def clean(text: str, limit: int | None = None) -> str:
    """Make outside text fit for a header: one line, encoded-words read, nothing invisible left."""
    return one_line(_decoded(text) if "=?" in text else text, limit)


def _decoded(text: str) -> str:
    def decode(match: re.Match[str]) -> str:
        charset, encoding, payload = match.groups()
        if not _CHARSETS.fullmatch(charset):
            return match.group()
        data = payload.encode("utf-8", "replace")
        try:
            raw = a2b_qp(data, header=True) if encoding in "Qq" else a2b_base64(data + b"=" * (-len(data) % 4))
            return raw.decode(charset, "replace")
        except (ValueError, LookupError):
            return match.group()

    return _ENCODED_WORD.sub(decode, _BETWEEN_WORDS.sub(r"\1", text))


def encode_header_text(text: str, *, column: int = 0) -> bytes:
    """Write unstructured text (a subject), cleaned: as it is if it is plain, else as encoded-words.

    Args:
        text: from anywhere.
        column: where the value begins, after the field's name.
    """
    text = clean(text)
    if _PLAIN.fullmatch(text) and "=?" not in text:
        folded = _folded_words(text.split(" "), column)
        if folded is not None:
            return folded
    return _encoded_words(text, column)


def encode_phrase(name: str, *, column: int = 0) -> bytes:
    """Write a display name, cleaned: atoms as they are, anything else as encoded-words.

    Never as a quoted-string (RFC 5322 §3.2.5, RFC 2047 §5); b"" where nothing is
    left of the name.
    """
    if _is_plain_name(name, column):
        return name.encode("ascii")
    name = clean(name, NAME_LIMIT)
    if not name or _is_plain_name(name, column):
        return name.encode("ascii")
    return _encoded_words(name, column)


def _is_plain_name(name: str, column: int) -> bool:
    return name.isascii() and bool(_ATOMS.fullmatch(name)) and "=?" not in name and column + len(name) <= _COLUMNS


def _folded_words(words: Sequence[str], column: int) -> bytes | None:
    """Fold plain words at blanks; None where one is too long for a line."""
    lines: list[str] = []
    line = ""
    for word in words:
        room = _COLUMNS - (column if not lines else 1)
        longer = f"{line} {word}" if line else word
        if len(longer) <= room:
            line = longer
            continue
        if not line or len(word) >= _COLUMNS:
            return None
        lines.append(line)
        line = word
    lines.append(line)
    return "\r\n ".join(lines).encode("ascii")


def _encoded_words(text: str, column: int) -> bytes:
    """Write text as encoded-words: in "Q" where most of it stays readable so, else in "B"; cut between characters."""
    utf8 = _utf8(text)
    is_q = 2 * (len(utf8) - len(utf8.translate(None, _READABLE))) > len(text)
    if is_q:
        whole = b"".join([_Q_TABLE[byte] for byte in utf8])
        if len(whole) <= _PAYLOAD - column:
            return b"=?utf-8?q?" + whole + b"?="
    units = [_in_q(character) for character in text] if is_q else [_utf8(character) for character in text]
    room = _PAYLOAD if is_q else _PAYLOAD // 4 * 3
    left = room - column * room // _PAYLOAD
    words, word = [], b""
    for unit in units:
        if len(word) + len(unit) > left:
            words.append(word)
            word, left = b"", room
        word += unit
    words.append(word)
    if is_q:
        return b"\r\n ".join(b"=?utf-8?q?" + word + b"?=" for word in words)
    return b"\r\n ".join(b"=?utf-8?b?" + b64encode(word) + b"?=" for word in words)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@lru_cache(maxsize=1024)
def _in_q(character: str) -> bytes:
    return b"".join([_Q_TABLE[byte] for byte in _utf8(character)])


# ---------------------------------------------------------- addresses and the like


def encode_address(email: str) -> bytes:
    """Write an addr-spec.

    Args:
        email: the form for the wire: an IDN domain as A-labels.  A non-ASCII
            local part is written as UTF-8 (RFC 6532 §3.2) and needs SMTPUTF8.

    Raises:
        MessageError: it could not be read back as one address.
    """
    # What is plain ASCII and matches has nothing in it that one line could not hold.
    if not _ADDRESS.fullmatch(email) or ".." in email or not (email.isascii() or one_line(email) == email):
        raise MessageError(f"{email!r} cannot stand in a header")
    return _utf8(email)


def address_header(name: str, wire_email: str, *, column: int = 0) -> bytes:
    """Write one mailbox: a display name, where there is one, and an address in angle brackets.

    Raises:
        MessageError: the address could not be read back.
    """
    address = encode_address(wire_email)
    phrase = encode_phrase(name, column=column)
    return _named(phrase, address, column) if phrase else address


def list_id_header(name: str, list_id: str, *, column: int = 0) -> bytes:
    """Write a List-Id: the list's name and its identifier (RFC 2919 §2-3).

    Raises:
        MessageError: the identifier is not labels with dots between.
    """
    if not _LIST_ID.fullmatch(list_id):
        raise MessageError(f"{list_id!r} is not a list id", hint="write it like morning-wire.example.com")
    identifier = list_id.encode("ascii")
    phrase = encode_phrase(name, column=column)
    return _named(phrase, identifier, column) if phrase else b"<" + identifier + b">"


def _named(phrase: bytes, inside: bytes, column: int) -> bytes:
    used = len(phrase) + column if b"\r\n" not in phrase else len(phrase) - phrase.rindex(b"\n") - 1
    gap = b" <" if used + len(inside) + 3 <= _COLUMNS else b"\r\n <"
    return phrase + gap + inside + b">"


def url_list_header(urls: Iterable[str]) -> bytes:
    """Write addresses of pages or mailboxes, in order of preference (RFC 2369 §2).

    They are never encoded, however long, and folded only between items.

    Raises:
        MessageError: an address holds what would have to be encoded.
    """
    items = []
    for url in urls:
        if not _URL.fullmatch(url):
            raise MessageError(f"{url!r} cannot stand in a header")
        items.append(b"<" + url.encode("ascii") + b">")
    return b",\r\n ".join(items)


def message_id_header(message_id: str) -> bytes:
    """Write a Message-ID from its form without angle brackets.

    Raises:
        MessageError: it is not one.
    """
    if not _MESSAGE_ID.fullmatch(message_id):
        raise MessageError(f"{message_id!r} is not a message id")
    return b"<" + message_id.encode("ascii") + b">"


def date_header(moment: datetime) -> bytes:
    """Write a date in UTC with its offset (RFC 5322 §3.3)."""
    return format_datetime(moment.astimezone(UTC)).encode("ascii")


# ------------------------------------------------------------------------- blocks


def header_line(name: str, value: bytes) -> bytes:
    """Join a field's name and its folded value, and check that it is exactly one field.

    Raises:
        MessageError: the value would end the field, or a line is longer than
            998 octets (RFC 5322 §2.1.1).
    """
    # Most values are one line, of which it is quickly known that nothing in it ends the field.
    is_plain = not value.startswith(b" ") and not value.translate(None, _PRINTABLE)
    if not _FIELD_NAME.fullmatch(name) or not (is_plain or _VALUE.fullmatch(value)):
        raise MessageError(f"the header field {name} cannot be written safely")
    line = name.encode("ascii") + b": " + value + b"\r\n"
    if len(line) > _LONGEST and max(map(len, line.split(b"\r\n"))) > _LONGEST:
        raise MessageError(f"the header field {name} has a line of more than {_LONGEST} characters")
    return line


def to_line(name: str, wire_email: str) -> bytes:
    """Write the whole field of a recipient: the same as `header_line` with `address_header`, quicker for the usual.

    Raises:
        MessageError: as those two.
    """
    line = f"To: {name} <{wire_email}>\r\n"
    if len(line) <= _COLUMNS + 2 and _USUAL_TO.fullmatch(line) and "=?" not in line and ".." not in line:
        return line.encode("ascii")
    return header_line("To", address_header(name, wire_email, column=len("To: ")))


def message_id_line(message_id: str) -> bytes:
    """Write the whole field of a Message-ID: the same as `header_line` with `message_id_header`.

    Raises:
        MessageError: as those two.
    """
    value = message_id_header(message_id)
    return b"Message-ID: " + value + b"\r\n" if len(value) <= _COLUMNS else header_line("Message-ID", value)


def build_headers(fields: Iterable[tuple[str, bytes]]) -> bytes:
    """Write a header block without the empty line that ends it.

    Raises:
        MessageError: a field cannot be written safely.
    """
    return b"".join(header_line(name, value) for name, value in fields)


def field_names(block: bytes) -> tuple[str, ...]:
    """The names of the fields in a header block, in order, as any reader would find them."""
    return tuple(name.decode("ascii", "replace") for name in _FIELD_START.findall(block))

"""Quoted-printable for bodies that are encoded once and filled in per person (RFC 2045 §6.7).

A body is cut at its merge fields before it is encoded.  Every piece begins in
column 0 and, unless it ends a line, leaves through a soft line break; so pieces
and values can be joined in any combination and no line outgrows 76 columns.

No encoded line begins with a dot (nothing is left for SMTP to stuff, RFC 5321
§4.5.2) or with "From " (which mbox writers alter).
"""

from binascii import b2a_qp

#: Columns of an encoded line without the "=" of a soft line break.
_ROOM = 75
SOFT_BREAK = b"=\r\n"
_EQUALS = 0x3D
_CODES = [f"={byte:02X}".encode() for byte in range(256)]
_LITERAL = frozenset(
    b"\t !\"#$%&'()*+,-./0123456789:;<>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
)
_TABLE = [bytes([byte]) if byte in _LITERAL else _CODES[byte] for byte in range(256)]


def quote_piece(text: str, *, last: bool = False) -> bytes:
    """Encode one piece of a body, to be followed by another piece.

    Args:
        text: with LF, CR LF or CR as line ends.
        last: nothing follows, so that no soft line break is needed.
    """
    if not text:
        return b""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    quoted = b"\r\n".join(map(_quote_line, lines))
    return quoted if last or not lines[-1] else quoted + SOFT_BREAK


def quote_value(value: str) -> bytes:
    """Encode the value of a merge field: the same as `quote_piece`, quicker for what is short and plain."""
    if value.isascii() and value.isprintable() and not value.startswith((".", "From ")):
        plain = value.replace("=", "=3D")
        if 0 < len(plain) <= _ROOM:
            return plain.encode("ascii") + SOFT_BREAK
    elif value.isprintable():
        # One line: what is printable has no line end in it.
        return _quote_line(value) + SOFT_BREAK
    return quote_piece(value)


def _quote_line(line: str) -> bytes:
    raw = line.encode("utf-8", "replace")
    # The library's encoder breaks lines where ours does not; it is asked where there is nothing to break.
    quoted = b2a_qp(raw) if 3 * len(raw) <= _ROOM else b"".join([_TABLE[byte] for byte in raw])
    if quoted[-1:] in (b" ", b"\t"):
        quoted = quoted[:-1] + _CODES[quoted[-1]]
    quoted = _safe_start(quoted)
    return quoted if len(quoted) <= _ROOM else _folded(quoted)


def _folded(quoted: bytes) -> bytes:
    lines = []
    while len(quoted) > _ROOM:
        # An escape is three columns that stay together.
        cut = _ROOM - 1 if quoted[_ROOM - 1] == _EQUALS else _ROOM - 2 if quoted[_ROOM - 2] == _EQUALS else _ROOM
        lines.append(quoted[:cut])
        quoted = _safe_start(quoted[cut:])
    lines.append(quoted)
    return SOFT_BREAK.join(lines)


def _safe_start(quoted: bytes) -> bytes:
    if quoted.startswith((b".", b"From ")):
        return _CODES[quoted[0]] + quoted[1:]
    return quoted

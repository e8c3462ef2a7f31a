"""Keyed hashes of people's keys, computed here or, for many at once, by PostgreSQL."""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import sqlalchemy as sa

#: Of SHA-256, in bytes (FIPS 180-4).
_BLOCK: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """HMAC-SHA256 (RFC 2104) of a text that stands behind a fixed beginning.

    `secret` is of any length; `prefix` is the beginning.
    """

    secret: bytes = field(repr=False)
    prefix: bytes = b""

    def of(self, text: str) -> bytes:
        """The hash, 32 bytes."""
        return hmac.digest(self.secret, self.prefix + text.encode("utf-8", "surrogatepass"), "sha256")

    def in_sql(self, text: sa.ColumnElement[str]) -> sa.ColumnElement[Any]:
        """The same, as an expression for PostgreSQL; it needs no extension.

        What is made of the secret travels as bound values: no statement, log or error shows it.
        """
        key = self.secret if len(self.secret) <= _BLOCK else sha256(self.secret).digest()
        padded = key.ljust(_BLOCK, b"\0")
        inner = sa.literal(bytes(byte ^ 0x36 for byte in padded) + self.prefix, sa.LargeBinary)
        outer = sa.literal(bytes(byte ^ 0x5C for byte in padded), sa.LargeBinary)
        # Our databases are in UTF-8 (`Postgresql.check`), and so are the bytes of their texts.
        hashed = sa.func.sha256(_joined(inner, sa.func.convert_to(text, sa.literal_column("'UTF8'"))))
        return sa.func.sha256(_joined(outer, hashed))


def _joined(first: sa.ColumnElement[Any], second: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return first.op("||", return_type=sa.LargeBinary())(second)


def first_bits(hashed: sa.ColumnElement[Any], form: str) -> sa.ColumnElement[str]:
    """The first 128 bits of a hash as PostgreSQL writes them: in `hex`, or in `base64url` without padding."""
    half = sa.func.substring(hashed, sa.literal_column("1"), sa.literal_column("16"))
    if form == "hex":
        return sa.func.encode(half, sa.literal_column("'hex'"))
    # 16 bytes are 22 characters and two of padding.
    return sa.func.translate(sa.func.encode(half, sa.literal_column("'base64'")), sa.literal_column("'+/='"), "-_")

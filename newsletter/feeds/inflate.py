"""Bodies as they come off the wire, undone to at most so many bytes.

A kilobyte of gzip can stand for a gigabyte, and two layers of it for a terabyte:
the limit is put on what comes out, piece by piece, and layers are refused.
"""

import zlib
from collections.abc import Sequence

from newsletter.errors import FetchError

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
# Gzip may be a chain of members (RFC 1952 §2.2); empty ones cost time and bring no bytes.
_MAX_MEMBERS = 100


class Body:
    """Collects a response body and undoes its content coding (RFC 9110 §8.4).

    Args:
        codings: the values of all `Content-Encoding` fields.
        limit: how many bytes may arrive, and how many may come out of them.

    Raises:
        FetchError: from here for a coding we never asked for, from `feed` for
            too many bytes, from `feed` and `finish` for damaged ones.
    """

    def __init__(self, codings: Sequence[str], limit: int) -> None:
        names = [name.strip().lower() for value in codings for name in value.split(",")]
        names = [name.removeprefix("x-") for name in names if name not in ("", "identity")]
        if len(names) > 1:
            raise FetchError(f"the answer is compressed {len(names)} times over ({', '.join(names)[:60]})")
        if names and names[0] not in ("gzip", "deflate"):
            raise FetchError(f"the answer is compressed with {names[0][:20]!r}, which nobody asked for")
        self._coding = names[0] if names else None
        self._limit = limit
        self._arrived = 0
        self._body = bytearray()
        self._pending = b""
        self._members = 0
        self._inflater: zlib._Decompress | None = None

    def feed(self, data: bytes) -> None:
        """Take the next piece off the wire."""
        self._arrived += len(data)
        if self._arrived > self._limit:
            raise self._too_large()
        if self._coding is None:
            self._body += data
            return
        data = self._pending + data
        self._pending = b""
        while data:
            if self._inflater is None:
                if len(data) < len(_GZIP_MAGIC):
                    self._pending = data
                    return
                if self._members and not data.startswith(_GZIP_MAGIC):
                    return  # padding after the last member
                self._inflater = zlib.decompressobj(self._window(data))
                self._members += 1
                if self._members > _MAX_MEMBERS:
                    raise self._damaged()
            data = self._inflate(self._inflater, data)

    def finish(self) -> bytes:
        """The whole body, once everything has arrived."""
        if self._coding is not None and self._arrived and (self._inflater is not None or not self._members):
            raise FetchError("the answer broke off: its compressed body has no end", hint="try again later")
        return bytes(self._body)

    def _inflate(self, inflater: "zlib._Decompress", data: bytes) -> bytes:
        """Undo `data` and return what belongs to the next member."""
        try:
            self._body += inflater.decompress(data, self._limit + 1 - len(self._body))
        except zlib.error as error:
            raise self._damaged() from error
        if len(self._body) > self._limit:
            raise self._too_large()
        if not inflater.eof:
            return b""
        self._inflater = None
        return inflater.unused_data

    def _window(self, data: bytes) -> int:
        if self._coding == "gzip":
            return _GZIP
        # "deflate" means zlib (RFC 9110 §8.4.1.2), but some servers send it without the wrapper.
        wrapped = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS

    def _damaged(self) -> FetchError:
        return FetchError(f"the answer says it is compressed with {self._coding}, but cannot be unpacked")

    def _too_large(self) -> FetchError:
        return FetchError(
            f"the answer is larger than {self._limit / 1_000_000:g} MB",
            hint="a feed of this size is hardly meant to be read whole: ask its owner for a shorter one",
        )

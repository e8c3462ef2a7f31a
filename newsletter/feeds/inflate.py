"""Bodies as they come off the wire, undone to at most so many bytes.

A kilobyte of gzip can stand for a gigabyte, and two layers of it for a terabyte:
the limit is put on what comes out, piece by piece, and layers are refused.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, Protocol

from newsletter.errors import FetchError

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"
# Gzip may be a chain of members (RFC 1952 §2.2); empty ones cost time and bring no bytes.
_MAX_MEMBERS = 100
_ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
#: RFC 9659 §3: what a sender may make us remember, as a power of two (8 MB).
_ZSTD_WINDOW: Final = 23
#: Undone at a time, so that the limit is noticed soon.
_PIECE: Final = 65_536


@cache
def known_codings() -> tuple[str, ...]:
    """The content codings that can be undone here: gzip and deflate always, the others where their library is."""
    found = ["gzip", "deflate"]
    if _is_there("brotli"):
        found.append("br")
    if _is_there(_ZSTD):
        found.append("zstd")
    return tuple(found)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is missing
        return False


class _Undo(Protocol):
    """Undoes one content coding, piece by piece."""

    @property
    def is_finished(self) -> bool:
        """Whether what has arrived is a whole."""
        ...

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Undo what has arrived, a bounded piece at a time."""
        ...


class _Brotli:
    """RFC 7932; its window is at most 16 MB."""

    def __init__(self) -> None:
        brotli: Any = import_module("brotli")

        self._decoder: Any = brotli.Decompressor()

    @property
    def is_finished(self) -> bool:
        return bool(self._decoder.is_finished())

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if self.is_finished:
            return  # padding
        yield self._decoder.process(data, output_buffer_limit=_PIECE)
        while not self._decoder.can_accept_more_data():
            yield self._decoder.process(b"", output_buffer_limit=_PIECE)


class _Zstd:
    """RFC 8878; frames may follow each other (§3)."""

    def __init__(self) -> None:
        self._library: Any = import_module(_ZSTD)
        self._frames = 0
        self._decoder: Any = None

    @property
    def is_finished(self) -> bool:
        return self._frames > 0 and self._decoder is None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        while data or (self._decoder is not None and not self._decoder.needs_input):
            if self._decoder is None:
                self._frames += 1
                if self._frames > _MAX_MEMBERS:
                    raise ValueError("too many frames")
                window = self._library.DecompressionParameter.window_log_max
                self._decoder = self._library.ZstdDecompressor(options={window: _ZSTD_WINDOW})
            yield self._decoder.decompress(data, _PIECE)
            data = b""
            if self._decoder.eof:
                data, self._decoder = self._decoder.unused_data, None


_UNDO: Final[dict[str, Callable[[], _Undo]]] = {"br": _Brotli, "zstd": _Zstd}


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
        if names and names[0] not in known_codings():
            raise FetchError(f"the answer is compressed with {names[0][:20]!r}, which nobody asked for")
        self._coding = names[0] if names else None
        self._limit = limit
        self._arrived = 0
        self._body = bytearray()
        self._pending = b""
        self._members = 0
        self._inflater: zlib._Decompress | None = None
        self._undo = _UNDO[self._coding]() if self._coding in _UNDO else None

    def feed(self, data: bytes) -> None:
        """Take the next piece off the wire."""
        self._arrived += len(data)
        if self._arrived > self._limit:
            raise self._too_large()
        if self._coding is None:
            self._body += data
            return
        if self._undo is not None:
            self._unpack(self._undo, data)
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
        open_end = not self._undo.is_finished if self._undo else self._inflater is not None or not self._members
        if self._coding is not None and self._arrived and open_end:
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

    def _unpack(self, undo: _Undo, data: bytes) -> None:
        pieces = undo.pieces(data)
        while len(self._body) <= self._limit:
            try:
                piece = next(pieces, None)
            # The library's own error, by whatever name: the bytes are no use.
            except Exception as error:
                raise self._damaged() from error
            if piece is None:
                return
            self._body += piece
        raise self._too_large()

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

"""Reading a bbolt database (a B+ tree in a file, as written by Go programs), and nothing else of it.

Pages begin with id, flags, count and overflow; two meta pages name the root, and
the one with the higher transaction counts.  Only buckets of the top level are
read.  Everything in the file is checked before it is followed: a broken or
malicious one ends in BoltError, never in a loop.
"""

import struct
from collections.abc import Iterator
from typing import Final

_MAGIC: Final = 0xED0CDAED
_VERSION: Final = 2
_HEADER: Final = struct.Struct("<QHHI")
_META: Final = struct.Struct("<IIIIQQQQQQ")
_BRANCH: Final = struct.Struct("<IIQ")
_LEAF: Final = struct.Struct("<IIII")
_BUCKET: Final = struct.Struct("<QQ")
_BRANCH_PAGE, _LEAF_PAGE, _META_PAGE = 0x01, 0x02, 0x04
_IS_BUCKET: Final = 0x01
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_CHECKED: Final = 56
_DEEPEST: Final = 30
_PAGE_SIZES: Final = tuple(1 << power for power in range(9, 17))
_MOST: Final = 5_000_000


class BoltError(ValueError):
    """The bytes are no database of bbolt, or a damaged one."""


def buckets(data: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield each bucket of the top level with its keys, both in the order of the file.

    Raises:
        BoltError: the bytes are no database of bbolt, or a damaged one.
    """
    try:
        reader = _Reader(data)
        for flags, name, value in reader.leaves(reader.root):
            if flags & _IS_BUCKET:
                yield name, [key for inside, key, _ in reader.bucket(value) if not inside & _IS_BUCKET]
    except struct.error as error:
        raise BoltError("ends in the middle of a page") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._page_size, self.root = self._newest_meta()
        self._seen = 0

    def _newest_meta(self) -> tuple[int, int]:
        found: list[tuple[int, int, int]] = []
        for offset in (0, *_PAGE_SIZES):
            if offset + _HEADER.size + _META.size > len(self._data):
                continue
            _, flags, _, _ = _HEADER.unpack_from(self._data, offset)
            fields = _META.unpack_from(self._data, offset + _HEADER.size)
            magic, version, page_size, _, root, _, _, _, transaction, checksum = fields
            if (magic, version) != (_MAGIC, _VERSION) or not flags & _META_PAGE or page_size not in _PAGE_SIZES:
                continue
            begin = offset + _HEADER.size
            if checksum == _fnv(self._data[begin : begin + _CHECKED]) and offset in (0, page_size):
                found.append((transaction, page_size, root))
        if not found:
            raise BoltError("has no page that says what it is: it is none, or damaged")
        _, page_size, root = max(found)
        return page_size, root

    def leaves(self, page: int, depth: int = 0) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (flags, key, value) of every element below a page."""
        if depth > _DEEPEST:
            raise BoltError("has pages that lead to themselves")
        at = page * self._page_size
        number, flags, count, overflow = _HEADER.unpack_from(self._data, at)
        if number != page:
            raise BoltError(f"has another page where page {page} should be")
        whole = self._data[at : at + (overflow + 1) * self._page_size]
        if flags & _LEAF_PAGE:
            yield from self._elements(whole, count)
        elif flags & _BRANCH_PAGE:
            for index in range(count):
                _, _, below = _BRANCH.unpack_from(whole, _HEADER.size + index * _BRANCH.size)
                self._count()
                yield from self.leaves(below, depth + 1)
        else:
            raise BoltError(f"has no keys in page {page}")

    def bucket(self, value: bytes) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield the elements of a bucket: of its own pages, or of the one that stands in its value."""
        root, _ = _BUCKET.unpack_from(value, 0)
        if root:
            yield from self.leaves(root)
            return
        page = memoryview(value)[_BUCKET.size :]
        _, flags, count, _ = _HEADER.unpack_from(page, 0)
        if not flags & _LEAF_PAGE:
            raise BoltError("has a bucket without keys in its place")
        yield from self._elements(page, count)

    def _elements(self, page: memoryview, count: int) -> Iterator[tuple[int, bytes, bytes]]:
        for index in range(count):
            at = _HEADER.size + index * _LEAF.size
            flags, position, key_size, value_size = _LEAF.unpack_from(page, at)
            begin = at + position
            end = begin + key_size
            if end + value_size > len(page):
                raise BoltError("has an element that is longer than its page")
            self._count()
            yield flags, bytes(page[begin:end]), bytes(page[end : end + value_size])

    def _count(self) -> None:
        self._seen += 1
        if self._seen > _MOST:
            raise BoltError(f"has more than {_MOST:,} elements")


def _fnv(data: memoryview) -> int:
    found = _FNV_OFFSET
    for byte in data:
        found = (found ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return found

"""What of a document is new: the rest of it is not read again.

A feed that has changed is mostly what it was.  An item whose bytes were read
before, in a document that says the same around it, is the same entry; it is cut
out before feedparser sees the document.  Of what remains, `feeds.scan` takes down
the usual items, and feedparser reads the others.  What the cutting leaves out
still has its place in the document: its entry stands there, empty but for its
hash, to be filled from the store where it matters (`feeds.wire.filled`).
"""

from collections.abc import Collection
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from newsletter.feeds.bundle import is_bundle, read_bundle
from newsletter.feeds.identity import text_hash
from newsletter.feeds.parse import parse_with
from newsletter.feeds.plain import MAX_ENTRIES
from newsletter.feeds.scan import Item, Scan, scan
from newsletter.feeds.xmlfeed import document_of, entry_of, read_xml, with_feedparser
from newsletter.model import Document, Entry, Mark

#: Raised when our reading of an item changes for the better: what was read before is then read once more.
READING: Final = "1"


def read(body: bytes, *, url: str, content_type: str | None, known: Collection[str] = ()) -> Document:
    """Read a feed of any kind, all of it but the items known already.

    The document is what `feeds.parse.parse` gives, its entries marked; an entry
    whose item is in `known` has no more than its position and its mark.

    Args:
        body: the document as fetched, decompressed.
        url: where it came from, after redirects.
        content_type: the field of the HTTP answer, for its charset only.
        known: item hashes of earlier documents of this feed.

    Raises:
        ParseError: the body is no feed.
    """
    if is_bundle(body, url):
        return read_bundle(body, lambda each, path: read(each, url=path, content_type=None, known=known), url)
    document = parse_with(lambda text: _read_xml(text, url, known), body, url=url, content_type=content_type)
    if all(entry.mark is not None for entry in document.entries):
        return document
    return replace(
        document,
        entries=tuple(replace(entry, mark=Mark(text_hash=text_hash(entry))) for entry in document.entries),
    )


def _read_xml(text: str, url: str, known: Collection[str]) -> Document | None:
    data = text.encode("utf-8", "replace")
    found = scan(data)
    # Of too many items only the newest count, and for that all their dates must be read.
    if found is None or len(found.items) > MAX_ENTRIES:
        return read_xml(text, url=url)
    hashes = _hashes(data, found, url)
    strange = [
        item
        for item, item_hash in zip(found.items, hashes, strict=True)
        if item.fields is None and item_hash not in known
    ]
    if strange or found.head is None:
        read_by_feedparser = _complete(data, found, strange)
        if not read_by_feedparser:
            return read_xml(text, url=url)
    assert found.head is not None
    entries = []
    for position, (item, item_hash) in enumerate(zip(found.items, hashes, strict=True)):
        if item_hash in known:
            # It is nobody's entry yet: who asked knows whose.
            mark = Mark(text_hash="", item_hash=item_hash, known_id=0)
            entries.append(Entry(guid="", url=None, title="", position=position, mark=mark))
            continue
        assert item.fields is not None
        entries.append(entry_of(item.fields, position, url, is_atom=found.is_atom, item_hash=item_hash))
    return document_of(found.head, entries, url)


def _hashes(data: bytes, found: Scan, url: str) -> list[str]:
    """What stands for each item: its bytes, and all that their reading depends on."""
    around = f"{READING}\x00{url}\x00{found.context}"
    key = blake2b(around.encode("utf-8", "replace"), digest_size=32).digest()
    return [blake2b(data[item.start : item.end], key=key, digest_size=16).hexdigest() for item in found.items]


def _complete(data: bytes, found: Scan, strange: list[Item]) -> bool:
    """Have feedparser read the head and the items that only it can; False if it sees other items than we do."""
    first, last = found.items[0].start, found.items[-1].end
    rest = b"".join((data[:first], *(data[item.start : item.end] for item in strange), data[last:]))
    read_again = with_feedparser(rest)
    if read_again is None or len(read_again[1]) != len(strange):
        return False
    head, items, found.is_atom = read_again
    if found.head is None:
        found.head = head
    for item, fields in zip(strange, items, strict=True):
        item.fields = fields
    return True

"""By what an entry can be known, ours and other tools', as short texts to look up.

A key is its kind and a value: `g:` guid, `l:` link, `p:` the link's path, `t:`
guid, link and title, `h:` the words, `a:` all of it; `f:` and `s:` are kinds
that only other tools have.
"""

from collections.abc import Iterator
from hashlib import sha1, sha256
from typing import Final

from newsletter.model import Entry
from newsletter.urls import canonical_url

# The kinds of our keys, strongest first.
GUID, LINK, PATH, TITLE, TEXT, WHOLE = "g:", "l:", "p:", "t:", "h:", "a:"
#: A 64-bit FNV-1a of the link (goeland), and a SHA-1 of the text (rss2email): what they take where there is no guid.
LINK_SUM, TEXT_SUM = "f:", "s:"
#: How many digits of a SHA-256 are enough.
HASH: Final = 32
KEY_LIMIT: Final = 200
_FNV_OFFSET, _FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
_LONGEST_LINK: Final = 2000
_HEX: Final = frozenset("0123456789abcdef")
_SHA1_DIGITS, _FNV_DIGITS = 40, 16


def digest_of(*parts: str) -> str:
    """A hash of texts, as `HASH` hexadecimal digits."""
    return sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:HASH]


def key_of(kind: str, value: str) -> str:
    """A key of at most 200 characters; a longer value stands as its hash."""
    # The "#" keeps a hash from ever being taken for a short value.
    return kind + (value if len(value) < KEY_LIMIT - len(kind) and value[:1] != "#" else f"#{digest_of(value)}")


def foreign_keys(entry: Entry) -> Iterator[str]:
    """The keys that only other tools have, as far as they are cheap: they take them for an entry without a guid."""
    link = (entry.url or "")[:_LONGEST_LINK]
    if link and not entry.guid:
        yield LINK_SUM + _fnv(link.encode("utf-8", "replace"))


def text_sum(text: str) -> str:
    """The sum that rss2email takes of a text."""
    return TEXT_SUM + sha1(text.strip().encode("unicode-escape")).hexdigest()  # noqa: S324 - that tool's choice


def seen_keys(identity: str) -> Iterator[str]:
    """The keys under which an entry could come that another tool knew by this text: a guid, a link, or a sum."""
    text = identity.strip()
    if not text:
        return
    yield key_of(GUID, text)
    if text.startswith(("http://", "https://")):
        yield key_of(LINK, canonical_url(text))
    if set(text) <= _HEX:
        if len(text) == _FNV_DIGITS:
            yield LINK_SUM + text
        elif len(text) == _SHA1_DIGITS:
            yield TEXT_SUM + text


def _fnv(data: bytes) -> str:
    """FNV-1a with 64 bits (RFC 9923), as hexadecimal digits."""
    found = _FNV_OFFSET
    for byte in data:
        found = (found ^ byte) * _FNV_PRIME & 0xFFFFFFFFFFFFFFFF
    return f"{found:016x}"

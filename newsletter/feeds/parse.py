"""Bytes → a `Document`, or words for why they are no feed."""

import re
from collections.abc import Callable
from dataclasses import replace

from newsletter.errors import ParseError
from newsletter.feeds.charset import decode
from newsletter.feeds.jsonfeed import read_json
from newsletter.feeds.plain import link, unescape
from newsletter.feeds.xmlfeed import read_xml
from newsletter.model import Document
from newsletter.text import one_line
from newsletter.urls import canonical_url

# How far into a document to look for what it is.
_HEAD = 200_000
_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_BINARY = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"\x7fELF", b"ID3")
_DECLARATION = re.compile(r"<\?xml[^>]*>")
# Characters XML 1.0 §2.2 forbids, written out or as a reference: common in real
# feeds, and each would cost the strict parser (or feedparser altogether).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_FORBIDDEN_BYTES = bytes(code for code in range(32) if code not in (9, 10, 13))
_REFERENCE = re.compile(r"&#(?:([0-9]+)|[xX]([0-9a-fA-F]+));?")
_ROOT = re.compile(r"<([A-Za-z_][\w:.-]{0,60})")
# One of these stands in every feed; what has none is spared feedparser, which takes long over junk.
_FEED_MARK = re.compile(r"<(?:[\w.-]{1,40}:)?(?:rss|feed|rdf|channel|item|entry)\b", re.IGNORECASE)
# What pages begin with that leave out their first tag.
_PAGE_ROOTS = frozenset({"head", "title", "meta", "link", "script", "body", "div", "p", "h1"})
_SKIP = re.compile(r"<(?:!--|\?|!\[CDATA\[|!)")
_LINK = re.compile(r"<link\b([^<>]{1,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\b(rel|type|href|title)\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_FEED_TYPES = ("application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml")
_MAX_ALTERNATES = 5
_MAX_CODE_POINT = 0x10FFFF


def parse(body: bytes, *, url: str, content_type: str | None) -> Document:
    """Read a feed of any kind.

    Nothing is opened or fetched, whatever the document says.

    Args:
        body: the document as fetched, decompressed.
        url: where it came from, after redirects; relative addresses count from there.
        content_type: the field of the HTTP answer, for its charset only.

    Raises:
        ParseError: the body is no feed: what it is instead, and what to do.
    """
    return parse_with(lambda text: read_xml(text, url=url), body, url=url, content_type=content_type)


def parse_with(xml: Callable[[str], Document | None], body: bytes, *, url: str, content_type: str | None) -> Document:
    """Read a feed as `parse` does, but one in XML with `xml`, which gets its text and may find no feed in it."""
    if body.startswith(_COMPRESSED):
        raise ParseError("this is a compressed file, not a feed", hint="give the address of the feed itself")
    if body.startswith(_BINARY):
        raise ParseError("this is no text, and so no feed", hint="give the address of the feed itself")
    text = decode(body, content_type).lstrip("\ufeff \t\r\n\x00")
    if not text:
        raise ParseError("the answer is empty", hint="nothing to do if it happens once; else ask the feed's owner")
    if text[0] in "{[":
        return _without_itself(read_json(text, url=url), url)
    root = _root(text)
    if root is None:
        raise ParseError(
            f"this is text, but not a feed: it starts with {one_line(text[:200], 40)!r}",
            hint="give the address of an RSS, Atom or JSON feed",
        )
    if root.lower() == "html":
        raise _web_page(text, url)
    try:
        document = xml(_repaired(text)) if _FEED_MARK.search(text) else None
    except MemoryError:
        raise
    except Exception as error:  # feedparser raises at least six classes on broken input
        raise ParseError(
            f"the feed is damaged and cannot be read ({type(error).__name__})",
            hint="nothing to do if it happens once; else ask the feed's owner to validate it",
        ) from error
    if document is None:
        raise _web_page(text, url) if root.lower() in _PAGE_ROOTS else _other_xml(root)
    return _without_itself(document, url)


def _without_itself(document: Document, url: str) -> Document:
    """Drop links that lead back to the feed: they are no page of any entry, and would make all entries one."""
    itself = canonical_url(url)
    entries = (
        replace(entry, url=None) if entry.url and canonical_url(entry.url) == itself else entry
        for entry in document.entries
    )
    return replace(document, entries=tuple(entries))


def _root(text: str) -> str | None:
    """The name of the first element; None where there is no mark-up within sight."""
    at, end = 0, min(len(text), _HEAD)
    while at < end:
        at = text.find("<", at, end)
        if at < 0:
            return None
        if match := _ROOT.match(text, at):
            return match[1]
        skip = _SKIP.match(text, at)
        if skip is None:
            at += 1
            continue
        closing = {"<!--": "-->", "<?": "?>", "<![CDATA[": "]]>"}.get(skip[0], ">")
        close = text.find(closing, skip.end(), end)
        if close < 0:
            return None
        at = close + len(closing)
    return None


def _repaired(text: str) -> str:
    """The document without what XML forbids and without a declaration, which `decode` has used up."""
    text = _DECLARATION.sub("", text, count=1) if text.startswith("<?xml") else text
    if _may_have_forbidden(text):
        text = _FORBIDDEN.sub("\ufffd", text)
    return _REFERENCE.sub(_reference, text)


def _may_have_forbidden(text: str) -> bool:
    """A quick look before the slow one: nearly no document has any."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return True
    return len(data.translate(None, _FORBIDDEN_BYTES)) < len(data) or b"\xef\xbf\xbe" in data or b"\xef\xbf\xbf" in data


def _reference(match: re.Match[str]) -> str:
    digits = (match[1] or match[2]).lstrip("0")
    if len(digits) > 7:  # noqa: PLR2004 - more digits than the last code point has
        return "\ufffd"
    code = int(digits or "0", 10 if match[1] else 16)
    return "\ufffd" if code > _MAX_CODE_POINT or code == 0 or _FORBIDDEN.match(chr(code)) else match[0]


def alternates(text: str, url: str) -> dict[str, str]:
    """The feeds that a page of HTML names: their titles ("" where it gives none), by address.

    Args:
        text: the page, of which only the beginning is looked at.
        url: where it came from, after redirects.
    """
    found: dict[str, str] = {}
    for tag in _LINK.finditer(text[:_HEAD]):
        attributes = {m[1].lower(): m[2] or m[3] or m[4] or "" for m in _ATTRIBUTE.finditer(tag[1])}
        kind = attributes.get("type", "").split(";")[0].strip().lower()
        if "alternate" in attributes.get("rel", "").lower().split() and kind in _FEED_TYPES:
            address = link(unescape(attributes.get("href", "")[:2000]), url)
            if address:
                found.setdefault(address, one_line(unescape(attributes.get("title", "")[:500]), 100))
    return found


def _web_page(text: str, url: str) -> ParseError:
    """A page of HTML: the feeds it names, for the person who gave its address."""
    found = alternates(text, url)
    if not found:
        return ParseError(
            "this is a web page, not a feed, and it names none",
            hint="look on the site for an address with rss, atom or feed in it",
        )
    return ParseError(
        "this is a web page, not a feed",
        hint=f"it names {'this feed' if len(found) == 1 else 'these feeds'}: {', '.join(list(found)[:_MAX_ALTERNATES])}",
    )


def _other_xml(root: str) -> ParseError:
    if root.lower() == "opml":
        return ParseError("this is a list of feeds (OPML), not a feed", hint="newsletter feed import FILE takes it in")
    return ParseError(
        f"this is XML, but not a feed: its first element is <{root}>",
        hint="give the address of an RSS, Atom or JSON feed",
    )

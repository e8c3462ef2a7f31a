"""OPML, the lists of feeds that readers exchange (http://opml.org/spec2.opml): read, and written.

Files come from strangers and are often nearly XML.  They are decoded here, a
declaration of entities is refused, and lxml reads the rest with its limits on,
without network, DTD or entities (docs/adr/0020).  What it had to mend is named.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html.entities import html5
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from newsletter.errors import ParseError
from newsletter.feeds.charset import decode
from newsletter.model import Feed
from newsletter.text import one_line

if TYPE_CHECKING:
    from lxml.etree import _Element

#: No list of feeds is larger.
MAX_BYTES: Final = 10_000_000
MAX_FEEDS: Final = 20_000
_MAX_DEPTH: Final = 50
_MAX_TAGS: Final = 20
_LONGEST_NAME: Final = 300
_LONGEST_ADDRESS: Final = 4000
_MAX_PROBLEMS: Final = 20
_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,300}\?>")
_DOCTYPE = re.compile(r"<!DOCTYPE[^>\[]{0,1000}>", re.IGNORECASE)
_AMPERSAND = re.compile(r"&(?:(#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{0,30});)?")
_XML_ENTITIES: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A feed as a list names it; `line` is where, and None where the list has no lines."""

    url: str
    title: str | None = None
    tags: tuple[str, ...] = ()
    line: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a list has that could not be taken as it stands, with its line."""

    line: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A list of feeds as it was read: each feed once, and what was odd about it."""

    feeds: tuple[Subscription, ...]
    remarks: tuple[Remark, ...] = ()


def read_opml(body: bytes) -> Outline:
    """Read a list of feeds.

    Names of groups, and of categories, become tags, the outermost first; a feed
    that stands in several groups has the tags of all.

    Raises:
        ParseError: this is no OPML, or is made to do harm.
    """
    if len(body) > MAX_BYTES:
        raise ParseError(f"is larger than {MAX_BYTES:,} bytes, which no list of feeds is")
    text, mended = _mended(_safe(decode(body, None)))
    root, remarks = _tree(text)
    if mended:
        remarks.insert(0, Remark(line=None, text=f"{mended} bare & or unknown entities were taken as they stand"))
    feeds: dict[str, Subscription] = {}
    for element, groups in _outlines(root):
        found = _subscription(element, groups)
        if isinstance(found, Remark):
            remarks.append(found)
        elif found is not None:
            before = feeds.get(found.url)
            if before is not None:
                found = Subscription(
                    url=found.url,
                    title=before.title or found.title,
                    tags=tuple(dict.fromkeys((*before.tags, *found.tags)))[:_MAX_TAGS],
                    line=before.line,
                )
            feeds[found.url] = found
            if len(feeds) > MAX_FEEDS:
                raise ParseError(f"has more than {MAX_FEEDS:,} feeds")
    return Outline(feeds=tuple(feeds.values()), remarks=tuple(remarks[:_MAX_PROBLEMS]))


def write_opml(title: str, feeds: Sequence[Feed], *, titles: dict[str, str], pages: dict[str, str]) -> str:
    """Write feeds as OPML 2.0; what is read from it has the same addresses, titles and tags in the same order.

    A feed's tags become groups, one inside the other.

    Args:
        title: of the list.
        feeds: in their order.
        titles: of feeds that the project does not name, by address.
        pages: their sites, by address.
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<opml version="2.0">', "  <head>"]
    lines += [f"    <title>{escape(_plain(title))}</title>", "  </head>", "  <body>"]
    path: tuple[str, ...] = ()
    for feed in feeds:
        tags = tuple(map(_plain, feed.tags))
        shared = next(
            (n for n, (a, b) in enumerate(zip(path, tags, strict=False)) if a != b), min(len(path), len(tags))
        )
        lines += [f"{'  ' * (depth + 1)}</outline>" for depth in range(len(path), shared, -1)]
        lines += [
            f"{'  ' * (depth + 1)}<outline text={quoteattr(tags[depth - 1])}>"
            for depth in range(shared + 1, len(tags) + 1)
        ]
        path = tags
        name = _plain(feed.title or titles.get(feed.url) or feed.url)
        page = f" htmlUrl={quoteattr(_plain(pages[feed.url]))}" if feed.url in pages else ""
        title_too = f" title={quoteattr(name)}" if feed.title or feed.url in titles else ""
        lines.append(
            f'{"  " * (len(path) + 2)}<outline type="rss" text={quoteattr(name)}{title_too}'
            f" xmlUrl={quoteattr(_plain(feed.url))}{page}/>"
        )
    lines += [f"{'  ' * (depth + 1)}</outline>" for depth in range(len(path), 0, -1)]
    return "\n".join([*lines, "  </body>", "</opml>", ""])


def _plain(text: str) -> str:
    return one_line(text)


# -------------------------------------------------------------------------- reading


def _safe(text: str) -> str:
    """The document without what declares anything; in UTF-8 from here on, whatever it said of itself."""
    if re.search(r"<!ENTITY|<!ELEMENT|<!ATTLIST", text, re.IGNORECASE):
        raise ParseError(
            "declares entities of its own, which no list of feeds needs and an attack does",
            hint="take the <!DOCTYPE …> out of the file",
        )
    text = _DOCTYPE.sub(_lines, _DECLARATION.sub(_lines, text, count=1), count=1)
    if "<!DOCTYPE" in text.upper():
        raise ParseError("has a document type with declarations in it", hint="take the <!DOCTYPE …> out of the file")
    return _UNPRINTABLE.sub("", text)


def _lines(match: re.Match[str]) -> str:
    """Nothing but the line ends of what is taken out, so that lines keep their numbers."""
    return "\n" * match[0].count("\n")


def _mended(text: str) -> tuple[str, int]:
    """Make XML of what many programs write: addresses with a bare &, entities of HTML; and how often that was."""
    mended = 0

    def one(match: re.Match[str]) -> str:
        nonlocal mended
        name = match[1]
        if name is not None and (name.startswith("#") or name in _XML_ENTITIES):
            return match[0]
        if name is not None and (character := html5.get(f"{name};")) is not None:
            return escape(character)
        mended += 1
        return f"&amp;{match[0][1:]}"

    return _AMPERSAND.sub(one, text), mended


def _tree(text: str) -> "tuple[_Element, list[Remark]]":
    from lxml import etree

    parser = etree.XMLParser(
        recover=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.LxmlError, ValueError) as error:
        raise ParseError(f"is no OPML: {one_line(str(error), 100)}") from error
    if root is None:
        raise ParseError("is no OPML: there is no XML in it")
    name = etree.QName(root).localname.lower() if isinstance(root.tag, str) else ""
    if name != "opml":
        what = {"html": "a web page", "rss": "a feed itself", "feed": "a feed itself", "rdf": "a feed itself"}.get(name)
        hint = "newsletter feed add ADDRESS adds a single feed" if what == "a feed itself" else None
        raise ParseError(f"is no OPML, but {what or f'begins with <{one_line(name, 30)}>'}", hint=hint)
    remarks = []
    for entry in parser.error_log:
        words = f"is not well-formed and was read as well as could be: {one_line(str(entry.message), 100)}"
        remarks.append(Remark(line=entry.line or None, text=words))
    return root, remarks[:_MAX_PROBLEMS]


def _outlines(root: "_Element") -> "Iterator[tuple[_Element, tuple[str, ...]]]":
    """Yield every outline with the names of the groups it stands in, in the file's order."""
    bodies = [one for one in root if _is(one, "body")] or [root]
    stack: list[tuple[_Element, tuple[str, ...], int]] = [
        (one, (), 1) for body in reversed(bodies) for one in reversed(body)
    ]
    while stack:
        element, groups, depth = stack.pop()
        if not _is(element, "outline"):
            continue
        yield element, groups
        if depth >= _MAX_DEPTH and len(element):
            raise ParseError(f"has groups more than {_MAX_DEPTH} deep")
        name = "" if _said(element, "xmlurl") else _name(element)
        inside = (*groups, name) if name else groups
        stack.extend((one, inside, depth + 1) for one in reversed(element))


def _is(element: "_Element", name: str) -> bool:
    tag = element.tag
    return isinstance(tag, str) and tag.rpartition("}")[2].lower() == name


def _said(element: "_Element", name: str) -> str:
    """An attribute's value, however its name is spelled."""
    for key, value in element.attrib.items():
        if str(key).lower() == name:
            return str(value).strip()
    return ""


def _name(element: "_Element") -> str:
    return one_line(_said(element, "title") or _said(element, "text"), _LONGEST_NAME)


def _subscription(element: "_Element", groups: tuple[str, ...]) -> Subscription | Remark | None:
    address, line = _said(element, "xmlurl"), element.sourceline
    kind = _said(element, "type").lower()
    if not address:
        if kind in ("rss", "atom", "feed") and not len(element):
            page = _said(element, "htmlurl")
            site = f"; its site is {one_line(page, 200)}: newsletter feed add finds the feed there" if page else ""
            return Remark(line=line, text=f"{_name(element) or 'a feed'} has no xmlUrl{site}")
        return None
    if len(address) > _LONGEST_ADDRESS:
        return Remark(line=line, text=f"{_name(element) or 'a feed'} has an address of {len(address):,} characters")
    address = re.sub(r"^feed:(?://)?(?=https?:)", "", address, flags=re.IGNORECASE)
    address = re.sub(r"^feed://", "http://", address, flags=re.IGNORECASE)
    tags = [*groups, *_categories(_said(element, "category"))]
    return Subscription(
        url=address, title=_name(element) or None, tags=tuple(dict.fromkeys(tags))[:_MAX_TAGS], line=line
    )


def _categories(written: str) -> Iterator[str]:
    """Tags of an outline's `category`: separated by commas, each perhaps a path with slashes."""
    for one in written.split(","):
        for part in one.split("/"):
            if name := one_line(part, _LONGEST_NAME):
                yield name

"""One look over an XML feed: where its items are, and what the usual ones among them say.

Two things come of it.  An item whose bytes were read before need not be read
again (`feeds.trim`).  And an item written the way nearly all are, with nothing
in it but elements of `_FIELDS`, is taken down here in the very form feedparser
would give it, at a twentieth of the time; all others are left to feedparser.
What `tests/feeds/test_feeds_trim.py` compares is both ways, field by field.

The look gives up (`scan` returns None) where feedparser's reading of one item
could depend on another: then the document goes to it whole.
"""

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from xml.parsers import expat

Fields = dict[str, Any]

ATOM: Final = "http://www.w3.org/2005/Atom"
_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML: Final = "http://www.w3.org/XML/1998/namespace"
_DC: Final = "http://purl.org/dc/elements/1.1/"
_CONTENT: Final = "http://purl.org/rss/1.0/modules/content/"
#: Namespaces whose elements feedparser keeps under names that nobody here reads.
_IGNORED: Final = (
    "http://purl.org/rss/1.0/modules/slash/",
    "http://wellformedweb.org/CommentAPI/",
    "http://purl.org/rss/1.0/modules/syndication/",
    "com-wordpress:feed-additions:1",
)
#: Namespaces an item may declare for itself without a trace in feedparser that another item could find.
_TRACELESS: Final = frozenset({"com-wordpress:feed-additions:1", "http://www.w3.org/1999/xhtml"})
#: Elements that feedparser counts, or that begin something, wherever they stand.
_NOT_INSIDE: Final = frozenset({"item", "entry", "channel", "feed", "rss", "rdf", "svg", "math", "textinput"})
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
#: An address that feedparser leaves as it is; as text it would also mend what looks like a reference.
_ADDRESS: Final = re.compile(r"https?://[^\s/\x7f-\x9f][^\s\x7f-\x9f]*")
_NOT_PLAIN: Final = re.compile("[\x80-\x9f]")
#: In the title of an item of RSS, what makes feedparser ask itself whether it is HTML.
_LIKE_HTML: Final = re.compile(r"</\w|&#?\w+;")
_MONTHS: Final = dict(
    zip(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), range(1, 13), strict=True)
)
#: The one form of RFC 822 dates that all programs read alike.
_MAIL_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z][a-z]) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|\+0000|([+-](?:0\d|1[0-3]))(00|30))"
)
_ISO_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)")


#: Prefixes that feedparser looks up by their name, and what they must stand for.
_PREFIXES: Final = {"dc": _DC, "content": _CONTENT, **dict(zip(("slash", "wfw", "sy"), _IGNORED, strict=False))}
#: Declaring one of these makes feedparser take the document for another format.
_OTHER_FORMATS: Final = frozenset({"http://purl.org/rss/1.0/", "http://my.netscape.com/rdf/simple/0.9/"})


class _Whole(Exception):  # noqa: N818 - no error, but a way out of expat
    """The document must be read whole."""


@dataclass(slots=True)
class Item:
    """One item: where its bytes are, and, of a usual one, what it says, as feedparser would put it."""

    start: int
    end: int = 0
    fields: Fields | None = None


@dataclass(slots=True)
class Scan:
    """What a look over a document found.

    `context` is all outside of an item that feedparser's reading of it depends
    on.  `head` is what the document says of itself, as feedparser would put it,
    or None where only feedparser can tell.
    """

    items: list[Item] = field(default_factory=list)
    context: str = ""
    head: Fields | None = None
    is_atom: bool = False


def scan(data: bytes) -> Scan | None:
    """Look over a document.

    Args:
        data: UTF-8, without an XML declaration and without what XML forbids.

    Returns None where its items cannot be told from each other: it is not
    well-formed, has a DOCTYPE, no items, or something between or inside them
    that feedparser remembers.
    """
    look = _Look(data)
    try:
        return look.result()
    except (expat.ExpatError, _Whole):
        return None


class _Look:
    """The handlers of one look: `_start`, `_end` and `_text` are called by expat, in document order."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parser = parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartDoctypeDeclHandler = self._doctype
        self._scan = Scan(head={})
        self._depth = 0
        #: Names of the elements above an item, "" until known.
        self._item_name = ""
        self._item_depth = 0
        self._item: Item | None = None
        self._context: list[str] = []
        self._language: str | None = None
        self._is_usual = True
        self._has_channel = self._has_base = False
        self._said_inside: set[str] = set()
        #: The fields being filled: an item's, the head's, or None where nobody takes them down.
        self._fields: Fields | None = None
        self._names: dict[str, _Field] = {}
        self._pieces: list[str] | None = None
        self._inside: dict[str, _Field] | None = None
        self._attributes: dict[str, str] = {}

    def result(self) -> Scan | None:
        """Run over the document."""
        self._parser.Parse(self._data, True)
        found = self._scan
        if not found.items or self._is_remembered():
            return None
        found.context = "\n".join(self._context)
        if not self._is_usual:
            found.head = None
            for item in found.items:
                item.fields = None
        return found

    def _is_remembered(self) -> bool:
        """Whether feedparser would carry an item's language or base into the next one."""
        said = self._said_inside
        return ("base" in said and not self._has_base) or ("div" in said and not said.isdisjoint({"base", "lang"}))

    # ------------------------------------------------------------------ what expat tells

    def _doctype(self, *_: object) -> None:
        raise _Whole

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        if self._item is not None or self._scan.items:
            if uri not in _TRACELESS:
                raise _Whole
        else:
            self._context.append(f"xmlns {prefix} {uri}")
            if _PREFIXES.get(prefix or "", uri) != uri or (uri or "").lower() in _OTHER_FORMATS:
                self._is_usual = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        depth = self._depth
        if self._item is not None:
            for key in attributes:
                local = key.rpartition(" ")[2].lower()
                if local in ("base", "lang"):
                    self._said_inside.add(local)
                    self._give_up()
            if depth == self._item_depth + 1:
                self._begin(name, attributes)
            else:
                self._begin_inside(name, attributes)
        elif name == self._item_name and depth == self._item_depth:
            self._begin_item(attributes)
        elif self._scan.items:
            raise _Whole
        else:
            self._start_of_head(name, attributes, depth)

    def _start_of_head(self, name: str, attributes: dict[str, str], depth: int) -> None:
        for key, value in attributes.items():
            local = key.rpartition(" ")[2].lower()
            if local == "base" or (local == "lang" and (depth > 1 or key != f"{_XML} lang")):
                self._is_usual = False
            if local in ("base", "lang"):
                self._context.append(f"{depth} {name} {key} {value}")
                self._has_base = self._has_base or (local == "base" and depth < max(self._item_depth, 2))
        if depth == 1:
            self._begin_document(name, attributes)
        elif depth < self._item_depth:
            if name != "channel":
                raise _Whole
            self._context.append(f"channel {sorted(attributes.items())}")
            self._is_usual = self._is_usual and not attributes and not self._has_channel
            self._has_channel = True
        elif depth == self._item_depth:
            self._begin(name, attributes)
        else:
            self._begin_inside(name, attributes)

    def _begin_document(self, name: str, attributes: dict[str, str]) -> None:
        self._context.append(f"{name} {sorted(attributes.items())}")
        head = self._scan.head
        assert head is not None
        if name == "rss":
            self._item_name, self._item_depth = "item", 3
            self._is_usual = self._is_usual and attributes.get("version", "").startswith("2.")
            self._names = _RSS_HEAD
        elif name == f"{ATOM} feed":
            self._item_name, self._item_depth = f"{ATOM} entry", 2
            self._scan.is_atom = True
            self._names = _ATOM_HEAD
        elif name == f"{_RDF} RDF":
            self._item_name, self._item_depth = "http://purl.org/rss/1.0/ item", 2
            self._is_usual = False
        else:
            raise _Whole
        if any(key not in ("version", f"{_XML} lang", f"{_XML} base") for key in attributes):
            self._is_usual = False
        self._language = attributes.get(f"{_XML} lang") or None
        if self._language:
            self._language = head["language"] = self._language.replace("_", "-")
        self._fields = head

    def _begin_item(self, attributes: dict[str, str]) -> None:
        for key in attributes:
            if key != f"{_RDF} about":
                raise _Whole
        item = self._item = Item(start=self._parser.CurrentByteIndex)
        if not self._scan.items:
            # The head ends here.
            self._scan.head = self._fields
            self._names = _ATOM_ITEM if self._scan.is_atom else _RSS_ITEM
        self._scan.items.append(item)
        self._fields = {} if self._is_usual else None

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        """An element of an item, or of the head."""
        self._pieces = None
        self._inside = None
        fields = self._fields
        found = self._names.get(name)
        if found is None:
            self._unknown(name, attributes)
            return
        if fields is None:
            return
        self._inside = found.inside
        self._attributes = attributes
        if found.is_text:
            self._pieces = []
        if found.start is not None and not found.start(fields, attributes):
            self._give_up()

    def _unknown(self, name: str, attributes: dict[str, str]) -> None:
        namespace, _, local = name.rpartition(" ")
        if local.lower() in _NOT_INSIDE and (self._item is not None or name != "http://purl.org/rss/1.0/ channel"):
            raise _Whole
        if namespace not in _IGNORED or attributes:
            self._give_up()

    def _begin_inside(self, name: str, attributes: dict[str, str]) -> None:
        """An element deeper down."""
        local = name.rpartition(" ")[2].lower()
        if local in _NOT_INSIDE:
            raise _Whole
        if local == "div":
            self._said_inside.add(local)
        if self._fields is None:
            return
        found = (
            self._inside.get(name)
            if self._inside and self._depth == self._item_depth + (2 if self._item else 1)
            else None
        )
        if found is None or attributes:
            self._give_up()
        elif found.is_text:
            self._pieces = []

    def _give_up(self) -> None:
        """Leave this item, or this head, to feedparser."""
        self._fields = None
        self._pieces = None

    def _text(self, text: str) -> None:
        if self._pieces is not None:
            self._pieces.append(text)
        elif self._item is None and self._scan.items and not text.isspace():
            raise _Whole

    def _end(self, name: str) -> None:
        depth = self._depth
        self._depth = depth - 1
        item = self._item
        if item is not None and depth == self._item_depth:
            self._end_item(item)
            return
        fields, pieces = self._fields, self._pieces
        if fields is None:
            return
        level = self._item_depth + (item is not None)
        if depth == level:
            found = self._names.get(name)
            if found is not None and found.end is not None:
                text = "".join(pieces).strip() if pieces is not None else ""
                if not found.end(fields, text, self._attributes, self):
                    self._give_up()
        elif depth == level + 1 and self._inside:
            found = self._inside.get(name)
            if found is not None and found.end is not None:
                text = "".join(pieces).strip() if pieces is not None else ""
                if not found.end(fields, text, self._attributes, self):
                    self._give_up()
        self._pieces = None

    def _end_item(self, item: Item) -> None:
        at = self._parser.CurrentByteIndex
        # An end tag has no attributes, and an item that is all one tag has none here either, or it is `rdf:about`.
        if at == item.start and b"=" in self._data[at : self._data.index(b">", at)]:
            raise _Whole
        item.end = self._data.index(b">", at) + 1
        item.fields = self._fields
        self._item = None
        self._fields = None
        self._pieces = None

    # ------------------------------------------------------------------------ for fields

    @property
    def is_atom(self) -> bool:
        """Whether the document is Atom, of which feedparser believes what it says of its texts."""
        return self._scan.is_atom

    def detail(self, kind: str) -> Fields:
        """What feedparser notes beside a text."""
        return {"type": kind, "language": self._language, "base": ""}


@dataclass(frozen=True, slots=True)
class _Field:
    """How one element is taken down; each function says whether the item is still a usual one."""

    is_text: bool = False
    start: Callable[[Fields, dict[str, str]], bool] | None = None
    end: Callable[[Fields, str, dict[str, str], _Look], bool] | None = None
    inside: dict[str, "_Field"] | None = None


# ----------------------------------------------------- what feedparser does with a text


def _mended(text: str) -> str | None:
    """UTF-8 that was taken for Latin-1 on its way here, put right; None for what takes more than that."""
    if text.isascii():
        return text
    with contextlib.suppress(UnicodeError):
        text = text.encode("iso-8859-1").decode("utf-8")
    return None if _NOT_PLAIN.search(text) else text


def _title(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:
    kind = attributes.get("type", "text").lower()
    if (
        "title" in fields
        or kind not in ("text", "html", "text/plain", "text/html")
        or len(attributes) > ("type" in attributes)
    ):
        return False
    kind = "text/html" if kind.endswith("html") else "text/plain"
    if not look.is_atom and (attributes or _LIKE_HTML.search(text)):
        return False
    mended = _mended(text)
    if mended is None:
        return False
    fields["title"] = mended
    fields["title_detail"] = look.detail(kind)
    return True


def _text_link(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    if attributes or "link_seen" in fields or mended is None or ";" in text or not _ADDRESS.fullmatch(mended):
        return False
    fields["link_seen"] = True
    fields["link"] = mended
    fields.setdefault("links", []).append({"rel": "alternate", "type": "text/html", "href": mended})
    return True


_LINK_ATTRIBUTES: Final = frozenset({"rel", "type", "href", "title", "hreflang", "length"})


def _link(fields: Fields, attributes: dict[str, str]) -> bool:
    href = attributes.get("href", "")
    if not attributes.keys() <= _LINK_ATTRIBUTES or not _ADDRESS.fullmatch(href):
        return False
    rel = attributes.get("rel", "alternate").lower()
    kind = attributes.get("type", "application/atom+xml" if rel == "self" else "text/html").lower()
    fields.setdefault("links", []).append({**attributes, "rel": rel, "type": kind})
    if rel == "alternate" and (kind in _HTML or kind in ("html", "xhtml")):
        fields["link"] = href
    return True


def _guid(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
    if "id" in fields or (attributes and attributes.keys() != {"isPermaLink"}) or ":///" in text:
        return False
    mended = _mended(text)
    if mended is None:
        return False
    fields["id"] = mended
    if attributes.get("isPermaLink", "true") == "true":
        fields.setdefault("link", mended)
    return True


def _date(key: str) -> Callable[[Fields, str, dict[str, str], _Look], bool]:
    def end(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
        if attributes or key in fields:
            return False
        if not _ISO_DATE.fullmatch(text):
            moment = _mail_date(text)
            if moment is None:
                return False
            fields[f"{key}_at"] = moment
        else:
            try:
                datetime.fromisoformat(text)
            except ValueError:
                return False
        fields[key] = text
        return True

    return end


def _mail_date(text: str) -> datetime | None:
    match = _MAIL_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    try:
        offset = f"{match[7]}:{match[8]}" if match[7] else "+00:00"
        day = f"{match[3]}-{_MONTHS[match[2]]:02}-{match[1]}"
        return datetime.fromisoformat(f"{day}T{match[4]}:{match[5]}:{match[6]}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _description(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:
    mended = _mended(text)
    if attributes or "summary_detail" in fields or mended is None:
        return False
    fields["summary"] = mended
    fields["summary_detail"] = look.detail("text/html")
    return True


def _encoded(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:
    mended = _mended(text)
    if attributes or "content" in fields or mended is None:
        return False
    fields["content"] = [{**look.detail("text/html"), "value": mended}]
    fields.setdefault("summary", mended)
    return True


def _atom_type(attributes: dict[str, str]) -> str | None:
    kind = attributes.get("type", "text").lower()
    if attributes and attributes.keys() != {"type"}:
        return None
    return {"text": "text/plain", "text/plain": "text/plain", "html": "text/html", "text/html": "text/html"}.get(kind)


def _summary(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:
    kind, mended = _atom_type(attributes), _mended(text)
    if "summary_detail" in fields or kind is None or mended is None:
        return False
    fields["summary"] = mended
    fields["summary_detail"] = look.detail(kind)
    return True


def _content(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:
    kind, mended = _atom_type(attributes), _mended(text)
    if "content" in fields or kind is None or mended is None:
        return False
    fields["content"] = [{**look.detail(kind), "value": mended}]
    fields.setdefault("summary", mended)
    return True


def _start_category(fields: Fields, attributes: dict[str, str]) -> bool:
    if not attributes.keys() <= {"term", "scheme", "label", "domain"}:
        return False
    scheme = attributes.get("scheme", attributes.get("domain"))
    _tag(fields, attributes.get("term"), scheme, attributes.get("label"))
    return True


def _category(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    if mended is None:
        return False
    if not mended:
        return True
    tags = fields["tags"]
    if tags and not tags[-1]["term"]:
        tags[-1]["term"] = mended
    else:
        _tag(fields, mended, None, None)
    return True


def _tag(fields: Fields, term: str | None, scheme: str | None, label: str | None) -> None:
    tags = fields.setdefault("tags", [])
    tag = {"term": term, "scheme": scheme, "label": label}
    if (term or scheme or label) and tag not in tags:
        tags.append(tag)


def _creator(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    # feedparser looks for an address in it.
    if attributes or mended is None or "@" in mended:
        return False
    fields["author"] = mended
    fields.setdefault("authors", []).append({"name": mended} if mended else {})
    return True


def _start_author(fields: Fields, attributes: dict[str, str]) -> bool:
    fields.setdefault("authors", []).append({})
    return not attributes


def _author_name(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
    fields["authors"][-1]["name"] = text
    return bool(text)


def _author(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
    return "name" in fields["authors"][-1]


def _enclosure(fields: Fields, attributes: dict[str, str]) -> bool:
    if not attributes.keys() <= {"url", "length", "type"} or not attributes.get("url"):
        return False
    file = {key: value for key, value in attributes.items() if key != "url"}
    if "type" in file:
        file["type"] = file["type"].lower()
    fields.setdefault("links", []).append({**file, "href": attributes["url"], "rel": "enclosure"})
    return True


def _language(fields: Fields, text: str, attributes: dict[str, str], look: _Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    if attributes or mended is None:
        return False
    fields["language"] = mended
    return True


_NOTHING: Final = _Field()
_TEXT_LINK: Final = _Field(is_text=True, end=_text_link)
_RSS_ITEM: Final = {
    "title": _Field(is_text=True, end=_title),
    "link": _TEXT_LINK,
    "guid": _Field(is_text=True, end=_guid),
    "pubDate": _Field(is_text=True, end=_date("published")),
    "description": _Field(is_text=True, end=_description),
    f"{_CONTENT} encoded": _Field(is_text=True, end=_encoded),
    "category": _Field(is_text=True, start=_start_category, end=_category),
    f"{_DC} creator": _Field(is_text=True, end=_creator),
    "author": _Field(is_text=True, end=_creator),
    f"{ATOM} link": _Field(start=_link),
    "enclosure": _Field(start=_enclosure),
    "comments": _NOTHING,
}
_PERSON: Final = {
    f"{ATOM} name": _Field(is_text=True, end=_author_name),
    f"{ATOM} uri": _NOTHING,
    f"{ATOM} email": _NOTHING,
}
_ATOM_ITEM: Final = {
    f"{ATOM} title": _Field(is_text=True, end=_title),
    f"{ATOM} link": _Field(start=_link),
    f"{ATOM} id": _Field(is_text=True, end=_guid),
    f"{ATOM} published": _Field(is_text=True, end=_date("published")),
    f"{ATOM} updated": _Field(is_text=True, end=_date("updated")),
    f"{ATOM} author": _Field(start=_start_author, end=_author, inside=_PERSON),
    f"{ATOM} category": _Field(is_text=True, start=_start_category, end=_category),
    f"{ATOM} summary": _Field(is_text=True, end=_summary),
    f"{ATOM} content": _Field(is_text=True, end=_content),
}
_RSS_HEAD: Final = {
    "title": _Field(is_text=True, end=_title),
    "link": _TEXT_LINK,
    f"{ATOM} link": _Field(start=_link),
    "language": _Field(is_text=True, end=_language),
    **dict.fromkeys(
        (
            "description",
            "copyright",
            "pubDate",
            "lastBuildDate",
            "generator",
            "docs",
            "ttl",
            "managingEditor",
            "webMaster",
        ),
        _NOTHING,
    ),
    "image": _Field(inside=dict.fromkeys(("url", "title", "link", "width", "height", "description"), _NOTHING)),
}
_ATOM_HEAD: Final = {
    f"{ATOM} title": _Field(is_text=True, end=_title),
    f"{ATOM} link": _Field(start=_link),
    f"{ATOM} id": _Field(is_text=True, end=_guid),
    **dict.fromkeys(
        (f"{ATOM} {name}" for name in ("updated", "subtitle", "generator", "rights", "icon", "logo")), _NOTHING
    ),
    f"{ATOM} author": _Field(start=_start_author, inside=_PERSON),
}

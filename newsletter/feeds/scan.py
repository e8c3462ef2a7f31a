"""One look over an XML feed: where its items are, and what the usual ones among them say.

Two things come of it.  An item whose bytes were read before need not be read
again (`feeds.trim`).  And an item written the way nearly all are, with nothing
in it but elements of `feeds.usual`, is taken down here in the very form feedparser
would give it, at a twentieth of the time; all others are left to feedparser.
What `tests/feeds/test_feeds_trim.py` compares is both ways, field by field.

The look gives up (`scan` returns None) where feedparser's reading of one item
could depend on another: then the document goes to it whole.
"""

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from newsletter.feeds.usual import ATOM, ATOM_HEAD, ATOM_ITEM, CONTENT, DC, RSS_HEAD, RSS_ITEM, Field, Fields

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML: Final = "http://www.w3.org/XML/1998/namespace"
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


#: Prefixes that feedparser looks up by their name, and what they must stand for.
_PREFIXES: Final = {"dc": DC, "content": CONTENT, **dict(zip(("slash", "wfw", "sy"), _IGNORED, strict=False))}
#: Declaring one of these makes feedparser take the document for another format.
_OTHER_FORMATS: Final = frozenset({"http://purl.org/rss/1.0/", "http://my.netscape.com/rdf/" + "simple/0.9/"})


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
        self._names: dict[str, Field] = {}
        self._pieces: list[str] | None = None
        self._inside: dict[str, Field] | None = None
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
            self._names = RSS_HEAD
        elif name == f"{ATOM} feed":
            self._item_name, self._item_depth = f"{ATOM} entry", 2
            self._scan.is_atom = True
            self._names = ATOM_HEAD
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
            self._names = ATOM_ITEM if self._scan.is_atom else RSS_ITEM
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

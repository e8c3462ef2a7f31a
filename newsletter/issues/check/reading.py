"""A built message read as a stranger's client would: headers, two parts, the HTML as a tree.

It knows nothing of how the bytes were made; what cannot be read is kept as a
defect for the rules to name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from functools import cached_property
from typing import Any

from lxml import etree, html

from newsletter.text import one_line

#: An lxml element; lxml carries no types.
Element = Any

_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
#: What a place in the letter is called after.
_NAMING = frozenset(("h1", "h2", "h3"))


@dataclass
class Letter:
    """One message, read.  `text` and `html` are None where there is no such part, "" where it is empty."""

    raw: bytes
    message: Message
    fields: tuple[tuple[str, str], ...]
    parts: tuple[Message, ...]
    text: str | None
    html: str | None
    #: what the readers stumbled over, in words
    defects: tuple[str, ...]
    _titles: dict[Element, str] = field(default_factory=dict)

    def header(self, name: str) -> str:
        """The first value of a header, unfolded and undecoded; "" where there is none."""
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")

    @cached_property
    def subject(self) -> str:
        """The subject as a client shows it."""
        return decoded(self.header("Subject")) or ""

    @cached_property
    def root(self) -> Element | None:
        """The HTML part as a tree, or None."""
        if not self.html or not self.html.strip():
            return None
        parser = html.HTMLParser(huge_tree=True, encoding="utf-8")
        try:
            return html.document_fromstring(self.html.encode("utf-8", "replace"), parser=parser)
        except (etree.LxmlError, ValueError):
            return None

    @cached_property
    def elements(self) -> list[Element]:
        """Every element in document order, without comments."""
        if self.root is None:
            return []
        found = [node for node in self.root.iter() if isinstance(node.tag, str)]
        title = ""
        for node in found:
            if node.tag in _NAMING:
                title = words(node, 60)
            self._titles[node] = title
        return found

    @cached_property
    def hidden(self) -> set[Element]:
        """The elements that no client shows: hidden by an inline style, or in the head."""
        gone: set[Element] = set()
        for node in self.elements:
            parent = node.getparent()
            style = declarations(node.get("style"))
            if (
                (parent is not None and parent in gone)
                or node.tag in {"head", "style", "script", "title"}
                or style.get("display") == "none"
                or style.get("visibility") == "hidden"
            ):
                gone.add(node)
        return gone

    @cached_property
    def shown(self) -> list[Element]:
        """The elements of the body that a reader may see."""
        return [node for node in self.elements if node not in self.hidden]

    def headings(self) -> list[tuple[int, Element]]:
        """The headings a reader sees, each with its level."""
        return [(int(node.tag[1]), node) for node in self.shown if node.tag in _HEADINGS]

    def tags(self, *names: str) -> list[Element]:
        """The elements of these names."""
        return [node for node in self.elements if node.tag in names]

    def place(self, node: Element) -> str:
        """Where an element stands, for a person: its line in the HTML part, and the entry's title."""
        line = f"HTML line {node.sourceline}" if node.sourceline else "HTML"
        title = self._titles.get(node)
        return f"{line}, in “{title}”" if title else line

    def style_sheets(self) -> list[str]:
        """The style sheets left in the HTML part, without those that only Word reads."""
        return [node.text or "" for node in self.tags("style")]

    def visible_words(self) -> list[str]:
        """The words of the HTML part that a reader sees, in order."""
        pieces: list[str] = []
        for node in self.elements:
            if node not in self.hidden:
                pieces.append(node.text or "")
            parent = node.getparent()
            if node.tail and parent is not None and parent not in self.hidden:
                pieces.append(node.tail)
        return " ".join(pieces).split()


def read(raw: bytes) -> Letter:
    """Read a message; never fails, whatever the bytes are."""
    message: Message = BytesParser(policy=policy.compat32).parsebytes(raw)
    parts = tuple(part for part in message.walk() if not part.is_multipart())
    texts: dict[str, str] = {}
    defects = [f"{kind}: {type(defect).__name__}" for kind, defect in _defects(message)]
    for part in parts:
        kind = part.get_content_type()
        if kind not in {"text/plain", "text/html"} or kind in texts:
            continue
        payload = part.get_payload(decode=True)
        body = payload if isinstance(payload, bytes) else b""
        try:
            texts[kind] = body.decode(part.get_content_charset() or "us-ascii").replace("\r\n", "\n")
        except (UnicodeDecodeError, LookupError):
            defects.append(f"{kind}: does not decode as {part.get_content_charset() or 'us-ascii'}")
            texts[kind] = body.decode("utf-8", "replace").replace("\r\n", "\n")
    fields = tuple((name, _unfolded(value)) for name, value in message.items())
    return Letter(
        raw=raw,
        message=message,
        fields=fields,
        parts=parts,
        text=texts.get("text/plain"),
        html=texts.get("text/html"),
        defects=tuple(defects),
    )


def decoded(value: str) -> str | None:
    """A header's text with its encoded words read (RFC 2047), or None where they cannot be."""
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, ValueError, LookupError):
        return None


def declarations(style: str | None) -> dict[str, str]:
    """The declarations of a style attribute, names and values in lower case; the last of a name wins."""
    found: dict[str, str] = {}
    for piece in (style or "").split(";"):
        name, colon, value = piece.partition(":")
        if colon and name.strip():
            found[name.strip().lower()] = value.replace("!important", "").strip().lower()
    return found


def words(node: Element, limit: int | None = None) -> str:
    """The text inside an element, in one line."""
    return one_line("".join(node.itertext()), limit)


def _unfolded(value: object) -> str:
    return str(value).replace("\r\n", "").replace("\n", "").strip()


def _defects(message: Message) -> Iterator[tuple[str, object]]:
    for part in message.walk():
        if not part.is_multipart():
            # Decoding is what finds broken base64 and quoted-printable.
            part.get_payload(decode=True)
        for defect in part.defects:
            yield part.get_content_type(), defect

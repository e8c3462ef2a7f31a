"""HTML as feeds write it, read as tags and text and written back well nested.

An HTML5 parser takes time and memory that grow with the square of what a
hostile entry nests (50,000 open `<div>` cost half a minute; a few thousand
paragraphs with open `<b title=…>` gigabytes), and the parsers further down drop
what lies deeper than 256 levels, with everything after it.  So nothing reaches
a parser before this module has been over it: one pass, linear in the input,
after which tags are balanced and no deeper than `DEPTH`.

The rules are those of the HTML standard's tree construction as far as feeds need
them (§13.2.6: implied end tags, scopes, formatting that runs on into the next
paragraph).  It decides nothing about what is safe: `sanitize` does.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Final, NamedTuple

#: How deep what is written may nest.
DEPTH: Final = 40


def names(text: str) -> frozenset[str]:
    """A set of element names, written as one text."""
    return frozenset(text.split())


# Everything is possessive or runs to the end, so that each character is looked at once.
_MARKUP = re.compile(
    r"""
    <!--(?:-?>|.*?(?:--!?>|\Z))
    | <!\[CDATA\[(?P<cdata>.*?)(?:\]\]>|\Z)
    | <[!?][^>]*+(?:>|\Z)
    | </(?:>|[^A-Za-z\s][^>]*+(?:>|\Z))
    | <(?P<slash>/?)(?P<name>[A-Za-z][^\s/>]*+)
      (?P<attributes>(?:[^>"'=]++|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"']?+)|["'])*+)
      (?:>|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
#: Where markup begins; any other "<" is text.  `_MARKUP` matches at each of these places.
_BEGIN = re.compile(r"<(?:[A-Za-z!?]|/[^\s])")
#: An ampersand that begins no entity; writing it as one spares the parser a search each.
_BARE_AMPERSAND = re.compile(r"&(?![A-Za-z#])")
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"?|'([^']*+)'?|([^\s>"']++)))?""")

#: Elements whose content is not markup (HTML §13.2.5.2); the end tag alone ends them.
RAW: Final = names("script style textarea title xmp iframe noembed noframes")
#: Elements that end an open paragraph (HTML §13.2.6.4.7), as far as they are kept; "heading" is any of h1 to h6.
BLOCK: Final = names("blockquote dd div dl dt figcaption figure heading hr li ol p pre table ul")
FORMATTING: Final = names("a b code em i s small strong u")
_CELLS = names("td th caption")
_TABLE_PARTS = names("caption tbody td tfoot th thead tr")
#: Empty elements that would only leave a gap.
_NOTHING_ALONE = names(
    "a abbr b bdi blockquote cite code dd del dfn div dl dt em figcaption figure heading i ins kbd li "
    "mark ol p pre q s samp small span strong sub sup u ul var"
)
_BLANK = re.compile(r"(?:\s|&nbsp;|&#160;|&#xa0;|\u200b)*+", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9]+")
_RESUMED = 4


class Token(NamedTuple):
    """A piece of HTML: text (`name` is ""), a start tag or an end tag.

    `text` is the text as written, entities and all; of a raw element (see
    `RAW`) it is the whole content, and no end tag follows.  `end` is the
    position after the token.
    """

    name: str
    closing: bool = False
    text: str = ""
    attributes: str = ""
    end: int = 0


def tokens(html: str) -> Iterator[Token]:
    """Read HTML as tags and text; comments, declarations and unfinished tags are left out."""
    at = 0
    while at < len(html):
        begin = _BEGIN.search(html, at)
        found = _MARKUP.match(html, begin.start()) if begin else None
        if found is None:
            yield Token("", text=html[at:], end=len(html))
            return
        if found.start() > at:
            yield Token("", text=html[at : found.start()], end=found.start())
        at = found.end()
        if found["name"] is not None:
            name = found["name"].lower()
            content = ""
            if not found["slash"] and name in RAW:
                content, at = _raw(html, name, at)
            if found[0].endswith(">"):
                yield Token(name, bool(found["slash"]), content, found["attributes"], at)
        elif found["cdata"] is not None:
            yield Token("", text=found["cdata"].replace("&", "&amp;"), end=at)


def _raw(html: str, name: str, at: int) -> tuple[str, int]:
    close = re.compile(rf"</{name}(?=[\s/>])[^>]*+(?:>|\Z)", re.IGNORECASE).search(html, at)
    return (html[at : close.start()], close.end()) if close else (html[at:], len(html))


def attributes(text: str) -> dict[str, str]:
    """The attributes of a start tag, decoded; of two with one name the first counts."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text):
        name = match[1].lower()
        if name not in found:
            found[name] = unescape(match[2] or match[3] or match[4] or "")
    return found


@dataclass(slots=True)
class _Open:
    """An element not yet ended: its start tag if it was written, and where."""

    name: str
    tag: str | None
    at: int
    full: bool = False
    headed: bool = False


class Nest:
    """Writes elements and text so that the result is balanced and at most `DEPTH` deep.

    What lies deeper is kept, without its tags.  Elements that hold nothing
    leave nothing behind.
    """

    def __init__(self) -> None:
        self._out: list[str] = []
        self._stack: list[_Open] = []
        self._where: defaultdict[str, list[int]] = defaultdict(list)
        self._cells: list[int] = []
        self._written = 0

    def text(self, text: str) -> None:
        """Write text as it came; a "<" in it is text, an entity an entity."""
        if not text:
            return
        if self._stack and not _BLANK.fullmatch(text):
            self._stack[-1].full = True
        if "&" in text:
            text = _BARE_AMPERSAND.sub("&amp;", text)
        self._out.append(text.replace("<", "&lt;"))

    def atom(self, name: str, markup: str) -> None:
        """Write an element that has no content of its own, such as an image."""
        if name in BLOCK:
            self._close_paragraph()
        if self._stack and name not in ("br", "wbr"):
            self._stack[-1].full = True
        self._out.append(markup)

    def inside(self, name: str) -> bool:
        """Whether an element of this name is open."""
        return bool(self._where[name])

    def start(self, name: str, tag: str | None) -> None:
        """Begin an element.

        Args:
            name: what its end tag will be looked for by.
            tag: its start tag as it is to be written, or None to leave the tags away and keep the content.
        """
        resumed = self._make_room(name)
        if name in _TABLE_PARTS and not self.inside("table"):
            self._space()
            return
        if name == "th":
            self._stack[self._where["table"][-1]].headed = True
        self._push(name, tag)
        for open_ in resumed:
            self._push(open_.name, open_.tag)

    def end(self, name: str) -> None:
        """End the innermost element of this name and all within it; nothing if there is none in reach."""
        places = self._where[name]
        if not places:
            return
        limit = self._last("table") if name in _TABLE_PARTS else self._barrier()
        if name == "table" or places[-1] >= limit:
            self._close_to(places[-1])

    def finish(self) -> str:
        """End what is still open and return all that was written."""
        self._close_to(0)
        return "".join(self._out)

    # ------------------------------------------------------------------- inside

    def _space(self) -> None:
        # Words on both sides of a block whose tags are left away stay two words.
        if self._out and not self._out[-1].endswith((" ", "\n", ">")):
            self._out.append(" ")

    def _last(self, name: str) -> int:
        return self._where[name][-1] if self._where[name] else -1

    def _barrier(self) -> int:
        return self._cells[-1] if self._cells else -1

    def _make_room(self, name: str) -> list[_Open]:
        """Close what this element's start implies is over; return the formatting that runs on."""
        resumed = self._close_paragraph() if name in BLOCK else []
        if name == "heading":
            self._close_above("heading", -1)
        elif name == "a":
            self._close_above("a", -1)
        elif name == "li":
            self._close_above("li", max(self._last("ul"), self._last("ol")))
        elif name in ("dt", "dd"):
            self._close_above("dt", self._last("dl"))
            self._close_above("dd", self._last("dl"))
        elif name in _TABLE_PARTS:
            parts = ("td", "th") if name in _CELLS and name != "caption" else tuple(_TABLE_PARTS)
            if name == "tr":
                parts = ("td", "th", "caption", "tr")
            for part in parts:
                self._close_above(part, self._last("table"))
        return resumed

    def _close_paragraph(self) -> list[_Open]:
        place = self._last("p")
        if place <= self._barrier():
            return []
        # Looking at a few is enough: nobody means more, and a hostile entry shall not multiply itself.
        over = self._stack[place + 1 : place + 1 + _RESUMED]
        self._close_to(place)
        return [open_ for open_ in over if open_.name in FORMATTING]

    def _close_above(self, name: str, limit: int) -> None:
        place = self._last(name)
        if place > max(limit, self._barrier() if name not in _TABLE_PARTS else -1):
            self._close_to(place)

    def _push(self, name: str, tag: str | None) -> None:
        if self._written >= DEPTH:
            tag = None
        place = len(self._stack)
        self._where[name].append(place)
        if name in _CELLS:
            self._cells.append(place)
        if tag is None and name in BLOCK:
            self._space()
        self._stack.append(_Open(name, tag, len(self._out)))
        if tag is not None:
            self._written += 1
            self._out.append(tag)

    def _close_to(self, place: int) -> None:
        while len(self._stack) > place:
            self._pop()

    def _pop(self) -> None:
        open_ = self._stack.pop()
        self._where[open_.name].pop()
        if open_.name in _CELLS:
            self._cells.pop()
        if self._stack and open_.full:
            self._stack[-1].full = True
        if open_.tag is None:
            if open_.name in BLOCK:
                self._space()
            return
        self._written -= 1
        if not open_.full and open_.name in _NOTHING_ALONE:
            spaced = open_.name in BLOCK or any(not part.startswith("<") for part in self._out[open_.at + 1 :])
            del self._out[open_.at :]
            if spaced:
                self._space()
            return
        if open_.name == "table" and not open_.headed and " role=" not in open_.tag:
            # A table without header cells is layout, and screen readers should hear it so.
            self._out[open_.at] = open_.tag.replace("<table", '<table role="presentation"', 1)
        self._out.append(f"</{_NAME.match(open_.tag, 1)[0]}>")  # type: ignore[index] # a tag has a name

"""What HTML says, as plain text: for excerpts, for counting words, and for the text part."""

import re
from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from typing import Final

from newsletter.issues.nesting import BLOCK, RAW, Token, attributes, tokens
from newsletter.text import one_line

_SPACE = re.compile(r"\s+")
#: Scripts written without blanks: a character counts as half a word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_PIECES = re.compile(rf"{_UNSPACED.pattern}|(?:(?!{_UNSPACED.pattern})\S)+")
_SENTENCE_END = re.compile("[.!?…][\"'”’»)\\]]*$|[。！？]")
_NUMBER = re.compile(r"-?[0-9]{1,6}")
_HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
#: HTML of up to so many characters is remembered.
_REMEMBERED: Final = 10_000
_BREAKS: Final = (
    BLOCK
    | {*_HEADINGS, "address", "article", "aside", "br", "caption", "footer", "header", "main", "nav"}
    | {
        "section",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "tr",
    }
)


def html_text(html: str) -> str:
    """The words of some HTML, cleaned or not, on one line."""
    if "<" not in html:
        return one_line(unescape(html))
    return _known_text(html) if len(html) <= _REMEMBERED else _text(html)


def _text(html: str) -> str:
    parts = []
    for token in tokens(html):
        if not token.name:
            parts.append(unescape(token.text))
        elif token.name in _BREAKS:
            parts.append(" ")
    return one_line("".join(parts))


#: One entry's text is asked for several times in an issue, and again at the next look at it.
_known_text = lru_cache(maxsize=512)(_text)


def count_words(text: str) -> int:
    """How many words a text has; a character of a script without blanks counts as half of one."""
    unspaced = len(_UNSPACED.findall(text))
    return len(_UNSPACED.sub(" ", text).split()) + (unspaced + 1) // 2


def excerpt(html: str, words: int) -> str:
    """The beginning of some HTML as one line of plain text of about `words` words.

    Cut at the end of a sentence where one ends in the last two fifths, else
    between words with "…".
    """
    text = html_text(html)
    if count_words(text[: words * 40]) <= words and len(text) <= words * 40:
        return text
    room = float(words)
    end = sentence_end = 0
    for piece in _PIECES.finditer(text):
        room -= 0.5 if _UNSPACED.match(piece[0]) else 1
        if room < 0 or piece.end() > words * 40:
            break
        end = piece.end()
        if _SENTENCE_END.search(piece[0]) and room < words * 0.4:
            sentence_end = end
    if sentence_end:
        return text[:sentence_end]
    return text[: end or words * 40].rstrip(" ,;:–—-(") + "…"


def to_text(html: str) -> str:
    """Cleaned HTML as readable plain text: one paragraph a line, a blank line between.

    Links keep their address in angle brackets (RFC 3986, appendix C).
    """
    return _Writer().run(html)


class _Writer:
    """Writes plain text block by block; see `to_text`."""

    def __init__(self) -> None:
        #: Each block with the list or table it belongs to (0: none); blocks of one stand close together.
        self._blocks: list[tuple[str, int]] = []
        self._group = 0
        self._groups = 0
        self._line: list[str] = []
        self._marker = ""
        self._quotes = 0
        self._lists: list[int | None] = []
        self._tables = 0
        self._verbatim = 0
        self._links: list[tuple[str, int]] = []

    def run(self, html: str) -> str:
        """Read all of it and return the text."""
        for token in tokens(html):
            if not token.name:
                text = unescape(token.text)
                self._line.append(text if self._verbatim else _SPACE.sub(" ", text))
            elif token.closing:
                self._end(token.name)
            elif token.name not in RAW:
                self._start(token)
        self._break()
        return "".join(self._joined())

    def _joined(self) -> Iterator[str]:
        before = -1
        for text, group in self._blocks:
            if before >= 0:
                yield "\n" if group == before != 0 else "\n\n"
            yield text
            before = group

    def _start(self, token: Token) -> None:  # noqa: C901 - one case a line
        name = token.name
        if name in _BREAKS and name not in ("br", "td", "th"):
            self._break()
        if name == "a":
            self._links.append((attributes(token.attributes).get("href", ""), len(self._line)))
        elif name == "img":
            alt = attributes(token.attributes).get("alt", "")
            self._line.append(f"[{alt}]" if alt else "")
        elif name == "br":
            self._line.append("\n")
        elif name == "hr":
            self._line.append("---")
            self._break()
        elif name in ("td", "th"):
            self._line.append(" | " if "".join(self._line).strip() else "")
        elif name in ("ul", "ol", "table"):
            self._begin_group(name, token)
        elif name == "li":
            self._begin_item()
        elif name == "blockquote":
            self._quotes += 1
        elif name == "pre":
            self._verbatim += 1

    def _end(self, name: str) -> None:
        if name in _BREAKS and name not in ("br", "td", "th"):
            self._break()
        if name == "a" and self._links:
            url, start = self._links.pop()
            label = "".join(self._line[start:]).strip()
            if url and label not in (url, url.removeprefix("mailto:")):
                self._line.append(f" <{url}>")
        elif name in ("ul", "ol") and self._lists:
            self._lists.pop()
            self._end_group()
        elif name == "table" and self._tables:
            self._tables -= 1
            self._end_group()
        elif name == "blockquote" and self._quotes:
            self._quotes -= 1
        elif name == "pre" and self._verbatim:
            self._verbatim -= 1

    def _begin_group(self, name: str, token: Token) -> None:
        if not self._group:
            self._groups += 1
            self._group = self._groups
        if name == "table":
            self._tables += 1
        else:
            start = attributes(token.attributes).get("start", "1")
            number = int(start) if _NUMBER.fullmatch(start) else 1
            self._lists.append(number if name == "ol" else None)

    def _end_group(self) -> None:
        if not self._lists and not self._tables:
            self._group = 0

    def _begin_item(self) -> None:
        number = self._lists[-1] if self._lists else None
        indent = "  " * max(len(self._lists) - 1, 0)
        self._marker = f"{indent}- " if number is None else f"{indent}{number}. "
        if number is not None:
            self._lists[-1] = number + 1

    def _break(self) -> None:
        """End a paragraph, if one has begun."""
        lines = "".join(self._line).split("\n")
        lines = [line.rstrip() if self._verbatim else _SPACE.sub(" ", line).strip() for line in lines]
        self._line = []
        self._links = [(url, 0) for url, _ in self._links]
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            del lines[-1]
        if not lines:
            return
        quote = "> " * min(self._quotes, 8)
        hang = " " * len(self._marker) if self._marker else "  " * len(self._lists)
        starts = [self._marker or hang] + [hang] * (len(lines) - 1)
        block = "\n".join((quote + start + line).rstrip() for start, line in zip(starts, lines, strict=True))
        self._blocks.append((block, self._group))
        self._marker = ""

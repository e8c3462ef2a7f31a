"""Markdown: text that means itself, links that hold whatever they are given, and HTML converted.

What is written is CommonMark without raw HTML.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from html import escape as escape_html
from typing import Final
from urllib.parse import quote

from newsletter.issues.nesting import BLOCK, Token, attributes, names, tokens
from newsletter.issues.plaintext import html_text, to_text
from newsletter.text import one_line

__all__ = ["escape", "from_html", "link", "to_text"]

#: Characters that mean something within a line, "&" because of entities.
_INLINE = re.compile(r"([\\`*_\[\]<>&#|~!])")
#: What means something at the beginning of a line only: bullets, rules, underlines, numbers.
_LINE_START = re.compile(r"^(?:([-+=])|(\d{1,9})([.)]))")
_UNSAFE_IN_DESTINATION = re.compile(r"[\\<>\s\x00-\x1f\x7f]")

#: Elements that hold a line and no blocks.
_HEADINGS: Final = names("h1 h2 h3 h4 h5 h6")
_LINES: Final = _HEADINGS | {"a"}
_BLOCKS: Final = BLOCK | names("caption tbody td tfoot th thead tr")
#: Elements that Markdown writes alike; within one another they would cancel out.
_TWINS: Final = {"strong": "b", "em": "i", "del": "s", "b": "b", "i": "i", "s": "s"}
_ALONE: Final = names("br img wbr")
_LONE_BULLET = re.compile(r"^[ >]*-+[ ]*$", re.MULTILINE)
_FENCE = re.compile(r"[ >*+-]*(`{3,}|~{3,})")
#: Stands for a "!" that a link follows, while the converter is at work: together they would be a picture.
_BANG: Final = "\ue0f1"
_BANG_BEFORE_LINK = re.compile(r"!((?:\s|<(?!a\b)[^>]*>)*+<a\b)")


def escape(text: str) -> str:
    """Write plain text so that Markdown shows just this text, wherever in a line it stands.

    Line breaks and controls become blanks (CommonMark §2.4, §6.1, §4, §5.2).
    """
    text = _INLINE.sub(r"\\\1", one_line(text))
    return _LINE_START.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", text)


def link(text: str, url: str | None) -> str:
    """A link with any text to any address; the text alone where there is no address (CommonMark §6.3)."""
    if not url:
        return escape(text)
    return f"[{escape(text)}](<{_UNSAFE_IN_DESTINATION.sub(lambda found: quote(found[0]), url)}>)"


@cache
def _converter() -> Callable[[str], str | None]:
    """The library, with our options; loaded when something is converted."""
    import html_to_markdown

    options = html_to_markdown.ConversionOptions(
        escape_asterisks=True,
        escape_underscores=True,
        escape_misc=True,
        extract_metadata=False,
        bullets="-",
        highlight_style="none",
    )
    return lambda html: html_to_markdown.convert(html, options).content


def from_html(html: str) -> str:
    """Convert cleaned HTML (`sanitize.clean_html`) to Markdown without raw HTML; no final line break."""
    if "<" not in html and "&" not in html:
        return escape(html)
    marked = _BANG_BEFORE_LINK.sub(rf"{_BANG}\1", _representable(html.replace(_BANG, "")))
    try:
        converted = _converter()(marked)
    except Exception:  # noqa: BLE001 - whatever the converter cannot read, its words are kept
        return escape(html_text(html))
    return _without_underlines((converted or "").replace(_BANG, r"\!").strip("\n"))


def _without_underlines(markdown: str) -> str:
    """Keep a bullet that stands alone on its line from making a heading of the line before (CommonMark §4.3)."""
    if not _LONE_BULLET.search(markdown):
        return markdown
    lines: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or (mark[1].startswith(fence) and line.endswith(mark[1]))):
            fence = "" if fence else mark[1]
        elif not fence and _LONE_BULLET.match(line) and lines and lines[-1].strip():
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def _representable(html: str) -> str:  # noqa: C901 - one rule of CommonMark a branch
    """Cleaned HTML reduced to what Markdown can say.

    Code blocks hold text alone, so their links follow them; links and headings
    hold no blocks, and what else stands in a line is left away around blocks
    (CommonMark §4.2, §4.5, §6.3).
    """
    out: list[str] = []
    open_: list[tuple[str, int]] = []  # elements of a line, with where their tags stand in `out`
    left_away: set[int] = set()
    stream = tokens(html)
    for token in stream:
        name = token.name
        tag = f"<{'/' * token.closing}{name}{token.attributes}>" if name else token.text
        if name in _BLOCKS:
            if any(outer in _LINES for outer, _ in open_):
                tag = " "
            else:
                left_away.update(place for _, place in open_)
                if name == "pre" and not token.closing:
                    out += _code(tag, stream)
                    continue
        elif name in _ALONE or not name:
            pass
        elif not token.closing:
            if name in _HEADINGS:
                held = any(outer in _LINES for outer, _ in open_)
                left_away.update([len(out)] if held else [place for _, place in open_])
            twin = _TWINS.get(name, name)
            if twin in _TWINS.values() and any(outer == twin for outer, _ in open_):
                left_away.add(len(out))
            open_.append((twin, len(out)))
        elif open_:
            _, place = open_.pop()
            if place in left_away:
                out[place] = tag = " " if name in _HEADINGS else ""
        out.append(tag)
    return "".join(out)


def _code(start: str, stream: Iterator[Token]) -> Iterator[str]:
    """A code block as text, from its start tag on; then the links that stood in it."""
    depth = 1
    links = []
    yield start
    for token in stream:
        if token.name == "pre":
            depth += -1 if token.closing else 1
            if not depth:
                break
        elif token.name == "br":
            yield "\n"
        elif token.name == "a" and not token.closing:
            links.append(escape_html(attributes(token.attributes).get("href", "")))
        elif not token.name:
            yield token.text
    yield "</pre>"
    for url in links:
        yield f'<p><a href="{url}">{url}</a></p>'

"""The editor's note: Markdown that a person of the project writes, above an issue's entries.

It is CommonMark with tables and strikethrough.  Raw HTML in it goes through the
same cleaning as a feed's: it may be pasted from anywhere.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from newsletter.issues.sanitize import SCHEMES, clean_html
from newsletter.text import one_line

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

#: A note of more characters would crowd out the entries it introduces.
NOTE_LIMIT: Final = 20_000
#: Headings in a note stand at the level of sections.
_HEADING_OFFSET: Final = 1


@cache
def _reader() -> "MarkdownIt":
    """Reads Markdown; loaded when there is a note."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


def markdown_html(markdown: str) -> str:
    """Convert what an editor wrote to HTML that is still to be cleaned."""
    return str(_reader().render(markdown))


def note_html(markdown: str, *, language: str | None = None) -> str:
    """Convert a note to HTML that may stand in a letter; "" for one that says nothing.

    Args:
        markdown: the note.
        language: of the words for what becomes a link, such as a video.
    """
    return clean_html(markdown_html(markdown), base=None, heading_offset=_HEADING_OFFSET, languages=(language,))


def note_faults(markdown: str) -> Iterator[tuple[int | None, str]]:
    """What in a note would not reach a reader as it is meant, each with its line, from 1.

    A letter lies in a mailbox, where there is nothing an address could be relative to.
    """
    if len(markdown) > NOTE_LIMIT:
        yield None, f"is longer than {NOTE_LIMIT:,} characters"
        return
    yield from link_faults(markdown)


def link_faults(markdown: str) -> Iterator[tuple[int | None, str]]:
    """The links and pictures of a text that lead nowhere from a mailbox, each with its line, from 1."""
    for block in _reader().parse(markdown):
        for token in block.children or ():
            address = token.attrGet("href" if token.type == "link_open" else "src")
            if token.type not in ("link_open", "image") or _reaches(str(address or "")):
                continue
            kind = "picture" if token.type == "image" else "link"
            shown = one_line(str(address or ""), 80) or "nowhere"
            yield _line(markdown, block, str(address or "")), f"the {kind} to {shown} needs a whole address: https://…"


def _reaches(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme.lower() in SCHEMES and bool(parts.netloc or parts.scheme.lower() == "mailto")


def _line(markdown: str, block: "Token", address: str) -> int:
    """The line of a block's text where an address is written; the block's first where it is spelled otherwise."""
    first, last = block.map or (0, 1)
    lines: Sequence[str] = markdown.splitlines()[first:last]
    return first + 1 + next((n for n, line in enumerate(lines) if address and address in line), 0)

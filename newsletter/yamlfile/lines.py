"""The lines of a YAML text: where they begin and end, which are comments, and how new ones are put in."""

import re
from collections.abc import Callable, Iterator

_BREAK = re.compile(r"\r\n|\r|\n")
COMMENT = re.compile(r"([ \t]*)#")


def line_start(text: str, place: int) -> int:
    """Where the line of a place begins."""
    return max(text.rfind("\n", 0, place), text.rfind("\r", 0, place)) + 1


def line_end(text: str, place: int) -> int:
    """Where the line ends, its break not included."""
    found = _BREAK.search(text, place)
    return found.start() if found else len(text)


def next_line(text: str, place: int) -> int:
    """Where the next line begins."""
    found = _BREAK.search(text, place)
    return found.end() if found else len(text)


def line_above(text: str, line: int) -> str:
    """The line before the one that begins at `line`, with its break."""
    end = line
    if end and text[end - 1] in "\r\n":
        end -= 2 if text[end - 2 : end] == "\r\n" else 1
    return text[line_start(text, end) : line]


def is_comment(line: str, fits: Callable[[int], bool]) -> bool:
    """Whether a line is a comment whose indent fits."""
    found = COMMENT.match(line)
    return found is not None and fits(len(found[1]))


def ends(text: str, end: int, column: int) -> Iterator[int]:
    """Where the line after a node begins: behind its last letter and deeper comments, then where its mark says."""
    last = end
    while last > 0 and text[last - 1] in " \t\r\n":
        last -= 1
    place = next_line(text, last)
    while place < len(text):
        following = text[place : next_line(text, place)]
        if not is_comment(following, lambda indent: indent > column):
            break
        place += len(following)
    yield place
    if last < end and text[end - 1] in "\r\n" and end != place:
        yield end


def newline_of(text: str) -> str:
    """How the lines of a text end."""
    found = _BREAK.search(text)
    return found[0] if found else "\n"


def insert(text: str, place: int, body: str, line_break: str) -> str:
    """Put whole lines at the beginning of a line; a file that ends without a break stays so.

    Args:
        text: the file.
        place: where a line begins, or the end of the text.
        body: the lines, without the last break.
        line_break: how they end.
    """
    if place and text[place - 1] not in "\r\n":  # the last line has no break
        return f"{text[:place]}{line_break}{body}{text[place:]}"
    return f"{text[:place]}{body}{line_break}{text[place:]}"


def find_comma(text: str, start: int, end: int) -> int | None:
    """Where the comma stands between two nodes of a list in brackets."""
    place = start
    while place < end:
        if text[place] == ",":
            return place
        place = line_end(text, place) if text[place] == "#" else place + 1
    return None

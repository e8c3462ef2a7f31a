"""A style sheet cut into rules: as much of CSS as letters use, and bounded whatever it holds."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENT = re.compile(r"/\*.*?(\*/|\Z)", re.DOTALL)
_MEDIA_DEPTH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: the media query around it ("" for none), its selector, (name, value, important) in order."""

    media: str
    selector: str
    declarations: tuple[tuple[str, str, bool], ...]


def sheet_of(text: str) -> list[Rule]:
    """Cut a style sheet into its rules; an at-rule without rules inside becomes a rule of its own."""
    return list(_rules(_COMMENT.sub(" ", text), "", 0))


def _rules(text: str, media: str, depth: int) -> Iterator[Rule]:
    for prelude, block in _blocks(text):
        if prelude.startswith("@") and "{" in block and depth < _MEDIA_DEPTH:
            yield from _rules(block, f"{media} {prelude}".strip(), depth + 1)
        else:
            yield Rule(media=media, selector=prelude, declarations=tuple(_declarations(block)))


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """The preludes and what stands in the braces after them; a statement such as @import has an empty block."""
    start = depth = opened = 0
    prelude = ""
    for match in re.finditer(r"[{};]", text):
        mark, at = match.group(), match.start()
        if mark == "{":
            if depth == 0:
                prelude, opened = " ".join(text[start:at].split()), at + 1
            depth += 1
        elif mark == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                yield prelude, text[opened:at]
                start = at + 1
        elif depth == 0:
            if statement := " ".join(text[start:at].split()):
                yield statement, ""
            start = at + 1


def _declarations(block: str) -> Iterator[tuple[str, str, bool]]:
    for piece in block.split(";"):
        name, colon, value = piece.partition(":")
        if colon and name.strip():
            value = " ".join(value.split()).lower()
            important = value.endswith("!important")
            yield name.strip().lower(), value.removesuffix("!important").strip(), important

"""What the letter uses that some mail clients do not know.

A ratchet: `ACCEPTED` lists what the built-in templates use although some
clients ignore it, each with the reason why that does no harm.  Anything else
that a client of the table lacks is a finding.  Only inline styles, elements and
attributes are judged by property; a style sheet is an extra for clients that
know style sheets, so of it only the at-rules and pseudo-classes count.
"""

import re
from collections.abc import Iterator
from functools import cache

from newsletter.issues.check.accepted import ACCEPTED
from newsletter.issues.check.css import sheet_of
from newsletter.issues.check.finding import Finding, warning
from newsletter.issues.check.reading import Element, Letter, declarations
from newsletter.issues.check.support import CLIENTS, FACTS_OF, LACKS

_ELEMENTS = {
    **{
        name: name
        for name in [
            "abbr",
            "acronym",
            "address",
            "bdi",
            "dfn",
            "dialog",
            "marquee",
            "meter",
            "object",
            "picture",
            "popover",
        ]
    },
    **{
        name: name
        for name in [
            "progress",
            "rp",
            "rt",
            "ruby",
            "select",
            "strike",
            "svg",
            "textarea",
            "video",
            "audio",
            "wbr",
            "base",
            "form",
            "link",
        ]
    },
    **dict.fromkeys(("ul", "ol", "dl"), "lists"),
    **dict.fromkeys(
        ["article", "aside", "details", "figcaption", "figure", "footer", "header", "main", "mark", "nav"], "semantics"
    ),
    **dict.fromkeys(("section", "summary", "time"), "semantics"),
    "map": "image-maps",
}
_ATTRIBUTES = {
    name: name
    for name in [
        "aria-describedby",
        "aria-hidden",
        "aria-label",
        "aria-labelledby",
        "aria-live",
        "background",
        "dir",
        "hidden",
        "lang",
    ]
} | {"loading": "loading-attribute", "role": "role", "srcset": "srcset", "target": "target", "required": "required"}
_PICTURES = {"apng": "apng", "avif": "avif", "bmp": "bmp", "heif": "heif", "heic": "heif", "ico": "ico"} | {
    name: name for name in ("svg", "tiff", "webp", "hdr", "mp4")
}
_AT_RULE = re.compile(r"@([a-z-]+)")
_MEDIA_FEATURE = re.compile(r"\(\s*(prefers-color-scheme|prefers-reduced-motion|orientation|hover)")
_PSEUDO = re.compile(r"(?<!:):([a-z-]+)")
_PSEUDO_ELEMENT = re.compile(r"::([a-z-]+)")
_UNIT = re.compile(r"[0-9.](ch|rem|vh|vw|vmin|vmax)\b")
_FUNCTIONS = {"calc(": "css:unit-calc", "var(": "css:variables", "clamp(": "css:function-clamp"} | {
    "linear-gradient(": "css:linear-gradient",
    "rgba(": "css:rgba",
    "min(": "css:function-min",
    "max(": "css:function-max",
}
_EXTENSION = re.compile(r"\.([a-z0-9]{2,4})(?:[?#]|$)")


def check_clients(letter: Letter) -> Iterator[Finding]:
    """Name each feature that a client lacks and nobody has accepted, once, with its first place."""
    first: dict[str, str] = {}
    for node in letter.elements:
        for feature in _features(node):
            first.setdefault(feature, letter.place(node))
    for sheet in letter.style_sheets():
        for feature in _sheet_features(sheet):
            first.setdefault(feature, "<style>")
    for feature, where in first.items():
        lacking = lacks(feature)
        accepted = ACCEPTED.get(feature, ("", ""))[0].split()
        missing = [client for client in lacking if client not in accepted]
        if missing:
            words = ", ".join(
                CLIENTS[client] + (" (in part)" if lacking[client] == "partial" else "") for client in missing
            )
            yield warning(
                "clients",
                f"{feature.replace(':', ' ')} is not supported by {words}",
                where=where,
                why=f"measured by caniemail.com, as of {FACTS_OF}",
                fix="use something they know, or make sure that the letter is right without it",
            )


@cache
def _table() -> dict[str, dict[str, str]]:
    table = {}
    for line in LACKS.strip().splitlines():
        feature, *facts = line.split()
        table[feature] = dict(fact.split("=") for fact in facts)
    return table


def lacks(feature: str) -> dict[str, str]:
    """Which clients lack a feature such as `css:opacity`: client → "no" or "partial"."""
    return _table().get(feature, {})


def _features(node: Element) -> Iterator[str]:
    if node.tag in _ELEMENTS:
        yield f"html:{_ELEMENTS[node.tag]}"
    for name, value in node.attrib.items():
        if name in _ATTRIBUTES:
            yield f"html:{_ATTRIBUTES[name]}"
        if name == "href" and value.startswith("#"):
            yield "html:anchor-links"
    if node.tag == "meta" and node.get("name") == "color-scheme":
        yield "html:meta-color-scheme"
    if node.tag == "style":
        yield "html:style"
    if node.tag == "img" and (match := _EXTENSION.search((node.get("src") or "").lower())):
        yield f"image:{_PICTURES.get(match[1], match[1])}"
    for name, value in declarations(node.get("style")).items():
        if name == "display":
            yield f"css:display-{value}" if value in {"none", "flex", "grid"} else "css:display"
        else:
            yield f"css:{name}"
        yield from (f"css:unit-{unit}" for unit in _UNIT.findall(value))
        yield from (feature for function, feature in _FUNCTIONS.items() if function in value)


def _sheet_features(sheet: str) -> Iterator[str]:
    for rule in sheet_of(sheet):
        for name in _AT_RULE.findall(f"{rule.media} {rule.selector}"):
            yield f"css:at-{name}"
        for name in _MEDIA_FEATURE.findall(rule.media):
            yield f"css:at-media-{name}"
        if not rule.selector.startswith("@"):
            yield from (f"css:pseudo-element-{name}" for name in _PSEUDO_ELEMENT.findall(rule.selector))
            yield from (f"css:pseudo-class-{name}" for name in _PSEUDO.findall(rule.selector.replace("::", "")))

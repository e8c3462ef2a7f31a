"""Whether every text can be read: its colour against its background, in light and in dark.

Light is what the inline styles say, dark is what the rules for
`prefers-color-scheme: dark` make of it, by the cascade of CSS: an important
rule beats an inline style, any other loses to it.  WCAG 1.4.3 wants 4.5 to 1.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from cssselect import GenericTranslator, SelectorError
from cssselect import parse as parse_selector
from lxml import etree

from newsletter.issues.check.css import sheet_of
from newsletter.issues.check.finding import Finding, Level, warning
from newsletter.issues.check.reading import Element, Letter, declarations

Colour = tuple[int, int, int]

ENOUGH = 4.5
#: Below this nobody reads it without effort.
_HARDLY = 3.0
_NAMED: dict[str, Colour] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "silver": (192, 192, 192),
    "yellow": (255, 255, 0),
    "navy": (0, 0, 128),
}
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*(?:[,/]\s*([\d.]+%?)\s*)?\)")
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})(?![0-9a-f])")
_DARK = re.compile(r"prefers-color-scheme\s*:\s*dark")
_LINK: Colour = (0, 0, 238)
#: Where sRGB's curve begins (WCAG 2.2, relative luminance).
_LINEAR_BELOW = 0.04045


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one element is drawn with, inherited or its own."""

    colour: Colour
    background: Colour


#: What rules say of an element: property → (value, important, specificity, order).
_Said = dict[Element, dict[str, tuple[str, bool, tuple[int, int, int], int]]]


def check_contrast(letter: Letter) -> Iterator[Finding]:
    """Judge the colours of the HTML part."""
    if letter.root is None:
        return
    yield from _poor(letter, {}, "light")
    dark = _dark_rules(letter)
    if not dark:
        return
    said, faults = _said(letter, dark)
    yield from faults
    metas = {(node.get("name") or "").lower(): node.get("content") or "" for node in letter.tags("meta")}
    if "dark" not in metas.get("color-scheme", ""):
        yield warning(
            "dark",
            "rules for dark mode, but no <meta name=color-scheme> that says so",
            where="<head>",
            why="Apple Mail then inverts the colours by itself",
            fix='write <meta name="color-scheme" content="light dark"> in the head',
        )
    yield from _poor(letter, said, "dark")


def ratio(one: Colour, other: Colour) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2.2, relative luminance)."""
    a, b = sorted((_luminance(one), _luminance(other)))
    return (b + 0.05) / (a + 0.05)


def colour_of(value: str) -> Colour | None:
    """A CSS colour, also where it stands in a shorthand; None for none, transparent or unknown ones."""
    value = value.strip().lower()
    if match := _HEX.search(value):
        digits = match[1] if len(match[1]) > len("rgb") else "".join(digit * 2 for digit in match[1])
        return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)
    if match := _RGB.search(value):
        if match[4] is not None and match[4].rstrip("%").strip("0.") == "":
            return None
        return min(255, int(match[1])), min(255, int(match[2])), min(255, int(match[3]))
    return next((_NAMED[word] for word in re.split(r"[\s,]+", value) if word in _NAMED), None)


def _luminance(colour: Colour) -> float:
    channels = [c / 255 for c in colour]
    linear = [c / 12.92 if c <= _LINEAR_BELOW else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


_Chosen = tuple[str, tuple[tuple[str, str, bool], ...]]


def _dark_rules(letter: Letter) -> list[_Chosen]:
    return [
        (rule.selector, rule.declarations)
        for sheet in letter.style_sheets()
        for rule in sheet_of(sheet)
        if _DARK.search(rule.media)
    ]


def _said(letter: Letter, rules: list[_Chosen]) -> tuple[_Said, list[Finding]]:
    said: _Said = {}
    faults: list[Finding] = []
    translator = GenericTranslator()
    for order, (selector, declared) in enumerate(rules):
        colours = [(name, value, important) for name, value, important in declared if name in _PROPERTIES]
        if not colours:
            continue
        weak = [name for name, _, important in colours if not important]
        try:
            chosen = [
                (s.specificity(), letter.root.xpath(translator.selector_to_xpath(s)))  # type: ignore[union-attr]
                for s in parse_selector(selector)
            ]
        except (SelectorError, etree.XPathError):
            continue
        if weak and any("style" in node.attrib for _, nodes in chosen for node in nodes):
            faults.append(
                warning(
                    "dark",
                    f"{selector} sets {weak[0]} for dark mode without !important",
                    where="<style>",
                    why="the inline styles win, so the letter stays light in places",
                    fix="add !important",
                )
            )
        for specificity, nodes in chosen:
            for node in nodes:
                own = said.setdefault(node, {})
                for name, value, important in colours:
                    new = (value, important, specificity, order)
                    prop = _PROPERTIES[name]
                    if prop not in own or own[prop][1:] <= new[1:]:
                        own[prop] = new
    return said, faults


_PROPERTIES = {"color": "color", "background": "background", "background-color": "background"}


def _poor(letter: Letter, said: _Said, scheme: str) -> Iterator[Finding]:
    looks: dict[Element, _Look] = {}
    seen: set[tuple[Colour, Colour, str]] = set()
    for node in letter.shown:
        parent = node.getparent()
        above = looks.get(parent, _Look(colour=(0, 0, 0), background=(255, 255, 255)))
        look = looks[node] = _look(node, above, said)
        texts = [node.text, *(child.tail for child in node)]
        if node.tag == "img":
            texts = [node.get("alt")]
        text = " ".join(t for t in texts if t and t.strip("\u00a0\u200c\u034f \t\n"))
        contrast = ratio(look.colour, look.background)
        key = (look.colour, look.background, node.tag)
        if not text or contrast >= ENOUGH or key in seen:
            continue
        seen.add(key)
        yield Finding(
            level=Level.error if contrast < _HARDLY else Level.warning,
            rule="contrast",
            what=f"{_hex(look.colour)} on {_hex(look.background)} in {scheme} mode, a contrast of {contrast:.1f} to 1: "
            f"“{' '.join(text.split())[:40]}”",
            where=letter.place(node),
            why=f"WCAG 1.4.3 wants {ENOUGH} to 1",
            fix="darken the text or lighten what is behind it" if scheme == "light" else "lighten the text",
        )


def _look(node: Element, above: _Look, said: _Said) -> _Look:
    style = declarations(node.get("style"))
    by_rule = said.get(node, {})
    own: dict[str, str] = {}
    if node.get("bgcolor"):
        own["background"] = node.get("bgcolor")
    if node.tag == "font" and node.get("color"):
        own["color"] = node.get("color")
    for prop, (value, important, *_) in by_rule.items():
        if not important:
            own[prop] = value
    for name, prop in _PROPERTIES.items():
        if name in style:
            own[prop] = style[name]
    for prop, (value, important, *_) in by_rule.items():
        if important:
            own[prop] = value
    colour = colour_of(own.get("color", "")) or (_LINK if node.tag == "a" and "color" not in own else above.colour)
    return _Look(colour=colour, background=colour_of(own.get("background", "")) or above.background)


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)

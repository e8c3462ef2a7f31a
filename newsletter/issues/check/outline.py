"""The HTML as an outline: root, title, headings, tables, pictures, and what must not be in a letter."""

import re
from collections.abc import Iterator

from newsletter.issues.check.css import sheet_of
from newsletter.issues.check.finding import Finding, error, warning
from newsletter.issues.check.reading import Letter, declarations, words
from newsletter.text import one_line

#: Elements that clients remove, or that make them warn of the letter.
FORBIDDEN = frozenset(
    [
        "script",
        "iframe",
        "frame",
        "frameset",
        "object",
        "embed",
        "applet",
        "form",
        "input",
        "button",
        "select",
        "textarea",
        "link",
        "base",
        "video",
        "audio",
        "svg",
        "math",
        "canvas",
        "dialog",
        "portal",
        "noscript",
        "marquee",
    ]
)
_ANCIENT = frozenset(("float", "position"))
_LAYOUT = re.compile(r"\b(flex|grid|inline-flex|inline-grid)\b")
_INTEGER = re.compile(r"[0-9]{1,5}")
_SIZE = re.compile(r"[0-9]{1,5}%?")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_PREHEADER = 110
_FILLER = re.compile("[\u034f\u200b-\u200d\u2007\u00ad\ufeff\u00a0]")


def check_outline(letter: Letter) -> Iterator[Finding]:
    """Judge the HTML part as a document."""
    if letter.html is None:
        return
    if letter.root is None:
        yield error(
            "html",
            "the HTML part cannot be read",
            why="clients will show it in different ways, or not at all",
            fix="look at templates/issue.html.j2",
        )
        return
    yield from _root(letter)
    yield from _headings(letter)
    yield from _tables(letter)
    yield from _pictures(letter)
    yield from _forbidden(letter)
    yield from _preheader(letter)
    yield from _word_only(letter)


def _root(letter: Letter) -> Iterator[Finding]:
    assert letter.root is not None
    language, direction = letter.root.get("lang") or "", letter.root.get("dir") or ""
    if not _LANGUAGE.fullmatch(language):
        yield error(
            "lang",
            f"the language is {language!r}" if language else "the HTML says no language",
            where="<html>",
            why="screen readers choose their voice by it (WCAG 3.1.1)",
            fix='write <html lang="{{ issue.language }}"> in the template',
        )
    if direction not in {"ltr", "rtl"}:
        yield error(
            "dir",
            "the HTML says no direction of writing",
            where="<html>",
            why="right-to-left letters come out mirrored in part",
            fix='write <html dir="{{ issue.dir }}"> in the template',
        )
    if not (letter.html or "").lstrip().lower().startswith("<!doctype html"):
        yield warning(
            "doctype",
            "the HTML part does not begin with <!DOCTYPE html>",
            why="clients then guess at widths and heights",
            fix="begin the template with it",
        )
    titles = [words(node) for node in letter.tags("title")]
    if titles != [one_line(letter.subject)]:
        yield warning(
            "title",
            "the <title> is not the subject",
            where="<title>",
            why="it names the tab of the web copy, and screen readers read it out (WCAG 2.4.2)",
            fix="write <title>{{ issue.subject }}</title> in the template",
        )
    for node in letter.elements:
        language = node.get("lang")
        if node is not letter.root and language is not None and language and not _LANGUAGE.fullmatch(language):
            yield warning(
                "lang",
                f"{language!r} is no language",
                where=letter.place(node),
                why="screen readers choose their voice by it (WCAG 3.1.2)",
                fix="set `language:` for the feed, for example en or pt-BR",
            )


def _headings(letter: Letter) -> Iterator[Finding]:
    found = letter.headings()
    firsts = sum(1 for level, _ in found if level == 1)
    if firsts != 1:
        yield error(
            "headings",
            f"{firsts or 'no'} h1 headings, not one",
            why="screen readers take it for the letter's name",
            fix="make the masthead the only <h1>",
        )
    before = 0
    for level, node in found:
        if level > before + 1 and before:
            yield error(
                "headings",
                f"h{before} is followed by h{level}",
                where=letter.place(node),
                why="readers who jump from heading to heading think they missed one (WCAG 1.3.1)",
                fix=f"make it h{before + 1}",
            )
        if not words(node):
            yield warning(
                "headings",
                f"an empty h{level}",
                where=letter.place(node),
                why="screen readers read “heading” and nothing else",
                fix="leave it out where there is nothing to say",
            )
        before = level


def _tables(letter: Letter) -> Iterator[Finding]:
    for table in letter.tags("table"):
        if table.get("role") != "presentation" and not table.findall(".//th"):
            yield warning(
                "tables",
                "a table for layout, not marked as such",
                where=letter.place(table),
                why="screen readers read out rows and columns of it",
                fix='write role="presentation", or give it <th> cells where it holds data',
            )


def _pictures(letter: Letter) -> Iterator[Finding]:
    for image in letter.tags("img"):
        if image.get("alt") is None:
            yield error(
                "alt",
                "a picture without alt",
                where=letter.place(image),
                why="most clients block pictures at first, and show its alt text (WCAG 1.1.1)",
                fix='write alt="…", or alt="" for mere decoration',
            )
        for name, form in (("width", _SIZE), ("height", _INTEGER)):
            value = image.get(name)
            if value is not None and not form.fullmatch(value):
                yield error(
                    "picture-size",
                    f"a picture with {name}={value!r}",
                    where=letter.place(image),
                    why="Outlook takes the attribute only, and only as a whole number of pixels",
                    fix=f'write {name}="…" as a number, and "auto" in the style',
                )


def _forbidden(letter: Letter) -> Iterator[Finding]:
    why = "clients remove it, and filters take it for an attack"
    for node in letter.elements:
        where = letter.place(node)
        if node.tag in FORBIDDEN:
            yield error("forbidden", f"a <{node.tag}>", where=where, why=why, fix="make it a link or a picture")
        if node.tag == "meta" and (node.get("http-equiv") or "").lower() == "refresh":
            yield error("forbidden", "a <meta> that leads elsewhere", where=where, why=why, fix="leave it out")
        for name in node.attrib:
            if name.lower().startswith("on"):
                yield error("forbidden", f"the attribute {name}", where=where, why=why, fix="leave it out")
        if node.get("background") is not None:
            yield error("forbidden", "a background picture", where=where, why=why, fix="use a background colour")
        yield from _forbidden_style(declarations(node.get("style")), where)
    for sheet in letter.style_sheets():
        for rule in sheet_of(sheet):
            yield from _forbidden_style({name: value for name, value, _ in rule.declarations}, "<style>")
            if rule.selector.startswith("@import"):
                yield error("forbidden", "a style sheet from elsewhere", where="<style>", why=why, fix="leave it out")


def _forbidden_style(style: dict[str, str], where: str) -> Iterator[Finding]:
    for name, value in style.items():
        if name in _ANCIENT or (name == "display" and _LAYOUT.search(value)):
            yield error(
                "forbidden",
                f"{name}: {value} in the style",
                where=where,
                why="many clients ignore it, and the layout falls apart",
                fix="lay out with one column, or with tables",
            )
        if "url(" in value or "expression(" in value:
            yield error(
                "forbidden",
                f"{name} loads something in the style",
                where=where,
                why="clients block it, and it tells somebody that the letter was opened",
                fix="leave it out",
            )


def _preheader(letter: Letter) -> Iterator[Finding]:
    """The hidden lines at the top that inboxes show beside the subject."""
    body = letter.root.find("body") if letter.root is not None else None
    first = next((node for node in body if isinstance(node.tag, str)), None) if body is not None else None
    text = one_line(_FILLER.sub("", words(first))) if first is not None and first in letter.hidden else ""
    if not text:
        yield warning(
            "preheader",
            "no preheader",
            where="<body>",
            why="inboxes show the first words of the letter beside the subject",
            fix="keep the block `preheader` of the built-in template",
        )
    elif len(text) > _PREHEADER:
        yield warning(
            "preheader",
            f"a preheader of {len(text)} characters",
            where="<body>",
            why=f"inboxes show {_PREHEADER} at most; much hidden text looks like spam",
            fix="cut it: {{ issue.preheader|short(110) }}",
        )


def _word_only(letter: Letter) -> Iterator[Finding]:
    text = letter.html or ""
    opened, closed = len(re.findall(r"<!--\[if [^\]]*\]>", text)), text.count("<![endif]")
    if opened != closed:
        yield error(
            "conditional",
            f"{opened} conditional comments are opened and {closed} closed",
            why="Outlook on Windows hides all that follows",
            fix="end each <!--[if mso]> with <![endif]-->",
        )

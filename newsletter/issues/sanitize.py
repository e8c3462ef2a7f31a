"""Feed HTML made safe: what a stranger wrote becomes a part of our letter.

Two steps, cheap for small input and linear for any:

1. `nesting` reads the tags, and this module decides on each: what a mail client
   cannot show becomes something it can (a player becomes a named link, a formula
   its TeX), addresses become absolute, https for pictures, and lose their tracking
   parameters, headings are shifted below the entry's own, pixels vanish.
2. nh3, a maintained allow-list cleaner over a real HTML5 parser, has the last word:
   only `TAGS` with their attributes and the schemes http, https and mailto survive.

Nothing is fetched, and nothing here raises, whatever the input.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from html import escape, unescape
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import nh3

from newsletter.issues.nesting import Nest, Token, attributes, names, tokens
from newsletter.issues.pictures import best_source, is_count, is_pixel, picture_url, stands_for_letter
from newsletter.issues.plaintext import excerpt, html_text
from newsletter.issues.words import Words, words_in
from newsletter.text import one_line
from newsletter.urls import safe_url, without_tracking

__all__ = ["ATTRIBUTES", "SCHEMES", "TAGS", "clean_html", "excerpt", "html_text", "without_pictures"]

#: Longer HTML is cut: it is more than a mail client shows of a whole letter.
MAX_CHARACTERS: Final = 200_000

#: HTML of up to so many characters is remembered.
_REMEMBERED: Final = 10_000

#: Everything that may be in cleaned HTML.
TAGS: Final = names(
    "a abbr b bdi blockquote br caption cite code dd del dfn div dl dt em figcaption figure h1 h2 h3 h4 "
    "h5 h6 hr i img ins kbd li mark ol p pre q rp rt ruby s samp small span strong sub sup table tbody td "
    "tfoot th thead time tr u ul var wbr"
)
ATTRIBUTES: Final = {
    "*": {"dir", "lang"},
    "a": {"href"},
    "abbr": {"title"},
    "img": {"alt", "height", "src", "width"},
    "li": {"value"},
    "ol": {"start", "type"},
    "table": {"role"},
    "td": {"align", "colspan", "rowspan"},
    "th": {"align", "colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
SCHEMES: Final = names("http https mailto")

_CLEANER = nh3.Cleaner(
    tags=set(TAGS),
    attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    url_schemes=set(SCHEMES),
    url_relative="deny",
    link_rel=None,
    strip_comments=True,
    clean_content_tags={"script", "style"},
)

#: Characters that show nothing: controls, direction overrides and isolates
#: (UAX #9), byte order marks, surrogates, non-characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)

_RENAMED: Final = {
    **dict.fromkeys(
        names(
            "address article aside body center details dialog fieldset footer form header hgroup html main nav section"
        ),
        "div",
    ),
    **dict.fromkeys(("legend", "summary"), "p"),
    **dict.fromkeys(("listing", "plaintext"), "pre"),
    **dict.fromkeys(("dir", "menu"), "ul"),
    "acronym": "abbr",
    "amp-img": "img",
    "bdo": "bdi",
    "image": "img",
    "strike": "s",
    "tt": "code",
}
#: Left out with all they hold.
_SKIPPED: Final = names("applet audio canvas datalist frameset map object select svg template video")
#: Tags that end an unclosed <svg> in a browser, too (HTML §13.2.6.5).
_BREAK_OUT: Final = names("blockquote body br div dl h1 h2 h3 h4 h5 h6 hr img li ol p pre table ul")
_HEADINGS: Final = ("h1", "h2", "h3", "h4", "h5", "h6")
_MATH_END = re.compile(r"</math\s*+>", re.IGNORECASE)

_VIDEO_HOSTS = re.compile(r"//(?:[^/]*\.)?(?:youtube\.com|youtu\.be|vimeo\.com|dailymotion\.com|twitch\.tv)/")

_EMPTY = re.compile(r"<(a|b|code|div|em|i|p|s|small|span|strong|u)(?: [^>]*)?></\1>")
_TIMES_EMPTIED: Final = 4
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,4}")
_DATE = re.compile(r"[0-9TZ:+. -]{4,40}")


def clean_html(html: str, *, base: str | None, heading_offset: int = 3, languages: Sequence[str | None] = ()) -> str:
    """Return the part of `html` that may stand in a letter, as well-formed HTML.

    Args:
        html: HTML as a feed gave it; anything at all.
        base: the address that relative ones are resolved against; without it they are dropped.
        heading_offset: 3 makes the outermost headings h4; levels between are never skipped.
        languages: of the words for what becomes a link ("Video: …"): the first there are words for, else English.
    """
    clean = _remembered if len(html) <= _REMEMBERED else _cleaned
    return clean(html, base, heading_offset, tuple(languages))


def _cleaned(html: str, base: str | None, heading_offset: int, languages: tuple[str | None, ...]) -> str:
    html = _INVISIBLE.sub("", html[:MAX_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n"))
    if "<" not in html and "&" not in html:
        return html.replace(">", "&gt;").strip()
    cleaned = _INVISIBLE.sub("", _CLEANER.clean(_Sanitizer(base, heading_offset, words_in(*languages)).run(html)))
    # Putting misplaced elements right, the parser may leave empty ones where they were.
    for _ in range(_TIMES_EMPTIED):
        cleaned, emptied = _EMPTY.subn("", cleaned)
        if not emptied:
            break
    return cleaned.strip()


#: A preview cleans the same entries again after every change of a template.
_remembered = lru_cache(maxsize=512)(_cleaned)


def without_pictures(html: str) -> str:
    """Cleaned HTML without its pictures and what held nothing else."""
    if "<img" not in html:
        return html
    nest = Nest()
    for token in tokens(html):
        if not token.name:
            nest.text(token.text)
        elif token.closing:
            nest.end("heading" if token.name in _HEADINGS else token.name)
        elif token.name in ("br", "hr", "wbr"):
            nest.atom(token.name, f"<{token.name}>")
        elif token.name != "img":
            name = "heading" if token.name in _HEADINGS else token.name
            nest.start(name, f"<{token.name}{token.attributes}>")
    return nest.finish().strip()


class _Sanitizer:
    """One entry's HTML on its way through; see `clean_html`."""

    def __init__(self, base: str | None, heading_offset: int, words: Words) -> None:
        self._words = words
        self._base = base
        self._nest = Nest()
        self._offset = heading_offset
        self._outline: list[int] = []
        self._last_image = ""
        self._math_ends = True

    def run(self, html: str) -> str:
        """Read all of it and return what is kept."""
        stream = tokens(html)
        for token in stream:
            if not token.name:
                self._nest.text(token.text)
            elif token.name in _SKIPPED and not token.closing:
                self._skip(token, stream)
            elif token.name == "math" and not token.closing:
                self._math(token, html, stream)
            elif token.closing:
                self._end(token.name)
            else:
                self._start(token)
        return self._nest.finish()

    def _end(self, name: str) -> None:
        name = _RENAMED.get(name, name)
        if name in _HEADINGS:
            name = "heading"
        elif name == "br":
            self._nest.atom("br", "<br>")
            return
        self._nest.end(name)

    def _start(self, token: Token) -> None:
        name = _RENAMED.get(token.name, token.name)
        special = _SPECIAL.get(name)
        if special is not None:
            special(self, token)
        elif name in _HEADINGS:
            self._heading(int(name[1]), token)
        elif name in ("br", "hr", "wbr"):
            self._nest.atom(name, f"<{name}>")
        elif name in TAGS:
            self._nest.start(name, _tag(name, token))

    def _heading(self, level: int, token: Token) -> None:
        while self._outline and self._outline[-1] >= level:
            self._outline.pop()
        self._outline.append(level)
        name = _HEADINGS[min(self._offset + len(self._outline), 6) - 1]
        self._nest.start("heading", _tag(name, token))

    def _link(self, token: Token) -> None:
        url = self._address(attributes(token.attributes).get("href"))
        self._nest.start("a", f'<a href="{escape(url)}">' if url else None)

    def _address(self, url: str | None) -> str | None:
        safe = safe_url(url, self._base)
        return without_tracking(safe) if safe else None

    # ------------------------------------------------------------------ pictures

    def _image(self, token: Token) -> None:
        attrs = attributes(token.attributes)
        alt = one_line(attrs.get("alt", ""), 300)
        if is_pixel(attrs):
            return
        source = best_source(attrs)
        if alt and stands_for_letter(source):
            self._nest.text(escape(alt))
            return
        url = picture_url(source, self._base)
        if url is None:
            if alt:
                self._nest.text(escape(alt))
            return
        # A lazy picture often has its own copy in the <noscript> after it.
        if url == self._last_image and self._nest.inside("noscript"):
            return
        self._last_image = url
        size = "".join(f' {side}="{attrs[side]}"' for side in ("width", "height") if is_count(attrs.get(side), 4000))
        self._nest.atom("img", f'<img src="{escape(url)}" alt="{escape(alt)}"{size}>')

    # -------------------------------------------------------------------- embeds

    def _embed(self, token: Token) -> None:
        attrs = attributes(token.attributes)
        url = self._address(attrs.get("src") or attrs.get("data-src") or attrs.get("data"))
        if url is None or url.startswith("mailto:"):
            return
        url = _watchable(url)
        if token.name == "video" or (token.name != "audio" and _VIDEO_HOSTS.search(url)):
            kind = self._words.one("Video:")
        elif token.name == "audio":
            kind = self._words.one("Audio:")
        elif token.name == "iframe":
            kind = self._words.one("Embedded page:")
        else:
            kind = self._words.one("Embedded file:")
        title = one_line(attrs.get("title", ""), 120)
        host = (urlsplit(url).hostname or "").removeprefix("www.")
        label = f"{kind} {title} ({host})" if title else f"{kind} {host}"
        self._nest.start("p", "<p>")
        self._nest.start("a", f'<a href="{escape(url)}">')
        self._nest.text(escape(label))
        self._nest.end("a")
        self._nest.end("p")

    def _skip(self, token: Token, stream: Iterator[Token]) -> None:
        """Leave an element out with all it holds; a player's first source becomes a link."""
        depth = 1
        source = token
        for inner in stream:
            if inner.name == token.name:
                depth += -1 if inner.closing else 1
                if depth == 0:
                    break
            elif inner.name in ("source", "embed", "iframe") and not attributes(source.attributes).keys() & {
                "src",
                "data",
            }:
                source = inner._replace(name=token.name)
            elif token.name == "svg" and inner.name in _BREAK_OUT and not inner.closing:
                self._start(inner)
                break
        if token.name in ("audio", "object", "video"):
            self._embed(source)

    # ------------------------------------------------------------------ formulas

    def _math(self, token: Token, html: str, stream: Iterator[Token]) -> None:
        close = _MATH_END.search(html, token.end) if self._math_ends else None
        if close is None:
            # Without this, each unclosed formula would search all the rest again.
            self._math_ends = False
            return
        self._formula(token, html[token.end : close.start()])
        for skipped in stream:
            if skipped.end >= close.end():
                break

    def _formula(self, token: Token, inner: str) -> None:
        """A MathML formula: its TeX if it carries it, else its text."""
        tex = attributes(token.attributes).get("alttext", "")
        parts = []
        annotation: Token | None = None
        for part in tokens(inner):
            if part.name.startswith("annotation"):
                annotation = None if part.closing else part
            elif part.name:
                continue
            elif annotation is None:
                parts.append(unescape(part.text))
            elif "x-tex" in annotation.attributes:
                tex = unescape(part.text)
        text = one_line(tex) or one_line(" ".join(parts))
        if text:
            self._nest.atom("code", f"<code>{escape(text)}</code>")

    # ------------------------------------------------------- what needs no writing

    def _nothing(self, token: Token) -> None:
        """Scripts, style sheets and form controls leave nothing."""

    def _preformatted(self, token: Token) -> None:
        self._nest.start("pre", "<pre>")
        self._nest.text(token.text.replace("&", "&amp;"))
        self._nest.end("pre")

    def _without_tags(self, token: Token) -> None:
        self._nest.start(token.name, None)


_SPECIAL: Final[dict[str, Callable[[_Sanitizer, Token], None]]] = {
    "a": _Sanitizer._link,  # noqa: SLF001 - this table belongs to the class
    "img": _Sanitizer._image,  # noqa: SLF001
    **dict.fromkeys(("embed", "frame", "iframe"), _Sanitizer._embed),  # noqa: SLF001
    **dict.fromkeys(("noembed", "noframes", "script", "style", "textarea", "title"), _Sanitizer._nothing),  # noqa: SLF001
    "noscript": _Sanitizer._without_tags,  # noqa: SLF001
    "xmp": _Sanitizer._preformatted,  # noqa: SLF001
}


def _tag(name: str, token: Token) -> str:
    """A start tag with those of its attributes that mean something in a letter."""
    if not token.attributes or token.attributes.isspace():
        return f"<{name}>"
    attrs = attributes(token.attributes)
    kept = {key: attrs[key] for key, fits in (*_ANYWHERE, *_ON.get(name, ())) if key in attrs and fits(attrs[key])}
    return "<" + name + "".join(f' {key}="{escape(value)}"' for key, value in kept.items()) + ">"


def _is_span(value: str) -> bool:
    return is_count(value, 100)


def _is_number(value: str) -> bool:
    return is_count(value.removeprefix("-"), 99_999)


def _one_of(*values: str) -> Callable[[str], bool]:
    return values.__contains__


_Checks = tuple[tuple[str, Callable[[str], object]], ...]
_ANYWHERE: Final[_Checks] = (("lang", _LANGUAGE.fullmatch), ("dir", _one_of("ltr", "rtl", "auto")))
_CELL: Final[_Checks] = (("colspan", _is_span), ("rowspan", _is_span), ("align", _one_of("left", "center", "right")))
_ON: Final[dict[str, _Checks]] = {
    "abbr": (("title", bool),),
    "li": (("value", _is_number),),
    "ol": (("start", _is_number), ("type", _one_of("1", "a", "A", "i", "I"))),
    "td": _CELL,
    "th": (*_CELL, ("scope", _one_of("row", "col"))),
    "time": (("datetime", _DATE.fullmatch),),
}


def _watchable(url: str) -> str:
    """The page where people watch what an embedded player's address plays."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removeprefix("www.")
    if host in ("youtube.com", "youtube-nocookie.com") and parts.path.startswith("/embed/"):
        video = parts.path.removeprefix("/embed/").strip("/")
        if video == "videoseries":
            return f"https://www.youtube.com/playlist?list={quote(parse_qs(parts.query).get('list', [''])[0])}"
        return f"https://www.youtube.com/watch?v={video}"
    if host == "player.vimeo.com" and parts.path.startswith("/video/"):
        return f"https://vimeo.com/{parts.path.removeprefix('/video/')}"
    return url

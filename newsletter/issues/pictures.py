"""Pictures in feed HTML: which are meant to be seen, and from where."""

import re
from urllib.parse import urlsplit

from newsletter.text import one_line
from newsletter.urls import safe_url

_NUMBER = re.compile(r"[0-9]{1,5}")
_LAZY_SOURCES = ("data-src", "data-original", "data-lazy-src", "data-lazyload", "data-hi-res-src")
_LAZY_SETS = ("srcset", "data-srcset", "data-lazy-srcset")
_PLACEHOLDER = re.compile(
    r"^data:|(?:blank|spacer|placeholder|transparent|loading|lazy)[^/]*\.(?:gif|png|svg)$", re.IGNORECASE
)
_COUNTERS = re.compile(
    r"//(?:pixel\.|b\.scorecardresearch\.|stats\.wordpress\.com|pixel\.wp\.com|feeds\.feedburner\.com/~r/"
    r"|[^/]*feedsportal\.com/|www\.google-analytics\.com|[^/]*\.doubleclick\.net|rss\.buysellads\.)",
)
_HIDDEN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?<![-\w])(?:width|height)\s*:\s*[0-2](?:px)?\s*(?:;|$)"
)
_LETTER_SIZED = re.compile(r"//s\.w\.org/images/core/emoji/|/smilies/|/twemoji/")
_WORDS = re.compile(r"\w+")
#: What says of a picture only that it is one, in the languages that content systems fill in by themselves.
_SAYS_NOTHING = re.compile(
    r"(?:(?:the|a|an|my|this|article|blog|cover|default|featured|header|hero|lead|main|post|preview|teaser|title)\s+)*"
    r"(?:alt(?:\s+text)?|artwork|banner|cover|figure|graphic|icon|illustration|images?|img|none|null|photo(?:graph)?s?|pic"
    r"(?:ture)?s?|screen\s*shot|thumb(?:nail)?|undefined|untitled|bild|foto|grafik|imagem|imagen|obraz|zdjęcie|изображение"
    r"|фото|зображення|תמונה|صورة|图片|圖片|画像|写真)(?:\s+(?:alt|description|of|text))?(?:\s+(?:no\s+)?\d+)?"
)
_FILE = re.compile(
    r".*\.(?:avif|bmp|gif|heic|jpe?g|png|svg|tiff?|webp)|.*://\S+|\S*[-_]?\d+x\d+"
    r"|(?:img|dsc[nf]?|dji|gopr|mvimg|p\d|pxl|screenshot|screen shot|vid|whatsapp image)[ _-]?\d[\w .:()-]*|[0-9a-f_-]{8,}"
    r"|(?=\S*\d)[\w.-]+_[\w.-]+"
)
_WANTED_WIDTH = 600
_LONGEST_ADDRESS = 2000


def is_count(value: str | None, limit: int) -> bool:
    """Whether an attribute is a whole number from 1 to `limit`."""
    return value is not None and _NUMBER.fullmatch(value) is not None and 0 < int(value) <= limit


def stands_for_letter(source: str) -> bool:
    """Whether a picture only draws a character that its `alt` holds: an emoji."""
    return _LETTER_SIZED.search(source) is not None


def telling_alt(alt: str, title: str) -> str:
    """The words that stand for a picture beside a title, or "" where they tell nothing that the title does not.

    Many systems fill them in by themselves: with the name of the file, with the
    title once more, or with "image".
    """
    alt = one_line(alt)
    small = alt.casefold()
    words = _WORDS.findall(small.replace("_", " "))
    if not re.search(r"[^\W\d_]", alt) or words == _WORDS.findall(title.casefold().replace("_", " ")):
        return ""
    return "" if _FILE.fullmatch(small) or _SAYS_NOTHING.fullmatch(" ".join(words)) else alt


def is_pixel(attrs: dict[str, str]) -> bool:
    """Whether a picture is there to count readers, or is not to be seen at all."""
    if "hidden" in attrs or _HIDDEN.search(attrs.get("style", "").lower()):
        return True
    if any(attrs.get(side, "").removesuffix("px").strip() in ("0", "1", "2") for side in ("width", "height")):
        return True
    return bool(_COUNTERS.search(attrs.get("src", "")))


def best_source(attrs: dict[str, str]) -> str:
    """Which of a picture's addresses is the real one; lazy loading hides it in other attributes."""
    source = attrs.get("src", "").strip()
    if source and not _PLACEHOLDER.search(source[:2000]):
        return source
    for name in _LAZY_SOURCES:
        if attrs.get(name):
            return attrs[name]
    for name in _LAZY_SETS:
        found = _from_set(attrs.get(name, ""))
        if found:
            return found
    return source


def _from_set(srcset: str) -> str:
    """The smallest picture of a `srcset` that is wide enough, else the widest."""
    widths = {}
    for part in srcset[:10_000].split(","):
        address, _, size = part.strip().partition(" ")
        digits = size.strip().rstrip("wx")
        width = int(digits) if size.endswith("w") and is_count(digits, 99_999) else _WANTED_WIDTH
        if address:
            widths[address] = width
    enough = {address: width for address, width in widths.items() if width >= _WANTED_WIDTH}
    if enough:
        return min(enough, key=lambda address: enough[address])
    return max(widths, key=lambda address: widths[address], default="")


def picture_url(url: str | None, base: str | None) -> str | None:
    """The address of a picture as a letter may carry it: https, on the usual port, or None.

    Plain http is asked for as https: mail clients show a warning otherwise, and
    practically every host answers to both.
    """
    safe = safe_url(url, base)
    if safe is None or len(safe) > _LONGEST_ADDRESS:
        return None
    try:
        parts = urlsplit(safe)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme == "http" and port in (None, 80):
        parts = parts._replace(scheme="https", netloc=parts.netloc.removesuffix(":80"))
    return parts.geturl() if parts.scheme == "https" and "@" not in parts.netloc else None


def fetchable_url(url: str | None, base: str | None) -> str | None:
    """The address of a picture as we ask for it ourselves, to embed it; or None.

    Plain http stays what it is where its port says that no https is to be had
    instead: no reader's mail program sees the address.
    """
    usual = picture_url(url, base)
    if usual is not None:
        return usual
    safe = safe_url(url, base)
    if safe is None or len(safe) > _LONGEST_ADDRESS:
        return None
    try:
        parts = urlsplit(safe)
        has_own_port = parts.port not in (None, 80)
    except ValueError:
        return None
    return safe if parts.scheme == "http" and has_own_port and "@" not in parts.netloc else None

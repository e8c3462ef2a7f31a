"""What feeds write into their fields, brought into the forms `Entry` promises.

Every function takes whatever stands in a hostile document and takes time in
proportion to its length.
"""

import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from time import struct_time

from newsletter.text import one_line
from newsletter.urls import safe_url

TITLE_LIMIT = 10_000
TEXT_LIMIT = 500_000
URL_LIMIT = 4_000
GUID_LIMIT = 1_000
NAME_LIMIT = 200
LANGUAGE_LIMIT = 35
MAX_TAGS = 50
MAX_ENCLOSURES = 20
MAX_ENTRIES = 5_000
# What neither SQLite nor PostgreSQL can hold as text.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SCRIPT = re.compile(r"<(script|style)\b[^<>]*>[^<]*</\1\s*>", re.IGNORECASE)
_MARKUP = re.compile(r"<(?:/?([a-z][a-z0-9]*)|!)[^<>]*>", re.IGNORECASE)
# Elements that part words; the others (b, sub, span) stand inside them.
_BREAKS = frozenset(
    [
        "br",
        "p",
        "div",
        "li",
        "td",
        "th",
        "tr",
        "hr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
        "table",
        "section",
        "article",
        "pre",
    ]
)
# Numbers past the last code point; `html.unescape` fails on those of thousands of digits.
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{7,});?")
_REFERENCE = re.compile(r"&(?:#[0-9]{2,7}|#[xX][0-9a-fA-F]{2,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")
_OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
# Far beyond any announced event, and short of where a time zone overflows the calendar.
_LATEST = datetime(2999, 1, 1, tzinfo=UTC)


def storable(text: str, limit: int = TEXT_LIMIT) -> str:
    """Text as the feed gave it, but for its length and for characters no database holds."""
    text = text[:limit]
    if "\0" not in text:
        try:
            # Many times faster than looking at each character, and nearly always enough.
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return _UNSTORABLE.sub("\ufffd", text)


def unescape(text: str) -> str:
    """Resolve HTML character references, whatever numbers they name."""
    return html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))


def has_references(text: str) -> bool:
    """Whether text that should be plain has been written as HTML (`AT&amp;T`)."""
    return _REFERENCE.search(text[:TITLE_LIMIT]) is not None


def title_text(text: str, *, is_html: bool) -> str:
    """A title, name or tag as one line of plain text.

    Args:
        text: what the feed has in the field.
        is_html: whether that is HTML, of which the text is taken, or already text.
    """
    text = text[: 4 * TITLE_LIMIT]
    if is_html:
        text = _MARKUP.sub(_space, _SCRIPT.sub(" ", text))
        text = unescape(text)
    return one_line(text, TITLE_LIMIT)


def _space(tag: re.Match[str]) -> str:
    return " " if (tag[1] or "").lower() in _BREAKS else ""


def html_from_text(text: str) -> str:
    """Plain text as HTML that shows the same, paragraphs and line ends included."""
    text = text[:TEXT_LIMIT].replace("\r\n", "\n").replace("\r", "\n").strip()
    if not text:
        return ""
    escaped = html.escape(text, quote=False)
    if "\n" not in escaped:
        return escaped
    paragraphs = [part.strip().replace("\n", "<br>\n") for part in escaped.split("\n\n")]
    return "\n".join(f"<p>{part}</p>" for part in paragraphs if part)


def guid_text(value: object) -> str:
    """An entry's identifier; one too long to keep is replaced by its hash."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    text = storable(str(value).strip(), TEXT_LIMIT)
    if len(text) <= GUID_LIMIT:
        return text
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def link(value: object, base: str) -> str | None:
    """An absolute address that is safe to write, or None."""
    if not isinstance(value, str) or len(value) > URL_LIMIT:
        return None
    found = safe_url(_UNSTORABLE.sub("", value), base)
    return found if found and len(found) <= 3 * URL_LIMIT else None


def language_tag(value: object) -> str | None:
    """A language tag in the letters the feed wrote it in (BCP 47 in form), or None."""
    if not isinstance(value, str) or len(value) > LANGUAGE_LIMIT:
        return None
    tag = value.strip().replace("_", "-")
    return tag if _LANGUAGE.fullmatch(tag) else None


def names(values: list[str]) -> tuple[str, ...]:
    """Tags or authors: each once, in their order, and not without end."""
    lines = [one_line(unescape(value[:TITLE_LIMIT]), NAME_LIMIT) for value in values[: 4 * MAX_TAGS]]
    return tuple(dict.fromkeys(line for line in lines if line))[:MAX_TAGS]


def date(text: object, parsed: object = None) -> datetime | None:
    """A point in time, UTC; None for what is missing, unreadable, or of no use (before 1990).

    Args:
        text: the date as the feed wrote it; without a zone it counts as UTC.
        parsed: what feedparser made of it (UTC), for the many forms only it reads; or the moment it is.
    """
    found = parsed if isinstance(parsed, datetime) else None
    text = text.strip() if isinstance(text, str) and len(text) <= NAME_LIMIT else ""
    try:
        if found is None and _ISO_DATE.match(text):
            # Read here first: feedparser drops fractions of seconds.
            found = datetime.fromisoformat(text.upper())
    except ValueError:
        found = None
    try:
        if found is None and isinstance(parsed, struct_time):
            found = datetime(*parsed[:6], tzinfo=UTC)
        elif found is None and text:
            found = parsedate_to_datetime(text)
        if found is None:
            return None
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if _OLDEST <= found < _LATEST else None


def newest(dates: Sequence[datetime | None]) -> list[int]:
    """Which entries of a document to keep, as positions in its order.

    All of them but in a document of more than `MAX_ENTRIES`: there the newest,
    and of the undated (which count as older) the first.
    """
    order = sorted(range(len(dates)), key=lambda at: dates[at] or _OLDEST, reverse=True)
    return sorted(order[:MAX_ENTRIES])

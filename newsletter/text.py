"""Plain-text hygiene: what feeds, files and servers call text, made safe to show; and figures in words.

Used wherever text from outside becomes a title, a name, a header or a line on a
screen.
"""

import re
import unicodedata

#: C0 and C1 controls, DEL, line and paragraph separators, surrogates and
#: non-characters: none of them belongs in one line of text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
#: Direction overrides, embeddings, isolates and marks (UAX #9): they can reorder
#: what follows a title.  U+200E/U+200F are harmless alone but useless here.
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SPACE = re.compile(r"\s+")
#: What stands before the host of a web address, and parameters whose values let somebody in.
_LOGIN = re.compile(r"(?<=://)[^\s/?#]*@")
_KEY = re.compile(r"(?i)(?<=[?&])([\w-]*(?:key|token|secret|passw|auth|sig|session)[\w-]*=)[^\s&#]+")
_MAILBOX = re.compile(r"([^\s<>()\"',;:/?&=@])[^\s<>()\"',;:/?&=@]{0,80}?(@|%40)([^\s<>()\"',;:/?&=@]+)")


def one_line(text: str, limit: int | None = None) -> str:
    """Make `text` one line without control or direction characters.

    Runs of white space become one blank.  Text longer than `limit` characters
    is cut at a word where one is near, and ends in "…".
    """
    # Nearly always there is nothing to do: what is printable has no control or direction character, no space but " ".
    if not text.isprintable() or "  " in text or text[:1] == " " or text[-1:] == " ":
        text = _SPACE.sub(" ", _UNPRINTABLE.sub(" ", _BIDI.sub("", text))).strip()
    if limit is None or len(text) <= limit:
        return text
    cut = text[: limit - 1]
    head, space, _ = cut.rpartition(" ")
    return (head if space and len(head) > limit // 2 else cut).rstrip(" ,;:-") + "…"


def multi_line(text: str) -> str:
    """Keep line breaks (as LF) and tabs; drop every other control character."""
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in "\n\t" or not _UNPRINTABLE.match(c))


def masked(text: str) -> str:
    """Leave out of a text for a log who is meant and what lets one in.

    `grace@example.com` becomes `g***@example.com`; a login and keys in a web
    address become `***`.
    """
    if "@" in text or "%40" in text:
        text = _LOGIN.sub("***@", _MAILBOX.sub(r"\1***\2\3", text))
    return _KEY.sub(r"\1***", text) if "=" in text else text


def slug(text: str, limit: int = 60) -> str:
    """Reduce `text` to lower-case ASCII letters, digits and hyphens, for file and list names."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:limit].rstrip("-")


def fold(text: str) -> str:
    """What two titles share that a person would call the same: case, accents and spacing aside."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return _SPACE.sub(" ", "".join(c for c in decomposed if not unicodedata.combining(c))).strip()


def per_second(rate: float) -> str:
    """How many a second: `41/s`, `3.2/s`."""
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"  # noqa: PLR2004 - two digits are enough


def duration(seconds: float) -> str:
    """Roughly how long: `45 s`, `12 min`, `3 h 20 min`."""
    whole = max(round(seconds), 1)
    if whole < 100:  # noqa: PLR2004
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 100:  # noqa: PLR2004
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"

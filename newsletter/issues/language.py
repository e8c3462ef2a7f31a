"""Languages: tags as feeds write them, direction of text, dates as people write them."""

import re
import unicodedata
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Final, Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.units import format_unit
from markupsafe import Markup

#: RFC 5646 §2.1, as far as feeds use it.
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,4}")
_RIGHT_TO_LEFT: Final = frozenset(
    ("ar", "arc", "ckb", "dv", "fa", "he", "iw", "ji", "ks", "ps", "sd", "syr", "ug", "ur", "yi")
)
_RIGHT_TO_LEFT_SCRIPTS: Final = frozenset(("adlm", "arab", "hebr", "nkoo", "syrc", "thaa"))
_LETTERS_ENOUGH: Final = 8
_SAMPLE: Final = 2_000
_STEP: Final = 1000


def language_tag(tag: str | None) -> str | None:
    """A language tag fit for a `lang` attribute ("en_us" becomes "en-us"), or None where it names none."""
    tag = (tag or "").strip().replace("_", "-")
    if not _TAG.fullmatch(tag) or tag.lower() in ("und", "mis", "mul", "zxx"):
        return None
    return tag


def language_name(tag: str) -> str:
    """What a language is called by those who speak it; the tag where that is not known."""
    return locale_of(tag).display_name or tag


def direction(language: str, sample: str = "") -> str:
    """In which direction a text runs: "ltr" or "rtl".

    The letters of `sample` decide where there are enough of them: many feeds
    say "en-US" only because nobody changed the setting.
    """
    right = left = 0
    for character in sample[:_SAMPLE]:
        kind = unicodedata.bidirectional(character)
        right += kind in ("R", "AL")
        left += kind == "L"
    if right + left >= _LETTERS_ENOUGH:
        return "rtl" if right > left else "ltr"
    subtags = language.lower().split("-")
    if len(subtags) > 1 and subtags[1] in _RIGHT_TO_LEFT_SCRIPTS:
        return "rtl"
    return "rtl" if subtags[0] in _RIGHT_TO_LEFT else "ltr"


@lru_cache(maxsize=64)
def locale_of(language: str) -> Locale:
    """The locale nearest to a language tag; English where there is none."""
    try:
        return Locale.parse(language, sep="-")
    except (ValueError, TypeError, UnknownLocaleError):
        if "-" in language:
            return locale_of(language.partition("-")[0])
        return Locale("en")


def long_date(moment: datetime, language: str, zone: tzinfo) -> str:
    """A day with its weekday, as a masthead has it: "Monday, 2 March 2026"."""
    return format_date(moment.astimezone(zone), "full", locale=locale_of(language))


def short_date(moment: datetime, language: str, zone: tzinfo) -> str:
    """A day as a line below a title has it: "2 Mar 2026"."""
    return format_date(moment.astimezone(zone), "medium", locale=locale_of(language))


def date_and_time(moment: datetime, language: str, zone: tzinfo) -> str:
    """A day and a time: "2 Mar 2026, 07:00"."""
    return format_datetime(moment, "short", tzinfo=zone, locale=locale_of(language))


def file_size(size: int, language: str) -> str:
    """A number of bytes as people say it: "12 MB", "12 Mo"."""
    number, unit = float(size), "byte"
    for larger in ("kilobyte", "megabyte", "gigabyte"):
        if number < _STEP:
            break
        number, unit = number / _STEP, larger
    digits = "#,##0.0" if unit == "gigabyte" else "#,##0"
    length: Literal["long", "short"] = "long" if unit == "byte" else "short"
    return format_unit(number, f"digital-{unit}", length, format=digits, locale=locale_of(language))


def isolated(around: str, text: object, *, html: bool) -> str:
    """A text within another, so that neither turns the other round (UAX #9 §2.4).

    Args:
        around: the direction of the text that it stands in, "ltr" or "rtl".
        text: what stands there.
        html: mark it as HTML; in plain text the marks stand only where the directions differ.
    """
    if html:
        return Markup("<bdi>{}</bdi>").format(text)
    inner = next((kind for c in str(text) if (kind := unicodedata.bidirectional(c)) in ("L", "R", "AL")), "")
    differs = bool(inner) and (inner == "L") == (around == "rtl")
    return f"\u2068{text}\u2069" if differs else str(text)

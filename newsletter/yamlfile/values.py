"""What a value in a YAML file means, and whether it is what was meant.

YAML reads `no`, `12:30` and `2026` as a truth value, 750 and a number.  Where
text belongs, such a value is refused with the advice to quote it; so is one that
only other versions of YAML misread (`1e3`, `0o17`).
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from newsletter.text import one_line

_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(
    r"[-+]?(?:[0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18}|[0-9]{1,18}(?=[eE]))(?:[eE][-+]?[0-9]{1,2})?", re.ASCII
)
# YAML 1.1 (yaml.org/type) and the core schema of 1.2: hexadecimal, octal, binary,
# underscores, base 60, infinity, exponents without a point.
_NUMBER = re.compile(
    r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r"|\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
    re.ASCII,
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9:.]+[ \t]*(?:Z|[-+][0-9:]+)?)?", re.ASCII)
#: What the first character of any value that is not text can be.
_SUSPECT = frozenset("~nNtTfFoOyY-+.0123456789<=")


_COMPARED = 200


@dataclass(frozen=True, slots=True)
class Unclear:
    """A value that is neither text nor a plain number, such as a date or `0x1F`."""

    written: str


Plain = str | int | float | bool | Unclear | None


def meaning(value: str) -> Plain:
    """What an unquoted scalar means in YAML.

    Returns:
        The text itself, or the truth value, number or nothing that YAML takes it for.
    """
    if value and value[0] not in _SUSPECT:
        return value
    if value in _NULL:
        return None
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    return _number(value)


def _number(value: str) -> Plain:
    if _WHOLE.fullmatch(value):
        return int(value)
    if _DECIMAL.fullmatch(value):
        return float(value)
    if value in ("<<", "=") or _NUMBER.fullmatch(value) or _DATE.fullmatch(value):
        return Unclear(value)
    return value


def not_text(value: str) -> str | None:
    """Why an unquoted scalar is not text, with the way out; None where it is."""
    if value and value[0] not in _SUSPECT:
        return None
    found = meaning(value)
    if isinstance(found, str):
        return None
    if found is None and not value:
        return "is empty"
    if found is None:
        what = "nothing at all"
    elif isinstance(found, bool):
        what = "yes or no"
    elif isinstance(found, Unclear) and (_DATE.fullmatch(value) or value in ("<<", "=")):
        what = "a date" if _DATE.fullmatch(value) else "a sign of its own"
    else:
        what = "a number"
    return f'{value} means {what} in YAML: quote it if it is text: "{value}"'


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    # Comparing costs the product of the lengths.
    by_fold = {name[:_COMPARED].casefold(): name for name in known}
    found = difflib.get_close_matches(word[:_COMPARED].casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: the nearest known one, or nothing."""
    found = nearest(word, known)
    return "" if found is None else f": did you mean {one_line(found, 200)}?"


@lru_cache(maxsize=1024)
def language_tag(text: str) -> str:
    """Check a language tag (BCP 47) and write it as RFC 5646 §2.1.1 does: zh-Hant-TW.

    Raises:
        ValueError: saying what is wrong; only languages that dates can be written in are known.
    """
    from babel import Locale, UnknownLocaleError

    if not re.fullmatch(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}", text, re.ASCII):
        fixed = text.strip().replace("_", "-").partition(".")[0]
        hint = (
            f": write {fixed}"
            if fixed != text and re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", fixed)
            else ""
        )
        raise ValueError(f"{one_line(text, 60)!r} is not a language tag such as en or pt-BR{hint}")
    try:
        Locale.parse(text, sep="-")
    except (UnknownLocaleError, ValueError) as error:
        base = text.partition("-")[0]
        try:
            Locale.parse(base)
        except (UnknownLocaleError, ValueError):
            raise ValueError(f"{text!r} is not a language we know") from error
        raise ValueError(f"{text!r} is not a language we know: did you mean {base.lower()}?") from error
    first, *rest = text.split("-")
    return "-".join((first.lower(), *map(_subtag, rest)))


@lru_cache(maxsize=1024)
def time_zone(text: str) -> str:
    """Check the name of a time zone (IANA), such as Europe/Berlin.

    Raises:
        ValueError: saying what is wrong, with a near miss where there is one.
    """
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        known = available_timezones()
        place = {name.rpartition("/")[2]: name for name in sorted(known)}
        guess = place.get(text.strip().replace(" ", "_").title())
        hint = f": did you mean {guess}?" if guess else did_you_mean(text, known)
        raise ValueError(f"{one_line(text, 60)!r} is not a time zone such as Europe/Berlin{hint}") from error
    return text


def _subtag(part: str) -> str:
    """A script (Hant), a region (TW), or anything else."""
    if re.fullmatch("[A-Za-z]{4}", part):
        return part.title()
    return part.upper() if re.fullmatch("[A-Za-z]{2}", part) else part.lower()

"""The fixed words of a letter in the reader's language.

The catalogs are gettext's `.po` files, `catalogs/TAG.po` beside this module, read
as they are: there is no compiled form to forget.  A message's id is its English
text, so what a catalog lacks comes out in English.
"""

from dataclasses import dataclass
from functools import lru_cache
from gettext import GNUTranslations
from importlib.resources import files
from io import BytesIO, StringIO
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from newsletter.issues.language import language_tag

#: What is left where no language of a reader is spoken here: the language of the ids.
LAST_RESORT: Final = "en"
_CATALOGS: Final = files("newsletter.issues") / "catalogs"
_SCRIPT_LENGTH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The fixed words in one language; `language` is what a `lang` attribute may call them."""

    language: str
    catalog: GNUTranslations

    def one(self, message: str) -> str:
        """A message in this language."""
        # The empty id is that of a catalog's header.
        return self.catalog.gettext(message) if message else ""

    def many(self, singular: str, plural: str, number: int) -> str:
        """The form of a message that goes with a number."""
        return self.catalog.ngettext(singular, plural, number)


def words_in(*languages: str | None) -> Words:
    """The words in the first of these languages that has a catalog, else in English."""
    found = next((words for tag in languages if (words := spoken(tag)) is not None), None)
    return found or Words(language=LAST_RESORT, catalog=_catalog(LAST_RESORT))


@lru_cache(maxsize=256)
def spoken(language: str | None) -> Words | None:
    """The words in a language, or None where there is no catalog for it.

    Subtags are left off from the end until there is a catalog (RFC 4647 §3.4):
    "pt-BR" is served by `pt`, "zh-TW" by `zh-Hant`.  The region stays in the
    result's `language`, for it decides how dates are written; a script that the
    words are not in does not.
    """
    tag = language_tag(language)
    locale = _locale(tag) if tag else None
    if locale is None:
        return None
    for name in (f"{locale.language}-{locale.script}", locale.language):
        if name not in languages():
            continue
        # Words in another script than was asked for are called by what they are.
        region = locale.territory if _script(locale) == _script(Locale.parse(name, sep="-")) else None
        spelled = f"{name}-{region}" if region in (tag or "").upper().split("-") else name
        return Words(language=spelled, catalog=_catalog(name))
    return None


@lru_cache(maxsize=1)
def languages() -> tuple[str, ...]:
    """The tags of all catalogs, in order."""
    return tuple(
        sorted(name.removesuffix(".po") for entry in _CATALOGS.iterdir() if (name := entry.name).endswith(".po"))
    )


def read_catalog(text: str) -> GNUTranslations:
    """Make a `.po` file's text a catalog that answers.

    Raises:
        babel.messages.pofile.PoFileError: it is none.
    """
    compiled = BytesIO()
    write_mo(compiled, read_po(StringIO(text), abort_invalid=True))
    compiled.seek(0)
    return GNUTranslations(compiled)


@lru_cache(maxsize=64)
def _catalog(name: str) -> GNUTranslations:
    return read_catalog((_CATALOGS / f"{name}.po").read_text(encoding="utf-8"))


def _locale(tag: str) -> Locale | None:
    """What is known of a language: its usual name ("iw" is "he") and script."""
    try:
        return Locale.parse(tag, sep="-")
    except (ValueError, TypeError, UnknownLocaleError):
        shorter = tag.rpartition("-")[0]
        return _locale(shorter) if shorter else None


def _script(locale: Locale) -> str | None:
    """The script a language is written in, said or not."""
    likely: str = get_global("likely_subtags").get(locale.language, "")
    return locale.script or next((part for part in likely.split("_")[1:] if len(part) == _SCRIPT_LENGTH), None)

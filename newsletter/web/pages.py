"""The pages' HTML and the words of our mails, in the reader's language."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property, partial
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from newsletter import __version__
from newsletter.issues.language import direction, isolated, language_name, long_date, short_date
from newsletter.issues.words import Words, languages, words_in
from newsletter.web.site import Site

#: A browser says a handful; more is not read.
_MOST_LANGUAGES: Final = 10
_LONGEST_HEADER: Final = 500


class Pages:
    """Writes pages and mails.

    Args:
        site: the project.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._zone = ZoneInfo(site.timezone)
        # In the page itself and known by its hash: nothing else that could be put into a page is a style.
        self.style = (files("newsletter.web") / "pages" / "style.css").read_text(encoding="utf-8")
        digest = b64encode(sha256(self.style.encode()).digest()).decode("ascii")
        self.policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        )
        self._environment = Environment(
            loader=PackageLoader("newsletter.web", "pages"),
            autoescape=select_autoescape(["html.j2"]),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Stands for the templates of the pages: another one, other pages."""
        folder = files("newsletter.web") / "pages"
        texts = sorted((file.name, file.read_bytes()) for file in folder.iterdir() if file.is_file())
        return sha256(repr((__version__, texts)).encode()).hexdigest()

    # --------------------------------------------------------------------------- words

    def words(self, *wanted: str | None) -> Words:
        """The words in the first of these languages that is spoken here, else in the project's."""
        return words_in(*wanted, self._site.language)

    def accepted(self, header: str) -> Words:
        """The words in the language that a browser likes best (RFC 9110 §12.5.4)."""
        return self.words(*accepted_languages(header))

    def choices(self, current: str | None) -> list[tuple[str, str, bool]]:
        """The languages that may be chosen: tag, own name, and whether it is the current one."""
        known = offered(current, self._site.language)
        named = sorted((language_name(tag).capitalize(), tag) for tag in languages())
        return [(tag, name, tag == known) for name, tag in named]

    # --------------------------------------------------------------------------- pages

    def page(self, name: str, words: Words, **values: Any) -> str:
        """One page as HTML; with a `stylesheet` it has its style from there, and says itself what it may do."""
        site = self._site
        context = {
            **self._context(words, html=True),
            "style": Markup(self.style),  # noqa: S704 - our own file
            "stylesheet": None,
            "home": f"{site.prefix}/",
            **values,
        }
        return self._environment.get_template(name).render(context)

    def mail(self, name: str, words: Words, **values: Any) -> str:
        """One mail as text: its subject is the first line."""
        return self._environment.get_template(name).render(self._context(words, html=False) | values)

    def _context(self, words: Words, *, html: bool) -> dict[str, Any]:
        around = direction(words.language)
        return {
            "site": self._site,
            "language": words.language,
            "dir": around,
            "_": partial(_said, words.one, around, html=html),
            "ngettext": partial(_counted, words, around, html=html),
            "date": lambda moment: long_date(moment, words.language, self._zone),
            "short_date": lambda moment: short_date(moment, words.language, self._zone),
        }

    def iso(self, moment: datetime) -> str:
        """A moment for machines, in the project's time zone (RFC 3339)."""
        return moment.astimezone(self._zone).isoformat(timespec="seconds")


def offered(*wanted: str | None) -> str:
    """The language that stands for these where one is chosen: the nearest that is spoken here, without its region."""
    tag = words_in(*wanted).language
    return tag if tag in languages() else tag.rpartition("-")[0]


def _said(one: Callable[[str], str], around: str, message: str, *, html: bool, **values: object) -> str:
    return _filled(one(message), around, values, html=html)


def _counted(words: Words, around: str, singular: str, plural: str, n: int, *, html: bool) -> str:
    return _filled(words.many(singular, plural, n), around, {"n": n}, html=html)


def _filled(text: str, around: str, values: Mapping[str, object], *, html: bool) -> str:
    """A message with values in it, each kept from turning the words around it the other way."""
    kept = {
        name: value if isinstance(value, int) else isolated(around, value, html=html) for name, value in values.items()
    }
    return (escape(text) if html else text) % kept


def accepted_languages(header: str) -> list[str]:
    """The tags of an Accept-Language header, the best first; what cannot be read is left out."""
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(header[:_LONGEST_HEADER].split(",")[:_MOST_LANGUAGES]):
        tag, _, parameter = part.partition(";")
        try:
            weight = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if tag.strip() and weight > 0:
            weighed.append((-weight, place, tag.strip()))
    return [tag for _, _, tag in sorted(weighed)]

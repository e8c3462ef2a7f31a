"""Past issues on the web: each as a page without anything personal, a list of them, and an Atom feed.

What is frozen does not change, so a page is made once and kept for a while; an
issue that is cancelled is gone from here at once.  The archive as files
(`web.still`) is made of the same pieces.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Final

from newsletter.issues.illustrate import standalone
from newsletter.issues.merge import PersonalUrls, Urls, fill, fill_subject, merge_values
from newsletter.issues.words import Words
from newsletter.model import Consumed, Disposition, Issue, IssueState, Rendering, StoredEntry, Subscriber
from newsletter.text import one_line
from newsletter.web.pages import Pages
from newsletter.web.ports import Past
from newsletter.web.site import Site
from newsletter.web.syndication import ATOM_TYPE, IN_FEED, Channel, atom, item

#: Issues on a page of the archive.
PER_PAGE: Final = 50
_KEPT: Final = 32
#: Who a web copy is for: a template that names its reader says this.
_NOBODY: Final = Subscriber(email="…", wire_email="", key="")

#: A letter has style attributes, and pictures elsewhere or in itself; nothing in it may act.
LETTER_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; base-uri 'none'; form-action 'none'"
)
#: What only a header can say comes on top where the page is served.
COPY_POLICY: Final = (
    f"{LETTER_POLICY}; "
    "frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An issue in a list, and where its page is."""

    issue: Issue
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Issues of a digest, newest first; `href` is its own page where this is not it, `older` where the others are."""

    title: str
    rows: tuple[Row, ...]
    href: str = ""
    older: str = ""


def shown_issues(past: Past, digest: str | None = None) -> list[Issue]:
    """The issues that everybody may see, newest first."""
    return [one for one in past.issues(digest) if one.state is not IssueState.cancelled]


def for_nobody(issue: Issue, rendering: Rendering, urls: PersonalUrls) -> Rendering:
    """A rendering with nothing personal left in it: its fields are filled in for nobody, with these addresses."""
    values = merge_values(rendering.fields, _NOBODY) | {
        "unsubscribe_url": urls.unsubscribe_url,
        "preferences_url": urls.preferences_url,
        "view_url": urls.view_url,
    }
    token = issue.envelope.merge_token
    return Rendering(
        key=rendering.key,
        language=rendering.language,
        subject=fill_subject(rendering.subject, token, values),
        html=fill(rendering.html, token, values),
        text=fill(rendering.text, token, values),
        markdown=fill(rendering.markdown, token, values),
        fields=(),
    )


def issue_page(issue: Issue, rendering: Rendering, past: Past, pages: Pages) -> str:
    """An issue as a page that stands by itself.

    Args:
        issue: frozen.
        rendering: one of its, with nothing personal in it (`for_nobody`).
        past: the store.
        pages: the words around it.
    """
    html = standalone(rendering.html, past.pictures(issue.id))
    missing = _missing(html, past.issue_entries(issue.id))
    if not missing:
        return html
    return before_end(html, pages.page("more.html.j2", pages.words(rendering.language), entries=missing))


def before_end(html: str, more: str) -> str:
    """A page with something more at its end."""
    head, end, tail = html.rpartition("</body>")
    return f"{head}{more}{end}{tail}" if end else html + more


def _missing(html: str, used: Sequence[tuple[StoredEntry, Consumed]]) -> list[tuple[str, str | None]]:
    """The entries that the size of a mail has left no room for: nothing of an issue is lost."""
    there = unescape(html)
    return [
        (one_line(stored.entry.title, 300) or stored.entry.url or "", stored.entry.url)
        for stored, consumed in used
        if consumed.disposition in (Disposition.shown, Disposition.headline)
        and (stored.entry.url or stored.entry.title) not in there
        and one_line(stored.entry.title) not in there
    ]


class Copies:
    """Past issues.  Its methods may block.

    Args:
        site: the project.
        past: the store.
        pages: the words around an issue.
    """

    def __init__(self, site: Site, past: Past, pages: Pages) -> None:
        self._site = site
        self._past = past
        self._pages = pages
        self._made: OrderedDict[tuple[int, str], str] = OrderedDict()

    def shelf(self, digest: str, before: int | None) -> Shelf:
        """The issues of a digest with a lower number than this, as many as fit on a page."""
        found = [one for one in shown_issues(self._past, digest) if before is None or one.number < before]
        page = found[:PER_PAGE]
        home = f"{self._site.prefix}/i/{digest}"
        return Shelf(
            title=self._site.title_of(digest),
            rows=tuple(Row(issue=one, href=f"{home}/{one.number}") for one in page),
            older=f"{home}?before={page[-1].number}" if len(found) > len(page) else "",
        )

    def listed(self, digest: str, before: int | None, words: Words) -> str:
        """The same as a page."""
        shelf = self.shelf(digest, before)
        prefix = self._site.prefix
        return self._pages.page(
            "archive.html.j2",
            words,
            title=shelf.title,
            shelves=(shelf,),
            feeds=((ATOM_TYPE, f"{prefix}/i/{digest}/atom.xml"),),
            years=(),
            ways=(),
            subscribe=f"{prefix}/",
        )

    def copy(self, digest: str, number: int, words: Words) -> str | None:
        """An issue as a page, in the nearest of the languages it was written in; None if there is none."""
        issue = self._past.issue(number, digest)
        if issue is None or issue.state is IssueState.cancelled:
            return None
        versions = self._past.neutral_keys(issue.id)
        if not versions:
            return None
        key = _nearest(versions, words, issue.envelope.language)
        kept = self._made.get((issue.id, key))
        if kept is None:
            kept = self._make(issue, self._past.rendering(issue.id, key))
            self._made[issue.id, key] = kept
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return kept

    def _make(self, issue: Issue, rendering: Rendering) -> str:
        home = self._site.url("")
        own = self._site.url("i", issue.digest, str(issue.number))
        neutral = for_nobody(issue, rendering, Urls(unsubscribe_url=home, preferences_url=home, view_url=own))
        return issue_page(issue, neutral, self._past, self._pages)

    def feed(self, digest: str) -> str:
        """The last issues of a digest as an Atom feed."""
        own = self._site.url("i", digest, "atom.xml")
        items = []
        for issue in shown_issues(self._past, digest)[:IN_FEED]:
            url = self._site.url("i", digest, str(issue.number))
            items.append(item(issue, self._past.issue_entries(issue.id), id_=url, url=url))
        return atom(
            Channel(
                id=own,
                own=own,
                page=self._site.url("i", digest),
                title=self._site.title_of(digest),
                author=self._site.title,
                language=self._site.language,
                items=tuple(items),
            )
        )


def _nearest(versions: Mapping[str, str], words: Words, usual: str) -> str:
    """The key of the rendering in a reader's language, else in the issue's own."""
    wanted = words.language.partition("-")[0]

    def rank(key: str) -> tuple[bool, bool, str]:
        return (versions[key].partition("-")[0] != wanted, versions[key] != usual, key)

    return min(versions, key=rank)

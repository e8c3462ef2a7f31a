"""Past issues on the web: each as a page without anything personal, a list of them, and an Atom feed.

What is frozen does not change, so a page is made once and kept for a while; an
issue that is cancelled is gone from here at once.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape, unescape
from typing import Final

from newsletter.issues.illustrate import standalone
from newsletter.issues.merge import fill, merge_values
from newsletter.issues.words import Words
from newsletter.model import Consumed, Disposition, Issue, IssueState, Rendering, StoredEntry, Subscriber
from newsletter.text import one_line
from newsletter.web.pages import Pages
from newsletter.web.ports import Memory
from newsletter.web.site import Site

#: Issues on a page of the archive, and in the feed.
PER_PAGE: Final = 50
IN_FEED: Final = 20
_KEPT: Final = 32
_TITLES: Final = 10
#: Who a web copy is for: a template that names its reader says this.
_NOBODY: Final = Subscriber(email="…", wire_email="", key="")

#: A letter has style attributes, and pictures elsewhere or in itself; nothing in it may act.
COPY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A page of the archive, newest first; `older` is what the next page is before, None at the end."""

    issues: tuple[Issue, ...]
    older: int | None


class Copies:
    """Past issues.  Its methods may block.

    Args:
        site: the project.
        memory: the store.
        pages: the words around an issue.
    """

    def __init__(self, site: Site, memory: Memory, pages: Pages) -> None:
        self._site = site
        self._memory = memory
        self._pages = pages
        self._made: OrderedDict[tuple[int, str], str] = OrderedDict()

    def shelf(self, digest: str, before: int | None) -> Shelf:
        """The issues of a digest with a lower number than this, as many as fit on a page."""
        found = [one for one in self._shown(digest) if before is None or one.number < before]
        page = found[:PER_PAGE]
        return Shelf(issues=tuple(page), older=page[-1].number if len(found) > len(page) else None)

    def _shown(self, digest: str) -> list[Issue]:
        return [one for one in self._memory.issues(digest) if one.state is not IssueState.cancelled]

    def copy(self, digest: str, number: int, words: Words) -> str | None:
        """An issue as a page, in the nearest of the languages it was written in; None if there is none."""
        issue = self._memory.issue(number, digest)
        if issue is None or issue.state is IssueState.cancelled:
            return None
        rendering = _nearest(self._memory.renderings(issue.id), words, issue.envelope.language)
        kept = self._made.get((issue.id, rendering.key))
        if kept is None:
            kept = self._make(issue, rendering)
            self._made[issue.id, rendering.key] = kept
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
        return kept

    def _make(self, issue: Issue, rendering: Rendering) -> str:
        home = self._site.url("")
        values = merge_values(rendering.fields, _NOBODY) | {
            "unsubscribe_url": home,
            "preferences_url": home,
            "view_url": self._site.url("i", issue.digest, str(issue.number)),
        }
        html = fill(rendering.html, issue.envelope.merge_token, values)
        html = standalone(html, self._memory.pictures(issue.id))
        return self._completed(html, rendering, self._memory.issue_entries(issue.id))

    def _completed(self, html: str, rendering: Rendering, used: Sequence[tuple[StoredEntry, Consumed]]) -> str:
        """Add the entries that the size of a mail has left no room for: nothing of an issue is lost."""
        there = unescape(html)
        missing = [
            (one_line(stored.entry.title, 300) or stored.entry.url, stored.entry.url)
            for stored, consumed in used
            if consumed.disposition in (Disposition.shown, Disposition.headline)
            and (stored.entry.url or stored.entry.title) not in there
            and one_line(stored.entry.title) not in there
        ]
        if not missing:
            return html
        more = self._pages.page("more.html.j2", self._pages.words(rendering.language), entries=missing)
        head, end, tail = html.rpartition("</body>")
        return f"{head}{more}{end}{tail}" if end else html + more

    # --------------------------------------------------------------------------- Atom

    def feed(self, digest: str) -> str:
        """The last issues of a digest as an Atom feed (RFC 4287)."""
        shown = self._shown(digest)[:IN_FEED]
        own, page = self._site.url("i", digest, "atom.xml"), self._site.url("i", digest)
        title = self._site.title_of(digest)
        updated = shown[0].frozen_at.isoformat() if shown else "1970-01-01T00:00:00+00:00"
        lines = [
            '<?xml version="1.0" encoding="utf-8"?>',
            f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{_xml(self._site.language)}">',
            f"<id>{_xml(own)}</id><title>{_xml(title)}</title><updated>{updated}</updated>",
            f'<link rel="self" type="application/atom+xml" href="{_xml(own)}"/>',
            f'<link rel="alternate" type="text/html" href="{_xml(page)}"/>',
            f"<author><name>{_xml(self._site.title)}</name></author>",
            *(self._feed_entry(issue) for issue in shown),
            "</feed>",
        ]
        return "\n".join(lines) + "\n"

    def _feed_entry(self, issue: Issue) -> str:
        url = self._site.url("i", issue.digest, str(issue.number))
        entries = self._memory.issue_entries(issue.id)
        titles = [one_line(stored.entry.title, 200) for stored, used in entries if used.disposition in _CARRIED]
        summary = " · ".join(title for title in titles[:_TITLES] if title)
        return (
            f"<entry><id>{_xml(url)}</id><title>{_xml(issue.subject)}</title>"
            f"<updated>{issue.frozen_at.isoformat()}</updated>"
            f'<link rel="alternate" type="text/html" href="{_xml(url)}"/>'
            f'<summary type="text">{_xml(summary)}</summary></entry>'
        )


_CARRIED: Final = (Disposition.shown, Disposition.headline)


def _xml(text: str) -> str:
    """A text for XML: one line, without characters that XML does not have (XML 1.0 §2.2)."""
    return escape(one_line(text))


def _nearest(renderings: Sequence[Rendering], words: Words, usual: str) -> Rendering:
    """The rendering in a reader's language, else in the issue's own; those for nobody in particular first."""
    wanted = words.language.partition("-")[0]

    def rank(one: Rendering) -> tuple[bool, bool, bool, str]:
        spoken = one.language.partition("-")[0]
        return (":" in one.key, spoken != wanted, one.language != usual, one.key)

    return min(renderings, key=rank)

"""Which files the archive has, and what is in each.

    index.html                  all digests, each with its newest issues
    style.css
    i/daily/index.html          the issues of a digest: all, or those of the newest year
    i/daily/in-2025.html        those of another year, where there are many
    i/daily/12.html             an issue; 12.de.html in another language it was written in
    i/daily/12.md  12.eml       the same as Markdown, and as a message to nobody
    i/daily/atom.xml  feed.json
    entries/…                   the entries by day and source (`tree`)
    sitemap.xml  robots.txt     where the address is known

Where the public pages are served, an issue is at the same address without
`.html`, which most hosts take for the same file.  Links are relative.  Nothing
is made from the clock: the same memory gives the same bytes.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any, Final
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from newsletter.delivery.compose import Skeleton
from newsletter.delivery.related import picture_parts
from newsletter.issues.language import language_name
from newsletter.issues.merge import Urls
from newsletter.issues.words import Words
from newsletter.model import Format, Issue, Rendering
from newsletter.web.copies import (
    LETTER_POLICY,
    PER_PAGE,
    Row,
    Shelf,
    before_end,
    for_nobody,
    issue_page,
    shown_issues,
)
from newsletter.web.pages import Pages
from newsletter.web.ports import Past
from newsletter.web.site import Site
from newsletter.web.still.files import File, issue_name, made_of
from newsletter.web.syndication import ATOM_TYPE, IN_FEED, JSON_TYPE, Channel, atom, item, json_feed

#: Issues of each digest on the first page, where there are several digests.
_ON_FRONT: Final = 5
_HEAD_TAG: Final = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_FEEDS: Final = ((ATOM_TYPE, "atom.xml"), (JSON_TYPE, "feed.json"))
_HEAD: Final = (
    f'<meta http-equiv="Content-Security-Policy" content="{LETTER_POLICY}"><meta name="referrer" content="no-referrer">'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the archive is: its own address, and that of the public pages; "" for what is not known."""

    url: str = ""
    subscribe: str = ""
    leave: str = ""


class Still:
    """The pages of the archive.

    Args:
        site: the project.
        past: the store.
        place: where all this is.
        titles: what the digests are called that the memory has issues of, by name, in their order.
    """

    def __init__(self, site: Site, past: Past, place: Place, *, titles: Mapping[str, str]) -> None:
        self._site = site
        self._past = past
        self._place = place
        self._titles = titles
        self._pages = Pages(site)
        self._zone = ZoneInfo(site.timezone)

    @cached_property
    def issues(self) -> dict[str, list[Issue]]:
        """The issues of each digest, newest first; digests without any are there, too."""
        found: dict[str, list[Issue]] = {name: [] for name in self._titles}
        for issue in shown_issues(self._past):
            if issue.digest in found:
                found[issue.digest].append(issue)
        return found

    def files(self) -> Iterator[File]:
        """Every file but those of the tree."""
        htmls: list[tuple[str, str]] = []
        for digest, issues in self.issues.items():
            for newer, issue, older in _with_neighbours(issues):
                for file in self._of_issue(issue, newer, older):
                    if file.name.endswith(".html"):
                        htmls.append((file.name, issue.frozen_at.isoformat()))
                    yield file
            yield from self._feeds(digest, issues)
            for name, shown, years in self._by_year(issues):
                yield self._listed(f"i/{digest}/{name}", digest, shown, years)
        yield File(name="style.css", make=self._pages.style.encode)
        yield File(name="index.html", make=self._front, is_last=True)
        if self._place.url:
            yield File(name="sitemap.xml", make=lambda: _sitemap(self._place.url, htmls), is_last=True)
            if not urlsplit(self._place.url).path.strip("/"):
                robots = f"User-agent: *\nAllow: /\nSitemap: {self._place.url}/sitemap.xml\n"
                yield File(name="robots.txt", make=robots.encode)

    # ------------------------------------------------------------------------- an issue

    def _of_issue(self, issue: Issue, newer: Issue | None, older: Issue | None) -> Iterator[File]:
        versions = self._past.neutral_keys(issue.id)
        usual = issue.envelope.language if issue.envelope.language in versions else min(versions, default=None)
        if usual is None:
            return
        names = {key: f"{issue.number}.html" if key == usual else f"{issue.number}.{key}.html" for key in versions}
        leaf = _Leaf(issue=issue, newer=newer, older=older, names=names)
        made = made_of(self.facts, issue.digest, issue.number, issue.envelope, names, *map(_number_of, (newer, older)))
        file = partial(File, made=made, of={issue_name(issue): 1})
        for key, name in names.items():
            yield file(name=f"i/{issue.digest}/{name}", make=partial(self._page, leaf, key))
        start = f"i/{issue.digest}/{issue.number}"
        yield file(name=f"{start}.md", make=partial(self._markdown, issue, usual))
        yield file(name=f"{start}.eml", make=partial(self._message, issue, usual))

    @cached_property
    def facts(self) -> str:
        """Stands for what is in every page of an issue beside the issue."""
        return made_of(self._pages.fingerprint, self._site.title, self._site.language, self._site.timezone, self._place)

    def _neutral(self, issue: Issue, key: str) -> Rendering:
        rendering = self._past.rendering(issue.id, key)
        own = f"{issue.number}.html"
        leave = self._place.leave or f"mailto:{quote(issue.envelope.unsubscribe_email, safe='@+')}?subject=unsubscribe"
        urls = Urls(
            unsubscribe_url=leave,
            preferences_url=self._place.leave or leave,
            view_url=f"{self._place.url}/i/{issue.digest}/{own}" if self._place.url else own,
        )
        return for_nobody(issue, rendering, urls)

    def _page(self, leaf: "_Leaf", key: str) -> bytes:
        issue, newer, older = leaf.issue, leaf.newer, leaf.older
        rendering = self._neutral(issue, key)
        words = self._pages.words(rendering.language)
        html = issue_page(issue, rendering, self._past, self._pages)
        turning = [
            *([(f"← {_number(words, older)}", f"{older.number}.html")] if older else []),
            (words.one("Past issues"), "index.html"),
            *([(f"{_number(words, newer)} →", f"{newer.number}.html")] if newer else []),
        ]
        forms = [
            *((language_name(other), name) for other, name in leaf.names.items() if other != key),
            ("Markdown", f"{issue.number}.md"),
            (".eml", f"{issue.number}.eml"),
        ]
        html = before_end(html, self._pages.page("turning.html.j2", words, lines=(turning, forms)))
        return _with_head(html, _HEAD).encode()

    def _markdown(self, issue: Issue, key: str) -> bytes:
        return self._neutral(issue, key).markdown.encode()

    def _message(self, issue: Issue, key: str) -> bytes:
        return Skeleton.build(
            issue,
            self._neutral(issue, key),
            Format.html,
            # Nothing in the message is made with it: its links are for nobody.
            secret=bytes(32),
            pictures=picture_parts(self._past.pictures(issue.id)),
        ).unaddressed(f"issue-{issue.number}.{issue.digest}@{issue.envelope.from_email.rpartition('@')[2]}")

    # --------------------------------------------------------------------------- lists

    def _by_year(self, issues: Sequence[Issue]) -> list[tuple[str, list[Issue], list[tuple[str, str]]]]:
        """The lists of a digest: file name, issues, and the way to the other years ("" for its own)."""
        if len(issues) <= PER_PAGE:
            return [("index.html", list(issues), [])]
        years: defaultdict[int, list[Issue]] = defaultdict(list)
        for issue in issues:
            years[issue.frozen_at.astimezone(self._zone).year].append(issue)
        newest = max(years)
        names = {year: "index.html" if year == newest else f"in-{year}.html" for year in sorted(years, reverse=True)}
        return [
            (name, years[year], [(str(one), "" if one == year else where) for one, where in names.items()])
            for year, name in names.items()
        ]

    def _listed(self, name: str, digest: str, issues: Sequence[Issue], years: Iterable[tuple[str, str]]) -> File:
        title = self._titles[digest]
        shelf = Shelf(title=title, rows=tuple(Row(issue=one, href=f"{one.number}.html") for one in issues))
        return File(
            name=name,
            make=partial(
                self._list,
                "../../",
                title=title,
                shelves=(shelf,),
                feeds=_FEEDS,
                years=years,
                ways=self._ways(_FEEDS, "../../"),
            ),
            is_last=True,
        )

    def _front(self) -> bytes:
        alone = len(self.issues) == 1
        shelves = []
        for digest, issues in self.issues.items():
            home = f"i/{digest}/"
            shown = issues[: PER_PAGE if alone else _ON_FRONT]
            shelves.append(
                Shelf(
                    title=self._titles[digest],
                    rows=tuple(Row(issue=one, href=f"{home}{one.number}.html") for one in shown),
                    href="" if alone else f"{home}index.html",
                    older=f"{home}index.html" if len(issues) > len(shown) else "",
                )
            )
        feeds = [(kind, f"i/{digest}/{name}") for digest in self.issues for kind, name in _FEEDS]
        ways = self._ways(feeds if alone else (), "")
        return self._list("", title=self._site.title, shelves=shelves, feeds=feeds, years=(), ways=ways)

    def _ways(self, feeds: Iterable[tuple[str, str]], up: str) -> list[tuple[str, str]]:
        named = {ATOM_TYPE: "Atom", JSON_TYPE: "JSON Feed"}
        found = [(named[kind], href) for kind, href in feeds]
        return [*found, (self._site.title, f"{up}index.html")] if up and len(self._titles) > 1 else found

    def _list(self, up: str, **values: Any) -> bytes:
        words = self._pages.words(self._site.language)
        text = self._pages.page(
            "archive.html.j2", words, **values, subscribe=self._place.subscribe, stylesheet=f"{up}style.css"
        )
        return text.encode()

    # --------------------------------------------------------------------------- feeds

    def _feeds(self, digest: str, issues: Sequence[Issue]) -> Iterator[File]:
        shown = issues[:IN_FEED]
        made = made_of(self.facts, self._titles[digest], *((one.number, one.subject, one.envelope) for one in shown))
        for name, write in (("atom.xml", atom), ("feed.json", json_feed)):
            yield File(name=f"i/{digest}/{name}", make=partial(self._feed, digest, shown, name, write), made=made)

    def _feed(self, digest: str, issues: Sequence[Issue], name: str, write: Callable[[Channel], str]) -> bytes:
        return write(self._channel(digest, issues, name)).encode()

    def _channel(self, digest: str, issues: Sequence[Issue], name: str) -> Channel:
        """The feed; without an address of the archive its links are relative, and its ids are names (RFC 4151)."""
        base = f"{self._place.url}/i/{digest}/" if self._place.url else ""
        # Both forms of the feed carry the same ids, so that a reader may change from one to the other.
        domain = self._site.from_email.rpartition("@")[2]
        since = min((issue.frozen_at.year for issue in self.issues[digest]), default=2000)
        return Channel(
            id=f"{base}atom.xml" if base else f"tag:{domain},{since}:{digest}",
            own=f"{base}{name}",
            page=f"{base}index.html",
            title=self._titles[digest],
            author=self._site.title,
            language=self._site.language,
            items=tuple(
                item(
                    issue,
                    self._past.issue_entries(issue.id),
                    id_=f"{base}{issue.number}.html"
                    if base
                    else f"tag:{domain},{issue.frozen_at:%Y-%m-%d}:{digest}/{issue.number}",
                    url=f"{base}{issue.number}.html",
                )
                for issue in issues
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leaf:
    """An issue among the others of its digest, and the names of its pages by the keys of their renderings."""

    issue: Issue
    newer: Issue | None
    older: Issue | None
    names: Mapping[str, str]


def _with_neighbours(issues: Sequence[Issue]) -> Iterator[tuple[Issue | None, Issue, Issue | None]]:
    """Each issue between the next newer and the next older one."""
    padded = [None, *issues, None]
    for (newer, issue), (_, older) in zip(pairwise(padded), pairwise(padded[1:]), strict=False):
        if issue is not None:
            yield newer, issue, older


def _number_of(issue: Issue | None) -> int | None:
    return None if issue is None else issue.number


def _number(words: Words, issue: Issue) -> str:
    return words.one("No. %(number)s") % {"number": issue.number}


def _with_head(html: str, more: str) -> str:
    """A page that begins its head with something more: what it may do is said before anything else is read."""
    found = _HEAD_TAG.search(html)
    end = found.end() if found else 0
    return f"{html[:end]}{more}{html[end:]}"


def _sitemap(url: str, pages: Iterable[tuple[str, str]]) -> bytes:
    """The pages of issues for search engines (sitemaps.org)."""
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
        *(f"<url><loc>{escape(f'{url}/{name}')}</loc><lastmod>{at}</lastmod></url>" for name, at in pages),
        "</urlset>",
    ]
    return ("\n".join(lines) + "\n").encode()

"""Building a digest: what is waiting becomes a draft, selected, ordered and cleaned.

Nothing is lost here: every waiting entry is used up exactly once, as shown, as a
headline, as the same story under another feed, or as left out by a filter of the
project, and the draft says which and why.  A date decides order and display only.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from newsletter.issues.filters import LOOKED_AT, Filters
from newsletter.issues.language import direction, language_tag
from newsletter.issues.nesting import attributes
from newsletter.issues.note import markdown_html, note_html
from newsletter.issues.pictures import fetchable_url, picture_url, telling_alt
from newsletter.issues.plaintext import count_words, excerpt, html_text
from newsletter.issues.sanitize import clean_html, without_pictures
from newsletter.issues.tables import narrow_tables
from newsletter.model import (
    Consumed,
    Disposition,
    Draft,
    DraftEntry,
    Enclosure,
    Entry,
    EntryEdit,
    Feed,
    FeedHealth,
    Head,
    Link,
    Note,
    Section,
    StoredEntry,
)
from newsletter.text import one_line
from newsletter.urls import canonical_url, safe_url, without_tracking

_TITLE_LIMIT: Final = 300
_TITLE_WORDS: Final = 14
_MADE_UP_TITLE_LIMIT: Final = 80
_WORDS_PER_MINUTE: Final = 220
_SMALL_PICTURE: Final = 100
_PICTURE = re.compile(r'<img((?: [a-z]+="[^"]*")*)>')


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestRules:
    """What a digest's settings say about selection and order.

    `per_feed` and `max_entries` cap what is shown; what is over a cap stands as
    a headline.  Caps keep the newest.  An issue with fewer than `min_entries`
    entries is not worth sending; the caller decides that (`Draft.total`).
    With `pictures` "none" or "cid" no reader's mail program asks a feed's server
    for one; with "cid" an entry's picture is to be embedded (`illustrate`).
    """

    name: str
    title: str
    language: str
    max_entries: int | None = None
    per_feed: int | None = None
    min_entries: int = 1
    sort: Literal["newest", "oldest"] = "newest"
    group_by: Literal["feed", "tag", "none"] = "feed"
    pictures: Literal["link", "none", "cid"] = "link"


@dataclass(slots=True)
class _Candidate:
    """A waiting entry and what becomes of it; `note` is to be said of it whatever that is.

    `place` is where the editor has put it, among those that were moved.
    """

    stored: StoredEntry
    feed: Feed
    rank: int
    moment: datetime
    fate: Disposition = Disposition.shown
    why: str = ""
    note: str = ""
    also_in: tuple[Link, ...] = ()
    edit: EntryEdit | None = None
    place: int | None = None

    @property
    def reasons(self) -> str:
        """Why it became that, in one line."""
        return "; ".join(filter(None, (self.why, self.note)))

    @property
    def newest_first(self) -> tuple[float, str, str, int]:
        """Sorts by date, ties by feed and title."""
        return (-self.moment.timestamp(), self.stored.feed_url, self.stored.entry.title, self.stored.id)


def build(
    rules: DigestRules,
    feeds: Sequence[Feed],
    health: Mapping[str, FeedHealth | Head],
    waiting: Sequence[StoredEntry],
    edited: Sequence[StoredEntry],
    *,
    number: int,
    now: datetime,
    note: str = "",
    hidden: Collection[int] = (),
    order: Sequence[int] = (),
    edits: Mapping[int, EntryEdit] | None = None,
    filters: Filters | None = None,
) -> Draft:
    """Make the next issue's draft.

    Args:
        rules: the digest's settings.
        feeds: the digest's feeds; sections follow their order.
        health: what the store knows of feeds, by address; titles and languages come from it.
        waiting: entries offered to the digest and not yet used up.
        edited: entries sent before and edited since, to be listed as updated.
        number: the number the issue will have.
        now: an entry dated later is taken for as old as we have known it.
        note: the editor's, as Markdown.
        hidden: ids of entries that the editor leaves out.
        order: ids of entries as the editor has them stand; sections follow the first of theirs.
        edits: what the editor has written instead of entries' titles and texts.
        filters: what tries the rules of the feeds; one on this machine's clock by default.

    Raises:
        ConfigError: a filter of a feed is no regular expression.
    """
    sources = _Sources(feeds, health, rules.language)
    candidates = [_candidate(stored, sources, now) for stored in waiting]
    filters = filters or Filters()
    _filter(candidates, filters)
    _hide(candidates, hidden)
    _edit(candidates, edits or {}, order)
    _join_duplicates(candidates, sources)
    _cap(candidates, rules, sources)
    shown = [c for c in candidates if c.fate in (Disposition.shown, Disposition.headline)]
    shown.sort(key=lambda c: c.newest_first)
    if rules.sort == "oldest":
        shown.sort(key=lambda c: c.moment)
    return Draft(
        digest=rules.name,
        number=number,
        date=now,
        sections=_sections(shown, rules, sources, now),
        updated=tuple(_entry(_candidate(stored, sources, now), sources, now, full=False) for stored in edited),
        consumed=tuple(Consumed(entry_id=c.stored.id, disposition=c.fate, why=c.reasons) for c in candidates),
        note=_note(note, rules),
        slow_rules=filters.slow,
        heads={
            url: Head(title=known.title, home_url=known.home_url, language=known.language)
            for url in dict.fromkeys(stored.feed_url for stored in (*waiting, *edited))
            if (known := health.get(url)) is not None
        },
    )


def _note(markdown: str, rules: DigestRules) -> Note | None:
    html = note_html(markdown, language=rules.language)
    if rules.pictures != "link":
        html = without_pictures(html)
    return Note(markdown=markdown, html=html) if html else None


class _Sources:
    """What is known of each feed: its place, title, page and language."""

    def __init__(self, feeds: Sequence[Feed], health: Mapping[str, FeedHealth | Head], usual_language: str) -> None:
        #: What a feed's language is taken for where neither it nor its entries say.
        self.usual_language = usual_language
        self._feeds = {feed.url: feed for feed in feeds}
        self._ranks = {feed.url: rank for rank, feed in enumerate(feeds)}
        self._health = health

    def feed(self, url: str) -> Feed:
        return self._feeds.get(url) or Feed(url=url)

    def rank(self, url: str) -> int:
        return self._ranks.get(url, len(self._ranks))

    def title(self, url: str) -> str:
        known = self._health.get(url)
        title = self.feed(url).title or (known.title if known else None) or _host(url)
        return one_line(title, _TITLE_LIMIT) or url

    def page(self, url: str) -> str | None:
        known = self._health.get(url)
        return safe_url(known.home_url) if known else None

    def language(self, url: str) -> str | None:
        known = self._health.get(url)
        return language_tag(self.feed(url).language) or language_tag(known.language if known else None)


def _candidate(stored: StoredEntry, sources: _Sources, now: datetime) -> _Candidate:
    published = stored.entry.published_at
    moment = published if published is not None and published <= now else stored.first_seen_at
    return _Candidate(stored, sources.feed(stored.feed_url), sources.rank(stored.feed_url), moment)


# -------------------------------------------------------------------------- selection


def _filter(candidates: Iterable[_Candidate], filters: Filters) -> None:
    for candidate in candidates:
        found = filters.judge(candidate.stored.entry, candidate.feed)
        candidate.note = found.note
        if not found.passes:
            candidate.fate, candidate.why = Disposition.excluded, found.why


def _hide(candidates: Iterable[_Candidate], hidden: Collection[int]) -> None:
    for candidate in candidates:
        if candidate.stored.id in hidden:
            candidate.fate, candidate.why = Disposition.excluded, "hidden by the editor"


def _edit(candidates: Iterable[_Candidate], edits: Mapping[int, EntryEdit], order: Sequence[int]) -> None:
    places = {id_: place for place, id_ in enumerate(order)}
    for candidate in candidates:
        candidate.place = places.get(candidate.stored.id, len(places)) if places else None
        candidate.edit = edits.get(candidate.stored.id)
        if candidate.edit is not None:
            candidate.note = "; ".join(filter(None, (candidate.note, "its text is the editor's")))


def _join_duplicates(candidates: Sequence[_Candidate], sources: _Sources) -> None:
    """Let one of several feeds show a story they share, and name the others there."""
    stories: dict[str, list[_Candidate]] = {}
    for candidate in candidates:
        key = _story(candidate, sources)
        if key and candidate.fate is Disposition.shown:
            stories.setdefault(key, []).append(candidate)
    for same in stories.values():
        counts = Counter(c.stored.feed_url for c in same)
        # An address that one feed gives to several entries is no story's own.
        if len(counts) == 1 or max(counts.values()) > 1:
            continue
        first, *others = sorted(same, key=lambda c: (c.rank, c.newest_first))
        title = sources.title(first.stored.feed_url)
        for other in others:
            other.fate, other.why = Disposition.duplicate, f"the same story stands under {title}"
        first.also_in = tuple(
            Link(title=sources.title(o.stored.feed_url), url=_address(o.stored.entry.url)) for o in others
        )


def _story(candidate: _Candidate, sources: _Sources) -> str | None:
    url = candidate.stored.entry.url
    if not url:
        return None
    key = canonical_url(url)
    page = sources.page(candidate.stored.feed_url)
    return None if page and key == canonical_url(page) else key


def _cap(candidates: Iterable[_Candidate], rules: DigestRules, sources: _Sources) -> None:
    shown = sorted((c for c in candidates if c.fate is Disposition.shown), key=lambda c: c.newest_first)
    seen: Counter[str] = Counter()
    total = 0
    for candidate in shown:
        url = candidate.stored.feed_url
        own, common = candidate.feed.max_entries, rules.per_feed
        if own is not None and seen[url] >= own:
            why = f"over max_entries: {own} of {sources.title(url)}"
        elif common is not None and seen[url] >= common:
            why = f"over per_feed: {common}"
        elif rules.max_entries is not None and total >= rules.max_entries:
            why = f"over max_entries: {rules.max_entries} of the digest"
        else:
            seen[url] += 1
            total += 1
            continue
        candidate.fate, candidate.why = Disposition.headline, why


# ------------------------------------------------------------------------ arrangement


def _sections(shown: Sequence[_Candidate], rules: DigestRules, sources: _Sources, now: datetime) -> tuple[Section, ...]:
    groups: dict[str, list[_Candidate]] = {}
    if any(c.place is not None for c in shown):
        shown = sorted(shown, key=lambda c: c.place or 0)
        ranked = shown
    else:
        ranked = sorted(shown, key=lambda c: c.rank)  # stable: within a feed the order stays
    for candidate in ranked:
        groups.setdefault(_group(candidate, rules), []).append(candidate)
    if rules.group_by != "feed":
        place = {id(c): n for n, c in enumerate(shown)}
        for members in groups.values():
            members.sort(key=lambda c: place[id(c)])
    return tuple(_section(members, rules, sources, now) for members in groups.values())


def _group(candidate: _Candidate, rules: DigestRules) -> str:
    """What entries of one section share; a feed without tags is a group of its own."""
    if rules.group_by == "none":
        return ""
    if rules.group_by == "tag" and candidate.feed.tags:
        return f"tag:{candidate.feed.tags[0]}"
    return f"feed:{candidate.stored.feed_url}"


def _section(members: Sequence[_Candidate], rules: DigestRules, sources: _Sources, now: datetime) -> Section:
    first = members[0]
    kind, _, name = _group(first, rules).partition(":")
    entries = [_entry(c, sources, now, full=True) for c in members if c.fate is Disposition.shown]
    if rules.pictures == "cid":
        known = {c.stored.id: c.stored for c in members}
        entries = [_to_embed(entry, known[entry.id]) for entry in entries]
    if rules.pictures != "link":
        entries = [_without_pictures(entry) for entry in entries]
    more = [_entry(c, sources, now, full=False) for c in members if c.fate is Disposition.headline]
    language = (sources.language(name) if kind == "feed" else None) or _usual_language(members) or rules.language
    sample = " ".join(entry.title for entry in (*entries, *more))
    return Section(
        title=sources.title(name) if kind == "feed" else one_line(name, _TITLE_LIMIT),
        url=sources.page(name) if kind == "feed" else None,
        feed_url=name if kind == "feed" else None,
        language=language,
        dir=direction(language, sample),
        entries=tuple(_without_language(entry, language) for entry in entries),
        more=tuple(_without_language(entry, language) for entry in more),
    )


def _without_pictures(entry: DraftEntry) -> DraftEntry:
    return replace(entry, image=None, summary=without_pictures(entry.summary), content=without_pictures(entry.content))


def _to_embed(entry: DraftEntry, stored: StoredEntry) -> DraftEntry:
    """Name the picture that the letter is to bring along; we can get some that mail programs would not."""
    base = stored.entry.base_url or stored.entry.url or stored.feed_url
    return replace(entry, to_embed=entry.image or fetchable_url(stored.entry.image, base))


def _usual_language(members: Iterable[_Candidate]) -> str | None:
    found = Counter(tag for c in members if (tag := language_tag(c.stored.entry.language)))
    return found.most_common(1)[0][0] if found else None


def _without_language(entry: DraftEntry, language: str) -> DraftEntry:
    """Leave an entry's language unsaid where its section says the same."""
    if entry.language is not None and entry.language.lower() == language.lower():
        return replace(entry, language=None)
    return entry


def _entry(candidate: _Candidate, sources: _Sources, now: datetime, *, full: bool) -> DraftEntry:
    """An entry as templates get it; without its text where it stands as a headline."""
    stored, entry = candidate.stored, _as_edited(candidate)
    base = entry.base_url or entry.url or stored.feed_url
    languages = (entry.language, sources.language(stored.feed_url), sources.usual_language)
    summary = narrow_tables(clean_html(entry.summary, base=base, languages=languages)) if full else ""
    content = narrow_tables(clean_html(entry.content, base=base, languages=languages)) if full else ""
    text = html_text(content or summary)
    published = entry.published_at
    if published is not None and published > now:
        published = stored.first_seen_at
    enclosures = [e for e in map(_enclosure, entry.enclosures) if e is not None]
    pictures = [*_pictures(content), *_pictures(summary)]
    image = picture_url(entry.image, base) or next((p.url for p in pictures if not p.is_small), None)
    if image is None:
        image = next((picture_url(e.url, None) for e in enclosures if _is_picture(e)), None)
    title = _title(entry, stored, sources, text)
    alt = next((p.alt for p in pictures if p.url == image), "")
    return DraftEntry(
        id=stored.id,
        feed_url=stored.feed_url,
        feed_title=sources.title(stored.feed_url),
        title=title,
        url=_address(entry.url),
        author=one_line(entry.author or "", 120) or None,
        published_at=published,
        summary=summary,
        content=content,
        language=language_tag(entry.language),
        image=image if full else None,
        image_alt=telling_alt(alt, title),
        enclosures=tuple(e for e in enclosures if not _is_picture(e)),
        tags=tuple(tag for tag in (one_line(tag, 60) for tag in entry.tags[:10]) if tag),
        also_in=candidate.also_in,
        reading_time=max(1, round(count_words(text) / _WORDS_PER_MINUTE)),
        is_edited=candidate.edit is not None and candidate.edit.markdown is not None,
    )


def _as_edited(candidate: _Candidate) -> Entry:
    """The entry with what the editor wrote in place of what the feed says."""
    entry, edit = candidate.stored.entry, candidate.edit
    if edit is not None and edit.title is not None:
        entry = replace(entry, title=edit.title)
    if edit is not None and edit.markdown is not None:
        entry = replace(entry, content=markdown_html(edit.markdown), summary="")
    return entry


def _title(entry: Entry, stored: StoredEntry, sources: _Sources, text: str) -> str:
    """An entry's title; where it has none, its first words, or where it is from."""
    title = one_line(entry.title, _TITLE_LIMIT)
    if not title:
        text = text or html_text((entry.content or entry.summary)[:LOOKED_AT])
        title = one_line(excerpt(escape(text, quote=False), _TITLE_WORDS), _MADE_UP_TITLE_LIMIT)
    return title or _host(entry.url) or sources.title(stored.feed_url)


def _host(url: str | None) -> str:
    """The host of a safe address, or nothing."""
    safe = safe_url(url)
    return (urlsplit(safe).hostname or "") if safe else ""


def _address(url: str | None) -> str | None:
    safe = safe_url(url)
    return without_tracking(safe) if safe else None


def _enclosure(enclosure: Enclosure) -> Enclosure | None:
    safe = safe_url(enclosure.url)
    return replace(enclosure, url=safe, media_type=one_line(enclosure.media_type or "", 60) or None) if safe else None


def _is_picture(enclosure: Enclosure) -> bool:
    return (enclosure.media_type or "").lower().startswith("image/")


class _Picture(NamedTuple):
    """A picture in cleaned HTML; one that is small is just an ornament."""

    url: str
    alt: str
    is_small: bool


def _pictures(html: str) -> Iterator[_Picture]:
    for found in _PICTURE.finditer(html):
        attrs = attributes(found[1])
        sides = [int(attrs[side]) for side in ("width", "height") if side in attrs]
        yield _Picture(attrs.get("src", ""), attrs.get("alt", ""), any(side < _SMALL_PICTURE for side in sides))

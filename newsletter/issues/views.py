"""What a template sees: plain values under the names of the template context.

Nothing here can be called, changed or followed out of: text, numbers, dates and
tuples of the same.  HTML is marked as such only where `sanitize` has been over it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from html import escape
from typing import ClassVar, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup

from newsletter.issues.language import direction
from newsletter.issues.plaintext import count_words, excerpt, html_text
from newsletter.issues.sanitize import without_pictures
from newsletter.model import Draft, DraftEntry, Enclosure, Section
from newsletter.text import one_line

#: Up to this many words an entry's text is shown whole; of a longer one an excerpt.
SHORT_TEXT: Final = 120
EXCERPT_WORDS: Final = 60
PREHEADER_LIMIT: Final = 110
_PREHEADER_TITLES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Masthead:
    """What stands above and below every issue of a digest.

    `timezone` is a name of the IANA database, used for display only.  `subject`
    is the project's template for the subject, if it has one.  `reason` says why
    people get this.
    """

    title: str
    language: str
    timezone: str
    from_email: str
    digest_name: str
    digest_title: str
    base_url: str | None = None
    archive_url: str | None = None
    postal_address: str | None = None
    reason: str | None = None
    subject: str | None = None
    generator: str = "newsletter"

    @property
    def zone(self) -> tzinfo:
        """The time zone; UTC where the name is unknown."""
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A named address; `url` may be None."""

    template_name: ClassVar[str] = "link"
    title: str
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnclosureView:
    """A file that goes with an entry; `name` is its file name, `size` in bytes or None."""

    template_name: ClassVar[str] = "enclosure"
    url: str
    media_type: str | None
    size: int | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One entry.

    `summary` and `content` are HTML as the feed gave it, cleaned.  `body` is what
    a letter shows: the text if it is short, else an excerpt; `is_excerpt` says
    which.  `image` is at most one picture, and `body` has none; `image_width` is
    how wide to show it, or None where that is not known, `image_alt` what the
    feed says it shows, or "".  `published` is in the project's time zone, or
    None.  `host` is where the link leads, `source` what its feed is called.
    """

    template_name: ClassVar[str] = "entry"
    title: str
    url: str | None
    host: str
    author: str | None
    published: datetime | None
    summary: Markup
    content: Markup
    body: Markup
    is_excerpt: bool
    image: str | None
    image_alt: str
    enclosures: tuple[EnclosureView, ...]
    tags: tuple[str, ...]
    also_in: tuple[LinkView, ...]
    reading_time: int
    source: str
    language: str
    dir: str
    image_width: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionView:
    """A group of entries under one heading.

    `more` stand as headlines; `left_out` is how many more the size budget leaves
    to the other parts; `total` counts all of them.
    """

    template_name: ClassVar[str] = "section"
    title: str
    url: str | None
    feed: str | None
    language: str
    dir: str
    entries: tuple[EntryView, ...]
    more: tuple[EntryView, ...]
    total: int
    left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueView:
    """The issue; `subject` may carry merge fields, `preheader` is what inboxes show beside it.

    `total` counts all entries, `sources` the sections.  `note` is the editor's,
    as HTML, in the language of the digest.  `left_out` and
    `updated_left_out` are how many entries the HTML part has no room for.
    """

    template_name: ClassVar[str] = "issue"
    number: int
    date: datetime
    subject: object
    preheader: str
    language: str
    dir: str
    total: int
    sources: int
    note: Markup
    left_out: int = 0
    updated_left_out: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestView:
    """The digest and its publisher."""

    template_name: ClassVar[str] = "digest"
    name: str
    title: str
    publication: str
    from_email: str
    postal_address: str | None
    reason: str | None
    base_url: str | None
    generator: str
    language: str
    dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveEntryView:
    """An entry for `archive.md.j2`, each value ready to be written; "" where the feed says nothing."""

    template_name: ClassVar[str] = "entry"
    title: str
    link: str
    destination: str
    date: str
    description: str


def context_of(draft: Draft, masthead: Masthead, language: str) -> dict[str, object]:
    """The template context of an issue, merge fields aside; `issue.subject` is empty."""
    sections = tuple(_section(section, masthead) for section in draft.sections)
    return {
        "issue": IssueView(
            number=draft.number,
            date=draft.date.astimezone(masthead.zone),
            subject="",
            preheader=_preheader(draft),
            language=language,
            dir=direction(language),
            total=draft.total,
            sources=len(sections),
            note=Markup(draft.note.html if draft.note else ""),  # noqa: S704 - cleaned when the draft was built
        ),
        "digest": DigestView(
            name=masthead.digest_name,
            title=one_line(masthead.digest_title),
            publication=one_line(masthead.title),
            from_email=masthead.from_email,
            postal_address=one_line(masthead.postal_address or "") or None,
            reason=one_line(masthead.reason or "") or None,
            base_url=masthead.base_url,
            generator=masthead.generator,
            language=masthead.language,
            dir=direction(masthead.language),
        ),
        "sections": sections,
        "entries": tuple(entry for section in sections for entry in section.entries),
        # The reader's language says nothing about an entry that does not say its own.
        "updated": tuple(_entry(entry, masthead.language, masthead) for entry in draft.updated),
    }


def _preheader(draft: Draft) -> str:
    """The first titles, as the inbox shows them beside the subject, which has the very first."""
    titles = [entry.title for section in draft.sections for entry in (*section.entries, *section.more)]
    chosen = titles[1 : 1 + _PREHEADER_TITLES] or titles[:1]
    return one_line(" · ".join(chosen), PREHEADER_LIMIT)


def _section(section: Section, masthead: Masthead) -> SectionView:
    entries = tuple(_entry(entry, section.language, masthead) for entry in section.entries)
    more = tuple(_entry(entry, section.language, masthead) for entry in section.more)
    return SectionView(
        title=section.title,
        url=section.url,
        feed=section.feed_url,
        language=section.language,
        dir=section.dir,
        entries=entries,
        more=more,
        total=len(entries) + len(more),
    )


def _entry(entry: DraftEntry, language: str, masthead: Masthead) -> EntryView:
    body, is_excerpt = shown_text(entry)
    language = entry.language or language
    return EntryView(
        title=entry.title,
        url=entry.url,
        host=_host(entry.url),
        author=entry.author,
        published=entry.published_at.astimezone(masthead.zone) if entry.published_at else None,
        summary=Markup(entry.summary),  # noqa: S704 - cleaned when the draft was built
        content=Markup(entry.content),  # noqa: S704
        body=Markup(body),  # noqa: S704
        is_excerpt=is_excerpt,
        image=entry.image,
        image_alt=entry.image_alt if entry.image else "",
        enclosures=tuple(map(_enclosure, entry.enclosures)),
        tags=entry.tags,
        also_in=tuple(LinkView(title=link.title, url=link.url) for link in entry.also_in),
        reading_time=entry.reading_time,
        source=entry.feed_title,
        language=language,
        dir=direction(language, f"{entry.title} {html_text(body)[:300]}"),
        image_width=entry.image_width,
    )


def shown_text(entry: DraftEntry) -> tuple[str, bool]:
    """What a letter shows of an entry's text, as HTML, and whether it is only its beginning."""
    if entry.is_edited:
        return entry.content, False
    for html in (entry.content, entry.summary):
        if html and count_words(html_text(html)) <= SHORT_TEXT:
            return without_pictures(html), False
    beginning = excerpt(entry.summary or entry.content, EXCERPT_WORDS)
    return (f"<p>{escape(beginning, quote=False)}</p>" if beginning else ""), bool(beginning)


def _host(url: str | None) -> str:
    try:
        return (urlsplit(url or "").hostname or "").removeprefix("www.")
    except ValueError:
        return ""


def _enclosure(enclosure: Enclosure) -> EnclosureView:
    name = urlsplit(enclosure.url).path.rpartition("/")[2]
    return EnclosureView(
        url=enclosure.url,
        media_type=enclosure.media_type,
        size=enclosure.length if enclosure.length and enclosure.length > 0 else None,
        name=one_line(name, 60) or _host(enclosure.url),
    )

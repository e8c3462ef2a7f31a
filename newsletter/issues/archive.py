"""The archive form: one Markdown file per source and day.

    # Source:TITLE, URL:URL, language:LANG

    ## entry title
     - [link](link)
     - RSS feed: URL
     - date published: 2026-03-02T07:00:00+00:00

    description as the feed gave it, cleaned

It is a record, so titles and texts stand as they are, not as Markdown escapes;
only what would read as another entry is escaped.  What is missing stays missing.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Final
from urllib.parse import unquote

from newsletter.issues.merge import Urls
from newsletter.issues.personal import Reader
from newsletter.issues.sanitize import clean_html
from newsletter.issues.templates import Templates
from newsletter.issues.views import ArchiveEntryView
from newsletter.model import Entry, StoredEntry
from newsletter.text import multi_line, one_line, slug

_TEMPLATE: Final = "archive.md.j2"
_MARKUP = re.compile(r"<[A-Za-z!/?]")
_READS_AS_ENTRY = re.compile(r"^(?=#{1,2} )", re.MULTILINE)
_ENCODED = re.compile(r"(?:%[89A-Fa-f][0-9A-Fa-f])+")
#: What a link's destination cannot hold without angle brackets (CommonMark §6.3); brackets in its text need a backslash.
_NEEDS_BRACKETS = re.compile(r"[\s()]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a feed is called, and its language; "" for what nobody has said."""

    title: str = ""
    language: str = ""


def archive_markdown(
    feed_title: str,
    feed_url: str,
    language: str | None,
    entries: Iterable[StoredEntry],
    *,
    templates: Templates | None = None,
) -> str:
    """One source's entries in the archive form, newest first, ties by feed address and title.

    Args:
        feed_title: for the header; may be empty.
        feed_url: stands in the header and in each entry.
        language: for the header; empty where the source says none.
        entries: in any order.
        templates: with the project's `archive.md.j2`, if it has one.

    Raises:
        TemplateError: the project's template fails.
    """
    url = one_line(feed_url).replace(" ", "%20")
    context = {
        "title": one_line(feed_title),
        "url": url,
        "language": one_line(language or ""),
        "entries": tuple(_view(stored.entry, language) for stored in sorted(entries, key=_newest_first)),
    }
    nobody = Reader("no merge fields here", None, Urls.present(None))
    return (templates or Templates()).render(_TEMPLATE, context, nobody)


def archive_files(
    feed_title: str,
    feed_url: str,
    language: str | None,
    entries: Iterable[StoredEntry],
    *,
    templates: Templates | None = None,
) -> dict[str, str]:
    """One source's entries as one file per day: `YYYY/MM/YYYY-MM-DD/<source>_entries.md`, in the order of days.

    Days are those of UTC and half open: midnight belongs to the day it begins.
    An undated entry is filed under the day it was first seen.

    Raises:
        TemplateError: the project's template fails.
    """
    templates = templates or Templates()
    return {
        f"{name}.md": archive_markdown(feed_title, feed_url, language, found, templates=templates)
        for name, found in by_day(feed_url, entries).items()
    }


def by_day(feed_url: str, entries: Iterable[StoredEntry]) -> dict[str, list[StoredEntry]]:
    """One source's entries by the file they belong into, without its suffix; see `archive_files`."""
    days: defaultdict[date, list[StoredEntry]] = defaultdict(list)
    for stored in entries:
        days[_moment(stored).date()].append(stored)
    # Two addresses may shorten to the same name; their hashes tell them apart.
    name = f"{slug(feed_url, 80)}-{sha256(feed_url.encode()).hexdigest()[:8]}_entries"
    return {f"{day:%Y}/{day:%m}/{day:%Y-%m-%d}/{name}": sorted(days[day], key=_newest_first) for day in sorted(days)}


def archive_json(feed_url: str, language: str | None, entries: Iterable[StoredEntry]) -> str:
    """One source's entries as the sample's family writes JSON: a list, newest first, keys by name, None as null.

    What only that exporter knows (votes, ratings, its own ids) is left out.
    """
    rows = [
        {
            "author": entry.author,
            "date_published": entry.published_at.astimezone(UTC).isoformat() if entry.published_at else None,
            "description": _description(entry, language),
            "language": entry.language or language or None,
            "link": entry.url,
            "source_url": feed_url,
            "tags": list(entry.tags),
            "thumbnail": entry.image,
            "title": one_line(entry.title),
        }
        for entry in (stored.entry for stored in sorted(entries, key=_newest_first))
    ]
    return json.dumps(rows, indent=4, sort_keys=True) + "\n"


def _moment(stored: StoredEntry) -> datetime:
    return (stored.entry.published_at or stored.first_seen_at).astimezone(UTC)


def _newest_first(stored: StoredEntry) -> tuple[float, str, str, int]:
    return (-_moment(stored).timestamp(), stored.feed_url, stored.entry.title, stored.id)


def _view(entry: Entry, language: str | None) -> ArchiveEntryView:
    url = _readable(entry.url or "")
    published = entry.published_at
    return ArchiveEntryView(
        title=one_line(entry.title),
        link=url.replace("[", "\\[").replace("]", "\\]") if url else "",
        destination=f"<{url}>" if _NEEDS_BRACKETS.search(url) else url,
        date=published.astimezone(UTC).isoformat() if published else "",
        description=_description(entry, language),
    )


def _description(entry: Entry, language: str | None) -> str:
    """What the feed says of an entry: its HTML cleaned, plain text as it is."""
    text = entry.summary or entry.content
    if _MARKUP.search(text):
        languages = (entry.language, language)
        text = clean_html(text, base=entry.base_url or entry.url, heading_offset=2, languages=languages)
    return _READS_AS_ENTRY.sub(r"\\", multi_line(text)).strip("\n")


def _readable(url: str) -> str:
    """An address with its letters as letters, where they are letters (RFC 3987 §3.2)."""

    def decoded(found: re.Match[str]) -> str:
        text = unquote(found[0], errors="replace")
        return text if text.isprintable() and "\ufffd" not in text and not text.isspace() else found[0]

    return _ENCODED.sub(decoded, one_line(url))

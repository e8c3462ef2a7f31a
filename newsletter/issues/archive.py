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

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from newsletter.errors import NewsletterError
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
    days: defaultdict[date, list[StoredEntry]] = defaultdict(list)
    for stored in entries:
        days[_moment(stored).date()].append(stored)
    templates = templates or Templates()
    # Two addresses may shorten to the same name; their hashes tell them apart.
    name = f"{slug(feed_url, 80)}-{sha256(feed_url.encode()).hexdigest()[:8]}_entries.md"
    return {
        f"{day:%Y}/{day:%m}/{day:%Y-%m-%d}/{name}": archive_markdown(
            feed_title, feed_url, language, days[day], templates=templates
        )
        for day in sorted(days)
    }


def write_archive(
    folder: Path,
    feed_title: str,
    feed_url: str,
    language: str | None,
    entries: Iterable[StoredEntry],
    *,
    templates: Templates | None = None,
) -> list[Path]:
    """Write `archive_files` under `folder`.

    A file of the same source and day is replaced, so hand in all entries of a day.

    Returns:
        The files, in the order of their days.

    Raises:
        NewsletterError: a file cannot be written.
        TemplateError: the project's template fails.
    """
    written = []
    for name, text in archive_files(feed_title, feed_url, language, entries, templates=templates).items():
        _write(folder / name, text)
        written.append(folder / name)
    return written


def _write(path: Path, text: str) -> None:
    """Replace a file at once: nobody reads half of one."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except OSError as error:
        raise NewsletterError(
            f"cannot write {path}: {error.strerror or error}", hint="choose another folder, or make room in this one"
        ) from error


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

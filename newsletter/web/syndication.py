"""The issues of a digest as a feed: Atom (RFC 4287) and JSON Feed 1.1."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final

from newsletter.model import Consumed, Disposition, Issue, StoredEntry
from newsletter.text import one_line

#: Issues in a feed.
IN_FEED: Final = 20
ATOM_TYPE: Final = "application/atom+xml"
JSON_TYPE: Final = "application/feed+json"
_TITLES: Final = 10
_CARRIED: Final = (Disposition.shown, Disposition.headline)
_NEVER: Final = "1970-01-01T00:00:00+00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An issue in a feed; `id` stays the same wherever the site moves, where it can."""

    id: str
    url: str
    title: str
    at: datetime
    summary: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A digest as a feed: `own` is its address, `page` that of the list of its issues; newest items first."""

    id: str
    own: str
    page: str
    title: str
    author: str
    language: str
    items: tuple[Item, ...]


def summary(entries: Sequence[tuple[StoredEntry, Consumed]]) -> str:
    """What an issue is about in one line: the titles of its first entries."""
    titles = [one_line(stored.entry.title, 200) for stored, used in entries if used.disposition in _CARRIED]
    return " · ".join(title for title in titles[:_TITLES] if title)


def item(issue: Issue, entries: Sequence[tuple[StoredEntry, Consumed]], *, id_: str, url: str) -> Item:
    """An issue as an item."""
    return Item(
        id=id_,
        url=url,
        title=one_line(issue.subject),
        at=issue.frozen_at,
        summary=summary(entries),
        language=issue.envelope.language,
    )


def atom(channel: Channel) -> str:
    """A feed as Atom."""
    updated = channel.items[0].at.isoformat() if channel.items else _NEVER
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{_xml(channel.language)}">',
        f"<id>{_xml(channel.id)}</id><title>{_xml(channel.title)}</title><updated>{updated}</updated>",
        f'<link rel="self" type="{ATOM_TYPE}" href="{_xml(channel.own)}"/>',
        f'<link rel="alternate" type="text/html" href="{_xml(channel.page)}"/>',
        f"<author><name>{_xml(channel.author)}</name></author>",
        *(_entry(one) for one in channel.items),
        "</feed>",
    ]
    return "\n".join(lines) + "\n"


def _entry(one: Item) -> str:
    return (
        f"<entry><id>{_xml(one.id)}</id><title>{_xml(one.title)}</title>"
        f"<updated>{one.at.isoformat()}</updated>"
        f'<link rel="alternate" type="text/html" href="{_xml(one.url)}"/>'
        f'<summary type="text">{_xml(one.summary)}</summary></entry>'
    )


def _xml(text: str) -> str:
    """A text for XML: one line, without characters that XML does not have (XML 1.0 §2.2)."""
    return escape(one_line(text))


def json_feed(channel: Channel) -> str:
    """A feed as JSON Feed 1.1 (jsonfeed.org/version/1.1)."""
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": one_line(channel.title),
        "home_page_url": channel.page,
        "feed_url": channel.own,
        "language": channel.language,
        "authors": [{"name": one_line(channel.author)}],
        "items": [
            {
                "id": one.id,
                "url": one.url,
                "title": one.title,
                "content_text": one.summary or one.title,
                "date_published": one.at.isoformat(),
                "language": one.language,
            }
            for one in channel.items
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"

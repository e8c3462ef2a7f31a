"""JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/) as a `Document`.

Every field may be of any type or absent: one that is not what the format says
counts as absent.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from newsletter.errors import ParseError
from newsletter.feeds.plain import (
    MAX_ENCLOSURES,
    NAME_LIMIT,
    date,
    guid_text,
    has_references,
    html_from_text,
    language_tag,
    link,
    names,
    newest,
    storable,
    title_text,
)
from newsletter.model import Document, Enclosure, Entry

# What some generators write in place of https://jsonfeed.org/version/1.1.
_BARE_VERSIONS = ("1", "1.0", "1.1")


def read_json(text: str, *, url: str) -> Document:
    """Read a JSON Feed.

    Args:
        text: the document.
        url: where it came from, for relative addresses.

    Raises:
        ParseError: it is not JSON, or JSON of another kind.
    """
    try:
        feed = json.loads(text, strict=False)  # line ends inside strings are common, and harm nobody
    except (ValueError, RecursionError) as error:
        raise ParseError("this looks like JSON, but is damaged and cannot be read") from error
    if not isinstance(feed, dict) or not _is_json_feed(feed):
        raise ParseError(
            "this is JSON, but not a JSON Feed",
            hint="a JSON Feed starts with its version, https://jsonfeed.org/version/1.1",
        )
    language = language_tag(feed.get("language"))
    items = [item for item in _list(feed, "items") if isinstance(item, dict)]
    kept = newest([_published(item) for item in items])
    authors = _authors(feed)
    return Document(
        title=_title(feed) or None,
        home_url=link(feed.get("home_page_url"), url),
        language=language,
        entries=tuple(_entry(items[at], position, url, authors) for position, at in enumerate(kept)),
    )


def _is_json_feed(feed: Mapping[str, Any]) -> bool:
    version = _text(feed, "version")
    return "jsonfeed.org/version/" in version or (version in _BARE_VERSIONS and isinstance(feed.get("items"), list))


def _published(item: Mapping[str, Any]) -> datetime | None:
    return date(item.get("date_published")) or date(item.get("date_modified"))


def _entry(item: Mapping[str, Any], position: int, base: str, authors: tuple[str, ...]) -> Entry:
    address = link(item.get("url"), base) or link(item.get("external_url"), base)
    attachments = [one for one in _list(item, "attachments") if isinstance(one, dict)]
    return Entry(
        guid=guid_text(item.get("id")),
        url=address,
        title=_title(item),
        author=", ".join(_authors(item) or authors) or None,
        published_at=_published(item),
        updated_at=date(item.get("date_modified")),
        summary=storable(html_from_text(_text(item, "summary"))),
        content=storable(_text(item, "content_html") or html_from_text(_text(item, "content_text"))),
        base_url=address or base,
        language=language_tag(item.get("language")),
        image=link(item.get("image"), base) or link(item.get("banner_image"), base),
        enclosures=tuple(one for one in (_enclosure(each, base) for each in attachments[:MAX_ENCLOSURES]) if one),
        tags=names([tag for tag in _list(item, "tags") if isinstance(tag, str)]),
        position=position,
    )


def _enclosure(attachment: Mapping[str, Any], base: str) -> Enclosure | None:
    address = link(attachment.get("url"), base)
    if address is None:
        return None
    size = attachment.get("size_in_bytes")
    return Enclosure(
        url=address,
        media_type=title_text(_text(attachment, "mime_type")[:NAME_LIMIT], is_html=False) or None,
        length=size if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 1 << 53 else None,
    )


def _authors(owner: Mapping[str, Any]) -> tuple[str, ...]:
    """The names under `authors` (1.1) or `author` (1.0)."""
    people = [*_list(owner, "authors"), owner.get("author")]
    return names([_text(person, "name") for person in people if isinstance(person, dict)])


def _title(owner: Mapping[str, Any]) -> str:
    # Plain text by the format; many generators write what their HTML has.
    title = _text(owner, "title")
    return title_text(title, is_html=has_references(title))


def _text(owner: Mapping[str, Any], key: str) -> str:
    value = owner.get(key)
    return value if isinstance(value, str) else ""


def _list(owner: Mapping[str, Any], key: str) -> list[Any]:
    value = owner.get(key)
    return value if isinstance(value, list) else []

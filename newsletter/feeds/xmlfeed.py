"""RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0, through feedparser, as a `Document`.

feedparser's cleaning and resolving of HTML are off: `issues.sanitize` does both
once, for what is sent.  Its result is read as plain dictionaries, because its
own lookups answer for other keys and warn while they do.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from newsletter.feeds.identity import words_hash
from newsletter.feeds.plain import (
    MAX_ENCLOSURES,
    date,
    guid_text,
    language_tag,
    link,
    names,
    newest,
    storable,
    title_text,
)
from newsletter.model import Document, Enclosure, Entry, Mark

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".avif"})


def read_xml(text: str, *, url: str) -> Document | None:
    """Read an XML feed, well-formed or nearly.

    Args:
        text: the document, without an XML declaration that contradicts it.
        url: where it came from, for relative addresses.

    Returns None where feedparser recognises no feed.  What feedparser raises on
    broken input (several classes) passes through.
    """
    found = with_feedparser(text.encode("utf-8", "replace"))
    if found is None:
        return None
    head, items, is_atom = found
    kept = newest([published(item) for item in items])
    return document_of(
        head, [entry_of(items[at], position, url, is_atom=is_atom) for position, at in enumerate(kept)], url
    )


def document_of(head: Mapping[str, Any], entries: Iterable[Entry], url: str) -> Document:
    """A document out of what feedparser says of it as a whole, and its entries."""
    return Document(
        title=_title(head) or None,
        home_url=link(head.get("link"), url),
        language=language_tag(head.get("language")),
        entries=tuple(entries),
    )


def with_feedparser(data: bytes) -> tuple[dict[str, Any], list[dict[str, Any]], bool] | None:
    """What feedparser makes of a document in UTF-8: the head, the items, whether it is Atom; None for no feed."""
    import feedparser

    # Always a stream: feedparser opens what it is given as text if that names a file or an address.
    found = dict(
        feedparser.parse(
            BytesIO(data),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    )
    items = [dict(item) for item in found["entries"]]
    if not found.get("version") and not items:
        return None
    return dict(found["feed"]), items, str(found.get("version")).startswith("atom")


def entry_of(
    item: Mapping[str, Any], position: int, base: str, *, is_atom: bool, item_hash: str | None = None
) -> Entry:
    """An entry out of what feedparser says of its item; with the item's hash, it is marked."""
    address = _address(item, base)
    title = _title(item)
    details = _details(item)
    summary, content = _texts(item, is_atom=is_atom)
    mark = None
    if item_hash is not None:
        mark = Mark(text_hash=words_hash(title, content or summary), item_hash=item_hash)
    return Entry(
        guid=guid_text(item.get("id")),
        url=address,
        title=title,
        author=_author(item),
        published_at=published(item),
        updated_at=_date(item, "updated"),
        summary=summary,
        content=content,
        base_url=_base(details, base) or address or base,
        language=_language(item, details),
        image=_image(item, base),
        enclosures=_enclosures(item, base),
        tags=names([str(tag.get("label") or tag.get("term") or "") for tag in _dicts(item.get("tags"))]),
        position=position,
        mark=mark,
    )


def _dicts(value: object) -> list[dict[str, Any]]:
    if not value or not isinstance(value, list):
        return []
    # What feedparser makes of a dictionary answers for other keys too: only a plain one is taken at its word.
    return [one if type(one) is dict else dict(one) for one in value if isinstance(one, dict)]


def _details(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What feedparser knows of the texts of an entry: type, language, base."""
    return [*_dicts(item.get("content")), *_dicts([item.get("summary_detail"), item.get("title_detail")])]


def _title(owner: Mapping[str, Any]) -> str:
    detail = owner.get("title_detail")
    kind = dict(detail).get("type") if isinstance(detail, dict) else None
    return title_text(str(owner.get("title") or ""), is_html=kind in _HTML_TYPES)


def _date(item: Mapping[str, Any], key: str) -> datetime | None:
    return date(item.get(key), item.get(f"{key}_at") or item.get(f"{key}_parsed"))


def published(item: Mapping[str, Any]) -> datetime | None:
    """When an item says it was published, or what comes closest to it."""
    # RSS 1.0 has only dc:date, and Atom demands only `updated`: feedparser files both under "updated".
    return _date(item, "published") or _date(item, "created") or _date(item, "updated")


def _address(item: Mapping[str, Any], base: str) -> str | None:
    """The entry's page: its link, or any alternate of it that is no mark-up of another kind."""
    links = [one.get("href") for one in _dicts(item.get("links")) if one.get("rel") == "alternate"]
    return next((found for found in (link(one, base) for one in (item.get("link"), *links)) if found), None)


def _texts(item: Mapping[str, Any], *, is_atom: bool) -> tuple[str, str]:
    """Summary and content, both as HTML; content is empty where the summary is all there is."""
    summary_detail = item.get("summary_detail")
    kind = dict(summary_detail).get("type") if isinstance(summary_detail, dict) else "text/html"
    summary = _as_html(item.get("summary"), kind)
    bodies = [_as_html(one.get("value"), one.get("type")) for one in _dicts(item.get("content"))]
    content = max(bodies, key=len, default="")
    if content == summary:
        # feedparser copies the content where there is no summary.
        return ("", content) if bodies else (summary, "")
    if not is_atom and len(content) < len(summary):
        # To feedparser the second description of an item is its content; the shorter one is the
        # caption of a picture (media:description).
        return summary, ""
    return summary, content


def _as_html(value: object, kind: object) -> str:
    if not isinstance(value, str):
        return ""
    if kind in _HTML_TYPES:
        return storable(value)
    # Line ends mean nothing in the plain text of Atom (RFC 4287 §3.1.1.1).
    return storable(escape(value, quote=False)) if kind == "text/plain" else ""


def _base(details: Iterable[Mapping[str, Any]], base: str) -> str | None:
    """The `xml:base` of the entry's text, if it has one."""
    return next((found for one in details if one.get("base") and (found := link(one["base"], base))), None)


def _language(item: Mapping[str, Any], details: Iterable[Mapping[str, Any]]) -> str | None:
    said = [item.get("language"), *(one.get("language") for one in details)]
    return next((tag for tag in map(language_tag, said) if tag), None)


def _author(item: Mapping[str, Any]) -> str | None:
    said = [str(one["name"]) for one in _dicts(item.get("authors")) if one.get("name")]
    return ", ".join(names(said or [str(item.get("author") or "")])) or None


def _enclosures(item: Mapping[str, Any], base: str) -> tuple[Enclosure, ...]:
    files = [one for one in _dicts(item.get("links")) if one.get("rel") == "enclosure"]
    files += [one for one in _dicts(item.get("media_content")) if _kind(one) in ("audio", "video")]
    found: dict[str, Enclosure] = {}
    for file in files[:MAX_ENCLOSURES]:
        address = link(file.get("href") or file.get("url"), base)
        if address:
            found.setdefault(
                address,
                Enclosure(
                    url=address,
                    media_type=title_text(str(file.get("type") or "")[:100], is_html=False) or None,
                    length=_number(file.get("length") or file.get("filesize") or file.get("fileSize")),
                ),
            )
    return tuple(found.values())


def _image(item: Mapping[str, Any], base: str) -> str | None:
    """The picture of the entry: the widest of those its media elements name."""
    media = [one for one in _dicts(item.get("media_content")) if _kind(one) == "image"]
    media += _dicts(item.get("media_thumbnail"))
    media.sort(key=lambda one: _number(one.get("width")) or 0, reverse=True)
    files = [one for one in _dicts(item.get("links")) if one.get("rel") == "enclosure" and _kind(one) == "image"]
    image = item.get("image")
    candidates: Iterable[Mapping[str, Any]] = [*media, *files, *_dicts([image])]
    return next((found for one in candidates if (found := link(one.get("url") or one.get("href"), base))), None)


def _kind(file: Mapping[str, Any]) -> str:
    """What a media file is, by what it says of itself or by its name: image, audio, video or ''."""
    said = str(file.get("type") or "").partition("/")[0].lower() or str(file.get("medium") or "").lower()
    if said:
        return said
    try:
        path = urlsplit(str(file.get("url") or file.get("href") or "")).path
    except ValueError:
        return ""
    return "image" if PurePosixPath(path).suffix.lower() in _PICTURES else ""


def _number(value: object) -> int | None:
    text = str(value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 and int(text) > 0 else None  # noqa: PLR2004

"""What goes between us and the processes that parse: one question, one answer, each as JSON.

The answer comes from a process that has had hostile bytes in its hands, so it is
taken for no more than what is checked here: JSON, of these types, so large at
most.  No pickle: reading one runs what its writer likes.
"""

import json
import re
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from newsletter.errors import ParseError
from newsletter.feeds.identity import keys_from, keys_of
from newsletter.feeds.keys import KEY_LIMIT
from newsletter.feeds.plain import GUID_LIMIT, MAX_ENCLOSURES, MAX_ENTRIES, MAX_TAGS, TEXT_LIMIT, TITLE_LIMIT, URL_LIMIT
from newsletter.model import Document, Enclosure, Entry, KnownEntry, Mark
from newsletter.urls import SAFE_SCHEMES, canonical_url

#: Before a job: the lengths of its two parts; before an answer: its own.
HEAD: Final = struct.Struct(">II")
LENGTH: Final = struct.Struct(">I")
#: Bytes of an answer: the longest document, with every character of it escaped.
MAX_ANSWER: Final = 64_000_000
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_ITEM_HASH: Final = re.compile(r"([0-9a-f]{32})?")
_FIELDS: Final = 16
#: Keys of an entry: three that every one has, and up to three more.
_KEYS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A document to be read: `url`, `content_type` as for `feeds.parse.parse`.

    `known` are ids of recorded entries by the `item_hash` of their items: these
    need no reading.
    """

    body: bytes
    url: str
    content_type: str | None
    known: Mapping[str, int]


class UnreadableAnswerError(Exception):
    """An answer that none of our processes gives."""


def pack_job(job: Job) -> bytes:
    """All of a job but its body, as JSON."""
    return _dump({"url": job.url, "type": job.content_type, "known": list(job.known)})


def unpack_job(head: bytes) -> tuple[str, str | None, frozenset[str]]:
    """Address, content type and known items of a job; it comes from our own parent."""
    asked = json.loads(head)
    return asked["url"], asked["type"], frozenset(asked["known"])


def pack_error(error: ParseError) -> bytes:
    """What is wrong with a document."""
    return _dump({"error": error.message, "hint": error.hint})


def pack_document(document: Document, known: Collection[str]) -> bytes:
    """A document whose entries are marked; those known already are only named."""
    entries = [
        entry.mark.item_hash
        if entry.mark is not None and entry.mark.item_hash in known
        else _row(entry, keys_of(entry, document))
        for entry in document.entries
    ]
    return _dump(
        {"title": document.title, "home": document.home_url, "language": document.language, "entries": entries}
    )


def unpack_answer(answer: bytes, known: Mapping[str, int]) -> Document:
    """The document, or what is wrong with it; of items in `known` only their places and their marks.

    Raises:
        ParseError: what the process found.
        UnreadableAnswerError: the process is not itself any more.
    """
    try:
        found = json.loads(answer)
        if "error" in found:
            hint = found["hint"]
            raise ParseError(_text(found["error"], TITLE_LIMIT), hint=None if hint is None else _text(hint, TEXT_LIMIT))
        home = _url(found["home"])
        rows = found["entries"]
        if not isinstance(rows, list) or len(rows) > MAX_ENTRIES:
            raise UnreadableAnswerError
        return Document(
            title=_maybe(found["title"], TITLE_LIMIT),
            home_url=home,
            language=_maybe(found["language"], GUID_LIMIT),
            entries=tuple(
                _placed(known[row], row, at) if isinstance(row, str) else _entry(row, at) for at, row in enumerate(rows)
            ),
        )
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise UnreadableAnswerError from error


def _placed(known_id: int, item_hash: str, position: int) -> Entry:
    mark = Mark(text_hash="", item_hash=item_hash, known_id=known_id)
    return Entry(guid="", url=None, title="", position=position, mark=mark)


def filled(document: Document, known: Mapping[int, KnownEntry]) -> Document:
    """The document with as much of its known entries as recognising them again needs.

    Args:
        document: what reading it gave.
        known: the recorded entries by their ids; where one is missing, it has gone meanwhile.
    """
    home = canonical_url(document.home_url) if document.home_url else None
    entries = tuple(
        entry
        if entry.mark is None or entry.mark.known_id is None or entry.mark.known_id not in known
        else _known_entry(known[entry.mark.known_id], entry.mark, entry.position, home=home)
        for entry in document.entries
    )
    return replace(document, entries=entries)


def _known_entry(known: KnownEntry, mark: Mark, position: int, *, home: str | None) -> Entry:
    """`home` as for `feeds.identity.keys_from`."""
    keys = keys_from(known.guid, known.url, known.title, known.text_hash, home=home)
    return Entry(
        guid=known.guid,
        url=known.url,
        title=known.title,
        published_at=known.published_at,
        position=position,
        mark=replace(mark, text_hash=known.text_hash, keys=keys),
    )


_dump_text: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def _dump(value: object) -> bytes:
    return _dump_text(value).encode("utf-8", "surrogatepass")


def _row(entry: Entry, keys: tuple[str, ...]) -> list[Any]:
    mark = entry.mark
    return [
        entry.guid,
        entry.url,
        entry.title,
        entry.author,
        entry.published_at and entry.published_at.isoformat(),
        entry.updated_at and entry.updated_at.isoformat(),
        entry.summary,
        entry.content,
        entry.base_url,
        entry.language,
        entry.image,
        [[one.url, one.media_type, one.length] for one in entry.enclosures],
        entry.tags,
        "" if mark is None else mark.text_hash,
        "" if mark is None else mark.item_hash,
        keys,
    ]


def _entry(row: Any, position: int) -> Entry:
    if not isinstance(row, list) or len(row) != _FIELDS or len(row[11]) > MAX_ENCLOSURES or len(row[12]) > MAX_TAGS:
        raise UnreadableAnswerError
    if not _HASH.fullmatch(row[13]) or not _ITEM_HASH.fullmatch(row[14]) or not 3 <= len(row[15]) <= _KEYS:  # noqa: PLR2004
        raise UnreadableAnswerError
    return Entry(
        guid=_text(row[0], GUID_LIMIT),
        url=_url(row[1]),
        title=_text(row[2], TITLE_LIMIT),
        author=_maybe(row[3], TEXT_LIMIT),
        published_at=_moment(row[4]),
        updated_at=_moment(row[5]),
        # Plain text grows when it is written as HTML.
        summary=_text(row[6], 8 * TEXT_LIMIT),
        content=_text(row[7], 8 * TEXT_LIMIT),
        base_url=_url(row[8]),
        language=_maybe(row[9], GUID_LIMIT),
        image=_url(row[10]),
        enclosures=tuple(
            Enclosure(url=_url(url) or "", media_type=_maybe(kind, TITLE_LIMIT), length=_length(length))
            for url, kind, length in row[11]
        ),
        tags=tuple(_text(tag, TITLE_LIMIT) for tag in row[12]),
        position=position,
        mark=Mark(text_hash=row[13], item_hash=row[14], keys=tuple(_text(key, KEY_LIMIT) for key in row[15])),
    )


def _text(value: Any, limit: int) -> str:
    if type(value) is not str or len(value) > limit:
        raise UnreadableAnswerError
    return value


def _maybe(value: Any, limit: int) -> str | None:
    return None if value is None else _text(value, limit)


def _url(value: Any) -> str | None:
    if value is None:
        return None
    # What the address came to after escaping, or the path of the file the feed is.
    if ":" in _text(value, 16 * URL_LIMIT) and value.partition(":")[0] not in (*SAFE_SCHEMES, "file"):
        raise UnreadableAnswerError
    return str(value)


def _length(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 < value < 1 << 60):
        return value
    raise UnreadableAnswerError


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    found = datetime.fromisoformat(value)
    if found.tzinfo is not UTC:
        raise UnreadableAnswerError
    return found

"""What recording a document asks the tables, each question compiled once for a kind of database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect

from newsletter.model import KnownEntry
from newsletter.store import tables as t
from newsletter.store.prepared import Prepared, among_texts, texts

#: What makes a `KnownEntry`, in the order of its making.
KNOWN: Final = tuple(t.entries.c[name] for name in ("id", "guid", "url", "title", "published_at", "text_hash"))


class Placed(NamedTuple):
    """An entry of a document, as far as its order in it goes."""

    id: int
    published_at: datetime | None
    position: int


def newest_first(row: Placed) -> tuple[bool, float, int]:
    """Order of a document's entries: by date, then the undated as the document has them."""
    published = row.published_at
    return (published is None, -published.timestamp() if published else 0.0, row.position)


def known_of(row: Sequence[Any]) -> KnownEntry:
    """What recognising an entry needs, of a row of `KNOWN`."""
    id_, guid, url, title, published_at, text_hash = row[:6]
    return KnownEntry(id=id_, guid=guid, url=url, title=title, published_at=published_at, text_hash=text_hash)


_ENTRIES: Final = t.entries.c
_FEED: Final = sa.bindparam("feed", type_=sa.BigInteger, required=True)
_READER: Final = sa.bindparam("digest", type_=sa.Text, required=True)
_OF_DOCUMENT: Final = (_ENTRIES.feed_id == _FEED) & (
    _ENTRIES.seen_in == sa.bindparam("document", type_=sa.Integer, required=True)
)


class Lookups:
    """The questions, for one kind of database; each is compiled when it is first asked.

    A feed is given by its id, a document by its number in the feed (`feeds.documents`).
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    @cached_property
    def _any(self) -> Prepared:
        return Prepared(sa.select(_ENTRIES.id).where(_ENTRIES.feed_id == _FEED).limit(1), self._dialect)

    @cached_property
    def _ids(self) -> Prepared:
        return Prepared(sa.select(_ENTRIES.id).where(_OF_DOCUMENT).order_by(_ENTRIES.id), self._dialect)

    @cached_property
    def _last(self) -> Prepared:
        return Prepared(sa.select(*KNOWN, _ENTRIES.position).where(_OF_DOCUMENT), self._dialect)

    @cached_property
    def _unheld(self) -> Prepared:
        wanted = sa.select(_ENTRIES.id, _ENTRIES.published_at, _ENTRIES.position)
        return Prepared(wanted.where(_OF_DOCUMENT, _ENTRIES.held.is_(False)), self._dialect)

    @cached_property
    def _owners(self) -> Prepared:
        keys = t.entry_keys.c
        given = among_texts(keys.key, "keys", self._dialect)
        return Prepared(sa.select(keys.key, keys.entry_id).where(keys.feed_id == _FEED, given), self._dialect)

    @cached_property
    def _tool(self) -> Prepared:
        here = t.sent_elsewhere.c
        return Prepared(sa.select(here.tool).where(here.feed_id == _FEED, here.key == ""), self._dialect)

    @cached_property
    def _joined(self) -> Prepared:
        reads = t.digest_feeds.c
        return Prepared(sa.select(reads.feed_id).where(reads.digest == _READER, reads.feed_id == _FEED), self._dialect)

    @cached_property
    def _issue(self) -> Prepared:
        return Prepared(sa.select(t.issues.c.id).where(t.issues.c.digest == _READER).limit(1), self._dialect)

    @cached_property
    def _items(self) -> Prepared:
        return Prepared(
            sa.select(t.feeds.c.documents, _ENTRIES.item_hash, _ENTRIES.id)
            .join_from(t.feeds, t.entries, _ENTRIES.feed_id == t.feeds.c.id)
            .where(
                t.feeds.c.url == sa.bindparam("url", type_=sa.Text, required=True),
                _ENTRIES.seen_in == t.feeds.c.documents,
                _ENTRIES.item_hash.is_not(None),
            ),
            self._dialect,
        )

    @cached_property
    def _sent_before(self) -> Prepared:
        notes = t.entry_notes.c
        wanted = sa.select(notes.entry_id, notes.words).join(t.entries, _ENTRIES.id == notes.entry_id)
        return Prepared(wanted.where(_OF_DOCUMENT, notes.kind == "elsewhere"), self._dialect)

    def is_empty(self, connection: Connection, feed_id: int) -> bool:
        """Whether nothing is recorded of a feed."""
        return not self._any.rows(connection, {"feed": feed_id})

    def ids(self, connection: Connection, feed_id: int, document: int) -> list[int]:
        """The entries of a document, in the order they were first written."""
        return [id_ for [id_] in self._ids.rows(connection, {"feed": feed_id, "document": document})]

    def document(self, connection: Connection, feed_id: int, document: int) -> list[KnownEntry]:
        """The entries of a document, newest first."""
        rows = self._last.rows(connection, {"feed": feed_id, "document": document})
        rows.sort(key=lambda row: newest_first(Placed(row[0], row[4], row[6])))
        return [known_of(row) for row in rows]

    def items(self, connection: Connection, url: str) -> list[list[Any]]:
        """Of each entry of a feed's last document whose bytes are known: the document's number, their hash, its id."""
        return self._items.rows(connection, {"url": url})

    def not_held(self, connection: Connection, feed_id: int, document: int) -> list[int]:
        """Those that the flood guard does not hold, newest first."""
        rows = self._unheld.rows(connection, {"feed": feed_id, "document": document})
        return [row.id for row in sorted((Placed(*row) for row in rows), key=newest_first)]

    def owners(self, connection: Connection, feed_id: int, keys: Collection[str]) -> dict[str, int | None]:
        """Whose each of these keys is, as far as they are remembered; None: nobody's any more."""
        if not keys:
            return {}
        given = {"feed": feed_id, "keys": texts(keys)}
        return dict(self._owners.rows(connection, given))

    def tool(self, connection: Connection, feed_id: int) -> str | None:
        """Which other tool the feed came from, if from one."""
        found = self._tool.rows(connection, {"feed": feed_id})
        return str(found[0][0]) if found else None

    def reads(self, connection: Connection, digest: str, feed_id: int) -> bool:
        """Whether a digest reads the feed already."""
        return bool(self._joined.rows(connection, {"digest": digest, "feed": feed_id}))

    def has_issues(self, connection: Connection, digest: str) -> bool:
        """Whether a digest has had an issue."""
        return bool(self._issue.rows(connection, {"digest": digest}))

    def sent_before(self, connection: Connection, feed_id: int, document: int) -> dict[int, str]:
        """Entries of a document that another tool had sent, and the note that says so."""
        return dict(self._sent_before.rows(connection, {"feed": feed_id, "document": document}))

"""Turning a scratch copy's clock back, and offering again what was used: for previews, never for the original."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import StoreError
from newsletter.model import StoredEntry
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.connect import Memory
from newsletter.store.issues import told
from newsletter.store.rows import Row, entry_columns, entry_of_record, in_chunks
from newsletter.store.trouble import explained


class Rewinding(Part):
    """What only a scratch copy allows."""

    def rewind(self, moment: datetime) -> None:
        """Forget what came later: offers, issues and what they used up, edits.

        What a later issue carried or named as updated reads as it read in that
        issue, and feeds are called what they were called there.  Any other entry that a feed has edited since reads as it does now:
        only what issues carried is kept in older versions.

        Transaction: one write.

        Raises:
            StoreError: this is no scratch copy.
        """
        self._require_scratch()
        later = sa.select(t.issues.c.id).where(t.issues.c.frozen_at > moment).scalar_subquery()
        edited = sa.select(t.entries.c.version).where(t.entries.c.id == t.offers.c.entry_id).scalar_subquery()
        edited_later = sa.select(t.entries.c.id).where(t.entries.c.edited_at > moment).scalar_subquery()
        with self._database.write() as connection:
            mentioned = connection.execute(
                sa.select(t.issues.c.digest, t.mentions.c.entry_id)
                .join(t.issues, t.issues.c.id == t.mentions.c.issue_id)
                .where(t.mentions.c.issue_id.in_(later))
            ).all()
            for row in connection.execute(_as_carried(later)).all():
                _put_back(connection, row)
            _name_feeds(connection, moment)
            connection.execute(
                sa.update(t.offers).where(t.offers.c.issue_id.in_(later)).values(issue_id=None, version=None)
            )
            connection.execute(sa.delete(t.offers).where(t.offers.c.offered_at > moment))
            for table in (t.mentions, t.issue_entries, t.recipes):
                connection.execute(sa.delete(table).where(table.c.issue_id.in_(later)))
            connection.execute(sa.delete(t.issues).where(t.issues.c.frozen_at > moment))
            for row in mentioned:
                for entry_id, version in told(connection, row.digest, [row.entry_id]):
                    own = (t.offers.c.digest == row.digest) & (t.offers.c.entry_id == entry_id)
                    connection.execute(sa.update(t.offers).where(own).values(version=version))
            connection.execute(
                sa.update(t.offers)
                .where(t.offers.c.version.is_not(None), t.offers.c.entry_id.in_(edited_later))
                .values(version=edited)
            )

    def offer_again(self, digest: str, entries: Sequence[StoredEntry]) -> None:
        """Let entries wait for a digest as if it had never carried them.

        Transaction: one write.

        Raises:
            StoreError: this is no scratch copy.
        """
        self._require_scratch()
        now = self._clock.now()
        with self._database.write() as connection:
            for chunk in in_chunks(entries):
                connection.execute(
                    sa.delete(t.offers).where(
                        t.offers.c.digest == digest, t.offers.c.entry_id.in_([one.id for one in chunk])
                    )
                )
                connection.execute(
                    sa.insert(t.offers), [{"digest": digest, "entry_id": one.id, "offered_at": now} for one in chunk]
                )
                # A copy leaves behind the texts of what was sent.
                connection.execute(
                    sa.update(t.entry_texts)
                    .where(t.entry_texts.c.entry_id == sa.bindparam("id"))
                    .values(summary=sa.bindparam("said"), content=sa.bindparam("whole")),
                    [{"id": one.id, "said": one.entry.summary, "whole": one.entry.content} for one in chunk],
                )

    def save(self, path: Path) -> None:
        """Write the copy to a file, as a database that other processes can open.

        Transaction: one read.

        Raises:
            StoreError: this is no scratch copy, or the file cannot be written.
        """
        self._require_scratch()
        with (
            explained(str(path)),
            closing(sqlite3.connect(path)) as target,
            self._database.engine.connect() as connection,
        ):
            source: Any = connection.connection.driver_connection
            source.backup(target)

    def _require_scratch(self) -> None:
        if not isinstance(self._database, Memory):
            raise StoreError("only a scratch copy can be turned back")


def _name_feeds(connection: Connection, moment: datetime) -> None:
    """Call feeds what they called themselves when the next issue with entries of them was built."""
    wanted = (
        sa.select(t.recipes.c.made)
        .join(t.issues, t.issues.c.id == t.recipes.c.issue_id)
        .where(t.issues.c.frozen_at > moment)
        .order_by(t.issues.c.id.desc())
    )
    heads: dict[str, Any] = {}
    for made in connection.execute(wanted).scalars():
        heads |= made.get("heads", {})
    for url, head in heads.items():
        known = {name: head.get(name) for name in ("title", "home_url", "language")}
        connection.execute(sa.update(t.feeds).where(t.feeds.c.url == url).values(**known))


def _as_carried(later: sa.ScalarSelect[Any]) -> sa.Select[tuple[Any, ...]]:
    """The oldest kept version of each entry that a later issue told of, where that is not what it says now."""
    carried = sa.union_all(
        *(
            sa.select(table.c.entry_id, table.c.version).where(table.c.issue_id.in_(later))
            for table in (t.issue_entries, t.mentions)
        )
    ).subquery()
    first = sa.select(carried.c.entry_id, sa.func.min(carried.c.version).label("version")).group_by(carried.c.entry_id)
    then = first.subquery()
    return (
        sa.select(t.entry_versions, t.entries.c.first_seen_at)
        .join(then, (then.c.entry_id == t.entry_versions.c.entry_id) & (then.c.version == t.entry_versions.c.version))
        .join(t.entries, t.entries.c.id == t.entry_versions.c.entry_id)
        .where(t.entries.c.version > t.entry_versions.c.version)
    )


def _put_back(connection: Connection, row: Row) -> None:
    """Let an entry read as it did; when it had come to read so is not known, but that was before."""
    entry = entry_of_record(row.entry)
    connection.execute(
        sa.update(t.entries)
        .where(t.entries.c.id == row.entry_id)
        .values(**entry_columns(entry), version=row.version, edited_at=row.first_seen_at if row.version > 1 else None)
    )
    connection.execute(
        sa.update(t.entry_texts)
        .where(t.entry_texts.c.entry_id == row.entry_id)
        .values(summary=entry.summary, content=entry.content)
    )

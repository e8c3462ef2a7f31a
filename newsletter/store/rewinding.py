"""Turning a scratch copy's clock back, and offering again what was used: for previews, never for the original."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from newsletter.errors import StoreError
from newsletter.model import StoredEntry
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.connect import Memory
from newsletter.store.rows import in_chunks
from newsletter.store.trouble import explained


class Rewinding(Part):
    """What only a scratch copy allows."""

    def rewind(self, moment: datetime) -> None:
        """Forget what came later: offers, issues and what they used up, edits.

        An entry that a feed has edited since reads as it does now: only what
        issues carried is kept in older versions.

        Transaction: one write.

        Raises:
            StoreError: this is no scratch copy.
        """
        self._require_scratch()
        later = sa.select(t.issues.c.id).where(t.issues.c.frozen_at > moment).scalar_subquery()
        edited = sa.select(t.entries.c.version).where(t.entries.c.id == t.offers.c.entry_id).scalar_subquery()
        edited_later = sa.select(t.entries.c.id).where(t.entries.c.edited_at > moment).scalar_subquery()
        with self._database.write() as connection:
            connection.execute(
                sa.update(t.offers).where(t.offers.c.issue_id.in_(later)).values(issue_id=None, version=None)
            )
            connection.execute(sa.delete(t.offers).where(t.offers.c.offered_at > moment))
            connection.execute(
                sa.update(t.offers)
                .where(t.offers.c.version.is_not(None), t.offers.c.entry_id.in_(edited_later))
                .values(version=edited)
            )
            for table in (t.mentions, t.issue_entries):
                connection.execute(sa.delete(table).where(table.c.issue_id.in_(later)))
            connection.execute(sa.delete(t.issues).where(t.issues.c.frozen_at > moment))

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

"""Drafts: what was built ahead of its slot, what the editor made of it, and whether it may go out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import StoreError
from newsletter.model import (
    OPEN_DRAFTS,
    DraftChanges,
    DraftedEntry,
    DraftState,
    EntryEdit,
    StoredDraft,
    StoredEntry,
)
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import STORED_ENTRY, Row, entry_of, entry_of_record, entry_record, in_chunks

_LOOK = "newsletter issue show, then answer again"


class Drafts(Part):
    """Drafts.  Entries are used up by the freeze alone: until then those of a draft wait like all others."""

    def keep_draft(
        self,
        *,
        digest: str,
        slot: str,
        due_at: datetime,
        answer_by: datetime,
        number: int,
        entries: Sequence[int],
        mentioned: Sequence[int],
        note: str = "",
    ) -> StoredDraft:
        """Keep a draft for its editor, its entries as they are now.

        Args:
            digest: whose it is.
            slot: what its issue is to be the one and only issue of.
            due_at: when that is.
            answer_by: until when there is time for an answer.
            number: the issue's, in the digest.
            entries: ids of the waiting entries that it is made of.
            mentioned: ids of edited entries that it names as updated.
            note: the editor's, to begin with.

        Transaction: one write.

        Raises:
            StoreError: the slot has a draft, or the digest an open one.
        """
        mentions = set(mentioned)
        with self._database.write() as connection:
            taken = connection.execute(
                sa.select(t.drafts.c.slot).where(
                    t.drafts.c.digest == digest, (t.drafts.c.slot == slot) | t.drafts.c.state.in_(OPEN_DRAFTS)
                )
            ).first()
            if taken is not None:
                raise StoreError(f"{digest} has a draft already, for {taken.slot}", hint="newsletter issue list")
            inserted = connection.execute(
                sa.insert(t.drafts).values(
                    digest=digest,
                    slot=slot,
                    due_at=due_at,
                    answer_by=answer_by,
                    made_at=self._clock.now(),
                    number=number,
                    state=DraftState.waiting,
                    revision=1,
                    changes=_changes_record(DraftChanges(note=note)),
                    fingerprint="",
                    reason="",
                )
            ).inserted_primary_key
            assert inserted is not None
            for chunk in in_chunks(dict.fromkeys((*entries, *mentioned))):
                rows = connection.execute(STORED_ENTRY.where(t.entries.c.id.in_(chunk))).all()
                values = [
                    {
                        "draft_id": inserted[0],
                        "entry_id": row.id,
                        "version": row.version,
                        "entry": entry_record(entry_of(row)),
                        "is_mention": row.id in mentions,
                    }
                    for row in rows
                ]
                if values:
                    connection.execute(sa.insert(t.draft_entries), values)
            return _draft_of(_row(connection, inserted[0]))

    def open_draft(self, digest: str) -> StoredDraft | None:
        """The draft of a digest that may still become an issue; there is at most one.

        Transaction: one read.
        """
        wanted = sa.select(t.drafts).where(t.drafts.c.digest == digest, t.drafts.c.state.in_(OPEN_DRAFTS))
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else _draft_of(row)

    def drafts(self, digest: str | None = None, limit: int = 20) -> list[StoredDraft]:
        """The last drafts of a digest, or of all, the latest first.

        Transaction: one read.
        """
        wanted = sa.select(t.drafts).order_by(t.drafts.c.id.desc()).limit(limit)
        if digest is not None:
            wanted = wanted.where(t.drafts.c.digest == digest)
        with self._database.read() as connection:
            return [_draft_of(row) for row in connection.execute(wanted)]

    def drafted(self, draft: StoredDraft) -> list[DraftedEntry]:
        """What an open draft is made of, as it was then; what no longer waits for the digest is left out.

        Transaction: one read.
        """
        waiting = (
            (t.offers.c.digest == draft.digest)
            & (t.offers.c.entry_id == t.draft_entries.c.entry_id)
            & t.offers.c.issue_id.is_(None)
            & t.offers.c.skipped.is_(None)
        )
        wanted = (
            sa.select(
                t.draft_entries,
                t.feeds.c.url.label("feed_url"),
                t.entries.c.first_seen_at,
                t.entries.c.position,
            )
            .join(t.entries, t.entries.c.id == t.draft_entries.c.entry_id)
            .join(t.feeds, t.feeds.c.id == t.entries.c.feed_id)
            .where(t.draft_entries.c.draft_id == draft.id, t.draft_entries.c.is_mention | sa.exists().where(waiting))
            .order_by(t.draft_entries.c.entry_id)
        )
        with self._database.read() as connection:
            return [
                DraftedEntry(
                    stored=StoredEntry(
                        id=row.entry_id,
                        feed_url=row.feed_url,
                        entry=entry_of_record(row.entry),
                        first_seen_at=row.first_seen_at,
                    ),
                    version=row.version,
                    is_mention=row.is_mention,
                )
                for row in connection.execute(wanted)
            ]

    def change_draft(self, draft: StoredDraft, changes: DraftChanges) -> StoredDraft:
        """Take up what the editor has made of a draft; one that was approved waits again.

        Transaction: one write.

        Raises:
            StoreError: it is no longer open, or somebody has changed it since.
        """
        return self._answer(
            draft,
            state=DraftState.waiting,
            changes=_changes_record(changes),
            revision=draft.revision + 1,
            fingerprint="",
            answered_at=None,
            reason="",
        )

    def approve_draft(self, draft: StoredDraft, fingerprint: str, reason: str = "") -> StoredDraft:
        """Let a draft go out when its time comes, if its letter still has this fingerprint then.

        Transaction: one write.

        Raises:
            StoreError: it is no longer open, or somebody has changed it since.
        """
        return self._answer(
            draft,
            state=DraftState.approved,
            fingerprint=fingerprint,
            answered_at=self._clock.now(),
            reason=reason,
        )

    def reopen_draft(self, draft: StoredDraft, reason: str) -> StoredDraft:
        """Let an approved draft wait again, because of what has come between.

        Transaction: one write.

        Raises:
            StoreError: it is no longer open, or somebody has changed it since.
        """
        return self._answer(draft, state=DraftState.waiting, fingerprint="", answered_at=None, reason=reason)

    def close_draft(self, draft: StoredDraft, state: DraftState, reason: str) -> StoredDraft:
        """Let a draft never become an issue; its entries wait for the next one, as they have all along.

        Transaction: one write.

        Raises:
            StoreError: it is no longer open, or somebody has changed it since.
        """
        return self._answer(draft, state=state, reason=reason, answered_at=self._clock.now())

    def _answer(self, draft: StoredDraft, **values: Any) -> StoredDraft:
        with self._database.write() as connection:
            answer_draft(connection, draft, **values)
            if values["state"] not in OPEN_DRAFTS:
                forget_drafted(connection, draft.id)
            return _draft_of(_row(connection, draft.id))


def answer_draft(connection: Connection, draft: StoredDraft, **values: Any) -> None:
    """Change an open draft, unless somebody else has since it was read.

    Raises:
        StoreError: somebody has.
    """
    d = t.drafts.c
    changed = connection.execute(
        sa.update(t.drafts)
        .where(
            d.id == draft.id,
            d.state == draft.state,
            d.revision == draft.revision,
            d.fingerprint == draft.fingerprint,
        )
        .values(**values)
    ).rowcount
    if changed != 1:
        raise StoreError(f"the draft of {draft.digest} for {draft.slot} has been changed or answered since", hint=_LOOK)


def drafted_versions(connection: Connection, draft_id: int) -> dict[int, Row]:
    """Which version of each entry a draft is made of, with the entry as it was."""
    wanted = sa.select(t.draft_entries).where(t.draft_entries.c.draft_id == draft_id)
    return {row.entry_id: row for row in connection.execute(wanted)}


def forget_drafted(connection: Connection, draft_id: int) -> None:
    """Let go of the entries as they were; nobody asks for them once a draft is closed."""
    connection.execute(sa.delete(t.draft_entries).where(t.draft_entries.c.draft_id == draft_id))


def _row(connection: Connection, draft_id: int) -> Row:
    return connection.execute(sa.select(t.drafts).where(t.drafts.c.id == draft_id)).one()


def _draft_of(row: Row) -> StoredDraft:
    return StoredDraft(
        id=row.id,
        digest=row.digest,
        slot=row.slot,
        due_at=row.due_at,
        answer_by=row.answer_by,
        made_at=row.made_at,
        number=row.number,
        state=row.state,
        revision=row.revision,
        changes=_changes_of(row.changes),
        fingerprint=row.fingerprint,
        answered_at=row.answered_at,
        reason=row.reason,
    )


def _changes_record(changes: DraftChanges) -> dict[str, Any]:
    return {
        "note": changes.note,
        "hidden": sorted(changes.hidden),
        "order": list(changes.order),
        "edits": [[id_, edit.title, edit.markdown] for id_, edit in sorted(changes.edits.items())],
    }


def _changes_of(record: Mapping[str, Any]) -> DraftChanges:
    try:
        edits: Iterable[Any] = record["edits"]
        return DraftChanges(
            note=record["note"],
            hidden=frozenset(record["hidden"]),
            order=tuple(record["order"]),
            edits={id_: EntryEdit(title=title, markdown=markdown) for id_, title, markdown in edits},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("a draft's changes cannot be read: the database is damaged") from error

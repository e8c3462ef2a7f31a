"""Issues: what was frozen, and what may still happen to it."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import StoreError
from newsletter.model import (
    UNSETTLED,
    Consumed,
    DeliveryState,
    Issue,
    IssueState,
    Picture,
    Rendering,
    StoredEntry,
)
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import (
    STORED_ENTRY,
    Row,
    entry_of,
    entry_of_record,
    in_chunks,
    issue_of,
    picture_of,
    rendering_of,
)

#: States that say somebody has got the message, or may have.
_REACHED = (DeliveryState.sent, DeliveryState.sending, DeliveryState.unknown, DeliveryState.held)


class Issues(Part):
    """Frozen issues; freezing itself is in `freeze`."""

    def next_number(self, digest: str) -> int:
        """The number of the digest's next issue, from 1; cancelled ones keep theirs.

        Transaction: one read.
        """
        with self._database.read() as connection:
            last = connection.execute(
                sa.select(sa.func.max(t.issues.c.number)).where(t.issues.c.digest == digest)
            ).scalar()
        return (last or 0) + 1

    def issues(self, digest: str | None = None, limit: int | None = None) -> list[Issue]:
        """Issues of one digest or of all, newest first.

        Transaction: one read.
        """
        wanted = sa.select(t.issues).order_by(t.issues.c.id.desc()).limit(limit)
        if digest is not None:
            wanted = wanted.where(t.issues.c.digest == digest)
        with self._database.read() as connection:
            return [issue_of(row) for row in connection.execute(wanted)]

    def issue(self, number: int, digest: str) -> Issue | None:
        """The issue of this number; None if the digest has none.

        Transaction: one read.
        """
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(t.issues).where(t.issues.c.digest == digest, t.issues.c.number == number)
            ).first()
        return None if row is None else issue_of(row)

    def issue_by_id(self, issue_id: int) -> Issue:
        """The issue with this id.

        Transaction: one read.

        Raises:
            StoreError: there is none.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.issues).where(t.issues.c.id == issue_id)).first()
        if row is None:
            raise StoreError(f"there is no issue with the id {issue_id}", hint="newsletter issue list")
        return issue_of(row)

    def last_note(self, digest: str) -> tuple[int, str]:
        """The number of the digest's last issue that anybody may have got, and its note; (0, "") where there is none.

        Transaction: one read.
        """
        wanted = (
            sa.select(t.issues.c.number, t.issues.c.note)
            .where(t.issues.c.digest == digest, t.issues.c.released.is_(False))
            .order_by(t.issues.c.id.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        return (0, "") if row is None else (row.number, row.note)

    def rendering(self, issue_id: int, key: str) -> Rendering:
        """One rendering of an issue.

        Transaction: one read.

        Raises:
            StoreError: the issue has no such rendering.
        """
        wanted = sa.select(t.renderings).where(t.renderings.c.issue_id == issue_id, t.renderings.c.key == key)
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            raise StoreError(f"issue {issue_id} has no rendering {key!r}")
        return rendering_of(row)

    def renderings(self, issue_id: int) -> list[Rendering]:
        """All renderings of an issue, by key.

        Transaction: one read.
        """
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.renderings).where(t.renderings.c.issue_id == issue_id)).all()
        return sorted(map(rendering_of, rows), key=lambda rendering: rendering.key)

    def neutral_keys(self, issue_id: int) -> dict[str, str]:
        """The keys of an issue's renderings that were made for nobody in particular, in order, and their languages.

        Transaction: one read.
        """
        wanted = sa.select(t.renderings.c.key, t.renderings.c.language).where(t.renderings.c.issue_id == issue_id)
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        # What was decided on a person stands behind a colon (`issues.render`).
        return {row.key: row.language for row in sorted(rows, key=lambda row: row.key) if ":" not in row.key}

    def pictures(self, issue_id: int) -> list[Picture]:
        """What travels inside the messages of an issue, in the order of the letter.

        Transaction: one read.
        """
        wanted = sa.select(t.pictures).where(t.pictures.c.issue_id == issue_id).order_by(t.pictures.c.position)
        with self._database.read() as connection:
            return [picture_of(row) for row in connection.execute(wanted)]

    def issue_entries(self, issue_id: int) -> list[tuple[StoredEntry, Consumed]]:
        """What an issue used up, in its order, each entry as it read when the issue was frozen.

        Transaction: one read.
        """
        wanted = (
            STORED_ENTRY.add_columns(
                t.issue_entries.c.disposition,
                t.issue_entries.c.why,
                t.issue_entries.c.version.label("version_then"),
                t.entry_versions.c.entry.label("entry_then"),
            )
            .join(t.issue_entries, t.issue_entries.c.entry_id == t.entries.c.id)
            .outerjoin(
                t.entry_versions,
                (t.entry_versions.c.entry_id == t.entries.c.id)
                & (t.entry_versions.c.version == t.issue_entries.c.version),
            )
            .where(t.issue_entries.c.issue_id == issue_id)
            .order_by(t.issue_entries.c.position)
        )
        with self._database.read() as connection:
            return [_used_up(row) for row in connection.execute(wanted)]

    def unfinished(self, *, ready: bool = False) -> list[Issue]:
        """Open or paused issues of which some delivery is not settled, oldest first.

        Args:
            ready: only those of which something can be done now: the others wait for a server or for their hours.

        Transaction: one read.
        """
        row = t.deliveries.c
        left: sa.ColumnElement[bool] = row.state.in_(UNSETTLED)
        if ready:
            now = sa.bindparam("now", self._clock.now(), type_=row.next_attempt_at.type)
            left &= row.next_attempt_at.is_(None) | (row.next_attempt_at <= now)
        wanted = (
            sa.select(t.issues)
            .where(
                t.issues.c.state.in_((IssueState.open, IssueState.paused)),
                sa.exists().where(row.issue_id == t.issues.c.id, left),
            )
            .order_by(t.issues.c.id)
        )
        with self._database.read() as connection:
            return [issue_of(row) for row in connection.execute(wanted)]

    def pause(self, issue_id: int, reason: str) -> None:
        """Let no further message of the issue begin; the reason is for people.

        Transaction: one write.

        Raises:
            StoreError: there is no such issue, or it is cancelled.
        """
        self._move(issue_id, IssueState.paused, reason)

    def resume(self, issue_id: int) -> None:
        """Let a paused issue go on; one that its canary has stopped goes on without it.

        Transaction: one write.

        Raises:
            StoreError: there is no such issue, or it is cancelled.
        """
        self._move(issue_id, IssueState.open, "")

    def cancel(self, issue_id: int) -> bool:
        """Stop an issue for good; says whether its entries went back to waiting.

        Unsettled deliveries become `cancelled`; one that is on the wire just
        now still gets its true result when the reply comes.  Entries are given
        back only if nobody has got the issue or may have.  Cancelling again
        changes nothing.

        Transaction: one write.

        Raises:
            StoreError: there is no such issue.
        """
        with self._database.write() as connection:
            row = locked(connection, issue_id)
            if row.state is IssueState.cancelled:
                return bool(row.released)
            mine = t.deliveries.c.issue_id == issue_id
            reached = connection.execute(
                sa.select(t.deliveries.c.id)
                .where(mine, t.deliveries.c.state.in_(_REACHED) | t.deliveries.c.doubtful)
                .limit(1)
            ).first()
            # Of rows that are gone nobody knows who got what.
            gone = connection.execute(sa.select(t.tallies.c.state).where(t.tallies.c.issue_id == issue_id)).first()
            connection.execute(
                sa.update(t.deliveries)
                .where(mine, t.deliveries.c.state.in_(UNSETTLED))
                .values(state=DeliveryState.cancelled, next_attempt_at=None, settled_at=self._clock.now())
            )
            released = reached is None and gone is None
            connection.execute(
                sa.update(t.issues)
                .where(t.issues.c.id == issue_id)
                .values(state=IssueState.cancelled, released=released)
            )
            if released:
                _release(connection, row)
        return released

    def _move(self, issue_id: int, state: IssueState, reason: str) -> None:
        with self._database.write() as connection:
            row = locked(connection, issue_id)
            if row.state is IssueState.cancelled:
                raise StoreError(f"issue {row.number} of {row.digest} is cancelled", hint="newsletter issue list")
            values: dict[str, object] = {"state": state, "state_reason": reason}
            if state is IssueState.open and (row.canary or {}).get("is_stopped"):
                values["canary"] = None
            connection.execute(sa.update(t.issues).where(t.issues.c.id == issue_id).values(values))


def locked(connection: Connection, issue_id: int) -> Row:
    """The issue's row; waits for intents under way, and makes later ones see what is decided now."""
    row = connection.execute(sa.select(t.issues).where(t.issues.c.id == issue_id).with_for_update()).first()
    if row is None:
        raise StoreError(f"there is no issue with the id {issue_id}", hint="newsletter issue list")
    return row


def _release(connection: Connection, issue: Row) -> None:
    """Give back what a cancelled issue had used up, and forget what it would have mentioned."""
    connection.execute(sa.update(t.offers).where(t.offers.c.issue_id == issue.id).values(issue_id=None, version=None))
    mentioned = connection.execute(sa.select(t.mentions.c.entry_id).where(t.mentions.c.issue_id == issue.id)).scalars()
    for chunk in in_chunks(mentioned.all()):
        for entry_id, version in told(connection, issue.digest, chunk):
            connection.execute(
                sa.update(t.offers)
                .where(t.offers.c.digest == issue.digest, t.offers.c.entry_id == entry_id)
                .values(version=version)
            )


def told(connection: Connection, digest: str, entry_ids: Iterable[int]) -> Iterable[Row]:
    """The newest version of each entry that an issue of the digest still tells of."""
    ids = list(entry_ids)
    told = sa.union_all(
        *(
            sa.select(table.c.entry_id, table.c.version)
            .join(t.issues, t.issues.c.id == table.c.issue_id)
            .where(t.issues.c.digest == digest, t.issues.c.released.is_(False), table.c.entry_id.in_(ids))
            for table in (t.issue_entries, t.mentions)
        )
    ).subquery()
    return connection.execute(sa.select(told.c.entry_id, sa.func.max(told.c.version)).group_by(told.c.entry_id)).all()


def _used_up(row: Row) -> tuple[StoredEntry, Consumed]:
    replaced = row.version_then != row.version and row.entry_then is not None
    entry = entry_of_record(row.entry_then) if replaced else entry_of(row)
    return (
        StoredEntry(id=row.id, feed_url=row.feed_url, entry=entry, first_seen_at=row.first_seen_at),
        Consumed(entry_id=row.id, disposition=row.disposition, why=row.why),
    )

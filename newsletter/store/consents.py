"""What people have said about their mail, each with the line of the record that proves it."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import EVERY_DIGEST, Consent, ConsentEvent, Suppression, SuppressionReason
from newsletter.store import tables as t
from newsletter.store.pauses import Pauses
from newsletter.store.rows import CHUNK, in_chunks
from newsletter.store.suppressions import Suppressions

_COLUMNS: Final = tuple(field.name for field in fields(Consent))


class Consents(Suppressions, Pauses):
    """Leaving, coming back, pausing; and the record of all that, which is only added to."""

    def leave(self, key: str, email: str, *, digest: str = EVERY_DIGEST, source: str) -> bool:
        """Unsubscribe a person; when this returns, no intent can be committed for them any more.

        Repeating it changes nothing, and is not recorded again.

        Returns:
            whether it changed anything.

        Transaction: one write.
        """
        secret = self._erased_secret()
        said = self._said(key, email, ConsentEvent.left, digest, source)
        new = Suppression(
            key=key, email=email, reason=SuppressionReason.unsubscribed, since=said.at, note=source, digest=digest
        )
        with self._database.write() as connection:
            changed = self._suppress(connection, secret, new)
            if changed:
                record_consent(connection, said)
        return changed

    def come_back(self, key: str, email: str, *, digest: str = EVERY_DIGEST, source: str) -> bool:
        """Take back that a person unsubscribed; no other suppression is theirs to lift.

        Returns:
            whether it changed anything.

        Transaction: one write.
        """
        theirs = (
            (t.suppressions.c.key == key)
            & (t.suppressions.c.digest == digest)
            & (t.suppressions.c.reason == SuppressionReason.unsubscribed)
        )
        with self._database.write() as connection:
            changed = connection.execute(sa.delete(t.suppressions).where(theirs)).rowcount > 0
            if changed:
                record_consent(connection, self._said(key, email, ConsentEvent.returned, digest, source))
        return changed

    def pause_until(
        self, key: str, email: str, until: datetime | None, *, digest: str = EVERY_DIGEST, source: str
    ) -> None:
        """Send a person nothing until a moment, or (None) end that.

        Transaction: one write.
        """
        event = ConsentEvent.resumed if until is None else ConsentEvent.paused
        note = "" if until is None else f"until {until:%Y-%m-%d %H:%M} UTC"
        said = replace(self._said(key, email, event, digest, source), note=note)
        with self._database.write() as connection:
            self._pause(connection, key, digest, until)
            record_consent(connection, said)

    def record_consents(self, consents: Iterable[Consent]) -> None:
        """Add lines to the record, streaming.

        Transaction: one write.
        """
        with self._database.write() as connection:
            for chunk in in_chunks(consents):
                connection.execute(sa.insert(t.consents), list(map(_row_of, chunk)))

    def consents_of(self, key: str) -> list[Consent]:
        """The record of one person, the oldest line first.

        Transaction: one read.
        """
        mine = sa.select(t.consents).where(t.consents.c.key == key).order_by(t.consents.c.at, t.consents.c.id)
        with self._database.read() as connection:
            return list(map(_consent_of, connection.execute(mine)))

    def consents(self) -> Iterator[Consent]:
        """The whole record, in the order in which it was written, a chunk at a time.

        Transaction: one read for each chunk.
        """
        after = 0
        wanted = sa.select(t.consents).order_by(t.consents.c.id).limit(CHUNK)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(wanted.where(t.consents.c.id > after)).all()
            yield from map(_consent_of, rows)
            if len(rows) < CHUNK:
                return
            after = rows[-1].id

    def _said(self, key: str, email: str, event: ConsentEvent, digest: str, source: str) -> Consent:
        return Consent(key=key, email=email, event=event, at=self._clock.now(), source=source, digest=digest)


def record_consent(connection: Connection, consent: Consent) -> None:
    """Add a line to the record, within a transaction that writes."""
    connection.execute(sa.insert(t.consents).values(asdict(consent)))


def _row_of(consent: Consent) -> dict[str, Any]:
    # As `asdict`, which copies what cannot change: an import writes a million.
    return {name: getattr(consent, name) for name in _COLUMNS}


def _consent_of(row: Any) -> Consent:
    return Consent(
        key=row.key,
        email=row.email,
        event=row.event,
        at=row.at,
        source=row.source,
        digest=row.digest,
        note=row.note,
    )

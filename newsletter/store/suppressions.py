"""Whom we must not mail, and why."""

import hmac
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Suppression, SuppressionReason
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.rows import in_chunks, suppression_of
from newsletter.store.types import storable

#: A stronger reason replaces a weaker one, never the other way round: a bounce
#: that is forgiven later must not lift what a person has asked for.
_STRENGTH: Final = (
    SuppressionReason.bounced,
    SuppressionReason.manual,
    SuppressionReason.unsubscribed,
    SuppressionReason.complained,
    SuppressionReason.erased,
)
_HASHES_ERASED: Final = "erased"


class Suppressions(Part):
    """Suppressions, which win over every file and list (ARCHITECTURE.md, "People")."""

    def suppress(self, key: str, email: str, reason: SuppressionReason, note: str = "") -> None:
        """Never mail this person again; when this returns, no intent can be committed for them any more.

        Repeating it changes nothing; a stronger reason replaces a weaker one
        (erased > complained > unsubscribed > manual > bounced).  `erased` keeps
        neither address nor note: only a keyed hash of the key stays, by which
        the person is known should somebody import them again.

        Transaction: one write.
        """
        secret = self.secret(_HASHES_ERASED)
        erased = reason is SuppressionReason.erased
        with self._database.write() as connection:
            # Waits for intents that have looked already, and makes later ones wait.
            self._database.lock_table(connection, t.suppressions, "SHARE ROW EXCLUSIVE")
            known = connection.execute(_of(key, secret)).first()
            if known is not None:
                if _STRENGTH.index(known.reason) >= _STRENGTH.index(reason):
                    return
                connection.execute(sa.delete(t.suppressions).where(t.suppressions.c.key == known.key))
            connection.execute(
                self._database.insert(t.suppressions)
                .values(
                    key=erased_key(key, secret) if erased else key,
                    email="" if erased else email,
                    reason=reason,
                    since=self._clock.now(),
                    note="" if erased else note,
                )
                .on_conflict_do_nothing(index_elements=["key"])
            )

    def unsuppress(self, key: str) -> bool:
        """Lift a suppression; says whether there was one.

        Transaction: one write.
        """
        secret = self.secret(_HASHES_ERASED)
        with self._database.write() as connection:
            gone = connection.execute(
                sa.delete(t.suppressions).where(t.suppressions.c.key.in_([key, erased_key(key, secret)]))
            )
            return gone.rowcount > 0

    def suppression(self, key: str) -> Suppression | None:
        """Why this person must not be mailed; None if they may be.

        Transaction: one read.
        """
        secret = self.secret(_HASHES_ERASED)
        with self._database.read() as connection:
            row = connection.execute(_of(key, secret)).first()
        return None if row is None else suppression_of(row)

    def suppressions(self) -> list[Suppression]:
        """All suppressions, the oldest first.

        Transaction: one read.
        """
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.suppressions)).all()
        return sorted(map(suppression_of, rows), key=lambda s: (s.since, s.key))

    def _erased_secret(self) -> bytes:
        """What `suppressed_among` needs; fetched before a transaction begins."""
        return self.secret(_HASHES_ERASED)


#: Whether anybody was erased; mostly nobody was, and nothing need be hashed.
ANYBODY_ERASED: Final = sa.exists().where(t.suppressions.c.reason == sa.literal_column("'erased'"))
_SUPPRESSED: Final = sa.select(t.suppressions.c.key).where(
    t.suppressions.c.key.in_(sa.bindparam("keys", expanding=True))
)


def suppressed_among(connection: Connection, keys: Iterable[str], secret: bytes) -> set[str]:
    """Which of these keys must not be mailed, as this transaction sees it."""
    found: set[str] = set()
    for chunk in in_chunks(keys):
        forms = {storable(key): key for key in chunk}
        if connection.execute(sa.select(ANYBODY_ERASED)).scalar():
            forms |= {erased_key(key, secret): key for key in chunk}
        found.update(forms[form] for form in connection.execute(_SUPPRESSED, {"keys": list(forms)}).scalars())
    return found


def erased_key(key: str, secret: bytes) -> str:
    """What is left of an erased person: enough to recognise them, nothing to mail or to guess."""
    return "erased:" + hmac.digest(secret, key.encode("utf-8", "replace"), "sha256").hex()


def _of(key: str, secret: bytes) -> sa.Select[tuple[str, str, SuppressionReason, object, str]]:
    return sa.select(t.suppressions).where(t.suppressions.c.key.in_([key, erased_key(key, secret)]))

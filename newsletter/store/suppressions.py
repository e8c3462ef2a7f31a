"""Whom we must not mail, and why."""

import hmac
from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import (
    EVERY_DIGEST,
    REASONS_BY_STRENGTH,
    NewSuppression,
    Suppression,
    SuppressionReason,
)
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.bulk import insert_new
from newsletter.store.keyed import Keyed
from newsletter.store.rows import in_chunks, suppression_of
from newsletter.store.types import storable

_HASHES_ERASED: Final = "erased"
#: What the key of an erased person begins with.
_LEFT: Final = "erased:"


class Suppressions(Part):
    """Suppressions, which win over every file and list (ARCHITECTURE.md, "People").

    A suppression holds for one digest, or for all of them (`EVERY_DIGEST`).
    """

    def suppress(
        self, key: str, email: str, reason: SuppressionReason, note: str = "", *, digest: str = EVERY_DIGEST
    ) -> None:
        """Never mail this person again; when this returns, no intent can be committed for them any more.

        Repeating it changes nothing; a stronger reason replaces a weaker one of
        the same digest (erased > complained > unsubscribed > manual > bounced).
        `erased` keeps neither address nor note: only a keyed hash of the key
        stays, by which the person is known should somebody import them again;
        it holds for all digests.

        Transaction: one write.
        """
        secret = self._erased_secret()
        with self._database.write() as connection:
            new = Suppression(key=key, email=email, reason=reason, since=self._clock.now(), note=note, digest=digest)
            self._suppress(connection, secret, new)

    def suppress_all(self, people: Iterable[NewSuppression]) -> int:
        """Never mail any of these people again, in any digest, as `suppress`; says for how many that is news.

        They are taken as they come, so that a long list need not be held.

        Transaction: one write.
        """
        secret = self._erased_secret()
        changed = 0
        with self._database.write() as connection:
            # Waits for intents that have looked already, and makes later ones wait.
            self._database.lock_table(connection, t.suppressions, "SHARE ROW EXCLUSIVE")
            for chunk in in_chunks(people):
                changed += self._suppress_many(connection, secret, chunk)
        return changed

    def _suppress_many(self, connection: Connection, secret: bytes, people: Iterable[NewSuppression]) -> int:
        new: dict[str, NewSuppression] = {}
        for one in people:
            known = new.get(one.key)
            if known is None or _is_weaker(known.reason, one.reason):
                new[one.key] = one
        forms = {form: key for key in new for form in (storable(key), erased_key(key, secret))}
        weaker = []
        for row in connection.execute(_REASONS, {"keys": list(forms)}).all():
            key = forms[row.key]
            if _is_weaker(row.reason, new[key].reason):
                weaker.append(row.key)
            else:
                del new[key]
        if weaker:
            of_all = t.suppressions.c.digest == EVERY_DIGEST
            connection.execute(sa.delete(t.suppressions).where(t.suppressions.c.key.in_(weaker), of_all))
        if new:
            rows = [{**asdict(one), "since": self._clock.now(), "digest": EVERY_DIGEST} for one in new.values()]
            insert_new(self._database, connection, t.suppressions, rows, unique=["key", "digest"])
        return len(new)

    def reasons(self, keys: Iterable[str]) -> dict[str, SuppressionReason]:
        """Why people must not be mailed at all, by their keys; who gets some digest is left out.

        Transaction: two reads, the first of whether anybody was erased.
        """
        with self._database.read() as connection:
            anybody_erased = connection.execute(sa.select(ANYBODY_ERASED)).scalar()
        # Nobody was: then there may be no secret yet, and a look makes none.
        secret = self._erased_secret() if anybody_erased else b""
        found: dict[str, SuppressionReason] = {}
        with self._database.read() as connection:
            for chunk in in_chunks(keys):
                forms = {storable(key): key for key in chunk}
                if secret:
                    forms |= {erased_key(key, secret): key for key in chunk}
                rows = connection.execute(_REASONS, {"keys": list(forms)})
                found.update({forms[row.key]: row.reason for row in rows})
        return found

    def unsuppress(self, key: str, digest: str | None = None) -> bool:
        """Lift a suppression, that of one digest or (None) every one; says whether there was one.

        Bounces so far count for nothing any more.

        Transaction: one write.
        """
        secret = self._erased_secret()
        with self._database.write() as connection:
            connection.execute(sa.update(t.bounces).where(t.bounces.c.key == key).values(forgiven=True))
            return connection.execute(sa.delete(t.suppressions).where(_is_of(key, secret, digest))).rowcount > 0

    def suppression(self, key: str, digest: str = EVERY_DIGEST) -> Suppression | None:
        """Why this person must not be mailed, in this digest or at all; None if they may be.

        Transaction: one read.
        """
        holding = (one for one in self.suppressions_of(key) if one.digest in (EVERY_DIGEST, digest))
        return next(holding, None)

    def suppressions_of(self, key: str) -> list[Suppression]:
        """Every suppression of one person, that of all digests first.

        Transaction: one read.
        """
        secret = self._erased_secret()
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.suppressions).where(_is_of(key, secret)))
            return sorted(map(suppression_of, rows), key=lambda one: one.digest)

    def suppressions(self) -> list[Suppression]:
        """All suppressions, the oldest first.

        Transaction: one read.
        """
        with self._database.read() as connection:
            rows = connection.execute(sa.select(t.suppressions)).all()
        return sorted(map(suppression_of, rows), key=lambda s: (s.since, s.key, s.digest))

    def _suppress(self, connection: Connection, secret: bytes, new: Suppression) -> bool:
        """What `suppress` does, within a transaction that writes; says whether it changed anything."""
        # Waits for intents that have looked already, and makes later ones wait.
        self._database.lock_table(connection, t.suppressions, "SHARE ROW EXCLUSIVE")
        erased = new.reason is SuppressionReason.erased
        digest = EVERY_DIGEST if erased else new.digest
        known = connection.execute(sa.select(t.suppressions).where(_is_of(new.key, secret, digest))).first()
        if known is not None and REASONS_BY_STRENGTH.index(known.reason) >= REASONS_BY_STRENGTH.index(new.reason):
            return False
        # Of an erased person nothing else stays either.
        connection.execute(sa.delete(t.suppressions).where(_is_of(new.key, secret, None if erased else digest)))
        kept = {"key": erased_key(new.key, secret), "email": "", "note": ""} if erased else {}
        connection.execute(sa.insert(t.suppressions).values({**asdict(new), "digest": digest, **kept}))
        return True

    def _erased_secret(self) -> bytes:
        """What `suppressed_among` needs; fetched before a transaction begins."""
        return self.secret(_HASHES_ERASED)


#: Whether anybody was erased; mostly nobody was, and nothing need be hashed.
ANYBODY_ERASED: Final = sa.exists().where(t.suppressions.c.reason == sa.literal_column("'erased'"))
_REASONS: Final = sa.select(t.suppressions.c.key, t.suppressions.c.reason).where(
    t.suppressions.c.key.in_(sa.bindparam("keys", expanding=True)), t.suppressions.c.digest == EVERY_DIGEST
)
_SUPPRESSED: Final = sa.select(t.suppressions.c.key).where(
    t.suppressions.c.key.in_(sa.bindparam("keys", expanding=True)),
    t.suppressions.c.digest.in_([EVERY_DIGEST, sa.bindparam("of_digest", type_=sa.Text)]),
)


def suppressed_among(connection: Connection, keys: Iterable[str], secret: bytes, digest: str) -> set[str]:
    """Which of these keys must not be mailed an issue of this digest, as this transaction sees it."""
    found: set[str] = set()
    for chunk in in_chunks(keys):
        forms = {storable(key): key for key in chunk}
        if connection.execute(sa.select(ANYBODY_ERASED)).scalar():
            forms |= {erased_key(key, secret): key for key in chunk}
        rows = connection.execute(_SUPPRESSED, {"keys": list(forms), "of_digest": digest})
        found.update(forms[form] for form in rows.scalars())
    return found


def _is_weaker(reason: SuppressionReason, other: SuppressionReason) -> bool:
    return REASONS_BY_STRENGTH.index(reason) < REASONS_BY_STRENGTH.index(other)


def erased_among(connection: Connection, keys: Iterable[str], secret: bytes) -> set[str]:
    """Which of these keys are of people who were erased, or what is left of one."""
    found: set[str] = set()
    for chunk in in_chunks(keys):
        forms = {erased_key(key, secret): key for key in chunk}
        found.update(key for key in chunk if key.startswith(_LEFT))
        known = connection.execute(sa.select(t.suppressions.c.key).where(t.suppressions.c.key.in_(list(forms))))
        found.update(forms[form] for form in known.scalars())
    return found


def erased_key(key: str, secret: bytes) -> str:
    """What is left of an erased person: enough to recognise them, nothing to mail or to guess."""
    return _LEFT + hmac.digest(secret, key.encode("utf-8", "replace"), "sha256").hex()


def erased_in_sql(key: sa.ColumnElement[str], secret: bytes) -> sa.ColumnElement[str]:
    """The same, for PostgreSQL."""
    hashed = sa.func.encode(Keyed(secret=secret).in_sql(key), sa.literal_column("'hex'"))
    return sa.literal(_LEFT).concat(hashed)


def _is_of(key: str, secret: bytes, digest: str | None = None) -> sa.ColumnElement[bool]:
    """Which rows are this person's: those of one digest, or all."""
    theirs = t.suppressions.c.key.in_([key, erased_key(key, secret)])
    return theirs if digest is None else theirs & (t.suppressions.c.digest == digest)

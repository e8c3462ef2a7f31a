"""Who asked for mail and has not confirmed it yet (double opt-in)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from newsletter.model import EVERY_DIGEST, Consent, ConsentEvent, Format, SignUp, SuppressionReason
from newsletter.store import tables as t
from newsletter.store.consents import Consents, record_consent
from newsletter.store.suppressions import erased_key

#: What answering a mail lifts.
_LIFTED: Final = (SuppressionReason.unsubscribed, SuppressionReason.bounced, SuppressionReason.erased)


class SignUps(Consents):
    """Sign-ups: a person is on no list before they have answered the mail that they were sent."""

    def sign_up(
        self,
        key: str,
        email: str,
        *,
        name: str = "",
        digests: Sequence[str] = (),
        language: str | None = None,
        format_: Format = Format.html,
        source: str,
    ) -> SignUp:
        """Remember that somebody asked, and make the token that the mail to them carries.

        Transaction: one write.
        """
        made = SignUp(
            token=self._ids.token(),
            key=key,
            email=email,
            name=name,
            digests=tuple(digests),
            language=language,
            format=format_,
            source=source,
            asked_at=self._clock.now(),
        )
        with self._database.write() as connection:
            connection.execute(
                sa.insert(t.signups).values(
                    token=made.token,
                    key=key,
                    email=email,
                    name=name,
                    digests=list(digests),
                    language=language,
                    format=format_,
                    source=source,
                    asked_at=made.asked_at,
                )
            )
            record_consent(connection, _line(made, ConsentEvent.asked, made.asked_at))
        return made

    def signup(self, token: str) -> SignUp | None:
        """The sign-up with this token; None if there is none.

        Transaction: one read.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.signups).where(t.signups.c.token == token)).first()
        return None if row is None else _signup_of(row)

    def signups_since(self, moment: datetime, key: str | None = None) -> int:
        """How many have asked since then: all, or one person.

        Transaction: one read.
        """
        wanted = sa.select(sa.func.count()).select_from(t.signups).where(t.signups.c.asked_at >= moment)
        with self._database.read() as connection:
            return connection.execute(wanted if key is None else wanted.where(t.signups.c.key == key)).scalar_one()

    def confirm(self, signup: SignUp, *, source: str) -> bool:
        """Note that the person has confirmed, and lift what that lifts in the digests they asked for.

        That is: that they had unsubscribed; that the address bounced, for it has
        just proven to work; that they were erased, for they come back as somebody
        new.  What the keeper of the list decided, and a complaint, stay.

        Returns:
            whether this was the first time.

        Transaction: one write.
        """
        mine = (t.signups.c.token == signup.token) & t.signups.c.confirmed_at.is_(None)
        now = self._clock.now()
        wanted = [*signup.digests, EVERY_DIGEST] if signup.digests else None
        key = signup.key
        keys = [key, erased_key(key, self._erased_secret())]
        theirs = t.suppressions.c.key.in_(keys) & t.suppressions.c.reason.in_(_LIFTED)
        with self._database.write() as connection:
            first = connection.execute(sa.update(t.signups).where(mine).values(confirmed_at=now)).rowcount > 0
            if first:
                lifted = theirs if wanted is None else theirs & t.suppressions.c.digest.in_(wanted)
                connection.execute(sa.delete(t.suppressions).where(lifted))
                record_consent(connection, _line(replace(signup, source=source), ConsentEvent.confirmed, now))
        return first

    def forget_signups(self, before: datetime) -> int:
        """Drop what was asked for before then and never confirmed, with its line in the record; says how many.

        Whoever did not answer has agreed to nothing, not even to our knowing of them.

        Transaction: one write.
        """
        old = (t.signups.c.asked_at < before) & t.signups.c.confirmed_at.is_(None)
        line = (
            (t.consents.c.key == sa.bindparam("whose"))
            & (t.consents.c.event == ConsentEvent.asked)
            & (t.consents.c.at == sa.bindparam("when"))
        )
        with self._database.write() as connection:
            gone = connection.execute(sa.select(t.signups.c.key, t.signups.c.asked_at).where(old)).all()
            if gone:
                lines = [{"whose": row.key, "when": row.asked_at} for row in gone]
                connection.execute(sa.delete(t.consents).where(line), lines)
                connection.execute(sa.delete(t.signups).where(old))
        return len(gone)


def _line(signup: SignUp, event: ConsentEvent, at: datetime) -> Consent:
    one = len(signup.digests) == 1
    return Consent(
        key=signup.key,
        email=signup.email,
        event=event,
        at=at,
        source=signup.source,
        digest=signup.digests[0] if one else EVERY_DIGEST,
        note="" if one else ", ".join(signup.digests),
    )


def _signup_of(row: Any) -> SignUp:
    return SignUp(
        token=row.token,
        key=row.key,
        email=row.email,
        name=row.name,
        digests=tuple(row.digests),
        language=row.language,
        format=row.format,
        source=row.source,
        asked_at=row.asked_at,
        confirmed_at=row.confirmed_at,
    )

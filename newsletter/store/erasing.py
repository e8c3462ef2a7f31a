"""Forgetting a person."""

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from newsletter.model import DeliveryState, Suppression, SuppressionReason
from newsletter.store import tables as t
from newsletter.store.bounces import blank_reports
from newsletter.store.people import forget_kept
from newsletter.store.suppressions import Suppressions, erased_key

#: What is settled, or on its way, keeps its state: the counts of an issue stay true.
_OPEN: Final = (
    DeliveryState.queued,
    DeliveryState.deferred,
    DeliveryState.sending,
    DeliveryState.unknown,
    DeliveryState.held,
)
#: Tables whose rows about a person go without a trace.
_ABOUT: Final = (t.consents, t.signups, t.links, t.pauses, t.bounces, t.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What was forgotten: deliveries without their person now, and other rows that are gone."""

    deliveries: int
    rows: int


class Erasing(Suppressions):
    """Erasing a person: nothing stays but a keyed hash, so that no import brings them back."""

    def erase(self, key: str) -> Erased:
        """Forget a person for good; when this returns, no intent can be committed for them any more.

        Their deliveries stay, for the sums of past issues, under the keyed hash
        and without address, name and merge fields; what was not settled is
        `suppressed` now.

        Transaction: one write.
        """
        secret = self._erased_secret()
        d = t.deliveries.c
        with self._database.write() as connection:
            new = Suppression(key=key, email="", reason=SuppressionReason.erased, since=self._clock.now())
            self._suppress(connection, secret, new)
            connection.execute(
                sa.update(t.deliveries)
                .where(d.key == key, d.state.in_(_OPEN))
                .values(state=DeliveryState.suppressed, settled_at=self._clock.now(), next_attempt_at=None)
            )
            blanked = connection.execute(
                sa.update(t.deliveries)
                .where(d.key == key)
                .values(key=erased_key(key, secret), email="", wire_email="", name="", merge={}, last_reply="")
            ).rowcount
            blank_reports(connection, key)
            forget_kept(connection, key)
            gone = [connection.execute(sa.delete(table).where(table.c.key == key)).rowcount for table in _ABOUT]
        return Erased(deliveries=blanked, rows=sum(gone))

"""Whose a report is: proof before anything else.

Anybody can write to the mailbox that a person does not exist.  What only we
can have written is believed: the Message-ID of a message to that person (a
keyed hash), or the return path of one (`delivery.returnpath`).  A report
without either is kept, counts for nothing, and is shown to whoever keeps the
list; a project that wants it otherwise says `unproven: count`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from newsletter.address import parse_address
from newsletter.errors import AddressError
from newsletter.model import BounceKind, BounceRules, Delivery, NewBounce, Proof
from newsletter.people.bounces.letter import addresses_in
from newsletter.people.bounces.reading import Report, Said

#: Messages of issues as old as this can still be recognised.
REMEMBERED: Final = timedelta(days=90)
#: So many reports of one scan may each cost a walk over the outbox: whoever forges them must not stop the others.
_WALKS: Final = 1_000
#: What our Message-IDs look like (`store.freeze.message_ids`).
_OURS = re.compile(r"[0-9a-f]{32}@[A-Za-z0-9.-]+")
_BOUNCES = (BounceKind.hard, BounceKind.soft, BounceKind.policy, BounceKind.delay, BounceKind.complaint)


class Memory(Protocol):
    """What judging asks of the store."""

    def written_to(self, keys: Sequence[str], since: datetime) -> list[Delivery]:
        """Messages to these people that went out, newest first."""
        ...

    def with_message_ids(self, message_ids: Sequence[str], since: datetime) -> list[Delivery]:
        """Messages with one of these Message-IDs."""
        ...

    def delivery(self, delivery_id: int) -> Delivery | None:
        """One row of the outbox."""
        ...


class Judge:
    """Tells whom reports are about.

    Args:
        memory: the store.
        rules: whether what has no proof may count.
        returned_to: the ids of the messages whose return paths a text holds (`ReturnPath.deliveries_in`).
    """

    def __init__(
        self,
        memory: Memory,
        rules: BounceRules,
        *,
        returned_to: Callable[[str], Iterable[int]] = lambda _: (),
    ) -> None:
        self._memory = memory
        self._rules = rules
        self._returned_to = returned_to
        self._walks = _WALKS

    def bounces(self, report: Report, now: datetime) -> list[NewBounce]:
        """What a report says of whom, each with its proof or without."""
        if report.kind not in _BOUNCES:
            return []
        proven = self._proven(report, now)
        used: set[int] = set()
        found = []
        for delivery, proof in proven.values():
            theirs = _said_of(delivery, report.said, [one for one, _ in proven.values()])
            used.update(id(one) for one in theirs)
            if theirs:
                found.append(_bounce(delivery, theirs, proof, report, now))
        left = (self._unproven(said, report, now) for said in report.said if id(said) not in used)
        return [*found, *(bounce for bounce in left if bounce is not None)]

    def _proven(self, report: Report, now: datetime) -> dict[int, tuple[Delivery, Proof]]:
        """Messages of ours that the report shows it is about, by id."""
        found: dict[int, tuple[Delivery, Proof]] = {}
        since = now - REMEMBERED
        for delivery_id in self._returned_to("\n".join((*report.addresses, report.letter.body))):
            delivery = self._memory.delivery(delivery_id)
            if delivery is not None:
                found[delivery.id] = (delivery, Proof.return_path)
        wanted = {one for one in report.message_ids if _OURS.fullmatch(one)}
        wanted -= {delivery.message_id for delivery, _ in found.values()}
        if not wanted:
            return found
        keys = [key for said in report.said for key in _keys(said)]
        if report.letter.returned is not None:
            keys += filter(None, map(_key, addresses_in(report.letter.returned, "To")))
        for delivery in self._memory.written_to(keys, since) if keys else ():
            if delivery.message_id in wanted:
                found[delivery.id] = (delivery, Proof.message_id)
                wanted.discard(delivery.message_id)
        if wanted and self._walks:
            self._walks -= 1
            for delivery in self._memory.with_message_ids(sorted(wanted), since):
                found[delivery.id] = (delivery, Proof.message_id)
        return found

    def _unproven(self, said: Said, report: Report, now: datetime) -> NewBounce | None:
        keys = _keys(said)
        if not keys:
            return None
        email = next(email for email in said.recipients if _key(email) == keys[0])
        bounce = NewBounce(
            key=keys[0],
            email=email,
            kind=said.meaning.kind,
            status=said.meaning.status,
            words=said.meaning.words,
            happened_at=_when(report, now, None),
        )
        if self._rules.trust_unproven:
            since = now - timedelta(days=self._rules.days)
            written = self._memory.written_to(keys, since)
            if written:
                last = written[0]
                return replace(bounce, key=last.key, email=last.email, delivery_id=last.id, proof=Proof.assumed)
        return bounce


def _said_of(delivery: Delivery, said: Sequence[Said], proven: Sequence[Delivery]) -> list[Said]:
    """What of a report is about this message.

    A report may name another address than we wrote to: the person's mail is
    forwarded, and what their mail system says of that is said of them.
    """
    named = [one for one in said if delivery.key in _keys(one)]
    if named:
        return named
    return [] if any(one.key != delivery.key for one in proven) else list(said)


def _bounce(delivery: Delivery, said: Sequence[Said], proof: Proof, report: Report, now: datetime) -> NewBounce:
    """One verdict for one message: hard only if nothing of it arrived anywhere, for an address may stand for several."""
    kinds = {one.meaning.kind for one in said}
    if BounceKind.complaint in kinds:
        kind = BounceKind.complaint
    elif kinds == {BounceKind.hard}:
        kind = BounceKind.hard
    else:
        # The mildest: each of the others leaves hope.
        kind = next(
            one for one in (BounceKind.delay, BounceKind.policy, BounceKind.soft, BounceKind.hard) if one in kinds
        )
    meaning = next(one.meaning for one in said if one.meaning.kind is kind)
    return NewBounce(
        key=delivery.key,
        email=delivery.email,
        kind=kind,
        status=meaning.status,
        words=meaning.words,
        happened_at=_when(report, now, delivery),
        delivery_id=delivery.id,
        proof=proof,
    )


def _when(report: Report, now: datetime, delivery: Delivery | None) -> datetime:
    """When it came back: the report's own date where it can be, for a mailbox may be read long after."""
    if report.date is None or report.date > now:
        return now
    return max(report.date, delivery.queued_at) if delivery is not None else report.date


def _keys(said: Said) -> list[str]:
    return [key for email in said.recipients if (key := _key(email))]


def _key(email: str) -> str:
    try:
        return parse_address(email).key
    except AddressError:
        return ""

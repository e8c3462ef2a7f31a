"""What a mail server refused while we were sending: the same rules as for what comes back later.

Judged when a run has ended, and again before the next issue is frozen: a
person who is not there gets no further message.  A server that has lost its
mind is not believed: where it suddenly knows nobody, it is not the people.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Final

from newsletter.clock import Clock
from newsletter.model import BounceKind, BounceRules, Delivery, NewBounce, Proof, SuppressionReason
from newsletter.people.bounces.classify import classify
from newsletter.store import Store

#: Older ones are history.
RECENT: Final = timedelta(days=30)
#: So many people unknown to one domain in one issue, and more than this share of those there, is an outage.
_MANY: Final = 10
_SHARE: Final = 0.3


def judge_failures(store: Store, rules: BounceRules, *, clock: Clock) -> dict[str, SuppressionReason]:
    """Judge every refusal that has not been; tells to whom mail was stopped, and why.

    Raises:
        StoreError: the store cannot be written; the next call finds the same.
    """
    since = clock.now() - RECENT
    stopped: dict[str, SuppressionReason] = {}
    after = 0
    while failed := store.failures(since, after_id=after):
        after = failed[-1].id
        stopped |= store.record_failures(_bounces(store, failed), rules)
    return stopped


def bounce_of(delivery: Delivery) -> NewBounce:
    """What a server's last answer to a message says of the person."""
    assert delivery.settled_at is not None
    meaning = classify(diagnostic=f"{delivery.last_code} {delivery.last_reply}", is_direct=True)
    return NewBounce(
        key=delivery.key,
        email=delivery.email,
        kind=meaning.kind,
        status=meaning.status,
        words=meaning.words,
        happened_at=delivery.settled_at,
        delivery_id=delivery.id,
        proof=Proof.smtp,
    )


def _bounces(store: Store, failed: list[Delivery]) -> list[NewBounce]:
    found = [(delivery, bounce_of(delivery)) for delivery in failed]
    hard = Counter((one.issue_id, one.domain) for one, bounce in found if bounce.kind is BounceKind.hard)
    astray = {
        (issue_id, domain)
        for (issue_id, domain), count in hard.items()
        if count >= _MANY and count > _SHARE * store.messages_to(issue_id, domain)
    }
    return [
        replace(bounce, kind=BounceKind.soft)
        if bounce.kind is BounceKind.hard and (delivery.issue_id, delivery.domain) in astray
        else bounce
        for delivery, bounce in found
    ]

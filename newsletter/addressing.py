"""Who gets an issue: a delivery row for each subscriber, with what differs in it, and the hour from which it may go."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache

from newsletter.delivery.links import Tokens
from newsletter.hours import Hours
from newsletter.issues.merge import URL_FIELDS, LogicOnSubscriber, merge_values
from newsletter.issues.render import Renderings
from newsletter.model import Envelope, NewDelivery, Subscriber
from newsletter.schedule import wall_of
from newsletter.stages import Parts
from newsletter.store.addressing import Alike, Listed
from newsletter.store.keyed import Keyed

#: From a person's time zone to whose clock their hours are read on, and until when they wait; None for at once.
Wait = Callable[[str | None], tuple[str | None, datetime | None]]


def link_of(parts: Parts, digest: str, envelope: Envelope) -> Callable[[str], str]:
    """What makes a person's token for the links of one issue, of their key."""
    return Tokens(parts.store.secret(envelope.links_secret), digest).of


def deliveries_of(
    renderings: Renderings,
    people: Iterable[Subscriber],
    wait: Wait,
) -> Iterator[NewDelivery]:
    """The rows of an issue, streaming.

    Args:
        renderings: the issue's.
        people: who gets it.
        wait: until when each waits.
    """
    for subscriber in people:
        timezone, not_before = wait(subscriber.timezone)
        rendering = renderings.for_subscriber(subscriber, language=subscriber.language)
        yield NewDelivery(
            email=subscriber.email,
            wire_email=subscriber.wire_email,
            key=subscriber.key,
            name=subscriber.name,
            format=subscriber.format,
            rendering=rendering.key,
            merge=merge_values(rendering.fields, subscriber),
            timezone=timezone,
            not_before=not_before,
        )


def listed_of(
    parts: Parts, renderings: Renderings, wait: Wait, *, hours: Hours | None, digest: str, envelope: Envelope
) -> Listed | None:
    """The same rows as `deliveries_of`, as what PostgreSQL needs to make them; None where people come from elsewhere.

    Args:
        parts: say whether the list is in the store.
        renderings: the issue's.
        wait: until when each waits.
        hours: of the digest.
        digest: whose issue it is.
        envelope: the issue's.
    """
    if parts.listed is None:
        return None

    def alike(language: str | None, zone: str | None) -> Alike | None:
        try:
            rendering = renderings.for_everybody(language)
        except LogicOnSubscriber:
            return None
        timezone, not_before = wait(zone)
        fields = tuple(field for field in rendering.fields if field not in URL_FIELDS)
        return Alike(rendering=rendering.key, fields=fields, timezone=timezone, not_before=not_before)

    secret = parts.store.secret(envelope.links_secret)
    return Listed(
        alike=alike,
        by_timezone=hours is not None and hours.by_person,
        without_reserved=parts.listed.without_reserved,
        tokens=Keyed(secret=secret, prefix=Tokens(secret, digest).prefix),
    )


def waits(parts: Parts, hours: Hours | None, slot: str) -> Wait:
    """From a person's time zone to whose clock their hours are read on, and until when they wait; None for at once."""
    now, wall = parts.clock.now(), wall_of(slot)

    @cache
    def wait(timezone: str | None) -> tuple[str | None, datetime | None]:
        if hours is None:
            return None, None
        mine = timezone if hours.by_person else None
        first = hours.begin(now, mine, wall=wall)
        return mine, first if first > now else None

    return wait

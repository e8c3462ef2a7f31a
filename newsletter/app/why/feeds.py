"""What a feed has given, which of its settings decide, and when it could not be read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from newsletter.app.project import App
from newsletter.app.why.entries import day, settling_of
from newsletter.model import Feed, Outage
from newsletter.store.history import FeedStory

_OUTAGES: Final = 10
_MINUTE, _HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedInDigest:
    """What a digest has had of a feed: since when, how many entries became what, how many are settling now.

    `joined_at` is None where it has the feed and has not read it yet.
    """

    digest: str
    has_it: bool
    joined_at: datetime | None
    fates: Mapping[str, int]
    settling: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedExplained:
    """One feed: how it stands, what decides about its entries, what became of them, when it failed."""

    url: str
    title: str | None
    in_project: bool
    status: str
    entries: int
    held: int
    last_success_at: datetime | None
    facts: tuple[str, ...]
    rules: tuple[str, ...]
    digests: tuple[FeedInDigest, ...]
    outages: tuple[Outage, ...]


def explain_feed(app: App, feed: Feed) -> FeedExplained:
    """Explain a feed, from its settings and what was written down about it."""
    [health] = app.store.feed_health([feed.url])
    story = app.store.feed_story(feed.url)
    in_project = any(one.url == feed.url for one in app.config.feeds)
    return FeedExplained(
        url=feed.url,
        title=feed.title or health.title,
        in_project=in_project,
        status=health.status.value,
        entries=health.entries,
        held=health.held,
        last_success_at=health.last_success_at,
        facts=tuple(_facts(health.held, health.last_error, story)),
        rules=tuple(_rules(app, feed)),
        digests=tuple(_digests(app, feed, story)),
        outages=tuple(app.store.outages(feed.url, _OUTAGES)),
    )


def _facts(held: int, warning: str | None, story: FeedStory | None) -> Iterator[str]:
    if story is None or not story.documents:
        yield "it has never been read"
    else:
        pace = "" if story.new_per_day is None else f", about {story.new_per_day:.1f} new entries a day"
        yield f"{story.documents} different {'document' if story.documents == 1 else 'documents'} read{pace}"
    if held:
        yield f"{held} held: {warning}"
    if story is not None and story.shared_keys:
        yield (
            f"{story.shared_keys} guids or links were used for several entries, and so prove nothing: those entries"
            " are told apart by guid, link, title and text together"
        )
    for tool, number in (story.sent_elsewhere if story is not None else {}).items():
        yield f"it came from {tool}, which remembered {number} entries as sent" if number else f"it came from {tool}"


def _rules(app: App, feed: Feed) -> Iterator[str]:
    first = app.config.first_run
    yield f"first_run: a digest that reads it for the first time gets {'all' if first is None else f'the newest {first}'}"
    for kind, rules in (("exclude", feed.exclude), ("include", feed.include)):
        for rule in rules:
            yield f"{kind}: {rule.name}"
    if feed.max_entries is not None:
        yield f"max_entries: {feed.max_entries} in full an issue, the others as headlines"
    if feed.settle:
        hours, minutes = divmod(feed.settle, _HOUR)
        yield f"settle: an entry waits until it is the same for {f'{hours:g} h' if not minutes else f'{feed.settle / _MINUTE:g} min'}"


def _digests(app: App, feed: Feed, story: FeedStory | None) -> Iterator[FeedInDigest]:
    having = app.config.digests_of.get(feed.url, ())
    readings = {one.digest: one for one in story.readings} if story is not None else {}
    for name in dict.fromkeys((*having, *readings)):
        reading = readings.get(name)
        yield FeedInDigest(
            digest=name,
            has_it=name in having,
            joined_at=None if reading is None else reading.joined_at,
            fates={} if reading is None else reading.fates,
            settling=len(settling_of(app, name, [feed])) if name in having else 0,
        )


def outage_words(outage: Outage) -> str:
    """When a feed could not be read, and why, in one line."""
    until = "until now" if outage.ended_at is None else f"to {day(outage.last_at)}"
    times = "once" if outage.times == 1 else f"{outage.times} times"
    when = day(outage.since) if outage.times == 1 and outage.ended_at else f"{day(outage.since)} {until}"
    return f"{when}, {times}: {outage.error}"

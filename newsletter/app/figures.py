"""A project in figures, for /metrics."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from newsletter import __version__
from newsletter.app.project import App
from newsletter.app.schedules import upcoming
from newsletter.app.status import feeds_with_health
from newsletter.web.monitor import Metric


def figures(app: App) -> list[Metric]:
    """What there is to know of a project, but about no person.

    Raises:
        StoreError: they cannot be had now.
    """
    store, names = app.store, app.config.digest_names
    last = {name: issue for name in names for issue in store.issues(name, 1)}
    outbox: Counter[str] = Counter()
    for issue in store.unfinished():
        outbox.update({state.value: number for state, number in store.counts(issue.id).items()})
    slots = {one.digest: slot.at for one in upcoming(app.config, app.clock.now(), count=1) for slot in one.slots}
    waiting = {one.name: len(store.waiting(one.name, [feed.url for feed in one.feeds])) for one in app.config.digests}
    build = {"version": __version__, "python": platform.python_version(), "schema": store.info().schema}
    health = Counter(feed.status.value for feed in feeds_with_health(app))
    return [
        gauge("build_info", "The version that runs.", [(build, 1)]),
        Metric(
            name="newsletter_ticks_total",
            kind="counter",
            about="Slots of schedules, by what came of them.",
            samples=[
                ({"digest": digest, "outcome": outcome.value}, number)
                for (digest, outcome), number in sorted(store.tick_counts().items())
            ],
        ),
        gauge("entries_waiting", "Entries that wait for the next issue.", _by("digest", waiting)),
        gauge("feeds", "Feeds, by their health.", _by("health", health)),
        gauge("outbox_deliveries", "Deliveries of issues that are not finished, by state.", _by("state", outbox)),
        gauge(
            "last_issue_deliveries",
            "Deliveries of the last issue, by state.",
            [
                ({"digest": name, "state": state.value}, number)
                for name, issue in last.items()
                for state, number in store.counts(issue.id).items()
            ],
        ),
        gauge(
            "last_issue_timestamp_seconds",
            "When the last issue was frozen.",
            at({name: issue.frozen_at for name, issue in last.items()}, "digest"),
        ),
        gauge("next_slot_timestamp_seconds", "When a digest goes out next.", at(slots, "digest")),
    ]


def gauge(name: str, about: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> Metric:
    """A figure that goes up and down."""
    return Metric(name=f"newsletter_{name}", kind="gauge", about=about, samples=samples)


def _by(label: str, numbers: Mapping[str, int]) -> list[tuple[Mapping[str, str], float]]:
    return [({label: name}, number) for name, number in sorted(numbers.items())]


def at(moments: Mapping[str, datetime | None], label: str) -> list[tuple[Mapping[str, str], float]]:
    """Moments as samples, in seconds since 1970; `label` names their keys, "" for none."""
    return [
        ({label: name} if label else {}, moment.timestamp()) for name, moment in moments.items() if moment is not None
    ]

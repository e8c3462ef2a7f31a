"""A project in figures, for /metrics."""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from newsletter import __version__
from newsletter.app.project import App
from newsletter.app.schedules import upcoming
from newsletter.app.spread import Spread, spread
from newsletter.app.status import feeds_with_health
from newsletter.store.schema import REVISIONS
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
    build = {"version": __version__, "python": platform.python_version(), "schema": REVISIONS[-1]}
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
        *(_of_machines(spread(app)) if store.is_shared else ()),
    ]


def _of_machines(found: Spread) -> list[Metric]:
    """What several machines do together; none of them is named."""
    backlog: Counter[str] = Counter()
    rate: dict[str, float] = {}
    left: dict[str, float] = {}
    for share in found.shares:
        backlog[share.digest] += share.backlog
        rate[share.digest] = rate.get(share.digest, 0.0) + share.rate
        if share.seconds_left is not None:
            left[share.digest] = max(left.get(share.digest, 0.0), share.seconds_left)
    shards = {
        "sending": sum(share.sending for share in found.shares),
        "left": sum(share.left for share in found.shares),
        "done": sum(share.shards - share.sending - share.left for share in found.shares),
    }
    silent = max((worker.silent for worker in found.workers), default=0.0)
    off = max((abs(worker.clock_off) for worker in found.workers), default=0.0)
    versions = Counter(worker.version for worker in found.workers)
    return [
        gauge("workers", "Processes that send, by version.", _by("version", versions) or [({}, 0)]),
        gauge("worker_silent_seconds", "For how long the most silent worker was not heard of.", [({}, silent)]),
        gauge("worker_clock_off_seconds", "How far the worst clock of a worker is off.", [({}, off)]),
        gauge("shards", "Shards of issues that are not finished, by state.", _by("state", shards)),
        gauge("backlog_messages", "Messages of shared issues that are not settled.", _by("digest", backlog)),
        gauge("send_rate", "Messages settled a second, over the last minute.", _by("digest", rate)),
        gauge("seconds_left", "How long the backlog takes at that rate.", _by("digest", left)),
        gauge("servers_left_alone", "Mail servers that nobody uses for now.", [({}, len(found.servers))]),
    ]


def gauge(name: str, about: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> Metric:
    """A figure that goes up and down."""
    return Metric(name=f"newsletter_{name}", kind="gauge", about=about, samples=samples)


def _by(label: str, numbers: Mapping[str, float]) -> list[tuple[Mapping[str, str], float]]:
    return [({label: name}, number) for name, number in sorted(numbers.items())]


def at(moments: Mapping[str, datetime | None], label: str) -> list[tuple[Mapping[str, str], float]]:
    """Moments as samples, in seconds since 1970; `label` names their keys, "" for none."""
    return [
        ({label: name} if label else {}, moment.timestamp()) for name, moment in moments.items() if moment is not None
    ]

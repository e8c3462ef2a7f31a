"""Feeds of a project: pausing them, and writing down where they have moved to."""

from collections.abc import Mapping
from dataclasses import dataclass

from newsletter.app.project import App
from newsletter.config import move_feeds
from newsletter.config.project import shown_url
from newsletter.feeds.polling import BY_HAND
from newsletter.model import Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """New addresses of feeds: those written (old → new), and those that were not (old → why)."""

    done: Mapping[str, str]
    left: Mapping[str, str]


def pause_feed(app: App, which: str, *, pause: bool) -> tuple[Feed, bool]:
    """Stop asking a feed, or ask it again; what it brought already goes out all the same.

    Returns:
        the feed, and whether that changes anything.

    Raises:
        UsageError: there is no such feed.
    """
    feed = app.config.feed(which)
    return feed, app.store.pause_feed(feed.url, BY_HAND if pause else None)


def update_addresses(app: App) -> Moves:
    """Write the new addresses of feeds that have moved for good into newsletter.yaml; their past stays theirs.

    Raises:
        ConfigError: the file cannot be edited safely.
        BusyError: another run is editing it.
    """
    moved = {
        url: poll.moved_to
        for url, poll in app.memory.polls([feed.url for feed in app.config.feeds]).items()
        if poll.moved_to and not poll.failures
    }
    if not moved:
        return Moves(done={}, left={})
    done, left, config = move_feeds(app.config, moved)
    app.store.adopt_moved([feed.url for feed in config.feeds])
    return Moves(
        done={shown_url(old): new for old, new in done.items()}, left={shown_url(old): why for old, why in left.items()}
    )

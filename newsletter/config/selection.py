"""Which feeds a digest means by the words it has for them, and in which order."""

from collections.abc import Sequence
from pathlib import Path

from newsletter.model import Feed
from newsletter.urls import canonical_url


def named_feeds(folder: Path, feeds: Sequence[Feed], word: str) -> list[Feed]:
    """The feeds that a digest means by an address, a path or a title."""
    wanted, path = canonical_url(word), str(folder / word)
    found = [feed for feed in feeds if canonical_url(feed.url) == wanted or feed.url == path]
    return found or [feed for feed in feeds if feed.title and feed.title.casefold() == word.casefold()]


def meant_feeds(folder: Path, feeds: Sequence[Feed], word: str) -> list[Feed]:
    """The feeds of a section: one by its address, path or title, or all with a tag."""
    named = named_feeds(folder, feeds, word)
    return [feed for feed in feeds if feed in named or word in feed.tags]


def feeds_in_order(folder: Path, feeds: tuple[Feed, ...], words: Sequence[str]) -> tuple[Feed, ...]:
    """A digest's feeds in the order of its sections; those not named follow as they stand in the project."""
    first = [feed for word in words for feed in meant_feeds(folder, feeds, word)]
    return tuple({feed.url: feed for feed in (*first, *feeds)}.values())

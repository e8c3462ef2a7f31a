"""From one item of `feeds` to a feed, and from a written path to a real one."""

import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from newsletter.config.schema import FeedBlock
from newsletter.model import Feed


def is_there(path: Path) -> bool:
    """Whether a path leads to something we may look at; never an error, however odd the path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def feed_from(folder: Path, block: FeedBlock, *, settle: float = 0.0) -> Feed:
    """The feed that a block of settings makes; `settle` is the project's, where the feed says nothing."""
    is_address = re.match(r"(?:https?|file):", block.url, re.IGNORECASE)
    return Feed(
        url=block.url if is_address else str(path_in(folder, block.url)),
        title=block.title,
        language=block.language,
        tags=tuple(block.tags),
        max_entries=block.max_entries,
        include=tuple(block.include),
        exclude=tuple(block.exclude),
        headers=dict(block.headers),
        allow_private=block.allow_private,
        settle=settle if block.settle is None else block.settle,
    )


def feed_of(folder: Path, item: Any) -> Feed:
    """The feed that an item of `feeds` would be.

    Raises:
        ValueError: in words; it would be a mistake.
    """
    try:
        block = FeedBlock.model_validate({"url": item} if isinstance(item, str) else item)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        words = str(first["msg"]).removeprefix("Value error, ")
        raise ValueError(f"{'.'.join(map(str, first['loc']))} {words}") from error
    feed = feed_from(folder, block)
    if feed.url.startswith("/") and not is_there(Path(feed.url)):
        raise ValueError("url is neither a web address nor a file that is there")
    return feed


def path_in(folder: Path, written: str) -> Path:
    """A path of the project: relative ones begin at its folder."""
    try:
        return Path(os.path.normpath(folder / Path(written.strip()).expanduser()))
    except RuntimeError:  # nobody's home
        return folder / written

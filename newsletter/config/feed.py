"""From one item of `feeds` to a feed and its password, and from a written path to a real one."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from newsletter.config.schema import FeedBlock
from newsletter.config.secret import PLACEHOLDER, FeedSecret, PasswordSource
from newsletter.model import Feed

_SOURCES = ("password_env", "password_file", "password_command")

Place = tuple[str | int, ...]


def is_there(path: Path) -> bool:
    """Whether a path leads to something we may look at; never an error, however odd the path."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def check_feed(block: FeedBlock, wrong: Callable[[Place, str], None], index: int) -> None:
    """Judge one setting of a feed beside another.

    Args:
        block: right by itself.
        wrong: notes a mistake at a place.
        index: where among the feeds it stands.
    """
    place: Place = ("feeds", index)
    sources = [key for key in _SOURCES if getattr(block, key) is not None]
    templates = _templates(block)
    for key in sources[1:]:
        wrong((*place, key), f"there is {sources[0]} as well: keep one of them")
    if not sources and block.username is not None:
        wrong((*place, "username"), "needs a password_env, password_file or password_command beside it")
    if not sources and templates:
        wrong((*place, "headers"), f"{PLACEHOLDER} needs a password_env, password_file or password_command")
    if sources and block.username is None and not templates:
        text = f"is of no use without a username, or {PLACEHOLDER} in one of the headers"
        wrong((*place, sources[0]), text)
    if block.username is not None and ":" in block.username:
        wrong((*place, "username"), "cannot have a colon in it (RFC 7617)")
    if (sources or block.username) and not re.match(r"https?:", block.url, re.IGNORECASE):
        wrong((*place, sources[0] if sources else "username"), "is of no use for a file")


def feed_from(folder: Path, block: FeedBlock, *, settle: float = 0.0) -> Feed:
    """The feed that a block of settings makes, without its password; `settle` is the project's, where the feed says nothing."""
    is_address = re.match(r"(?:https?|file):", block.url, re.IGNORECASE)
    return Feed(
        url=block.url if is_address else str(path_in(folder, block.url)),
        title=block.title,
        language=block.language,
        tags=tuple(block.tags),
        max_entries=block.max_entries,
        include=tuple(block.include),
        exclude=tuple(block.exclude),
        headers={name: value for name, value in block.headers.items() if PLACEHOLDER not in value},
        allow_private=block.allow_private,
        poll=block.poll,
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


def secret_of(folder: Path, block: FeedBlock, index: int) -> FeedSecret | None:
    """What a feed is asked with that no log may show; None where there is nothing."""
    if not any(getattr(block, key) for key in _SOURCES):
        return None
    return FeedSecret(
        username=block.username,
        templates=_templates(block),
        source=PasswordSource(
            protocol="feed",
            variable=block.password_env,
            file=None if block.password_file is None else path_in(folder, block.password_file),
            command=None if block.password_command is None else tuple(block.password_command),
            folder=folder,
            block=f"feeds[{index}]",
        ),
    )


def _templates(block: FeedBlock) -> dict[str, str]:
    return {name: value for name, value in block.headers.items() if PLACEHOLDER in value}


def path_in(folder: Path, written: str) -> Path:
    """A path of the project: relative ones begin at its folder."""
    try:
        return Path(os.path.normpath(folder / Path(written.strip()).expanduser()))
    except RuntimeError:  # nobody's home
        return folder / written

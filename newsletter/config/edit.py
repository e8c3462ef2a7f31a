"""Adding a feed to newsletter.yaml, taking one out, and new addresses, with the file still right afterwards."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from newsletter.config.load import is_there, parse_project
from newsletter.config.problems import plain
from newsletter.config.project import Config, shown_url
from newsletter.errors import ConfigError, UsageError
from newsletter.model import Feed
from newsletter.urls import canonical_url
from newsletter.yamlfile import Data, Node, editing, parse_tree, shown_path


def add_feed(
    config: Config,
    url: str,
    *,
    title: str | None = None,
    tags: Sequence[str] = (),
    language: str | None = None,
    max_entries: int | None = None,
    allow_private: bool = False,
) -> Config:
    """Add a feed at the end of the project's feeds; comments and order stay.

    `url` may also be the path of a file, from the current folder or the project's.

    Returns:
        The project as it is now; the new feed is its last.

    Raises:
        UsageError: the feed is there already, or the file would have a mistake with it.
        ConfigError: the file has a mistake already, or cannot be edited safely.
        BusyError: another run is editing it.
    """
    written = _from_project(config.folder, url)
    details: dict[str, Data | None] = {
        "url": written,
        "title": title,
        "language": language,
        "tags": list(tags) or None,
        "max_entries": max_entries,
        "allow_private": allow_private or None,
    }
    item: dict[str, Data] = {key: value for key, value in details.items() if value is not None}
    with editing(config.path) as draft:
        before = parse_project(draft.text, config.path)
        draft.append(written if len(item) == 1 else item, ("feeds",))
        try:
            return parse_project(draft.text, config.path)
        except ConfigError as error:
            words = "; ".join(
                f"{p.key.rpartition('.')[2]}: {p.text}" if "." in p.key else p.text for p in error.problems
            )
            known = [feed.url for feed in before.feeds]
            hint = "newsletter feed list shows them" if known else None
            raise UsageError(f"{shown_path(config.path)} cannot take {shown_url(url)}: {words}", hint=hint) from error


def remove_feed(config: Config, which: str) -> tuple[Feed, Config]:
    """Take a feed out of the project, and the comment above it; the rest stays as it is.

    Returns:
        The feed with that address, path or title, which is gone, and the project as it is now.

    Raises:
        UsageError: there is no such feed, or a digest cannot do without it.
        ConfigError: the file has a mistake already, or cannot be edited safely.
        BusyError: another run is editing it.
    """
    with editing(config.path) as draft:
        before = parse_project(draft.text, config.path)
        index = before.feed_index(which)
        draft.remove(index, ("feeds",))
        try:
            return before.feeds[index], parse_project(draft.text, config.path)
        except ConfigError as error:
            places = ", ".join(sorted({problem.key for problem in error.problems}))
            raise UsageError(
                f"{shown_url(which)} is still named in {places}", hint="take it out there first"
            ) from error


def move_feeds(config: Config, moves: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str], Config]:
    """Write new addresses of feeds into the project, also where digests name them; the rest stays as it is.

    Args:
        config: the project.
        moves: by address as it is now, the new one.

    Returns:
        what was written (old → new); what was not, and why (old → words); the project as it is now.

    Raises:
        ConfigError: the file has a mistake already, or cannot be edited safely.
        BusyError: another run is editing it.
    """
    with editing(config.path) as draft:
        before = parse_project(draft.text, config.path)
        pages = {canonical_url(feed.url): feed.url for feed in before.feeds}
        done: dict[str, str] = {}
        left: dict[str, str] = {}
        for old, new in moves.items():
            other = pages.get(canonical_url(new), old)
            if old not in {feed.url for feed in before.feeds}:
                continue
            if "@" in urlsplit(old).netloc:
                left[old] = "there is a login in the address: write the new one yourself"
            elif other != old or canonical_url(new) in {canonical_url(one) for one in done.values()}:
                left[old] = f"{shown_url(new)} is in the project already: newsletter feed remove takes this one out"
            else:
                done[old] = new
        if done:
            draft.replace_texts(_texts_to_change(parse_tree(draft.text, "").root, done))
        return done, left, parse_project(draft.text, config.path)


def _texts_to_change(root: Node | None, moves: Mapping[str, str]) -> dict[tuple[str | int, ...], str]:
    """Where these addresses stand: among the feeds, and where digests choose and order them."""
    raw = plain(root) if root is not None else {}
    found: dict[tuple[str | int, ...], str] = {}
    for index, item in enumerate(raw.get("feeds") or []):
        place, text = (("feeds", index, "url"), item["url"]) if isinstance(item, dict) else (("feeds", index), item)
        if text.strip() in moves:
            found[place] = moves[text.strip()]
    by_page = {canonical_url(old): new for old, new in moves.items()}
    for name, body in (raw.get("digests") or {}).items():
        for key in ("feeds", "sections"):
            for index, word in enumerate((body or {}).get(key) or [] if isinstance(body, dict) else []):
                if isinstance(word, str) and "://" in word and canonical_url(word) in by_page:
                    found["digests", name, key, index] = by_page[canonical_url(word)]
    return found


def _from_project(folder: Path, url: str) -> str:
    """How the project's file should name a feed that a person names from the current folder."""
    path = Path(url)
    if "://" in url or url.startswith("file:") or not is_there(path):
        return url
    absolute = path.absolute()
    return os.path.relpath(absolute, folder) if absolute.is_relative_to(folder) else str(absolute)

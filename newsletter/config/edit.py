"""Adding feeds to newsletter.yaml, taking one out, and new addresses, with the file still right afterwards."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from newsletter.config.feed import feed_of, is_there
from newsletter.config.load import load_project, parse_project
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeed:
    """A feed that a list names, to be added to the project."""

    url: str
    title: str | None = None
    tags: tuple[str, ...] = ()
    allow_private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of a list of feeds: those added, those there already (by their place in the list), and those refused.

    `known` has the feed of the project that each duplicate is.
    """

    config: Config
    added: dict[int, Feed]
    known: dict[int, Feed]
    refused: dict[int, str]


def add_feeds(config: Config, feeds: Sequence[NewFeed], *, dry_run: bool = False) -> Added:
    """Add many feeds at once at the end of the project's feeds; comments and order stay.

    One that the project has, or that stands in the list before, is not added again;
    one that the file could not have is refused, and the others go in.

    Raises:
        UsageError: the file would have a mistake with them.
        ConfigError: the file has a mistake already, or cannot be edited safely.
        BusyError: another run is editing it.
    """
    if dry_run:
        return _planned(load_project(config.path), feeds)
    with editing(config.path) as draft:
        before = parse_project(draft.text, config.path)
        plan = _planned(before, feeds)
        if not plan.added:
            return plan
        items: list[Data] = [_item(feeds[index]) for index in plan.added]
        draft.extend(items, ("feeds",))
        try:
            after = parse_project(draft.text, config.path)
        except ConfigError as error:
            words = "; ".join(f"{problem.key}: {problem.text}" for problem in error.problems[:5])
            raise UsageError(f"{shown_path(config.path)} cannot take these feeds: {words}") from error
    new = after.feeds[len(before.feeds) :]
    return replace(plan, config=after, added=dict(zip(plan.added, new, strict=True)))


def _planned(config: Config, feeds: Sequence[NewFeed]) -> Added:
    known = {canonical_url(feed.url): feed for feed in config.feeds}
    plan = Added(config=config, added={}, known={}, refused={})
    for index, feed in enumerate(feeds):
        try:
            found = feed_of(config.folder, _item(feed))
        except ValueError as error:
            plan.refused[index] = str(error)
            continue
        address = canonical_url(found.url)
        if address in known:
            plan.known[index] = known[address]
        else:
            plan.added[index] = known[address] = found
    return plan


def _item(feed: NewFeed) -> Data:
    item: dict[str, Data] = {"url": feed.url}
    if feed.title:
        item["title"] = feed.title
    if feed.tags:
        item["tags"] = list(feed.tags)
    if feed.allow_private:
        item["allow_private"] = True
    return item if len(item) > 1 else feed.url


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


def set_subscribers(config: Config, where: str) -> Config:
    """Say where the people are: `database`, or the path of a file from the project; all else stays.

    Returns:
        The project as it is now.

    Raises:
        ConfigError: the file has a mistake already, or cannot be edited safely.
        BusyError: another run is editing it.
    """
    with editing(config.path) as draft:
        parse_project(draft.text, config.path)
        draft.set(("subscribers",), where)
        return parse_project(draft.text, config.path)


def set_store(config: Config, where: str) -> Config:
    """Say which database the project has; all else stays.

    Returns:
        The project as it is now.

    Raises:
        ConfigError: the file has a mistake already, cannot be edited safely, or would have a mistake with it.
        BusyError: another run is editing it.
    """
    with editing(config.path) as draft:
        parse_project(draft.text, config.path)
        draft.set(("store",), where)
        return parse_project(draft.text, config.path)


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

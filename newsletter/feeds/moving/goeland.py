"""goeland: feeds in config.toml, what its filter `unseen` let pass once in goeland.db (bbolt).

It knows an entry by its guid, or where it has none by an FNV-1a sum of its link.
A source without the filter `unseen` remembers nothing.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from newsletter.errors import UsageError
from newsletter.feeds.moving.bolt import BoltError, buckets
from newsletter.feeds.moving.brought import Brought, inside, read
from newsletter.feeds.opml import Remark, Subscription
from newsletter.text import one_line

_DATA = "goeland.db"


def bring(path: Path, seen: Path | None, *, feeds_only: bool) -> Brought:
    """Read what goeland leaves.

    Args:
        path: config.toml, or its folder.
        seen: goeland.db; by default the one the configuration names, or the one beside it.
        feeds_only: leave what was sent.

    Raises:
        UsageError: a file is missing or cannot be read.
    """
    config = inside(path, "config.toml")
    settings = _settings(config)
    sources = settings.get("sources")
    if not isinstance(sources, dict) or not sources:
        raise UsageError(f"{config} names no sources", hint="is it the config.toml that goeland uses?")
    feeds: dict[str, Subscription] = {}
    remarks: list[Remark] = []
    unseen: set[str] = set()
    for name, source in sources.items():
        kind = source.get("type", "feed") if isinstance(source, dict) else None
        url = str(source.get("url", "")).strip() if isinstance(source, dict) else ""
        if kind == "merge":
            continue
        if kind != "feed" or not url:
            remarks.append(Remark(line=None, text=f"source {one_line(name, 60)} is no feed ({kind}) and stays behind"))
            continue
        feeds[name.lower()] = Subscription(url=url)
        if _remembers(source, sources, name):
            unseen.add(name.lower())
        elif not feeds_only:
            remarks.append(
                Remark(
                    line=None, text=f"source {one_line(name, 60)} has no filter `unseen`: what was sent is not known"
                )
            )
    sent = {} if feeds_only or not unseen else _by_feed(feeds, unseen, _sent(seen or _data_of(config, settings)))
    return Brought(
        tool="goeland",
        rule="goeland knows an entry by its guid, else by a sum of its link, and looks at what its filters leave",
        feeds=tuple({feed.url: feed for feed in feeds.values()}.values()),
        sent=sent,
        remarks=tuple(remarks),
    )


def _by_feed(
    feeds: dict[str, Subscription], unseen: set[str], by_source: dict[str, frozenset[str]]
) -> dict[str, frozenset[str]]:
    """What was sent, by the feed's address; what a merged source remembers may be of any of its feeds."""
    merged = frozenset[str]().union(*(ids for name, ids in by_source.items() if name not in feeds))
    sent: dict[str, frozenset[str]] = {}
    for name in unseen:
        ids = by_source.get(name, frozenset()) | merged
        if ids:
            sent[feeds[name].url] = sent.get(feeds[name].url, frozenset()) | ids
    return sent


def _settings(config: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read(config).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{config} is no configuration of goeland: {one_line(str(error), 100)}") from error


def _remembers(source: dict[str, Any], sources: dict[str, Any], name: str) -> bool:
    """Whether a source, or one it is merged into, keeps what it has let pass."""
    merged = [
        one
        for one in sources.values()
        if isinstance(one, dict) and name.lower() in [str(part).lower() for part in _list(one.get("sources"))]
    ]
    return any(
        re.split(r"[(\s]", str(word), maxsplit=1)[0] == "unseen"
        for one in (source, *merged)
        for word in _list(one.get("filters"))
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _data_of(config: Path, settings: dict[str, Any]) -> Path:
    named = str(settings.get("database") or "").strip()
    place = config.parent / (named or _DATA)
    if not place.is_file():
        raise UsageError(
            f"{place}, which says what was sent, is not there (goeland keeps it beside its program, if nothing is said)",
            hint="say --seen FILE; or --feeds-only, and the first issue is that of new feeds",
        )
    return place


def _sent(data: Path) -> dict[str, frozenset[str]]:
    """What was let pass, by the source's name in small letters."""
    found: dict[str, frozenset[str]] = {}
    try:
        for name, keys in buckets(read(data)):
            # A key is "source/id".
            ids = (key[len(name) + 1 :].decode("utf-8", "replace") for key in keys if key.startswith(name + b"/"))
            found[name.decode("utf-8", "replace").lower()] = frozenset(ids)
    except BoltError as error:
        raise UsageError(f"{data} is no database of goeland: it {error}") from error
    return found

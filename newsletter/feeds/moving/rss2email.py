"""rss2email 3: feeds in rss2email.cfg, what was sent in rss2email.json.

It knows an entry by its guid, or with `trust-link` by its link, or where it has
neither by a SHA-1 of its text.  Version 2 kept a pickle, which is a program: it
is not read.
"""

import json
from configparser import Error as ConfigError
from configparser import RawConfigParser
from pathlib import Path
from typing import Any, Final

from newsletter.errors import UsageError
from newsletter.feeds.moving.brought import Brought, inside, read
from newsletter.feeds.opml import Remark, Subscription

_CONFIG, _DATA = "rss2email.cfg", "rss2email.json"
_VERSIONS: Final = (1, 2)
_UPGRADE = "let rss2email 3 read it once (`r2e list`): it then writes its newer form"


def bring(path: Path, seen: Path | None, *, feeds_only: bool) -> Brought:
    """Read what rss2email leaves.

    Args:
        path: rss2email.cfg, or its folder.
        seen: rss2email.json; by default looked for where rss2email keeps it.
        feeds_only: leave what was sent.

    Raises:
        UsageError: a file is missing or cannot be read.
    """
    config = inside(path, _CONFIG)
    feeds, remarks = _feeds(config)
    sent: dict[str, frozenset[str]] = {}
    if not feeds_only:
        data = seen or _data_of(config)
        by_name = _sent(data)
        for name, url in feeds.items():
            sent[url] = sent.get(url, frozenset()) | by_name.pop(name, frozenset())
        remarks += [Remark(line=None, text=f"feed {name} of {data.name} is not in {config.name}") for name in by_name]
    return Brought(
        tool="rss2email",
        rule="rss2email knows an entry by its guid (or its link, with trust-link), else by a sum of its text",
        feeds=tuple(Subscription(url=url) for url in dict.fromkeys(feeds.values())),
        sent={url: ids for url, ids in sent.items() if ids},
        remarks=tuple(remarks),
    )


def _feeds(config: Path) -> tuple[dict[str, str], list[Remark]]:
    """The addresses of feeds by their names, and what was left out."""
    parser = RawConfigParser(dict_type=dict, strict=False)
    try:
        parser.read_string(read(config).decode("utf-8"))
    except (ConfigError, UnicodeDecodeError) as error:
        line = str(error).splitlines()[0]
        raise UsageError(f"{config} is no configuration of rss2email: {line}") from error
    feeds: dict[str, str] = {}
    remarks: list[Remark] = []
    for section in parser.sections():
        kind, _, name = section.partition(".")
        if kind != "feed" or not name:
            continue
        url = (parser.get(section, "url", fallback="") or "").strip()
        if not url:
            remarks.append(Remark(line=None, text=f"feed {name} has no url"))
        elif (parser.get(section, "active", fallback="True") or "").strip().lower() in ("false", "no", "off", "0"):
            remarks.append(Remark(line=None, text=f"feed {name} is paused (active = False) and stays behind: {url}"))
        else:
            feeds[name] = url
    if not feeds and not remarks:
        raise UsageError(f"{config} names no feeds", hint="is it the rss2email.cfg that r2e uses?")
    return feeds, remarks


def _data_of(config: Path) -> Path:
    # Where the XDG folders lie beside each other, as they do by default.
    places = (config.parent / _DATA, config.parent.parent / ".local" / "share" / _DATA)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UsageError(
            f"{_DATA}, which says what was sent, is not beside {config}",
            hint="say --seen FILE; or --feeds-only, and the first issue is that of new feeds",
        )
    return found


def _sent(data: Path) -> dict[str, frozenset[str]]:
    """What was sent, by the feed's name."""
    try:
        state = json.loads(read(data).decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{data} is no data file of rss2email 3", hint=_UPGRADE) from error
    if not isinstance(state, dict) or state.get("version") not in _VERSIONS or not isinstance(state.get("feeds"), list):
        raise UsageError(f"{data} is no data file of rss2email that is known here", hint=_UPGRADE)
    return {name: ids for name, ids in map(_state, state["feeds"]) if name}


def _state(feed: Any) -> tuple[str, frozenset[str]]:
    if not isinstance(feed, dict) or not isinstance(feed.get("name"), str):
        return "", frozenset()
    seen = feed.get("seen")
    # Version 1 has guid → id; of both the guid is the key.
    return feed["name"], frozenset(map(str, seen)) if isinstance(seen, dict) else frozenset()

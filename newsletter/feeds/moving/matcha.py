"""matcha: feeds in config.yaml (and an OPML file it names), what was shown in matcha.db.

It knows an entry by its link, in whichever feed it comes, and looks at the top
of a document only.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from newsletter.errors import ConfigError, ParseError, UsageError
from newsletter.feeds.moving.brought import Brought, inside, read
from newsletter.feeds.opml import Remark, Subscription, read_opml
from newsletter.yamlfile import ListNode, MapNode, Node, Scalar, parse_tree

_DATA = "matcha.db"
_MOST_SEEN: Final = 2_000_000


def bring(path: Path, seen: Path | None, *, feeds_only: bool) -> Brought:
    """Read what matcha leaves.

    Args:
        path: config.yaml, or its folder.
        seen: matcha.db; by default looked for where matcha keeps it.
        feeds_only: leave what was shown.

    Raises:
        UsageError: a file is missing or cannot be read.
    """
    config = inside(path, "config.yaml", "config.yml")
    settings = _settings(config)
    feeds, remarks = [], []
    for key in ("feeds", "summary_feeds", "analyst_feeds"):
        for written, line in _texts(settings.get(key)):
            url = written.split()[0] if written.split() else ""
            if url:
                feeds.append(Subscription(url=url, line=line))
    for name in (*(text for text, _ in _texts(settings.get("opml_file_path"))), "config.opml"):
        lists = config.parent / name
        if name and lists.is_file():
            try:
                found = read_opml(read(lists))
            except ParseError as error:
                raise UsageError(f"{lists}: {error.message}", hint=error.hint) from error
            feeds += found.feeds
            remarks += [Remark(line=None, text=f"{name}: {one.text}") for one in found.remarks]
    if any(words for words, _ in _texts(settings.get("google_news_keywords"))):
        remarks.append(Remark(line=None, text="google_news_keywords are no feed and stay behind"))
    return Brought(
        tool="matcha",
        rule="matcha knows an entry by its link, in whichever feed it comes",
        feeds=tuple({feed.url: feed for feed in reversed(feeds)}.values())[::-1],
        sent={} if feeds_only else {feed.url: frozenset() for feed in feeds},
        sent_anywhere=frozenset() if feeds_only else _shown(seen or _data_of(config)),
        remarks=tuple(remarks),
    )


def _settings(config: Path) -> dict[str, Node]:
    try:
        root = parse_tree(read(config).decode("utf-8", "replace").removeprefix("\ufeff"), str(config)).root
    except ConfigError as error:
        raise UsageError(str(error).splitlines()[0]) from error
    if not isinstance(root, MapNode):
        raise UsageError(f"{config} is no configuration of matcha")
    return {str(key): node for key, node in root.pairs.items()}


def _texts(node: Node | None) -> list[tuple[str, int | None]]:
    """The texts of a list, or the one that it is."""
    nodes = node.items if isinstance(node, ListNode) else [node]
    return [
        (one.value.strip(), one.line) for one in nodes if isinstance(one, Scalar) and one.value.strip() not in ("", "~")
    ]


def _data_of(config: Path) -> Path:
    places = (config.parent / _DATA, config.parent / "brew" / _DATA, Path.home() / ".config" / "brew" / _DATA)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UsageError(
            f"{_DATA}, which says what was shown, is not beside {config}, nor in .config/brew",
            hint="say --seen FILE; or --feeds-only, and the first issue is that of new feeds",
        )
    return found


def _shown(data: Path) -> frozenset[str]:
    """The links that were shown; the database is opened for reading only."""
    if not data.is_file():
        raise UsageError(f"{data} cannot be read: there is no such file")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(data.absolute()))}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT url FROM seen LIMIT ?", (_MOST_SEEN,)).fetchall()
    except sqlite3.Error as error:
        raise UsageError(f"{data} is no database of matcha: {error}") from error
    return frozenset(str(row[0]) for row in rows if row[0])

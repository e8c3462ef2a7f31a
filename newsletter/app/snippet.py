"""What the editor tried out in the preview, as settings to paste into newsletter.yaml."""

from collections.abc import Sequence
from typing import Any

import yaml

from newsletter.config import Config
from newsletter.model import Rule
from newsletter.preview.answers import EntryRow, Snippet
from newsletter.preview.choice import Choice

_SPECIAL = frozenset(r"\.^$*+?{}[]|()")


def snippet_of(config: Config, choice: Choice, rows: Sequence[EntryRow]) -> Snippet:
    """Write settings that leave out the hidden entries and put the sections in order.

    Args:
        config: the project's.
        choice: with what is hidden and ordered.
        rows: the entries that the choice is about.
    """
    settings: dict[str, Any] = {}
    notes = []
    titles: dict[str, list[str]] = {}
    for row in rows:
        if row.id in choice.hidden:
            titles.setdefault(row.feed, []).append(row.title)
    known = {feed.url: feed for feed in config.feeds}
    feeds = []
    for url, hidden in titles.items():
        feed = known.get(url)
        before = [_written(rule) for rule in (feed.exclude if feed else ())]
        # A rule is tried on the title and the text below it: the title is the first line.
        feeds.append({"url": url, "exclude": [*before, *(f"(?m)^{_literally(title)}$" for title in hidden)]})
    if feeds:
        settings["feeds"] = feeds
        notes.append("these rules also leave out later entries with the same titles")
    if choice.order:
        settings["digests"] = {config.digest(choice.digest).name: {"sections": list(choice.order)}}
    if not settings:
        return Snippet(yaml="", notes=("nothing is hidden or moved",))
    text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False, width=200)
    return Snippet(yaml=text, notes=("add these to the settings that are there", *notes))


def _written(rule: Rule) -> str | dict[str, str]:
    return rule.pattern if rule.name == rule.pattern else {rule.name: rule.pattern}


def _literally(text: str) -> str:
    """A text as a regular expression, readable: `re.escape` would put a backslash before every blank."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in text)

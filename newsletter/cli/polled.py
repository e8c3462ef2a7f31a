"""Words for a round of fetching: how far it is, what came of it, what has changed about feeds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from newsletter.cli.output import Output
from newsletter.cli.report import plural
from newsletter.text import one_line

if TYPE_CHECKING:
    from newsletter.model import FeedNews, FetchProgress

_BARS: Final = "▁▂▃▄▅▆▇█"
_LONGEST_NAME: Final = 40


def waiting_note(progress: "FetchProgress") -> str:
    """What stands beside the bar: how many failed, and who has been waited for longest."""
    words = [f"{progress.failed:,} failed"] if progress.failed else []
    if progress.waiting_for is not None:
        others = f" and {plural(progress.waiting - 1, 'other')}" if progress.waiting > 1 else ""
        words.append(f"waiting for {one_line(progress.waiting_for, _LONGEST_NAME)}{others}")
    return ", ".join(words)


def tell_news(out: Output, items: "Sequence[FeedNews]") -> None:
    """Say what has changed about feeds: trouble as a warning, its end in passing."""
    for item in items:
        if item.over:
            text = f"{item.title or item.url}: {item.words}"
            out.say(text, event="feed.recovered", feed=item.url, trouble=item.trouble)
        else:
            text = f"{item.url}: {item.words}"
            out.warn(text, item.hint, event="feed.trouble", feed=item.url, trouble=item.trouble)


def news_json(items: "Sequence[FeedNews]") -> list[dict[str, object]]:
    """One mapping per change."""
    return [
        {
            "url": item.url,
            "title": item.title,
            "trouble": item.trouble.value,
            "words": item.words,
            "hint": item.hint,
            "over": item.over,
        }
        for item in items
    ]


def sparkline(numbers: Sequence[int]) -> str:
    """A small picture of numbers: one bar each, the largest full."""
    most = max(numbers, default=0)
    top = len(_BARS) - 1
    return "".join(_BARS[-(-number * top // most)] if most else _BARS[0] for number in numbers)

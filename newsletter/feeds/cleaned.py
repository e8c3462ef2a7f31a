"""Texts of entries as feedparser cleans them: rss2email took its sums of those, where an entry had no guid.

Our own reading keeps feedparser's cleaning off (`xmlfeed`); here it is asked for it, with a document of its own.
"""

from collections.abc import Sequence
from io import BytesIO
from typing import Final
from xml.sax.saxutils import escape, quoteattr

#: Longer texts are not tried, nor are more than so many characters in all.
_LONGEST: Final = 20_000
_ALL_TOGETHER: Final = 400_000


def cleaned(texts: Sequence[tuple[str, str]]) -> list[str]:
    """What feedparser makes of each (text, base address); "" for one that is too long, or where it fails."""
    import feedparser

    items: list[str] = []
    room = _ALL_TOGETHER
    for text, base in texts:
        fits = len(text) <= min(_LONGEST, room)
        room -= len(text) if fits else 0
        items.append(
            f"<item><description xml:base={quoteattr(base)}>{escape(text)}</description></item>"
            if fits
            else "<item><title>too long</title></item>"
        )
    document = f'<rss version="2.0"><channel>{"".join(items)}</channel></rss>'
    try:
        found = dict(
            feedparser.parse(
                BytesIO(document.encode("utf-8", "replace")),
                response_headers={"content-type": "application/xml; charset=utf-8"},
            )
        )
        made = [str(dict(item).get("summary") or "") for item in found["entries"]]
    except Exception:  # noqa: BLE001 - feedparser raises whatever broken mark-up leads it to
        return [""] * len(items)
    return made if len(made) == len(items) else [""] * len(items)

"""What another tool had sent before the project came from there is sent by no issue of ours.

A tool remembers what it sent by its own rule: a guid, a link, a sum of the text.
Where the feed is first read, what it remembers is looked for in the document.
What is found is never offered; the rest is new, however much it is.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from html import unescape
from typing import Final

from newsletter.feeds.cleaned import cleaned
from newsletter.feeds.keys import GUID, LINK, TEXT_SUM, foreign_keys, text_sum
from newsletter.model import Entry, KnownFeed, Sighting

#: Tools that look at the top of a document only, or at what their filters leave of it.
PARTIAL: Final = frozenset({"matcha", "goeland"})


def without_sent(
    sightings: Sequence[Sighting], known: KnownFeed, shared: frozenset[str]
) -> tuple[list[Sighting], str | None]:
    """Mark what the tool that the feed came from has sent; where that cannot be told, hold everything.

    Args:
        sightings: what the document has; those with a `known_id` are not looked at.
        known: the feed; `moved_from` names the tool.
        shared: keys of the document that several of its entries have, and so prove nothing.

    Returns:
        the sightings, and a warning where they are held.
    """
    tool = known.moved_from
    assert tool is not None
    by = [_sent_by(one, known, shared) if one.known_id is None else None for one in sightings]
    unknown = [at for at, one in enumerate(sightings) if one.known_id is None and by[at] is None]
    if unknown and any(key.startswith(TEXT_SUM) for key in known.elsewhere):
        sums = text_sums([sightings[at].entry for at in unknown])
        for at, own in zip(unknown, sums, strict=True):
            by[at] = next((known.elsewhere[key] for key in own if key in known.elsewhere), None)
    marked = [
        replace(one, skipped=f"{sender} had sent it before the project came from there") if sender else one
        for one, sender in zip(sightings, by, strict=True)
    ]
    if known.fetched_before or not marked:
        return marked, None
    if not any(by):
        warning = (
            f"none of the {len(marked)} entries is one that {tool} remembers having sent, so nobody can tell which are"
            " new; they are held back: `newsletter feed release URL` sends them, `newsletter feed release URL --discard`"
            " drops them"
        )
        return [replace(one, held=True) for one in marked], warning
    return (_within_reach(marked, tool) if tool in PARTIAL else marked), None


def _sent_by(one: Sighting, known: KnownFeed, shared: frozenset[str]) -> str | None:
    own = (key for key in one.keys if key.startswith((GUID, LINK)) and key not in shared)
    return next((tool for key in (*own, *foreign_keys(one.entry)) if (tool := known.elsewhere.get(key))), None)


def text_sums(entries: Sequence[Entry]) -> list[frozenset[str]]:
    """For each entry the sums that rss2email may have taken of it: of its text as it is, and as feedparser cleans it.

    It takes them where there is no guid: of the content, else of the link or the title.
    """
    texts = [(text, one.base_url or one.url or "") for one in entries if not one.guid for text in _bodies(one)]
    made = iter(cleaned(texts)) if texts else iter(())
    found = []
    for one in entries:
        if one.guid:
            found.append(frozenset[str]())
            continue
        bodies = _bodies(one)
        plain = (*bodies, *map(unescape, bodies), one.url or "", one.title)
        tried = [text for text in (*plain, *(next(made) for _ in bodies)) if text.strip()]
        # Where there is nothing at all, it takes the sum of that.
        found.append(frozenset(map(text_sum, tried or [""])))
    return found


def _bodies(entry: Entry) -> list[str]:
    return [text for text in (entry.content, entry.summary) if text.strip()]


def _within_reach(sightings: list[Sighting], tool: str) -> list[Sighting]:
    """Leave out what stands below all that the tool has sent and is no younger: it never looked that far."""
    sent = [one for one in sightings if one.skipped]
    last = max(one.entry.position for one in sent)
    newest = max((one.entry.published_at for one in sent if one.entry.published_at), default=None)
    return [
        replace(one, skipped=f"older than what {tool} had sent, which had passed it over")
        if one.known_id is None and not one.skipped and one.entry.position > last and not _is_newer(one, newest)
        else one
        for one in sightings
    ]


def _is_newer(one: Sighting, newest: datetime | None) -> bool:
    date = one.entry.published_at
    return date is not None and newest is not None and date > newest

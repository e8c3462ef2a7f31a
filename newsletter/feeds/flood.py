"""The flood guard: when most of a feed is suddenly new, it is hardly news.

A site that moves, or changes all its guids and links, would otherwise mail its
whole past again (ARCHITECTURE.md, "What is new").
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from newsletter.model import KnownEntry, KnownFeed, Sighting
from newsletter.text import fold
from newsletter.urls import canonical_url, without_host

#: So many new entries at once are never suspicious by their number alone.
FEW = 20
#: How many times its usual pace a feed may go.
BURST = 3
#: From how many new entries on the share of them in the document says something.
SOME = 5
#: The share of a document that may be new while most of it is old.
MOST = 0.8
#: From how many characters on a title is unlikely to be used twice.
TELLING_TITLE = 15
_DAY = timedelta(days=1)


def guard(sightings: list[Sighting], known: KnownFeed, *, now: datetime) -> tuple[list[Sighting], str | None]:
    """Look at what seems new in a feed that was read before.

    Returns the sightings, those recognised after all with the ids of their
    entries and those that look like a flood `held`, and a warning if any are.
    """
    if not _is_suspicious(sightings, known, now):
        return sightings, None
    sightings = _recognised(sightings, known)
    if not _is_suspicious(sightings, known, now):
        return sightings, None
    count = sum(map(_is_news, sightings))
    warning = (
        f"{count} of {len(sightings)} entries look new all at once, as if the site had moved; they are held back:"
        " `newsletter feed release URL` sends them, `newsletter feed release URL --discard` drops them"
    )
    return [replace(sighting, held=_is_news(sighting)) for sighting in sightings], warning


def _is_news(sighting: Sighting) -> bool:
    """Whether an entry would be offered: new, and not sent by another tool."""
    return sighting.known_id is None and not sighting.skipped


def _is_suspicious(sightings: Sequence[Sighting], known: KnownFeed, now: datetime) -> bool:
    new = [sighting for sighting in sightings if _is_news(sighting)]
    away = max(now - known.last_success_at, _DAY) if known.last_success_at else _DAY
    if len(new) > max(FEW, BURST * _pace(known) * (away / _DAY)):
        return True
    stale = sum(_is_stale(sighting, known) for sighting in new)
    return len(new) >= SOME and len(new) > MOST * len(sightings) and stale > len(new) / 2


def _pace(known: KnownFeed) -> float:
    """Entries a day: as the store has counted, or as the dates of the last document say, whichever is more."""
    dates = [entry.published_at for entry in known.recent if entry.published_at]
    by_dates = len(dates) / max((max(dates) - min(dates)) / _DAY, 1.0) if dates else 0.0
    return max(known.new_per_day or 0.0, by_dates)


def _is_stale(sighting: Sighting, known: KnownFeed) -> bool:
    """Whether the date of an entry says that the last document should have had it."""
    newest = max((entry.published_at for entry in known.recent if entry.published_at), default=None)
    date = sighting.entry.published_at
    return newest is not None and (date is None or date < newest)


def _recognised(sightings: list[Sighting], known: KnownFeed) -> list[Sighting]:
    """Recognise entries by their link without its host, then by their title."""
    taken = {sighting.known_id for sighting in sightings}
    found: dict[int, int] = {}
    how: dict[int, str] = {}

    def path_of(url: str | None, _: str) -> str:
        return without_host(canonical_url(url)) if url else ""

    def title_of(_: str | None, title: str) -> str:
        return fold(title)

    def match(name: Callable[[str | None, str], str], *, by_title: bool) -> None:
        unknown = [at for at, one in enumerate(sightings) if one.known_id is None and at not in found]
        names = {at: name(sightings[at].entry.url, sightings[at].entry.title) for at in unknown}
        owners: defaultdict[str, list[KnownEntry]] = defaultdict(list)
        for entry in known.recent:
            if entry.id not in taken:
                owners[name(entry.url, entry.title)].append(entry)
        uses = Counter(names.values())
        for at in unknown:
            candidates = owners[names[at]] if names[at] else []
            unique = len(candidates) == 1 and uses[names[at]] == 1
            telling = by_title and len(names[at]) >= TELLING_TITLE
            # A title that returns with a newer date is a column, not an old entry.
            if candidates and (unique or telling) and not (by_title and _is_newer(sightings[at], candidates[0], known)):
                entry = candidates.pop(0)
                taken.add(entry.id)
                found[at] = entry.id
                how[at] = "title" if by_title else "path of its link"

    match(path_of, by_title=False)
    match(title_of, by_title=True)
    return [
        replace(one, known_id=found[at], note=f"known again by the {how[at]}, when most of its feed seemed new")
        if at in found
        else one
        for at, one in enumerate(sightings)
    ]


def _is_newer(sighting: Sighting, entry: KnownEntry, known: KnownFeed) -> bool:
    date = sighting.entry.published_at
    return date is not None and date != entry.published_at and not _is_stale(sighting, known)

"""Which entries of a document are new (ARCHITECTURE.md, "What is new").

An entry is known by its guid and by its link, whichever still holds; a date
never decides alone.  Everything here follows from the arguments.
"""

import re
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from newsletter.feeds import flood
from newsletter.feeds.elsewhere import without_sent
from newsletter.feeds.keys import GUID, HASH, LINK, PATH, TEXT, TITLE, WHOLE, digest_of, foreign_keys, key_of
from newsletter.feeds.plain import unescape
from newsletter.model import Decision, Document, Entry, KnownEntry, KnownFeed, Sighting
from newsletter.text import fold
from newsletter.urls import canonical_url, without_host

# Title, text and date.
_ALL = 3
_TAG = re.compile(r"<[^<>]*>")
_INVISIBLE = ("\u200b", "\u200c", "\u200d", "\ufeff")
# The hash of a text without a visible character.
_NOTHING = digest_of("")


def keys_of(entry: Entry, document: Document) -> tuple[str, ...]:
    """The keys an entry could be known by, strongest first, each of at most 200 characters.

    `g:` its guid; `l:` its canonical link, unless that is the site's home page;
    `p:` what of the link survives a move to another host; `t:` guid, link and
    title together; `h:` title and text; `a:` all four.
    """
    if entry.mark is not None and entry.mark.keys:
        return entry.mark.keys
    home = canonical_url(document.home_url) if document.home_url else None
    return keys_from(entry.guid, entry.url, entry.title, text_hash(entry), home=home)


def keys_from(guid: str, url: str | None, title: str, words: str, *, home: str | None) -> tuple[str, ...]:
    """`keys_of` an entry that is still to be made.

    Args:
        guid: its own, or "".
        url: of its page.
        title: as plain text.
        words: its `text_hash`.
        home: the canonical address of the site, which is no entry's.
    """
    address = canonical_url(url) if url else ""
    keys = []
    if guid:
        keys.append(key_of(GUID, guid))
    if address and address != home:
        keys.append(key_of(LINK, address))
        if path := without_host(address):
            keys.append(key_of(PATH, path))
    keys.append(TITLE + digest_of(guid, address, title))
    keys.append(TEXT + words)
    keys.append(WHOLE + digest_of(guid, address, title, words))
    return tuple(keys)


def document_keys(document: Document) -> frozenset[str]:
    """Every key by which an entry of the document might be known already, to us or to a tool before us."""
    return frozenset(found for entry in document.entries for found in (*keys_of(entry, document), *foreign_keys(entry)))


def text_hash(entry: Entry) -> str:
    """A hash of what a reader would see: 32 hexadecimal digits of the title, then 32 of the text.

    Tags, the spelling of characters and white space do not count: some sites
    change them with every visit.
    """
    if entry.mark is not None:
        return entry.mark.text_hash
    return words_hash(entry.title, entry.content or entry.summary)


def words_hash(title: str, text: str) -> str:
    """`text_hash` of an entry that is still to be made; `text` is its content, or else its summary."""
    return digest_of(_visible(title)) + digest_of(_visible(text))


def decide(document: Document, known: KnownFeed, *, now: datetime) -> Decision:
    """Recognise the entries of a document.

    There is one sighting for each distinct entry; exact duplicates (guid, link,
    title and text) count once.  A key that two distinct entries have used, in
    this document or over time, proves nothing from then on: `shared_keys`.
    Nothing is ever new twice in the same form.

    Args:
        document: what was fetched.
        known: what the store knew before; `keys` answers for `document_keys(document)`.
        now: the time of the fetch.
    """
    candidates = _distinct(document)
    uses = Counter(key for candidate in candidates for key in candidate.keys)
    shared = {key for key, count in uses.items() if count > 1}
    spent = {key for key, owner in known.keys.items() if owner is None}
    matching = _Matching(candidates, known, shared | spent)
    matches = matching.matches
    sightings = [
        Sighting(
            entry=candidate.entry,
            keys=candidate.keys,
            text_hash=candidate.text_hash,
            known_id=matches.get(at),
            note=matching.notes.get(at, ""),
        )
        for at, candidate in enumerate(candidates)
        # What was seen before in exactly this form is an old version of an entry that is here in another.
        if at in matches or candidate.key(WHOLE) not in known.keys
    ]
    warning = None
    if known.moved_from:
        sightings, warning = without_sent(sightings, known, frozenset(shared | spent))
    if known.fetched_before:
        sightings, warning = flood.guard(sightings, known, now=now)
    for sighting in sightings:
        # A key that belonged to another entry so far has now been used by two.
        shared.update(key for key in sighting.keys if known.keys.get(key) not in (None, sighting.known_id))
    before = {entry.id: entry.text_hash for entry in (*known.recent, *known.entries.values())}
    return Decision(
        sightings=tuple(
            Sighting(
                entry=one.entry,
                keys=tuple(key for key in one.keys if key not in shared and key not in spent),
                text_hash=one.text_hash,
                known_id=one.known_id,
                edited=one.known_id in before and before[one.known_id] != one.text_hash,
                held=one.held,
                skipped=one.skipped,
                note=one.note,
            )
            for one in sightings
        ),
        shared_keys=tuple(sorted(shared - spent)),
        warning=warning,
        goes_on=known.moved_from is not None and not known.fetched_before,
    )


def decide_news(document: Document) -> Decision | None:
    """What a document means whose known items were not read again, if nothing is known of what is new in it.

    What was decided about an item is decided the same way again: none of its
    keys has become another's since.  So all that is left to ask is whether a key
    of a new entry is known already.

    Returns None where that is not all: new entries that share a key, or so many of them
    that they might be a flood.
    """
    seen: dict[int, int] = {}
    fresh: dict[str, Entry] = {}
    for entry in document.entries:
        mark = entry.mark
        if mark is None or (mark.known_id is None and not mark.keys):
            return None
        if mark.known_id is not None:
            seen.setdefault(mark.known_id, entry.position)
        else:
            fresh.setdefault(mark.keys[-1], entry)
    uses = Counter(key for entry in fresh.values() for key in keys_of(entry, document))
    if len(fresh) >= flood.SOME or any(count > 1 for count in uses.values()):
        return None
    sightings = tuple(
        Sighting(entry=entry, keys=keys_of(entry, document), text_hash=text_hash(entry), known_id=None)
        for entry in fresh.values()
    )
    return Decision(sightings=sightings, seen=seen)


def _visible(text: str) -> str:
    # Every entry of every document comes here: what is cheap to look for is looked for before what is dear to do.
    if "<" in text:
        text = _TAG.sub("", text)
    if "&" in text:
        text = unescape(text)
    visible = "".join(text.replace(" ", "").split())
    if not visible.isascii():
        for character in _INVISIBLE:
            visible = visible.replace(character, "")
    return visible


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A distinct entry of the document, on its way to being recognised."""

    entry: Entry
    keys: tuple[str, ...]

    def key(self, kind: str) -> str | None:
        for key in self.keys:
            if key.startswith(kind):
                return key
        return None

    @property
    def text_hash(self) -> str:
        return (self.key(TEXT) or "").removeprefix(TEXT)


def _distinct(document: Document) -> list[_Candidate]:
    found: dict[str, _Candidate] = {}
    for entry in document.entries:
        keys = keys_of(entry, document)
        found.setdefault(keys[-1], _Candidate(entry=entry, keys=keys))
    return list(found.values())


class _Matching:
    """Pairs candidates with known entries, the strongest evidence first, each known entry once.

    `matches` maps positions among the candidates to ids of known entries, `notes`
    to what is worth telling of how that was found, or that it was not.
    """

    def __init__(self, candidates: list[_Candidate], known: KnownFeed, unusable: AbstractSet[str]) -> None:
        self._known = known
        self._unusable = unusable
        self._taken: set[int] = set()
        self._new: set[int] = set()
        self.matches: dict[int, int] = {}
        self.notes: dict[int, str] = {}
        if not known.keys:
            return
        self._moved = _has_moved(candidates, known)
        for judge in (self._by_guid, self._by_link, self._by_form, self._by_move, self._by_text):
            for at, candidate in enumerate(candidates):
                if at not in self.matches and at not in self._new:
                    judge(at, candidate)

    def _usable(self, candidate: _Candidate, kind: str) -> str | None:
        key = candidate.key(kind)
        return None if key in self._unusable else key

    def _owner(self, candidate: _Candidate, kind: str) -> int | None:
        key = self._usable(candidate, kind)
        return None if key is None else self._known.keys.get(key)

    def _claim(self, at: int, owner: int, note: str = "") -> None:
        if owner in self._taken:
            # Somebody with better evidence is that entry: this is another one.
            self._new.add(at)
            self.notes[at] = "new, though its guid or link is a known entry's: that one stands beside it"
            return
        self._taken.add(owner)
        self.matches[at] = owner
        if note:
            self.notes[at] = note

    def _by_guid(self, at: int, candidate: _Candidate) -> None:
        owner = self._owner(candidate, GUID)
        if owner is None:
            return
        # Some feeds have one guid for whatever is the latest: link, date, title and text are all new.
        before = self._known.entries.get(owner)
        if before and self._is_elsewhere(candidate, before) and not _agreements(candidate, before):
            self._new.add(at)
            self.notes[at] = "new, though its guid was another story's: link, date, title and text are all others"
        else:
            self._claim(at, owner)

    def _is_elsewhere(self, candidate: _Candidate, before: KnownEntry) -> bool:
        """Whether an entry has a page of its own that is not the known one's, on whatever host, and another date."""
        path = self._usable(candidate, PATH)
        was = without_host(canonical_url(before.url)) if before.url else ""
        return bool(path and was) and path != key_of(PATH, was) and _dated_alike(candidate.entry, before) is False

    def _by_link(self, at: int, candidate: _Candidate) -> None:
        owner = self._owner(candidate, LINK)
        if owner is None:
            return
        # A page such as /today carries one story after the other: guid, date, title and text are all new.
        before = self._known.entries.get(owner)
        renamed = self._usable(candidate, GUID) and before and _dated_alike(candidate.entry, before) is False
        if before and renamed and not _agreements(candidate, before):
            self._new.add(at)
            self.notes[at] = "new, though its link had another story before: guid, date, title and text are all others"
        else:
            guid = self._usable(candidate, GUID)
            is_renamed = guid is not None and guid not in self._known.keys
            self._claim(at, owner, "known again by its link, with a new guid" if is_renamed else "")

    def _by_form(self, at: int, candidate: _Candidate) -> None:
        """Guid and link say nothing here, but exactly this has been seen before."""
        owner = self._owner(candidate, WHOLE)
        if owner is not None:
            self._claim(at, owner)

    def _by_move(self, at: int, candidate: _Candidate) -> None:
        """Guid and link are both new: perhaps the page has moved, with its site or within it."""
        owner, before = self._free(candidate, PATH)
        if before:
            agreements = _agreements(candidate, before)
            unclear = _dated_alike(candidate.entry, before) is None
            if agreements > 1 or (self._moved and (agreements or unclear)):
                self._claim(at, owner, "known again by the path of its link, on another host")
                return
        owner, before = self._free(candidate, TEXT)
        if before and _agreements(candidate, before) == _ALL:
            self._claim(at, owner, "known again by its title, text and date, with a new guid and link")

    def _free(self, candidate: _Candidate, kind: str) -> tuple[int, KnownEntry | None]:
        """The known entry behind a key, unless it is somebody's already."""
        owner = self._owner(candidate, kind)
        if owner is None or owner in self._taken:
            return 0, None
        return owner, self._known.entries.get(owner)

    def _by_text(self, at: int, candidate: _Candidate) -> None:
        """Neither guid nor link can tell: what is left are the words."""
        if self._usable(candidate, GUID) or self._usable(candidate, LINK):
            return
        words = TITLE if candidate.entry.guid or candidate.entry.url else TEXT
        owner = self._owner(candidate, words)
        if owner is not None:
            self._claim(at, owner)


def _has_moved(candidates: list[_Candidate], known: KnownFeed) -> bool:
    """Whether no page of the document is on a host that had one of the last document's."""
    before = {_host(entry.url) for entry in known.recent if entry.url}
    after = {_host(candidate.entry.url) for candidate in candidates if candidate.entry.url}
    return bool(before and after) and not before & after


def _host(url: str) -> str:
    return re.split(r"[/?#]", canonical_url(url), maxsplit=1)[0]


def _agreements(candidate: _Candidate, before: KnownEntry) -> int:
    """How many of title, text and date are those of the known entry; what both lack says nothing."""
    entry = candidate.entry
    text = candidate.text_hash[-HASH:]
    return sum(
        (
            bool(entry.title) and fold(entry.title) == fold(before.title),
            text != _NOTHING and text == before.text_hash[-HASH:],
            _dated_alike(entry, before) is True,
        )
    )


def _dated_alike(entry: Entry, before: KnownEntry) -> bool | None:
    """Whether both have the same date; None where one has none."""
    if entry.published_at is None or before.published_at is None:
        return None
    return entry.published_at == before.published_at

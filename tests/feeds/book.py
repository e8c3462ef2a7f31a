"""What a store remembers of one feed, in memory: enough to play histories through `decide`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from newsletter.feeds.identity import decide, document_keys
from newsletter.model import Decision, Document, Entry, KnownEntry, KnownFeed

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)


def entry(guid: str = "", url: str | None = None, title: str = "", **fields: object) -> Entry:
    return Entry(guid=guid, url=url, title=title, **fields)  # type: ignore[arg-type]


def document(*entries: Entry, home: str | None = "https://example.com/") -> Document:
    return Document(title="Wire", home_url=home, language="en", entries=entries)


@dataclass
class Book:
    """Plays the store's part: remembers keys, entries and the last document, as the contract of `Decision` says."""

    now: datetime = START
    fetched_before: bool = False
    keys: dict[str, int | None] = field(default_factory=dict)
    entries: dict[int, KnownEntry] = field(default_factory=dict)
    recent: tuple[KnownEntry, ...] = ()
    last_success_at: datetime | None = None
    new_per_day: float | None = None

    def known(self, read: Document) -> KnownFeed:
        asked = document_keys(read)
        keys = {key: owner for key, owner in self.keys.items() if key in asked}
        return KnownFeed(
            fetched_before=self.fetched_before,
            keys=keys,
            entries={owner: self.entries[owner] for owner in keys.values() if owner is not None},
            recent=self.recent,
            last_success_at=self.last_success_at,
            new_per_day=self.new_per_day,
        )

    def fetch(self, *entries: Entry, home: str | None = "https://example.com/", hours: float = 24) -> Decision:
        """Read a document so many hours after the last one; remembers what the decision says."""
        read = document(*entries, home=home)
        self.now += timedelta(hours=hours)
        decision = decide(read, self.known(read), now=self.now)
        seen = []
        for sighting in decision.sightings:
            number = sighting.known_id if sighting.known_id is not None else len(self.entries) + 1
            self.entries[number] = KnownEntry(
                id=number,
                title=sighting.entry.title,
                url=sighting.entry.url,
                text_hash=sighting.text_hash,
                published_at=sighting.entry.published_at,
            )
            for key in sighting.keys:
                assert self.keys.get(key, number) == number, "a key is remembered for one entry only"
                self.keys[key] = number
            seen.append(self.entries[number])
        for key in decision.shared_keys:
            self.keys[key] = None
        self.recent, self.fetched_before, self.last_success_at = tuple(seen), True, self.now
        return decision

    def new(self, *entries: Entry, home: str | None = "https://example.com/", hours: float = 24) -> list[str]:
        """The titles of what is new in a document."""
        decision = self.fetch(*entries, home=home, hours=hours)
        return [sighting.entry.title for sighting in decision.sightings if sighting.known_id is None]

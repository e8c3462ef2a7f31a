"""Sample feeds, entries, issues and people, and a recogniser that is simple enough to trust."""

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from newsletter.model import (
    Consumed,
    Decision,
    Disposition,
    Document,
    Entry,
    Envelope,
    Feed,
    Fetched,
    FetchResult,
    Format,
    Issue,
    KnownFeed,
    NewDelivery,
    Rendering,
    Sighting,
    Validators,
)
from newsletter.store import Store
from newsletter.store.batches import Question, Recording

#: When the tests' clock starts; said again here because programs that tests start should not load pytest.
START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
FEED = Feed(url="https://feed.example.com/rss")
OTHER = Feed(url="https://other.example.org/atom")


def entry(guid: str, **changes: Any) -> Entry:
    values: dict[str, Any] = {
        "guid": guid,
        "url": f"https://feed.example.com/{guid}",
        "title": f"Title of {guid}",
        "summary": f"<p>Summary of {guid}</p>",
        "content": f"<p>Content of {guid}</p>",
    }
    return Entry(**{**values, **changes})


def document(*entries: Entry, **changes: Any) -> Document:
    placed = tuple(Entry(**{**fields(one), "position": place}) for place, one in enumerate(entries))
    return Document(
        **{"title": "A feed", "home_url": "https://feed.example.com/", "language": "en", **changes}, entries=placed
    )


def fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def keys_of(one: Entry) -> tuple[str, ...]:
    keys = [f"g:{one.guid}"]
    if one.url:
        keys.append(f"l:{one.url.partition('://')[2]}")
    return tuple(keys)


def text_hash(one: Entry) -> str:
    return sha256(f"{one.title}\0{one.summary}\0{one.content}".encode("utf-8", "replace")).hexdigest()


def recognise(
    found: Document, *, hold: bool = False, shared: Sequence[str] = (), warning: str | None = None
) -> Callable[[KnownFeed], Decision]:
    """Known by the first key that is; nothing else."""

    def decide(known: KnownFeed) -> Decision:
        sightings = []
        for one in found.entries:
            keys = tuple(key for key in keys_of(one) if key not in shared and known.keys.get(key, 0) is not None)
            ids = [id_ for key in keys if (id_ := known.keys.get(key)) is not None]
            known_id = ids[0] if ids else None
            hash_ = text_hash(one)
            sightings.append(
                Sighting(
                    entry=one,
                    keys=keys,
                    text_hash=hash_,
                    known_id=known_id,
                    edited=known_id is not None and known.entries[known_id].text_hash != hash_,
                    held=hold and known_id is None,
                )
            )
        return Decision(sightings=tuple(sightings), shared_keys=tuple(shared), warning=warning)

    return decide


def fetched(feed: Feed, found: Document, etag: str | None = None) -> Fetched:
    return Fetched(
        feed=feed,
        final_url=feed.url,
        body=repr(found).encode("utf-8", "replace"),
        content_type="application/rss+xml",
        validators=Validators(etag=etag, last_modified=None),
        seconds=0.5,
    )


def record(
    store: Store,
    *entries: Entry,
    feed: Feed = FEED,
    digests: Sequence[str] = ("daily",),
    first_run: int | None = None,
    **decision: Any,
) -> FetchResult:
    """Record a document of these entries, offering all of it at first."""
    found = document(*entries)
    return record_document(
        store,
        fetched(feed, found),
        found,
        decide=recognise(found, **decision),
        keys=frozenset(key for one in found.entries for key in keys_of(one)),
        digests=digests,
        first_run=first_run,
    )


def record_document(
    store: Store,
    answer: Fetched,
    found: Document,
    *,
    decide: Callable[[KnownFeed], Decision],
    keys: frozenset[str],
    digests: Sequence[str],
    first_run: int | None,
) -> FetchResult:
    """Record one document, all of it read."""
    recording = Recording(
        feed=answer.feed,
        fetched=answer,
        document=found,
        body_hash=sha256(answer.body).hexdigest(),
        digests=digests,
        question=lambda _: Question(keys=keys, decide=decide),
    )
    [result] = store.record_documents([recording], first_run=first_run)
    assert result is not None
    return result


def titles(store: Store, digest: str = "daily", *feeds: Feed) -> list[str]:
    """What waits, by title."""
    return [one.entry.title for one in store.waiting(digest, [feed.url for feed in feeds or (FEED, OTHER)])]


def envelope(date: datetime = START) -> Envelope:
    return Envelope(
        from_name="The Morning Wire",
        from_email="wire@example.com",
        reply_to=None,
        list_id="<daily.wire.example.com>",
        list_name="The Morning Wire",
        base_url="https://wire.example.com",
        unsubscribe_email="wire@example.com",
        language="en",
        date=date,
        boundary="=_boundary",
        merge_token="0123456789abcdef",
    )


def rendering(key: str = "en") -> Rendering:
    return Rendering(
        key=key,
        language="en",
        subject="Three stories",
        html="<p>Grüße 🗞</p>",
        text="Grüße",
        markdown="# Grüße",
        fields=("unsubscribe_url",),
    )


def person(number: int, **changes: Any) -> NewDelivery:
    values: dict[str, Any] = {
        "email": f"reader{number}@example.com",
        "wire_email": f"reader{number}@example.com",
        "key": f"reader{number}@example.com",
        "name": f"Reader {number}",
        "format": Format.html,
        "rendering": "en",
        "merge": {"subscriber.name": f"Reader {number}"},
    }
    return NewDelivery(**{**values, **changes})


def people(amount: int) -> Iterable[NewDelivery]:
    return (person(number) for number in range(amount))


def freeze(store: Store, *deliveries: NewDelivery, digest: str = "daily", **changes: Any) -> Issue:
    """Freeze an issue of all that waits, to three readers unless others are named."""
    number = store.next_number(digest)
    waiting = store.waiting(digest, [FEED.url, OTHER.url])
    values: dict[str, Any] = {
        "digest": digest,
        "number": number,
        "slot": f"slot {number}",
        "subject": "Three stories",
        "envelope": envelope(),
        "renderings": [rendering()],
        "consumed": [
            Consumed(entry_id=one.id, disposition=Disposition.shown, why=f"why {place}")
            for place, one in enumerate(waiting)
        ],
        "mentioned": [],
        "deliveries": deliveries or people(3),
    }
    return store.freeze(**{**values, **changes})


def in_threads(*jobs: Callable[[], object]) -> list[BaseException | None]:
    """Run jobs at once; what each of them raised."""
    raised: list[BaseException | None] = [None] * len(jobs)
    start = threading.Barrier(len(jobs))

    def run(place: int) -> None:
        start.wait()
        try:
            jobs[place]()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised

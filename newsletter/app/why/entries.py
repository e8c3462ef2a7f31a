"""Why an entry is in an issue, or in none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from newsletter import pipeline
from newsletter.app.project import App
from newsletter.feeds.settling import settled
from newsletter.model import Consumed, Disposition, Feed, FeedHealth, StoredDraft, StoredEntry
from newsletter.store.history import EntryStory, Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class InDigest:
    """What an entry is to one digest: a word, a sentence, and the issue that used it up if one did.

    The words: shown, headline, duplicate, excluded (all by an issue), skipped,
    held, settling, waiting, unread (the digest does not have the feed).
    """

    digest: str
    word: str
    sentence: str
    issue: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryExplained:
    """One entry: where it comes from, how it is known, and what it is to each digest.

    `life` are sentences about what happened to it, in order.
    """

    title: str
    url: str | None
    guid: str
    feed: str
    feed_title: str | None
    published_at: datetime | None
    first_seen_at: datetime
    life: tuple[str, ...]
    digests: tuple[InDigest, ...]


def explain_entry(app: App, story: EntryStory) -> EntryExplained:
    """Explain one entry, from what was written down about it."""
    stored = story.stored
    feed = next((one for one in app.config.feeds if one.url == stored.feed_url), None)
    [health] = app.store.feed_health([stored.feed_url])
    return EntryExplained(
        title=stored.entry.title,
        url=stored.entry.url,
        guid=stored.entry.guid,
        feed=stored.feed_url,
        feed_title=(feed.title if feed else None) or health.title,
        published_at=stored.entry.published_at,
        first_seen_at=stored.first_seen_at,
        life=tuple(_life(story, health)),
        digests=tuple(_digests(app, story)),
    )


def day(when: datetime) -> str:
    """A moment in this machine's time, for a sentence."""
    return f"{when.astimezone():%Y-%m-%d %H:%M}"


def _life(story: EntryStory, health: FeedHealth) -> Iterator[str]:
    stored = story.stored
    dated = f", dated {day(stored.entry.published_at)}" if stored.entry.published_at else ", without a date"
    yield f"first seen {day(stored.first_seen_at)}{dated}"
    kinds = {key[:2] for key in story.proves}
    names = [words for kind, words in (("g:", "its guid"), ("l:", "its link")) if kind in kinds]
    yield f"known by {' and '.join(names) if names else 'its words: neither guid nor link is its alone'}"
    for said in story.notes:
        yield f"{day(said.at)}: {said.words}"
    if story.edited_at is not None:
        times = "once" if story.versions == 2 else f"{story.versions - 1} times"  # noqa: PLR2004 - the first is no edit
        yield f"changed by its feed {times}, last {day(story.edited_at)}"
    for digest, number in story.released_from:
        yield f"given back by issue {number} of {digest}, which was cancelled before anybody got it"
    if story.is_in_feed:
        yield "still in the feed's last document"
    elif story.last_seen_at is not None:
        yield f"gone from the feed; last seen {day(story.last_seen_at)}, and remembered for two years from then"
    if health.failures:
        since = f" since {day(health.last_success_at)}" if health.last_success_at else ""
        yield f"its feed could not be read{since}: {health.last_error}"


def _digests(app: App, story: EntryStory) -> Iterator[InDigest]:
    fates = {fate.digest: fate for fate in story.fates}
    readers = app.config.digests_of.get(story.stored.feed_url, ())
    for name in dict.fromkeys((*app.config.digest_names, *fates)):
        fate = fates.get(name)
        if story.is_held and fate is None and name in readers:
            yield _held(name, story)
        elif fate is not None:
            yield _of_fate(app, fate, story.stored, is_read=name in readers)
        elif name in readers:
            sentence = (
                "was not offered: the digest has not fetched this feed yet, or first did when the entry had left it"
            )
            yield InDigest(digest=name, word="skipped", sentence=sentence)
        else:
            yield InDigest(digest=name, word="unread", sentence="does not have this feed")


def _held(name: str, story: EntryStory) -> InDigest:
    why = next((said.words for said in story.notes if said.kind == "held"), "")
    return InDigest(digest=name, word="held", sentence=f"held back: {why}" if why else "held back by the flood guard")


def _of_fate(app: App, fate: Fate, stored: StoredEntry, *, is_read: bool) -> InDigest:
    if fate.number is not None and fate.disposition is not None:
        return InDigest(
            digest=fate.digest,
            word=fate.disposition.value,
            sentence=used_words(fate.disposition, fate.why, fate.shortened),
            issue=fate.number,
            at=fate.frozen_at,
        )
    if fate.skipped is not None:
        return InDigest(digest=fate.digest, word="skipped", sentence=f"never to be sent: {fate.skipped}")
    if not is_read:
        return InDigest(
            digest=fate.digest, word="waiting", sentence="waits in vain: the digest does not have its feed any more"
        )
    return _of_waiting(app, fate.digest, stored)


def used_words(disposition: Disposition, why: str, shortened: str) -> str:
    """How an issue used an entry, and why, in one line."""
    words = {
        Disposition.shown: "shown",
        Disposition.headline: "as a headline only",
        Disposition.duplicate: "not shown by itself",
        Disposition.excluded: "left out",
    }[disposition]
    return "; ".join(filter(None, (f"{words}: {why}" if why else words, shortened)))


def _of_waiting(app: App, name: str, stored: StoredEntry) -> InDigest:
    """What the next issue would do with it, by the rules as they are now; a draft is what it will be."""
    if (kept := app.store.open_draft(name)) is not None:
        fate = next((one for one in drafted_fates(app, kept) if one.entry_id == stored.id), None)
        issue = f"the draft of issue {kept.number}, for {kept.slot}"
        if fate is None:
            return InDigest(
                digest=name, word="waiting", sentence=f"came after {issue}, so it waits for the issue after it"
            )
        words = used_words(fate.disposition, fate.why, "")
        return InDigest(digest=name, word="drafted", sentence=f"in {issue}, which is {kept.state}: {words}")
    fates, ready = next_issue(app, name)
    if (at := ready.get(stored.id)) is not None:
        until = f"waits until it has not changed for a while (settle): until {day(at)}, if it stays as it is"
        return InDigest(digest=name, word="settling", sentence=until)
    fate = fates.get(stored.id)
    if fate is None:
        return InDigest(digest=name, word="waiting", sentence="waits for the next issue")
    words = used_words(fate.disposition, fate.why, "")
    return InDigest(digest=name, word="waiting", sentence=f"waits; the next issue would have it {words}")


def drafted_fates(app: App, kept: StoredDraft) -> tuple[Consumed, ...]:
    """What an open draft makes of each of its entries."""
    return pipeline.build(app.parts(), app.publication(kept.digest, note=""), kept).consumed


def next_issue(app: App, name: str) -> tuple[Mapping[int, Consumed], Mapping[int, datetime]]:
    """What the next issue of a digest would make of each waiting entry, and until when others settle; fetches nothing."""
    draft = pipeline.build(app.parts(), app.publication(name))
    return {one.entry_id: one for one in draft.consumed}, {one.stored.id: one.ready_at for one in draft.settling}


def settling_of(app: App, name: str, feeds: Sequence[Feed]) -> dict[int, datetime]:
    """Which waiting entries of these feeds are settling, and until when."""
    waiting = app.store.waiting(name, [feed.url for feed in feeds])
    return {one.stored.id: one.ready_at for one in settled(waiting, feeds, now=app.clock.now())[1]}

"""Making one letter after another from a scratch copy, and spoiling a copy of that for each."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from newsletter import pipeline
from newsletter.address import parse_address
from newsletter.app.letters import Copy, Letter, invented_reader, next_letter, sample_letter
from newsletter.app.letterview import entry_rows, feed_titles, past_rows, section_rows
from newsletter.app.past import past_copy
from newsletter.app.project import App
from newsletter.app.status import find_issue
from newsletter.clock import Clock, StandingClock
from newsletter.config.selection import feeds_in_order
from newsletter.errors import UsageError
from newsletter.feeds.settling import settled, settling_words
from newsletter.issues.filters import slow_words
from newsletter.model import Draft, FetchResult, LeftOut, Settling, StoredDraft, StoredEntry, Subscriber
from newsletter.preview.answers import EntryRow, SectionRow
from newsletter.preview.choice import Choice
from newsletter.stages import Publication
from newsletter.store import Store

#: How many older entries stand in where nothing is new.
_SAMPLE: Final = 10
_LEFT_OUT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One letter: the message, and what a view of it is made of besides.

    `shown` is how many entries it carries; `sample` says that older ones stand
    in for new ones, `past` that the issue is frozen.  `kept` is the draft that it is of.
    """

    copy: Copy
    digest: str
    number: int
    date: datetime
    shown: int
    entries: tuple[EntryRow, ...]
    sections: tuple[SectionRow, ...] = ()
    notices: tuple[str, ...] = ()
    sample: bool = False
    past: bool = False
    kept: StoredDraft | None = None


class SheetMaker:
    """Makes letters of one state of a project.

    Args:
        app: the project.
        copy: a scratch copy of its memory that knows what the feeds say now.
        fetched: how they answered.
        note: the editor's, as given on the command line.
        clock: what time it is.
        people: gives everybody on the list.
        shelf: for pictures that letters bring along; None: they bring none.
    """

    def __init__(
        self,
        app: App,
        copy: Store,
        fetched: tuple[FetchResult, ...],
        *,
        note: str | None,
        clock: Clock,
        people: Callable[[], Iterable[Subscriber]],
        shelf: pipeline.PictureShelf | None,
    ) -> None:
        self._app = app
        self._copy = copy
        self._fetched = fetched
        self._note = note
        self._clock = clock
        self._people = people
        self._shelf = shelf

    @property
    def looking(self) -> App:
        """The project with its own memory, or with the copy where it has none yet: looking makes none."""
        app = self._app
        return app if Store.exists(app.config.store) else App(app.config, clock=self._clock, store=self._copy)

    def make(self, choice: Choice, reader: Subscriber | None = None) -> Sheet:
        """Make the letter of a choice, for the reader it names or for this one.

        Raises:
            NewsletterError: there is none; the message says why.
        """
        return self._past(choice, reader) if choice.issue else self._next(choice, reader)

    def _next(self, choice: Choice, reader: Subscriber | None) -> Sheet:
        app = self._app if choice.as_of is None else App(self._app.config, clock=StandingClock(choice.as_of))
        publication = app.publication(choice.digest, note=self._note)
        name = publication.rules.name
        publication = replace(
            publication,
            hidden=choice.hidden,
            feeds=feeds_in_order(app.config.folder, publication.feeds, choice.order),
        )
        urls = [feed.url for feed in publication.feeds]
        reader = self._chosen(choice, reader or self._person(choice, name))
        words: tuple[str, ...] = ()
        sample = False
        with self._scratch(app.clock, choice.as_of) as store:
            kept = store.open_draft(name) if choice.as_of is None else None
            waiting, settling = settled(store.waiting(name, urls), publication.feeds, now=app.clock.now())
            if kept is not None:
                waiting = [one.stored for one in store.drafted(kept) if not one.is_mention]
                settling = ()
                if choice.order:
                    kept = _in_order(kept, waiting, [feed.url for feed in publication.feeds])
            left_out = [*map(_of_settling, settling), *store.left_out(name, urls, _LEFT_OUT)]
            edited = bool(publication.mention_edits and store.edited(name, urls))
            if choice.hidden and waiting and all(one.id in choice.hidden for one in waiting):
                raise UsageError("every entry is hidden", hint="show one of them again")
            if waiting or edited:
                letter = self._letter(app, publication, reader, store, kept)
            else:
                letter, words, waiting = self._stand_in(app, publication, reader)
                sample = True
        if settling:
            words = (*words, settling_words(settling))
        if not letter.message:
            raise UsageError("nothing that waits is left to be shown", hint="the entries below say why")
        draft = letter.draft
        titles = feed_titles(app, [draft])
        return Sheet(
            copy=letter,
            digest=draft.digest,
            number=draft.number,
            date=draft.date,
            shown=draft.total,
            entries=entry_rows(
                draft, waiting, left_out, titles, choice.hidden | (kept.changes.hidden if kept else frozenset())
            ),
            sections=section_rows(draft, publication.feeds),
            notices=(*words, *_unsigned(letter), *draft.notices, *self._before(publication, draft, sample=sample)),
            sample=sample,
            kept=kept,
        )

    def _letter(
        self, app: App, publication: Publication, reader: Subscriber, store: Store, kept: StoredDraft | None = None
    ) -> Letter:
        return asyncio.run(next_letter(app, publication, reader, store, shelf=self._shelf, kept=kept))

    def _stand_in(
        self, app: App, publication: Publication, reader: Subscriber
    ) -> tuple[Letter, tuple[str, ...], list[StoredEntry]]:
        """A letter for where nothing is new: of the newest entries there are, or of the bundled samples."""
        name = publication.rules.name
        urls = [feed.url for feed in publication.feeds]
        # The project's memory has the texts of what was sent; the copy may know feeds that it does not.
        for source in (self.looking.store, self._copy):
            entries = source.latest(urls, _SAMPLE)
            if not entries:
                continue
            with source.scratch(clock=app.clock) as store:
                store.offer_again(name, entries)
                found = self._letter(app, publication, reader, store)
            if found.message:
                return found, (f"nothing is new for {name}: a sample of its last {len(entries)} entries",), entries
        sample = asyncio.run(sample_letter(app, name, reader, note=self._note))
        return sample, (f"{name} has no entries yet: the bundled samples stand in",), []

    def _past(self, choice: Choice, reader: Subscriber | None) -> Sheet:
        app = self.looking
        assert choice.issue is not None
        issue = find_issue(app, choice.issue, choice.digest)
        person = reader or self._person(choice, issue.digest)
        as_usual = choice.language is None and choice.format is None
        copy, row = past_copy(app, issue, self._chosen(choice, person), as_sent=as_usual)
        entries, shown = past_rows(app.store.issue_entries(issue.id), feed_titles(app))
        words = f"got it: {row.state}" if row is not None else "would have got it"
        return Sheet(
            copy=copy,
            digest=issue.digest,
            number=issue.number,
            date=issue.frozen_at,
            shown=shown,
            entries=entries,
            notices=(f"as {person.email} {words}", *_unsigned(copy)),
            past=True,
        )

    def _person(self, choice: Choice, digest: str) -> Subscriber:
        if choice.reader is None:
            found = (s for s in self._people() if not s.digests or digest in s.digests)
            return next(found, invented_reader())
        key = parse_address(choice.reader).key
        if self._app.config.subscribers is not None:
            for person in self._people():
                if person.key == key:
                    return person
        # Nobody has it: the same words as everywhere.
        return self._app.subscriber(choice.reader)

    def _chosen(self, choice: Choice, reader: Subscriber) -> Subscriber:
        return replace(
            reader,
            language=choice.language or reader.language,
            format=choice.format or reader.format,
        )

    def _before(self, publication: Publication, draft: Draft, *, sample: bool) -> Iterator[str]:
        """What a person should know before this issue is sent."""
        for result in self._fetched:
            if result.error:
                hint = f" ({result.hint})" if result.hint else ""
                yield f"{result.title or result.feed.url} could not be read: {result.error}{hint}"
            if result.warning:
                yield f"{result.title or result.feed.url}: {result.warning}"
        if not sample and draft.total < publication.rules.min_entries:
            yield f"fewer than min_entries ({publication.rules.min_entries}): a send would wait for more"
        yield from map(slow_words, draft.slow_rules)
        yield from map(str, draft.missing_pictures)
        for issue in self.looking.store.unfinished(ready=True):
            yield f"a send would first finish issue {issue.number} of {issue.digest}"

    def _scratch(self, clock: Clock, moment: datetime | None) -> Store:
        """A copy to spoil with one letter; as it was at an earlier moment, if one is asked for."""
        if moment is None or moment >= self._clock.now():
            return self._copy.scratch(clock=clock)
        store = self.looking.store.scratch(clock=clock, since=moment)
        store.rewind(moment)
        return store


def _in_order(kept: StoredDraft, entries: Sequence[StoredEntry], urls: Sequence[str]) -> StoredDraft:
    """A draft with its entries moved as the page has moved their sections."""
    ranks = {url: rank for rank, url in enumerate(urls)}
    feeds = {one.id: ranks.get(one.feed_url, len(ranks)) for one in entries}
    order = sorted(kept.changes.order, key=lambda id_: feeds.get(id_, len(ranks)))
    return replace(kept, changes=replace(kept.changes, order=tuple(order)))


def _unsigned(copy: Copy) -> tuple[str, ...]:
    return (copy.unsigned,) if copy.unsigned else ()


def _of_settling(one: Settling) -> LeftOut:
    return LeftOut(stored=one.stored, why=f"settling until {one.ready_at.astimezone():%H:%M}: it may still change")

"""From what feeds answer to rows in the store: parsed, recognised and recorded, a batch at a time.

Recorded in the order of the feeds, so many together: then two feeds that have
not changed cost hardly more than one, and a thousand that have do not all wait
in memory.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Final

from newsletter.errors import ParseError
from newsletter.feeds.identity import decide, decide_news, document_keys
from newsletter.feeds.wire import Job, filled
from newsletter.model import (
    Decision,
    Document,
    Failed,
    Feed,
    Fetched,
    FetchOutcome,
    FetchResult,
    KnownEntry,
    KnownFeed,
    KnownItems,
    NotModified,
    Spared,
    Validators,
)
from newsletter.rounds import Plan, look_back
from newsletter.stages import Parts
from newsletter.store.batches import Question, Recording

#: So many answers, or so many bytes of documents, are recorded together.
_BATCH: Final = 50
_BATCH_BYTES: Final = 20_000_000

_Parsed = Failed | NotModified | Spared | Recording


class Intake:
    """The answers of one round of fetching.

    Args:
        parts: what to work with.
        plan: of the round.
        on_result: told when what a feed answered is recorded.
    """

    def __init__(self, parts: Parts, plan: Plan, on_result: Callable[[FetchResult], None]) -> None:
        self._memories = parts.store.memories([feed.url for feed in plan.ask])
        self._parts = parts
        self._plan = plan
        self._on_result = on_result
        self._waiting: dict[int, tuple[FetchOutcome, _Parsed]] = {}
        self._bytes = 0
        self._answers: dict[int, tuple[FetchOutcome, FetchResult]] = {}

    @property
    def validators(self) -> dict[str, Validators]:
        """By feed address, what to ask each server "has it changed?" with."""
        return {url: memory.validators for url, memory in self._memories.items()}

    async def take(self, at: int, outcome: FetchOutcome) -> None:
        """Parse what the feed in this place answered, and let it wait for its record."""
        parsed: _Parsed = await self._parsed(outcome) if isinstance(outcome, Fetched) else outcome
        self._bytes += len(outcome.body) if isinstance(parsed, Recording) and isinstance(outcome, Fetched) else 0
        self._waiting[at] = (_without_body(outcome), parsed)
        if len(self._waiting) >= _BATCH or self._bytes >= _BATCH_BYTES:
            await self._record()

    async def finish(self) -> list[tuple[FetchOutcome, FetchResult]]:
        """Record what is left; what came of all feeds, in their order, the outcomes without their documents."""
        await self._record()
        return [self._answers[at] for at in sorted(self._answers)]

    # ------------------------------------------------------------------------ parse

    async def _parsed(self, fetched: Fetched) -> _Parsed:
        before = self._memories.get(fetched.feed.url)
        body_hash = sha256(fetched.body).hexdigest()
        if before is not None and before.body_hash == body_hash:
            return NotModified(
                feed=fetched.feed,
                seconds=fetched.seconds,
                wish=fetched.wish,
                moved_to=fetched.moved_to,
                validators=fetched.validators,
            )
        known = self._parts.store.known_items(fetched.feed.url) if before is not None else KnownItems()
        document = await self._read(fetched, known)
        if isinstance(document, Failed):
            return document
        return self._recording(fetched, document, body_hash=body_hash, since=known.document if known.ids else None)

    async def _read(self, fetched: Fetched, known: KnownItems) -> Document | Failed:
        job = Job(body=fetched.body, url=fetched.final_url, content_type=fetched.content_type, known=known.ids)
        try:
            return await self._parts.reader.read(job)
        except ParseError as error:
            return Failed(
                feed=fetched.feed,
                reason=error.message,
                hint=error.hint,
                seconds=fetched.seconds,
                wish=fetched.wish,
            )

    # ----------------------------------------------------------------------- record

    async def _record(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        results: dict[int, FetchResult] = {}
        documents = {at: parsed for at, (_, parsed) in sorted(waiting.items()) if isinstance(parsed, Recording)}
        unchanged = {at: parsed for at, (_, parsed) in sorted(waiting.items()) if isinstance(parsed, NotModified)}
        results.update(await self._documents(documents))
        results.update(self._unchanged(unchanged))
        for at, (_, parsed) in waiting.items():
            if isinstance(parsed, Failed):
                results[at] = self._parts.store.record_failure(parsed)
            elif isinstance(parsed, Spared):
                results[at] = self.spared(parsed)
        for at in sorted(results):
            self._answers[at] = (waiting[at][0], results[at])
            self._on_result(results[at])

    def spared(self, spared: Spared) -> FetchResult:
        """Record nothing of a feed that was not asked; but a digest that is new to it gets its first entries."""
        feed = spared.feed
        return self._parts.store.record_spared(feed, spared.why, self._digests(feed), first_run=self._parts.first_run)

    def _unchanged(self, unchanged: Mapping[int, NotModified]) -> dict[int, FetchResult]:
        if not unchanged:
            return {}
        found = self._parts.store.record_unchanged_all(
            list(unchanged.values()), digests_of=self._parts.digests_of, first_run=self._parts.first_run
        )
        return dict(zip(unchanged, found, strict=True))

    async def _documents(self, documents: Mapping[int, Recording]) -> dict[int, FetchResult]:
        if not documents:
            return {}
        found = self._parts.store.record_documents(list(documents.values()), first_run=self._parts.first_run)
        results = {}
        for (at, recording), recorded in zip(documents.items(), found, strict=True):
            fetched = recording.fetched
            # None: an item that was known is another entry now, or has to be written anew.
            result = recorded or await self.record_whole(fetched)
            poll = self._plan.polls[fetched.feed.url]
            results[at] = await look_back(self._parts, poll, fetched, result, record=self.record_whole)
        return results

    async def record_whole(self, fetched: Fetched, *, archive: bool = False) -> FetchResult:
        """Read and record all of a document, whatever of it is known; an `archive` is no flood, however much is new."""
        whole = await self._read(fetched, KnownItems())
        if isinstance(whole, Failed):
            return self._parts.store.record_failure(whole)
        recording = self._recording(fetched, whole, body_hash=sha256(fetched.body).hexdigest(), archive=archive)
        [result] = self._parts.store.record_documents([recording], first_run=self._parts.first_run)
        assert result is not None
        return result

    def _recording(
        self, fetched: Fetched, read: Document, *, body_hash: str, since: int | None = None, archive: bool = False
    ) -> Recording:
        now = self._parts.clock.now()

        def question(entries: Mapping[int, KnownEntry]) -> Question:
            document = filled(read, entries) if entries else read

            def judge(known: KnownFeed) -> Decision:
                # An old page, complete with what was known before: many at once are no flood.
                before = replace(known, recent=(), new_per_day=math.inf) if archive else known
                return decide(document, before, now=now)

            return Question(keys=document_keys(document), decide=judge)

        return Recording(
            feed=fetched.feed,
            fetched=fetched,
            document=read,
            body_hash=body_hash,
            digests=self._digests(fetched.feed),
            question=question,
            since=since,
            news=None if since is None else decide_news(read),
        )

    def _digests(self, feed: Feed) -> tuple[str, ...]:
        return self._parts.digests_of.get(feed.url, ())


def _without_body(outcome: FetchOutcome) -> FetchOutcome:
    """What is kept of an answer until the end of the round."""
    return replace(outcome, body=b"") if isinstance(outcome, Fetched) else outcome

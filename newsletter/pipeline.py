"""The order of everything: fetch → parse → build → illustrate → render → freeze → deliver.

    fetch()       every feed's document, parsed and recorded; a failing feed delays only itself
    build()       what is new for a digest, as a draft; changes nothing
    illustrate()  the pictures that the letter brings along, for a digest that wants them so
    freeze()      the draft rendered once per language, and one delivery row per subscriber,
                  in one transaction
    finish()      issues that an earlier run left unfinished
    send()        all of it, in the order that loses nothing and repeats nothing

Nothing else in the program calls two stages in a row.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256

from newsletter.delivery.canary import canary_for, deliver_in_turn
from newsletter.delivery.deliver import Progress, deliver
from newsletter.delivery.known import know_links
from newsletter.delivery.links import Tokens
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import ParseError
from newsletter.feeds.fetch import fetch_each
from newsletter.feeds.identity import decide, document_keys
from newsletter.feeds.pictures import fetch_pictures, to_ask_for
from newsletter.feeds.wire import Job
from newsletter.issues.digest import build as build_draft
from newsletter.issues.filters import Filters
from newsletter.issues.illustrate import illustrated
from newsletter.issues.merge import merge_values
from newsletter.issues.render import Renderings
from newsletter.model import (
    Canary,
    Decision,
    DeliveryState,
    Document,
    Draft,
    Envelope,
    Failed,
    Feed,
    FeedMemory,
    Fetched,
    FetchOutcome,
    FetchResult,
    Issue,
    KnownEntry,
    KnownFeed,
    NewDelivery,
    NotModified,
    Picture,
    SendReport,
    Subscriber,
)
from newsletter.people.bounces.failures import judge_failures
from newsletter.stages import Parts, Publication, Sent, Watch
from newsletter.store.feeds import Recording

# --------------------------------------------------------------- fetch and parse


async def fetch(
    parts: Parts,
    feeds: Iterable[Feed],
    *,
    on_answer: Callable[[FetchOutcome], None] = lambda _: None,
    on_result: Callable[[FetchResult], None] = lambda _: None,
) -> list[FetchResult]:
    """Poll feeds, record what they hold, and offer what is new to their digests.

    A feed that fails is recorded as failing and named in its result; the others go on.

    Args:
        parts: what to work with.
        feeds: which to poll.
        on_answer: told as soon as a feed has answered, or has not.
        on_result: told when what it answered is recorded.
    """
    asked = list(feeds)
    polls = _Polls(parts, parts.store.memories([feed.url for feed in asked]), on_result)
    validators = {url: memory.validators for url, memory in polls.memories.items()}
    await fetch_each(asked, validators, polls.take, limits=parts.limits, clock=parts.clock, on_done=on_answer)
    return await polls.results(len(asked))


class _Polls:
    """The outcomes of one fetch, from the answer to the record.

    Recorded in the order of the feeds, a batch at a time: then two feeds that
    have not changed cost hardly more than one, and a thousand that have do not
    all wait in memory.
    """

    _BATCH = 50
    _BATCH_BYTES = 20_000_000

    def __init__(
        self, parts: Parts, memories: Mapping[str, FeedMemory], on_result: Callable[[FetchResult], None]
    ) -> None:
        self.memories = memories
        self._parts = parts
        self._on_result = on_result
        self._waiting: dict[int, Failed | NotModified | tuple[Fetched, Document]] = {}
        self._bytes = 0
        self._results: dict[int, FetchResult] = {}

    async def take(self, at: int, outcome: FetchOutcome) -> None:
        """Parse what the feed in this place answered, and let it wait for its record."""
        self._waiting[at] = await self._parsed(outcome) if isinstance(outcome, Fetched) else outcome
        self._bytes += len(outcome.body) if isinstance(outcome, Fetched) else 0
        if len(self._waiting) >= self._BATCH or self._bytes >= self._BATCH_BYTES:
            await self._record()

    async def results(self, count: int) -> list[FetchResult]:
        """Record what is left; what came of all feeds, in their order."""
        await self._record()
        return [self._results[at] for at in range(count)]

    async def _parsed(self, fetched: Fetched) -> Failed | NotModified | tuple[Fetched, Document]:
        before = self.memories.get(fetched.feed.url)
        if before is not None and before.body_hash == sha256(fetched.body).hexdigest():
            return NotModified(feed=fetched.feed, seconds=fetched.seconds, validators=fetched.validators)
        known = self._parts.store.known_items(fetched.feed.url) if before is not None else {}
        document = await self._read(fetched, known)
        return document if isinstance(document, Failed) else (fetched, document)

    async def _read(self, fetched: Fetched, known: Mapping[str, KnownEntry]) -> Document | Failed:
        job = Job(body=fetched.body, url=fetched.final_url, content_type=fetched.content_type, known=known)
        try:
            return await self._parts.reader.read(job)
        except ParseError as error:
            return Failed(feed=fetched.feed, reason=error.message, hint=error.hint, seconds=fetched.seconds)

    async def _record(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        parts, store = self._parts, self._parts.store
        documents = {at: found for at, found in sorted(waiting.items()) if isinstance(found, tuple)}
        unchanged = {at: found for at, found in sorted(waiting.items()) if isinstance(found, NotModified)}
        results: dict[int, FetchResult] = {}
        if documents:
            recorded = store.record_documents(
                [self._recording(*found) for found in documents.values()], first_run=parts.first_run
            )
            for at, result in zip(documents, recorded, strict=True):
                results[at] = result or await self._read_whole(documents[at][0])
        if unchanged:
            polls = list(unchanged.values())
            found = store.record_unchanged_all(polls, digests_of=parts.digests_of, first_run=parts.first_run)
            results.update(zip(unchanged, found, strict=True))
        results.update(
            (at, store.record_failure(failed)) for at, failed in waiting.items() if isinstance(failed, Failed)
        )
        for at in sorted(results):
            self._results[at] = results[at]
            self._on_result(results[at])

    async def _read_whole(self, fetched: Fetched) -> FetchResult:
        """An item that was known is another entry now, or has to be written anew: read all of them."""
        parts = self._parts
        whole = await self._read(fetched, {})
        if isinstance(whole, Failed):
            return parts.store.record_failure(whole)
        [result] = parts.store.record_documents([self._recording(fetched, whole)], first_run=parts.first_run)
        assert result is not None
        return result

    def _recording(self, fetched: Fetched, document: Document) -> Recording:
        now = self._parts.clock.now()

        def judge(known: KnownFeed) -> Decision:
            return decide(document, known, now=now)

        return Recording(
            feed=fetched.feed,
            fetched=fetched,
            document=document,
            decide=judge,
            keys=document_keys(document),
            digests=self._parts.digests_of.get(fetched.feed.url, ()),
        )


# ------------------------------------------------------------------------- build


def build(parts: Parts, publication: Publication) -> Draft:
    """Select and order what is waiting for a digest; changes nothing."""
    store, name = parts.store, publication.rules.name
    urls = [feed.url for feed in publication.feeds]
    note = publication.note
    notices: tuple[str, ...] = ()
    number, told = store.last_note(name)
    if note and note == told and not publication.repeat_note:
        note, notices = "", (f"the note is the one of issue {number}, so it is left out: change it, or say --note",)
    draft = build_draft(
        publication.rules,
        publication.feeds,
        {health.url: health for health in store.feed_health(urls)},
        store.waiting(name, urls),
        store.edited(name, urls) if publication.mention_edits else [],
        number=store.next_number(name),
        now=parts.clock.now(),
        note=note,
        hidden=publication.hidden,
        filters=Filters(parts.clock.monotonic),
    )
    return replace(draft, notices=notices)


# -------------------------------------------------------------------- illustrate


#: Pictures that were fetched, by what was asked for: a preview renders one letter again and again.
PictureShelf = dict[tuple[tuple[str, bool], ...], dict[str, Picture | str]]


async def illustrate(
    parts: Parts, publication: Publication, draft: Draft, *, shelf: PictureShelf | None = None
) -> Draft:
    """Fetch the pictures that are to travel inside the message, and put them into the draft.

    One that cannot be had is left out and named in `Draft.missing_pictures`.  A draft
    without such pictures comes back as it is; without this stage it has none.
    What stands on a `shelf` is not fetched again, and what is fetched is put there.
    """
    private = {feed.url for feed in publication.feeds if feed.allow_private}
    wanted = to_ask_for(
        (entry.to_embed, entry.feed_url in private) for entry in draft.entries if entry.to_embed is not None
    )
    if not wanted:
        return draft
    domain = publication.from_email.rpartition("@")[2]
    asked = tuple(wanted.items())
    found = shelf.get(asked) if shelf is not None else None
    if found is None:
        found = await fetch_pictures(wanted, domain=domain, limits=parts.limits, clock=parts.clock)
    if shelf is not None:
        shelf[asked] = found
    return illustrated(draft, found)


# ------------------------------------------------------------- render and freeze


def freeze(
    parts: Parts,
    publication: Publication,
    draft: Draft,
    *,
    slot: str,
    canary: Canary | None = None,
    trace: Callable[[str], None] = lambda _: None,
    on_rendered: Callable[[Renderings], None] = lambda _: None,
) -> Issue:
    """Render a draft and make it an issue, with a delivery row for every subscriber.

    `on_rendered` is told at the end what was rendered, and what the size budget did to it.

    Raises:
        TemplateError: nothing has changed.
        StoreError: nothing has changed.
    """
    envelope = Envelope(
        from_name=publication.from_name,
        from_email=publication.from_email,
        reply_to=publication.reply_to,
        list_id=publication.list_id,
        list_name=publication.masthead.title,
        base_url=publication.masthead.base_url,
        unsubscribe_email=publication.unsubscribe_email,
        language=publication.masthead.language,
        date=draft.date,
        boundary=parts.ids.token(),
        merge_token=parts.ids.token(),
        links_secret=parts.store.links_secret(),
    )
    renderings = Renderings(draft, publication.masthead, publication.templates, token=envelope.merge_token)
    issue = parts.store.freeze(
        digest=draft.digest,
        number=draft.number,
        slot=slot,
        subject=renderings.subject,
        envelope=envelope,
        consumed=draft.consumed,
        mentioned=[entry.id for entry in draft.updated],
        deliveries=_deliveries(renderings, parts.people(draft.digest)),
        note=draft.note.markdown if draft.note else "",
        renderings=renderings,
        pictures=draft.pictures,
        canary=canary,
        link_of=_link_of(parts, draft.digest, envelope),
        trace=trace,
    )
    on_rendered(renderings)
    return issue


def _link_of(parts: Parts, digest: str, envelope: Envelope) -> Callable[[str], str]:
    return Tokens(parts.store.secret(envelope.links_secret), digest).of


def _deliveries(renderings: Renderings, people: Iterable[Subscriber]) -> Iterator[NewDelivery]:
    for subscriber in people:
        rendering = renderings.for_subscriber(subscriber, language=subscriber.language)
        yield NewDelivery(
            email=subscriber.email,
            wire_email=subscriber.wire_email,
            key=subscriber.key,
            name=subscriber.name,
            format=subscriber.format,
            rendering=rendering.key,
            merge=merge_values(rendering.fields, subscriber),
        )


# ----------------------------------------------------------------------- deliver


async def finish(parts: Parts, smtp: SmtpSettings, watch: Watch, stop: asyncio.Event) -> list[SendReport]:
    """Take up every issue that has deliveries left, oldest first.

    An issue that the program paused (a wrong password, say) gets another try;
    one that a person paused waits for `issue resume`.
    """
    reports = []
    for issue in parts.store.unfinished():
        if stop.is_set() or issue.waits_for_a_person:
            continue
        watch.finishing(issue)
        parts.store.resume(issue.id)
        parts.store.recover(issue.id, parts.on_unknown)
        reports.append(await _deliver(parts, issue, smtp, watch, stop))
    return reports


async def send(
    parts: Parts, publication: Publication, smtp: SmtpSettings, *, slot: str, watch: Watch, stop: asyncio.Event
) -> Sent:
    """Finish what is unfinished, then fetch, build, illustrate, freeze and deliver one digest.

    The caller holds the store's lock.

    Raises:
        StoreError: the database is damaged; nothing has been mailed.
        TemplateError: nothing has been frozen or mailed.
        ConfigError: the subscribers file has mistakes; nothing has been frozen.
    """
    parts.store.check()
    # What a run that died could not judge any more.
    judge_failures(parts.store, parts.bounce_rules, clock=parts.clock)
    finished = tuple(await finish(parts, smtp, watch, stop))
    if stop.is_set() or any(report.stopped for report in finished):
        return Sent(finished=finished)
    fetched = tuple(await fetch(parts, publication.feeds, on_result=watch.fetched))
    draft = build(parts, publication)
    if draft.total < publication.rules.min_entries or stop.is_set():
        return Sent(finished=finished, fetched=fetched, draft=draft)
    recipients = sum(1 for _ in parts.people(publication.rules.name))
    if recipients:
        draft = await illustrate(parts, publication, draft)
        watch.illustrated(draft)
    if stop.is_set():
        return Sent(finished=finished, fetched=fetched, draft=draft)
    if not recipients or not watch.agrees(draft, recipients):
        return Sent(finished=finished, fetched=fetched, draft=draft, recipients=recipients, declined=recipients > 0)
    canary = canary_for(publication.canary, recipients)
    issue = freeze(parts, publication, draft, slot=slot, canary=canary)
    watch.frozen(issue)
    report = await _deliver(parts, issue, smtp, watch, stop)
    return Sent(finished=finished, fetched=fetched, draft=draft, recipients=recipients, report=report)


async def resend(
    parts: Parts,
    issue: Issue,
    delivery: NewDelivery,
    smtp: SmtpSettings,
    *,
    force: bool,
    on_progress: Callable[[Progress], None],
    stop: asyncio.Event,
) -> tuple[SendReport, DeliveryState]:
    """Queue a frozen issue for one person, and deliver this one message; the caller holds the store's lock.

    `delivery` is the row to be; one that is there already stays the same message.

    Returns:
        what came of it, and the row's state before.

    Raises:
        UsageError: see `Store.readdress`; nothing has been mailed.
    """
    parts.store.check()
    parts.store.recover(issue.id, parts.on_unknown)
    row, before = parts.store.readdress(
        issue.id, delivery, link=_link_of(parts, issue.digest, issue.envelope)(delivery.key), force=force
    )
    know_links(issue, parts.store)
    report = await deliver(
        issue,
        parts.store.only([row]),
        smtp,
        clock=parts.clock,
        on_unknown=parts.on_unknown,
        on_progress=on_progress,
        stop=stop,
    )
    return report, before


async def _deliver(parts: Parts, issue: Issue, smtp: SmtpSettings, watch: Watch, stop: asyncio.Event) -> SendReport:
    know_links(issue, parts.store)
    report = await deliver_in_turn(
        issue,
        parts.store,
        smtp,
        clock=parts.clock,
        on_unknown=parts.on_unknown,
        on_progress=watch.delivered,
        on_watch=watch.watching,
        stop=stop,
    )
    judge_failures(parts.store, parts.bounce_rules, clock=parts.clock)
    return report

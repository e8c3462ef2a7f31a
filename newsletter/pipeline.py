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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from newsletter import __version__
from newsletter.delivery.canary import canary_for, deliver_in_turn
from newsletter.delivery.deliver import Progress, deliver
from newsletter.delivery.known import know_links
from newsletter.delivery.links import Tokens
from newsletter.delivery.smtp import SmtpSettings
from newsletter.feeds.fetch import fetch_each
from newsletter.feeds.pictures import fetch_pictures, to_ask_for
from newsletter.feeds.settling import settled
from newsletter.intake import Intake
from newsletter.issues.digest import build as build_draft
from newsletter.issues.filters import Filters
from newsletter.issues.illustrate import illustrated
from newsletter.issues.merge import merge_values
from newsletter.issues.recipe import Ingredients, embedded, plain
from newsletter.issues.render import Renderings, Templates
from newsletter.model import (
    Canary,
    DeliveryState,
    Draft,
    Envelope,
    Feed,
    FetchOutcome,
    FetchProgress,
    FetchResult,
    Issue,
    NewDelivery,
    Picture,
    Recipe,
    Round,
    SendReport,
    Subscriber,
)
from newsletter.people.bounces.failures import judge_failures
from newsletter.rounds import Counter, begin, end, news
from newsletter.stages import Parts, Publication, Sent, Watch
from newsletter.store import Store

# --------------------------------------------------------------- fetch and parse


async def fetch(
    parts: Parts,
    feeds: Iterable[Feed],
    *,
    kind: Round = Round.wanted,
    on_progress: Callable[[FetchProgress], None] = lambda _: None,
    on_answer: Callable[[FetchOutcome], None] = lambda _: None,
    on_result: Callable[[FetchResult], None] = lambda _: None,
) -> list[FetchResult]:
    """Poll feeds, record what they hold, and offer what is new to their digests.

    A feed that fails is recorded as failing and named in its result; the others go on.

    Args:
        parts: what to work with.
        feeds: which to poll.
        kind: why, hence which of them are asked.
        on_progress: told when a feed is asked, and when it answers.
        on_answer: told as soon as a feed has answered, or has not.
        on_result: told when what it answered is recorded.
    """
    listed = list(feeds)
    plan = begin(parts, listed, kind)
    progress = Counter(len(plan.ask), on_progress)
    intake = Intake(parts, plan, on_result)

    def answered(outcome: FetchOutcome) -> None:
        progress.done(outcome)
        on_answer(outcome)

    await fetch_each(
        plan.ask,
        intake.validators,
        intake.take,
        moved=plan.moved,
        limits=parts.limits,
        clock=parts.clock,
        secrets=parts.secrets,
        on_start=progress.started,
        on_done=answered,
    )
    answers = await intake.finish()
    for spared in plan.spared:
        answers.append((spared, intake.spared(spared)))
        on_result(answers[-1][1])
    results = end(parts, plan, answers)
    return [results[feed.url] for feed in listed if feed.url in results]


# ------------------------------------------------------------------------- build


def build(parts: Parts, publication: Publication) -> Draft:
    """Select and order what is waiting for a digest; what may still change stays; changes nothing."""
    store, name = parts.store, publication.rules.name
    urls = [feed.url for feed in publication.feeds]
    note = publication.note
    notices: tuple[str, ...] = ()
    number, told = store.last_note(name)
    if note and note == told and not publication.repeat_note:
        note, notices = "", (f"the note is the one of issue {number}, so it is left out: change it, or say --note",)
    ready, settling = settled(store.waiting(name, urls), publication.feeds, now=parts.clock.now())
    draft = build_draft(
        publication.rules,
        publication.feeds,
        {health.url: health for health in store.feed_health(urls)},
        ready,
        store.edited(name, urls) if publication.mention_edits else [],
        number=store.next_number(name),
        now=parts.clock.now(),
        note=note,
        hidden=publication.hidden,
        filters=Filters(parts.clock.monotonic),
    )
    return replace(draft, notices=notices, settling=settling)


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
        archive_url=publication.masthead.archive_url,
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
        shortened=lambda: renderings.shortened,
        recipe=lambda: recipe_of(publication, draft),
        trace=trace,
    )
    on_rendered(renderings)
    return issue


def recipe_of(publication: Publication, draft: Draft) -> Recipe:
    """What a draft was built from and is rendered with, beside its entries; its templates are those used so far."""
    made = Ingredients(
        version=__version__,
        theme=publication.templates.theme,
        rules=publication.rules,
        feeds=tuple(feed for feed in publication.feeds if feed.url in draft.heads),
        masthead=publication.masthead,
        heads=draft.heads,
        hidden=publication.hidden,
        pictures=embedded(draft),
    )
    return Recipe(made=plain(made), templates=publication.templates.used)


def rebuild(
    store: Store, issue: Issue, made: Ingredients, templates: Templates, *, filters: Filters
) -> tuple[Draft, Renderings]:
    """Build a frozen issue again from its entries as they were then; changes nothing.

    Args:
        store: the memory.
        issue: one of its.
        made: what it was made from beside its entries, or what it would be made from now.
        templates: those it was rendered with, or others.
        filters: what tries the rules of the feeds.

    Raises:
        ConfigError: a filter of a feed is no regular expression.
    """
    draft = build_draft(
        made.rules,
        made.feeds,
        made.heads,
        [stored for stored, _ in store.issue_entries(issue.id)],
        store.mentioned(issue.id),
        number=issue.number,
        now=issue.envelope.date,
        note=issue.note,
        hidden=made.hidden,
        filters=filters,
    )
    draft = illustrated(draft, made.found({picture.cid: picture for picture in store.pictures(issue.id)}))
    return draft, Renderings(draft, made.masthead, templates, token=issue.envelope.merge_token)


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
    fetched = tuple(await fetch(parts, publication.feeds, on_progress=watch.fetching, on_result=watch.fetched))
    items = news(parts, publication.feeds)
    watch.heard(items)
    so_far = Sent(finished=finished, fetched=fetched, news=items)
    draft = build(parts, publication)
    if draft.total < publication.rules.min_entries or stop.is_set():
        return replace(so_far, draft=draft)
    recipients = parts.recipients(publication.rules.name)
    if recipients:
        draft = await illustrate(parts, publication, draft)
        watch.illustrated(draft)
    if stop.is_set():
        return replace(so_far, draft=draft)
    if not recipients or not watch.agrees(draft, recipients):
        return replace(so_far, draft=draft, recipients=recipients, declined=recipients > 0)
    canary = canary_for(publication.canary, recipients)
    issue = freeze(parts, publication, draft, slot=slot, canary=canary)
    watch.frozen(issue)
    report = await _deliver(parts, issue, smtp, watch, stop)
    return replace(so_far, draft=draft, recipients=recipients, report=report)


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

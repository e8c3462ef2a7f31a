"""The order of everything: fetch → parse → build → illustrate → render → freeze → deliver.

    fetch()       every feed's document, parsed and recorded; a failing feed delays only itself
    build()       what is new for a digest, as a draft; changes nothing
    keep()        fetched and built ahead of its slot, for an editor to answer
    illustrate()  the pictures that the letter brings along, for a digest that wants them so
    freeze()      the draft rendered once per language, and one delivery row per subscriber,
                  in one transaction
    finish()      issues that an earlier run left unfinished
    send()        all of it, in the order that loses nothing and repeats nothing

Nothing else in the program calls two stages in a row.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from newsletter.addressing import deliveries_of, link_of, listed_of, waits
from newsletter.delivery.canary import canary_for
from newsletter.delivery.deliver import Progress, deliver
from newsletter.delivery.known import know_links
from newsletter.delivery.smtp import SmtpSettings
from newsletter.dispatch import alone, hand_on, hand_out, share_one
from newsletter.feeds.fetch import fetch_each
from newsletter.feeds.pictures import fetch_pictures, to_ask_for
from newsletter.feeds.settling import settled
from newsletter.intake import Intake
from newsletter.issues.digest import build as build_draft
from newsletter.issues.filters import Filters
from newsletter.issues.fingerprint import seen_letter
from newsletter.issues.illustrate import illustrated
from newsletter.issues.render import Renderings
from newsletter.keeper import Identity
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
    IssueState,
    NewDelivery,
    Picture,
    Round,
    SendReport,
    StoredDraft,
)
from newsletter.people.bounces.failures import judge_failures
from newsletter.rebuilding import recipe_of
from newsletter.rounds import Counter, begin, end, news
from newsletter.stages import Parts, Publication, Sent, Watch

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


def build(parts: Parts, publication: Publication, kept: StoredDraft | None = None) -> Draft:
    """Select and order what is waiting for a digest; what may still change stays; changes nothing.

    A draft that was kept is built of what it was made of, and of what the editor has made of that.
    """
    if kept is not None:
        return _build_again(parts, publication, kept)
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


def _build_again(parts: Parts, publication: Publication, kept: StoredDraft) -> Draft:
    drafted, changes = parts.store.drafted(kept), kept.changes
    urls = dict.fromkeys((*(feed.url for feed in publication.feeds), *(one.stored.feed_url for one in drafted)))
    return build_draft(
        publication.rules,
        publication.feeds,
        {health.url: health for health in parts.store.feed_health(list(urls))},
        [one.stored for one in drafted if not one.is_mention],
        [one.stored for one in drafted if one.is_mention],
        number=kept.number,
        # What is late is dated by when it was made: nothing in it is of the future.
        now=max(kept.due_at, kept.made_at),
        note=changes.note,
        hidden=changes.hidden | publication.hidden,
        order=changes.order,
        edits=changes.edits,
        filters=Filters(parts.clock.monotonic),
    )


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
    kept: StoredDraft | None = None,
    trace: Callable[[str], None] = lambda _: None,
    on_rendered: Callable[[Renderings], None] = lambda _: None,
) -> Issue:
    """Render a draft and make it an issue, with a delivery row for every subscriber.

    `kept` is the draft that it was built from, which ends with it; its messages are dated now.
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
        date=draft.date if kept is None else parts.clock.now(),
        boundary=parts.ids.token(),
        merge_token=parts.ids.token(),
        links_secret=parts.store.links_secret(),
        archive_url=publication.masthead.archive_url,
    )
    renderings = Renderings(draft, publication.masthead, publication.templates, token=envelope.merge_token)
    hours = parts.hours.get(draft.digest)
    wait = waits(parts, hours, slot)
    issue = parts.store.freeze(
        digest=draft.digest,
        number=draft.number,
        slot=slot,
        subject=renderings.subject,
        envelope=envelope,
        consumed=draft.consumed,
        mentioned=[entry.id for entry in draft.updated],
        deliveries=deliveries_of(renderings, parts.people(draft.digest), wait),
        listed=listed_of(parts, renderings, wait, hours=hours, digest=draft.digest, envelope=envelope),
        hours=hours.text if hours else "",
        note=draft.note.markdown if draft.note else "",
        renderings=renderings,
        pictures=draft.pictures,
        canary=canary,
        drafted=kept,
        link_of=link_of(parts, draft.digest, envelope),
        shortened=lambda: renderings.shortened,
        recipe=lambda: recipe_of(publication, draft, kept),
        # Where nobody listens, jobs would only heap up.
        **({"hand_out": parts.hand_out} if parts.store.workers() else {}),
        trace=trace,
    )
    on_rendered(renderings)
    return issue


# ----------------------------------------------------------------------- deliver


def to_finish(parts: Parts) -> list[Issue]:
    """Issues of which a delivery is left that may go now, oldest first.

    An issue that the program paused (a wrong password, say) gets another try;
    one that a person paused waits for `issue resume`.  Deliveries that wait for
    their hours wait by those that the digest has now.
    """
    store = parts.store
    for issue in store.unfinished():
        # Of a digest that the project does not have any more, the hours stay as they were.
        hours = parts.hours.get(issue.digest)
        rule = hours.text if hours else ""
        if issue.digest in parts.hours and issue.hours != rule:
            wait = waits(parts, hours, issue.slot)
            store.change_hours(issue.id, rule, lambda timezone, wait=wait: wait(timezone)[1])  # type: ignore[misc]
    return [issue for issue in store.unfinished(ready=True) if not issue.waits_for_a_person]


async def finish(
    parts: Parts, smtp: SmtpSettings, watch: Watch, stop: asyncio.Event, issues: Iterable[Issue] | None = None
) -> list[SendReport]:
    """Take up every issue of which something can be done now, oldest first (see `to_finish`), or these of them."""
    reports = []
    for issue in to_finish(parts) if issues is None else issues:
        if stop.is_set():
            continue
        watch.finishing(issue)
        parts.store.resume(issue.id)
        if not parts.store.is_shared:
            parts.store.recover(issue.id, parts.on_unknown)
        reports.append(await _deliver(parts, issue, smtp, watch, stop))
        if issue.state is IssueState.paused:
            hand_on(parts, issue)
    return reports


async def send(
    parts: Parts,
    publication: Publication,
    smtp: SmtpSettings,
    *,
    slot: str,
    watch: Watch,
    stop: asyncio.Event,
    kept: StoredDraft | None = None,
) -> Sent:
    """Finish what is unfinished, then fetch, build, illustrate, freeze and deliver one digest.

    A draft that was kept needs no fetch: what has come since is the next issue's.
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
    so_far = Sent(finished=finished)
    if stop.is_set() or any(report.stopped for report in finished):
        return so_far
    if kept is None:
        so_far = replace(await _fetched(parts, publication, watch), finished=finished)
    draft = build(parts, publication, kept)
    if draft.total < (publication.rules.min_entries if kept is None else 1) or stop.is_set():
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
    issue = freeze(parts, publication, draft, slot=slot, canary=canary, kept=kept)
    watch.frozen(issue)
    report = await _deliver(parts, issue, smtp, watch, stop)
    return replace(so_far, draft=draft, recipients=recipients, report=report)


async def keep(
    parts: Parts,
    publication: Publication,
    *,
    slot: str,
    due_at: datetime,
    answer_by: datetime,
    watch: Watch,
    stop: asyncio.Event,
    kind: Round = Round.wanted,
) -> Sent:
    """Fetch and build a digest ahead of its slot, and keep the draft for an editor; `Sent.kept` is it.

    Nothing is used up, so a draft that never becomes an issue takes nothing away from the next.
    The caller holds the store's lock.

    Raises:
        StoreError: the database is damaged.
        TemplateError: the draft cannot be rendered, so nobody could look at it.
    """
    parts.store.check()
    so_far = await _fetched(parts, publication, watch, kind)
    draft = build(parts, publication)
    so_far = replace(so_far, draft=draft)
    if draft.total < publication.rules.min_entries or stop.is_set():
        return so_far
    recipients = parts.recipients(publication.rules.name)
    if not recipients:
        return replace(so_far, recipients=0)
    seen_letter(draft, publication.masthead, publication.templates)
    kept = parts.store.keep_draft(
        digest=draft.digest,
        slot=slot,
        due_at=due_at,
        answer_by=answer_by,
        number=draft.number,
        entries=[one.entry_id for one in draft.consumed],
        mentioned=[entry.id for entry in draft.updated],
        note=draft.note.markdown if draft.note else "",
    )
    return replace(so_far, recipients=recipients, kept=kept)


async def _fetched(parts: Parts, publication: Publication, watch: Watch, kind: Round = Round.wanted) -> Sent:
    results = await fetch(parts, publication.feeds, kind=kind, on_progress=watch.fetching, on_result=watch.fetched)
    items = news(parts, publication.feeds)
    watch.heard(items)
    return Sent(fetched=tuple(results), news=items)


async def resend(
    parts: Parts,
    issue: Issue,
    delivery: NewDelivery,
    smtp: SmtpSettings,
    *,
    me: Identity,
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
    if not parts.store.is_shared:
        parts.store.recover(issue.id, parts.on_unknown)
    row, before = parts.store.readdress(
        issue.id, delivery, link=link_of(parts, issue.digest, issue.envelope)(delivery.key), force=force
    )
    know_links(issue, parts.store)
    if parts.store.is_shared:
        return await share_one(parts, issue, row, smtp, me=me, on_progress=on_progress, stop=stop), before
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
    """Deliver an issue here and now, or leave it to all who send from this database, of whom the caller may be one."""
    if parts.store.is_shared:
        return hand_out(parts, issue)
    return await alone(parts, issue, smtp, watch, stop)

"""`send`: one digest's next issue, the whole way, under the project's lock."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from newsletter import dispatch, pipeline
from newsletter.app.drafts import refuse_while_open
from newsletter.app.letters import nobody_to_mail
from newsletter.app.project import App
from newsletter.config import canary_given
from newsletter.delivery.deliver import Progress
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import NewsletterError, UsageError
from newsletter.model import DeliveryState, Draft, FeedNews, FetchProgress, FetchResult, Issue, SendReport
from newsletter.stages import Parts, Sent, Watch


class Watcher:
    """Watches a send without a word, and agrees to it; a base for those who have something to say."""

    def fetching(self, progress: FetchProgress) -> None:
        """A feed is being asked, or has answered."""

    def fetched(self, result: FetchResult) -> None:
        """One feed has been polled, and what it held is recorded."""

    def heard(self, items: Sequence[FeedNews]) -> None:
        """All feeds have been polled; what has changed about them since the last send."""

    def finishing(self, issue: Issue) -> None:
        """An issue that an earlier run left unfinished is taken up again."""

    def illustrated(self, draft: Draft) -> None:
        """The letter has its pictures; `Draft.missing_pictures` names those it could not get."""

    def agrees(self, draft: Draft, recipients: int) -> bool:  # noqa: ARG002 - for those who look
        """Whether this draft may become an issue and go to that many people."""
        return True

    def frozen(self, issue: Issue) -> None:
        """The issue is durable; delivery begins."""

    def delivered(self, progress: Progress) -> None:
        """Another message is settled."""

    def watching(self, until: datetime, first: int) -> None:
        """So many have got the issue before the others; what servers say of it is watched until then."""


def closed_until(app: App, digest: str | None) -> datetime | None:
    """When the hours of a digest open; None where they are open now, or each person has their own.

    Args:
        app: the project.
        digest: its name, or None for the only one.

    Raises:
        UsageError: there is no such digest, or several to choose from.
    """
    hours, now = app.config.digest(digest).hours, app.clock.now()
    return None if hours is None or hours.by_person or hours.are_open(now) else hours.opening(now)


async def send(
    app: App,
    digest: str | None,
    *,
    watch: Watch,
    stop: asyncio.Event,
    note: str | None = None,
    canary: str | None = None,
    at_any_hour: bool = False,
    enqueue: bool = False,
) -> Sent:
    """Finish what is unfinished, then fetch, freeze and deliver a digest.

    Where several machines may send, the lock ends with the freeze, and we deliver our share.

    Args:
        app: the project.
        digest: its name, or None for the only one.
        watch: sees it happen, and may say no.
        stop: once set, what is in flight is finished and the rest waits.
        note: the editor's, instead of the file that the project names (`App.publication`).
        canary: how many get it first ("1%", "50", "off"), instead of what the digest says.
        at_any_hour: also outside of the digest's send window, and in quiet hours.
        enqueue: leave all of it to the workers.

    Raises:
        BusyError: another send is at work on this project.
        ConfigError: the project or its people have mistakes; nobody has been mailed.
        NewsletterError: there is nobody to mail, or it is outside of the digest's hours; no entry is used up.
        UsageError: a draft of it waits for its editor, or for its slot; or there can be no workers.
    """
    if enqueue:
        require_shared(app)
    publication = app.publication(digest, note=note)
    if canary is not None:
        publication = replace(publication, canary=canary_given(canary, publication.canary))
    name = publication.rules.name
    if not at_any_hour and (opens_at := closed_until(app, name)) is not None:
        zone = app.config.digest(name).timezone
        raise NewsletterError(
            f"{name} is not mailed at this hour: its hours begin {opens_at.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M} ({zone})",
            hint="--now sends it all the same",
        )
    parts = app.parts()
    if at_any_hour:
        parts = replace(parts, hours={**parts.hours, name: None})
    smtp = app.smtp_for_issues()
    with app.sending():
        refuse_while_open(app, publication.rules.name)
        slot = app.slot(app.clock.now(), app.config.digest(digest))
        sent = await pipeline.send(parts, publication, smtp, slot=slot, watch=watch, stop=stop)
    if sent.recipients == 0:
        raise nobody_to_mail(app, name)
    return sent if enqueue else await share(app, sent, parts, smtp, watch=watch, stop=stop)


def require_shared(app: App) -> None:
    """Raise UsageError where the project cannot have workers."""
    if not app.store.is_shared:
        raise UsageError(
            "several machines need a database that they share, and `store` is a file",
            hint="newsletter db copy --to postgresql://… takes the project there",
        )


async def share(app: App, sent: Sent, parts: Parts, smtp: SmtpSettings, *, watch: Watch, stop: asyncio.Event) -> Sent:
    """Deliver our share of what a send has handed out; the caller has let go of the project's lock."""
    reports = await share_reports(
        app, [*sent.finished, *([sent.report] if sent.report else [])], parts, lambda: smtp, watch=watch, stop=stop
    )
    if sent.report is None:
        return replace(sent, finished=tuple(reports))
    return replace(sent, finished=tuple(reports[:-1]), report=reports[-1])


async def share_reports(
    app: App,
    reports: Sequence[SendReport],
    parts: Parts,
    smtp: Callable[[], SmtpSettings],
    *,
    watch: Watch,
    stop: asyncio.Event,
) -> list[SendReport]:
    """The reports of issues, those that were handed out with what has come of our share of them."""
    issues = [report.issue for report in reports if report.is_handed_out]
    if not issues:
        return list(reports)
    shared = await dispatch.share(parts, issues, smtp(), me=app.identity(), watch=watch, stop=stop)
    done = {report.issue.id: report for report in shared}
    return [done.get(report.issue.id, report) for report in reports]


def to_try_again(app: App) -> list[tuple[Issue, int, datetime]]:
    """Issues of which servers have asked us to try messages later: how many, and when the first of them may go."""
    found = []
    for issue in app.store.unfinished():
        waiting, when = app.store.counts(issue.id).get(DeliveryState.deferred, 0), app.store.next_attempt(issue.id)
        if waiting and when is not None:
            found.append((issue, waiting, when))
    return found

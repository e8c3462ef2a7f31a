"""`send`: one digest's next issue, the whole way, under the project's lock."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from newsletter import pipeline
from newsletter.app.drafts import refuse_while_open
from newsletter.app.letters import nobody_to_mail
from newsletter.app.project import App
from newsletter.config import canary_given
from newsletter.delivery.deliver import Progress
from newsletter.model import Draft, FeedNews, FetchProgress, FetchResult, Issue
from newsletter.stages import Sent, Watch


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


async def send(
    app: App,
    digest: str | None,
    *,
    watch: Watch,
    stop: asyncio.Event,
    note: str | None = None,
    canary: str | None = None,
) -> Sent:
    """Finish what is unfinished, then fetch, freeze and deliver a digest.

    Args:
        app: the project.
        digest: its name, or None for the only one.
        watch: sees it happen, and may say no.
        stop: once set, what is in flight is finished and the rest waits.
        note: the editor's, instead of the file that the project names (`App.publication`).
        canary: how many get it first ("1%", "50", "off"), instead of what the digest says.

    Raises:
        BusyError: another send is at work on this project.
        ConfigError: the project or its people have mistakes; nobody has been mailed.
        NewsletterError: there is nobody to mail; no entry is used up.
        UsageError: a draft of it waits for its editor, or for its slot.
    """
    publication = app.publication(digest, note=note)
    if canary is not None:
        publication = replace(publication, canary=canary_given(canary, publication.canary))
    smtp = app.smtp_for_issues()
    with app.sending():
        refuse_while_open(app, publication.rules.name)
        slot = app.slot(app.clock.now(), app.config.digest(digest))
        sent = await pipeline.send(app.parts(), publication, smtp, slot=slot, watch=watch, stop=stop)
    if sent.recipients == 0:
        raise nobody_to_mail(app, publication.rules.name)
    return sent

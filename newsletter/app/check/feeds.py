"""The feeds, asked and read without recording anything."""

from datetime import timedelta

from newsletter.app.check.finding import Finding
from newsletter.app.project import App
from newsletter.errors import NewsletterError
from newsletter.feeds.fetch import fetch_all
from newsletter.feeds.wire import Job
from newsletter.feeds.workers import workers
from newsletter.issues.check import Level
from newsletter.model import Fetched, NotModified, Spared


async def feeds(app: App) -> tuple[list[Finding], list[timedelta]]:
    """Ask every feed; what was found, and how much later than here it is by each server's clock."""
    findings: list[Finding] = []
    ahead: list[timedelta] = []
    for outcome in await fetch_all(app.config.feeds, {}, limits=app.limits, clock=app.clock, secrets=app.secrets):
        url = outcome.feed.url
        if isinstance(outcome, Fetched):
            if outcome.ahead is not None:
                ahead.append(outcome.ahead)
            try:
                job = Job(body=outcome.body, url=outcome.final_url, content_type=outcome.content_type, known={})
                document = await workers().read(job)
            except NewsletterError as error:
                findings.append(Finding(level=Level.error, what="feed", text=f"{url}: {error}", hint=error.hint))
                continue
            findings.append(Finding(level=Level.ok, what="feed", text=f"{url}: {len(document.entries)} entries"))
        elif isinstance(outcome, Spared):
            findings.append(Finding(level=Level.warning, what="feed", text=f"{url}: not asked: {outcome.why}"))
        elif not isinstance(outcome, NotModified):
            findings.append(Finding(level=Level.error, what="feed", text=f"{url}: {outcome.reason}", hint=outcome.hint))
    return findings, ahead

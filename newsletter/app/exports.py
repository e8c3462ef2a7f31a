"""A frozen issue as files, in the forms people ask for."""

import json
from collections.abc import Callable

from newsletter.app.past import addressed
from newsletter.app.project import App
from newsletter.app.status import find_issue, issue_row
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.related import picture_parts
from newsletter.errors import UsageError
from newsletter.issues.archive import Source, archive_files
from newsletter.issues.illustrate import standalone
from newsletter.model import Disposition, Format, Issue, Rendering, StoredEntry, Subscriber

FORMATS = ("markdown", "archive", "html", "text", "eml", "json")
SUFFIX = {"markdown": "md", "html": "html", "text": "txt", "eml": "eml", "json": "json"}


def export_issue(app: App, number: int, digest: str | None, form: str) -> dict[str, str | bytes]:
    """Give an issue in one form: file names and what is in them.

    What is personal is left empty: an export is for a shelf, not for a reader.
    Pictures that travelled inside the messages stand in the HTML itself.

    Raises:
        UsageError: no such issue or form.
        ConfigError: the message is wanted, and a DKIM key cannot be used.
    """
    issue = find_issue(app, number, digest)
    if form not in FORMATS:
        raise UsageError(f"there is no form {form}", hint=f"one of {', '.join(FORMATS)}")
    if form == "archive":
        return dict(_archive(app, issue))
    name = f"{issue.digest}-{issue.number}.{SUFFIX[form]}"
    if form == "json":
        return {name: _json(app, issue)}
    return {name: in_form(app, issue, app.store.rendering(issue.id, issue.envelope.language), form)}


def in_form(app: App, issue: Issue, rendering: Rendering, form: str, *, signed: bool = True) -> str | bytes:
    """A rendering of an issue as a file: `markdown`, `html`, `text` or `eml`, which may do without a DKIM signature.

    Raises:
        ConfigError: the message is wanted, and a DKIM key cannot be used.
    """
    pictures = app.store.pictures(issue.id)
    skeleton = Skeleton.build(
        issue,
        rendering,
        Format.html,
        secret=app.store.secret(issue.envelope.links_secret),
        pictures=picture_parts(pictures),
        signers=app.signers() if signed and form == "eml" else (),
    )
    nobody = addressed(issue, rendering, _nobody())
    if form == "eml":
        return skeleton.message(nobody)
    if form == "html":
        return standalone(skeleton.html(nobody), pictures)
    return skeleton.markdown(nobody) if form == "markdown" else skeleton.text(nobody)


def _nobody() -> Subscriber:
    """No one, at an address that nobody can have (RFC 2606)."""
    return Subscriber(email="reader@example.com", wire_email="reader@example.com", key="reader@example.com")


def _archive(app: App, issue: Issue) -> dict[str, str]:
    source_of = sources(app)
    by_feed: dict[str, list[StoredEntry]] = {}
    for stored, consumed in app.store.issue_entries(issue.id):
        if consumed.disposition is not Disposition.excluded:
            by_feed.setdefault(stored.feed_url, []).append(stored)
    templates = app.templates(app.config.digest(issue.digest))
    files: dict[str, str] = {}
    for url, entries in by_feed.items():
        source = source_of(url)
        files |= archive_files(source.title, url, source.language, entries, templates=templates)
    return files


def sources(app: App) -> Callable[[str], Source]:
    """What is known of feeds, by address; the project's own words for one win over the feed's."""
    health = {h.url: h for h in app.memory.feed_health(None)}
    configured = {feed.url: feed for feed in app.config.feeds}

    def source(url: str) -> Source:
        feed, known = configured.get(url), health.get(url)
        return Source(
            title=(feed and feed.title) or (known and known.title) or "",
            language=(feed and feed.language) or (known and known.language) or "",
        )

    return source


def _json(app: App, issue: Issue) -> str:
    entries = [
        {
            "title": stored.entry.title,
            "url": stored.entry.url,
            "feed": stored.feed_url,
            "author": stored.entry.author,
            "date_published": stored.entry.published_at and stored.entry.published_at.isoformat(),
            "as": consumed.disposition.value,
        }
        for stored, consumed in app.store.issue_entries(issue.id)
    ]
    row = issue_row(app, issue)
    document = {
        "digest": issue.digest,
        "number": issue.number,
        "subject": issue.subject,
        "frozen_at": issue.frozen_at.isoformat(),
        "messages": dict(row.counts),
        "entries": entries,
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"

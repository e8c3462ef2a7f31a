"""`rehearse`: the next issue's whole dispatch on a scratch copy, to a server on this machine that has faults."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from newsletter import pipeline
from newsletter.app.letters import nobody_to_mail
from newsletter.app.project import App
from newsletter.delivery.canary import canary_for
from newsletter.delivery.limits import Rate
from newsletter.delivery.rehearsal.faults import Faults
from newsletter.delivery.rehearsal.rehearse import Stage, Verdict
from newsletter.delivery.rehearsal.rehearse import rehearse as run
from newsletter.demo.feeds import SAMPLES
from newsletter.errors import NewsletterError
from newsletter.model import Draft, Feed, Format, Issue, Subscriber
from newsletter.stages import Publication
from newsletter.store import Store

#: Invented people live at so many domains, nine of ten of them want HTML.
_DOMAINS = 20
_TEXT_EVERY = 10
_CONNECTIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """A rehearsal: what was sent, to whom, with which faults, and what came of it.

    `is_sample` says that nothing is new, so that the bundled samples were sent.
    """

    digest: str
    subject: str
    entries: int
    is_sample: bool
    is_invented: bool
    faults: str
    seed: int
    verdict: Verdict


async def rehearse(
    app: App,
    digest: str | None,
    *,
    inject: str = "",
    recipients: int | None = None,
    seed: int | None = None,
    fetch_first: bool = True,
    server_time: float = 0.05,
    on_frozen: Callable[[Issue, int], None] = lambda _, __: None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Rehearsed:
    """Rehearse a digest's next issue; mails nobody and changes nothing of the project.

    Args:
        app: the project.
        digest: its name, or None for the only one.
        inject: the faults, as `Faults.parse` reads them.
        recipients: so many invented people instead of the list.
        seed: repeats what befell whom; None draws one.
        fetch_first: poll the feeds.
        server_time: seconds that the real server is taken to need for a message.
        on_frozen: told the issue and how many will get it.
        on_progress: told how many messages have been taken.

    Raises:
        UsageError: a fault is not known, or there is no such digest.
        BusyError: a send is at work on this project, and both would be slowed down.
        ConfigError: the project or its people have mistakes.
        NewsletterError: there is nobody to mail, or the dispatch itself failed.
    """
    faults = Faults.parse(inject)
    seed = int(app.ids.token()[:8], 16) if seed is None else seed
    publication = app.publication(digest)
    people = _People(app, publication.rules.name, recipients)
    expected = people.count()
    if Store.exists(app.config.store):
        with app.store.lock():
            pass
    with app.scratch() as scratch, tempfile.TemporaryDirectory(prefix="newsletter-rehearsal-") as name:
        folder = Path(name)
        publication, draft, is_sample = await _draft(app, publication, scratch, fetch_first=fetch_first)
        database = folder / "newsletter.db"
        scratch.save(database)
        with Store.open(str(database), clock=app.clock, ids=app.ids) as store:
            parts = app.parts(store, people=lambda _: people)
            canary = canary_for(publication.canary, expected)
            issue = pipeline.freeze(parts, publication, draft, slot="rehearsal", canary=canary)
            on_frozen(issue, expected)
            verdict = await run(
                folder,
                store,
                issue,
                _stage(app, server_time),
                recipients=expected,
                faults=faults,
                seed=seed,
                clock=app.clock,
                on_progress=on_progress,
            )
    return Rehearsed(
        digest=issue.digest,
        subject=issue.subject,
        entries=draft.total,
        is_sample=is_sample,
        is_invented=recipients is not None,
        faults=str(faults),
        seed=seed,
        verdict=verdict,
    )


def _stage(app: App, server_time: float) -> Stage:
    """The project's limits; the usual ones where it names no server yet."""
    smtp = app.config.smtp
    return Stage(
        connections=smtp.connections if smtp else _CONNECTIONS,
        window=smtp.window if smtp else 1,
        per_connection=smtp.per_connection if smtp else None,
        rates=tuple(map(Rate.parse, smtp.rates)) if smtp else (),
        on_unknown=app.config.on_unknown,
        server_time=server_time,
    )


async def _draft(
    app: App, publication: Publication, scratch: Store, *, fetch_first: bool
) -> tuple[Publication, Draft, bool]:
    """What the next issue would be; where nothing is new, one of the bundled samples."""
    parts = app.parts(scratch)
    if fetch_first:
        await pipeline.fetch(parts, publication.feeds)
    draft = pipeline.build(parts, publication)
    is_sample = draft.total == 0
    if is_sample:
        folder = files("newsletter.demo") / "samples"
        publication = replace(publication, feeds=tuple(Feed(url=str(folder / sample.name)) for sample in SAMPLES))
        digests_of = {feed.url: (publication.rules.name,) for feed in publication.feeds}
        await pipeline.fetch(replace(parts, digests_of=digests_of), publication.feeds)
        draft = pipeline.build(parts, publication)
    return publication, await pipeline.illustrate(parts, publication, draft), is_sample


class _People:
    """Who gets it: the list as it is, or invented people; to be gone through as often as one likes."""

    def __init__(self, app: App, digest: str, invented: int | None) -> None:
        self._app = app
        self._digest = digest
        self._invented = invented

    def __iter__(self) -> Iterator[Subscriber]:
        if self._invented is None:
            return self._app.people(self._digest)
        return (_invented(number) for number in range(1, self._invented + 1))

    def count(self) -> int:
        """How many they are.

        Raises:
            NewsletterError: nobody.
            ConfigError: the file has mistakes.
        """
        if self._invented is not None:
            return self._invented
        number = self._app.recipients(self._digest)
        if not number:
            error = nobody_to_mail(self._app, self._digest)
            raise NewsletterError(
                error.message, hint=f"{error.hint}; or newsletter rehearse --recipients 1000, which invents them"
            )
        return number


def _invented(number: int) -> Subscriber:
    """Somebody at a domain that nobody can have (RFC 2606)."""
    email = f"reader{number:07}@mail{number % _DOMAINS:02}.example"
    wanted = Format.text if number % _TEXT_EVERY == 0 else Format.html
    return Subscriber(email=email, wire_email=email, key=email, name=f"Reader {number:,}", format=wanted)

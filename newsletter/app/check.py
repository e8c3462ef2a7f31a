"""`check`: whether the project is in order, down to the bytes of the message it would send."""

import asyncio
import http
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from newsletter.app.bounces import mailbox
from newsletter.app.letters import Copy, Letter, invented_reader, letter, nobody_to_mail, sample_letter
from newsletter.app.project import App
from newsletter.app.signing import key_notes
from newsletter.config import DigestConfig
from newsletter.delivery.smtp import SmtpTransport
from newsletter.errors import NewsletterError, StoreError
from newsletter.feeds.fetch import fetch_all
from newsletter.feeds.wire import Job
from newsletter.feeds.workers import workers
from newsletter.issues.check import Level, judge
from newsletter.issues.filters import SLOW_HINT, slow_words
from newsletter.issues.words import languages, spoken, words_in
from newsletter.model import Fetched, Format, Home, NotModified, Spared
from newsletter.store import Store
from newsletter.text import one_line

__all__ = ["Finding", "Level", "check"]

#: What the public pages say when they are asked how they are.
_WELL = b"ok\n"
_PAGES_PATIENCE = 15.0
#: How many languages one line names beside the first.
_NAMED = 7
_CATALOG = "to add one, copy newsletter/issues/catalogs/en.po to {}.po, translate it, and send it to us: CONTRIBUTING.md, A language"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at, and what to do about it.

    `rule`, `where`, `why` and `line` (of the HTML part) are those of the letter's
    own findings; all others leave them empty.
    """

    level: Level
    what: str
    text: str
    hint: str | None = None
    rule: str = ""
    where: str = ""
    why: str = ""
    line: int | None = None


def check(app: App, *, online: bool) -> list[Finding]:
    """Look at everything; a broken config is raised, all else is a finding.

    Args:
        app: the project.
        online: also fetch every feed and the pictures that letters bring along, and log in to the
            mail server and to the mailbox for reports; records nothing.
    """
    findings = [_config(app), *_language(app), *_people(app), *_store(app), *_mail(app)]
    findings.extend(_mailbox(app, online=online))
    for digest in app.config.digests:
        findings.extend(_digest(app, digest, online=online))
    if online:
        findings.extend(asyncio.run(_online(app)))
    # What two digests share is said once.
    return list(dict.fromkeys(findings))


def _config(app: App) -> Finding:
    feeds, digests = len(app.config.feeds), len(app.config.digests)
    words = f"{feeds} {'feed' if feeds == 1 else 'feeds'}, {digests} {'digest' if digests == 1 else 'digests'}"
    if not feeds:
        return Finding(level=Level.warning, what="config", text="no feeds", hint="newsletter feed add https://…")
    return Finding(level=Level.ok, what="config", text=words)


def _language(app: App) -> Iterator[Finding]:
    language = app.config.language
    if spoken(language) is None:
        yield Finding(
            level=Level.warning,
            what="config",
            text=f"language {language}: there are no words in it, so the letter's own words and dates are in English",
            hint=_catalog_hint(language),
        )


def _catalog_hint(language: str) -> str:
    return f"there are {', '.join(languages())}; {_CATALOG.format(language.partition('-')[0])}"


def _people(app: App) -> Iterator[Finding]:
    asked: Counter[str | None] = Counter()
    try:
        for subscriber in app.roster.people():
            asked[subscriber.language] += 1
    except NewsletterError as error:
        for line in str(error).splitlines():
            yield Finding(level=Level.error, what="people", text=line, hint=error.hint)
        return
    yield Finding(level=Level.ok, what="people", text=f"{asked.total()} in {app.roster.shown}")
    yield from _elsewhere(app)
    yield from _unspoken(app, asked)
    for digest in app.config.digests:
        if not app.recipients(digest.name):
            reason = nobody_to_mail(app, digest.name)
            yield Finding(level=Level.warning, what="people", text=str(reason), hint=reason.hint)


def _elsewhere(app: App) -> Iterator[Finding]:
    """People who stand where nobody looks."""
    try:
        home = app.memory.people_home()
    except StoreError:
        return  # said of the store
    if home is None or home.home is not Home.database:
        return
    if app.config.subscribers is None:
        if home.file and (app.config.folder / home.file).exists():
            text = f"{home.file} is there and is not read: the people are in the database"
            yield Finding(level=Level.warning, what="people", text=text, hint="rename it, or import it")
    elif not home.is_exact and (number := app.memory.count_people()):
        text = f"the database has a list of its own, {number:,} in all, which newsletter.yaml does not name"
        yield Finding(level=Level.warning, what="people", text=text, hint="write `subscribers: database` to use it")


def _unspoken(app: App, asked: Counter[str | None]) -> Iterator[Finding]:
    """Which languages people asked for in vain, in one line, the most wanted first."""
    vain = [(tag, number) for tag, number in asked.most_common() if tag is not None and spoken(tag) is None]
    if not vain:
        return
    (first, number), *others = vain
    words = [f"{number} {'person' if number == 1 else 'people'} asked for {first}"]
    words += [f"{number} for {tag}" for tag, number in others[:_NAMED]]
    if others[_NAMED:]:
        words.append(f"{sum(number for _, number in others[_NAMED:])} for other languages")
    yield Finding(
        level=Level.warning,
        what="people",
        text=f"{', '.join(words)}: there are no words in {'them' if others else 'it'}, so they get the letter in "
        f"{words_in(app.config.language).language}",
        hint=_catalog_hint(first),
    )


def _store(app: App) -> Iterator[Finding]:
    if not Store.exists(app.config.store):
        yield Finding(level=Level.ok, what="store", text="not there yet; the first fetch or send makes it")
        return
    try:
        app.store.check()
    except NewsletterError as error:
        yield Finding(level=Level.error, what="store", text=str(error), hint=error.hint)
        return
    yield Finding(level=Level.ok, what="store", text="whole and up to date")


def _mail(app: App) -> Iterator[Finding]:
    if app.config.smtp is None:
        yield Finding(
            level=Level.warning,
            what="mail",
            text="no server, so nothing can be sent",
            hint="add `smtp: {host: mail.example.com}` to newsletter.yaml, with your server's name",
        )
    else:
        try:
            app.smtp()
        except NewsletterError as error:
            yield Finding(level=Level.error, what="mail", text=str(error), hint=error.hint)
        else:
            yield Finding(level=Level.ok, what="mail", text=f"through {app.config.smtp.host}:{app.config.smtp.port}")
        yield from _signing(app)
    base_url = app.config.base_url
    if base_url and not base_url.startswith("https://"):
        yield Finding(
            level=Level.warning,
            what="pages",
            text=f"{base_url} is not https: there is no one-click unsubscribe, and only this machine can follow the links",
            hint="put the pages behind a server that speaks TLS: docs/serve.md",
        )


def _mailbox(app: App, *, online: bool) -> Iterator[Finding]:
    """Look into the mailbox for reports, where the project has one; one on a server only online."""
    bounces = app.config.bounces
    if bounces.maildir is None and bounces.imap is None:
        if bounces.address is not None:
            yield Finding(
                level=Level.warning,
                what="bounces",
                text=f"reports go to {bounces.address.email}, and nothing here reads them",
                hint="name the mailbox, as maildir or imap under bounces",
            )
        return
    if bounces.maildir is None and not online:
        return
    try:
        with mailbox(app, None, None, read_only=True) as box:
            count = len(box.names())
    except NewsletterError as error:
        yield Finding(level=Level.error, what="bounces", text=str(error), hint=error.hint)
        return
    yield Finding(level=Level.ok, what="bounces", text=f"{count:,} messages in {box.name}")


def _signing(app: App) -> Iterator[Finding]:
    try:
        notes = list(key_notes(app.config))
    except NewsletterError as error:
        yield Finding(level=Level.error, what="mail", text=str(error), hint=error.hint)
        return
    for note in notes:
        yield Finding(level=Level.warning if note.hint else Level.ok, what="mail", text=note.text, hint=note.hint)


def _digest(app: App, digest: DigestConfig, *, online: bool) -> Iterator[Finding]:
    """Build the message of the next issue, from what waits or from samples, and judge its bytes."""
    name = digest.name
    try:
        reader = next(app.people(name), invented_reader())
        # Who takes plain text only would not show what the others get.
        reader = replace(reader, format=Format.html)
        found = asyncio.run(letter(app, name, reader, fetch_first=False, with_pictures=online))
        slow_rules = found.draft.slow_rules
        source = f"{found.draft.total} waiting entries"
        if not found.message:
            found = asyncio.run(sample_letter(app, name, reader))
            source = "the bundled samples"
    except NewsletterError as error:
        yield Finding(level=Level.error, what=name, text=str(error), hint=error.hint)
        return
    yield Finding(level=Level.ok, what=name, text=f"a message of {len(found.message):,} bytes from {source}")
    if digest.pictures == "cid" and not online:
        yield Finding(level=Level.ok, what=name, text="without its pictures, which `newsletter check --online` gets")
    for slow in slow_rules:
        yield Finding(level=Level.warning, what="feed", text=slow_words(slow), hint=SLOW_HINT)
    yield from findings_of(found, name)


def findings_of(found: Copy, digest: str) -> Iterator[Finding]:
    """Judge a built message: its bytes, and what is known of how it came to be."""
    if isinstance(found, Letter):
        for missing in found.draft.missing_pictures:
            yield Finding(level=Level.warning, what=digest, text=str(missing))
    if isinstance(found, Letter) and found.size is not None:
        yield Finding(level=Level.ok if found.size.fits else Level.warning, what=digest, text=found.size.words)
    for fault in judge(found.message):
        yield Finding(
            level=fault.level,
            what=digest,
            text=fault.what,
            hint=fault.fix or None,
            rule=fault.rule,
            where=fault.where,
            why=fault.why,
            line=fault.line,
        )
    if isinstance(found, Letter) and found.is_personal:
        yield Finding(
            level=Level.warning,
            what=digest,
            text="a template decides on the subscriber, so it is rendered once for every different answer",
            hint="fine for a few kinds of readers; slow where all differ",
        )


async def _online(app: App) -> list[Finding]:
    findings = []
    for outcome in await fetch_all(app.config.feeds, {}, limits=app.limits, clock=app.clock, secrets=app.secrets):
        url = outcome.feed.url
        if isinstance(outcome, Fetched):
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
    if app.config.base_url:
        findings.append(await _pages(app.config.base_url, app.limits.user_agent))
    if app.config.smtp is not None:
        try:
            connection = await SmtpTransport(app.smtp()).open()
            await connection.close()
        except NewsletterError as error:
            findings.append(Finding(level=Level.error, what="mail", text=str(error), hint=error.hint))
        else:
            findings.append(Finding(level=Level.ok, what="mail", text="connected, secured and logged in"))
    return findings


async def _pages(base_url: str, user_agent: str) -> Finding:
    """Whether somebody serves the public pages that every message will link to."""
    import aiohttp

    wrong = ""
    try:
        timeout = aiohttp.ClientTimeout(total=_PAGES_PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": user_agent}, trust_env=False) as session,
            session.get(f"{base_url}/healthz", allow_redirects=False) as answer,
        ):
            text = await answer.content.read(len(_WELL) + 1)
            if answer.status != http.HTTPStatus.OK or text != _WELL:
                wrong = f"something else than newsletter serve answers there ({answer.status})"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        wrong = f"nobody answers there: {one_line(str(error) or type(error).__name__, 200)}"
    if wrong:
        return Finding(
            level=Level.warning,
            what="pages",
            text=f"{base_url} is where unsubscribe links lead, and {wrong}",
            hint="run newsletter serve behind it (docs/serve.md), or leave base_url out to unsubscribe by mail",
        )
    return Finding(level=Level.ok, what="pages", text=f"served at {base_url}")

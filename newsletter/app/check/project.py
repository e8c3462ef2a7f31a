"""The project's own words: the config, its language, the people."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from newsletter.app.check.finding import Finding
from newsletter.app.letters import nobody_to_mail
from newsletter.app.project import App
from newsletter.errors import NewsletterError, StoreError
from newsletter.issues.check import Level
from newsletter.issues.words import languages, spoken, words_in
from newsletter.model import Home

#: How many languages one line names beside the first.
_NAMED: Final = 7
_CATALOG: Final = (
    "to add one, copy newsletter/issues/catalogs/en.po to {}.po, translate it, and send it to us: "
    "CONTRIBUTING.md, A language"
)


def config(app: App) -> Iterator[Finding]:
    """What the project publishes, and in which language."""
    feeds, digests = len(app.config.feeds), len(app.config.digests)
    words = f"{feeds} {'feed' if feeds == 1 else 'feeds'}, {digests} {'digest' if digests == 1 else 'digests'}"
    if not feeds:
        yield Finding(level=Level.warning, what="config", text="no feeds", hint="newsletter feed add https://…")
    else:
        yield Finding(level=Level.ok, what="config", text=words)
    yield from _language(app)


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


def people(app: App) -> Iterator[Finding]:
    """Who is on the list, and whether they can be written to."""
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

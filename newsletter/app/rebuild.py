"""Past issues made again from their entries, and held against what was frozen."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from newsletter import __version__, rebuilding
from newsletter.app.exports import SUFFIX, in_form
from newsletter.app.project import App
from newsletter.app.status import find_issue
from newsletter.asjson import as_json
from newsletter.errors import NewsletterError, UsageError
from newsletter.issues.filters import Filters
from newsletter.issues.recipe import Ingredients, differences, from_plain, plain
from newsletter.issues.render import Renderings, Templates
from newsletter.issues.sidebyside import differing
from newsletter.model import Consumed, Draft, Head, Issue, Recipe, Rendering

#: Says the same as `version`.
_TWICE: Final = "masthead.generator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A setting that an issue would be made with now and was not then: its place, and both values."""

    what: str
    then: Any
    now: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One rendering beside what was frozen; `differs` names its parts that are not the same bytes."""

    key: str
    language: str
    differs: tuple[str, ...]
    frozen: Rendering
    rebuilt: Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A past issue made again.

    `entries` are differences in what was selected, in words.  `personal` is how
    many more renderings were made for readers of whom a template asked
    something: what they were at that time is not kept, so those are not compared.
    `kept` says whether what the issue was made from was kept; else it was made
    with the settings and templates of now.  `changes` are those between then and now.
    """

    issue: Issue
    kept: bool
    with_now: bool
    renderings: tuple[Compared, ...]
    entries: tuple[str, ...]
    personal: int
    changes: tuple[Changed, ...]

    @property
    def is_same(self) -> bool:
        """Whether everything that was made again is what was frozen, byte for byte."""
        return not self.entries and not any(one.differs for one in self.renderings)


def issue_at(app: App, number: int | None, digest: str | None, moment: datetime | None) -> Issue:
    """The issue of that number, or the last one that was frozen by then.

    Raises:
        UsageError: there is none, or neither is said, or both.
    """
    if (number is None) == (moment is None):
        raise UsageError(
            "say which issue: its number, or --as-of a time",
            hint="newsletter issue list shows them; for the next issue as of another time: newsletter preview --as-of",
        )
    if number is not None:
        return find_issue(app, number, digest)
    assert moment is not None
    name = app.config.digest(digest).name
    found = [issue for issue in app.store.issues(name) if issue.frozen_at <= moment]
    if not found:
        raise UsageError(f"{name} had no issue at that time", hint="newsletter issue list")
    return found[0]


def rebuild(app: App, issue: Issue, *, with_now: bool = False) -> Rebuilt:
    """Make an issue again, and compare.

    Args:
        app: the project.
        issue: one of its.
        with_now: with the settings and templates of now, rather than those it was made with.

    Raises:
        UsageError: the project no longer has its digest, and how it was made was not kept.
        TemplateError: a template cannot be rendered.
    """
    recipe = app.store.recipe(issue.id)
    then = None if recipe is None else from_plain(recipe.made)
    now = _of_now(app, issue, then)
    if recipe is None or with_now:
        if now is None:
            raise UsageError(
                f"the project has no digest {issue.digest} any more"
                + ("" if recipe else ", and how this issue was made was not kept"),
                hint="newsletter issue export writes what was frozen",
            )
        made, templates = now
    else:
        assert then is not None
        made, templates = then, Templates.kept(recipe.templates)
    draft, renderings = rebuilding.rebuild(app.store, issue, made, templates, filters=Filters(app.clock.monotonic))
    compared, personal = compare(app, issue, renderings)
    return Rebuilt(
        issue=issue,
        kept=recipe is not None,
        with_now=with_now or recipe is None,
        renderings=compared,
        entries=tuple(_selected(app, issue, draft)),
        personal=personal,
        changes=() if recipe is None or now is None else tuple(_changes(recipe, *now)),
    )


def write_rebuilt(app: App, done: Rebuilt, folder: Path) -> list[Path]:
    """Write what was made again, each rendering in every form that `issue export` has of it; returns the files.

    Raises:
        NewsletterError: the folder cannot be written.
        ConfigError: a DKIM key cannot be used.
    """
    written = []
    for one in done.renderings:
        for form in ("html", "text", "markdown", "eml"):
            content = in_form(app, done.issue, one.rebuilt, form)
            path = folder / f"{done.issue.digest}-{done.issue.number}.{one.key}.{SUFFIX[form]}"
            put(path, content)
            written.append(path)
    return written


def put(path: Path, content: str | bytes) -> None:
    """Write a file and the folders it stands in.

    Raises:
        NewsletterError: that cannot be done.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    except OSError as error:
        raise NewsletterError(f"cannot write {path}: {error.strerror or error}") from error


def compare(app: App, issue: Issue, renderings: Renderings) -> tuple[tuple[Compared, ...], int]:
    """Hold renderings against the frozen ones; also how many of these were made for particular readers."""
    frozen = app.store.renderings(issue.id)
    found = []
    for one in frozen:
        if ":" in one.key:
            continue
        again = renderings.for_nobody(one.key)
        found.append(
            Compared(key=one.key, language=one.language, differs=differing(one, again), frozen=one, rebuilt=again)
        )
    return tuple(found), len(frozen) - len(found)


def ingredients_of(app: App, issue: Issue) -> tuple[Ingredients | None, Ingredients | None]:
    """What an issue was made from, and would be made from now; None for what is not known, or is no more."""
    recipe = app.store.recipe(issue.id)
    then = None if recipe is None else from_plain(recipe.made)
    now = _of_now(app, issue, then)
    return then, None if now is None else now[0]


def _of_now(app: App, issue: Issue, then: Ingredients | None) -> tuple[Ingredients, Templates] | None:
    """What the issue would be made from now; None where the project no longer has its digest."""
    if issue.digest not in app.config.digest_names:
        return None
    publication = app.publication(issue.digest, note="")
    used = {stored.feed_url for stored, _ in app.store.issue_entries(issue.id)}
    used |= {stored.feed_url for stored in app.store.mentioned(issue.id)}
    heads = {
        one.url: Head(title=one.title, home_url=one.home_url, language=one.language)
        for one in app.store.feed_health(sorted(used))
    }
    made = Ingredients(
        version=__version__,
        theme=publication.templates.theme,
        rules=publication.rules,
        feeds=tuple(feed for feed in publication.feeds if feed.url in used),
        masthead=publication.masthead,
        heads=heads,
    )
    if then is not None:
        # What the editor did to it, and what came with it, is the issue's own whatever the settings are.
        made = replace(
            made, hidden=then.hidden, order=then.order, edits=then.edits, date=then.date, pictures=then.pictures
        )
    return made, publication.templates


def _selected(app: App, issue: Issue, draft: Draft) -> Iterator[str]:
    """Where the selection is another one than the issue's."""
    then = {used.entry_id: (used, stored) for stored, used in app.store.issue_entries(issue.id)}
    for used in draft.consumed:
        before, stored = then[used.entry_id]
        if before != used:
            title = stored.entry.title or stored.entry.url or f"entry {stored.id}"
            yield f"{title}: {_words(before)} then, {_words(used)} now"


def _words(used: Consumed) -> str:
    return f"{used.disposition} ({used.why})" if used.why else str(used.disposition)


def _changes(recipe: Recipe, now: Ingredients, templates: Templates) -> Iterator[Changed]:
    """What has changed since: templates by name, then settings, the program's version among them."""
    for name, text in recipe.templates.items():
        current = templates.text(name)
        if current != text:
            yield Changed(what=f"templates/{name}", then=len(text), now=None if current is None else len(current))
    for place, before, after in differences(recipe.made, json.loads(as_json(plain(now)))):
        if place != _TWICE:
            yield Changed(what=place, then=before, now=after)

"""`template check --diff`: what the templates of now would have done to the last issues."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from newsletter import rebuilding
from newsletter.app.beside import index_page, pair_page
from newsletter.app.exports import in_form
from newsletter.app.project import App
from newsletter.app.rebuild import compare, ingredients_of, put
from newsletter.app.templates import chosen_themes
from newsletter.errors import TemplateError, UsageError
from newsletter.issues.check import Finding, judge
from newsletter.issues.filters import Filters
from newsletter.issues.render import Templates, default_templates
from newsletter.issues.sidebyside import PARTS, diff
from newsletter.model import Issue, IssueState, Rendering


@dataclass(frozen=True, slots=True, kw_only=True)
class PartDiff:
    """One part that differs: its size in bytes then and now, lines that came and went, and a unified diff."""

    part: str
    then: int
    now: int
    added: int
    removed: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One rendering of an issue, as it was frozen and as it would be now.

    `new` and `gone` are what `check` finds in the message now and not then, or
    then and not now.  `error` says why there is nothing to compare; `is_rough`
    that the settings of then are not known, so that a change of these shows, too.
    """

    digest: str
    number: int
    key: str
    theme: str
    parts: tuple[PartDiff, ...] = ()
    html_then: int = 0
    html_now: int = 0
    new: tuple[Finding, ...] = ()
    gone: tuple[Finding, ...] = ()
    error: str = ""
    is_rough: bool = False

    @property
    def name(self) -> str:
        """The rendering in a word, for messages and files."""
        return f"{self.digest}-{self.number}.{self.key}"


def template_diff(app: App, theme: str | None, count: int, out: Path | None = None) -> Iterator[Difference]:
    """Render the last issues with the templates of now, and compare with what was frozen.

    The settings are those of then, so nothing but the templates can make a difference.

    Args:
        app: the project.
        theme: what to render with; None: the theme that each issue's digest wears.
        count: how many issues.
        out: a folder for both versions and pages that show them side by side.

    Raises:
        UsageError: there is no such theme, or no issue yet.
        NewsletterError: the folder cannot be written.
    """
    if theme is not None:
        chosen_themes(app, theme)
    issues = [issue for issue in app.memory.issues() if issue.state is not IssueState.cancelled][:count]
    if not issues:
        raise UsageError("there is no issue yet to compare with", hint="newsletter template check tries samples")
    found: list[Difference] = []
    for issue in issues:
        for one in _of_issue(app, issue, theme, out):
            found.append(one)
            yield one
    if out is not None:
        put(out / "index.html", index_page(found))


def _of_issue(app: App, issue: Issue, theme: str | None, out: Path | None) -> Iterator[Difference]:
    then, now = ingredients_of(app, issue)
    wears = theme or (now.theme if now is not None else then.theme if then is not None else "")
    made = then or now
    if made is None:
        yield Difference(
            digest=issue.digest,
            number=issue.number,
            key=issue.envelope.language,
            theme=wears,
            error="its digest is no longer in the project, and what it was made from was not kept",
        )
        return
    token = issue.envelope.merge_token
    try:
        templates = Templates((app.config.templates, default_templates()), theme=wears)
        _, renderings = rebuilding.rebuild(app.store, issue, made, templates, filters=Filters(app.clock.monotonic))
        compared, _ = compare(app, issue, renderings)
        for one in compared:
            before, after = (_judged(app, issue, rendering) for rendering in (one.frozen, one.rebuilt))
            difference = Difference(
                digest=issue.digest,
                number=issue.number,
                key=one.key,
                theme=wears,
                parts=tuple(_parts(one.frozen, one.rebuilt, token, f"{issue.digest}-{issue.number}.{one.key}")),
                html_then=len(one.frozen.html.encode()),
                html_now=len(one.rebuilt.html.encode()),
                new=_without(after, before),
                gone=_without(before, after),
                is_rough=then is None,
            )
            if out is not None:
                for when, rendering in (("then", one.frozen), ("now", one.rebuilt)):
                    put(out / f"{difference.name}.{when}.html", in_form(app, issue, rendering, "html"))
                put(out / f"{difference.name}.html", pair_page(difference))
            yield difference
    except TemplateError as error:
        yield Difference(
            digest=issue.digest, number=issue.number, key=issue.envelope.language, theme=wears, error=str(error)
        )


def _parts(then: Rendering, now: Rendering, token: str, name: str) -> Iterator[PartDiff]:
    for part in PARTS:
        before, after = getattr(then, part), getattr(now, part)
        if before == after:
            continue
        lines = tuple(diff(part, before, after, token, name=f"{name}.{part}"))
        yield PartDiff(
            part=part,
            then=len(before.encode()),
            now=len(after.encode()),
            added=sum(1 for line in lines[2:] if line.startswith("+")),
            removed=sum(1 for line in lines[2:] if line.startswith("-")),
            lines=lines,
        )


def _judged(app: App, issue: Issue, rendering: Rendering) -> list[Finding]:
    """What `check` says of the message."""
    message = in_form(app, issue, rendering, "eml", signed=False)
    assert isinstance(message, bytes)
    return judge(message)


def _without(findings: list[Finding], others: list[Finding]) -> tuple[Finding, ...]:
    """The findings that are not among the others; another line in the HTML is no difference."""
    there = Counter(map(_said, others))
    found = []
    for finding in findings:
        if there[_said(finding)] > 0:
            there[_said(finding)] -= 1
        else:
            found.append(finding)
    return tuple(found)


def _said(finding: Finding) -> tuple[int, str, str, str]:
    return (finding.level, finding.rule, finding.what, finding.where)

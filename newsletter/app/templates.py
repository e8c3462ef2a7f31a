"""`template list | eject | check`: the themes of a project, changing one, and whether they all work.

The built-in themes are folders beside the default theme's files.  A project's
templates/ is laid out alike: its own files there are the default theme's, those
in templates/compact/ the compact theme's, and any other folder is a theme of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from newsletter.app.project import App
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.related import picture_parts
from newsletter.errors import NewsletterError, TemplateError, UsageError
from newsletter.issues.merge import fields_in
from newsletter.issues.render import Masthead, Renderings, Templates
from newsletter.issues.templates import DEFAULT_THEME, TEMPLATES, built_in_themes, default_templates, themes_in
from newsletter.issues.trials import Trial, trials
from newsletter.issues.words import languages
from newsletter.model import Draft, Envelope, Format, Issue, IssueState, Rendering, Subscriber
from newsletter.text import one_line

_HTML: Final = "issue.html.j2"
#: Files without blocks are ejected whole: there is nothing to override in them.
_NO_BLOCKS: Final = ("archive.md.j2", "subject.txt.j2")
#: A reader of whom much is known, and one of whom nothing is.
_READERS: Final = (
    Subscriber(
        email="zoë.o'brien@example.com",
        wire_email="zoe@example.com",
        key="zoe@example.com",
        name='Zoë "<Z>" O\'Brien & Söhne',
        attributes={"city": "東京", "plan": "gold"},
    ),
    Subscriber(email="x@example.com", wire_email="x@example.com", key="x@example.com"),
)
_SECRET: Final = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThemeFile:
    """One file of a theme, and whose it is: `built in`, or the project's path of it."""

    theme: str
    file: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """A theme, the digests that wear it, and its files."""

    name: str
    digests: tuple[str, ...]
    files: tuple[ThemeFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of one trial issue: "" or the mistake, which names file and line where it has any."""

    theme: str
    trial: str
    error: str = ""
    warning: str = ""


def themes(app: App) -> list[Theme]:
    """List every theme there is, the built-in ones first.

    Raises:
        TemplateError: a template of the project cannot be read.
    """
    return [_theme(app, name) for name in _names(app)]


def _names(app: App) -> list[str]:
    own = themes_in(app.config.templates)
    return list(dict.fromkeys((*built_in_themes(), *own)))


def _theme(app: App, name: str) -> Theme:
    templates = Templates((app.config.templates,), theme=name)
    packaged = default_templates()
    files = []
    for file in TEMPLATES:
        path, _ = templates.source(file)
        source = "built in" if path.is_relative_to(packaged) else _shown(app, path)
        files.append(ThemeFile(theme=name, file=file, source=source))
    wearing = tuple(digest.name for digest in app.config.digests if digest.theme == name)
    return Theme(name=name, digests=wearing, files=tuple(files))


def _shown(app: App, path: Path) -> str:
    return path.relative_to(app.config.folder).as_posix() if path.is_relative_to(app.config.folder) else str(path)


def chosen_themes(app: App, theme: str | None) -> list[str]:
    """The theme of that name, or all of them.

    Raises:
        UsageError: there is no such theme.
    """
    names = _names(app)
    if theme is None:
        return names
    if theme not in names:
        raise UsageError(f"there is no theme {one_line(theme, 40)!r}", hint=f"one of {', '.join(names)}")
    return [theme]


# ---------------------------------------------------------------------------- eject


def eject(app: App, theme: str, file: str, *, whole: bool) -> str:
    """Put a file of a built-in theme into the project's templates/, to be changed there.

    Args:
        app: the project.
        theme: a built-in theme.
        file: one of `TEMPLATES`.
        whole: a copy of all of it; else a file that builds on the built-in one and names its blocks.

    Returns:
        the new file's path, as written from the project's folder.

    Raises:
        UsageError: no such theme or file, or the project has that file already.
    """
    if theme not in built_in_themes():
        raise UsageError(f"{one_line(theme, 40)!r} is no built-in theme", hint=f"one of {', '.join(built_in_themes())}")
    if file not in TEMPLATES:
        raise UsageError(f"{one_line(file, 60)!r} is no file of a theme", hint=f"one of {', '.join(TEMPLATES)}")
    path = app.config.templates / ("" if theme == DEFAULT_THEME else theme) / file
    built_in = Templates(theme=theme)
    text = built_in.source(file)[1] if whole or file in _NO_BLOCKS else _skeleton(built_in, theme, file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError as error:
        hint = "edit it, or move it out of the way first"
        raise UsageError(f"{_shown(app, path)} is there already", hint=hint) from error
    except OSError as error:
        raise NewsletterError(f"{_shown(app, path)} cannot be written: {error.strerror}") from error
    return _shown(app, path)


def _skeleton(templates: Templates, theme: str, file: str) -> str:
    """A file that changes nothing yet: it extends the built-in one and says which blocks there are."""
    blocks = templates.blocks(file)
    lines = [
        f'{{% extends "{theme}/{file}" %}}',
        "{#",
        f"  This is the built-in {file} of the theme {theme} until you redefine one of its blocks here:",
        "",
        *(f"      {name}" for name in blocks),
        "",
        "  For example, and with super() for what the block has been:",
        "",
        "      {% block footer %}{{ super() }} … {% endblock %}",
        "",
        "  `newsletter template check` tries it out; `newsletter template eject --whole` shows all of it.",
        "#}",
    ]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------- check


def check_templates(app: App, theme: str | None, *, only: str = "") -> Iterator[Tried]:
    """Try themes on every trial issue: render it, compose a message for two readers, proof-read that.

    Yields one result a trial.  Every entry's title and address must be in the
    text part, else that is a warning; a letter without a way out is an error.

    Args:
        app: the project.
        theme: one theme, or None for all of them.
        only: a part of the names of the trials that are wanted.

    Raises:
        UsageError: there is no such theme.
    """
    for name in chosen_themes(app, theme):
        templates = Templates((app.config.templates,), theme=name)
        masthead = _masthead(app, name)
        for trial in trials(masthead, languages(), now=app.clock.now(), only=only):
            yield _tried(name, templates, trial)


def _masthead(app: App, theme: str) -> Masthead:
    """The masthead of a digest that wears the theme, or of any."""
    digest = min(app.config.digests, key=lambda digest: digest.theme != theme)
    return app.publication(digest.name).masthead


def _tried(theme: str, templates: Templates, trial: Trial) -> Tried:
    token = "7ria1" * 6
    issue = _issue(trial, token)
    renderings = Renderings(trial.draft, trial.masthead, templates, token=token)
    pictures = picture_parts(trial.draft.pictures)
    warnings: list[str] = []
    try:
        # Both get the same one unless a template decides on the reader.
        for rendering in {r.key: r for r in map(renderings.for_subscriber, _READERS)}.values():
            for form in Format:
                Skeleton.build(issue, rendering, form, secret=_SECRET, pictures=pictures)
            _check_way_out(issue, rendering)
            warnings += _missing(trial.draft, rendering)
    except TemplateError as error:
        return Tried(theme=theme, trial=trial.name, error=_explained(error))
    except NewsletterError as error:
        return Tried(theme=theme, trial=trial.name, error=f"the message cannot be composed: {_explained(error)}")
    return Tried(theme=theme, trial=trial.name, warning="; ".join(dict.fromkeys(warnings)))


def _explained(error: NewsletterError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)


def _check_way_out(issue: Issue, rendering: Rendering) -> None:
    for name, part in ((_HTML, rendering.html), ("issue.txt.j2", rendering.text)):
        if "unsubscribe_url" not in fields_in(part, issue.envelope.merge_token):
            raise TemplateError(f"templates/{name}", None, "it has no unsubscribe_url: nobody could leave")


def _missing(draft: Draft, rendering: Rendering) -> Iterator[str]:
    """The first title or address that is in none of the places where it belongs."""
    text = " ".join(rendering.text.split())
    for section in draft.sections:
        for entry in (*section.entries, *section.more):
            for wanted in (" ".join(entry.title.split()), entry.url):
                if wanted and wanted not in text:
                    yield f"templates/issue.txt.j2: {one_line(wanted, 60)!r} is not in it"
                    return


def _issue(trial: Trial, token: str) -> Issue:
    masthead = trial.masthead
    envelope = Envelope(
        from_name=masthead.title,
        from_email="wire@example.com",
        reply_to=None,
        list_id="trial.wire.example.com",
        list_name=masthead.title,
        base_url=masthead.base_url,
        unsubscribe_email="wire@example.com",
        language=masthead.language,
        date=trial.draft.date,
        boundary="trial" * 4,
        merge_token=token,
    )
    return Issue(
        id=1,
        digest=trial.draft.digest,
        number=trial.draft.number,
        slot="trial",
        state=IssueState.open,
        state_reason="",
        subject="",
        entries=trial.draft.total,
        envelope=envelope,
        frozen_at=trial.draft.date,
    )

"""`archive`: past issues as files for any web server."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from newsletter.app.exports import sources
from newsletter.app.project import App
from newsletter.app.public import site_at
from newsletter.errors import UsageError
from newsletter.model import IssueState
from newsletter.web.still.files import issue_name
from newsletter.web.still.pages import Place, Still
from newsletter.web.still.tree import tree
from newsletter.web.still.writing import Written, write_all


def write_archive(
    app: App, out: Path | None, *, on_file: Callable[[int, int], None] = lambda *_: None
) -> tuple[Path, Written]:
    """Bring the archive up to date.

    Args:
        app: the project.
        out: a folder, instead of the one that the project names.
        on_file: told how many files of how many are done.

    Returns:
        the folder, and what became of its files.

    Raises:
        UsageError: the folder holds the project itself.
        NewsletterError: something is in the way there, or it cannot be written.
        TemplateError: the project's `archive.md.j2` fails.
    """
    config = app.config
    folder = out if out is not None else config.archive.out
    _refuse_project(app, folder)
    past = app.memory
    url = config.archive.url or ""
    served = config.base_url or ""
    place = Place(
        url=url,
        leave=f"{served}/" if served else "",
        subscribe=f"{served}/" if served and config.subscribe.form else "",
    )
    issues = past.issues()
    names = dict.fromkeys((*config.digest_names, *sorted({issue.digest for issue in issues})))
    site = site_at(app, served)
    still = Still(site, past, place, titles={name: _title(app, name) for name in names})
    templates = app.templates(config.digests[0])
    # The form of the tree is the project's; all else that is in it is the memory's.
    form = sha256(templates.source("archive.md.j2")[1].encode()).hexdigest()
    files = [*still.files(), *tree(past, sources(app), templates, f"{still.facts} {form}")]
    cancelled = {issue_name(issue) for issue in issues if issue.state is IssueState.cancelled}
    return folder, write_all(folder, files, cancelled=cancelled, on_file=on_file)


def _title(app: App, digest: str) -> str:
    """What a digest is called; one that the project no longer has keeps its name."""
    config = app.config
    if digest in config.digest_names:
        return app.publication(digest, note="").rules.title
    return f"{config.title}: {digest}"


def _refuse_project(app: App, folder: Path) -> None:
    """Refuse to make a public folder of one that has the list, the memory or the settings in it."""
    config = app.config
    private = [config.path, *([config.subscribers] if config.subscribers else [])]
    if config.smtp:
        private += [key.key_file for key in config.smtp.dkim]
    if "://" not in config.store:
        private.append(Path(config.store))
    at = folder.resolve()
    for path in private:
        if path.resolve().is_relative_to(at):
            raise UsageError(
                f"{folder} has {path.name} in it: whoever serves that folder would publish it",
                hint="choose a folder of its own with --out or `archive: {out: …}`",
            )

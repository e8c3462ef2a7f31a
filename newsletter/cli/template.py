"""`template`: the looks of a letter, built in and of the project."""

from typing import Annotated

import typer

from newsletter.cli.report import plural
from newsletter.cli.session import Session, command

group = typer.Typer(
    name="template", help="List themes, change one, and try them out.", no_args_is_help=True, rich_markup_mode=None
)


def list_(session: Session) -> None:
    """List the themes and their files, and which of these are the project's own."""
    from newsletter.app.templates import themes

    found = themes(session.app)
    if session.json:
        session.out.data(found)
        return
    rows = [
        (theme.name if n == 0 else "", ", ".join(theme.digests) if n == 0 else "", file.file, file.source)
        for theme in found
        for n, file in enumerate(theme.files)
    ]
    session.out.table(("theme", "digests", "file", "from"), rows)


def eject(
    session: Session,
    theme: Annotated[str, typer.Argument(help="A built-in theme.")] = "default",
    file: Annotated[str, typer.Argument(help="One of its files.")] = "issue.html.j2",
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Copy all of it instead of building on the built-in one.", show_default=False),
    ] = False,
) -> None:
    """Write a file into templates/ that builds on a built-in one, to be changed there."""
    from newsletter.app.templates import eject as put

    path = put(session.app, theme, file, whole=whole)
    if session.json:
        session.out.data({"theme": theme, "file": file, "path": path})
    session.out.say(f"wrote {path}")
    if theme != "default":
        session.out.say(f"it is used by digests with `theme: {theme}`")


def check(
    session: Session,
    theme: Annotated[str | None, typer.Argument(help="One theme; all of them by default.", show_default=False)] = None,
    only: Annotated[
        str, typer.Option(metavar="WORDS", help="Only trials with these words in their name.", show_default=False)
    ] = "",
) -> int:
    """Try themes on issues full of trouble: no titles, huge ones, scripts, every language, 500 entries."""
    from newsletter.app.templates import check_templates

    results = []
    for tried in check_templates(session.app, theme, only=only):
        results.append(tried)
        if session.json:
            continue
        place = f"{tried.theme}: {tried.trial}"
        if tried.error:
            session.out.line(f"error    {place}: {tried.error}")
        elif tried.warning:
            session.out.line(f"warning  {place}: {tried.warning}")
        elif not session.quiet:
            session.out.line(f"ok       {place}")
    errors = sum(1 for tried in results if tried.error)
    if session.json:
        session.out.data(
            [
                {
                    "level": "error" if tried.error else "warning" if tried.warning else "ok",
                    "theme": tried.theme,
                    "trial": tried.trial,
                    "text": tried.error or tried.warning,
                }
                for tried in results
            ]
        )
    session.out.say(f"{plural(len(results), 'trial', 'trials')}, {plural(errors, 'error', 'errors')}")
    return 1 if errors else 0


command(group, "list")(list_)
command(group, "eject")(eject)
command(group, "check")(check)

"""`template`: the looks of a letter, built in and of the project."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from newsletter.cli.report import plural
from newsletter.cli.session import Session, command
from newsletter.errors import UsageError

if TYPE_CHECKING:
    from newsletter.app.templatediff import Difference

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
    last: Annotated[
        int | None,
        typer.Option(
            "--diff",
            metavar="N",
            min=1,
            help="Instead, what they would change in the last N issues.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="With --diff: pages of both versions side by side.", show_default=False),
    ] = None,
) -> int:
    """Try themes on issues full of trouble: no titles, huge ones, scripts, every language, 500 entries.

    With --diff, try them on the last issues instead: each is rendered again
    with the templates of now (of THEME, or of its digest's own) and compared with what was frozen.
    """
    from newsletter.app.templates import check_templates

    if last is not None:
        return _diff(session, theme, last, out)
    if out is not None:
        raise UsageError("--out goes with --diff", hint="newsletter preview --out writes the next issue")

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


def _diff(session: Session, theme: str | None, last: int, out: Path | None) -> int:
    from newsletter.app.templatediff import template_diff

    found = []
    for one in template_diff(session.app, theme, last, out):
        found.append(one)
        if not session.json:
            _tell(session, one)
    errors = sum(1 for one in found if one.error or any(finding.level > 1 for finding in one.new))
    if session.json:
        session.out.data([_row(one) for one in found])
        return 1 if errors else 0
    changed = sum(1 for one in found if one.parts)
    session.out.say(f"{plural(len(found), 'rendering', 'renderings')} compared, {changed} would change")
    if out is not None:
        session.out.line(str(out / "index.html"))
    return 1 if errors else 0


def _row(one: "Difference") -> dict[str, Any]:
    """A difference as JSON, its findings as `check --json` has them."""
    row = asdict(one)
    for name in ("new", "gone"):
        row[name] = [{**finding, "level": finding["level"].name} for finding in row[name]]
    return row


def _tell(session: Session, one: "Difference") -> None:
    out = session.out
    if one.error:
        out.line(f"error    {one.name}: {one.error}")
        return
    for part in one.parts:
        for line in part.lines:
            out.line(line)
    told = [f"{part.part} +{part.added} −{part.removed} lines" for part in one.parts]
    if one.html_then != one.html_now:
        told.append(f"HTML part {one.html_then:,} → {one.html_now:,} bytes")
    rough = "; its settings of then are not known: these may differ, too" if one.is_rough and one.parts else ""
    out.say(f"{one.name} in {one.theme}: {', '.join(told) or 'the same'}{rough}")
    for word, findings in (("new", one.new), ("gone", one.gone)):
        for finding in findings:
            out.say(f"  {word} {finding.level.name}: {finding.what}")


command(group, "list")(list_)
command(group, "eject")(eject)
command(group, "check")(check)

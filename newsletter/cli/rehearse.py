"""`rehearse`: a whole dispatch without mailing anybody, and a verdict."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.options import DigestArgument
from newsletter.cli.report import plural
from newsletter.cli.session import Session, command
from newsletter.text import duration

if TYPE_CHECKING:
    from newsletter.app.rehearse import Rehearsed
    from newsletter.delivery.rehearsal.rehearse import Verdict
    from newsletter.model import Issue


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "rehearse")(rehearse)


def rehearse(
    session: Session,
    digest: DigestArgument = None,
    inject: Annotated[
        str,
        typer.Option(
            "--inject",
            metavar="FAULTS",
            help="What goes wrong how often: 421@5%,451@2%,550@1%,drop@0.5%,silent@0.1%,garbage@0.1%,kill@100.",
            show_default=False,
        ),
    ] = "",
    recipients: Annotated[
        int | None,
        typer.Option(min=1, max=10_000_000, help="So many invented people instead of the list.", show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Repeats what befell whom in an earlier run.", show_default=False)
    ] = None,
    server_time: Annotated[
        int, typer.Option(min=0, max=600_000, metavar="MS", help="What the real server takes for a message.")
    ] = 50,
    no_fetch: Annotated[
        bool, typer.Option("--no-fetch", help="Do not poll the feeds first.", show_default=False)
    ] = False,
) -> int:
    """Try the next issue's whole dispatch out on a server here that has faults; mails nobody, changes nothing."""
    import asyncio

    from newsletter.app.rehearse import rehearse as run

    with ExitStack() as stack:
        step = None

        def frozen(_: "Issue", number: int) -> None:
            nonlocal step
            step = stack.enter_context(session.out.progress("rehearsing", number))

        def moved(number: int) -> None:
            if step is not None:
                step(number)

        done = asyncio.run(
            run(
                session.app,
                digest,
                inject=inject,
                recipients=recipients,
                seed=seed,
                fetch_first=not no_fetch,
                server_time=server_time / 1000,
                on_frozen=frozen,
                on_progress=moved,
            )
        )
    return _report(session, done, digest)


def _report(session: Session, done: "Rehearsed", digest: str | None) -> int:
    out, verdict = session.out, done.verdict
    if session.json:
        out.data({**_plain(done), "good": verdict.is_good})
    else:
        what = "the bundled samples, as nothing is new" if done.is_sample else done.subject
        out.table((f"rehearsal of {done.digest}: {what}", ">"), _rows(verdict))
    if verdict.canary_stopped:
        out.warn(f"{verdict.canary_stopped}; a real send would wait for a person here, and this one went on")
    if verdict.stopped:
        out.warn(f"the last run ended early: {verdict.stopped}")
    words = [
        "newsletter rehearse",
        *([digest] if digest else []),
        *([f"--inject {done.faults}"] if done.faults else []),
    ]
    words += [f"--recipients {verdict.recipients}"] if done.is_invented else []
    out.say(f"again, with the same faults: {' '.join(words)} --seed {done.seed}")
    if verdict.is_good:
        out.say(f"verdict: nobody was lost, and {_copies(verdict)}")
        return 0
    out.error(_what_is_wrong(verdict), "this is a fault of the program: please report it with the line above")
    return 1


def _rows(verdict: "Verdict") -> list[tuple[object, ...]]:
    return [
        ("recipients", f"{verdict.recipients:,}"),
        ("sent", f"{verdict.sent:,}"),
        ("failed", f"{verdict.failed:,}"),
        ("suppressed", f"{verdict.suppressed:,}"),
        ("held", f"{verdict.held:,}"),
        ("still waiting", f"{verdict.waiting:,}"),
        ("times told to come later", f"{verdict.deferred:,}"),
        ("times not known whether it arrived", f"{verdict.unknown:,}"),
        ("times killed", f"{verdict.kills:,}"),
        *([("went first, as the canary", f"{verdict.canary:,}")] if verdict.canary is not None else []),
        ("lost", f"{verdict.lost:,}"),
        ("copies too many", f"{verdict.duplicates:,} (at most {verdict.bound:,})"),
        ("messages a second, here", f"{verdict.rate:,.0f}"),
        (f"a real send, limited by {verdict.limited_by}", duration(verdict.predicted_seconds)),
    ]


def _copies(verdict: "Verdict") -> str:
    if not verdict.duplicates:
        return "nobody got it twice"
    return f"{plural(verdict.duplicates, 'copy', 'copies')} came twice, of {verdict.bound:,} that the faults may cost"


def _what_is_wrong(verdict: "Verdict") -> str:
    wrong = []
    if verdict.lost:
        wrong.append(f"{plural(verdict.lost, 'person', 'people')} lost")
    if verdict.duplicates > verdict.bound:
        wrong.append(f"{verdict.duplicates:,} copies too many, where at most {verdict.bound:,} may be")
    if verdict.changed:
        wrong.append(f"{plural(verdict.changed, 'copy', 'copies')} not the same message")
    if verdict.unwanted:
        wrong.append(f"{plural(verdict.unwanted, 'message')} to suppressed people")
    return "the promise is broken: " + ", ".join(wrong)


def _plain(done: "Rehearsed") -> dict[str, object]:
    from dataclasses import asdict

    found = asdict(done)
    verdict = found.pop("verdict")
    return {**found, **verdict}

"""The commands: the only place that prints.

Importing this package builds the whole command tree and loads none of the
heavy libraries: each command imports its stage when it runs, so that
`newsletter --help` answers at once.
"""

from typing import Annotated

import typer

from newsletter import __version__
from newsletter.cli import (
    archive,
    bounce,
    consent,  # noqa: F401 - adds to the group `subscriber`
    daily,
    database,
    delivery,
    demo,
    exchange,
    explain,
    feed,
    issue,
    moving,
    preview,
    project,
    rehearse,
    run,
    schedule,
    send,
    serve,
    subscriber,
    suppression,
    template,
    worker,
)
from newsletter.cli.session import ConfigFlag, DebugFlag, JsonFlag, QuietFlag, VerboseFlag


def _version(asked: bool) -> None:
    if asked:
        print(f"newsletter {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="newsletter",
    help="Reads feeds, gathers what is new since the last send, and mails it to your subscribers.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    ctx: typer.Context,
    config: ConfigFlag = None,
    json: JsonFlag = False,
    verbose: VerboseFlag = False,
    quiet: QuietFlag = False,
    debug: DebugFlag = False,
    version: Annotated[  # noqa: ARG001 - its callback does the work
        bool, typer.Option("--version", help="Say the version.", callback=_version, is_eager=True, show_default=False)
    ] = False,
) -> None:
    ctx.obj = {"config": config, "json": json, "verbose": verbose, "quiet": quiet, "debug": debug}


for commands in (project, daily, explain, preview, send, run, worker, serve, archive, rehearse, demo):
    commands.register(app)
exchange.register(subscriber.group)
moving.register(app, feed.group)
for nouns in (feed, subscriber, issue, delivery, suppression, bounce, template, schedule, database):
    app.add_typer(nouns.group)


def main() -> None:
    """Run the program; the console script."""
    app()

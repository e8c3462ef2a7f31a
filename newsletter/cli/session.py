"""What every command has in common: its flags, its errors, its exit code.

Data goes to stdout, talk to stderr.  A command is a function whose first
argument is a `Session`; `command` gives it the common flags, which may stand
before or after the command's name.
"""

import functools
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from newsletter.cli.log import JsonLog, LogForm
from newsletter.cli.output import Output
from newsletter.clock import SystemClock
from newsletter.errors import NewsletterError

if TYPE_CHECKING:
    from newsletter.app import App

#: Exit code for work that was done in part (some feeds or deliveries failed).
PARTLY: Final = 3
#: What a caller may learn from how the program ended.
EXIT_CODES: Final = {
    0: "done, or there was nothing to do",
    1: "an error: nothing was done, or a send stopped before its end",
    2: "the command line or a file of the project has a mistake",
    PARTLY: "done in part: some feeds, messages or rows failed, or a letter breaks a rule",
    75: "another send is at work on this project; try later",
    130: "interrupted; what was sent is recorded, the rest waits",
}

ConfigFlag = Annotated[
    Path | None, typer.Option("-c", "--config", help="The project's folder or its newsletter.yaml.", show_default=False)
]
JsonFlag = Annotated[bool, typer.Option("--json", help="Machine-readable output.", show_default=False)]
VerboseFlag = Annotated[bool, typer.Option("-v", "--verbose", help="Say more.", show_default=False)]
QuietFlag = Annotated[bool, typer.Option("-q", "--quiet", help="Say only what went wrong.", show_default=False)]
DebugFlag = Annotated[bool, typer.Option("--debug", help="Show tracebacks.", show_default=False)]
LogFlag = Annotated[
    LogForm, typer.Option("--log", help="Say what happens in words, or as JSON for a log, one event a line.")
]

#: The flags of every command, by name.
COMMON: dict[str, Any] = {
    "config": ConfigFlag,
    "json": JsonFlag,
    "verbose": VerboseFlag,
    "quiet": QuietFlag,
    "debug": DebugFlag,
}


@dataclass(slots=True, kw_only=True)
class Session:
    """One call of the program: its flags, its output, and the project it is about."""

    config: Path | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False
    debug: bool = False
    log: LogForm = LogForm.human
    _out: Output | None = None
    _app: "App | None" = None

    @property
    def out(self) -> Output:
        """Where to say and to print things."""
        if self._out is None:
            log = JsonLog(SystemClock()) if self.log is LogForm.json else None
            self._out = Output(json=self.json, quiet=self.quiet, verbose=self.verbose, log=log)
        return self._out

    @property
    def app(self) -> "App":
        """The project, opened at first use.

        Raises:
            ConfigError: with every mistake in the project's files.
        """
        if self._app is None:
            from newsletter.app import App

            self._app = App.open(self.config)
        return self._app

    def log_as(self, form: LogForm) -> None:
        """Choose how it is said what happens; before anything is."""
        self.log = form
        if self.out.log:
            self.out.log.take_over_libraries()

    def close(self) -> None:
        """Let go of the store, and of what libraries log."""
        if self._app is not None:
            self._app.close()
            self._app = None
        if self._out is not None and self._out.log:
            self._out.log.close()


def command(
    group: typer.Typer, name: str | None = None, **settings: Any
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function as a command with the common flags.

    The function takes a `Session` first and returns its exit code, or None for 0.
    """

    def register(function: Callable[..., int | None]) -> Callable[..., int | None]:
        signature = inspect.signature(function)
        own = list(signature.parameters.values())[1:]
        common = [
            inspect.Parameter(
                key, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=None if key == "config" else False
            )
            for key, hint in COMMON.items()
        ]
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

        @functools.wraps(function)
        def run(ctx: typer.Context, **given: Any) -> None:
            before = ctx.find_root().obj or {}
            flags = {key: given.pop(key) or before.get(key) for key in COMMON}
            session = Session(
                config=flags["config"],
                json=bool(flags["json"]),
                verbose=bool(flags["verbose"]),
                quiet=bool(flags["quiet"]),
                debug=bool(flags["debug"]),
            )
            code = _guarded(session, lambda: function(session, **given))
            if code:
                raise typer.Exit(code)

        run.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *common]
        )
        run.__annotations__ = {"ctx": typer.Context, **{p.name: p.annotation for p in own}, **COMMON}
        del run.__wrapped__
        group.command(name, **settings)(run)
        return function

    return register


def _guarded(session: Session, work: Callable[[], int | None]) -> int:
    try:
        return work() or 0
    except NewsletterError as error:
        if session.debug and not session.out.log:
            traceback.print_exc()
        session.out.error(str(error), error.hint, code=error.exit_code, traceback=_traceback(session))
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone: nothing to say, and nobody to say it to.
        sys.stderr.close()
        return 0
    except typer.Exit:
        raise
    except Exception as error:
        if session.debug and not session.out.log:
            raise
        session.out.error(
            f"an unexpected {type(error).__name__}: {error}",
            "this is a fault of the program: --debug shows where",
            code=1,
            traceback=_traceback(session),
        )
        return 1
    except KeyboardInterrupt:
        session.out.error("interrupted; what was sent is recorded, the rest waits in the outbox", None, code=130)
        return 130
    finally:
        session.close()


def _traceback(session: Session) -> list[str] | None:
    """Where an error comes from, for a log with --debug."""
    return traceback.format_exc().splitlines() if session.debug else None

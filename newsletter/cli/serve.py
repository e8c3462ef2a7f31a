"""`serve`: the public pages, behind a proxy that speaks TLS."""

import sys
from typing import Annotated

import typer

from newsletter.cli.log import LogForm
from newsletter.cli.session import LogFlag, Session, command


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "serve")(serve)


def serve(
    session: Session,
    host: Annotated[str, typer.Option("--host", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen; 0 takes a free one.")] = 8000,
    behind_proxy: Annotated[
        bool,
        typer.Option("--behind-proxy", help="Believe the last address in X-Forwarded-For.", show_default=False),
    ] = False,
    connections: Annotated[
        int, typer.Option("--connections", min=1, max=10_000, help="At most so many at once.")
    ] = 500,
    log: LogFlag = LogForm.human,
) -> int:
    """Serve the public pages: sign-up, settings, unsubscribe, past issues and their feed.

    They are meant to stand behind a web server that speaks TLS (docs/serve.md).
    What goes wrong is said on stderr.  With -v every request is a line there, without what is personal in it.
    SIGTERM or Ctrl-C lets what is under way end.
    """
    import asyncio

    from newsletter.app.public import public_server
    from newsletter.cli.stopping import until_stopped
    from newsletter.web.server import ServerSettings

    session.log_as(log)
    settings = ServerSettings(host=host, port=port, behind_proxy=behind_proxy, connections=connections)
    server = public_server(session.app, settings, log=session.out.detail, warn=session.out.warn)

    async def work(stop: asyncio.Event) -> None:
        async with server.serving() as address:
            base = session.app.config.base_url
            if session.json:
                session.out.data({"listening": address, "base_url": base})
            elif not session.out.log:
                session.out.line(address)
            session.out.say(f"serving {base}; Ctrl-C ends it", event="serve.began", listening=address)
            sys.stdout.flush()
            await stop.wait()

    asyncio.run(until_stopped(work))
    session.out.say("stopped when asked to", event="serve.stopped")
    return 0

"""A project in a temporary folder, a feed server, a mail server, and the program as a person runs it."""

import contextlib
import io
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from newsletter.demo.catcher import Catcher
from tests.cli.servers import Moody, moody_server
from tests.conftest import ROOT


@dataclass
class Done:
    """How one call of the program ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


@cache
def program() -> Callable[[Sequence[str]], Any]:
    """The command tree; to build it takes longer than most commands do."""
    from typer.main import get_command

    from newsletter.cli import app

    return get_command(app)


def call(*words: str, cwd: Path, stdin: str = "", **environment: str) -> Done:
    """Run `newsletter WORDS…` in a folder, in this process: the same code, without the start-up."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", io.StringIO(stdin))
        for name, value in {"COLUMNS": "200", **environment}.items():
            patch.setenv(name, value)
        try:
            program()(list(words))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return Done(code, out.getvalue(), err.getvalue())


def call_process(*words: str, cwd: Path, **environment: str) -> Done:
    """Run `newsletter WORDS…` in a folder, as its own process."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "newsletter", *words],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment},
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Web:
    """A loopback web server whose pages a test sets: path → (status, body)."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.pages: dict[str, tuple[int, bytes]] = {}
        #: What a path's header has beside the usual fields, or instead of them; an empty one is left out.
        self.fields: dict[str, dict[str, str]] = {}
        #: Paths whose body has no end.
        self.endless: set[str] = set()
        self.asked: list[str] = []
        self.headers: dict[str, dict[str, str]] = {}
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append(self.path)
                status, body = web.pages.get(self.path, (404, b"no such page"))
                fields = {
                    "Content-Type": "application/xml" if body.startswith(b"<?xml") else "text/html",
                    "Content-Length": str(len(body)),
                    **web.fields.get(self.path, {}),
                }
                web.headers[self.path] = dict(self.headers)
                self.send_response(status)
                for name, value in fields.items():
                    if value:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                with contextlib.suppress(OSError):
                    while self.path in web.endless:
                        self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def feed(self, path: str, *titles: str, link: str = "https://news.example.com") -> str:
        """Publish a feed whose entries have these titles, newest first; returns its address."""
        items = "".join(
            f"<item><title>{title}</title><link>{link}/{title.replace(' ', '-')}</link>"
            f'<guid isPermaLink="false">{title}</guid><description>About {title}.</description></item>'
            for title in titles
        )
        body = f'<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>{link}/</link><description/>{items}</channel></rss>'
        self.pages[path] = (200, body.encode())
        return self.url + path


@dataclass
class Wire:
    """A project one can work in."""

    folder: Path
    web: Web
    mail: Catcher
    settings: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> Done:
        return call(*words, cwd=self.folder, stdin=stdin, **environment)

    def configure(
        self, *feeds: str, people: str = "- ada@example.com\n", more: str = "", smtp: str | None = None
    ) -> None:
        """Write the project's two files."""
        lines = "".join(f"  - url: {feed}\n    allow_private: true\n" for feed in feeds)
        server = smtp or f"{{host: 127.0.0.1, port: {self.mail.port}, tls: none}}"
        (self.folder / "newsletter.yaml").write_text(
            "title: The Morning Wire\nfrom: The Morning Wire <wire@example.com>\n"
            f"timezone: Europe/Berlin\n{more}feeds:{' []' if not feeds else ''}\n{lines}smtp: {server}\n",
            encoding="utf-8",
        )
        (self.folder / "subscribers.yaml").write_text(people, encoding="utf-8")

    def inbox(self, email: str | None = None) -> list[str]:
        """Whom messages came for, in order; or all messages for one person."""
        return [r for caught in self.mail.caught for r in caught.recipients if email in (None, r)]


@contextlib.contextmanager
def a_wire(folder: Path) -> Iterator[Wire]:
    """A project in a new folder below this one, with servers of its own."""
    (folder / "wire").mkdir()
    web = Web()
    with contextlib.closing(web), Catcher(folder / "caught") as mail:
        yield Wire(folder / "wire", web, mail)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


@pytest.fixture
def web(wire: Wire) -> Web:
    return wire.web


@pytest.fixture
def moody() -> Iterator[Moody]:
    """A mail server that refuses whom a test tells it to."""
    with moody_server() as server:
        yield server

"""The whole way on bundled samples: a project of its own, feeds and mail on loopback."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from newsletter.app.edit import write_new
from newsletter.app.exports import export_issue
from newsletter.app.project import App
from newsletter.app.send import Watcher, send
from newsletter.app.shelf import write_archive
from newsletter.demo.catcher import Catcher
from newsletter.demo.feeds import SAMPLES, SampleFeeds
from newsletter.errors import NewsletterError, UsageError
from newsletter.model import FetchResult, SendReport

_CONFIG = """\
# The demo's project: its feeds are served, and its mail is caught, on this machine.
title: The Morning Wire
from: The Morning Wire <wire@example.com>
timezone: Europe/Berlin
postal_address: 1 Example Street, Berlin
feeds:
{feeds}
smtp: {{host: 127.0.0.1, port: {smtp_port}, tls: none}}
"""

_PEOPLE = """\
# Invented people, at a domain that nobody can own.
- email: ada@example.com
  name: Ada Lovelace
- email: grace@example.com
  name: Grace Hopper
- email: alan@example.com
  name: Alan Turing
  format: text              # plain text only
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo did; `report` is None where nothing was new, `seconds` are by stage."""

    folder: Path
    fetched: tuple[FetchResult, ...]
    report: SendReport | None
    recipients: int
    seconds: Mapping[str, float]
    files: Mapping[str, Path]


async def run_demo(folder: Path) -> Demo:
    """Run the main job in a folder of its own; a second run there finds nothing new.

    Raises:
        UsageError: the folder holds a project that is not the demo's.
    """
    feeds_port, mail_port = _ports(folder)
    async with _feeds(feeds_port) as base_url:
        with _catcher(folder / "caught", mail_port) as catcher:
            _write_project(folder, base_url, catcher.port)
            app = App.open(folder)
            try:
                return await _send(app, catcher)
            finally:
                app.close()


async def _send(app: App, catcher: Catcher) -> Demo:
    started = app.clock.monotonic()
    watch = _Timing(app)
    sent = await send(app, None, watch=watch, stop=asyncio.Event())
    files: dict[str, Path] = {}
    folder = app.config.folder
    if sent.report is not None:
        number = sent.report.issue.number
        for label, form in (("HTML", "html"), ("Markdown", "markdown")):
            for name, content in export_issue(app, number, None, form).items():
                path = folder / "issues" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
                files[label] = path
        site, _ = write_archive(app, None)
        files["archive"] = site / "index.html"
        files["e-mail"] = catcher.folder / "*.eml"
        files["project"] = app.config.path
    built = watch.frozen_at or app.clock.monotonic()
    return Demo(
        folder=folder,
        fetched=sent.fetched,
        report=sent.report,
        recipients=watch.recipients,
        seconds={"fetch": watch.fetched_at - started, "build": built - watch.fetched_at},
        files=files,
    )


class _Timing(Watcher):
    """Agrees to everything and looks at the clock."""

    def __init__(self, app: App) -> None:
        self._clock = app.clock
        self.fetched_at = app.clock.monotonic()
        self.frozen_at: float | None = None
        self.recipients = 0

    def fetched(self, _: object) -> None:
        self.fetched_at = self._clock.monotonic()

    def agrees(self, _: object, recipients: int) -> bool:
        self.recipients = recipients
        return True

    def frozen(self, _: object) -> None:
        self.frozen_at = self._clock.monotonic()


def _ports(folder: Path) -> tuple[int, int]:
    """The ports of the last run, or 0 for any: a feed is known by its address, port included."""
    try:
        text = (folder / "newsletter.yaml").read_text(encoding="utf-8")
    except OSError:
        return 0, 0
    feeds = re.search(r"http://127\.0\.0\.1:(\d+)/", text)
    mail = re.search(r"port: (\d+)", text)
    return int(feeds[1]) if feeds else 0, int(mail[1]) if mail else 0


@asynccontextmanager
async def _feeds(port: int) -> AsyncIterator[str]:
    server = SampleFeeds(port)
    try:
        base_url = await server.__aenter__()
    except NewsletterError:
        # Somebody else has the port by now.  At a new address the entries are still known by their links.
        server = SampleFeeds(0)
        base_url = await server.__aenter__()
    try:
        yield base_url
    finally:
        await server.__aexit__(None, None, None)


def _catcher(folder: Path, port: int) -> Catcher:
    try:
        with Catcher(folder, port):
            pass
    except NewsletterError:
        port = 0
    return Catcher(folder, port)


def _write_project(folder: Path, base_url: str, mail_port: int) -> None:
    feeds = "\n".join(f"  - {{url: {base_url}/{sample.name}, allow_private: true}}" for sample in SAMPLES)
    text = _CONFIG.format(feeds=feeds, smtp_port=mail_port)
    config = folder / "newsletter.yaml"
    if not config.exists():
        write_new(folder, {"newsletter.yaml": text, "subscribers.yaml": _PEOPLE})
        return
    found = config.read_text(encoding="utf-8")
    if not found.startswith(_CONFIG.partition("\n")[0]):
        raise UsageError(f"{config} belongs to another project", hint="name another folder: newsletter demo FOLDER")
    if found != text:
        config.write_text(text, encoding="utf-8")

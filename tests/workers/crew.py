"""A project on a PostgreSQL of its own, a mail server, and workers: each on a thread, or as a process."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from newsletter.app import App
from newsletter.app.due import Looks
from newsletter.app.send import Watcher, send
from newsletter.app.working import Left, work
from newsletter.clock import Clock, SystemClock
from newsletter.errors import NewsletterError
from newsletter.model import FetchResult, Issue, SendReport, Shard
from newsletter.stages import Sent
from newsletter.store import Store
from newsletter.store.sharing import SIZE
from tests.conftest import ROOT, counting_ids
from tests.delivery.sink import Script, Sink

FEED = """<?xml version="1.0"?><rss version="2.0"><channel><title>One</title><link>https://one.example/</link>
<description>d</description><item><title>First</title><link>https://one.example/1</link><guid>1</guid>
<description>Hello</description></item></channel></rss>"""
#: Longer than anything here takes, on a machine that has much else to do.
PATIENCE = 60.0


def until(holds: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)


class Mail:
    """A mail server on a thread of its own."""

    def __init__(self, script: Script = lambda _: None) -> None:
        self.sink = Sink(script=script)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), daemon=True)

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        async with self.sink:
            self._ready.set()
            await self._over.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def copies(self) -> Counter[str]:
        """How many messages each recipient has got."""
        return self.sink.copies()

    @property
    def taken(self) -> int:
        return len(self.sink.accepted)


@dataclass
class Heard:
    """What a worker tells."""

    shards: list[tuple[int, int]] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    troubles: list[NewsletterError] = field(default_factory=list)
    looks: list[Looks] = field(default_factory=list)
    polls: list[FetchResult] = field(default_factory=list)
    sent: int = 0
    recoveries: int = 0
    beginnings: int = 0

    def began(self, app: App, who: str) -> None:
        self.beginnings += 1

    def monitored(self, address: str) -> None:
        """Nobody asks."""

    def delivered(self, shard: Shard, report: SendReport) -> None:
        self.shards.append((shard.number, report.sent_now))
        self.sent += report.sent_now
        if report.stopped:
            self.stops.append(report.stopped)

    def looked(self, found: Looks) -> None:
        self.looks.append(found)

    def polled(self, results: list[FetchResult]) -> None:
        self.polls += results

    def troubled(self, error: NewsletterError) -> None:
        self.troubles.append(error)

    def recovered(self) -> None:
        self.recoveries += 1


class Hand:
    """A worker on a thread."""

    def __init__(
        self, folder: Path, *, until_idle: bool = True, concurrency: int = 1, clock: Clock | None = None
    ) -> None:
        self.heard = Heard()
        self.left: Left | None = None
        self.error: NewsletterError | None = None
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            try:
                self.left = await work(
                    folder,
                    concurrency=concurrency,
                    until_idle=until_idle,
                    watch=Watcher(),
                    listener=self.heard,
                    stop=self._stop,
                    clock=clock,
                )
            except NewsletterError as error:
                self.error = error

        self._thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask it to end."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stop.set)

    def end(self) -> Self:
        """Wait until it has ended."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the worker does not end"
        return self

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()


class Plant:
    """The project."""

    def __init__(self, folder: Path, url: str, mail: Mail) -> None:
        self.folder = folder
        self.url = url
        self.mail = mail
        self._opened = ExitStack()
        (folder / "one.xml").write_text(FEED)
        # What a letter looks like is no matter here, and takes longer than sending it.
        (folder / "templates").mkdir()
        (folder / "templates" / "issue.html.j2").write_text("<html><body><p>{{ issue.number }}</p></body></html>\n")
        (folder / "templates" / "issue.txt.j2").write_text("{{ issue.number }}\n")
        self.configure()

    def configure(
        self, *, people: int = 40, more: str = "", connections: int = 2, store: str | None = None, smtp: str = ""
    ) -> None:
        """Write the project's two files."""
        (self.folder / "newsletter.yaml").write_text(
            f"title: The Wire\nfrom: wire@example.com\nlanguage: en\ntimezone: UTC\n"
            f"postal_address: 1 Example Street\nstore: {store or self.url}\n"
            f"smtp: {{host: 127.0.0.1, port: {self.mail.sink.port}, tls: none, connections: {connections}{smtp}}}\n"
            + (more if "feeds:" in more else f"feeds: [one.xml]\n{more}")
        )
        (self.folder / "subscribers.yaml").write_text("".join(f"- {email}\n" for email in self.emails(people)))

    @staticmethod
    def emails(number: int) -> list[str]:
        return [f"p{place}@example.com" for place in range(number)]

    @property
    def store(self) -> Store:
        """The project's memory, for a look."""
        return self.app.store

    @property
    def app(self) -> App:
        """The project, opened once."""
        if not hasattr(self, "_app"):
            self._app = App.open(self.folder, ids=counting_ids())
        return self._app

    def close(self) -> None:
        if hasattr(self, "_app"):
            self._app.close()
            del self._app

    def freeze(self, *, size: int = 5) -> Issue:
        """An issue that is left to the workers, in shards of so many messages.

        Of shards that were cut anew only the first of those that workers hear of at once are there still.
        """
        report = self.send(enqueue=True).report
        assert report is not None
        if size < SIZE:
            self.cut(report.issue.id, size)
        return report.issue

    def send(self, *, enqueue: bool = False) -> Sent:
        """What `newsletter send -y` does."""
        app = App.open(self.folder)
        try:
            watch = Watcher()
            return asyncio.run(send(app, None, watch=watch, stop=asyncio.Event(), enqueue=enqueue))
        finally:
            app.close()

    def cut(self, issue_id: int, size: int) -> None:
        """Make smaller shards of those of an issue that nobody has begun."""
        self.sql(
            f"DELETE FROM shards WHERE issue_id = {issue_id} AND number > 0",
            "INSERT INTO shards (issue_id, number, first_id, last_id) SELECT issue_id, part + 1, min(id), max(id) FROM "
            f"(SELECT issue_id, id, (row_number() OVER (ORDER BY id) - 1) / {size} AS part "
            f"FROM deliveries WHERE issue_id = {issue_id}) AS rows GROUP BY issue_id, part",
        )

    def sql(self, *statements: str) -> list[tuple[object, ...]]:
        """Say it to the database; the rows of the last one."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def hand(self, *, until_idle: bool = True, concurrency: int = 1, clock: Clock | None = None) -> Hand:
        """A worker that has begun; ended with the test."""
        hand = Hand(self.folder, until_idle=until_idle, concurrency=concurrency, clock=clock)
        self._opened.callback(hand.end)
        self._opened.callback(hand.stop)
        return hand

    def hands(self, number: int) -> list[Hand]:
        return [self.hand() for _ in range(number)]

    @contextmanager
    def process(self, *words: str, python_path: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
        """A worker as a process; killed at the end of the block if it is still there."""
        process = subprocess.Popen(
            [sys.executable, "-m", "newsletter", "worker", *words],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(python_path), "COLUMNS": "200"},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate()

    def finish(self) -> None:
        """End the workers that are left."""
        self._opened.close()
        self.close()

    def each_got_one(self, number: int) -> bool:
        return self.mail.copies == Counter(self.emails(number))


class ShiftedClock(SystemClock):
    """A clock that is wrong by so many seconds, until it is set."""

    def __init__(self, seconds: float) -> None:
        self.off = seconds

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.off)


def killed(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def numbers(hands: Sequence[Hand]) -> int:
    """How many messages they sent together."""
    return sum(hand.heard.sent for hand in hands)

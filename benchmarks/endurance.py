"""What a program that stays up loses by the hour: `python -m benchmarks.endurance --minutes 60`.

One process sends issue after issue to the same people, the whole way each time
(feed, freeze, outbox, SMTP), to a server that refuses, defers and hangs up now
and then.  Once a minute it looks at itself: memory, open files, threads.
"""

import argparse
import asyncio
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

from newsletter.app import App
from newsletter.app.send import Watcher, send
from newsletter.clock import SystemClock
from newsletter.delivery.rehearsal.faults import Faults
from newsletter.delivery.rehearsal.sink import Sink
from newsletter.model import DeliveryState

ROOT = Path(__file__).resolve().parent.parent
FAULTS = "421@0.3%,451@1%,550@0.5%,drop@0.3%"
_STORY = "<p>What happened today, told at some length, with <a href='https://example.com/more'>a link</a>. " * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The process at one moment; memory in megabytes."""

    minute: float
    memory: float
    files: int
    threads: int


def look(minute: float) -> Look:
    """Read what Linux says of this process."""
    lines = dict(
        line.partition(":")[::2] for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    )
    return Look(
        minute=minute,
        memory=int(lines["VmRSS"].split()[0]) / 1024,
        files=len(list(Path("/proc/self/fd").iterdir())),
        threads=int(lines["Threads"]),
    )


def _serve(pipe: Connection) -> None:
    async def serve() -> None:
        async with Sink(Faults.parse(FAULTS), 1, clock=SystemClock()) as sink:
            pipe.send(sink.port)
            await asyncio.get_running_loop().run_in_executor(None, pipe.recv)
            taken = sink.taken
            pipe.send((taken.total, taken.distinct, taken.changed, dict(sink.injected)))

    asyncio.run(serve())


@contextmanager
def server() -> Iterator[tuple[int, Connection]]:
    """The server in a process of its own: its port, and the pipe to ask it."""
    ours, theirs = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.terminate()
        process.join(10)


def project(folder: Path, port: int, people: int, rate: int) -> Path:
    """Write a project; its feed's file comes back."""
    feed = folder / "feed.xml"
    (folder / "newsletter.yaml").write_text(
        "title: The Morning Wire\nfrom: The Morning Wire <wire@example.com>\n"
        f"feeds:\n  - {feed}\n"
        f"smtp: {{host: 127.0.0.1, port: {port}, tls: none, connections: 4, rate: {rate}/s}}\n",
        encoding="utf-8",
    )
    (folder / "subscribers.yaml").write_text(
        "".join(f"- {{email: reader{n}@example.com, name: Reader {n}}}\n" for n in range(people)), encoding="utf-8"
    )
    return feed


def publish(feed: Path, number: int) -> None:
    """Put a new story in front of the nineteen before it."""
    items = "".join(
        f"<item><guid>tag:{n}</guid><title>Story {n}</title><link>https://example.com/{n}</link>"
        f"<description>{escape(_STORY)}</description></item>"
        for n in range(number, max(number - 20, 0), -1)
    )
    feed.write_text(
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title><link>https://example.com/</link>'
        f"<description/>{items}</channel></rss>",
        encoding="utf-8",
    )


async def live(app: App, feed: Path, minutes: float) -> list[Look]:
    """Send until the time is over; how it looked each minute."""
    clock, stop = SystemClock(), asyncio.Event()
    begin, looks, number = clock.monotonic(), list[Look](), 0
    while (minute := (clock.monotonic() - begin) / 60) < minutes:
        number += 1
        publish(feed, number)
        await send(app, None, watch=Watcher(), stop=stop)
        if not looks or minute >= looks[-1].minute + 1:
            looks.append(look(minute))
            one = looks[-1]
            print(
                f"{one.minute:5.1f} min  issue {number:5,}  {one.memory:6.1f} MB  {one.files} files  {one.threads} threads",
                flush=True,
            )
    return looks


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--people", type=int, default=500)
    parser.add_argument("--rate", type=int, default=50, help="messages a second")
    options = parser.parse_args()
    with TemporaryDirectory(prefix=".bench-", dir=ROOT) as name, server() as (port, pipe):
        feed = project(Path(name), port, options.people, options.rate)
        app = App.open(Path(name))
        try:
            looks = asyncio.run(live(app, feed, options.minutes))
            states = sum(
                (Counter(app.store.counts(issue.id)) for issue in app.store.issues()), Counter[DeliveryState]()
            )
        finally:
            app.store.close()
        pipe.send("how many?")
        taken, distinct, changed, injected = pipe.recv()
    settled = [one for one in looks if one.minute >= options.minutes / 6]
    third = max(1, len(settled) // 3)
    before, after = (statistics.median(one.memory for one in part) for part in (settled[:third], settled[-third:]))
    print(f"\nrows: {', '.join(f'{state} {count:,}' for state, count in sorted(states.items()))}")
    print(
        f"server: {taken:,} messages taken, {taken - distinct:,} of them copies, {changed} changed; faults {injected}"
    )
    print(f"memory: {before:.1f} MB, later {after:.1f} MB: {(after / before - 1) * 100:+.1f} %")
    print(f"files: {settled[0].files} → {settled[-1].files}; threads: {settled[0].threads} → {settled[-1].threads}")
    if changed or states[DeliveryState.sent] > distinct:
        sys.exit("error: a message is missing, or was changed")


if __name__ == "__main__":
    main()

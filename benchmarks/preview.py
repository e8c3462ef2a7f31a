"""How soon a saved file is seen in the preview: `python -m benchmarks.preview`.

A project of 50 invented entries (`--entries`) with five feeds, and the preview
as `newsletter preview` serves it, in this process.  A template is saved twenty
times; measured is the time

    render      from a question to the letter, after everything was read anew
    save        from the end of the write until the new letter has arrived over HTTP,
                the watching and the telling included

Milliseconds of wall time: median, and the slowest.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path

import aiohttp

from newsletter.app.desk import EditorsDesk
from newsletter.preview.choice import Choice
from newsletter.preview.server import TOKEN_HEADER, Preview

_NOW = datetime(2026, 3, 14, 7, 0, tzinfo=UTC)
_FEEDS = 5
_TOKEN = "0" * 32
_WORDS = (
    "Eleven months after her boiler gave out in the middle of the bay, the ferry crossed it again with ninety "
    "passengers, a <em>brass band</em> and <a href='https://news.example.com/goat'>one goat</a> – four minutes early. "
)


def _project(folder: Path, entries: int) -> None:
    feeds = []
    for number in range(_FEEDS):
        items = "".join(
            f"<item><title>Story {n}: the ferry and the goat</title><guid isPermaLink='false'>{n}</guid>"
            f"<link>https://news{number}.example.com/{n}</link>"
            f"<pubDate>{format_datetime(_NOW - timedelta(minutes=n))}</pubDate>"
            f"<description>{escape(''.join(f'<p>{_WORDS * 3}</p>' for _ in range(1 + n % 4)))}</description></item>"
            for n in range(number, entries, _FEEDS)
        )
        file = folder / f"feed{number}.xml"
        file.write_text(
            f'<?xml version="1.0"?><rss version="2.0"><channel><title>News {number}</title>'
            f"<link>https://news{number}.example.com/</link><description/>{items}</channel></rss>"
        )
        feeds.append(f"  - {file}\n")
    (folder / "templates").mkdir()
    (folder / "newsletter.yaml").write_text(
        f"title: The Wire\nfrom: The Wire <wire@example.com>\nfirst_run: all\nfeeds:\n{''.join(feeds)}"
    )
    (folder / "subscribers.yaml").write_text("- ada@example.com\n")


def _save(folder: Path, number: int) -> None:
    (folder / "templates" / "issue.html.j2").write_text(
        f'{{% extends "default/issue.html.j2" %}}{{% block masthead %}}<h1>Save {number}</h1>{{% endblock %}}'
    )


def _renders(folder: Path, times: int) -> list[float]:
    desk = EditorsDesk(folder)
    try:
        desk.open()
        desk.letter(Choice())
        taken = []
        for number in range(times):
            _save(folder, number)
            began = time.perf_counter()
            desk.reload()
            view = desk.letter(Choice())
            taken.append(1000 * (time.perf_counter() - began))
            assert f"Save {number}" in view.html, view.problem
        return taken
    finally:
        desk.close()


async def _saves(folder: Path, times: int) -> list[float]:
    desk = EditorsDesk(folder)
    headers = {TOKEN_HEADER: _TOKEN}
    taken = []
    try:
        async with Preview(desk, _TOKEN).serving() as address, aiohttp.ClientSession(headers=headers) as session:
            base = address.partition("/#")[0]

            async def letter() -> str:
                async with session.post(f"{base}/api/letter", data=b"{}") as answer:
                    return str(json.loads(await answer.read())["html"])

            await letter()
            async with session.get(f"{base}/api/events") as events:
                await events.content.readline()
                for number in range(times):
                    await asyncio.sleep(0.3)
                    _save(folder, 1000 + number)
                    began = time.perf_counter()
                    html = ""
                    while f"Save {1000 + number}<" not in html:
                        while not (await events.content.readline()).startswith(b"data: "):
                            pass
                        html = await letter()
                    taken.append(1000 * (time.perf_counter() - began))
        return taken
    finally:
        desk.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=50)
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _project(folder, given.entries)
        rows = {"render": _renders(folder, given.times), "save": asyncio.run(_saves(folder, given.times))}
    print(f"{given.entries} entries, {given.times} saves        median ms   slowest ms")
    for label, taken in rows.items():
        print(f"{label:<28}{statistics.median(taken):>10.0f}{max(taken):>12.0f}")


if __name__ == "__main__":
    main()

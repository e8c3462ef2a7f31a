"""The site that the feeds of the benchmark are on: files, and nginx or our own server before them."""

import html
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

HOST = "127.0.0.1"
START = datetime(2026, 11, 1, tzinfo=UTC)
WORDS = [
    "the",
    "a",
    "network",
    "report",
    "city",
    "minister",
    "growth",
    "reading",
    "small",
    "people",
    "around",
    "through",
    "between",
    "energy",
    "market",
    "system",
    "letter",
    "river",
    "council",
    "history",
    "open",
    "source",
    "about",
    "their",
    "after",
    "before",
    "water",
]


def write(folder: Path, feeds: int, entries: range) -> None:
    """Write every feed with these entries: a third each RSS in CDATA, RSS escaped, and Atom."""
    for number in range(feeds):
        (folder / f"{number}.xml").write_bytes(document(number, entries))


def document(number: int, entries: range) -> bytes:
    """One feed."""
    kind = ("cdata", "atom", "escaped")[number % 3]
    items = "".join(_item(kind, number, at) for at in reversed(entries))
    site = f"https://site{number}.example.com"
    if kind == "atom":
        text = (
            '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en">\n'
            f'<title>Site {number}</title><link href="{site}/"/><link rel="self" href="{site}/feed"/>'
            f"<id>{site}/</id><updated>{(START + timedelta(hours=entries[-1])).isoformat()}</updated>\n{items}</feed>\n"
        )
    else:
        text = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" '
            'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:atom="http://www.w3.org/2005/Atom">'
            f'<channel>\n<title>Site {number}</title><link>{site}/</link><atom:link rel="self" href="{site}/feed"/>'
            f"<description>News</description><language>en</language>\n{items}</channel></rss>\n"
        )
    return text.encode()


def _item(kind: str, number: int, at: int) -> str:
    dice = random.Random(f"{number}/{at}")
    when = START + timedelta(hours=at)
    title = html.escape(" ".join(dice.choices(WORDS, k=7)).title() + " & more")
    page = f"https://site{number}.example.com/{at}/story"
    text = _text(dice)
    if kind == "atom":
        return (
            f'<entry>\n  <title>{title}</title>\n  <link rel="alternate" type="text/html" href="{page}"/>\n'
            f"  <id>tag:site{number}.example.com,2026:{at}</id>\n  <published>{when.isoformat()}</published>\n"
            f"  <updated>{when.isoformat()}</updated>\n  <author><name>Ada Example</name></author>\n"
            f'  <category term="news"/>\n  <content type="html">{html.escape(text)}</content>\n</entry>\n'
        )
    body = f"<![CDATA[{text}]]>" if kind == "cdata" else html.escape(text)
    return (
        f"<item>\n  <title>{title}</title>\n  <link>{page}</link>\n"
        f'  <guid isPermaLink="false">{number}-{at}</guid>\n  <pubDate>{format_datetime(when)}</pubDate>\n'
        f"  <dc:creator>Ada Example</dc:creator>\n  <category>news</category>\n"
        f"  <description>A story.</description>\n  <content:encoded>{body}</content:encoded>\n</item>\n"
    )


def _text(dice: random.Random) -> str:
    length, parts = dice.randint(2_000, 3_000), list[str]()
    while sum(map(len, parts)) < length:
        words = " ".join(dice.choices(WORDS, k=dice.randint(30, 80)))
        link = f'<a href="https://news.example.com/{dice.randint(1, 9999)}?a=1&amp;b=2">{dice.choice(WORDS)}</a>'
        parts.append(f"<p>{words} {link} &ndash; <em>{dice.choice(WORDS)}</em>.</p>\n")
        if dice.random() < 0.2:
            parts.append(f'<img src="https://img.example.com/{dice.randint(1, 9999)}.jpg" alt="">')
    return "".join(parts)


def nginx() -> str | None:
    """Where nginx is; None if it is not installed."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


@contextmanager
def served(folder: Path, state: Path) -> Iterator[int]:
    """Serve the folder with ETag and Last-Modified; yields the port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    program = nginx()
    if program is not None:
        state.mkdir(exist_ok=True)
        config = state / "nginx.conf"
        config.write_text(
            f"daemon off; worker_processes 1; pid {state}/pid; error_log {state}/error.log;"
            + (" user root;" if os.geteuid() == 0 else "")
            + "events { worker_connections 1024; } http { access_log off; types { application/xml xml; }"
            f" client_body_temp_path {state}/body; keepalive_requests 100000; server {{ listen {HOST}:{port};"
            f" root {folder}; }} }}\n"
        )
        command = [program, "-c", str(config), "-p", str(state), "-e", f"{state}/error.log"]
    else:
        command = [sys.executable, "-m", "benchmarks.feeds_peers.static", str(folder), str(port)]
    server = subprocess.Popen(command)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    break
            time.sleep(0.05)
        else:
            raise SystemExit("error: the server does not start")
        yield port
    finally:
        server.terminate()
        server.wait(10)

"""A feed's life from day to day: a real server, the real pipeline, a real database, and a clock that a test moves."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.sax.saxutils import escape

from newsletter import pipeline
from newsletter.issues.render import Templates, default_templates
from newsletter.model import Disposition, Feed, FetchResult
from newsletter.stages import Parts, Publication
from tests.conftest import FakeClock, counting_ids
from tests.pipeline.parts import parts_for, publication_for

#: No looks: these tests are about what is in a letter.
LETTER = """<html><body>
{% for entry in entries %}<p>{{ entry.title }}</p>{% endfor %}
{% for section in sections %}{% for entry in section.more %}<p>{{ entry.title }}</p>{% endfor %}{% endfor %}
<a href="{{ unsubscribe_url }}">unsubscribe</a></body></html>
"""
CARRIED = (Disposition.shown, Disposition.headline, Disposition.duplicate)


@dataclass(frozen=True)
class Item:
    """A story as its feed has it today."""

    title: str
    guid: str = ""
    link: str = ""
    date: datetime | None = None
    text: str = ""

    def xml(self) -> str:
        parts = [
            f"<title>{escape(self.title)}</title>",
            f"<description>{escape(self.text or self.title)}</description>",
        ]
        if self.guid:
            parts.append(f'<guid isPermaLink="false">{escape(self.guid)}</guid>')
        if self.link:
            parts.append(f"<link>{escape(self.link)}</link>")
        if self.date:
            parts.append(f"<pubDate>{format_datetime(self.date)}</pubDate>")
        return f"<item>{''.join(parts)}</item>"


class Press:
    """A web server with one document at each path; it answers 304 to who has it already."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.answers: list[int] = []
        press = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = press.documents.get(self.path)
                tag = f'"{sha256(body or b"").hexdigest()[:16]}"'
                status = 503 if body is None else 304 if self.headers.get("If-None-Match") == tag else 200
                press.answers.append(status)
                self.send_response(status)
                if status == 200:
                    self.send_header("Content-Type", "application/rss+xml")
                    self.send_header("ETag", tag)
                self.send_header("Content-Length", str(len(body)) if status == 200 and body else "0")
                self.end_headers()
                if status == 200 and body:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Life:
    """One feed, read by one digest that takes all of its first document."""

    def __init__(self, folder: Path, press: Press, *, settle: float = 0.0, first_run: int | None = None) -> None:
        self.clock = FakeClock()
        self.press = press
        self.path = "/feed"
        self.feed = Feed(url=press.url + self.path, allow_private=True, settle=settle)
        self.parts: Parts = parts_for(folder, [], clock=self.clock, ids=counting_ids(), first_run=first_run)
        self.parts = replace(self.parts, digests_of={self.feed.url: ("daily",)})
        (folder / "templates").mkdir()
        self.letter = folder / "templates" / "issue.html.j2"
        self.letter.write_text(LETTER, encoding="utf-8")
        self.publication: Publication = replace(
            publication_for([]),
            feeds=(self.feed,),
            templates=Templates((folder / "templates", default_templates())),
        )
        self.results: list[FetchResult] = []

    def close(self) -> None:
        self.parts.store.close()

    def move_to(self, url: str) -> None:
        """The project names another address."""
        self.feed = replace(self.feed, url=url)
        self.parts = replace(self.parts, digests_of={url: ("daily",)})
        self.publication = replace(self.publication, feeds=(self.feed,))

    def publish(self, items: Iterable[Item], *, home: str = "https://news.example.com/") -> None:
        body = "".join(item.xml() for item in items)
        document = (
            '<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>'
            f"<link>{home}</link><description/>{body}</channel></rss>"
        )
        self.press.documents[self.path] = document.encode()

    def fail(self) -> None:
        """The server answers 503 from now on."""
        del self.press.documents[self.path]

    def poll(self, *, hours: float = 1) -> FetchResult:
        """Fetch now; then so many hours pass."""
        [result] = asyncio.run(pipeline.fetch(self.parts, [self.feed]))
        self.results.append(result)
        self.clock.advance(timedelta(hours=hours))
        return result

    def send(self, *, hours: float = 24) -> list[str]:
        """Fetch, and freeze an issue if anything is new; then so many hours pass.  Returns what it carries."""
        self.poll(hours=0)
        draft = pipeline.build(self.parts, self.publication)
        titles = []
        if draft.total:
            issue = pipeline.freeze(self.parts, self.publication, draft, slot=self.clock.now().isoformat())
            titles = [stored.entry.title for stored, _ in self.parts.store.issue_entries(issue.id)]
        self.clock.advance(timedelta(hours=hours))
        return sorted(titles)

    def days(self, *documents: Sequence[Item]) -> None:
        """Each document is what the feed has on one day, on which an issue is sent if anything is new."""
        for items in documents:
            self.publish(items)
            self.send()

    @property
    def issues(self) -> dict[str, list[int]]:
        """In which issues each story is, by its title as it stands there."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for issue in reversed(self.parts.store.issues("daily")):
            for stored, used in self.parts.store.issue_entries(issue.id):
                assert used.disposition in CARRIED
                found[stored.entry.title].append(issue.number)
        return dict(found)

"""A small letter, a hostile one, and the page that shows them as it is written to disk."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route

import newsletter
from tests.proof.browser import PICTURE, Scheme

PAGE = Path(newsletter.__file__).parent / "preview" / "page"
TABS = ("letter", "text", "markdown", "html", "source", "checks", "entries", "dashboard")
DATA_PICTURE = "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="

HTML = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="color-scheme" content="light dark">
<title>The Morning Wire</title>
<style>
:root {color-scheme: light dark;}
h1 {letter-spacing: 3px;}
@media (max-width: 480px) { h1 {letter-spacing: 1px;} }
@media (prefers-color-scheme: dark) { body {background-color: #101010 !important; color: #eeeeee !important;} }
</style>
</head>
<body style="margin: 0; background-color: #ffffff; color: #222222">
<h1>The Morning Wire</h1>
<p id="first"><a href="https://courier.example/1">The ferry sails again</a></p>
<p><img id="embedded" src="cid:boat" alt="A boat" width="100"></p>
<p><img id="remote" src="https://pictures.example/1.png" alt="A harbour" width="100"></p>
<div style="height: 2400px">A long letter.</div>
<p id="last">The end</p>
</body>
</html>
"""
LAST = 1 + HTML.splitlines().index('<p id="last">The end</p>')
HOSTILE = """<!DOCTYPE html><html><head>
<meta http-equiv="refresh" content="0; url=https://evil.example/refresh">
<base href="https://evil.example/">
<link rel="stylesheet" href="https://evil.example/style.css"><link rel="preconnect" href="https://evil.example/">
<script>top.ran = "script"; fetch("https://evil.example/script")</script>
</head><body onload="top.ran = 'onload'">
<img src="x" onerror="top.ran = 'onerror'"><svg onload="top.ran = 'svg'"></svg>
<iframe src="https://evil.example/frame"></iframe><object data="https://evil.example/object"></object>
<form id="form" action="https://evil.example/form" method="post"><input name="q" value="1"><button id="send">Send</button></form>
<p><a id="script" href="javascript:top.ran = 'link'">a script</a></p>
<p><a id="top" href="https://evil.example/top" target="_top">to the top</a></p>
<details open ontoggle="top.ran = 'toggle'"><summary>x</summary></details>
<style>@import url("https://evil.example/import.css"); p {background: url("https://evil.example/background.png")}
@font-face {font-family: x; src: url("https://evil.example/font.woff")} p {font-family: x}</style>
</script><!--</body>"""
MARKUP = """<img src=x onerror="window.ran = 'markup'"><script>window.ran = 'markup'</script>"""


def letter(html: str = HTML, words: str = "") -> dict[str, Any]:
    """The answer of /api/letter; `words` stand wherever a feed's words can stand."""
    entry = {"id": "1", "title": f"The ferry sails again{words}", "url": "https://courier.example/1", "feed": "courier"}
    entry |= {"feed_title": f"The Courier{words}", "section": "courier", "published_at": "2026-03-14T09:00:00Z"}
    other = {"id": "2", "title": "Goats at half price", "url": "javascript:top.ran=1", "fate": "excluded"}
    return {
        "revision": 1,
        "problem": None,
        "notices": [f"These are sample entries.{words}"],
        "sample": True,
        "past": False,
        "issue": {"digest": "daily", "number": 3, "date": "2026-03-15T06:00:00Z", "entries": 1},
        "reader": {"email": "ada@example.com", "name": "Ada Lovelace", "language": "en", "format": "html"},
        "from": {"name": f"The Morning Wire{words}", "email": "wire@example.com"},
        "subject": f"The ferry sails again{words}",
        "preheader": f"and seven more{words}",
        "html": html,
        "text": f"The Morning Wire\n\nThe ferry sails again{words}\n",
        "markdown": f"# The Morning Wire\n\n{words}",
        "source": f"Subject: x\nContent-Type: text/html\n\n{html}",
        "headers": [{"name": "Subject", "value": f"Fähre{words}", "raw": "=?utf-8?q?F=C3=A4hre?="}],
        "parts": [{"type": "text/html", "bytes": len(html), "name": ""}],
        "size": {"html": len(html), "limit": 90000, "clip": 102000, "message": len(html) + 400, "words": "HTML part"},
        "pictures": {"boat": DATA_PICTURE},
        "personal": False,
        "entries": [entry | {"fate": "shown", "why": f"new{words}"}, entry | other | {"why": f"a rule{words}"}],
        "sections": [{"word": "courier", "title": f"The Courier{words}", "entries": 1}],
        "milliseconds": 87,
    }


def findings(words: str = "") -> list[dict[str, Any]]:
    """The answer of /api/findings, one of every level."""
    common = {"what": f"daily{words}", "hint": f"mend it{words}", "why": f"It matters.{words}", "where": f"here{words}"}
    return [
        common | {"level": "error", "text": f"a fault{words}", "rule": "fault", "line": LAST},
        common | {"level": "warning", "text": "a smell", "rule": "smell", "line": 9},
        common | {"level": "ok", "text": "all else", "rule": "else", "line": None},
    ]


def frozen(html: str = HTML, words: str = "") -> dict[str, Any]:
    """All that the page holds when it is written to disk."""
    choice = {"digest": "daily", "issue": None, "as": None, "language": None, "format": None, "as_of": None}
    issue = {"digest": "daily", "number": 2, "subject": f"No. 2{words}", "frozen_at": "2026-03-14T06:00:00Z"}
    counted = {"sent": 9, "failed": 1, "unsettled": 0, "held": 0, "entries": 8, "counts": {"sent": 9, "failed": 1}}
    days = [{"day": f"2026-03-{day:02}", "entries": day % 3} for day in range(1, 31)]
    feed = {"url": "https://courier.example/", "title": f"The Courier{words}", "entries": 6, "held": 0, "per_day": days}
    asked = {"last_success_at": "2026-03-14T06:00:00Z", "last_attempt_at": "2026-03-15T06:00:00Z"}
    failing = {"status": "failing", "failures": 2, "last_error": f"answers 503{words}", "last_hint": f"wait{words}"}
    healthy = {"status": "ok", "failures": 0, "last_error": None, "last_hint": None}
    digest = {"name": "daily", "waiting": 8, "schedule": "mon-fri 07:00", "last_number": 2, "last_frozen_at": None}
    return {
        "project": {
            "title": f"The Morning Wire{words}",
            "version": "1",
            "folder": "wire",
            "digests": [{"name": "daily", "title": "The Morning Wire", "theme": "default", "waiting": 8}],
            "issues": [issue | {"words": "finished"}],
            "languages": [{"tag": "en", "name": "English"}],
            "smtp": None,
            "subscribers": 3,
            "choice": choice | {"hidden": [], "order": []},
        },
        "letter": letter(html, words),
        "findings": findings(words),
        "status": {
            "digests": [digest],
            "issues": [issue | counted | {"words": "finished"}],
            "feeds": [feed | asked | failing, feed | asked | healthy],
            "growth": [{"at": f"2026-03-{day}T06:00:00Z", "digest": "daily", "recipients": day} for day in (13, 14)],
            "subscribers": 3,
            "suppressions": 1,
            "spread": spread(words),
        },
        "pictures": {},
    }


def spread(words: str = "") -> dict[str, Any]:
    """Two machines at one issue, as `status --json` has them."""
    worker = {"shards": 2, "version": f"0.1.0{words}", "started_at": "2026-03-15T06:00:00Z", "notes": []}
    late = {"host": f"late.example{words}", "pid": 78, "notes": [f"older version{words}", "clock 12 s behind"]}
    counted = {"shards": 200, "sending": 4, "left": 150, "messages": 100_000, "backlog": 76_000, "waiting": 1_000}
    return {
        "workers": [worker | {"host": f"early.example{words}", "pid": 77}, worker | late],
        "shares": [counted | {"digest": "daily", "number": 2, "words": f"104/s, 12 min left{words}"}],
        "rates": [{"domain": "", "rate": "150/s", "used": 104}],
        "servers": [{"server": "mx.example:25", "seconds": 64.0, "prober": None, "reason": f"421 busy{words}"}],
        "nobody_sends": False,
    }


def write(folder: Path, data: dict[str, Any]) -> Path:
    """Write the page with its data into a folder; returns its index.html."""
    shutil.copytree(PAGE, folder)
    inside = json.dumps(data).replace("<", "\\u003c")
    index = folder / "index.html"
    html = index.read_text(encoding="utf-8")
    assert 1 == html.count("<!--frozen-->")
    element = f'<script type="application/json" id="frozen">{inside}</script>'
    index.write_text(html.replace("<!--frozen-->", element), encoding="utf-8")
    return index


@dataclass
class Shown:
    """The page in the browser, what it asked of the network, and what it complained of."""

    page: Page
    asked: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def inside(self, expression: str) -> Any:
        """Ask the letter's document, as `doc`."""
        return self.page.evaluate(f"() => {{ const doc = {FRAME}.contentDocument; return {expression} }}")

    def loads(self, pressed: str) -> None:
        """Press a key after which another copy of the letter comes into the frame, and wait for it."""
        self.page.evaluate(f"() => {{ {FRAME}.dataset.old = 'yes' }}")
        self.page.keyboard.press(pressed)
        self.page.wait_for_selector("#device iframe:not(.coming):not([data-old])")
        self.page.wait_for_timeout(100)


FRAME = "document.querySelector('#device iframe')"


@contextmanager
def shown(running: Browser, index: Path, *, width: int = 1400, scheme: Scheme = "light") -> Iterator[Shown]:
    """Open the page from disk; nothing but pictures is answered."""
    page = running.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(15000)
    view = Shown(page)

    def answer(route: Route) -> None:
        if route.request.url.startswith("file:"):
            route.continue_()
            return
        view.asked.append(route.request.url)
        if route.request.url.startswith("https://pictures.example/"):
            route.fulfill(body=PICTURE, content_type="image/png")
        else:
            route.abort()

    page.context.route("**/*", answer)
    page.on("pageerror", lambda error: view.errors.append(str(error)))
    try:
        page.goto(index.as_uri())
        page.wait_for_selector("#state[data-state=frozen]")
        page.wait_for_selector("#device iframe:not(.coming)")
        yield view
        assert [] == view.errors
    finally:
        page.context.close()

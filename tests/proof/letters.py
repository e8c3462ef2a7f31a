"""The letters that are proven: the bundled samples and a nasty one, built by the real pipeline at a fixed hour."""

import asyncio
import html
from datetime import UTC, datetime
from pathlib import Path

from newsletter.app.letters import Letter
from newsletter.app.letters import letter as next_letter
from newsletter.app.project import App
from newsletter.demo.feeds import SAMPLES
from tests.conftest import FakeClock, counting_ids

#: The hour the letters are of; a little after the newest sample entry.
HOUR = datetime(2026, 3, 15, 6, 0, tzinfo=UTC)
WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
LONG_URL = "https://gazette.example/" + "a-very-long-path/" * 16 + "?" + "q=1&" * 10
CODE = "for (;;) { " + "someFunctionWithALongName(withAnArgument, andAnother); " * 6 + "}"
#: The widest table that stays one; it scrolls where there is a style sheet.
WIDE = "<table><tr>" + "".join(f"<td>column {n} of a wide table</td>" for n in range(6)) + "</tr></table>"
WIDER = "<table>{}</table>".format(
    "".join(
        "<tr>" + "".join(f"<{cell}>{text.format(n)}</{cell}>" for n in range(14)) + "</tr>"
        for cell, text in (("th", "Year {}"), ("td", "1,{}34"), ("td", '<a href="https://x.example/{}">Harbour</a>'))
    )
)

_NASTY = {
    WORD: f"<p>{WORD}</p><p>{LONG_URL}</p>",
    "A wide table & <b>bold</b> title": WIDE + f"<pre><code>{CODE}</code></pre>",
    "A table of fourteen columns": WIDER,
    "Tables in a table": f"<table><tr>{f'<td>{WIDE}</td>' * 3}</tr></table>",
    "Pictures": '<p><img src="https://pictures.example/wide.png" width="1120" height="400" alt="A wide picture"></p>'
    '<p><img src="https://pictures.example/bare.png"></p><p><a href="https://x.example/"><img src="https://p.example/i.png"></a></p>',
    "Deep": "<div>" * 3_000 + "the bottom" + "</div>" * 3_000,
    "Hostile": "<script>fetch('https://evil.example/')</script><style>*{display:none;color:#eee}</style>"
    '<link rel="stylesheet" href="https://evil.example/a.css"><p style="position:fixed;width:2000px;color:#fff">text</p>'
    '<iframe src="https://evil.example/frame"></iframe><img src="https://evil.example/pixel" width="1" height="1">'
    '<form action="https://evil.example/"><input name="q"></form><h1>A heading of its own</h1><h5>And a smaller</h5>'
    '<a href="javascript:alert(1)">a script</a><a href="https://x.example/"></a></td></tr></table></body>',
    "": "<p>An entry without a title 🐐</p>",
    "{{ unsubscribe_url }} {% raw %}": "<p>{{ 7 * 7 }}</p>",
    "\u202eevil title": "<ul><li>one<ul><li>two<blockquote>three<pre>four</pre></blockquote></li></ul></li></ul>",
}
_HEBREW = {
    "המעבורת הפליגה שוב, ארבע דקות לפני הזמן": "<p>היא חצתה את המפרץ עם 90 נוסעים ו-<b>goat</b> אחת.</p>",
    "An English title in a Hebrew feed": "<p>English text, as it happens.</p>",
}


def _feed(path: Path, title: str, language: str, entries: dict[str, str]) -> Path:
    items = "".join(
        f"<item><title>{html.escape(heading)}</title><link>https://{path.stem}.example/{n}</link><guid>{n}</guid>"
        f"<pubDate>Sat, 14 Mar 2026 {n:02}:00:00 GMT</pubDate><description>{html.escape(body)}</description></item>"
        for n, (heading, body) in enumerate(entries.items())
    )
    path.write_text(
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>{title}</title><language>{language}</language>'
        f"<link>https://{path.stem}.example/</link><description/>{items}</channel></rss>",
        encoding="utf-8",
    )
    return path


def build(folder: Path, feeds: list[Path], more: str = "", *, theme: str = "default") -> Letter:
    """Build the letter of a project with these feeds, for Ada."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = "".join(f"  - {path}\n" for path in feeds)
    (folder / "newsletter.yaml").write_text(
        "title: The Morning Wire\nfrom: The Morning Wire <wire@example.com>\ntimezone: Europe/Berlin\n"
        f"postal_address: 1 Example Street, Berlin\n{more}digests: {{daily: {{theme: {theme}}}}}\nfeeds:\n{listed}",
        encoding="utf-8",
    )
    (folder / "subscribers.yaml").write_text("- email: ada@example.com\n  name: Ada Lovelace\n", encoding="utf-8")
    app = App.open(folder, clock=FakeClock(HOUR), ids=counting_ids())
    try:
        letter = asyncio.run(next_letter(app, None, app.subscriber("ada@example.com"), fetch_first=True))
    finally:
        app.close()
    assert letter.message, [result.error for result in letter.fetched]
    return letter


def sample_letter(folder: Path, theme: str = "default") -> Letter:
    """The letter of the bundled samples."""
    folder.mkdir(parents=True, exist_ok=True)
    feeds = []
    for sample in SAMPLES:
        feeds.append(folder / sample.name)
        feeds[-1].write_bytes(sample.body)
    return build(folder, feeds, theme=theme)


def nasty_letter(folder: Path, theme: str = "default") -> Letter:
    """A letter of all that feeds do to letters, in two directions of writing."""
    folder.mkdir(parents=True, exist_ok=True)
    feeds = [
        _feed(folder / "gazette.xml", "The Gazette &amp; Söhne", "de", _NASTY),
        _feed(folder / "hebrew.xml", "עיתון", "he", _HEBREW),
    ]
    return build(folder, feeds, "base_url: https://wire.example.com\nfirst_run: all\n", theme=theme)

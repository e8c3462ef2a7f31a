"""`newsletter archive`: a site of all issues, without anything of anybody, that is touched only where it changes."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import feedparser
import pytest
import sqlalchemy as sa

from newsletter.app import App
from newsletter.app.shelf import write_archive
from newsletter.delivery.links import Tokens
from newsletter.errors import NewsletterError
from newsletter.web.still.writing import MANIFEST, Written
from tests.cli.conftest import Wire, a_wire

URL = "https://past.example.com"
PEOPLE = """\
- {email: zoe.quill@example.com, name: Zoe Quill, language: de, attributes: {city: Arlington}}
- {email: bob.inkpen@example.com, name: Bob Inkpen}
- {email: cy.vellum@example.com, name: Cy Vellum, format: text}
"""
#: A template that decides on its reader, and prints what it knows of them.
PERSONAL = """{% extends "default/issue.html.j2" %}
{% block masthead %}{% if subscriber.name %}<p>For {{ subscriber.name|upper }}, {{ subscriber.email }},
{{ subscriber.attributes.city }}</p>{% else %}<p>For everybody</p>{% endif %}{{ super() }}{% endblock %}
"""
#: Each test works in a copy of one project, and sends from it.
MORE = f"on_copy: send\ndigests:\n  daily: {{}}\n  weekly: {{}}\narchive: {{url: '{URL}'}}\n"
HOSTILE = '&lt;img src=x onerror="alert(1)"&gt;&lt;script&gt;alert(2)&lt;/script&gt;'


@dataclass
class Press:
    """A project that has sent three issues of one digest and one of the other, and its archive."""

    wire: Wire
    feed: str

    @property
    def folder(self) -> Path:
        return self.wire.folder / "archive"

    def publish(self, *titles: str, digest: str = "daily") -> None:
        """Send an issue with new entries of these titles."""
        self.wire.web.feed(urlsplit(self.feed).path, *titles)
        done = self.wire("send", digest, "-y")
        assert 0 == done.code, done.err

    def write(self, out: Path | None = None, *, stop_at: int | None = None) -> Written:
        """Bring the archive up to date; `stop_at` is after which file it is killed."""

        def on_file(number: int, _: int) -> None:
            if number == stop_at:
                raise KeyboardInterrupt

        app = App.open(self.wire.folder)
        try:
            return write_archive(app, out, on_file=on_file)[1]
        finally:
            app.close()


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Press]:
    with a_wire(tmp_path_factory.mktemp("press")) as wire:
        feed = wire.web.url + "/news"
        wire.configure(feed, people=PEOPLE, more=MORE + "base_url: http://127.0.0.1:8000\n")
        (wire.folder / "templates").mkdir()
        (wire.folder / "templates" / "issue.html.j2").write_text(PERSONAL, encoding="utf-8")
        press = Press(wire, feed)
        press.publish("One", f"Two {HOSTILE}", "Three")
        press.publish("Four")
        press.publish("Five", "Six")
        press.publish("Seven", digest="weekly")
        yield press


@pytest.fixture
def press(printed: Press, tmp_path: Path) -> Press:
    """The same project in a folder of the test's own."""
    shutil.copytree(printed.wire.folder, tmp_path / "wire")
    return Press(Wire(tmp_path / "wire", printed.wire.web, printed.wire.mail), printed.feed)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stamps(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob("*")}


def dead_links(folder: Path) -> list[str]:
    """Links of what can be reached from the first page that lead nowhere."""
    files = contents(folder)
    found, seen, ahead = [], {"index.html"}, ["index.html"]
    while ahead:
        name = ahead.pop()
        for link in re.findall(r'(?:href|src)="([^"#]+)"', files[name].decode()):
            target = link.removeprefix(f"{URL}/") if link.startswith(URL) else urljoin(name, link)
            if urlsplit(target).scheme or target in seen:
                continue
            if target not in files:
                found.append(f"{name}: {link}")
                continue
            seen.add(target)
            if target.endswith((".html", ".xml")):
                ahead.append(target)
    return found


def test_nothing_of_any_subscriber_is_anywhere_in_it(press: Press) -> None:
    press.write()

    app = App.open(press.wire.folder)
    rows = [row for issue in app.store.issues() for row in app.store.deliveries(issue.id)]
    secret = app.store.secret(app.store.links_secret())
    tokens = {Tokens(secret, row_digest).of(row.key) for row_digest in ("daily", "weekly") for row in rows}
    app.close()
    private = {one for row in rows for one in (row.email, row.name, row.name.upper(), row.message_id)}
    needles = {*private, *tokens, "Arlington", "example.com/u/", "/p/daily/", "Quill", "Inkpen", "vellum"}
    assert 12 == len(rows)
    assert b"For everybody" in contents(press.folder)["i/daily/1.html"]
    assert [] == [
        (name, needle)
        for name, content in contents(press.folder).items()
        for needle in needles
        if needle.lower().encode() in content.lower()
    ]


def test_every_link_in_it_leads_somewhere_and_none_needs_a_server(press: Press) -> None:
    press.write()

    files = contents(press.folder)
    assert [] == dead_links(press.folder)
    assert {f"i/daily/{n}.{form}" for n in (1, 2, 3) for form in ("html", "de.html", "md", "eml")} <= files.keys()
    assert {"index.html", "style.css", "sitemap.xml", "robots.txt", "i/weekly/index.html"} <= files.keys()
    assert files["style.css"] not in files["index.html"]
    assert f"{URL}/i/weekly/1.html".encode() in files["sitemap.xml"]


def test_a_second_run_touches_nothing(press: Press) -> None:
    press.write()
    before, at = contents(press.folder), stamps(press.folder)

    done = press.write()

    assert ((), (), (), len(before) - 1) == (done.new, done.changed, done.removed, done.unchanged)
    assert before == contents(press.folder)
    assert at == stamps(press.folder)


def test_the_same_memory_gives_the_same_bytes_anywhere(press: Press, tmp_path: Path) -> None:
    press.write()
    press.write(tmp_path / "elsewhere")

    assert contents(press.folder) == contents(tmp_path / "elsewhere")


def test_a_new_issue_changes_only_what_tells_of_it(press: Press, tmp_path: Path) -> None:
    press.write()
    at = stamps(press.folder)
    press.publish("Eight")

    done = press.write()

    touched = {name for name, when in stamps(press.folder).items() if at.get(name) != when and "." in name}
    lists = {"index.html", "sitemap.xml", "i/daily/index.html", "i/daily/atom.xml", "i/daily/feed.json"}
    # The issue before has a way to the next now; the entries have no date and stand under today.
    assert lists | {"i/daily/3.html", "i/daily/3.de.html"} == set(done.changed) - {
        name for name in done.changed if name.startswith("entries/")
    }
    assert touched == {*done.new, *done.changed, MANIFEST}
    press.write(tmp_path / "fresh")
    assert contents(tmp_path / "fresh") == contents(press.folder)


def test_a_cancelled_issue_goes(press: Press, tmp_path: Path) -> None:
    press.write()
    assert 0 == press.wire("issue", "cancel", "2", "--digest", "daily").code

    done = press.write()

    assert {f"i/daily/2.{form}" for form in ("html", "de.html", "md", "eml")} == set(done.removed)
    assert [] == dead_links(press.folder)
    assert not [
        name for name, content in contents(press.folder).items() if name.startswith("i/daily") and b"Four" in content
    ]
    press.write(tmp_path / "fresh")
    assert contents(tmp_path / "fresh") == contents(press.folder)


def test_a_run_that_dies_leaves_a_site_and_the_next_one_goes_on(press: Press, tmp_path: Path) -> None:
    press.write()
    press.wire("issue", "cancel", "1", "--digest", "daily")
    press.publish("Eight")
    press.write(tmp_path / "whole")
    whole = contents(tmp_path / "whole")

    for turn, stop_at in enumerate(
        (1, 2, 3, 5, 8, 12, len(whole) // 2, len(whole) - 3, len(whole) - 2, len(whole) - 1)
    ):
        folder = tmp_path / "broken"
        shutil.copytree(press.folder, folder)
        with pytest.raises(KeyboardInterrupt):
            press.write(folder, stop_at=stop_at)
        assert [] == dead_links(folder)
        if turn % 3 == 1:
            press.write(folder)
            assert whole == contents(folder)
        shutil.rmtree(folder)


def test_a_letter_leads_to_its_page_before_that_is_written(tmp_path: Path) -> None:
    with a_wire(tmp_path) as wire:
        press = Press(wire, wire.web.url + "/news")
        wire.configure(press.feed, more="archive: {url: 'https://past.example.com/wire', out: public}\n")
        press.publish("One")
        message = message_from_bytes(wire.mail.caught[0].path.read_bytes(), policy=policy.default)
        texts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]

        done = wire("archive", "--json")

    assert all("https://past.example.com/wire/i/daily/1.html" in text for text in texts)
    assert "<https://past.example.com/wire/i/daily/index.html>" == message["List-Archive"]
    assert {"i/daily/1.html", "i/daily/index.html"} <= set(done.data["new"])
    assert (wire.folder / "public" / "i" / "daily" / "1.html").is_file()
    assert not (wire.folder / "public" / "robots.txt").exists(), "it counts at the root of a host only"


def test_both_feeds_of_issues_say_the_same_with_and_without_an_address(press: Press) -> None:
    for url in (f"{URL}/i/daily/", ""):
        if not url:
            config = press.wire.folder / "newsletter.yaml"
            config.write_text(config.read_text().replace(f"archive: {{url: '{URL}'}}\n", ""))
        press.write()
        files = contents(press.folder)

        atom = feedparser.parse(files["i/daily/atom.xml"])
        feed = json.loads(files["i/daily/feed.json"])

        assert not atom.bozo
        assert [f"{url}{n}.html" for n in (3, 2, 1)] == [one["url"] for one in feed["items"]]
        assert [(e.id, e.title, e.summary) for e in atom.entries] == [
            (one["id"], one["title"], one["content_text"]) for one in feed["items"]
        ]
        assert 3 == len({one["id"] for one in feed["items"]})
        assert "https://jsonfeed.org/version/1.1" == feed["version"]
        assert [] == dead_links(press.folder)


def test_a_message_in_it_is_to_nobody(press: Press) -> None:
    press.write()

    message = message_from_bytes(contents(press.folder)["i/daily/1.eml"], policy=policy.default)

    assert [] == [
        name for name in ("To", "List-Unsubscribe", "List-Unsubscribe-Post", "DKIM-Signature") if message[name]
    ]
    assert "<issue-1.daily@example.com>" == message["Message-ID"]
    assert ["text/plain", "text/html"] == [part.get_content_type() for part in message.iter_parts()]
    body = message.get_body(("plain",))
    assert body is not None
    assert f"{URL}/i/daily/1.html" in body.get_content()
    assert "mailto:" not in body.get_content(), "the pages are served: there one can leave"


def test_what_a_feed_says_cannot_act(press: Press) -> None:
    press.write()

    for name, content in contents(press.folder).items():
        if name.endswith((".html", ".xml")):
            assert b"<script" not in content.lower(), name
            assert b"<img src=x" not in content.lower(), name
        if name.endswith(".html"):
            assert content.find(b"Content-Security-Policy") < content.find(b"<title") or b"<title" not in content
            assert b"default-src 'none'" in content
    assert b"Two &lt;img" in contents(press.folder)["i/daily/1.html"]


def test_what_is_not_ours_is_not_written_over(press: Press) -> None:
    press.folder.mkdir()
    (press.folder / "CNAME").write_text("past.example.com\n")
    (press.folder / "i" / "weekly").mkdir(parents=True)
    (press.folder / "i" / "weekly" / "index.html").write_text("mine")

    done = press.wire("archive")

    assert 1 == done.code
    assert "i/weekly/index.html is there already" in done.err
    assert {"CNAME", "i/weekly/index.html"} == contents(press.folder).keys()
    (press.folder / "i" / "weekly" / "index.html").unlink()
    assert 0 == press.wire("archive").code
    assert "past.example.com\n" == (press.folder / "CNAME").read_text()


def test_the_project_itself_is_never_published(press: Press) -> None:
    for folder in (".", "..", ".newsletter"):
        done = press.wire("archive", "--out", folder)

        assert 2 == done.code, folder
        assert "whoever serves that folder would publish it" in done.err


def test_a_manifest_cannot_name_what_is_elsewhere(press: Press) -> None:
    press.write()
    path = press.folder / MANIFEST
    document = json.loads(path.read_bytes())
    record = {"sha256": "", "made": "", "of": {}}
    document["files"] |= dict.fromkeys(("../subscribers.yaml", "/etc/passwd", "i/../../newsletter.yaml"), record)
    path.write_text(json.dumps(document))

    assert () == press.write().removed
    assert (press.wire.folder / "subscribers.yaml").is_file()
    path.write_text("{")
    with pytest.raises(NewsletterError, match="cannot be read"):
        press.write()


def test_what_the_memory_forgets_the_archive_keeps(press: Press) -> None:
    press.write()
    before = contents(press.folder)
    app = App.open(press.wire.folder)
    with app.store._database.write() as connection:
        connection.execute(sa.text("DELETE FROM issue_entries WHERE issue_id = 1"))
    app.close()

    done = press.write()

    after = contents(press.folder)
    assert 2 == done.kept
    assert () == done.removed
    assert before.keys() == after.keys()
    assert [] == [name for name in before if name.startswith("entries/") and before[name] != after[name]]

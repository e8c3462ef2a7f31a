"""Coming from rss2email: its files are written by itself, then nothing it mailed is mailed by us, and all that is newer.

It runs as a program of its own, against servers on loopback.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from email import message_from_bytes, policy
from importlib.util import find_spec
from pathlib import Path

import pytest

from newsletter.demo.catcher import Catcher
from tests.cli.conftest import Wire, a_wire
from tests.pipeline.life import Item, Press

real = pytest.mark.skipif(
    find_spec("rss2email") is None, reason="rss2email is not installed: make lock, then make test"
)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        made.configure(more="first_run: 2\n")
        yield made


@pytest.fixture(scope="module")
def press() -> Iterator[Press]:
    press = Press()
    yield press
    press.close()


def document(*items: Item) -> bytes:
    body = "".join(item.xml() for item in items)
    return (
        '<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>https://news.example.com/</link>'
        f"<description/>{body}</channel></rss>"
    ).encode()


class Rss2email:
    """rss2email's two files in a folder, as written by itself."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.config, self.data = folder / "rss2email.cfg", folder / "rss2email.json"

    def run(self, *commands: tuple[str, ...]) -> None:
        """Run commands one after the other, in one process that is not ours."""
        files = ["-c", str(self.config), "-d", str(self.data)]
        script = "\n".join(["from rss2email.main import run", *(f"run({[*files, *words]!r})" for words in commands)])
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            # Its lock is in the runtime folder: with one of its own, no other rss2email is waited for.
            env={
                **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
                "XDG_RUNTIME_DIR": str(self.config.parent),
            },
        )
        assert 0 == done.returncode, done.stderr

    def mail_through(self, port: int) -> None:
        text = self.config.read_text(encoding="utf-8")
        for key, value in {
            "email-protocol": "smtp",
            "smtp-server": "127.0.0.1",
            "smtp-port": str(port),
            "from": "r2e@example.com",
        }.items():
            text, changed = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
            assert changed == 1
        self.config.write_text(text, encoding="utf-8")


def subject(message: bytes) -> str:
    return str(message_from_bytes(message, policy=policy.default)["Subject"])


def texts(wire: Wire, number: int) -> str:
    """The text part of the message caught as this one."""
    message = message_from_bytes(wire.mail.caught[number].path.read_bytes(), policy=policy.default)
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


OLD = [
    Item(
        title=f"Old story {n}",
        guid=f"tag:{n}",
        link=f"https://news.example.com/{n}",
        text=f"<p onclick='x()'>It <b>was</b> {n}<script>x</script> &amp; <a href='https://e.example.com/é'>more</a>.</p>",
    )
    for n in (3, 2, 1)
]
NEW = [
    Item(
        title=f"New story {n}", guid=f"tag:{n}", link=f"https://news.example.com/{n}", text=f"<p>It <i>is</i> {n}.</p>"
    )
    for n in (9, 8, 7, 6)
]


#: Feeds whose items have guids and links, links only, and neither.
KINDS = ("guids", "links", "words")


def items(kind: str, stories: Iterable[Item]) -> list[Item]:
    """Stories as a feed of this kind has them; titles say of which."""
    return [
        replace(
            one,
            title=f"{one.title} of {kind}",
            text=f"{one.text} ({kind})",
            guid=one.guid if kind == "guids" else "",
            link="" if kind == "words" else one.link.replace("news", kind),
        )
        for one in stories
    ]


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory, press: Press) -> Rss2email:
    """rss2email has mailed what was in three feeds; a fourth is paused."""
    folder = tmp_path_factory.mktemp("moving")
    press.documents = {f"/{kind}": document(*items(kind, OLD)) for kind in KINDS}
    tool = Rss2email(folder / "r2e")
    with Catcher(folder / "caught") as mail:
        tool.run(("new", "ada@example.com"))
        tool.mail_through(mail.port)
        adding = [("add", kind, f"{press.url}/{kind}") for kind in KINDS]
        tool.run(*adding, ("add", "paused", f"{press.url}/paused"), ("pause", "paused"), ("run",))
        mailed = sorted(subject(one.path.read_bytes()) for one in mail.caught)
    assert sorted(one.title for kind in KINDS for one in items(kind, OLD)) == mailed
    return tool


@real
def test_day_one_sends_nothing_twice_and_all_that_is_newer(tool: Rss2email, wire: Wire, press: Press) -> None:
    """Of feeds with guids, with links only, and with neither."""
    press.documents = {f"/{kind}": document(*items(kind, [*NEW, *OLD])) for kind in KINDS}
    before = tool.config.read_bytes(), tool.data.read_bytes()
    trial = wire("import-from", "rss2email", str(tool.config), "--allow-private", "-n")
    done = wire("import-from", "rss2email", str(tool.config.parent), "--allow-private")
    sent = wire("send", "-y")

    assert (tool.config.read_bytes(), tool.data.read_bytes()) == before
    assert (0, 0, 0) == (trial.code, done.code, sent.code)
    assert "3 feeds would be added" in trial.err
    assert "feed paused is paused" in done.err
    assert "9 entries are remembered as sent" in done.err
    assert 1 == len(wire.mail.caught)
    found = texts(wire, 0)
    assert {one.title for kind in KINDS for one in items(kind, NEW)} == set(re.findall(r"New story \d of \w+", found))
    assert "Old story" not in found
    assert "nothing is new" in wire("send", "-y").err
    why = wire("explain", "Old story 2 of words").out
    assert "daily: never to be sent: rss2email had sent it before the project came from there" in why


@real
def test_an_old_entry_that_comes_back_later_is_known_too(tool: Rss2email, wire: Wire, press: Press) -> None:
    """Two were in the feed when rss2email ran last, and not when we first read it."""
    press.documents = {f"/{kind}": document(*items(kind, [NEW[0], OLD[0]])) for kind in KINDS}
    wire("import-from", "rss2email", str(tool.config), "--seen", str(tool.data), "--allow-private")
    wire("fetch")
    press.documents = {f"/{kind}": document(*items(kind, [NEW[0], *OLD])) for kind in KINDS}
    wire("fetch")

    assert 3 == wire("status", "--json").data["digests"][0]["waiting"]


@real
def test_where_nothing_can_be_recognised_all_of_it_is_held(tool: Rss2email, wire: Wire, press: Press) -> None:
    press.documents = {f"/{kind}": document(*items(kind, NEW)) for kind in KINDS}
    wire("import-from", "rss2email", str(tool.config), "--allow-private")
    fetched = wire("fetch")

    assert 3 == fetched.out.count("none of the 4 entries is one that rss2email remembers having sent")
    assert 0 == wire("status", "--json").data["digests"][0]["waiting"]
    assert "4 held entries" in wire("feed", "release", f"{press.url}/guids").err
    assert 4 == wire("status", "--json").data["digests"][0]["waiting"]


def config(folder: Path, feeds: str, data: object) -> Path:
    (folder / "rss2email.cfg").write_text(f"[DEFAULT]\nfrom = r2e@example.com\n\n{feeds}", encoding="utf-8")
    (folder / "rss2email.json").write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return folder / "rss2email.cfg"


GOOD = "[feed.one]\nurl = https://news.example.com/rss\nname-format = %(feed-title)s: 100%\n"
STATE = {"version": 2, "feeds": [{"name": "one", "etag": None, "seen": {"a": {"id": None}, "https://x.example/b": {}}}]}


def test_the_form_before_the_last_is_read_too(wire: Wire, tmp_path: Path) -> None:
    old = {"version": 1, "feeds": [{"name": "one", "seen": {"a": "1", "b": "2"}}, {"name": "gone", "seen": {"c": "3"}}]}
    done = wire("import-from", "rss2email", str(config(tmp_path, GOOD, old)), "--json")

    assert [2] == [feed["sent"] for feed in done.data["feeds"]]
    assert ["feed gone of rss2email.json is not in rss2email.cfg"] == done.data["remarks"]


def test_feeds_that_are_there_already_get_what_was_sent_and_are_not_added(wire: Wire, tmp_path: Path) -> None:
    wire.web.feed("/a.xml", "a", "b", "c")
    wire.configure(f"{wire.web.url}/a.xml", more="first_run: 3\n")
    wire("fetch")
    feeds = f"[feed.one]\nurl = {wire.web.url}/a.xml\n"
    done = wire("import-from", "rss2email", str(config(tmp_path, feeds, STATE)), "--json")

    assert [("there already", 2, 1)] == [(f["became"], f["sent"], f["known"]) for f in done.data["feeds"]]
    assert 2 == wire("status", "--json").data["digests"][0]["waiting"]


@pytest.mark.parametrize(
    ("feeds", "data", "words"),
    [
        ("", STATE, "names no feeds"),
        ("[feed.one\nurl = x", STATE, "is no configuration of rss2email"),
        ("[feed.one]\nname = x\n", STATE, "feed one has no url"),
        (GOOD, "\x80pickle", "is no data file of rss2email 3"),
        (GOOD, "[]", "is no data file of rss2email that is known here"),
        (GOOD, {"version": 3, "feeds": []}, "is no data file of rss2email that is known here"),
        (GOOD, "[" * 100_000, "is no data file of rss2email 3"),
        ("[feed.one]\nurl = gopher://news.example.com/\n", STATE, "not over gopher"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_what_to_do(
    feeds: str, data: object, words: str, wire: Wire, tmp_path: Path
) -> None:
    before = (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")
    done = wire("import-from", "rss2email", str(config(tmp_path, feeds, data)))

    assert words in done.err + done.out
    assert "Traceback" not in done.err
    assert before == (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")


def test_without_its_data_file_only_the_feeds_are_brought_and_only_if_that_is_said(wire: Wire, tmp_path: Path) -> None:
    path = config(tmp_path, GOOD, STATE)
    (tmp_path / "rss2email.json").unlink()
    refused, only = (
        wire("import-from", "rss2email", str(path)),
        wire("import-from", "rss2email", str(path), "--feeds-only"),
    )

    assert (2, "hint: say --seen FILE; or --feeds-only, and the first issue is that of new feeds") == (
        refused.code,
        refused.err.splitlines()[-1],
    )
    assert (0, "1 feed added, 0 there already") == (only.code, only.err.splitlines()[-1])

"""Feeds over days, as a person sees them: what is told, what is shown, and what a person can do."""

import io
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from newsletter import __version__
from newsletter.cli.output import Output
from newsletter.cli.polled import sparkline, waiting_note
from newsletter.cli.watching import _Watch
from newsletter.model import FetchProgress
from tests.cli.conftest import Done, Wire
from tests.cli.test_meter import Terminal
from tests.conftest import FakeClock

#: A digest that waits for more than there is: its feeds are asked, and nothing is rendered.
QUIET = "digests: {daily: {min_entries: 99}}\n"


def warnings(done: Done) -> list[str]:
    return [line for line in done.err.splitlines() if line.startswith("warning: ")]


def states(wire: Wire) -> dict[str, str]:
    return {feed["url"].rpartition("/")[2]: feed["status"] for feed in wire("feed", "list", "--json").data}


# --------------------------------------------------------------------- told on change


def test_trouble_is_told_when_it_begins_and_when_it_ends_not_every_day(wire: Wire) -> None:
    wire.configure(wire.web.feed("/bad.xml", "Before"), more="failing_after: 2\n" + QUIET)
    assert warnings(wire("send", "-y")) == []
    wire.web.pages["/bad.xml"] = (500, b"")
    told = []
    for _ in range(3):
        done = wire("send", "-y")
        assert done.code == 0
        told.append((len(warnings(done)), "1 feed could not be read this time" in done.err, states(wire)["bad.xml"]))
    wire.web.feed("/bad.xml", "After")
    over = wire("send", "-y")

    assert told == [(0, True, "hiccup"), (1, False, "failing"), (0, True, "failing")]
    assert "News: can be read again" in over.err
    assert states(wire) == {"bad.xml": "ok"}


def test_what_send_tells_stands_in_its_json(wire: Wire) -> None:
    wire.configure(wire.web.url + "/missing.xml", wire.web.feed("/good.xml", "Good"), more=QUIET)
    [news] = wire("send", "-y", "--json").data["news"]
    assert (news["trouble"], news["over"]) == ("failing", False)
    assert news["url"].endswith("/missing.xml")
    assert "404" in news["words"]
    assert "newsletter feed remove" in news["hint"]


def test_a_look_at_what_would_be_sent_uses_nothing_up(wire: Wire) -> None:
    wire.configure(wire.web.url + "/missing.xml", wire.web.feed("/good.xml", "Good"), more=QUIET)
    assert len(warnings(wire("send", "--dry-run"))) == 1
    assert len(warnings(wire("send", "-y"))) == 1


# --------------------------------------------------------------------------- by hand


def test_a_feed_can_be_paused_and_resumed(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), wire.web.feed("/b.xml", "Two"), more=QUIET)
    assert wire("feed", "pause", wire.web.url + "/a.xml").code == 0
    assert wire("feed", "pause", wire.web.url + "/a.xml").err.strip().endswith("is paused already")
    done = wire("send", "-y")
    assert (done.code, wire.web.asked) == (0, ["/b.xml"])
    assert states(wire) == {"a.xml": "paused", "b.xml": "ok"}
    assert "paused by hand" in wire("feed", "list").out
    assert "1 paused" in wire("status").err
    assert wire("feed", "resume", wire.web.url + "/a.xml").code == 0
    assert wire("send", "-y").code == 0
    assert "/a.xml" in wire.web.asked
    assert wire("feed", "pause", "nowhere").code == 2


def test_a_feed_that_is_gone_says_so_and_waits(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), more=QUIET)
    wire("send", "-y")
    wire.web.pages["/a.xml"] = (410, b"")
    [warning] = warnings(wire("send", "-y"))
    assert "gone for good" in warning
    assert "it is not asked any more" in warning
    count = len(wire.web.asked)
    assert warnings(wire("send", "-y")) == []
    assert len(wire.web.asked) == count
    assert "newsletter feed resume" in wire("status").out
    assert "not asked: paused" in wire("fetch").out


def test_only_what_is_due_is_asked_and_the_next_time_is_named(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    assert "1 new" in wire("fetch", "--due").err
    done = wire("fetch", "--due")
    assert (done.code, len(wire.web.asked)) == (0, 1)
    assert done.err.startswith("no feed is due; the next one is at 20")
    assert wire("fetch", "--due", "--json").data == []
    assert wire("fetch", "--due", "News").code == 2
    assert wire("fetch", wire.web.url + "/a.xml").code == 0
    assert len(wire.web.asked) == 2


def test_the_list_shows_health_and_pace(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One", "Two", "Three"), wire.web.url + "/b.xml")
    wire("fetch")
    out = wire("feed", "list").out
    assert "▁▁▁▁▁▁▁▁▁▁▁▁▁█" in out
    assert "404" in out
    first, second = wire("feed", "list", "--json").data
    assert (first["entries"], first["a_day"], first["per_day"][-1]["entries"]) == (3, 0.2, 3)
    assert first["next_at"] > first["last_success_at"]
    assert (second["status"], second["troubles"][0]["trouble"]) == ("failing", "failing")


@pytest.mark.parametrize(
    ("numbers", "bars"), [((), ""), ((0, 0), "▁▁"), ((0, 1, 2, 4, 8), "▁▂▃▅█"), ((1000, 1), "█▂"), ((7,), "█")]
)
def test_a_sparkline(numbers: tuple[int, ...], bars: str) -> None:
    assert bars == sparkline(numbers)


# ------------------------------------------------------------------------- new addresses


def test_new_addresses_are_written_where_the_old_ones_stood_and_the_past_stays(wire: Wire) -> None:
    old, new = wire.web.url + "/old.xml", wire.web.url + "/new.xml"
    wire.web.feed("/new.xml", "One")
    wire.web.pages["/old.xml"], wire.web.fields["/old.xml"] = (301, b""), {"Location": "/new.xml"}
    wire.configure()
    before = f"""\
title: The Morning Wire
from: wire@example.com
# The papers.
feeds:
  - {{url: "{old}", allow_private: true}}   # the morning one
  - url: {wire.web.feed("/other.xml", "Two")}
    allow_private: true
digests:
  daily:
    feeds: ['{old}', {wire.web.url}/other.xml]   # both
    sections: [{old}]
smtp: {{host: 127.0.0.1, port: {wire.mail.port}, tls: none}}
"""
    path = wire.folder / "newsletter.yaml"
    path.write_text(before, encoding="utf-8")
    assert "no feed has moved for good" in wire("feed", "update-addresses").err
    [warning] = warnings(wire("send", "-y"))
    assert f"has moved for good to {new}" in warning
    assert warnings(wire("send", "-y")) == []
    assert "newsletter feed update-addresses" in wire("status").out

    assert wire("feed", "update-addresses", "--json").data == {"updated": {old: new}, "left": {}}
    assert path.read_text(encoding="utf-8") == before.replace("/old.xml", "/new.xml")
    wire.web.feed("/new.xml", "Three", "One")
    sent = len(wire.mail.caught)
    assert wire("send", "-y").code == 0
    letter = wire.mail.caught[sent].path.read_text(encoding="utf-8")
    assert ("Three" in letter, "About One" in letter) == (True, False)
    assert wire("feed", "update-addresses").err.strip() == "no feed has moved for good"


def test_an_address_that_cannot_be_written_is_named(wire: Wire) -> None:
    host = wire.web.url.removeprefix("http://")
    wire.web.feed("/new.xml", "One")
    for name in ("/a.xml", "/b.xml"):
        wire.web.pages[name], wire.web.fields[name] = (301, b""), {"Location": "/new.xml"}
    wire.configure(wire.web.url + "/a.xml", wire.web.url + "/new.xml", f"http://ada:hunter2@{host}/b.xml")
    before = (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")
    wire("fetch")
    done = wire("feed", "update-addresses")

    assert done.code == 3
    assert "is in the project already" in done.err
    assert "there is a login in the address" in done.err
    assert "hunter2" not in done.err
    assert before == (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------- manners


@pytest.mark.parametrize(
    ("more", "agent"),
    [
        ("", f"newsletter/{__version__} (+mailto:wire@example.com)"),
        ("base_url: https://wire.example.com\n", f"newsletter/{__version__} (+https://wire.example.com)"),
        ("user_agent: The Wire, ask ada@example.com\n", "The Wire, ask ada@example.com"),
    ],
)
def test_every_request_says_whom_to_write_to(wire: Wire, more: str, agent: str) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), more=more)
    assert wire("fetch").code == 0
    assert wire.web.headers["/a.xml"]["User-Agent"] == agent


# ------------------------------------------------------------------------------- secrets


def secret_project(wire: Wire, lines: str) -> None:
    wire.configure()
    path = wire.folder / "newsletter.yaml"
    feed = f"feeds:\n  - url: {wire.web.feed('/a.xml', 'One')}\n    allow_private: true\n{lines}"
    path.write_text(path.read_text(encoding="utf-8").replace("feeds: []\n", feed), encoding="utf-8")


def test_a_feed_may_have_a_login_whose_password_stands_elsewhere(wire: Wire, tmp_path: Path) -> None:
    basic = f"Basic {b64encode(b'ada:hunter2').decode()}"
    file = tmp_path / "password"
    file.write_text("hunter2\n", encoding="utf-8")
    file.chmod(0o600)
    for lines, field, value in (
        ("    username: ada\n    password_env: PAPER\n", "Authorization", basic),
        (f"    username: ada\n    password_file: {file}\n", "Authorization", basic),
        ("    username: ada\n    password_command: printf hunter2\n", "Authorization", basic),
        ('    headers: {X-Key: "key {password}"}\n    password_env: PAPER\n', "X-Key", "key hunter2"),
    ):
        secret_project(wire, lines)
        done = wire("fetch", "-v", PAPER="hunter2")
        assert done.code == 0, done.err
        assert wire.web.headers["/a.xml"][field] == value
        assert "hunter2" not in done.out + done.err


def test_a_password_that_is_missing_fails_its_feed_only(wire: Wire) -> None:
    secret_project(
        wire,
        f"    username: ada\n    password_env: PAPER\n  - url: {wire.web.feed('/b.xml', 'Two')}\n    allow_private: true\n",
    )
    done = wire("fetch")
    assert done.code == 3
    assert "the environment variable PAPER is not set" in done.out
    assert wire.web.asked == ["/b.xml"]


# ------------------------------------------------------------------------------ progress


def test_the_note_says_who_is_waited_for() -> None:
    assert "" == waiting_note(FetchProgress(done=3, total=3, failed=0))
    assert "waiting for The Paper" == waiting_note(
        FetchProgress(done=2, total=3, failed=0, waiting_for="The Paper", waiting=1)
    )
    assert "2 failed, waiting for The Paper and 3 others" == waiting_note(
        FetchProgress(done=2, total=9, failed=2, waiting_for="The Paper", waiting=4)
    )


def test_a_terminal_shows_how_far_the_round_is(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with _Watch(Output(json=False, quiet=False, verbose=False), clock, ask=False) as watch:
        for done in range(3):
            watch.fetching(FetchProgress(done=done, total=3, failed=done, waiting_for="slow.example", waiting=3 - done))

    shown = stream.getvalue()
    assert "feeds" in shown
    assert "2/3" in shown
    assert "2 failed, waiting for slow.example" in shown


def test_without_a_terminal_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with _Watch(Output(json=False, quiet=False, verbose=False), clock, ask=False) as watch:
        watch.fetching(FetchProgress(done=0, total=1, failed=0, waiting_for="slow.example", waiting=1))

    assert "" == stream.getvalue()

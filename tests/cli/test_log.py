"""`--log json`: every line is an event, and none tells who reads or what lets one in."""

import io
import json
import logging
import re
import sys
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.app import App
from newsletter.cli.log import JsonLog
from newsletter.cli.output import Output
from newsletter.cli.run import _Listener
from newsletter.errors import StoreError
from newsletter.text import masked
from tests.cli.conftest import Done, Wire
from tests.cli.servers import Moody
from tests.conftest import ROOT, FakeClock


def events(done: Done) -> list[dict[str, Any]]:
    """The lines of both streams, which a journal has together; each must be one object."""
    return [json.loads(line) for line in (done.out + done.err).splitlines()]


def written(say: Any, *, verbose: bool = False) -> dict[str, Any]:
    """The one event that comes of it."""
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        say(Output(json=False, quiet=False, verbose=verbose, log=JsonLog(FakeClock())))
    [line] = stream.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


PEOPLE = ("ada@example.com", "grace.hopper@navy.example.com", "mary@example.org")
PASSWORD = "a-password-nobody-may-see"


def test_a_whole_send_is_a_log_that_a_program_can_read_and_names_nobody(wire: Wire, moody: Moody) -> None:
    moody.replies = {PEOPLE[1]: f"550 5.1.1 <{PEOPLE[1]}>: unknown", PEOPLE[2]: "450 4.2.1 later"}
    feed = wire.web.feed("/a.xml", "One \u202e story of eve@example.net", "Two")
    secret = wire.web.url.replace("//", "//keeper:hidden-word@") + "/gone.xml?token=s3cr3t"
    wire.configure(feed, secret, people="".join(f"- {email}\n" for email in PEOPLE), smtp=moody.smtp)

    done = wire("send", "-y", "--log", "json", "-v", NEWSLETTER_SMTP_PASSWORD=PASSWORD)

    found = events(done)
    assert (3, [PEOPLE[0]]) == (done.code, moody.taken)
    assert {"time", "level", "event", "message"} <= set.intersection(*map(set, found))
    names = [event["event"] for event in found]
    assert {"feed.polled", "issue.frozen", "issue.delivered", "issue.waits"} <= set(names)
    [issue] = [event for event in found if event["event"] == "issue.delivered"]
    assert ("daily", 1, {"sent": 1, "deferred": 1, "failed": 1}) == (issue["digest"], issue["issue"], issue["counts"])
    [bad] = [event for event in found if event["event"] == "feed.polled" and event.get("error")]
    assert re.fullmatch(r"http://\*\*\*@127\.0\.0\.1:\d+/gone\.xml\?token=\*\*\*", bad["feed"])
    for hidden in (*PEOPLE, PASSWORD, "eve@", "hidden-word", "s3cr3t", "\u202e"):
        assert hidden not in done.out + done.err


def test_what_stops_a_run_is_an_event_too(wire: Wire) -> None:
    wire.configure()
    (wire.folder / "newsletter.yaml").write_text("title: [\n", encoding="utf-8")

    done = wire("send", "-y", "--log", "json", "--debug")

    [event] = events(done)
    assert (2, "error", "error", 2) == (done.code, event["level"], event["event"], event["code"])
    assert "ConfigError" in event["traceback"][-1]


def test_a_log_asks_nobody(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))

    [event] = events(wire("send", "--log", "json"))

    assert "nobody to ask" in event["message"]


def test_what_is_due_is_told_by_slot(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), more="digests:\n  daily: {schedule: 'daily 07:00'}\n")

    [event] = events(wire("send", "--due", "--log", "json"))

    assert ("slot.none", "daily") == (event["event"], event["digest"])


def test_who_stays_up_says_what_is_to_come_and_what_is_the_matter(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), more="digests:\n  daily: {schedule: 'daily 07:00'}\n")
    trouble = StoreError("the database is damaged", hint="newsletter db info")
    with closing(App.open(wire.folder, clock=FakeClock())) as app:
        began = written(lambda out: _Listener(out).began(app))
        troubled = written(lambda out: _Listener(out).troubled(trouble))

    assert ("run.began", 1, {"daily": "2026-03-03T06:00:00+00:00"}) == (began["event"], began["feeds"], began["next"])
    assert ("error", "run.troubled", "newsletter db info") == tuple(troubled[key] for key in ("level", "event", "hint"))


def test_the_words_are_for_people_and_the_facts_for_programs() -> None:
    facts = written(lambda out: out.say("two feeds", event="feeds.polled", feeds=2, failed=None))

    assert ["time", "level", "event", "message", "feeds"] == list(facts)
    assert ("2026-03-02T07:00:00.000+00:00", "info", "feeds.polled", "two feeds", 2) == tuple(facts.values())


def test_libraries_write_into_the_same_log(capsys: pytest.CaptureFixture[str]) -> None:
    log = JsonLog(FakeClock())
    log.take_over_libraries()
    logging.getLogger("asyncio").error("Task of %s was never retrieved", "ada@example.com")
    log.close()
    logging.getLogger("asyncio").handle(logging.makeLogRecord({"levelno": logging.ERROR, "msg": "x"}))

    event = json.loads(capsys.readouterr().err.splitlines()[0])
    assert ("error", "library", "asyncio") == (event["level"], event["event"], event["logger"])
    assert "Task of a***@example.com was never retrieved" == event["message"]


@given(
    text=st.text(), facts=st.dictionaries(st.text(max_size=5), st.lists(st.text(max_size=5), max_size=2), max_size=3)
)
def test_whatever_is_said_is_one_line_that_commands_no_terminal(text: str, facts: dict[str, Any]) -> None:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        JsonLog(FakeClock()).write("info", "note", text, facts)

    line = stream.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    assert masked(text) == json.loads(line)["message"] or "message" in facts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to grace@example.com, a@b.example", "to g***@example.com, a***@b.example"),
        ("<grace.hopper+x@example.com>:", "<g***@example.com>:"),
        ("grace%40example.com", "g***%40example.com"),
        ("https://me:pw@feeds.example/x?a=1", "https://***@feeds.example/x?a=1"),
        ("https://feeds.example/x?api_key=12&b=2&auth=3", "https://feeds.example/x?api_key=***&b=2&auth=***"),
        ("2 of 3 at 07:00, a=b", "2 of 3 at 07:00, a=b"),
        ("https://social.example/@somebody/feed.rss", "https://social.example/@somebody/feed.rss"),
    ],
)
def test_who_is_meant_and_what_lets_one_in_are_masked(text: str, shown: str) -> None:
    assert shown == masked(text)


def test_every_event_is_described() -> None:
    used = {
        name
        for path in (ROOT / "newsletter").rglob("*.py")
        for name in re.findall(r"\bevent=\"([a-z.]+)\"", path.read_text(encoding="utf-8"))
    }
    described = set(
        re.findall(r"^\| `([a-z.]+)`", (ROOT / "docs" / "logs.md").read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert used
    assert set() == (used | {"note", "warning", "error", "library"}) ^ described

"""What goes wrong is said once, with its place and what to do, and nothing is lost."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.cli.conftest import Wire, call


def test_no_project_says_how_to_make_one(tmp_path: Path) -> None:
    done = call("status", cwd=tmp_path)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert "newsletter init" in done.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "newsletter.yaml"),
        ("title: A\ntitle: B\n", "newsletter.yaml:2"),
        ("a: &x 1\nb: *x\n", "newsletter.yaml:1"),
        ("title: [1\n", "newsletter.yaml:"),
        ("title: T\nfrom: nobody\nfeeds: []\n", "newsletter.yaml:2: from:"),
        ("title: T\nfrom: a@example.com\nfeedz: []\n", "did you mean"),
        ("title: no\nfrom: a@example.com\nfeeds: []\n", "newsletter.yaml:1: title:"),
        (
            "title: T\nfrom: a@example.com\nfeeds:\n  - url: https://a.example/\n    max_entries: many\n",
            "newsletter.yaml:5: feeds[0].max_entries:",
        ),
        (
            "title: T\nfrom: a@example.com\nfeeds: []\nsmtp: {host: mail.example.com, password: hunter2}\n",
            "password_env",
        ),
    ],
)
def test_a_mistake_in_the_config_is_named_with_its_line(wire: Wire, text: str, words: str) -> None:
    (wire.folder / "newsletter.yaml").write_text(text, encoding="utf-8")
    done = wire("check")
    assert done.code == 2
    assert words in done.err
    assert "Traceback" not in done.err
    assert "hunter2" not in done.err


def test_all_mistakes_are_told_at_once(wire: Wire) -> None:
    (wire.folder / "newsletter.yaml").write_text(
        "titel: T\nfrom: nobody\ntimezone: Mars/Olympus\nfeeds: []\n", encoding="utf-8"
    )
    errors = [line for line in wire("check").err.splitlines() if line.startswith("error: ")]
    assert len(errors) >= 3


def test_a_bad_person_stops_the_send_before_anybody_is_mailed(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people="- ada@example.com\n- not an address\n- ADA@example.com\n")
    done = wire("send", "-y")
    assert done.code == 2
    assert "subscribers.yaml:2" in done.err
    assert "subscribers.yaml:3" in done.err
    assert wire.inbox() == []
    wire.configure(wire.web.url + "/a.xml")
    assert wire("send", "-y").code == 0
    assert wire.inbox() == ["ada@example.com"]


def test_nobody_to_mail_loses_no_entry(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people="[]\n")
    done = wire("send", "-y")
    assert done.code == 1
    assert "newsletter subscriber add" in done.err
    wire("subscriber", "add", "ada@example.com")
    assert wire("send", "-y").code == 0
    assert wire.inbox() == ["ada@example.com"]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ((404, b"gone"), "404"),
        ((500, b""), "500"),
        ((200, b""), "empty"),
        ((200, b"<html><head><title>Log in</title></head></html>"), "web page"),
        ((200, b"{}"), "feed"),
        ((200, b"\x00\xff\x00"), "feed"),
    ],
)
def test_a_bad_feed_delays_only_itself(wire: Wire, page: tuple[int, bytes], words: str) -> None:
    good = wire.web.feed("/good.xml", "Good")
    wire.web.pages["/bad.xml"] = page
    wire.configure(wire.web.url + "/bad.xml", good)
    done = wire("send", "-y")
    assert (done.code, wire.inbox()) == (0, ["ada@example.com"])
    assert any(
        line.startswith("warning: ") and "/bad.xml" in line and words.lower() in line.lower()
        for line in done.err.splitlines()
    )
    assert [feed["status"] for feed in wire("feed", "list", "--json").data] == ["failing", "ok"]
    wire.web.feed("/bad.xml", "Better now")
    assert wire("send", "-y").code == 0
    assert "Better now" in wire.mail.caught[-1].path.read_text(encoding="utf-8")


def test_an_unreachable_feed_is_named_and_fetch_says_part(wire: Wire) -> None:
    wire.configure(wire.web.feed("/good.xml", "Good"), "http://127.0.0.1:9/feed")
    assert wire("fetch").code == 3


def test_a_private_address_is_refused_without_leave(wire: Wire) -> None:
    url = wire.web.feed("/a.xml", "One")
    wire.configure()
    done = wire("feed", "add", url)
    assert done.code == 1
    assert "allow" in done.err
    assert wire.web.asked == []


def test_a_dead_mail_server_loses_nothing(wire: Wire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    wire.configure(wire.web.feed("/a.xml", "One"), smtp=f"{{host: 127.0.0.1, port: {port}, tls: none}}")
    done = wire("send", "-y")
    assert done.code == 1
    assert f"127.0.0.1:{port}" in done.err
    wire.configure(wire.web.url + "/a.xml")
    again = wire("send", "-y")
    assert (again.code, wire.inbox()) == (0, ["ada@example.com"]), again.err


def test_a_template_error_names_file_and_line_and_nothing_is_sent(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    (wire.folder / "templates").mkdir()
    template = wire.folder / "templates" / "issue.html.j2"
    template.write_text("<p>\n{{ nonsense }}\n</p>\n", encoding="utf-8")
    done = wire("send", "-y")
    assert done.code == 2
    assert done.err.startswith("error: templates/issue.html.j2:2: "), done.err
    assert wire.inbox() == []
    template.unlink()
    assert wire("send", "-y").code == 0
    assert wire.inbox() == ["ada@example.com"]


def test_no_mail_to_reserved_domains_beyond_this_machine(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), smtp="{host: mail.news.example, port: 587}")
    done = wire("send", "-y")
    assert done.code == 1
    assert "reserved" in done.err
    assert wire("status", "--json").data["issues"] == []


def test_a_second_send_is_told_to_come_back(wire: Wire) -> None:
    import fcntl

    wire.configure(wire.web.feed("/a.xml", "One"))
    assert wire("fetch").code == 0
    with (wire.folder / ".newsletter" / "newsletter.db.send.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = wire("send", "-y")
    assert done.code == 75
    assert wire.inbox() == []


def test_a_damaged_database_is_refused_and_nothing_is_mailed(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    assert wire("fetch").code == 0
    (wire.folder / ".newsletter" / "newsletter.db").write_bytes(b"not a database at all" * 500)
    for leftover in (wire.folder / ".newsletter").glob("newsletter.db-*"):
        leftover.unlink()
    done = wire("send", "-y")
    assert done.code == 1
    assert "hint: " in done.err
    assert wire.inbox() == []


def test_unknown_digest_feed_person_and_command(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    for words in (
        ["send", "dayly", "-y"],
        ["fetch", "nowhere"],
        ["feed", "remove", "nowhere"],
        ["subscriber", "remove", "x@example.com"],
        ["preview", "--as", "x@example.com"],
        ["sned"],
    ):
        done = wire(*words)
        assert done.code == 2, (words, done.err)
        assert "Traceback" not in done.err


def test_no_traceback_without_debug_and_one_with_it(wire: Wire) -> None:
    wire.configure()
    (wire.folder / "subscribers.yaml").unlink()
    assert "Traceback" not in wire("subscriber", "list").err
    assert "Traceback" in wire("subscriber", "list", "--debug").err


class _Picky:
    """A mail server's manners: refuses some people, and whoever does not know the password."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: object, session: object, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address.startswith("gone"):
            return "550 5.1.1 no such person"
        if address.startswith("later"):
            return "451 4.7.1 greylisted, come back"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        self.taken += envelope.rcpt_tos
        return "250 taken"


@pytest.fixture
def picky() -> Iterator[tuple[_Picky, int]]:
    handler = _Picky()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=port,
        auth_require_tls=False,
        authenticator=lambda server, session, envelope, mechanism, data: AuthResult(
            success=data.password == b"right", handled=False
        ),
    )
    controller.start()
    yield handler, port
    controller.stop()


def test_a_refused_person_keeps_nobody_else_from_their_mail(wire: Wire, picky: tuple[_Picky, int]) -> None:
    handler, port = picky
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people="- ada@example.com\n- gone@example.com\n- later@example.com\n- grace@example.com\n",
        smtp=f"{{host: 127.0.0.1, port: {port}, tls: none, username: wire, password_env: PICKY}}",
    )
    done = wire("send", "-y", PICKY="right")
    assert (done.code, sorted(handler.taken)) == (3, ["ada@example.com", "grace@example.com"]), done.err
    assert "run newsletter send again after" in done.err
    failed = wire("delivery", "list", "--status", "failed", "--json").data
    assert [(row["email"], row["code"], row["answer"]) for row in failed] == [
        ("gone@example.com", 550, "550 5.1.1 no such person")
    ]
    assert [row["email"] for row in wire("delivery", "list", "--status", "deferred", "--json").data] == [
        "later@example.com"
    ]
    assert wire("status", "--json").data["issues"][0]["counts"] == {"sent": 2, "deferred": 1, "failed": 1}


def test_a_wrong_password_pauses_the_issue_and_the_right_one_lets_it_go(wire: Wire, picky: tuple[_Picky, int]) -> None:
    handler, port = picky
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people="- ada@example.com\n- grace@example.com\n",
        smtp=f"{{host: 127.0.0.1, port: {port}, tls: none, username: wire, password_env: PICKY}}",
    )
    done = wire("send", "-y", PICKY="hunter2")
    assert (done.code, handler.taken) == (1, [])
    assert "hunter2" not in done.out + done.err
    issue = wire("status", "--json").data["issues"][0]
    assert (issue["counts"], issue["words"].startswith("paused: ")) == ({"queued": 2}, True)
    again = wire("send", "-y", PICKY="right")
    assert (again.code, sorted(handler.taken)) == (0, ["ada@example.com", "grace@example.com"]), again.err


def test_what_a_person_has_paused_waits_for_that_person(wire: Wire, picky: tuple[_Picky, int]) -> None:
    handler, port = picky
    smtp = f"{{host: 127.0.0.1, port: {port}, tls: none, username: wire, password_env: PICKY}}"
    wire.configure(wire.web.feed("/a.xml", "One"), smtp=smtp)
    wire("send", "-y", PICKY="wrong")
    assert wire("issue", "pause", "1").code == 0
    assert wire("send", "-y", PICKY="right").code == 0
    assert handler.taken == []
    assert wire("issue", "resume", "1").code == 0
    assert wire("send", "-y", PICKY="right").code == 0
    assert handler.taken == ["ada@example.com"]

"""The whole way of a letter through real servers: Postfix, OpenDKIM, Dovecot, and back over IMAP."""

import asyncio
import os
import re
import smtplib
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest

from newsletter.app.project import App
from newsletter.app.send import Watcher, send
from newsletter.clock import LateClock
from tests.cli.conftest import call_process
from tests.mailpath.conftest import Project
from tests.mailpath.postoffice import DOMAIN, PASSWORD, PATH, PATIENCE, RECEIVER

pytestmark = pytest.mark.xdist_group("mailpath")

#: What the way itself puts before a message.
TRACE = {"return-path", "delivered-to", "received", "authentication-results"}
READERS = tuple(f"reader{number}" for number in range(24))
WINDOWS = pytest.mark.parametrize("window", [1, 4], ids=["pipelining", "chunking"])


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def verifies_ed25519() -> bool:
    done = subprocess.run(["opendkim", "-V"], env={"PATH": PATH}, capture_output=True, text=True, check=True)
    return "ed25519-sha256" in done.stdout + done.stderr


# ------------------------------------------------------------------------------ arrived


@WINDOWS
def test_a_letter_arrives_byte_for_byte_as_it_was_signed(project: Project, window: int) -> None:
    """Postfix, the milter and Dovecot put lines before it; what follows them is the outbox's own message."""
    project.configure(
        "{email: ada@example.com, name: Žofie Łódź}",
        "{email: grace@example.com, format: text}",
        more=f"window: {window}",
    )

    done = project("send", "-y")

    assert 0 == done.code, done.err
    for name in ("ada", "grace"):
        expected = project.letter(name)
        [raw] = project.received(name)
        assert expected == raw[-len(expected) :]
        trace = parsed(raw[: -len(expected)] + b"\r\n")
        assert TRACE == {key.lower() for key in trace}
        assert (f"<wire@{DOMAIN}>", f"{name}@{DOMAIN}") == (trace["Return-Path"], trace["Delivered-To"])
        assert " with ESMTPSA id " in trace.get_all("Received", [])[-1]


@WINDOWS
def test_the_receiving_side_finds_the_signatures_good_and_the_way_out_signed(project: Project, window: int) -> None:
    project.configure("ada", more=f"window: {window}")

    assert 0 == project("send", "-y").code

    [raw] = project.received("ada")
    letter = parsed(raw)
    results = letter["Authentication-Results"]
    assert results.startswith(f"{RECEIVER};")
    found = {selector: verdict for verdict, selector in re.findall(r"dkim=(\w+)[^;]* header\.s=(\w+)", results)}
    assert "pass" == found["rsa"]
    if verifies_ed25519():
        assert "pass" == found["ed25519"]
    assert "List-Unsubscribe=One-Click" == letter["List-Unsubscribe-Post"]
    assert letter["List-Unsubscribe"].startswith("<https://wire.example.com/")
    for signature in letter.get_all("DKIM-Signature", []):
        signed = re.sub(r"\s", "", re.search(r"h=([^;]*)", signature)[1]).lower().split(":")  # type: ignore[index]
        assert {"list-unsubscribe", "list-unsubscribe-post", "message-id"} <= set(signed)


def test_a_letter_changed_on_the_way_is_found_out(project: Project) -> None:
    """The milter of these tests can say no: a signature of another letter does not pass."""
    project.configure("ada")
    assert 0 == project("send", "-y").code
    raw = project.letter("ada").replace(b"The ferry", b"The canoe")

    with smtplib.SMTP("localhost", project.office.port, timeout=PATIENCE) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(project.office.ca_file)))
        client.login(f"wire@{DOMAIN}", PASSWORD)
        client.sendmail(f"wire@{DOMAIN}", [f"grace@{DOMAIN}"], raw)

    [changed] = project.received("grace", to="ada")
    assert "dkim=pass" not in parsed(changed)["Authentication-Results"]
    assert "dkim=fail" in parsed(changed)["Authentication-Results"]


@pytest.mark.parametrize(
    ("window", "verb", "other"), [(1, "data", "bdat"), (4, "bdat", "data")], ids=["pipelining", "chunking"]
)
def test_everybody_gets_one_copy_over_several_connections(project: Project, window: int, verb: str, other: str) -> None:
    project.configure(*READERS, more=f"window: {window}, connections: 4, per_connection: 5")

    with project.office.listening() as commands:
        done = project("send", "-y")

    assert 0 == done.code, done.err
    assert dict.fromkeys(READERS, 1) == project.copies()
    assert (len(READERS), len(READERS)) == (commands["mail"], commands["rcpt"])
    # The first message over a connection comes in two chunks.
    assert len(READERS) <= commands[verb] <= len(READERS) + commands["auth"]
    assert other not in commands
    assert commands["auth"] == commands["starttls"] >= len(READERS) / 5


def test_two_sends_at_once_mail_everybody_once(project: Project) -> None:
    """The second comes while the first is in the middle of it, and goes away again."""
    project.configure(*READERS[:5], more="connections: 1")
    asked, released = threading.Event(), threading.Event()

    def hold_up(_: str) -> str:
        asked.set()
        assert released.wait(PATIENCE)
        return "dunno"

    project.office.policy = hold_up
    with ThreadPoolExecutor() as pool:
        first = pool.submit(call_process, "send", "-y", cwd=project.folder, **project.environment)
        assert asked.wait(PATIENCE)
        second = project("send", "-y")
        released.set()

    assert (0, 75) == (first.result().code, second.code), first.result().err + second.err
    assert dict.fromkeys(READERS[:5], 1) == project.copies()


# -------------------------------------------------------------------------- not arrived


def test_somebody_who_is_asked_to_come_later_gets_it_in_a_later_send(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a greylisting server does; the others are not held up, and nothing comes twice."""
    project.configure("ada", "grace")
    asked: list[str] = []

    def greylist(recipient: str) -> str:
        asked.append(recipient)
        is_new = recipient == f"ada@{DOMAIN}" and asked.count(recipient) == 1
        return "450 4.2.0 Greylisted, see you in five minutes" if is_new else "dunno"

    project.office.policy = greylist
    first, at_once = project("send", "-y"), project("send", "-y")

    assert (3, 3) == (first.code, at_once.code), first.err + at_once.err
    assert "450" in str(project.rows()["ada"]["answer"])
    assert {"ada": "deferred", "grace": "sent"} == {name: row["state"] for name, row in project.rows().items()}
    assert [f"ada@{DOMAIN}", f"grace@{DOMAIN}"] == sorted(asked)

    for name, value in project.environment.items():
        monkeypatch.setenv(name, value)
    later = App.open(project.folder, clock=LateClock(301))
    try:
        asyncio.run(send(later, None, watch=Watcher(), stop=asyncio.Event()))
    finally:
        later.close()

    assert {"sent"} == {row["state"] for row in project.rows().values()}
    assert {"ada": 1, "grace": 1} == project.copies()


def test_a_bounce_comes_back_to_the_sender_and_names_whom_and_which_letter(project: Project) -> None:
    """Nobody knows yet that the mailbox is not there when the letter is taken (RFC 3464)."""
    project.configure("ada", "gone")

    assert 0 == project("send", "-y").code

    assert "sent" == project.rows()["gone"]["state"]
    project.office.settle()
    ours = f"<{project.rows()['gone']['message_id']}>".encode()
    [raw] = [raw for raw in project.office.mailbox("wire") if ours in raw]
    report = parsed(raw)
    assert ("multipart/report", "delivery-status") == (report.get_content_type(), report.get_param("report-type"))
    words, status, returned = report.iter_parts()
    assert "text/plain" == words.get_content_type()
    assert "message/delivery-status" == status.get_content_type()
    about_all, about_one = cast(list[EmailMessage], status.get_payload())
    assert "dns; mx.far.test" == about_all["Reporting-MTA"]
    assert (f"rfc822; gone@{DOMAIN}", "failed", "5.1.1") == tuple(
        about_one[name] for name in ("Final-Recipient", "Action", "Status")
    )
    assert about_one["Diagnostic-Code"].startswith("smtp; 550 5.1.1 ")
    assert "message/rfc822" == returned.get_content_type()
    assert ours.decode() == returned.get_content()["Message-ID"]
    assert 1 == len(project.received("ada"))


# -------------------------------------------------------------------------- not let in


def test_a_wrong_password_pauses_the_issue_and_mails_nobody(project: Project) -> None:
    project.configure("ada")

    with project.office.listening() as commands:
        done = project("send", "-y", NEWSLETTER_SMTP_PASSWORD="not this one")

    assert 1 == done.code
    assert f"could not log in to localhost:{project.office.port} as wire@{DOMAIN}: 535 5.7.8 " in done.err
    assert "queued" == project.rows()["ada"]["state"]
    assert "mail" not in commands
    assert commands["auth"] <= 3

    assert 0 == project("issue", "resume", "1").code
    assert 0 == project("send", "-y").code
    assert {"ada": 1} == project.copies()


def test_a_server_whose_certificate_nobody_vouches_for_gets_no_password(project: Project) -> None:
    project.configure("ada")

    with project.office.listening() as commands:
        done = project("send", "-y", SSL_CERT_FILE=os.devnull)

    assert 1 == done.code
    assert "cannot be trusted" in done.err
    assert {"auth", "mail"}.isdisjoint(commands)

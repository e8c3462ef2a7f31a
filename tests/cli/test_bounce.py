"""`bounce`: what comes back, from the server's refusal to the story of a person."""

import re
from pathlib import Path

import pytest

from newsletter.delivery.returnpath import ReturnPath
from tests.cli.conftest import Wire
from tests.cli.servers import Moody
from tests.people.reports import absence, complaint, dsn, letter

ADA, GRACE = "ada@example.com", "grace@example.com"
BOTH = f"- {ADA}\n- {GRACE}\n"


def mailbox(wire: Wire, *mails: bytes) -> Path:
    folder = wire.folder / "reports"
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for mail in mails:
        number = sum(1 for name in ("new", "cur") for _ in (folder / name).iterdir())
        (folder / "new" / f"{number}.host").write_bytes(mail)
    return folder


def sent(wire: Wire, more: str = "bounces: {maildir: reports}\n", people: str = BOTH) -> dict[str, str]:
    """Send an issue; by address, the Message-IDs of its messages."""
    wire.configure(wire.web.feed("/a.xml", "One"), people=people, more=more)
    assert 0 == wire("send", "-y").code
    return {row["email"]: row["message_id"] for row in wire("delivery", "list", "--json").data}


def suppressed(wire: Wire) -> dict[str, str]:
    return {row["email"]: row["reason"] for row in wire("suppression", "list", "--json").data}


def test_a_report_is_read_and_the_next_issue_skips_the_person(wire: Wire) -> None:
    ids = sent(wire)
    mailbox(wire, dsn(ADA, message_id=ids[ADA]), absence(), letter("hello"))

    done = wire("bounce", "scan")
    again = wire("bounce", "scan")

    assert 0 == done.code, done.err
    assert "ada@example.com: hard, 550 5.1.1" in done.err
    assert ": suppressed (bounced)" in done.err
    assert "3 messages read in maildir:" in done.err
    assert "1 hard, 1 other, 1 reply; mail to 1 stopped" in done.err
    assert "0 messages read" in again.err
    assert {ADA: "bounced"} == suppressed(wire)
    wire.web.feed("/a.xml", "Two", "One")
    assert 0 == wire("send", "-y").code
    assert [ADA, GRACE, GRACE] == wire.inbox()


def test_explain_tells_the_story_with_dates_words_and_proof(wire: Wire) -> None:
    ids = sent(wire)
    mailbox(
        wire,
        dsn(ADA, message_id=ids[ADA], status="4.2.2", said="452 4.2.2 mailbox full"),
        dsn(ADA, message_id="nothing@of.ours", number=2),
        dsn(ADA, message_id=ids[ADA], status="5.7.1", said="550 5.7.1 spam", number=3),
    )
    wire("bounce", "scan")

    done = wire("explain", ADA)
    told = wire("explain", ADA, "--json").data

    assert [("soft", True), ("hard", False), ("policy", True)] == sorted(
        ((row["kind"], row["counts"]) for row in told["bounces"]),
        key=lambda row: ["soft", "hard", "policy"].index(row[0]),
    )
    assert "452 4.2.2 mailbox full" in done.out
    assert "it returned our Message-ID" in done.out
    assert told["bounce_story"] in done.out
    assert (
        "1 soft bounce within 30 days; 5 stop mail. 1 refusal for policy or content, which blame nobody. "
        "1 report without proof that we wrote there: they count for nothing." == told["bounce_story"]
    )
    assert {} == suppressed(wire)


def test_a_forged_report_is_listed_with_what_to_do(wire: Wire) -> None:
    sent(wire)
    mailbox(wire, dsn(ADA))

    done = wire("bounce", "scan")
    listed = wire("bounce", "list", "--unproven")
    shown = wire("bounce", "show", "1")

    assert "1 bounce without proof that we wrote there: kept, and counted for nothing" in done.err
    assert "hint: newsletter bounce list --unproven" in done.err
    assert "newsletter suppression add ada@example.com --reason bounced" in listed.err
    assert "hard, 5.1.1" in shown.out
    assert "no proof" in shown.out
    assert "Final-Recipient: rfc822; ada@example.com" in shown.out
    assert "1 bounces have no proof" in wire("status").err
    assert {} == suppressed(wire)


def test_check_looks_into_the_mailbox(wire: Wire) -> None:
    wire.configure(more="bounces: {maildir: reports}\n")
    missing = wire("check")
    mailbox(wire, dsn(ADA))
    there = wire("check")
    wire.configure(more="bounces: {address: reports@example.com}\n")
    nobody = wire("check")

    assert "cannot be used: no such file" in missing.out + missing.err
    assert "1 messages in maildir:" in there.out + there.err
    assert "reports go to reports@example.com, and nothing here reads them" in nobody.out + nobody.err


def test_a_dry_run_says_what_is_there_and_changes_nothing(wire: Wire) -> None:
    ids = sent(wire)
    folder = mailbox(wire, complaint(ids[ADA], to=ADA))

    done = wire("bounce", "scan", "--dry-run", "--json")

    assert {"complaint": 1} == done.data["kinds"]
    assert ["0.host"] == [path.name for path in (folder / "new").iterdir()]
    assert ([], {}) == (wire("bounce", "list", "--json").data, suppressed(wire))


def test_each_message_has_a_return_path_of_its_own(wire: Wire) -> None:
    sent(wire, "bounces: {address: reports@example.com, verp: true, maildir: reports}\n")
    senders = [caught.sender for caught in wire.mail.caught]

    assert 2 == len(set(senders))
    assert all(re.fullmatch(r"reports\+[0-9a-f]+-[a-z2-7]{16}@example\.com", one) for one in senders), senders
    mailbox(
        wire,
        f"Return-Path: <>\nFrom: MAILER-DAEMON@old.test\nTo: {senders[0]}\nSubject: failure notice\n\n"
        "550 5.1.1 User unknown\n".encode(),
    )
    wire("bounce", "scan")
    assert {wire.mail.caught[0].recipients[0]: "bounced"} == suppressed(wire)


def test_without_verp_reports_go_to_the_address_and_without_one_to_the_sender(wire: Wire) -> None:
    sent(wire, "bounces: {address: reports@example.com}\n", people=f"- {ADA}\n")
    wire.configure(wire.web.feed("/a.xml", "Two", "One"), people=f"- {ADA}\n")
    wire("send", "-y")

    assert ["reports@example.com", "wire@example.com"] == [caught.sender for caught in wire.mail.caught]


def test_what_the_server_says_at_once_counts_by_the_same_rules(wire: Wire, moody: Moody) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people=BOTH + "- karl@example.com\n- mae@example.com\n",
        smtp=moody.smtp,
    )
    moody.replies[ADA] = "550 5.1.1 no such person"
    moody.replies["karl@example.com"] = "550 5.7.1 not from you, no such user"
    moody.replies["mae@example.com"] = "550 user unknown"
    wire("send", "-y")

    assert {ADA: "bounced", "mae@example.com": "bounced"} == suppressed(wire)
    told = wire("explain", ADA, "--json").data
    assert ["the mail server said so while we were sending"] == [row["proof"] for row in told["bounces"]]
    assert ["policy"] == [row["kind"] for row in wire("explain", "karl@example.com", "--json").data["bounces"]]
    assert "is suppressed" in wire("issue", "resend", "1", "--to", ADA).err
    listed = wire("bounce", "list")
    assert "550 5.1.1 no such person" in listed.out
    assert "0 reports, 3 refusals while we were sending" in listed.err

    wire("suppression", "remove", ADA)
    moody.replies.clear()
    assert 0 == wire("issue", "resend", "1", "--to", ADA).code
    assert ADA in moody.taken


def test_a_project_may_want_no_refusal_to_stop_mail(wire: Wire, moody: Moody) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people=BOTH, smtp=moody.smtp, more="bounces: {hard: 0, soft: 0}\n")
    moody.replies[ADA] = "550 5.1.1 no such person"
    wire("send", "-y")

    assert {} == suppressed(wire)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["bounce", "scan"], 2, "the project names no mailbox for reports"),
        (["bounce", "scan", "--maildir", "nowhere"], 1, "the maildir nowhere cannot be used: no such file"),
        (["bounce", "scan", "--maildir", "a", "--imap", "imaps://a@b/c"], 2, "two mailboxes"),
        (["bounce", "scan", "--imap", "imaps://a:secret@b/c"], 2, "--imap must be an address such as"),
        (["bounce", "scan", "--imap", "imap.example.com"], 2, "--imap must be an address such as"),
        (["bounce", "scan", "--imap", "imaps://a@127.0.0.1:1/c"], 1, "no IMAP password"),
        (["bounce", "show", "7"], 2, "there is no report 7"),
    ],
)
def test_what_cannot_be_is_said_plainly(wire: Wire, words: list[str], code: int, said: str) -> None:
    wire.configure()

    done = wire(*words)

    assert (code, True) == (done.code, said in done.err), done.err
    assert "secret" not in done.err


def test_a_mailbox_that_went_away_ends_in_part(wire: Wire) -> None:
    ids = sent(wire)
    folder = mailbox(wire, dsn(ADA, message_id=ids[ADA]))
    (folder / "cur").rmdir()
    (folder / "cur").write_text("no folder")

    done = wire("bounce", "scan")

    assert 1 == done.code
    assert "cannot be used: not a directory" in done.err


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("{verp: true}", "bounces.verp: needs an `address`"),
        ("{address: a+b@example.com, verp: true}", "bounces.address: has a + in it already"),
        (f"{{address: {'a' * 31}@example.com, verp: true}}", "bounces.address: has more than 30 characters"),
        ("{address: nonsense}", "bounces.address: 'nonsense' is not an e-mail address"),
        ("{maildir: a, imap: {host: b, username: c}}", "bounces.imap: there is maildir as well"),
        ("{imap: {host: mail.example.com, username: c, tls: none}}", "bounces.imap.tls: sends the password in clear"),
        ("{imap: {host: a, username: c, password: d}}", "does not belong in this file"),
        ("{imap: {host: a, username: c, password_env: D, password_file: e}}", "password_file: there is password_env"),
        ("{imap: {host: a}}", "bounces.imap.username: is missing"),
        ("{unproven: believe}", "bounces.unproven: must be keep or count"),
        ("{days: 0}", "bounces.days: must be at least 1"),
        ("{sofft: 3}", "bounces.sofft: no such setting: did you mean soft?"),
    ],
)
def test_a_mistake_in_the_block_is_named_with_its_line(wire: Wire, block: str, said: str) -> None:
    wire.configure(more=f"bounces: {block}\n")

    done = wire("bounce", "list")

    assert 2 == done.code
    assert "newsletter.yaml:4: " in done.err
    assert said in done.err


def test_a_return_path_is_short_survives_other_cases_and_cannot_be_made_up() -> None:
    path = ReturnPath("bounces@example.com", b"k" * 32)
    one = path.of(12345)

    # With the longest name that the config lets through, and more deliveries than there will be (RFC 5321 §4.5.3.1.1).
    assert 64 == len(ReturnPath(f"{'b' * 30}@example.com", b"k" * 32).of(2**64 - 1).partition("@")[0])
    assert (12345,) == path.deliveries_in(f"it came to <{one.upper()}>, and {path.of(1)[:-1]}")
    assert () == path.deliveries_in(one.replace("3039-", "303a-"))
    assert () == ReturnPath("bounces@example.com", b"x" * 32).deliveries_in(one)
    assert () == ReturnPath("other@example.com", b"k" * 32).deliveries_in(one)
    assert "bounces@example.com" == ReturnPath("bounces@example.com").of(1)

"""What a report says: of whom, how bad, and about which message; whatever the bytes."""

import os
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.model import BounceKind
from newsletter.people.bounces.classify import classify
from newsletter.people.bounces.letter import LIMIT
from newsletter.people.bounces.reading import MOST, Report, read_report
from tests.people.reports import OURS, absence, complaint, dsn, letter


def recipients(report: Report) -> set[str]:
    return {email.lower() for said in report.said for email in said.recipients}


# ------------------------------------------------------------------------- the corpus


def index(corpus: Path) -> list[list[str]]:
    rows = (corpus / "bounces" / "INDEX.tsv").read_text(encoding="utf-8").splitlines()
    return [row.split("\t") for row in rows[1:]]


def test_every_recipient_of_the_corpus_is_found(corpus: Path) -> None:
    missing = {}
    for name, _, _, _, expected, *_ in index(corpus):
        found = recipients(read_report((corpus / "bounces" / name).read_bytes()))
        if left := {email.lower() for email in expected.split()} - found:
            missing[name] = left

    assert {} == missing


def test_nothing_of_the_corpus_is_hard_that_its_suite_calls_soft(corpus: Path) -> None:
    """`hardbounce` is the suite's own verdict; what it calls temporary must not be hard either."""
    wrong, right = [], 0
    for name, _, _, kind, _, _, action, expected, _ in index(corpus):
        found = read_report((corpus / "bounces" / name).read_bytes()).kind
        # reason/hardbounce per recipient; flufl's rows say `temporary:` or nothing.
        is_hard = any(one.split("/")[3:4] == ["1"] for one in expected.split(";"))
        says_soft = ("/" in expected and not is_hard) or expected.startswith("temporary") or action == "delayed"
        if found is BounceKind.hard and (says_soft or kind != "bounce"):
            wrong.append(name)
        right += found is BounceKind.hard and is_hard

    assert [] == wrong
    # A reader that calls nothing hard would pass the first half.
    assert right >= 10


def test_a_notice_of_absence_and_an_ordinary_mail_of_the_corpus_are_told_apart(corpus: Path) -> None:
    kinds = {
        name: read_report((corpus / "bounces" / name).read_bytes()).kind
        for name in ("sisimai__rfc3834-03.eml", "sisimai-not__is-not-bounce-01.eml", "sisimai__arf-11.eml")
    }

    assert [BounceKind.reply, BounceKind.other, BounceKind.complaint] == list(kinds.values())


# -------------------------------------------------------------------------- the forms


def test_a_delivery_report_names_recipient_code_words_and_message() -> None:
    report = read_report(dsn(original="Ada+lists@example.com"))

    assert BounceKind.hard is report.kind
    [said] = report.said
    assert ("ada@example.com", "Ada+lists@example.com") == said.recipients
    assert ("5.1.1", True) == (said.meaning.status, "User unknown" in said.meaning.words)
    assert (OURS,) == report.message_ids


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded"])
def test_a_report_of_success_is_no_bounce(action: str) -> None:
    report = read_report(dsn(action=action, status="2.0.0", said="250 fine"))

    assert (BounceKind.other, ()) == (report.kind, report.said)


def test_an_old_report_from_nobody_is_read_all_the_same() -> None:
    """Words that only flufl.bounce knows; without a sender, or one in bytes that are no text, it must not give up."""
    text = b"Subject: failure notice\n\nHi. This is the qmail-send program at old.test.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<ada@example.com>:\nSorry, no mailbox here by that name. (#5.1.1)\n\n--- Below this line is a copy of the message.\n\nX: y\n"

    for sender in (b"", b"From:\n", b"From: caf\xe9 <\xff>\n", b"From: M <mailer-daemon@old.test>\n"):
        report = read_report(sender + text)
        assert ({"ada@example.com"}, BounceKind.hard) == (recipients(report), report.kind)


def test_a_delay_is_no_bounce_yet() -> None:
    assert BounceKind.delay is read_report(dsn(action="delayed", status="4.4.1", said="450 no answer")).kind


def test_a_spam_report_is_a_complaint_and_one_about_authentication_is_not() -> None:
    assert BounceKind.complaint is read_report(complaint()).kind
    assert (OURS,) == read_report(complaint()).message_ids
    assert BounceKind.other is read_report(complaint(kind="auth-failure")).kind
    assert BounceKind.other is read_report(complaint(kind="not-spam")).kind


def test_an_answer_by_a_machine_blames_nobody_whatever_it_quotes() -> None:
    report = read_report(absence())

    assert (BounceKind.reply, ()) == (report.kind, report.said)


def test_a_receipt_is_an_answer_by_a_machine() -> None:
    receipt = dsn().replace(b"delivery-status", b"disposition-notification")

    assert BounceKind.reply is read_report(receipt).kind


def test_a_mail_by_a_person_is_none_of_it() -> None:
    assert (BounceKind.other, ()) == (
        (report := read_report(letter("Thank you", body="My mailbox is full of joy, user unknown"))).kind,
        report.said,
    )


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 5.1.1 <ada@example.com> User unknown", BounceKind.hard),
        ("550 No such user here", BounceKind.hard),
        ("550 5.1.2 Host unknown", BounceKind.hard),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", BounceKind.hard),
        ("550 5.2.1 The email account that you tried to reach is disabled", BounceKind.hard),
        ("554 delivery error: This user doesn't have an example.com account", BounceKind.hard),
        ("550-5.1.1 The email account that you tried to reach does not exist. Please try", BounceKind.hard),
        ("550 5.7.1 User unknown", BounceKind.policy),
        ("550 5.7.26 Unauthenticated email from example.com is not accepted", BounceKind.policy),
        ("554 5.1.1 blocked using bl.example.net", BounceKind.policy),
        ("550 5.1.1 203.0.113.222 has sent to too many recipients this hour", BounceKind.policy),
        ("552 5.3.4 Message too large", BounceKind.policy),
        ("550 Message content rejected", BounceKind.policy),
        ("550 5.1.8 Sender address rejected: Domain not found", BounceKind.policy),
        ("554 Relay access denied", BounceKind.policy),
        ("552 5.2.2 Mailbox full", BounceKind.soft),
        ("550 user is over quota", BounceKind.soft),
        ("550 5.4.1 Recipient address rejected: Access denied", BounceKind.soft),
        ("450 4.1.1 user unknown", BounceKind.soft),
        ("550 5.2.1 mailbox temporarily disabled", BounceKind.soft),
        ("550 account suspended", BounceKind.soft),
        ("550 Requested action not taken: mailbox unavailable", BounceKind.soft),
        ("550 Unknown user ada@example.com (in reply to end of DATA)", BounceKind.soft),
        ("550", BounceKind.soft),
    ],
)
def test_only_a_mailbox_or_a_domain_that_is_not_there_is_hard(answer: str, expected: BounceKind) -> None:
    assert expected is classify(diagnostic=answer, is_direct=True).kind


def test_what_an_old_gateway_writes_to_people_stops_no_mail_at_once() -> None:
    assert BounceKind.soft is classify(context="Unable to deliver to <ada@example.com>: 550 No such user here").kind
    assert BounceKind.hard is classify(context="Remote host said: 550 5.1.1 User unknown").kind


# -------------------------------------------------------------------------- hostile bytes


def in_time(raw: bytes, *, size: int | None = None) -> Report:
    began = time.process_time()
    report = read_report(raw, size=size)

    assert time.process_time() - began < 5
    return report


def test_of_a_report_of_fifty_megabytes_the_beginning_is_read() -> None:
    huge = dsn() + b"x" * 50_000_000
    report = in_time(huge[:LIMIT], size=len(huge))

    assert (BounceKind.hard, len(huge)) == (report.kind, report.size)


def test_ten_thousand_parts_and_five_hundred_levels_are_no_trouble() -> None:
    flat = b"From: MAILER-DAEMON@x.test\nContent-Type: multipart/mixed; boundary=c\n\n" + b"--c\n\nx\n" * 10_000
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(500))
    nested = b"Content-Type: message/rfc822\n\n" * 500
    status = b"Content-Type: multipart/report; boundary=c\n\n--c\nContent-Type: message/delivery-status\n\n" + (
        b"Final-Recipient: rfc822; a%d@example.com\nAction: failed\nStatus: 5.1.1\n\n" * 3000 % tuple(range(3000))
    )

    for raw in (flat, deep, b"From: MAILER-DAEMON@x.test\nSubject: failure notice\n" + nested, deep + dsn()):
        in_time(raw)
    assert MOST == len(in_time(status).said)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n\n",
        b"\x00\xff" * 1000,
        b"Subject: a\r\nX\r\n\r\n",
        dsn().replace(b"us-ascii", b"no-such-charset"),
        dsn().replace(b"us-ascii", b"utf-16"),
        b'Content-Type: text/plain; charset="utf-8\xd0\x00x"\n\ncaf\xe9 \xff',
        dsn().replace(b"text/plain; charset=us-ascii", b"text/plain\nContent-Transfer-Encoding: base64"),
        dsn().replace(b"Subject: Undelivered", b"Subject: =?utf-8?b?////?= =?x-none?q?=0D=0ABcc:?="),
        dsn().replace(b"Final-Recipient: rfc822; ", b"Final-Recipient: rfc822; <\x00\xff>\n "),
        dsn().replace(b"\n", b"\r"),
        b"From: MAILER-DAEMON@x.test\nSubject: Returned mail\n\n" + b"user " * 50_000 + b"unknown",
        b"From: MAILER-DAEMON@x.test\nSubject: Returned mail\n\n" + b"a@" * 100_000,
        b"From: MAILER-DAEMON@x.test\nSubject: Returned mail\n\n" + b"<" * 200_000,
        b"From: MAILER-DAEMON@x.test\nSubject: Returned mail\n\n" + b"user " + b"." * 9_000 + b" user <" * 2_000,
        dsn(said="user " + "a. " * 3_000),
        b"To: " + b"a@example.com, " * 15_000 + b"\n\nx",
    ],
)
def test_strange_bytes_are_something(raw: bytes) -> None:
    report = in_time(raw)

    assert "\n" not in report.subject
    assert all("\n" not in email and "\r" not in email for email in recipients(report))


def mutated(raw: bytes, random_: random.Random) -> bytes:
    """The same with a few things gone wrong."""
    data = bytearray(raw)
    for _ in range(random_.randint(1, 6)):
        at = random_.randrange(len(data) + 1)
        match random_.randrange(7):
            case 0:
                data[at : at + random_.randint(1, 200)] = b""
            case 1:
                data[at:at] = random_.randbytes(random_.randint(1, 40))
            case 2:
                data[at:at] = data[random_.randrange(len(data) + 1) :][:2000]
            case 3:
                data = data.replace(b"\n", b"\r\n") if random_.random() < 0.5 else data.replace(b"\r\n", b"\n")
            case 4:
                data[at:at] = random_.choice([b"\n\n", b"\x00", b"--", b"boundary=", b": ", b"=?", b"<>", b"@"])
            case 5:
                data[at : at + 1] = bytes([random_.randrange(256)])
            case _:
                data = data[: max(1, at)]
        if not data:
            return bytes(data)
    return bytes(data)


def mangle(corpus: Path, count: int, seed: int) -> None:
    files = [path.read_bytes() for path in sorted((corpus / "bounces").iterdir()) if path.suffix in (".eml", ".txt")]
    random_ = random.Random(seed)
    for _ in range(count):
        raw = mutated(random_.choice(files), random_)
        began = time.process_time()
        try:
            read_report(raw)
        except Exception as error:  # noqa: BLE001 - any is the failure
            pytest.fail(f"{error!r} for {raw!r}")
        assert time.process_time() - began < 5, raw


def test_reports_of_the_corpus_may_be_mangled_in_any_way(corpus: Path) -> None:
    mangle(corpus, 2_000, seed=6)


@pytest.mark.soak
def test_reports_of_the_corpus_may_be_mangled_fifty_thousand_times(corpus: Path) -> None:
    mangle(corpus, 50_000, seed=int(os.environ.get("SEED", "7")))


@given(st.binary(max_size=2000))
@settings(max_examples=60)
def test_any_bytes_are_read(raw: bytes) -> None:
    read_report(raw)

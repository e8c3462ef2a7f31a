"""Proof-reading finds what is wrong with a message, whoever made it."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from newsletter.delivery.compose import Skeleton
from newsletter.delivery.proof import Expected, check_message
from newsletter.errors import MessageError
from newsletter.issues.merge import fill
from newsletter.model import Format
from tests.delivery.samples import ISSUE, MERGE_TOKEN, RENDERING, SECRET, delivery

RAW = Skeleton.build(ISSUE, RENDERING, Format.html, secret=SECRET).message(delivery())
VALUES = {
    "subscriber.name": "Ada Lovelace",
    "unsubscribe_url": "https://wire.example.com/u/daily/Dkp_NM1LKq0Q6gnxVGPsBw",
}
SKELETON = Skeleton.build(ISSUE, RENDERING, Format.html, secret=SECRET)
EXPECTED = Expected(
    fields=(
        *("From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"),
        *("List-Post", "List-Help", "List-Archive", "Auto-Submitted", "X-Auto-Response-Suppress", "Precedence"),
        *("MIME-Version", "Content-Type"),
    ),
    from_name="The Morning Wire",
    from_email="wire@example.com",
    to_name="Ada Lovelace",
    to_email="ada@example.com",
    subject=RENDERING.subject,
    message_id="5c0ffee@example.com",
    text=SKELETON.text(delivery()),
    html=SKELETON.html(delivery()),
)


def test_a_sound_message_passes() -> None:
    check_message(RAW, EXPECTED)


def changed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    assert old in RAW
    return lambda raw: raw.replace(old, new, 1)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (changed(b"\r\nTo: ", b"\r\nBcc: evil@example.com\r\nTo: "), "header fields"),
        (changed(b"\r\nPrecedence: list", b""), "header fields"),
        (changed(b"Subject: ", b"Subject: =?utf-8?q?More=3A_?= "), "subject"),
        (changed(b"Ada Lovelace <ada@", b"Bob <ada@"), "name in To"),
        (changed(b"<ada@example.com>", b"<ada@example.com>, evil@example.com"), "addresses in To"),
        (changed(b"The Morning Wire <wire@", b"The, Morning Wire <wire@"), "addresses in From"),
        (changed(b"<5c0ffee@", b"<another@"), "Message-ID"),
        (changed(b"\r\nDate: ", b"\nDate: "), "bare CR or LF"),
        (changed(b"Good morning", b"Good\0morning"), "NUL"),
        (changed(b"Good morning", "Göd morning".encode()), "plain ASCII"),
        (changed(b"Good morning", b"Good evening"), "text/plain part does not read"),
        (changed(b"=2EA line", b".A line"), "SMTP would change"),
        (changed(b"Good morning", b"Good morning" + b"x" * 80), "too long"),
        (changed(b"text/plain", b"text/html"), "parts"),
        (changed(b"multipart/alternative", b"multipart/mixed"), "content type"),
        (changed(b'charset="utf-8"', b'charset="latin-1"'), "charset"),
        (changed(b"quoted-printable", b"base64"), "defects|encoding"),
        (changed(b"=C3=A4se", b"=C3se"), "UTF-8|does not read"),
        (changed(b"Auto-Submitted: auto", b"Auto-Submitted: " + b"x" * 1000), "too long"),
    ],
)
def test_a_fault_is_named(change: Callable[[bytes], bytes], told: str) -> None:
    with pytest.raises(MessageError, match=told):
        check_message(change(RAW), EXPECTED)


def test_a_part_too_many_is_noticed() -> None:
    text = Skeleton.build(ISSUE, RENDERING, Format.text, secret=SECRET).message(delivery())
    with pytest.raises(MessageError, match="content type"):
        check_message(text, replace(EXPECTED, fields=(*EXPECTED.fields, "Content-Transfer-Encoding")))


def test_the_sample_is_what_it_claims() -> None:
    assert EXPECTED.text.startswith("Good morning, Ada Lovelace!")
    assert fill(RENDERING.text, MERGE_TOKEN, VALUES).splitlines()[:5] == EXPECTED.text.splitlines()[:5]

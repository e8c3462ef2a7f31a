"""A single message: what it says, that nothing can be smuggled into it, and that it is signed like the others."""

from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.headers import clean
from newsletter.delivery.single import Single, compose_single
from newsletter.errors import MessageError
from tests.conftest import START
from tests.delivery.signing import both, holds

SINGLE = Single(
    from_name="The Morning Wire",
    from_email="wire@example.com",
    reply_to="desk@example.com",
    to_email="ada@example.com",
    subject="Please confirm: Grüße aus Łódź",
    text="Open this link:\n\nhttps://wire.example.com/c/0123\n.\nFrom here on 東京\n",
    date=START,
    message_id="5c0ffee@example.com",
)


def test_it_reads_as_it_was_meant() -> None:
    mail = message_from_bytes(compose_single(SINGLE), policy=policy.default)

    assert (SINGLE.subject, SINGLE.text) == (mail["Subject"], mail.get_content().replace("\r\n", "\n"))
    assert ("The Morning Wire <wire@example.com>", "ada@example.com", "desk@example.com") == (
        mail["From"],
        mail["To"],
        mail["Reply-To"],
    )
    assert mail["List-Unsubscribe"] is None


def test_it_is_signed_as_issues_are() -> None:
    raw = compose_single(SINGLE, both())

    assert holds(raw, both())
    assert not holds(raw.replace(b"Open this", b"Open that"), both())


@given(subject=st.text(max_size=300), text=st.text(max_size=500))
def test_no_text_adds_a_header(subject: str, text: str) -> None:
    try:
        raw = compose_single(replace(SINGLE, subject=subject, text=text))
    except MessageError:
        return
    mail = message_from_bytes(raw, policy=policy.compat32)

    assert 11 == len(mail.keys())
    assert clean(subject) == clean(str(message_from_bytes(raw, policy=policy.default)["Subject"] or ""))


@pytest.mark.parametrize("address", ["a@example.com\r\nBcc: b@example.com", "a@example.com, b@example.com", "<a@example.com>", "a b@example.com", ""])  # fmt: skip
def test_an_address_that_is_more_than_one_is_refused(address: str) -> None:
    with pytest.raises(MessageError):
        compose_single(replace(SINGLE, to_email=address))

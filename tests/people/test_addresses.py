"""Addresses: one check for all, and a quick one that never says anything else."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter.address import Address, _parse_any, is_reserved, mask, parse_address, parse_mailbox
from newsletter.errors import AddressError

SIGNS = "abzAZ019.-_+@!#$%&'*/=?^`{|}~ <>,\"\\\r\n\0éß中"
TOPS = [
    "com",
    "test",
    "example",
    "invalid",
    "localhost",
    "local",
    "arpa",
    "onion",
    "museum",
    "c1",
    "1c",
    "x--y",
    "xn--p1ai",
]

labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,64}", fullmatch=True) | st.sampled_from(
    ["ab--cd", "xn--bcher-kva", "-a", "a-"]
)
locals_ = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,70}", fullmatch=True) | st.sampled_from(
    ["Info", "POSTMASTER", "Abuse", "www", "a..b", ".a", "a.", '"a b"']
)
likely = st.builds(
    lambda local, names, top: f"{local}@{'.'.join([*names, top])}",
    locals_,
    st.lists(labels, max_size=4),
    st.sampled_from(TOPS),
)


def outcome(text: str, *, quick: bool) -> Address | None:
    try:
        return parse_address(text) if quick else _parse_any(text)
    except AddressError:
        return None


@settings(max_examples=200)
@given(likely | st.emails() | st.text(SIGNS, max_size=30) | st.text(max_size=20))
@example("a" * 300 + "@example.com")
@example("a@" + "b." * 126 + "com")
@example("Postmaster@Example.COM")
@example("ada@example.com\n")
def test_the_quick_check_and_the_library_agree_on_every_address(text: str) -> None:
    assert outcome(text, quick=False) == outcome(text, quick=True)


@pytest.mark.parametrize(
    ("written", "email", "wire", "key"),
    [
        ("ada@example.com", "ada@example.com", "ada@example.com", "ada@example.com"),
        ("Ada.L@Example.COM", "Ada.L@example.com", "Ada.L@example.com", "ada.l@example.com"),
        ("INFO@example.com", "info@example.com", "info@example.com", "info@example.com"),
        ("ada@bücher.example", "ada@bücher.example", "ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example", "ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("Jürgen@example.com", "Jürgen@example.com", "Jürgen@example.com", "jürgen@example.com"),
        ("ada@host.invalid", "ada@host.invalid", "ada@host.invalid", "ada@host.invalid"),
        ("ü@bücher.INVALID", "ü@bücher.invalid", "ü@xn--bcher-kva.invalid", "ü@xn--bcher-kva.invalid"),
    ],
)
def test_two_spellings_of_a_mailbox_share_a_key(written: str, email: str, wire: str, key: str) -> None:
    assert Address(email=email, wire=wire, key=key) == parse_address(written)


def test_two_mailboxes_do_not_share_a_key() -> None:
    assert parse_address("straße@example.com").key != parse_address("strasse@example.com").key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        "ada@nas.local",
        "a@b.c\r\nDATA",
        "a@b.cc, d@e.ff",
        "a@b.cc> SIZE=1",
        "Ada <ada@example.com>",
        "a@b.cc\0",
        "a b@example.com",
        "a@exa mple.com",
        "ada@example.com.",
        "x" * 300 + "@example.com",
        "\u202eada@example.com",
    ],
)
def test_what_is_not_one_plain_address_is_refused_in_one_short_line(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)

    assert "is not an e-mail address" in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("example.com", True),
        ("mail.example.org.", True),
        ("x.test", True),
        ("x.INVALID", True),
        ("localhost", True),
        ("example.de", False),
        ("notexample.com", False),
        ("test.com", False),
    ],
)
def test_reserved_domains_are_known(domain: str, expected: bool) -> None:
    assert expected == is_reserved(domain)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Wire <w@example.com>", "Wire"),
        ("w@example.com", ""),
        ("<w@example.com>", ""),
        ('"Wire, \\"The\\"" <w@example.com>', 'Wire, "The"'),
        ("The  Wire, Inc. < w@example.com > ", "The Wire, Inc."),
        ("Düsseldorfer Blatt <w@example.com>", "Düsseldorfer Blatt"),
    ],
)
def test_a_name_and_an_address_are_told_apart(text: str, name: str) -> None:
    assert (name, parse_address("w@example.com")) == parse_mailbox(text)


@pytest.mark.parametrize(
    "text", ["Wire <w@example.com", "Wire w@example.com", "a <b@c.dd> <e@f.gg>", "x\r\nBcc: y <w@example.com>", "<>"]
)
def test_a_sender_that_is_not_one_mailbox_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_mailbox(text)


def test_a_masked_address_is_recognised_but_not_harvested() -> None:
    assert "a…@e…" == mask("ada@example.com")

"""Text from anywhere becomes header fields that read back as that text, and as nothing else."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.delivery.headers import (
    NAME_LIMIT,
    address_header,
    build_headers,
    clean,
    date_header,
    encode_address,
    encode_header_text,
    field_names,
    header_line,
    list_id_header,
    message_id_header,
    url_list_header,
)
from newsletter.errors import MessageError
from tests.delivery.fuzz_headers import NASTY, check, fuzz

FUZZ = Path(__file__).with_name("fuzz_headers.py")
#: Pairs tried under this Python, and under each other one.
PAIRS, PAIRS_ELSEWHERE = 20_000, 1_000
SEED = 20_261_122


# ----------------------------------------------------------------------------- fuzz


def test_twenty_thousand_subjects_and_names_read_back_as_what_they_were() -> None:
    found = fuzz(PAIRS, SEED)

    assert ([], PAIRS) == (found["wrong"], found["tried"]), found


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_other_pythons_read_and_write_the_same(version: str) -> None:
    """Their e-mail libraries differ; the bytes must not."""
    done = subprocess.run(
        [python(version), "-I", "-W", "error", str(FUZZ), str(PAIRS_ELSEWHERE), str(SEED)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert 0 == done.returncode, done.stderr
    there = json.loads(done.stdout)

    assert [] == there["wrong"], there
    assert here()["sha256"] == there["sha256"]


@pytest.mark.soak
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_other_pythons_read_half_a_million(version: str) -> None:
    done = subprocess.run(
        [python(version), "-I", str(FUZZ), "500000", str(SEED + 1)], capture_output=True, text=True, check=True
    )

    assert [] == json.loads(done.stdout)["wrong"]


@cache
def here() -> dict[str, object]:
    return fuzz(PAIRS_ELSEWHERE, SEED)


def python(version: str) -> str:
    """An interpreter of that version other than ours: by its name, or from a version manager's folder."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        pytest.skip(f"this is Python {version}")
    managed = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for found in [shutil.which(f"python{version}"), *sorted(managed.glob(f"{version}.*/bin/python"))]:
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return str(found)
    pytest.skip(f"no Python {version} on this machine")


@given(st.text(), st.text(), st.integers(0, 900))
def test_any_two_texts_read_back_as_what_they_were(subject: str, name: str, length: int) -> None:
    assert [] == check(subject, name, "https://wire.example.com/" + "x" * length)


def test_a_wrong_reading_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer compares: names in quotes, as everybody writes them, do not pass."""

    def careless(name: str, email: str, *, column: int = 0) -> bytes:
        return f'"{clean(name).replace(chr(34), "")}" <{email}>'.encode("ascii", "replace")

    monkeypatch.setattr("tests.delivery.fuzz_headers.address_header", careless)

    assert len(fuzz(50, SEED)["wrong"]) == 20  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("=?utf-8?q?hi=0D=0ABcc=3A_evil=40x.example?=", "hi Bcc: evil@x.example"),
        ("=?utf-8?b?aGkNCkJjYzogZXZpbEB4LmV4YW1wbGU=?=", "hi Bcc: evil@x.example"),
        ("=?iso-8859-1?q?caf=E9?= au =?utf-8?q?lait?=", "café au lait"),
        ("=?utf-8?q?one?= =?utf-8?q?two?=", "onetwo"),
        ("=?utf-8*de?q?l=C3=A4ngst?=", "längst"),
        ("=?x-unknown?q?a?=", "=?x-unknown?q?a?="),
        ("=?utf-8?b?a?=", "=?utf-8?b?a?="),
        ("a\r\nb\0c\u2028d", "a b c d"),
        ("safe\u202eevil", "safeevil"),
        ("  a \t b  ", "a b"),
    ],
)
def test_text_is_read_before_it_is_written(text: str, cleaned: str) -> None:
    assert cleaned == clean(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("The Morning Wire no. 12", b"The Morning Wire no. 12"),
        ("Größe", b"=?utf-8?q?Gr=C3=B6=C3=9Fe?="),
        ("朝のニュース", b"=?utf-8?b?5pyd44Gu44OL44Ol44O844K5?="),
        ("why =?", b"=?utf-8?q?why_=3D=3F?="),
        ("", b""),
    ],
)
def test_plain_text_stays_readable_and_the_rest_is_encoded(text: str, written: bytes) -> None:
    assert written == encode_header_text(text)


def test_a_long_plain_subject_is_folded_at_blanks() -> None:
    subject = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"

    value = encode_header_text(subject, column=9)

    assert subject == value.decode().replace("\r\n", "")
    assert [76 >= len(line) for line in (b"Subject: " + value).split(b"\r\n")] == [True, True]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Ada Lovelace", b"Ada Lovelace <ada@example.com>"),
        ("Lovelace, Ada", b"=?utf-8?q?Lovelace=2C_Ada?= <ada@example.com>"),
        ('Ada "the first"', b"=?utf-8?q?Ada_=22the_first=22?= <ada@example.com>"),
        ("", b"ada@example.com"),
        ("\u202e\r\n", b"ada@example.com"),
    ],
)
def test_a_name_is_never_a_quoted_string(name: str, written: bytes) -> None:
    assert written == address_header(name, "ada@example.com")


def test_a_long_name_is_cut() -> None:
    assert NAME_LIMIT >= len(clean("word " * 500, NAME_LIMIT))


# ------------------------------------------------------------- addresses and the like


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.com\r\nBcc: evil@example.com",
        "ada@example.com, evil@example.com",
        "ada@example.com> SIZE=1",
        "a b@example.com",
        "ada@bücher.example",
        "ada@@example.com",
        "ada",
        "@example.com",
        "ada@",
        "ada@example.com\0",
        "ad\u2028a@example.com",
        "ad\u202ea@example.com",
        "a..b@example.com",
        '"ada"@example.com',
        "ada@-example.com",
    ],
)
def test_what_is_no_single_address_is_refused(email: str) -> None:
    with pytest.raises(MessageError):
        encode_address(email)


@pytest.mark.parametrize("email", ["ada+news@example.com", "o'brien@xn--bcher-kva.example", "büro@example.com"])
def test_an_address_is_written_as_it_is(email: str) -> None:
    assert email.encode() == encode_address(email)


@pytest.mark.parametrize("length", [10, 70, 76, 77, 300, 900])
def test_a_long_unsubscribe_address_is_never_encoded(length: int) -> None:
    url = "https://wire.example.com/u/" + "x" * length

    value = url_list_header([url, "mailto:leave@example.com?subject=unsubscribe%20x"])

    assert f"<{url}>,\r\n <mailto:leave@example.com?subject=unsubscribe%20x>".encode() == value


@pytest.mark.parametrize(
    "url", ["https://x.example/a b", "https://x.example/>\r\nBcc: x", "https://x.example/ü", "", "a\0"]
)
def test_an_address_of_a_page_that_would_need_encoding_is_refused(url: str) -> None:
    with pytest.raises(MessageError):
        url_list_header([url])


@pytest.mark.parametrize(
    "list_id", ["daily", "daily wire.example.com", "daily.example.com>", "", ".x", "x.", "ü.example"]
)
def test_what_is_no_list_id_is_refused(list_id: str) -> None:
    with pytest.raises(MessageError):
        list_id_header("The Wire", list_id)


def test_a_list_id_stays_the_same_whatever_the_title() -> None:
    assert b"The Wire <daily.wire.example.com>" == list_id_header("The Wire", "daily.wire.example.com")
    assert b"<daily.wire.example.com>" == list_id_header("", "daily.wire.example.com")


@pytest.mark.parametrize("message_id", ["a b@example.com", "a@b>\r\nX: y", "a", "", "<a@b>"])
def test_what_is_no_message_id_is_refused(message_id: str) -> None:
    with pytest.raises(MessageError):
        message_id_header(message_id)


def test_a_date_is_written_in_utc_with_its_offset() -> None:
    berlin = timezone(timedelta(hours=1))

    assert b"Mon, 02 Mar 2026 07:00:00 +0000" == date_header(datetime(2026, 3, 2, 8, tzinfo=berlin))
    assert b"Thu, 31 Dec 2026 23:59:59 +0000" == date_header(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC))


# ---------------------------------------------------------------------------- blocks


@pytest.mark.parametrize(
    "value",
    [b"a\r\nBcc: x", b"a\nb", b"a\rb", b"a\r\n\r\nb", b"a\0b", b"a\r\n", b"a\r\n \r\n b", b"a\r\n\tb", b" a", b"\x7f"],
)
def test_a_value_that_would_end_its_field_is_refused(value: bytes) -> None:
    with pytest.raises(MessageError):
        header_line("Subject", value)


def test_a_line_longer_than_any_server_takes_is_refused() -> None:
    with pytest.raises(MessageError):
        header_line("X-Long", b"x" * 1000)
    assert header_line("X-Long", b"x" * 600 + b"\r\n " + b"x" * 600)


@pytest.mark.parametrize("name", ["Subject:", "Sub ject", "", "Ü", "X\r\nBcc"])
def test_what_is_no_field_name_is_refused(name: str) -> None:
    with pytest.raises(MessageError):
        header_line(name, b"x")


def test_the_names_in_a_block_are_those_a_reader_finds() -> None:
    block = build_headers(
        [("From", b"a@example.com"), ("List-Unsubscribe", b"<https://x.example>,\r\n <mailto:x@y.z>")]
    )

    assert ("From", "List-Unsubscribe") == field_names(block)
    assert ("Subject", "Bcc") == field_names(b"Subject: x\r\nBcc: y\r\n")


def test_every_attack_known_is_in_the_fuzzer() -> None:
    assert all([] == check(one, other, "https://x.example/") for one in NASTY for other in NASTY[:6])

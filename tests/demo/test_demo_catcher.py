"""The catcher: takes every message over real SMTP and keeps it as it came."""

import socket
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from pathlib import Path
from smtplib import SMTP

import pytest

from newsletter.demo.catcher import Catcher
from newsletter.errors import NewsletterError

MESSAGE = b"From: wire@example.com\r\nTo: ada@example.com\r\nSubject: Test\r\n\r\n.dots\r\n..more\r\ncaf=C3=A9\r\n"


def send(catcher: Catcher, *recipients: str, message: bytes = MESSAGE) -> tuple[int, bytes]:
    """One message by the standard library's client; the answer to its last dot."""
    with SMTP(catcher.host, catcher.port, timeout=10) as client:
        client.ehlo()
        # The client writes non-ASCII addresses only as UTF-8 (RFC 6531 §3.4).
        client.command_encoding = "utf-8"
        client.mail("wire@example.com", ["SMTPUTF8"] if any(not r.isascii() for r in recipients) else [])
        assert [250] * len(recipients) == [client.rcpt(recipient)[0] for recipient in recipients]
        return client.data(message)


def test_a_message_is_kept_byte_for_byte_with_its_recipients(tmp_path: Path) -> None:
    with Catcher(tmp_path / "mail") as catcher:
        code, reply = send(catcher, "ada@example.com", "grace@example.org")

    [caught] = catcher.caught
    assert (250, b"2.0.0 caught as 0001-ada-example-com.eml") == (code, reply)
    assert MESSAGE == caught.path.read_bytes()
    assert ("wire@example.com", ("ada@example.com", "grace@example.org")) == (caught.sender, caught.recipients)
    assert ("ada@example.com", "grace@example.org") == catcher.recipients
    assert "Test" == message_from_bytes(caught.path.read_bytes(), policy=policy.default)["Subject"]


def test_a_second_run_in_the_same_folder_adds_and_overwrites_nothing(tmp_path: Path) -> None:
    for name in ("ada", "grace", "ada"):
        with Catcher(tmp_path) as catcher:
            send(catcher, f"{name}@example.com")

    expected = ["0001-ada-example-com.eml", "0002-grace-example-com.eml", "0003-ada-example-com.eml"]
    assert expected == sorted(path.name for path in tmp_path.iterdir())


def test_messages_on_several_connections_at_once_all_arrive(tmp_path: Path) -> None:
    people = [f"reader{number}@example.com" for number in range(40)]

    with Catcher(tmp_path) as catcher, ThreadPoolExecutor(8) as pool:
        codes = [code for code, _ in pool.map(lambda person: send(catcher, person), people)]

    assert [250] * 40 == codes
    assert sorted(people) == sorted(catcher.recipients)
    assert [MESSAGE] * 40 == [path.read_bytes() for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    "recipient", ["../../etc/passwd@example.com", "gräfin@example.com", "-@example.com", "a/b@x.test"]
)
def test_a_recipient_cannot_choose_where_a_file_goes(tmp_path: Path, recipient: str) -> None:
    folder = tmp_path / "mail"

    with Catcher(folder) as catcher:
        send(catcher, recipient)

    assert [recipient] == list(catcher.recipients)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert folder == path.parent


def test_it_listens_on_loopback_only_and_stops_with_its_block(tmp_path: Path) -> None:
    with Catcher(tmp_path) as catcher:
        socket.create_connection(("127.0.0.1", catcher.port), timeout=5).close()

    assert "127.0.0.1" == catcher.host
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", catcher.port), timeout=5)


def test_a_client_that_never_says_goodbye_does_not_keep_it_open(tmp_path: Path) -> None:
    with Catcher(tmp_path) as catcher:
        client = socket.create_connection(("127.0.0.1", catcher.port), timeout=5)
        assert client.recv(100).startswith(b"220 ")

    assert b"" == client.recv(100)
    client.close()


def test_a_taken_port_is_named_at_once(tmp_path: Path) -> None:
    with Catcher(tmp_path) as first, pytest.raises(NewsletterError, match=f"127.0.0.1:{first.port} ") as error:
        Catcher(tmp_path, first.port).__enter__()

    assert error.value.hint


def test_what_cannot_be_written_is_not_accepted(tmp_path: Path) -> None:
    folder = tmp_path / "mail"

    with Catcher(folder) as catcher:
        folder.rmdir()
        code, reply = send(catcher, "ada@example.com")

    assert (452, b"4.3.1 the message cannot be written: No such file or directory") == (code, reply)
    assert [] == catcher.caught

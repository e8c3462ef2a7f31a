"""A project that signs: what check says, that everything shown is signed as it leaves, and what happens without the key."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from newsletter.delivery.keys import PrivateKey
from tests.cli.conftest import Done, Wire
from tests.delivery.signing import both, ed25519_key, holds, rsa_key

ONE = "dkim: {domain: example.com, selector: rsa, key_file: rsa.pem}"
TWO = f"dkim: [{ONE.removeprefix('dkim: ')}, {{domain: example.com, selector: ed25519, key_file: ed25519.pem}}]"


def write(folder: Path, name: str, key: PrivateKey, *, mode: int = 0o600, password: bytes = b"") -> str:
    """Write a key's file; returns what must never be shown of it."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    text = key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    (folder / name).write_text(text, encoding="ascii")
    (folder / name).chmod(mode)
    return text.splitlines()[1]


@pytest.fixture
def signed(wire: Wire) -> Wire:
    """A project that signs with both kinds of keys, and has news."""
    write(wire.folder, "rsa.pem", rsa_key())
    write(wire.folder, "ed25519.pem", ed25519_key())
    configure(wire, TWO)
    return wire


def configure(wire: Wire, dkim: str) -> None:
    server = f"{{host: 127.0.0.1, port: {wire.mail.port}, tls: none, {dkim}}}"
    wire.configure(wire.web.feed("/feed.xml", "The ferry sails again"), smtp=server)


def mail(done: Done, level: str) -> list[str]:
    """What check says of the mail server, at one level."""
    return [found["text"] for found in done.data if found["what"] == "mail" and found["level"] == level]


def received(wire: Wire) -> list[bytes]:
    return [path.read_bytes() for path in sorted(wire.mail.folder.glob("*.eml"))]


# ------------------------------------------------------------------------------ sent


def test_a_send_signs_with_both_keys(signed: Wire) -> None:
    done = signed("send", "-y")

    assert 0 == done.code, done.err
    [raw] = received(signed)
    assert holds(raw, both())


def test_a_test_message_is_signed_under_its_own_message_id(signed: Wire) -> None:
    done = signed("send", "--test", "me@example.com")

    assert 0 == done.code, done.err
    [raw] = received(signed)
    assert b"\r\nMessage-ID: <test-" in raw
    assert holds(raw, both())


def test_the_file_that_preview_writes_is_signed(signed: Wire) -> None:
    done = signed("preview", "--out", "out")

    assert 0 == done.code, done.err
    assert holds((signed.folder / "out" / "issue.eml").read_bytes(), both())


def test_an_export_is_signed_as_a_message_and_only_then(signed: Wire) -> None:
    assert 0 == signed("send", "-y").code

    assert 0 == signed("issue", "export", "1", "--format", "eml", "--out", "out").code
    assert holds((signed.folder / "out" / "daily-1.eml").read_bytes(), both())

    (signed.folder / "rsa.pem").unlink()
    assert 2 == signed("issue", "export", "1", "--format", "eml", "--out", "out").code
    assert 0 == signed("issue", "export", "1", "--format", "html", "--out", "out").code


# ----------------------------------------------------------------------------- check


def test_check_says_what_to_publish(signed: Wire) -> None:
    done = signed("check", "--json")

    assert 0 == done.code, done.out
    public = ed25519_key().record()
    assert [
        f'signs with DKIM as example.com (Ed25519); the DNS must have: ed25519._domainkey.example.com. TXT "{public}"'
    ] == [text for text in mail(done, "ok") if "Ed25519" in text]
    [text] = [text for text in mail(done, "ok") if "RSA" in text]
    assert text.startswith(
        "signs with DKIM as example.com (RSA, 2048 bits); the DNS must have: "
        'rsa._domainkey.example.com. TXT "v=DKIM1; k=rsa; p=MII'
    )
    assert rsa_key().record() == text.partition(" TXT ")[2].replace('" "', "").strip('"')
    assert [] == mail(done, "warning")


def test_check_warns_of_a_weak_key(wire: Wire) -> None:
    write(wire.folder, "rsa.pem", PrivateKey(rsa.generate_private_key(65537, 1024)))
    configure(wire, ONE)

    done = wire("check", "--json")

    assert 0 == done.code
    assert ["the DKIM key rsa has 1,024 bits: large providers trust it less, or not at all"] == mail(done, "warning")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620])
def test_check_warns_of_a_key_that_others_can_read(signed: Wire, mode: int) -> None:
    (signed.folder / "rsa.pem").chmod(mode)

    done = signed("check")

    assert 0 == done.code
    assert f"warning  mail: the DKIM key rsa.pem can be read or changed by others (mode {mode:o})\n" in done.out
    assert "hint: chmod 600 rsa.pem\n" in done.out


def test_check_warns_of_somebody_elses_domain(wire: Wire) -> None:
    write(wire.folder, "rsa.pem", rsa_key())
    configure(wire, ONE.replace("example.com", "mailer.example"))

    [text] = mail(wire("check", "--json"), "warning")

    assert "DKIM signs as mailer.example, and the sender is at example.com: for DMARC" in text


def test_check_warns_of_ed25519_alone(wire: Wire) -> None:
    write(wire.folder, "rsa.pem", ed25519_key())
    configure(wire, ONE)

    assert ["DKIM signs with Ed25519 alone, which many receivers cannot check"] == mail(
        wire("check", "--json"), "warning"
    )


# ------------------------------------------------------------------- without the key


def missing(folder: Path) -> None:
    (folder / "rsa.pem").unlink()


def encrypted(folder: Path) -> None:
    write(folder, "rsa.pem", rsa_key(), password=b"hunter2")


def broken(folder: Path) -> None:
    (folder / "rsa.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")


def a_folder(folder: Path) -> None:
    (folder / "rsa.pem").unlink()
    (folder / "rsa.pem").mkdir()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (missing, "cannot be read: no such file or directory"),
        (encrypted, "is encrypted, and nobody is there to type a passphrase: store it without one"),
        (broken, "is not a private key that can be read"),
        (a_folder, "cannot be read: is a directory"),
    ],
)
def test_a_key_that_cannot_be_used_stops_a_send_before_anything(
    signed: Wire, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(signed.folder)
    lines = (signed.folder / "newsletter.yaml").read_text(encoding="utf-8").splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "dkim" in line)
    problem = f"newsletter.yaml:{number}: smtp.dkim[0].key_file: rsa.pem {reason}"

    for words in (["send", "-y"], ["send", "--dry-run"], ["send", "--test", "me@example.com"]):
        done = signed(*words)
        assert 2 == done.code
        assert f"error: {problem}\n" in done.err
        assert "openssl genrsa" in done.err
        assert "hunter2" not in done.err + done.out

    assert [] == received(signed)
    assert problem in mail(signed("check", "--json"), "error")
    # No issue was frozen, no entry used up.
    assert [] == signed("issue", "list", "--json").data


def test_an_editor_without_the_key_sees_the_letter_and_is_told(signed: Wire) -> None:
    (signed.folder / "ed25519.pem").unlink()

    done = signed("preview", "--out", "out")

    assert 0 == done.code, done.err
    assert b"DKIM-Signature" not in (signed.folder / "out" / "issue.eml").read_bytes()
    assert "shown without its DKIM signature: newsletter.yaml:" in done.err
    assert "ed25519.pem cannot be read" in done.err


def test_the_key_is_shown_nowhere(wire: Wire) -> None:
    secret = write(wire.folder, "rsa.pem", rsa_key(), mode=0o644)
    configure(wire, ONE)

    for words in (["check"], ["check", "--json"], ["send", "--dry-run", "-v"], ["send", "-y", "-v"], ["status"]):
        done = wire(*words)
        assert secret not in done.out + done.err
        assert secret[:20] not in done.out + done.err
    assert all(secret.encode() not in path.read_bytes() for path in (wire.folder / ".newsletter").iterdir())

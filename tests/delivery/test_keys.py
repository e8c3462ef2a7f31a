"""Private keys as they lie in files: read in every usual form, refused with a reason, shown to nobody."""

import pickle
from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from newsletter.delivery.keys import PrivateKey, parse_key, zone_line
from tests.delivery.signing import ed25519_key, rsa_key

RSA: Any = rsa_key()._key
ED25519: Any = ed25519_key()._key
SEED = bytes(range(32))


def pem(key: Any, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    made: bytes = key.private_bytes(Encoding.PEM, form, encryption)
    return made


@pytest.mark.parametrize(
    ("text", "algorithm"),
    [
        (pem(RSA), "rsa-sha256"),
        (pem(RSA, PrivateFormat.TraditionalOpenSSL), "rsa-sha256"),
        (pem(ED25519), "ed25519-sha256"),
        (b"A note above it\n" + pem(RSA).replace(b"\n", b"\r\n"), "rsa-sha256"),
        (b64encode(SEED), "ed25519-sha256"),
        (b64encode(SEED) + b"\n", "ed25519-sha256"),
        (b64encode(RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())), "rsa-sha256"),
    ],
    ids=["PKCS8", "PKCS1", "Ed25519", "CRLF", "seed", "seed and line end", "base64 of DER"],
)
def test_every_usual_form_is_read(text: bytes, algorithm: str) -> None:
    key = parse_key(text)

    assert algorithm == key.algorithm
    assert (rsa_key() if key.is_rsa else ed25519_key()).record() == key.record()
    assert (rsa_key() if key.is_rsa else ed25519_key()).sign(b"x") == key.sign(b"x"), "the same at every run"


def public(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is not a private key that can be read"),
        (b"hunter2", "is not a private key that can be read"),
        (b"\xff\xfe\0", "is not a private key that can be read"),
        (b64encode(SEED[:31]), "is not a private key that can be read"),
        (pem(RSA)[:200], "is not a private key that can be read"),
        (pem(RSA).replace(b"\nMII", b"\nMIX"), "is not a private key that can be read"),
        (pem(RSA, password=b"hunter2"), "is encrypted"),
        (pem(RSA, PrivateFormat.TraditionalOpenSSL, b"hunter2"), "is encrypted"),
        (public(RSA), "holds no private key"),
        (pem(ED25519, PrivateFormat.OpenSSH), "is a key of OpenSSH"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "is a key of another kind"),
    ],
    ids=["empty", "words", "bytes", "short", "cut", "damaged", "PKCS8", "PKCS1", "public", "OpenSSH", "elliptic"],
)
def test_what_cannot_sign_is_refused_with_the_reason(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}") as caught:
        parse_key(text)

    assert caught.value.__cause__ is None
    assert "hunter2" not in str(caught.value)


def is_prime(number: int) -> bool:
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7, 11, 13))


def small_rsa() -> bytes:
    """A PKCS#1 key of two primes of 256 bits each, written by hand."""
    primes = [n for n in range(2**256 - 1, 2**256 - 4000, -2) if is_prime(n) and (n - 1) % 65537][:2]
    p, q = primes
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = [0, p * q, 65537, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]

    def der(tag: int, body: bytes) -> bytes:
        size = len(body)
        length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])
        return bytes([tag]) + length + body

    content = b"".join(der(2, number.to_bytes(number.bit_length() // 8 + 1)) for number in numbers)
    encoded = b64encode(der(0x30, content))
    lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + b"\n".join(lines) + b"\n-----END RSA PRIVATE KEY-----\n"


def test_an_rsa_key_under_1024_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="is an RSA key of 512 bits"):
        parse_key(small_rsa())


@pytest.mark.parametrize("key", [rsa_key(), ed25519_key()], ids=["rsa", "ed25519"])
def test_a_key_shows_itself_to_nobody(key: PrivateKey) -> None:
    shown = f"{key!r} {key} {[key]}"

    assert "PrivateKey(rsa-sha256, 2048 bits)" in shown or "PrivateKey(ed25519-sha256, 256 bits)" in shown
    assert not hasattr(key, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_the_record_holds_the_public_half_and_no_more() -> None:
    found = dict(tag.split("=", 1) for tag in rsa_key().record().split("; "))
    other = dict(tag.split("=", 1) for tag in ed25519_key().record().split("; "))

    assert ("DKIM1", "rsa") == (found["v"], found["k"])
    assert RSA.public_key() == load_der_public_key(b64decode(found["p"]))
    assert ("DKIM1", "ed25519") == (other["v"], other["k"])
    assert ED25519.public_key().public_bytes_raw() == b64decode(other["p"])


def test_a_long_record_is_written_in_strings_that_dns_can_hold() -> None:
    line = zone_line("s._domainkey.example.com", rsa_key().record())

    name, strings = line.split(" TXT ")
    parts = strings.removeprefix('"').removesuffix('"').split('" "')
    assert "s._domainkey.example.com." == name
    assert rsa_key().record() == "".join(parts)
    assert all(len(part) <= 255 for part in parts)
    assert 2 == len(parts)


@pytest.mark.parametrize("key", [rsa_key(), ed25519_key()], ids=["rsa", "ed25519"])
def test_a_signature_of_something_else_is_no_signature(key: PrivateKey) -> None:
    assert key.verify(b"x", key.sign(b"x"))
    assert not key.verify(b"y", key.sign(b"x"))
    assert not key.verify(b"x", b"")


def test_what_is_generated_is_what_is_read() -> None:
    """Other lengths of RSA keys, and another Ed25519 key."""
    for made in (rsa.generate_private_key(65537, 1024), ed25519.Ed25519PrivateKey.generate()):
        key = parse_key(pem(made))
        assert PrivateKey(made).record() == key.record()
        assert key.bits == (1024 if isinstance(made, rsa.RSAPrivateKey) else 256)

"""Keys made for these tests, and dkimpy as the stranger who verifies what they signed."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from newsletter.delivery.dkim import Signer
from newsletter.delivery.keys import PrivateKey

DOMAIN = "example.com"


@cache
def rsa_key(bits: int = 2048) -> PrivateKey:
    return PrivateKey(rsa.generate_private_key(public_exponent=65537, key_size=bits))


@cache
def ed25519_key() -> PrivateKey:
    return PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


@cache
def by_rsa() -> Signer:
    return Signer(domain=DOMAIN, selector="rsa", key=rsa_key())


@cache
def by_ed25519() -> Signer:
    return Signer(domain=DOMAIN, selector="ed25519", key=ed25519_key())


def both() -> tuple[Signer, ...]:
    return by_rsa(), by_ed25519()


def records(signers: Sequence[Signer]) -> dict[str, str]:
    """What the DNS has of them."""
    found = {}
    for signer in signers:
        assert isinstance(signer.key, PrivateKey)
        found[f"{signer.selector}._domainkey.{signer.domain}."] = signer.key.record()
    return found


def verdicts(raw: bytes, published: Mapping[str, str]) -> list[bool]:
    """Whether each signature holds, in order, as dkimpy finds."""

    def answer(name: bytes, timeout: float = 5) -> bytes | None:
        record = published.get(name.decode())
        return None if record is None else record.encode()

    count = len(re.findall(rb"(?mi)^DKIM-Signature:", raw.partition(b"\r\n\r\n")[0]))
    found = []
    for index in range(count):
        try:
            found.append(bool(dkim.DKIM(raw).verify(index, dnsfunc=answer)))
        except dkim.DKIMException:
            found.append(False)
    return found


def holds(raw: bytes, signers: Sequence[Signer]) -> bool:
    """Whether a message has a signature of each signer, and all of them hold."""
    return [True] * len(signers) == verdicts(raw, records(signers))

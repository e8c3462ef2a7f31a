"""Private keys for DKIM: read from their text, used, and never shown."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from newsletter.delivery.dkim import Algorithm

#: RFC 8301 §3.2: shorter ones prove nothing, and no verifier may accept them.
WEAKEST: Final = 1024
#: RFC 8301 §3.2: what signers should use at least, and what every verifier can read at most.
GOOD: Final = range(2048, 4097)

_SEED = 32
_PADDING = PKCS1v15()
_HASH = SHA256()
_RAW = re.compile(rb"[A-Za-z0-9+/\s]+=*\s*")
#: The strings a TXT record is made of hold so many characters each (RFC 1035 §3.3).
_STRING = 255


class PrivateKey:
    """One private key.  It signs; nothing else about it can be had but what is public."""

    __slots__ = ("_key",)

    def __init__(self, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
        self._key = key

    @property
    def algorithm(self) -> Algorithm:
        """What it signs with."""
        return "rsa-sha256" if isinstance(self._key, RSAPrivateKey) else "ed25519-sha256"

    @property
    def is_rsa(self) -> bool:
        """Whether it is an RSA key; else it is one of Ed25519."""
        return isinstance(self._key, RSAPrivateKey)

    @property
    def bits(self) -> int:
        """The length of an RSA key; 256 for Ed25519, which has one length only."""
        return self._key.key_size if isinstance(self._key, RSAPrivateKey) else 8 * _SEED

    def sign(self, data: bytes) -> bytes:
        """The signature of a canonical header block."""
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(data, _PADDING, _HASH)
        # RFC 8463 §3: Ed25519 signs the hash.
        return self._key.sign(sha256(data).digest())

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether a signature is this key's."""
        try:
            if isinstance(self._key, RSAPrivateKey):
                self._key.public_key().verify(signature, data, _PADDING, _HASH)
            else:
                self._key.public_key().verify(signature, sha256(data).digest())
        except InvalidSignature:
            return False
        return True

    def record(self) -> str:
        """What the DNS must say of it, as one text (RFC 6376 §3.6.1, RFC 8463 §4)."""
        public = self._key.public_key()
        if isinstance(self._key, RSAPrivateKey):
            data = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            data = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        kind = self.algorithm.partition("-")[0]
        return f"v=DKIM1; k={kind}; p={b64encode(data).decode('ascii')}"

    def __repr__(self) -> str:
        return f"PrivateKey({self.algorithm}, {self.bits} bits)"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not written anywhere")


def parse_key(text: bytes) -> PrivateKey:
    """Read a private key: PEM (PKCS#8, or PKCS#1 for RSA), or an Ed25519 key in base64 as DKIM tools write it.

    Raises:
        ValueError: with the reason, in words that follow the file's name; never with what was found.
    """
    if b"-----BEGIN" not in text:
        return _checked(_from_base64(text))
    if b"ENCRYPTED" in text:
        raise ValueError("is encrypted, and nobody is there to type a passphrase: store it without one")
    if b" PRIVATE KEY-----" not in text:
        raise ValueError("holds no private key (a public key or a certificate cannot sign)")
    if b"BEGIN OPENSSH" in text:
        raise ValueError("is a key of OpenSSH: DKIM needs one in PEM form")
    try:
        found = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("is not a private key that can be read") from None  # the cause could show some of it
    return _checked(found)


def _from_base64(text: bytes) -> object:
    try:
        data = b64decode(b"".join(text.split()), validate=True) if _RAW.fullmatch(text) else b""
        if len(data) == _SEED:
            return Ed25519PrivateKey.from_private_bytes(data)
        return load_der_private_key(data, password=None)
    except (ValueError, TypeError, Base64Error, UnsupportedAlgorithm):
        raise ValueError("is not a private key that can be read: it must begin with -----BEGIN PRIVATE KEY") from None


def _checked(key: object) -> PrivateKey:
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError("is a key of another kind: DKIM knows RSA and Ed25519")  # noqa: TRY004 - a value of a file
    found = PrivateKey(key)
    if isinstance(key, RSAPrivateKey) and found.bits < WEAKEST:
        raise ValueError(f"is an RSA key of {found.bits} bits: fewer than {WEAKEST} prove nothing (RFC 8301), use 2048")
    return found


def zone_line(name: str, record: str) -> str:
    """A TXT record as a zone file has it; a long one is cut into strings that verifiers join again."""
    strings = " ".join(f'"{record[at : at + _STRING]}"' for at in range(0, len(record), _STRING))
    return f"{name}. TXT {strings}"

"""Proof-reading of signatures: verified again, as a stranger would, before anything signed like that leaves.

Like `proof`, this knows nothing of how the bytes were made: it takes the
finished message apart by the rules of RFC 6376 §6.1, so a mistake in the
prepared canonical forms stops here and not in a million mailboxes.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256

from newsletter.delivery.dkim import FIELD, OVERSIGNED, Signer
from newsletter.errors import MessageError

_FIELD = re.compile(rb"(?m)^([^\s:][^\s:]*)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)\r\n")
_LONGEST = 76
#: These are one word and cannot be folded.
_UNFOLDED = re.compile(rb" [ds]=[^\s;]+;")
_SIGNATURE = re.compile(rb"((?:^|;)\s*b\s*=)[^;]*")


def check_signatures(raw: bytes, signers: Sequence[Signer]) -> None:
    """Verify every DKIM-Signature of a message: there is one of each signer, in order, and all hold.

    Raises:
        MessageError: naming the first that does not.
    """
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = [(found[1].lower(), found[2]) for found in _FIELD.finditer(head + b"\r\n")]
    written = [value for name, value in fields if name == FIELD.lower().encode()]
    if len(written) != len(signers):
        raise MessageError(f"the message has {len(written)} DKIM signatures, not {len(signers)}")
    for value, signer in zip(written, signers, strict=True):
        _check(value, signer, fields, body)


def _check(value: bytes, signer: Signer, fields: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
    tags = {
        name.strip(): b"".join(text.split()) for name, _, text in (tag.partition(b"=") for tag in value.split(b";"))
    }
    expected = {
        b"v": "1",
        b"a": signer.key.algorithm,
        b"c": "relaxed/simple",
        b"d": signer.domain,
        b"s": signer.selector,
    }
    for name, text in expected.items():
        if tags.get(name) != text.encode():
            raise _broken(signer, f"its tag {name.decode()} is {tags.get(name, b'').decode()!r}, not {text!r}")
    if tags.keys() != {*expected, b"t", b"h", b"bh", b"b"}:
        raise _broken(signer, "its tags are not those that it should have")
    signed = tags[b"h"].lower().split(b":")
    for name in (name.lower().encode() for name in OVERSIGNED):
        if signed.count(name) != 1 + sum(1 for field, _ in fields if field == name):
            raise _broken(signer, f"{name.decode()} is not signed once more than it occurs")
    if any(len(line) > _LONGEST and not _UNFOLDED.fullmatch(line) for line in value.split(b"\r\n")[1:]):
        raise _broken(signer, "a line of it is too long")
    # The simple form of a body that ends in one CR LF, however many of them it has (§3.4.3).
    digest = sha256(re.sub(rb"(?:\r\n)*\Z", b"", body) + b"\r\n").digest()
    if tags[b"bh"] != b64encode(digest):
        raise _broken(signer, "it is not of this body")
    if not signer.key.verify(_signed(signed, value, fields), b64decode(tags[b"b"])):
        raise _broken(signer, "it is not of these headers")


def _signed(names: Sequence[bytes], value: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """What the signature is of: the fields, each time a name comes up the next one from below (§5.4.2)."""
    left = list(fields)
    lines = []
    for name in names:
        for place in reversed(range(len(left))):
            if left[place][0] == name:
                lines.append(_relaxed(*left.pop(place)) + b"\r\n")
                break
    return b"".join(lines) + _relaxed(FIELD.lower().encode(), _SIGNATURE.sub(rb"\1", value))


def _relaxed(name: bytes, value: bytes) -> bytes:
    return name + b":" + b" ".join(re.split(rb"[ \t\r\n]+", value.strip(b" \t\r\n")))


def _broken(signer: Signer, reason: str) -> MessageError:
    return MessageError(f"the DKIM signature of {signer.selector} at {signer.domain} would not hold: {reason}")

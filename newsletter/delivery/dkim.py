"""DKIM: a message signed by its domain, at hardly more than the price of the signature itself.

RFC 6376 with RFC 8301 (rsa-sha256) and RFC 8463 (ed25519-sha256).  Headers are
signed in their relaxed form, bodies in their simple one, which ours have
already but for blank lines at the end.  Whatever messages share is hashed and
written in its canonical form once per rendering; a message adds its own four
header fields and its merge fields.

No `l=` (text could be added below the letter), no `x=` (a deferred message
must not expire on its way), and `t=` is the issue's date: both algorithms give
the same signature for the same bytes, so a retry is the same message.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal, Protocol

FIELD = "DKIM-Signature"
Algorithm = Literal["rsa-sha256", "ed25519-sha256"]

#: Signed one time more often than they occur: a second one, put on top, breaks the signature
#: (RFC 6376 §5.4.2, §8.15).  RFC 8058 §4 wants both List-Unsubscribe fields among them.
OVERSIGNED = (
    "From",
    "Reply-To",
    "Date",
    "List-Id",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "To",
    "Subject",
    "Message-ID",
    "List-Unsubscribe",
)

_COLUMNS = 76
_LINE_END = b"\r\n"
_BLANKS = re.compile(rb"[ \t]+")
#: The two second-level names under which countries register others: a guess where the list of all is not at hand.
_REGISTRIES = frozenset({"ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "ltd", "mil", "ne", "net", "or", "org"})
_COUNTRY = 2


class SigningKey(Protocol):
    """A private key that shows itself to nobody."""

    @property
    def algorithm(self) -> Algorithm:
        """What it signs with."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature of a canonical header block."""
        ...

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether a signature is this key's."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who signs: a domain, the name of its key in the DNS, and the key.  Domain and selector are ASCII."""

    domain: str
    selector: str
    key: SigningKey = field(repr=False)


# ---------------------------------------------------------------- canonical forms


def relaxed(line: bytes) -> bytes:
    """A header field in its relaxed form (RFC 6376 §3.4.2), from its lines with their CR LF."""
    name, _, value = line.partition(b":")
    unfolded = _BLANKS.sub(b" ", value.replace(_LINE_END, b""))
    return name.rstrip(b" \t").lower() + b":" + unfolded.strip(b" ") + _LINE_END


def _cut(piece: bytes) -> tuple[bytes, bytes]:
    """A piece of a body, and the line ends it ends in."""
    kept = piece.rstrip(_LINE_END)
    return kept, piece[len(kept) :]


class BodyHash:
    """SHA-256 over the simple form of a body (RFC 6376 §3.4.3): as it is, with one CR LF at its end.

    What comes before the first merge field is hashed once.

    Args:
        body: literals, each with the number of the slot that follows it, or None.
    """

    def __init__(self, body: Iterable[tuple[bytes, int | None]]) -> None:
        self._steps: list[tuple[bytes, bytes, int | None]] = []
        literals: list[bytes] = []
        for literal, slot in body:
            literals.append(literal)
            if slot is not None:
                self._steps.append((*_cut(b"".join(literals)), slot))
                literals = []
        self._steps.append((*_cut(b"".join(literals)), None))
        shared, self._pending, self._first = self._steps.pop(0)
        self._state = sha256(shared)

    def of(self, values: Sequence[bytes]) -> bytes:
        """The hash with these values in the slots, in base64."""
        state = self._state.copy()
        # Line ends are part of the body only once something else has come after them.
        pending, slot = self._pending, self._first
        steps = iter(self._steps)
        while slot is not None:
            kept, ends = _cut(values[slot])
            if kept:
                state.update(pending + kept)
                pending = ends
            else:
                pending += ends
            literal, ends, slot = next(steps)
            if literal:
                state.update(pending)
                state.update(literal)
                pending = ends
            else:
                pending += ends
        state.update(_LINE_END)
        return b64encode(state.digest())


# --------------------------------------------------------------------- signatures


class Signatures:
    """The signatures of all messages made from one skeleton.

    Args:
        signers: who signs; each signs the same, for itself.
        date: the issue's.
        fixed: the header fields that are the same in all messages, as they are written.
        varying: the names of those that are not, in the order in which `fields` gets them.
        body: as for `BodyHash`.
    """

    def __init__(
        self,
        signers: Iterable[Signer],
        *,
        date: datetime,
        fixed: Sequence[tuple[str, bytes]],
        varying: Sequence[str],
        body: Iterable[tuple[bytes, int | None]],
    ) -> None:
        self._hash = BodyHash(body)
        signed = {name: line for name, line in fixed if name in OVERSIGNED}
        self._varying = [varying.index(name) for name in OVERSIGNED if name in varying]
        self._fixed = b"".join(relaxed(line) for line in signed.values())
        # The fields are hashed in this order, and what a name has no field for adds nothing (§5.4.2).
        names = [*signed, *(varying[index] for index in self._varying), *OVERSIGNED]
        self._templates = [_Template(signer, names, int(date.timestamp())) for signer in signers]

    def fields(self, lines: Sequence[bytes], values: Sequence[bytes]) -> bytes:
        """The DKIM-Signature fields of one message.

        Args:
            lines: its own header fields, in the order of `varying`.
            values: what stands in the slots of its body.
        """
        own = b"".join([relaxed(lines[index]) for index in self._varying])
        body_hash = self._hash.of(values)
        return b"".join([template.written(self._fixed + own, body_hash) for template in self._templates])


class _Template:
    """One signer's field, with gaps for the hash of the body and the signature."""

    def __init__(self, signer: Signer, names: Sequence[str], timestamp: int) -> None:
        self._key = signer.key
        signed = ":".join(name.lower() for name in names)
        tags = [
            *(f"{FIELD}: v=1;", f"a={signer.key.algorithm};", "c=relaxed/simple;"),
            *(f"d={signer.domain};", f"s={signer.selector};", f"t={timestamp};"),
            *f"h={signed};".replace(":", ": ").split(" "),
        ]
        gap = b"\r\n bh="
        self._before = _folded(tags) + gap
        self._after = b";\r\n b="
        # Relaxed, a fold is a blank; with an empty b= and without its line end (§3.7).
        before, after = relaxed(self._before + b"?" + self._after).removesuffix(_LINE_END).split(b"?")
        self._signed_before, self._signed_after = before, after

    def written(self, headers: bytes, body_hash: bytes) -> bytes:
        signature = b64encode(self._key.sign(headers + self._signed_before + body_hash + self._signed_after))
        room = _COLUMNS - len(" b=")
        lines = [signature[:room]]
        lines += [signature[at : at + _COLUMNS - 1] for at in range(room, len(signature), _COLUMNS - 1)]
        return self._before + body_hash + self._after + b"\r\n ".join(lines) + _LINE_END


def _folded(words: Sequence[str]) -> bytes:
    """Words with blanks between, folded; names that end in a colon are joined without one."""
    lines, line = [], words[0]
    for word in words[1:]:
        gap = "" if line.endswith(":") else " "
        if len(line) + len(gap) + len(word) <= _COLUMNS:
            line += gap + word
        else:
            lines.append(line)
            line = " " + word
    return "\r\n".join([*lines, line]).encode("ascii")


# ----------------------------------------------------------------------- domains


def is_aligned(signing: str, sender: str) -> bool:
    """Whether two domains belong to one organisation, as DMARC's relaxed alignment asks (RFC 7489 §3.1.1).

    A domain, those below it and those beside it are aligned.  Where one may
    register names is guessed from the domain alone: `example.co.uk` has three labels.
    """
    return _organisation(signing) == _organisation(sender)


def _organisation(domain: str) -> tuple[str, ...]:
    labels = domain.lower().rstrip(".").split(".")
    is_under_registry = len(labels) > _COUNTRY and len(labels[-1]) == _COUNTRY and labels[-2] in _REGISTRIES
    return tuple(labels[-3 if is_under_registry else -2 :])

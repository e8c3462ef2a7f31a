"""What a DKIM signature costs, beside the usual way: `python -m benchmarks.dkim`.

Every way makes the same letter (about 60 KB, text and HTML, three personal
values) for the same people, in turns, in one run, on one thread: CPU time a
message.  Theirs is an `EmailMessage` a person, signed by dkimpy; ours is the
prepared skeleton.  The bare signature is what OpenSSL takes for RSA-2048 alone:
nobody who signs each message can be faster.  The first message of each way is
verified by dkimpy before anything is timed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks import letter
from benchmarks.letter import Person
from benchmarks.send import by_hand
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.dkim import OVERSIGNED, Signer
from newsletter.delivery.keys import PrivateKey
from newsletter.model import Delivery, DeliveryState, Format, Issue, IssueState

DOMAIN = "example.com"
TOKEN = "5eed" * 8
Way = Callable[[Person], object]


def skeleton(entries: int, signers: Sequence[Signer]) -> Skeleton:
    """The letter, ready to be filled in."""
    issue = Issue(
        id=1,
        digest="daily",
        number=12,
        slot="2026-03-14",
        state=IssueState.open,
        state_reason="",
        subject=letter.SUBJECT,
        entries=entries,
        envelope=letter.envelope(TOKEN, "b0a7" * 8),
        frozen_at=letter.DATE,
    )
    return Skeleton.build(issue, letter.rendering(TOKEN, entries), Format.html, secret=bytes(32), signers=signers)


def delivery(person: Person) -> Delivery:
    return Delivery(
        id=1,
        issue_id=1,
        email=person.email,
        wire_email=person.email,
        key=person.email,
        name=person.name,
        format=Format.html,
        rendering="en",
        merge={"subscriber.name": person.name},
        message_id=f"12.{person.email.replace('@', '.')}@example.com",
        state=DeliveryState.queued,
        attempts=0,
        last_code=None,
        last_reply="",
        queued_at=datetime(2026, 3, 14, tzinfo=UTC),
        next_attempt_at=None,
        settled_at=None,
    )


def ours(entries: int, signers: Sequence[Signer]) -> Way:
    made = skeleton(entries, signers)
    return lambda person: made.pieces(delivery(person))


def usual(entries: int, pem: bytes) -> Way:
    """What one would write: a message for each person, signed by dkimpy over the headers that ours signs."""
    present = {name.lower() for name in by_hand(Person(name="x", email="x@example.com"), entries)}
    names = [name.lower().encode() for name in OVERSIGNED]
    signed = [name for name in names if name.decode() in present] + names

    def make(person: Person) -> list[bytes]:
        raw = by_hand(person, entries).as_bytes().replace(b"\n", b"\r\n")
        field = dkim.sign(
            raw, b"rsa", DOMAIN.encode(), pem, canonicalize=(b"relaxed", b"simple"), include_headers=signed
        )
        return [field, raw]

    return make


def verify(way: Way, published: dict[str, str], signatures: int) -> int:
    """Check a message's signatures; its size."""
    made = way(Person(name="Reader", email="reader@example.com"))
    assert isinstance(made, list)
    raw = b"".join(made)

    def answer(name: bytes, timeout: float = 5) -> bytes:  # noqa: ARG001 - as dkimpy calls it
        return published[name.decode()].encode()

    for index in range(signatures):
        if not dkim.DKIM(raw).verify(index, dnsfunc=answer):
            sys.exit("error: a signature does not hold")
    return len(raw)


def cost(way: Way, people: Sequence[Person]) -> float:
    """CPU seconds a message."""
    began = time.process_time()
    for person in people:
        way(person)
    return (time.process_time() - began) / len(people)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=60_000, help="bytes of one message on the wire, about")
    options = parser.parse_args()

    base, one = (len(by_hand(letter.people(1)[0], entries).as_bytes()) for entries in (0, 1))
    entries = max(1, round((options.size - base) / (one - base)))
    made_rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    by_rsa = Signer(domain=DOMAIN, selector="rsa", key=PrivateKey(made_rsa))
    by_ed25519 = Signer(domain=DOMAIN, selector="ed", key=PrivateKey(ed25519.Ed25519PrivateKey.generate()))
    pem = made_rsa.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    published = {
        f"{signer.selector}._domainkey.{DOMAIN}.": signer.key.record()
        for signer in (by_rsa, by_ed25519)
        if isinstance(signer.key, PrivateKey)
    }
    ways: dict[str, tuple[Way, int]] = {
        "EmailMessage + dkimpy RSA-2048": (usual(entries, pem), 1),
        "newsletter, unsigned": (ours(entries, ()), 0),
        "newsletter + RSA-2048": (ours(entries, (by_rsa,)), 1),
        "newsletter + Ed25519": (ours(entries, (by_ed25519,)), 1),
        "newsletter + both": (ours(entries, (by_rsa, by_ed25519)), 2),
        "the bare RSA-2048 signature": (lambda _: by_rsa.key.sign(bytes(2_000)), 0),
    }
    sizes = {name: verify(way, published, signatures) for name, (way, signatures) in ways.items() if signatures}
    print(
        f"{options.messages:,} messages of {min(sizes.values()) / 1000:.0f} KB, median of {options.rounds}, one thread\n"
    )

    costs: dict[str, list[float]] = {name: [] for name in ways}
    people = list(islice(cycle(letter.people(options.messages)), options.messages))
    for _ in range(options.rounds):
        for name, (way, _) in ways.items():
            # The slow way gets fewer: its cost a message does not depend on how many there are.
            costs[name].append(cost(way, people[:: 10 if "dkimpy" in name else 1]))

    medians = {name: statistics.median(found) for name, found in costs.items()}
    usual_cost, bare = medians["EmailMessage + dkimpy RSA-2048"], medians["the bare RSA-2048 signature"]
    print(f"{'':<34} {'CPU µs/message':>14} {'better':>9} {'bare RSA':>9}")
    for name, found in medians.items():
        print(f"{name:<34} {found * 1e6:>14,.0f} {usual_cost / found:>8.1f}x {found / bare:>8.2f}x")
    print("\nbetter: than the usual way; bare RSA: how many times the signature alone")


if __name__ == "__main__":
    main()

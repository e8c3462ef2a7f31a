"""An issue that is signed on its way: the bytes that arrive are the bytes that were signed, at every attempt."""

import asyncio
import threading
from dataclasses import dataclass, field, replace
from itertools import count

import pytest

from newsletter.delivery.compose import Skeleton
from newsletter.delivery.deliver import deliver
from newsletter.delivery.dkim import Algorithm, Signer
from newsletter.model import DeliveryState, Format, Issue, Picture
from tests.delivery.conftest import Office
from tests.delivery.samples import RENDERING, people, settings
from tests.delivery.signing import both, by_ed25519, ed25519_key, holds
from tests.delivery.sink import Sink, Step

PICTURE = Picture(cid="0a" * 16 + "@example.com", media_type="image/png", data=bytes(range(256)), width=8, height=8)


def composed(office: Office, issue: Issue, email: str) -> bytes:
    """The message to one person, made anew from the store."""
    row = office.row(issue, email)
    rendering = office.store.rendering(issue.id, row.rendering)
    secret = office.store.secret(issue.envelope.links_secret)
    return Skeleton.build(issue, rendering, row.format, secret=secret, signers=both()).message(row)


@pytest.mark.parametrize("wanted", list(Format))
def test_what_arrives_is_what_was_signed(office: Office, wanted: Format) -> None:
    emails = [*people(30), "søren@example.com"]
    issue = office.freeze(emails, wanted=wanted)

    ran = office.send(issue, signers=both(), connections=4)

    assert dict.fromkeys(emails, 1) == ran.sink.copies()
    assert {DeliveryState.sent: 31} == ran.report.counts
    for one in ran.sink.accepted:
        assert holds(one.raw, both())
        assert one.raw == composed(office, issue, one.recipient)


def test_pictures_inside_the_message_are_signed(office: Office) -> None:
    showing = replace(RENDERING, html=f'{RENDERING.html}<img src="cid:{PICTURE.cid}" alt="x">\n')
    issue = office.freeze(["ada@example.com"], rendering=showing, pictures=[PICTURE])

    ran = office.send(issue, signers=both())

    assert b"multipart/related" in ran.sink.accepted[0].raw
    assert holds(ran.sink.accepted[0].raw, both())


def test_a_retry_after_a_silent_server_is_the_same_message(office: Office) -> None:
    issue = office.freeze(people(3))

    def script(step: Step) -> str | None:
        return "take drop" if step.name == "message" and step.attempt == 1 else None

    ran = office.send(issue, script, signers=both(), connections=1)

    assert {2} == set(ran.sink.copies().values())
    assert 3 == len({one.raw for one in ran.sink.accepted})
    assert all(holds(one.raw, both()) for one in ran.sink.accepted)


def test_a_server_that_ends_connections_costs_no_signature(office: Office) -> None:
    issue = office.freeze(people(12))

    ran = office.send(
        issue, lambda step: "421 enough" if step.name == "mail" and step.message == 4 else None, signers=both()
    )

    assert dict.fromkeys(people(12), 1) == ran.sink.copies()
    assert all(holds(one.raw, both()) for one in ran.sink.accepted)


def test_a_sender_that_is_refused_still_pauses_the_issue(office: Office) -> None:
    issue = office.freeze(people(20))

    ran = office.send(issue, lambda step: "550 no" if step.name == "mail" else None, signers=both())

    assert {DeliveryState.queued: 20} == ran.report.counts
    assert "refused us" in (office.reason(issue) or "")


@dataclass
class Watched:
    """A key that notes who uses it, and for what."""

    algorithm: Algorithm = "ed25519-sha256"
    threads: set[str] = field(default_factory=set)
    uses: int = 0

    def sign(self, data: bytes) -> bytes:
        self.threads.add(threading.current_thread().name)
        self.uses += 1
        return ed25519_key().sign(data)

    def verify(self, data: bytes, signature: bytes) -> bool:
        return ed25519_key().verify(data, signature)


def test_messages_are_signed_off_the_event_loop(office: Office) -> None:
    key = Watched()
    issue = office.freeze(people(40))

    office.send(issue, signers=(Signer(domain="example.com", selector="x", key=key),), connections=2)

    here = threading.current_thread().name
    assert {here} == {name for name in key.threads if not name.startswith("signing")}, "the proof-read one"
    assert any(name.startswith("signing") for name in key.threads)
    assert 41 == key.uses, "none is signed twice"
    assert [] == [one.name for one in threading.enumerate() if one.name.startswith("signing")]


def test_only_a_few_messages_are_signed_ahead(office: Office) -> None:
    """A server that takes nothing in lets nothing pile up."""
    key = Watched()
    issue = office.freeze(people(200))
    connections = 3

    async def go() -> int:
        arrived = count()
        stop = asyncio.Event()

        def script(step: Step) -> str | None:
            if step.name == "mail" and next(arrived) == connections - 1:
                asyncio.get_running_loop().call_later(0.2, stop.set)
            return "silence" if step.name == "mail" else None

        async with Sink(script) as sink:
            smtp = settings(
                sink,
                connections=connections,
                timeout=1.0,
                signers=(Signer(domain="example.com", selector="x", key=key),),
            )
            report = await deliver(issue, office.store, smtp, clock=office.clock, stop=stop)
        assert report.stopped is not None
        return sum(report.counts.values())

    assert 200 == asyncio.run(go())
    # For each connection a message on the wire, one that waits for it and a few ahead; and the one that was proof-read.
    assert key.uses <= 5 * connections + 1
    assert {DeliveryState.sent} != set(office.states(issue).values())


def test_an_issue_that_is_cancelled_stops_though_its_next_messages_are_signed(office: Office) -> None:
    """The intent's gate comes after signing: a signature in memory is no promise to send."""
    issue = office.freeze(people(30))

    def script(step: Step) -> str | None:
        if step.name == "message" and step.recipient == "reader1@example.com":
            office.store.cancel(issue.id)
        return None

    ran = office.send(issue, script, signers=(by_ed25519(),), connections=1)

    assert ["reader1@example.com"] == [one.recipient for one in ran.sink.accepted]
    assert {DeliveryState.sent: 1, DeliveryState.cancelled: 29} == ran.report.counts


def test_a_message_that_cannot_be_made_fails_alone(office: Office) -> None:
    issue = office.freeze(["ada..lovelace@example.com", *people(5)])

    ran = office.send(issue, signers=both())

    assert dict.fromkeys(people(5), 1) == ran.sink.copies()
    row = office.row(issue, "ada..lovelace@example.com")
    assert (DeliveryState.failed, True) == (row.state, "cannot stand in a header" in row.last_reply)

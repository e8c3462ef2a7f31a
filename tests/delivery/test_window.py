"""Several messages in flight over one connection (RFC 3030): each reply settles its own, and no other."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

import pytest

from newsletter.delivery.attempt import AlwaysOpen, Gate, Outcome
from newsletter.delivery.deliver import deliver
from newsletter.delivery.replies import Verdict
from newsletter.delivery.smtp import SmtpTransport
from newsletter.model import DeliveryState, OnUnknown, SendReport, SuppressionReason
from tests.delivery.conftest import Office, Ran
from tests.delivery.samples import people, settings
from tests.delivery.sink import CHUNKING, EXTENSIONS, Script, Sink, Step
from tests.delivery.test_faults import ADA, BOB, CY, FAULTS, Fault

sent, deferred, failed, held, queued = (
    DeliveryState.sent,
    DeliveryState.deferred,
    DeliveryState.failed,
    DeliveryState.held,
    DeliveryState.queued,
)
MESSAGE = b"From: wire@example.com\r\nSubject: x\r\n\r\nx\r\n"


def verbs(sink: Sink) -> list[str]:
    return [command.split()[0].decode() for command in sink.commands]


# ------------------------------------------------------------------------------- the way it goes


@pytest.mark.parametrize("window", [1, 4, 16])
@pytest.mark.parametrize("extensions", [CHUNKING, EXTENSIONS, ("CHUNKING",), ()], ids=len)
def test_everybody_gets_the_issue_once_whatever_the_window(
    office: Office, window: int, extensions: tuple[str, ...]
) -> None:
    issue = office.freeze(people(60))

    ran = office.send(issue, window=window, extensions=extensions)

    assert dict.fromkeys(people(60), 1) == ran.sink.copies()
    assert {sent: 60} == ran.report.counts
    chunked = window > 1 and extensions == CHUNKING
    assert chunked == ("BDAT" in verbs(ran.sink))
    assert chunked != ("DATA" in verbs(ran.sink))


def test_chunks_and_dots_carry_the_same_bytes(office: Office) -> None:
    """A retry over another kind of connection is the same message."""
    issue = office.freeze(people(9))
    lost = office.send(issue, lambda step: "drop" if step.name == "message" else None, window=4, extensions=CHUNKING)
    office.clock.advance(400)
    dotted = office.send(issue)
    again = office.freeze(people(9))
    with_chunks = office.send(again, window=4, extensions=CHUNKING)

    def bodies(ran: Ran) -> set[bytes]:
        return {one.raw.partition(b"\r\n\r\n")[2] for one in ran.sink.accepted}

    assert [] == lost.sink.accepted
    assert bodies(dotted) == bodies(with_chunks)
    assert 9 == len(dotted.sink.accepted)


class _Bound:
    """Counts messages between the write of the last byte and the answer."""

    def __init__(self) -> None:
        self.now = self.most = 0

    def __call__(self, step: str) -> None:
        self.now += {"after-dot": 1, "after-250": -1}.get(step, 0)
        self.most = max(self.most, self.now)


@pytest.mark.parametrize("window", [1, 2, 4, 16])
def test_so_many_messages_are_in_flight_as_the_window_allows(office: Office, window: int) -> None:
    issue = office.freeze(people(80))
    bound = _Bound()
    rows: list[int] = []

    def script(step: Step) -> str | None:
        if step.name == "message":
            rows.append(office.store.counts(issue.id).get(DeliveryState.sending, 0))
            return "wait 0.01"
        return None

    async def go() -> None:
        async with Sink(script, CHUNKING) as sink:
            smtp = settings(sink, window=window, connections=1)
            await deliver(issue, office.store, smtp, clock=office.clock, trace=bound)

    asyncio.run(go())

    assert window == bound.most
    assert max(rows) <= window


def test_with_pipelining_the_next_message_is_announced_while_one_is_in_flight(office: Office) -> None:
    """MAIL, RCPT and DATA of the next come before the answer to this one; its bytes do not (RFC 2920 §3.1)."""
    said: list[list[str]] = []

    async def go() -> None:
        issue = office.freeze(people(4))
        async with Sink(lambda step: "wait 0.05" if step.name == "message" else None) as sink:
            await deliver(issue, office.store, settings(sink, connections=1), clock=office.clock)
            said.append(verbs(sink))

    asyncio.run(go())

    assert ["EHLO", *["MAIL", "RCPT", "DATA"] * 4, "QUIT"] == said[0]


# --------------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize("window", [4, 16])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.step != "data"], ids=str)
def test_a_fault_in_the_middle_of_a_window_ends_in_its_stated_state(office: Office, fault: Fault, window: int) -> None:
    """As without a window; but what was written behind the fault may be unknown with it."""
    issue = office.freeze([ADA, BOB, CY])
    done: list[Step] = []

    def script(step: Step) -> str | None:
        is_bob = step.recipient == BOB or (step.name == "mail" and step.message == 2)
        if step.name == fault.step and is_bob and not done:
            done.append(step)
            return fault.answer
        return None

    patience = 0.3 if "silence" in fault.answer else 30.0
    ran = office.send(
        issue,
        script,
        on_unknown=OnUnknown.hold if fault.hold else OnUnknown.resend,
        extensions=CHUNKING,
        connections=1,
        window=window,
        timeout=patience,
        after_dot=patience,
    )

    assert 1 == len(done)
    states = office.states(issue)
    # Every byte of Bob's message had left when the connection broke: only the server knows.
    bob = held if fault.hold and not fault.answer.startswith("421") else fault.becomes
    assert (sent, bob) == (states[ADA], states[BOB])
    assert states[CY] in ({sent, queued, deferred} if fault.stops else {sent, held} if fault.hold else {sent})
    copies = ran.sink.copies()
    assert (1, fault.copies if bob is fault.becomes else 0) == (copies[ADA], copies[BOB])
    assert copies[CY] <= (1 if fault.hold or fault.stops else 2)
    if fault.code is not None:
        assert fault.code == office.row(issue, BOB).last_code
    assert fault.stops == bool(ran.report.stopped) == (office.reason(issue) is not None)
    assert all(1 == len({one.raw for one in ran.sink.accepted if one.recipient == who}) for who in copies)


@pytest.mark.parametrize("window", [1, 4, 16])
@pytest.mark.parametrize("position", range(1, 9))
@pytest.mark.parametrize(
    "fault",
    [
        Fault("rcpt", "550 5.1.1 no such user", failed),
        Fault("rcpt", "450 4.2.1 greylisted", deferred),
        Fault("message", "552 5.2.3 too big", failed),
        Fault("message", "451 4.3.0 not now", deferred),
    ],
    ids=str,
)
def test_a_refusal_at_any_place_is_of_one_person_alone(
    office: Office, window: int, position: int, fault: Fault
) -> None:
    who = people(8)[position - 1]
    issue = office.freeze(people(8))

    ran = office.send(
        issue,
        lambda at: fault.answer if at.name == fault.step and at.recipient == who else None,
        extensions=CHUNKING,
        connections=1,
        window=window,
        # A busy machine is no silent server.
        timeout=30.0,
        after_dot=30.0,
    )

    assert {**dict.fromkeys(people(8), sent), who: fault.becomes} == office.states(issue)
    assert {one: 1 for one in people(8) if one != who} == ran.sink.copies()
    assert 1 == ran.sink.connections


def test_replies_that_take_turns_settle_their_own(office: Office) -> None:
    """Good, refused and deferred in every order: nobody gets somebody else's answer."""
    said = {0: None, 1: "550 5.1.1 no", 2: "450 4.2.0 later", 3: "552 5.2.3 big", 4: "452 4.3.1 full"}
    becomes = {0: sent, 1: failed, 2: deferred, 3: failed, 4: deferred}
    everybody = people(120)
    kinds = {one: number * number % 5 if number % 7 else number % 5 for number, one in enumerate(everybody)}
    issue = office.freeze(everybody)

    def script(step: Step) -> str | None:
        kind = kinds.get(step.recipient, 0)
        return said[kind] if step.name == ("rcpt" if kind < 3 else "message") else None

    ran = office.send(issue, script, extensions=CHUNKING, connections=2, window=8)

    assert {one: becomes[kind] for one, kind in kinds.items()} == office.states(issue)
    assert {one: 1 for one, kind in kinds.items() if kind == 0} == ran.sink.copies()


def test_after_a_refused_chunk_the_transaction_is_taken_back(office: Office) -> None:
    """RFC 3030 §2: the state after a failed BDAT is indeterminate, and RSET clears it; this sink holds us to it."""
    issue = office.freeze(people(6))

    ran = office.send(
        issue,
        lambda step: "452 4.3.1 full" if step.name == "message" and step.attempt == 1 else None,
        extensions=CHUNKING,
        connections=1,
        window=2,
    )
    office.clock.advance(400)
    rest = office.send(issue, extensions=CHUNKING, connections=1, window=2)

    assert [] == ran.sink.accepted
    assert {sent: 6} == rest.report.counts


def test_a_message_that_is_taken_although_its_recipient_was_refused_is_unknown(office: Office) -> None:
    """Such a server breaks every rule; what it did with the message nobody knows, so in `hold` mode a person decides."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 careless\r\n")
        while line := await reader.readline():
            if line.startswith(b"EHLO"):
                writer.write(b"250-careless\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
            elif line.startswith(b"RCPT") and BOB.encode() in line:
                writer.write(b"550 5.1.1 no such user\r\n")
            else:
                if line.startswith(b"BDAT"):
                    await reader.readexactly(int(line.split()[1]))
                writer.write(b"250 2.0.0 fine\r\n")
        writer.close()

    async def go() -> dict[str, DeliveryState]:
        issue = office.freeze([ADA, BOB, CY])
        async with await asyncio.start_server(session, "127.0.0.1", 0) as server:
            smtp = replace(settings(Sink(), window=4, connections=1), port=server.sockets[0].getsockname()[1])
            await deliver(issue, office.store, smtp, clock=office.clock, on_unknown=OnUnknown.hold)
        return office.states(issue)

    assert {ADA: sent, BOB: held, CY: sent} == asyncio.run(go())


# ------------------------------------------------------------------- an offer that is not kept


@pytest.mark.parametrize("answer", ["500 5.5.2 what?", "502 5.5.1 not implemented", "503 5.5.1 bad sequence"])
def test_a_server_that_offers_chunking_and_refuses_it_gets_the_message_the_old_way(office: Office, answer: str) -> None:
    issue = office.freeze(people(20))

    ran = office.send(
        issue, lambda step: answer if step.name == "chunk" else None, extensions=CHUNKING, connections=4, window=4
    )

    assert dict.fromkeys(people(20), 1) == ran.sink.copies()
    assert {1} == {row.attempts for row in office.store.deliveries(issue.id)}
    assert 1 == verbs(ran.sink).count("BDAT")


def test_a_server_that_does_not_know_bdat_is_never_shown_a_line_that_others_have_written(office: Office) -> None:
    """It reads what follows as commands; a feed that holds "RCPT TO:<…>" must not come to speak SMTP for us."""
    issue = office.freeze(people(20))

    async def go() -> tuple[SendReport, Sink]:
        async with Sink(extensions=CHUNKING, knows_bdat=False) as sink:
            smtp = settings(sink, connections=2, window=4)
            return await deliver(issue, office.store, smtp, clock=office.clock), sink

    report, sink = asyncio.run(go())

    assert {sent: 20} == report.counts
    assert dict.fromkeys(people(20), 1) == sink.copies()
    assert {"EHLO", "MAIL", "RCPT", "BDAT", "From:", "DATA", "QUIT"} == set(verbs(sink))
    assert 1 == verbs(sink).count("From:")


@pytest.mark.parametrize("answer", ["500 5.5.2 what?", "502 5.5.1 not any more", "503 5.5.1 bad sequence"])
def test_a_server_that_forgets_bdat_in_the_middle_blames_nobody(office: Office, answer: str) -> None:
    issue = office.freeze(people(30))

    ran = office.send(
        issue,
        lambda step: answer if step.name == "message" and step.connection == 1 and step.message > 5 else None,
        extensions=CHUNKING,
        connections=1,
        window=4,
    )

    assert dict.fromkeys(people(30), 1) == ran.sink.copies()
    assert {sent: 30} == office.store.counts(issue.id)


# --------------------------------------------------------------------------- cut at every byte


class Cut:
    """A wire to the sink that breaks once, after so many bytes in one direction; what came before gets through."""

    def __init__(self, port: int, after: int, *, replies: bool) -> None:
        self.sink_port, self.left, self.replies = port, after, replies
        self.has_cut = False
        self.ends: list[End] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: End(self, is_ours=True), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for end in self.ends:
            end.transport.abort()
        await asyncio.gather(*(end.lost for end in self.ends))


class End(asyncio.Protocol):
    """One end of that wire: what is read here is written at the other."""

    transport: asyncio.Transport

    def __init__(self, cut: Cut, *, is_ours: bool, other: "End | None" = None) -> None:
        self.cut, self.is_ours, self.other = cut, is_ours, other
        self.early = b""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        cut.ends.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.is_ours:
            loop = asyncio.get_running_loop()
            there = End(self.cut, is_ours=False, other=self)
            self.connecting = loop.create_task(loop.create_connection(lambda: there, "127.0.0.1", self.cut.sink_port))
        elif self.other is not None:
            self.other.other = self
            self.pass_on(self.transport, self.other.early)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early += data
        else:
            self.pass_on(self.other.transport, data, counted=self.is_ours != self.cut.replies)

    def pass_on(self, target: asyncio.Transport, data: bytes, *, counted: bool = False) -> None:
        cut = self.cut
        if counted and not cut.has_cut:
            data, cut.left = data[: cut.left], cut.left - len(data)
            cut.has_cut = cut.left <= 0
            target.write(data)
            if cut.has_cut:
                target.close()
                self.transport.close()
        elif not target.is_closing():
            target.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)
        if self.other is not None:
            self.other.transport.close()


def cut_run(
    office: Office, after: int, *, replies: bool, window: int, on_unknown: OnUnknown
) -> tuple[bool, Counter[str], dict[str, DeliveryState]]:
    """Send to five people over a wire that breaks; whether it did, the copies, the states."""
    issue = office.freeze(people(5))

    async def go() -> tuple[bool, Counter[str]]:
        async with Sink(extensions=CHUNKING) as sink, Cut(sink.port, after, replies=replies) as cut:
            smtp = replace(settings(sink, connections=1, window=window, timeout=30.0, after_dot=30.0), port=cut.port)
            await deliver(issue, office.store, smtp, clock=office.clock, on_unknown=on_unknown)
            return cut.has_cut, sink.copies()

    has_cut, copies = asyncio.run(go())
    return has_cut, copies, office.states(issue)


def check_cut(office: Office, after: int, *, replies: bool, window: int) -> bool:
    """One place to cut at, in both modes; False if the session was shorter than that."""
    has_cut, copies, states = cut_run(office, after, replies=replies, window=window, on_unknown=OnUnknown.resend)

    assert dict.fromkeys(people(5), sent) == states
    assert set(people(5)) == set(copies)
    assert sum(copies.values()) - 5 <= window
    assert max(copies.values()) <= 2

    _, copies, states = cut_run(office, after, replies=replies, window=window, on_unknown=OnUnknown.hold)

    assert max(copies.values(), default=1) == 1
    assert {sent, held} >= set(states.values())
    assert list(states.values()).count(held) <= window
    assert {who for who, state in states.items() if state is sent} <= set(copies)
    return has_cut


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("replies", [False, True], ids=["what we say", "what is answered"])
def test_a_session_cut_at_some_bytes_misses_nobody(office: Office, window: int, replies: bool) -> None:
    """Every 13th reply byte, every 401st of ours; all of them in the long test below."""
    cuts = 0
    for after in range(1, 100_000, 13 if replies else 401):
        if not check_cut(office, after, replies=replies, window=window):
            break
        cuts += 1

    assert cuts > 10


@pytest.mark.soak
@pytest.mark.parametrize("window", [1, 4, 16])
@pytest.mark.parametrize("replies", [False, True], ids=["what we say", "what is answered"])
def test_a_session_cut_at_every_byte_misses_nobody(office: Office, window: int, replies: bool) -> None:
    after = 1
    while check_cut(office, after, replies=replies, window=window):
        after += 1

    assert after > 300


# ------------------------------------------------------------------------------ stopped, bounded


def test_a_run_that_is_asked_to_stop_finishes_its_window(office: Office) -> None:
    issue = office.freeze(people(200))

    async def go() -> tuple[SendReport, Sink]:
        stop = asyncio.Event()

        def script(step: Step) -> str | None:
            if step.name == "message" and step.message == 10:
                stop.set()
            return None

        async with Sink(script, CHUNKING) as sink:
            smtp = settings(sink, connections=2, window=4)
            return await deliver(issue, office.store, smtp, clock=office.clock, stop=stop), sink

    report, sink = asyncio.run(go())

    got = len(sink.accepted)
    assert {sent: got, queued: 200 - got} == report.counts
    assert dict.fromkeys(sink.copies(), 1) == sink.copies()
    assert got < 60


@pytest.mark.parametrize("extensions", [CHUNKING, EXTENSIONS], ids=["chunks", "dots"])
@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_a_pause_ends_an_issue_within_what_is_in_flight(office: Office, end: str, extensions: tuple[str, ...]) -> None:
    issue = office.freeze(people(200))
    taken: list[int] = []

    def script(step: Step) -> str | None:
        if step.name == "message":
            taken.append(step.connection)
            if len(taken) == 20:
                if end == "pause":
                    office.store.pause(issue.id, "by hand")
                else:
                    office.store.cancel(issue.id)
        return None

    ran = office.send(issue, script, extensions=extensions, connections=2, window=4)

    assert len(ran.sink.accepted) <= 20 + 2 * 4
    assert 1 == max(ran.sink.copies().values())
    counts = office.store.counts(issue.id)
    assert (len(ran.sink.accepted), 200) == (counts[sent], sum(counts.values()))
    assert 0 == counts.get(DeliveryState.sending, 0)


@pytest.mark.parametrize("extensions", [CHUNKING, EXTENSIONS], ids=["chunks", "dots"])
def test_who_leaves_while_a_window_is_open_gets_nothing_and_holds_nobody_up(
    office: Office, extensions: tuple[str, ...]
) -> None:
    everybody = [f"w{extensions is CHUNKING:d}.{one}" for one in people(40)]
    gone = everybody[5:40:7]
    issue = office.freeze(everybody)
    for email in gone:
        office.store.suppress(email, email, SuppressionReason.unsubscribed)

    ran = office.send(issue, extensions=extensions, connections=2, window=4)

    assert set(everybody) - set(gone) == set(ran.sink.copies())
    assert {1} == set(ran.sink.copies().values())
    assert {DeliveryState.suppressed: len(gone), sent: 40 - len(gone)} == office.store.counts(issue.id)
    assert ran.report.stopped is None


def on_connection(
    script: Script, work: Callable[["SmtpTransport", Sink], Awaitable[Outcome]], **other: object
) -> Outcome:
    async def go() -> Outcome:
        async with Sink(script, CHUNKING) as sink:
            return await work(SmtpTransport(settings(sink, **other)), sink)

    return asyncio.run(go())


def test_a_window_of_large_messages_takes_the_memory_of_one(office: Office) -> None:
    """A server that stops reading must not make us hold sixteen messages ready for it."""
    size = 4_000_000
    large = MESSAGE + (b"y" * 70 + b"\r\n") * (size // 72)
    most: list[int] = []

    async def work(transport: SmtpTransport, sink: Sink) -> Outcome:
        connection = await transport.open()

        async def one() -> Outcome:
            return await connection.transaction(
                sender="wire@example.com", recipient=ADA, gate=AlwaysOpen(), message=[large]
            )

        first, *rest = [asyncio.create_task(one()) for _ in range(17)]
        await first
        for _ in range(20):
            most.append(connection._conversation._transport.get_write_buffer_size())
            await asyncio.sleep(0.01)
        connection.abort()
        await asyncio.gather(*rest)
        return first.result()

    outcome = on_connection(
        lambda step: "deaf 250 2.1.0 fine\r\n" if step.name == "mail" and step.message == 2 else None,
        work,
        window=16,
        timeout=30.0,
    )

    assert Verdict.sent is outcome.verdict
    assert 0 < max(most) <= 1.1 * size


class HeldGate:
    """A gate that somebody else opens."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def ready(self) -> bool:
        return True

    def begin(self) -> None:
        pass

    def hurry(self) -> None:
        pass

    async def open(self) -> bool:
        return await self.opened


def test_a_message_written_between_a_refusal_and_its_reading_takes_the_transaction_back_too(office: Office) -> None:
    """The refusal is here, its own turn has not come: a MAIL without RSET then would get a 503, and look like a refusal of us."""
    outcomes: list[Verdict] = []

    async def work(transport: SmtpTransport, sink: Sink) -> Outcome:
        connection = await transport.open()

        def hand_over(recipient: str, gate: Gate) -> asyncio.Task[Outcome]:
            return asyncio.create_task(
                connection.transaction(sender="wire@example.com", recipient=recipient, gate=gate, message=[MESSAGE])
            )

        await hand_over(ADA, AlwaysOpen())
        conversation, gate = connection._conversation, HeldGate()
        take_in = conversation.data_received

        def release_and_take_in(data: bytes) -> None:
            if b"552" in data:
                # Whoever waits for the gate is woken before whoever waits for this answer.
                gate.opened.set_result(True)
            take_in(data)

        conversation.data_received = release_and_take_in  # type: ignore[method-assign]
        second, third = hand_over(BOB, AlwaysOpen()), hand_over(CY, gate)
        outcomes.extend([(await second).verdict, (await third).verdict])
        await connection.close()
        return third.result()

    last = on_connection(
        lambda step: "552 5.2.3 too big" if step.name == "message" and step.recipient == BOB else None,
        work,
        window=4,
        timeout=30.0,
    )

    assert [Verdict.failed, Verdict.sent] == outcomes, str(last)


def test_a_server_that_says_more_than_it_was_asked_is_not_believed(office: Office) -> None:
    """One reply too many would be taken for the next message's: the connection ends there."""
    issue = office.freeze(people(12))

    ran = office.send(
        issue,
        lambda step: (
            "250 2.0.0 taken\r\n250 2.0.0 and taken again"
            if step.name == "message" and step.message == 3 and step.connection == 1
            else None
        ),
        connections=1,
    )

    assert {sent: 12} == ran.report.counts
    assert dict.fromkeys(people(12), 1) == ran.sink.copies()
    assert 2 == ran.sink.connections


@pytest.mark.parametrize("window", [1, 3, 16])
@pytest.mark.parametrize("extensions", [CHUNKING, EXTENSIONS, ()], ids=["chunks", "dots", "one by one"])
def test_a_connection_with_a_limit_carries_what_has_begun_on_it(
    office: Office, window: int, extensions: tuple[str, ...]
) -> None:
    """Nobody who waits for a place is sent away with a connection that was opened for nothing."""
    issue = office.freeze(people(12))

    ran = office.send(issue, extensions=extensions, connections=1, window=window, per_connection=2, timeout=30.0)

    assert dict.fromkeys(people(12), 1) == ran.sink.copies()
    assert 6 == ran.sink.connections

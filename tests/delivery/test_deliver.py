"""A whole issue over real SMTP and a real outbox: nobody is missed, nobody gets it twice."""

import asyncio
import socket
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path

import pytest

from newsletter.clock import SystemClock
from newsletter.delivery.deliver import Progress, deliver, send_one
from newsletter.delivery.files import FilesTransport
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import MessageError, StoreError, TransportError
from newsletter.model import DeliveryState, Format, OnUnknown, SendReport, SuppressionReason
from tests.delivery.conftest import Office
from tests.delivery.samples import people, settings
from tests.delivery.sink import Sink, Step

ADA, BOB, CY = "ada@example.com", "bob@example.com", "cy@example.com"


def test_everybody_gets_the_issue_once(office: Office) -> None:
    issue = office.freeze(people(40))

    ran = office.send(issue)

    assert dict.fromkeys(people(40), 1) == ran.sink.copies()
    assert {DeliveryState.sent: 40} == ran.report.counts
    assert (40, None, None) == (ran.report.sent_now, ran.report.stopped, ran.report.next_attempt_at)
    assert [Progress(total=40, sent=number) for number in range(1, 41)] == ran.progress
    assert {row.message_id for row in office.store.deliveries(issue.id)} == {
        one.message_id.strip("<>") for one in ran.sink.accepted
    }


@pytest.mark.parametrize("count", [99, 100, 101, 203])
def test_a_list_longer_than_a_chunk_is_read_to_its_end(
    office: Office, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.delivery.run._CHUNK", 50)
    issue = office.freeze(people(count))

    ran = office.send(issue, connections=4)

    assert dict.fromkeys(people(count), 1) == ran.sink.copies()
    assert 4 >= ran.sink.most_open


def test_a_second_run_sends_nothing_again(office: Office) -> None:
    issue = office.freeze(people(3))
    office.send(issue)

    again = office.send(issue)

    assert (0, 0) == (len(again.sink.accepted), again.sink.connections)
    assert {DeliveryState.sent: 3} == again.report.counts


def test_few_messages_go_over_one_connection_and_many_share_a_few(office: Office) -> None:
    assert 1 == office.send(office.freeze(people(1)), connections=8).sink.connections
    assert 2 == office.send(office.freeze(people(50)), connections=2).sink.connections


def test_a_connection_is_renewed_after_so_many_messages(office: Office) -> None:
    ran = office.send(office.freeze(people(10)), connections=1, per_connection=3)

    assert (10, 4) == (len(ran.sink.accepted), ran.sink.connections)
    assert 4 == ran.sink.commands.count(b"QUIT\r\n")


@pytest.mark.parametrize("farewell", ["421 4.7.0 too many messages over this connection", "eof", "drop"])
def test_a_server_that_ends_connections_after_some_messages_is_no_failure(office: Office, farewell: str) -> None:
    """Nobody waits, nothing is counted as an attempt that failed, and nobody gets two copies."""
    issue = office.freeze(people(20))

    ran = office.send(
        issue,
        lambda step: farewell if step.name == "mail" and step.message == 4 else None,
        connections=1,
        back_off=60.0,
    )

    assert dict.fromkeys(people(20), 1) == ran.sink.copies()
    assert {1} == {row.attempts for row in office.store.deliveries(issue.id)}


def test_a_refused_person_does_not_keep_the_next_from_getting_it(office: Office) -> None:
    """After a refusal the transaction is taken back (RSET), so that the next one begins clean."""
    issue = office.freeze([ADA, BOB, CY])

    ran = office.send(issue, lambda step: "550 5.1.1 no" if step.recipient == ADA else None, connections=1)

    assert [BOB, CY] == [one.recipient for one in ran.sink.accepted]
    assert b"RSET\r\n" in ran.sink.commands
    assert Progress(total=3, sent=2, failed=1) == ran.progress[-1]


def test_a_server_that_knows_only_helo_is_spoken_to_plainly(office: Office) -> None:
    ran = office.send(
        office.freeze(people(3)), lambda step: "502 5.5.1 what?" if step.name == "ehlo" else None, connections=1
    )

    assert 3 == len(ran.sink.accepted)
    assert all(b"SIZE" not in command for command in ran.sink.commands)


@pytest.mark.parametrize(("extensions", "together"), [((), False), (("PIPELINING",), True)])
def test_mail_and_rcpt_leave_together_only_where_that_is_allowed(
    office: Office, extensions: tuple[str, ...], together: bool
) -> None:
    """Without PIPELINING, RCPT waits for the answer to MAIL."""
    ran = office.send(
        office.freeze([ADA]),
        lambda step: "550 no" if step.name == "mail" else None,
        extensions=extensions,
        connections=1,
    )

    assert together == any(command.startswith(b"RCPT") for command in ran.sink.commands)


def test_a_server_that_says_much_may_say_it_all_day(office: Office) -> None:
    """Replies are bounded one by one, not over the life of a connection."""
    issue = office.freeze(people(30))

    ran = office.send(
        issue,
        lambda step: "250 2.0.0 " + "blah " * 300 if step.name in ("mail", "rcpt", "message") else None,
        connections=1,
    )

    assert (30, 1) == (len(ran.sink.accepted), ran.sink.connections)


def test_a_server_may_take_long_to_answer_for_a_whole_message(office: Office) -> None:
    """Ten minutes (RFC 5321), whatever is allowed for other commands: a shorter wait would make copies."""
    issue = office.freeze([ADA])

    ran = office.send(issue, lambda step: "wait 0.6" if step.name == "message" else None, timeout=0.2, after_dot=30.0)

    assert {ADA: 1} == ran.sink.copies()
    assert {ADA: DeliveryState.sent} == office.states(issue)
    assert 600.0 == SmtpSettings(host="localhost").after_dot


# -------------------------------------------------------------- what people want


def test_who_wants_plain_text_gets_plain_text_only(office: Office) -> None:
    issue = office.freeze([ADA], wanted=Format.text)

    (one,) = office.send(issue).sink.accepted

    message = message_from_bytes(one.raw)
    assert ("text/plain", False) == (message.get_content_type(), message.is_multipart())


def test_who_has_left_since_the_freeze_gets_nothing(office: Office) -> None:
    issue = office.freeze([ADA, "gone@example.com", CY])
    office.store.suppress("gone@example.com", "gone@example.com", SuppressionReason.unsubscribed)

    ran = office.send(issue)

    assert {ADA, CY} == set(ran.sink.copies())
    assert DeliveryState.suppressed == office.states(issue)["gone@example.com"]
    assert Progress(total=3, sent=2, suppressed=1) == ran.progress[-1]


def test_an_address_outside_ascii_goes_to_servers_that_take_it(office: Office) -> None:
    issue = office.freeze(["büro@example.com", ADA])

    ran = office.send(issue, connections=1)

    assert ["büro@example.com", ADA] == [one.recipient for one in ran.sink.accepted]
    assert "büro@example.com".encode() in ran.sink.accepted[0].raw
    assert any(b"SMTPUTF8" in command for command in ran.sink.commands)


def test_an_address_outside_ascii_fails_alone_where_the_server_does_not_take_it(office: Office) -> None:
    issue = office.freeze(["büro@example.com", ADA])

    ran = office.send(issue, extensions=("PIPELINING",), connections=1)

    assert {"büro@example.com": DeliveryState.failed, ADA: DeliveryState.sent} == office.states(issue)
    assert "SMTPUTF8" in office.row(issue, "büro@example.com").last_reply
    assert ran.report.stopped is None


# -------------------------------------------------------------- later, or never


def test_a_greylisted_person_is_asked_again_later_each_time_and_given_up_in_the_end(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.delivery.settling.PATIENCE", timedelta(hours=12))
    issue = office.freeze([ADA])
    waits = []
    for _ in range(200):
        ran = office.send(issue, lambda step: "450 4.2.0 greylisted" if step.name == "rcpt" else None)
        row = office.row(issue, ADA)
        if row.next_attempt_at is None:
            break
        assert row.next_attempt_at == ran.report.next_attempt_at
        waits.append((row.next_attempt_at - office.clock.now()).total_seconds())
        office.clock.advance(waits[-1])

    assert [300, 600, 1200, 2400, 4000, 4000] == waits[:6]
    assert {4000.0} == set(waits[6:])
    assert timedelta(hours=12) <= timedelta(seconds=sum(waits)) < timedelta(hours=12, seconds=4000)
    assert DeliveryState.failed == office.row(issue, ADA).state
    assert "expired" in office.row(issue, ADA).last_reply


def test_a_deferred_person_is_not_asked_before_the_time(office: Office) -> None:
    issue = office.freeze([ADA, BOB])
    office.send(issue, lambda step: "450 4.2.0 later" if step.recipient == ADA else None)

    office.clock.advance(299)
    early = office.send(issue)
    office.clock.advance(1)
    late = office.send(issue)

    assert ([], [ADA]) == ([one.recipient for one in early.sink.accepted], list(late.sink.copies()))


def test_a_server_that_always_goes_silent_after_the_dot_is_not_fed_copies_for_ever(office: Office) -> None:
    issue = office.freeze(people(30))
    copies: Counter[str] = Counter()
    for _ in range(8):
        ran = office.send(issue, lambda step: "take drop" if step.name == "message" else None)
        copies += ran.sink.copies()
        assert max(ran.sink.copies().values(), default=0) <= 2
        assert len(ran.sink.accepted) <= 2 * 4
        assert "failed several times in a row" in (ran.report.stopped or "")

    assert 5 >= max(copies.values())
    assert {DeliveryState.held, DeliveryState.queued} >= set(office.states(issue).values())


def test_one_that_may_have_arrived_is_sent_again_after_all_others(office: Office) -> None:
    issue = office.freeze([ADA, BOB, CY])

    ran = office.send(
        issue,
        lambda step: "take drop" if step.name == "message" and step.recipient == ADA and step.attempt == 1 else None,
        connections=1,
    )

    assert [ADA, BOB, CY, ADA] == [one.recipient for one in ran.sink.accepted]
    assert ran.sink.accepted[0].raw == ran.sink.accepted[-1].raw
    assert Progress(total=3, sent=3) == ran.progress[-1]


def test_one_that_always_may_have_arrived_costs_two_copies_a_run_and_five_in_all(office: Office) -> None:
    issue = office.freeze([ADA, BOB, CY])
    copies = []
    for _ in range(4):
        ran = office.send(
            issue,
            lambda step: "take drop" if step.name == "message" and step.recipient == ADA else None,
            connections=1,
        )
        copies.append(ran.sink.copies()[ADA])

    assert [2, 2, 1, 0] == copies
    assert {ADA: DeliveryState.held, BOB: DeliveryState.sent, CY: DeliveryState.sent} == office.states(issue)


def test_one_that_is_rejected_again_after_somebody_resumed_is_given_up(office: Office) -> None:
    """A message to one person that a server's policy will not have cannot keep an issue from the others for ever."""
    issue = office.freeze([ADA, BOB, CY])

    def script(step: Step) -> str | None:
        return "550 5.7.1 never" if step.name == "message" and step.recipient == ADA else None

    office.send(issue, script, connections=1)
    assert {ADA: DeliveryState.deferred, BOB: DeliveryState.queued, CY: DeliveryState.queued} == office.states(issue)
    for _ in range(2):
        office.store.resume(issue.id)
        office.clock.advance(400)
        office.send(issue, script, connections=1)

    assert {ADA: DeliveryState.failed, BOB: DeliveryState.sent, CY: DeliveryState.sent} == office.states(issue)


def test_ten_refused_messages_in_a_row_stop_the_run(office: Office) -> None:
    """A server that takes no message at all, without saying that it is policy, must not cost the whole list."""
    issue = office.freeze(people(50))

    ran = office.send(issue, lambda step: "554 no" if step.name == "message" else None, connections=1)

    assert {DeliveryState.failed: 10, DeliveryState.queued: 40} == ran.report.counts
    assert "10 messages one after the other: 554 no" in (office.reason(issue) or "")


# ------------------------------------------------------------ a server in trouble


def test_a_server_that_cannot_be_reached_loses_nobody_and_pauses_nothing(office: Office) -> None:
    issue = office.freeze(people(20))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    smtp = SmtpSettings(host="127.0.0.1", port=port, tls="none", back_off=0.01)

    report = asyncio.run(deliver(issue, office.store, smtp, clock=office.clock))

    assert {DeliveryState.queued: 20} == report.counts
    assert f"127.0.0.1:{port} cannot be reached" in (report.stopped or "")
    assert office.reason(issue) is None
    assert {0} == {row.attempts for row in office.store.deliveries(issue.id)}


def test_a_server_that_comes_back_in_time_gets_everything(office: Office) -> None:
    issue = office.freeze(people(10))
    ran = office.send(
        issue,
        lambda step: "421 4.3.2 starting" if step.name == "banner" and step.connection <= 3 else None,
        connections=4,
    )

    assert dict.fromkeys(people(10), 1) == ran.sink.copies()
    assert 4 <= ran.sink.connections


def test_a_server_in_trouble_is_asked_over_one_connection_at_a_time(office: Office) -> None:
    issue = office.freeze(people(10))

    ran = office.send(issue, lambda step: "421 4.3.2 too busy" if step.name == "banner" else None, connections=8)

    assert (4, 1) == (ran.sink.connections, ran.sink.most_open)
    assert {DeliveryState.queued: 10} == ran.report.counts


@pytest.mark.parametrize("banner", ["554 5.7.1 no service for you", "521 we do not take mail"])
def test_a_server_that_turns_us_away_for_good_pauses_the_issue(office: Office, banner: str) -> None:
    issue = office.freeze(people(10))

    ran = office.send(issue, lambda step: banner if step.name == "banner" else None)

    assert 1 == ran.sink.connections
    assert banner in (office.reason(issue) or "")
    assert {DeliveryState.queued: 10} == ran.report.counts


def test_a_message_that_is_too_big_for_the_server_pauses_the_issue_before_anything_is_sent(office: Office) -> None:
    issue = office.freeze(people(3))

    ran = office.send(issue, extensions=("SIZE 1000",))

    assert "the server takes 1,000 at most" in (office.reason(issue) or "")
    assert not [command for command in ran.sink.commands if command.startswith(b"MAIL")]
    assert {DeliveryState.queued: 3} == ran.report.counts


# ----------------------------------------------------------- stopped and crashed


def test_a_run_that_is_asked_to_stop_finishes_what_is_in_flight(office: Office) -> None:
    issue = office.freeze(people(60))

    async def go() -> tuple[SendReport, Sink]:
        stop = asyncio.Event()

        def script(step: Step) -> str | None:
            if step.name == "message" and step.message == 5:
                stop.set()
            return None

        async with Sink(script) as sink:
            return await deliver(issue, office.store, settings(sink), clock=office.clock, stop=stop), sink

    report, sink = asyncio.run(go())

    states = Counter(office.states(issue).values())
    assert {DeliveryState.sent: len(sink.accepted), DeliveryState.queued: 60 - len(sink.accepted)} == states
    assert 5 <= len(sink.accepted) <= 12
    assert "stopped when asked to" in (report.stopped or "")
    assert 60 - len(sink.accepted) == len(office.send(issue).sink.accepted)


def test_a_run_that_is_asked_to_stop_does_not_wait_for_a_server_that_says_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.delivery.run._GRACE", 0.2)
    issue = office.freeze(people(10))

    async def go() -> tuple[SendReport, Sink]:
        stop = asyncio.Event()

        def script(step: Step) -> str | None:
            if step.name != "message" or step.recipient != people(3)[-1]:
                return None
            stop.set()
            return "take silence"

        async with Sink(script) as sink:
            smtp = settings(sink, after_dot=600.0, connections=1)
            return await asyncio.wait_for(deliver(issue, office.store, smtp, clock=office.clock, stop=stop), 10), sink

    report, _ = asyncio.run(go())

    assert {DeliveryState.sent: 2, DeliveryState.queued: 8} == report.counts
    assert (
        "given up" in office.row(issue, people(3)[-1]).last_reply
        or "took too long" in office.row(issue, people(3)[-1]).last_reply
    )


def test_a_run_that_is_asked_to_stop_does_not_wait_for_a_connection(office: Office) -> None:
    issue = office.freeze(people(10))

    async def go() -> SendReport:
        stop = asyncio.Event()

        def script(step: Step) -> str | None:
            stop.set()
            return "silence"

        async with Sink(script) as sink:
            smtp = settings(sink, timeout=600.0)
            return await asyncio.wait_for(deliver(issue, office.store, smtp, clock=office.clock, stop=stop), 10)

    assert {DeliveryState.queued: 10} == asyncio.run(go()).counts


def test_a_watcher_that_breaks_does_not_cost_a_result(office: Office) -> None:
    issue = office.freeze(people(10))

    def watch(_: Progress) -> None:
        raise ZeroDivisionError

    async def go() -> int:
        async with Sink() as sink:
            with pytest.raises(ZeroDivisionError):
                await deliver(issue, office.store, settings(sink), clock=office.clock, on_progress=watch)
            return len(sink.accepted)

    accepted = asyncio.run(go())

    assert {DeliveryState.sent: accepted, DeliveryState.queued: 10 - accepted} == office.store.counts(issue.id)


@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_an_issue_that_is_paused_or_cancelled_meanwhile_ends_within_what_is_in_flight(office: Office, end: str) -> None:
    issue = office.freeze(people(60))
    done: list[str] = []

    def script(step: Step) -> str | None:
        if step.name == "message" and step.message == 5 and not done:
            done.append(end)
            if end == "pause":
                office.store.pause(issue.id, "by hand")
            else:
                office.store.cancel(issue.id)
        return None

    ran = office.send(issue, script)

    assert len(ran.sink.accepted) <= 12
    assert 1 == max(ran.sink.copies().values())
    counts = office.store.counts(issue.id)
    assert len(ran.sink.accepted) == counts[DeliveryState.sent]
    assert 60 == sum(counts.values())
    if end == "pause":
        assert "paused or cancelled meanwhile" in (ran.report.stopped or "")
        assert "by hand" == office.reason(issue)


def test_a_disk_that_takes_no_more_stops_the_run_before_the_next_message(office: Office) -> None:
    """Nothing is sent that could not be written down; what was in flight is found by the next run."""
    issue = office.freeze(people(60))
    steps: Counter[str] = Counter()

    def trace(step: str) -> None:
        steps[step] += 1
        if step == "intent:before-commit" and steps[step] == 10:
            raise OSError(28, "No space left on device")

    async def go() -> Sink:
        async with Sink() as sink:
            with pytest.raises(StoreError, match="No space left"):
                await deliver(issue, office.store, settings(sink), clock=office.clock, trace=trace)
            return sink

    sink = asyncio.run(go())

    counts = office.store.counts(issue.id)
    recorded, on_the_wire = counts[DeliveryState.sent], counts.get(DeliveryState.sending, 0)
    assert recorded <= len(sink.accepted) <= recorded + on_the_wire <= recorded + 2
    office.store.recover(issue.id, OnUnknown.resend)
    rest = office.send(issue)
    assert {DeliveryState.sent: 60} == rest.report.counts
    assert set(people(60)) == set(sink.copies() + rest.sink.copies())


def test_a_rendering_that_cannot_be_made_into_messages_sends_nothing(office: Office) -> None:
    issue = office.freeze(people(3))
    broken = replace(issue, envelope=replace(issue.envelope, list_id="no list id"))

    async def go() -> int:
        async with Sink() as sink:
            with pytest.raises(MessageError, match="list id"):
                await deliver(broken, office.store, settings(sink), clock=office.clock)
            return len(sink.commands)

    assert 0 == asyncio.run(go())
    assert {DeliveryState.queued: 3} == office.store.counts(issue.id)


def test_a_person_whose_values_cannot_be_written_fails_alone(office: Office) -> None:
    issue = office.freeze([ADA, "a b@example.com", CY])

    office.send(issue)

    assert {ADA: "sent", "a b@example.com": "failed", CY: "sent"} == office.states(issue)


# ---------------------------------------------------------------- elsewhere


def test_reserved_domains_are_mailed_only_through_a_server_on_this_machine(office: Office) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            address = probe.getsockname()[0]
        except OSError:
            address = "127.0.0.1"
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    issue = office.freeze([ADA])

    async def go() -> Sink:
        async with Sink(host=address) as sink:
            await deliver(issue, office.store, settings(sink, host=address, insecure=True), clock=office.clock)
            return sink

    sink = asyncio.run(go())

    assert (1, []) == (sink.connections, sink.accepted)
    assert {ADA: DeliveryState.failed} == office.states(issue)
    assert "reserved" in office.row(issue, ADA).last_reply


def test_messages_can_be_written_to_a_folder_instead(office: Office, tmp_path: Path) -> None:
    issue = office.freeze([ADA, "ada+b@example.com"])

    report = asyncio.run(deliver(issue, office.store, FilesTransport(tmp_path / "out"), clock=office.clock))

    files = sorted((tmp_path / "out").iterdir())
    assert {DeliveryState.sent: 2} == report.counts
    assert ["ada-b-example-com", "ada-example-com"] == [file.name[:-13] for file in files]
    assert "ada+b@example.com" in str(message_from_bytes(files[0].read_bytes())["To"])


def test_a_folder_that_takes_nothing_loses_nobody(office: Office, tmp_path: Path) -> None:
    issue = office.freeze([ADA])
    (tmp_path / "out").write_text("a file")

    async def no_wait(_: float) -> None:
        return

    out = FilesTransport(tmp_path / "out")
    report = asyncio.run(deliver(issue, office.store, out, clock=office.clock, sleep=no_wait))

    assert {DeliveryState.queued: 1} == report.counts
    assert "cannot be made" in (report.stopped or "")


def test_one_message_can_be_sent_by_itself() -> None:
    async def go() -> tuple[str, Sink]:
        async with Sink() as sink:
            reply = await send_one(
                b"Subject: x\r\n\r\nx\r\n", sender="wire@example.com", recipient=ADA, smtp=settings(sink)
            )
            return reply, sink

    reply, sink = asyncio.run(go())

    assert "250 2.0.0 taken" == reply
    assert [(ADA, b"Subject: x\r\n\r\nx\r\n")] == [(one.recipient, one.raw) for one in sink.accepted]


@pytest.mark.parametrize(
    ("step", "answer", "told"),
    [
        ("rcpt", "550 5.1.1 no such user", "did not take the message to ada@example.com: 550 5.1.1 no such user"),
        ("message", "drop", "may have taken the message or not"),
        ("banner", "554 no", "turned us away: 554 no"),
    ],
)
def test_one_message_that_is_not_taken_is_told(step: str, answer: str, told: str) -> None:
    async def go() -> None:
        async with Sink(lambda at: answer if at.name == step else None) as sink:
            await send_one(b"Subject: x\r\n\r\nx\r\n", sender="wire@example.com", recipient=ADA, smtp=settings(sink))

    with pytest.raises(TransportError, match=told):
        asyncio.run(go())


def test_the_real_clock_is_as_good_as_any(office: Office) -> None:
    issue = office.freeze([ADA])

    async def go() -> float:
        async with Sink() as sink:
            return (await deliver(issue, office.store, settings(sink), clock=SystemClock())).seconds

    assert 0 < asyncio.run(go()) < 60

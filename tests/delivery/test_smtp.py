"""Connections: secured or not opened, logged in once or not at all, and never telling the password."""

import asyncio
import smtplib
import socket
import ssl
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from newsletter.config.secret import Secret
from newsletter.delivery.attempt import AlwaysOpen, Outcome
from newsletter.delivery.deliver import deliver, send_one
from newsletter.delivery.replies import Verdict
from newsletter.delivery.smtp import ServerRefused, SmtpSettings, SmtpTransport
from newsletter.errors import StoreError, TransportError
from newsletter.model import DeliveryState, SendReport
from tests.delivery.conftest import Office
from tests.delivery.samples import people, settings
from tests.delivery.sink import CHUNKING, Script, Sink, Step

PASSWORD = "Tr0ub4dor&3 ünïcode"
MESSAGE = b"Subject: x\r\n\r\nx\r\n"
ADA = "ada@example.com"


@dataclass
class Mailbox:
    """What a real server has got, and how."""

    envelopes: list[Envelope] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    logins: list[tuple[str, bool]] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("cipher") is not None)
        return "250 2.0.0 taken"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), session.ssl is not None))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


@asynccontextmanager
async def real_server(*, implicit: ssl.SSLContext | None = None, **options: Any) -> AsyncIterator[tuple[Mailbox, int]]:
    """aiosmtpd on a free port, in this event loop."""
    mailbox = Mailbox()
    if "auth_required" in options:
        options["authenticator"] = mailbox.authenticate
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="sink.example", loop=loop, **options), "127.0.0.1", 0, ssl=implicit
    )
    async with server:
        yield mailbox, server.sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def context(authority: trustme.CA, name: str = "localhost", **other: Any) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, **other).configure_cert(made)
    return made


def smtp_to(port: int, **other: Any) -> SmtpSettings:
    return replace(SmtpSettings(host="localhost", port=port, timeout=5.0, after_dot=5.0, back_off=0.01), **other)


def send(
    server: AbstractAsyncContextManager[tuple[Mailbox, int]], recipient: str = ADA, **other: Any
) -> tuple[str, Mailbox]:
    """Send one message to a real server; the reply, and what arrived."""

    async def go() -> tuple[str, Mailbox]:
        async with server as (mailbox, port):
            smtp = smtp_to(port, **other)
            return await send_one(MESSAGE, sender="wire@example.com", recipient=recipient, smtp=smtp), mailbox

    return asyncio.run(go())


# ------------------------------------------------------------------------------- TLS


def test_starttls_is_used_and_the_login_comes_after_it(authority: trustme.CA, ca_file: str) -> None:
    server = real_server(tls_context=context(authority), require_starttls=True, auth_required=True)

    reply, mailbox = send(server, ca_file=ca_file, username="wire", password=Secret(PASSWORD))

    assert "250 2.0.0 taken" == reply
    assert ([True], [("wire", True)]) == (mailbox.encrypted, mailbox.logins)
    assert MESSAGE == mailbox.envelopes[0].original_content


def test_implicit_tls_is_used(authority: trustme.CA, ca_file: str) -> None:
    _, mailbox = send(real_server(implicit=context(authority)), tls="implicit", ca_file=ca_file)

    assert [True] == mailbox.encrypted


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("fault", ["unknown authority", "other name", "expired"])
def test_a_certificate_that_is_not_the_server_s_is_refused_before_anything_is_said(
    authority: trustme.CA, ca_file: str, tls: str, fault: str
) -> None:
    then = datetime.now(UTC) - timedelta(days=1)
    certificate = {
        "unknown authority": lambda: context(trustme.CA()),
        "other name": lambda: context(authority, "mail.example.com"),
        "expired": lambda: context(authority, not_after=then),
    }[fault]()
    options = {"implicit": certificate} if tls == "implicit" else {"tls_context": certificate}

    async def go() -> tuple[Mailbox, str, str | None]:
        async with real_server(auth_required=True, **options) as (mailbox, port):
            smtp = smtp_to(port, tls=tls, ca_file=ca_file, username="wire", password=Secret(PASSWORD))
            with pytest.raises(ServerRefused) as refused:
                await SmtpTransport(smtp).open()
            return mailbox, str(refused.value), refused.value.hint

    mailbox, told, hint = asyncio.run(go())

    assert ([], []) == (mailbox.envelopes, mailbox.logins)
    assert "the certificate of localhost:" in told
    assert "cannot be trusted" in told
    assert hint


def test_a_server_that_hides_starttls_gets_neither_login_nor_mail() -> None:
    """Somebody on the way may strip the offer; without TLS there is no AUTH and no MAIL."""

    async def go() -> list[bytes]:
        async with Sink(extensions=("AUTH PLAIN", "PIPELINING")) as sink:
            smtp = settings(sink, tls="starttls", username="wire", password=Secret(PASSWORD))
            with pytest.raises(ServerRefused, match="does not offer STARTTLS"):
                await SmtpTransport(smtp).open()
            return sink.commands

    assert [b"EHLO"] == [command.split()[0] for command in asyncio.run(go())]


def test_bytes_that_were_slipped_in_before_tls_are_not_read_after_it(authority: trustme.CA, ca_file: str) -> None:
    """A reply that somebody put in clear behind the answer to STARTTLS must not count as the secured server's."""

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.example\r\n")
        await reader.readline()
        writer.write(b"250-sink.example\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go\r\n250-evil.example\r\n250 AUTH PLAIN\r\n")
        await writer.drain()
        await writer.start_tls(context(authority))
        said.append(await reader.readline())
        writer.write(b"250 sink.example\r\n")
        said.append(await reader.readline())
        writer.close()

    said: list[bytes] = []

    async def go() -> None:
        server = await asyncio.start_server(session, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportError):
            await SmtpTransport(
                smtp_to(port, ca_file=ca_file, username="wire", password=Secret(PASSWORD), timeout=2.0)
            ).open()
        server.close()
        await server.wait_closed()

    asyncio.run(go())

    assert not [line for line in said if line.startswith(b"AUTH")]


def test_without_tls_only_this_machine_is_spoken_to() -> None:
    address = own_address()

    async def go(**other: Any) -> tuple[str, list[bytes]]:
        async with Sink(host=address) as sink:
            try:
                (await SmtpTransport(settings(sink, host=address, **other)).open()).abort()
            except ServerRefused as refused:
                return str(refused), sink.commands
            return "", sink.commands

    told, said = asyncio.run(go())
    assert [] == said
    assert "is not on this machine" in told
    assert 1 == len(asyncio.run(go(insecure=True))[1])


def own_address() -> str:
    """An address of this machine that others could reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address = str(probe.getsockname()[0])
    if address.startswith("127."):
        pytest.skip("this machine has no address but loopback")
    return address


@pytest.mark.parametrize(("tls", "told"), [("implicit", "does not speak TLS"), ("starttls", "STARTTLS")])
def test_tls_where_there_is_none_is_told_in_words(tls: str, told: str) -> None:
    async def go() -> None:
        async with Sink() as sink:
            await SmtpTransport(settings(sink, tls=tls)).open()

    with pytest.raises(ServerRefused, match=told) as refused:
        asyncio.run(go())
    assert "smtp.tls" in (refused.value.hint or "")


# ------------------------------------------------------------------------------ login


def try_login(
    script: Script, *, extensions: tuple[str, ...] = ("AUTH PLAIN LOGIN CRAM-MD5",), **other: Any
) -> tuple[TransportError | None, list[bytes]]:
    """Log in to a scripted server; what came of it, and what was said."""

    async def go() -> tuple[TransportError | None, list[bytes]]:
        async with Sink(script, extensions) as sink:
            smtp = settings(sink, username="wire", password=Secret(PASSWORD), **other)
            try:
                (await SmtpTransport(smtp).open()).abort()
            except TransportError as error:
                return error, sink.commands
            return None, sink.commands

    return asyncio.run(go())


def test_a_wrong_password_is_tried_once_and_told() -> None:
    error, said = try_login(lambda step: "535 5.7.8 bad credentials" if step.name == "auth" else None)

    assert isinstance(error, ServerRefused)
    assert "as wire: 535 5.7.8 bad credentials" in str(error)
    assert "NEWSLETTER_SMTP_PASSWORD" in (error.hint or "")
    assert 1 == len([line for line in said if line.startswith(b"AUTH")])


def test_a_wrong_password_pauses_the_issue_after_at_most_three_attempts_and_touches_nobody(office: Office) -> None:
    issue = office.freeze(people(50))

    ran = office.send(
        issue,
        lambda step: "535 5.7.8 bad credentials" if step.name == "auth" else None,
        extensions=("AUTH PLAIN", "PIPELINING"),
        connections=8,
        username="wire",
        password=Secret(PASSWORD),
    )

    assert 1 <= len([line for line in ran.sink.commands if line.startswith(b"AUTH")]) <= 3
    assert "535 5.7.8 bad credentials" in (office.reason(issue) or "")
    assert "NEWSLETTER_SMTP_PASSWORD" in (ran.report.stopped or "")
    assert {DeliveryState.queued: 50} == ran.report.counts
    assert {0} == {row.attempts for row in office.store.deliveries(issue.id)}


def test_a_password_that_stops_working_in_the_middle_is_not_tried_by_every_connection(office: Office) -> None:
    issue = office.freeze(people(50))
    logins: list[Step] = []

    def script(step: Step) -> str | None:
        if step.name == "auth":
            logins.append(step)
            return "535 5.7.8 bad credentials" if len(logins) > 1 else None
        return None

    ran = office.send(
        issue, script, extensions=("AUTH PLAIN",), connections=8, username="wire", password=Secret(PASSWORD)
    )

    assert len(logins) <= 3
    assert dict.fromkeys(ran.sink.copies(), 1) == ran.sink.copies()
    assert 50 == sum(ran.report.counts.values())
    assert {DeliveryState.sent, DeliveryState.queued} >= set(ran.report.counts)


def test_a_server_that_cannot_check_logins_now_is_asked_again_later() -> None:
    error, _ = try_login(lambda step: "454 4.7.0 directory is down" if step.name == "auth" else None)

    assert error is not None
    assert not isinstance(error, ServerRefused)
    assert "454 4.7.0 directory is down" in str(error)


def test_a_way_to_log_in_that_the_server_only_claims_to_know_is_passed_over() -> None:
    error, said = try_login(
        lambda step: "504 5.5.4 unrecognized" if step.name == "auth" and step.recipient == "CRAM-MD5" else None
    )

    assert error is None
    assert [b"CRAM-MD5", b"PLAIN"] == [line.split()[1] for line in said if line.startswith(b"AUTH")]


@pytest.mark.parametrize("extensions", [(), ("AUTH GSSAPI X-OTHER",)])
def test_a_server_that_lets_nobody_log_in_as_we_can_is_refused(extensions: tuple[str, ...]) -> None:
    error, _ = try_login(lambda _: None, extensions=extensions)

    assert isinstance(error, ServerRefused)
    assert "it offers" in str(error)


@pytest.mark.parametrize("reply", ["535 5.7.8 no: {}", "454 4.7.0 later: {}", "raw {}\r\n", "raw 235-{}\r\n9\r\n"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_the_password_is_shown_to_nobody(mechanism: str, reply: str) -> None:
    """Neither by a repr, nor by an error or its traceback, even if the server quotes what it was sent."""
    quoted = b64encode(f"\0wire\0{PASSWORD}".encode()).decode()
    # What goes over the sink's wire raw goes as Latin-1, which this password fits into.
    answer = reply.format(f"{quoted} {b64encode(PASSWORD.encode()).decode()} {PASSWORD}")

    error, said = try_login(lambda step: answer if step.name == "auth" else None, extensions=(f"AUTH {mechanism}",))

    assert error is not None
    told = "".join(traceback.format_exception(error)) + repr(error) + str(error.hint)
    for secret in (PASSWORD, quoted, b64encode(PASSWORD.encode()).decode()):
        assert secret not in told
    assert len(said) > 1
    assert PASSWORD not in repr(SmtpSettings(host="localhost", username="wire", password=Secret(PASSWORD)))


# ------------------------------------------------------------------- servers in trouble


@pytest.mark.parametrize(
    ("step", "answer", "kind"),
    [
        ("banner", "554 5.7.1 go away", ServerRefused),
        ("banner", "421 4.3.2 too busy", TransportError),
        ("banner", "raw hello\r\n", TransportError),
        ("banner", "raw 220-" + "x" * 40_000, TransportError),
        ("banner", "silence", TransportError),
        ("banner", "drop", TransportError),
        ("banner", "eof", TransportError),
        ("ehlo", "421 4.3.2 too busy", TransportError),
        ("ehlo", "drop", TransportError),
        ("ehlo", "raw what?\r\n", TransportError),
        ("ehlo", "silence", TransportError),
        ("helo", "554 5.7.1 go away", ServerRefused),
        ("auth", "drop", TransportError),
        ("auth", "silence", TransportError),
        ("auth", "raw what?\r\n", TransportError),
    ],
    ids=lambda value: str(value)[:25],
)
def test_a_session_that_cannot_begin_is_told_in_one_sentence(
    step: str, answer: str, kind: type[TransportError]
) -> None:
    def script(at: Step) -> str | None:
        if step == "helo" and at.name == "ehlo":
            return "502 5.5.1 what?"
        return answer if at.name == step else None

    error, _ = try_login(script, timeout=0.3)

    assert kind is type(error)
    assert "\n" not in str(error)
    assert "127.0.0.1:" in str(error)
    assert 500 > len(str(error))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "bad host", "x" * 300, "ü..example"])
def test_a_host_that_does_not_exist_is_told(host: str) -> None:
    with pytest.raises(TransportError, match="cannot be reached"):
        asyncio.run(SmtpTransport(SmtpSettings(host=host, timeout=5)).open())


def test_certificates_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(TransportError, match="cannot be read"):
        asyncio.run(SmtpTransport(SmtpSettings(host="localhost", ca_file=str(tmp_path / "ca.pem"))).open())


# ------------------------------------------------------------------------- on the wire


def test_an_address_outside_ascii_reaches_a_real_server() -> None:
    _, mailbox = send(real_server(enable_SMTPUTF8=True), tls="none", recipient="büro@example.com")

    assert ["büro@example.com"] == mailbox.envelopes[0].rcpt_tos
    assert mailbox.envelopes[0].smtp_utf8


@pytest.mark.parametrize(
    "recipient",
    [
        "ada@example.com> SIZE=1",
        "ada@example.com\r\nDATA",
        "ada@example.com, bob@example.com",
        "<ada@example.com",
        "ada",
        "",
        "ad\0a@example.com",
        "ada@exam ple.com",
    ],
)
def test_what_is_no_single_address_never_reaches_the_server(recipient: str) -> None:
    async def go() -> list[bytes]:
        async with Sink() as sink:
            with pytest.raises(TransportError, match="cannot be a recipient"):
                await send_one(MESSAGE, sender="wire@example.com", recipient=recipient, smtp=settings(sink))
            return sink.commands

    assert [b"EHLO", b"QUIT"] == [command.split()[0] for command in asyncio.run(go())]


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
def test_a_message_of_many_megabytes_arrives_whole(authority: trustme.CA, ca_file: str, secured: bool) -> None:
    """It does not fit into any buffer on the way, and the server reads as slowly as it likes."""
    message = MESSAGE + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 100_000

    async def go() -> Mailbox:
        options: dict[str, Any] = {"tls_context": context(authority), "require_starttls": True} if secured else {}
        async with real_server(**options) as (mailbox, port):
            smtp = smtp_to(port, tls="starttls" if secured else "none", ca_file=ca_file, timeout=30.0, after_dot=30.0)
            await send_one(message, sender="wire@example.com", recipient=ADA, smtp=smtp)
            return mailbox

    assert message == asyncio.run(go()).envelopes[0].original_content


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("deaf 354 go ahead\r\n", Verdict.back_off),
        ("raw 354 go ahead\r\n552 5.3.4 too big\r\n", Verdict.failed),
        ("raw 354 go ahead\r\n421 4.3.2 closing\r\n", Verdict.back_off),
        ("raw 354 go ahead\r\n250 2.0.0 taken\r\n", Verdict.back_off),
        ("partly 354 go ahead\r\n", Verdict.back_off),
    ],
)
def test_what_ends_before_the_final_dot_is_known_not_to_have_arrived(answer: str, verdict: Verdict) -> None:
    """Whatever a server does while it is sent a message: without the dot nothing is delivered, so nothing is unknown."""

    async def go() -> Outcome:
        async with Sink(lambda step: answer if step.name == "data" else None) as sink:
            connection = await SmtpTransport(settings(sink, timeout=0.2)).open()
            message = [b"y" * 70 + b"\r\n"] * 200_000
            try:
                return await connection.transaction(
                    sender="wire@example.com", recipient=ADA, gate=AlwaysOpen(), message=message
                )
            finally:
                assert not connection.is_usable
                await connection.close()

    assert verdict is asyncio.run(go()).verdict


class _Broken:
    """The gate of a disk that is full."""

    async def ready(self) -> bool:
        return True

    def begin(self) -> None:
        pass

    def hurry(self) -> None:
        """Nothing yet."""

    async def open(self) -> bool:
        raise StoreError("disk full")


class _Late(AlwaysOpen):
    """The gate of a message whose turn has come to nothing."""

    async def ready(self) -> bool:
        return False


@pytest.mark.parametrize("window", [1, 4])
def test_a_message_that_may_not_begin_any_more_is_withheld_before_its_first_command(window: int) -> None:
    async def go() -> tuple[Verdict, bool]:
        async with Sink(extensions=CHUNKING) as sink:
            connection = await SmtpTransport(settings(sink, window=window)).open()
            outcome = await connection.transaction(
                sender="wire@example.com", recipient=ADA, gate=_Late(), message=[b"Subject: x\r\n\r\n"]
            )
            await connection.close()
            return outcome.verdict, any(command.startswith(b"MAIL") for command in sink.commands)

    assert (Verdict.withheld, False) == asyncio.run(go())


def test_a_connection_whose_gate_breaks_is_given_up() -> None:
    async def go() -> bool:
        async with Sink() as sink:
            connection = await SmtpTransport(settings(sink)).open()
            with pytest.raises(StoreError):
                await connection.transaction(
                    sender="wire@example.com", recipient=ADA, gate=_Broken(), message=[MESSAGE]
                )
            return connection.is_usable

    assert not asyncio.run(go())


def test_we_say_our_address_where_we_have_no_name() -> None:
    async def go(**other: Any) -> bytes:
        async with Sink() as sink:
            (await SmtpTransport(settings(sink, **other)).open()).abort()
            return sink.commands[0]

    assert b"EHLO [127.0.0.1]\r\n" == asyncio.run(go())
    assert b"EHLO wire.example.com\r\n" == asyncio.run(go(local_hostname="wire.example.com"))


def test_the_standard_library_s_client_agrees_with_our_sink() -> None:
    """The server of these tests is a server: another client can talk to it."""

    async def go() -> list[tuple[str, bytes]]:
        async with Sink() as sink:

            def other() -> None:
                with smtplib.SMTP("127.0.0.1", sink.port) as client:
                    client.sendmail("wire@example.com", [ADA], b"Subject: x\r\n\r\n.x\r\n")

            await asyncio.to_thread(other)
            return [(one.recipient, one.raw) for one in sink.accepted]

    assert [(ADA, b"Subject: x\r\n\r\n.x\r\n")] == asyncio.run(go())


def test_an_issue_goes_out_over_tls_with_a_login(office: Office, authority: trustme.CA, ca_file: str) -> None:
    issue = office.freeze(people(20))
    server = real_server(tls_context=context(authority), require_starttls=True, auth_required=True)

    async def go() -> tuple[SendReport, Mailbox]:
        async with server as (mailbox, port):
            smtp = smtp_to(port, ca_file=ca_file, username="wire", password=Secret(PASSWORD), connections=3)
            return await deliver(issue, office.store, smtp, clock=office.clock), mailbox

    report, mailbox = asyncio.run(go())

    assert {DeliveryState.sent: 20} == report.counts
    assert sorted(people(20)) == sorted(address for one in mailbox.envelopes for address in one.rcpt_tos)
    assert {True} == set(mailbox.encrypted)
    assert 3 >= len(mailbox.logins)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux has it")
def test_replies_are_acknowledged_at_once() -> None:
    """A server may wait for that before it sends the next of several replies; the system would keep it back."""

    async def go() -> tuple[int, int]:
        async with Sink() as sink:
            connection = await SmtpTransport(settings(sink)).open()
            line = connection._conversation._socket
            assert line is not None
            # What the system comes to by itself after a while of question and answer.
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            before = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
            await connection._conversation.ask(b"NOOP\r\n", 5.0)
            after = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
            await connection.close()
            return before, after

    assert (0, 1) == asyncio.run(go())

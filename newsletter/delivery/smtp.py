"""SMTP: where messages go, and how a connection is opened, secured and authenticated.

aiosmtplib does the opening (connect, EHLO, STARTTLS or implicit TLS, AUTH);
what comes of it is a `Connection`, which carries the messages.  Opening can end
in a `TransportError`; of these, `ServerRefused` means that trying again will
not help until somebody changes something: a wrong password, a certificate that
is not the server's, a server that wants nothing from us.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from typing import Final, Literal, Protocol, TypeVar

import aiosmtplib
from aiosmtplib import SMTPAuthenticationError, SMTPHeloError, SMTPResponseException

from newsletter.delivery.conversation import Conversation
from newsletter.delivery.dkim import Signer
from newsletter.delivery.limits import Rate
from newsletter.delivery.returnpath import ReturnPath
from newsletter.delivery.transaction import Abilities, Connection
from newsletter.errors import TransportError
from newsletter.text import one_line

#: RFC 5321 §4.5.3.2.6: a shorter wait makes duplicates of messages that were accepted.
AFTER_DOT: Final = 600.0
#: Answers to AUTH that say "not this mechanism" and not "not you" (RFC 4954 §4).
_OTHER_MECHANISM = frozenset({500, 501, 502, 503, 504})
_PERMANENT: Final = 5
_REPLY_LIMIT: Final = 300

_Kind = TypeVar("_Kind", bound=BaseException)
Tls = Literal["starttls", "implicit", "none"]


class Password(Protocol):
    """A password that shows itself only when asked to."""

    def reveal(self) -> str:
        """The password itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpSettings:
    """Where messages go and how.

    Without TLS only a server on this machine is used, unless `insecure`.
    Certificates are always verified; `ca_file` names some to trust beside the
    system's.  `timeout` is for the answer to each command, `after_dot` for the
    answer to a whole message, in seconds.  A connection is closed after
    `per_connection` messages.  `rates` hold for all messages together, `per_domain`
    for those to one domain, or to each that is not named (`limits.OTHERS`).  Up to
    `window` messages are in flight over each connection where the server offers
    CHUNKING (RFC 3030).  `local_hostname` is said in EHLO; None says our
    address.  A server that fails is tried `patience` times in a row, after
    pauses that grow from `back_off` seconds.  `signers` are whose DKIM
    signatures its messages carry.  `return_path` is where reports on them go, the
    sender of the envelope; None: to the sender of the message.
    """

    host: str
    port: int = 587
    tls: Tls = "starttls"
    insecure: bool = False
    username: str | None = None
    password: Password | None = None
    connections: int = 4
    rates: tuple[Rate, ...] = ()
    per_domain: Mapping[str, tuple[Rate, ...]] = field(default_factory=dict[str, tuple[Rate, ...]])
    per_connection: int | None = None
    window: int = 1
    timeout: float = 60.0
    after_dot: float = AFTER_DOT
    local_hostname: str | None = None
    ca_file: str | None = None
    patience: int = 4
    back_off: float = 1.0
    signers: tuple[Signer, ...] = ()
    return_path: ReturnPath | None = None

    @property
    def server(self) -> str:
        """The server as people write it."""
        return f"{self.host}:{self.port}"


class ServerRefused(TransportError):  # noqa: N818 - a kind of TransportError, read as a sentence
    """The server wants nothing from us as we are; trying again changes nothing."""


class SmtpTransport:
    """Opens connections to one server.

    Logins take turns, and after the first that is refused there are no more:
    some servers lock an account after three.

    Args:
        settings: the server.
        trace: handed on to the connections.
    """

    def __init__(self, settings: SmtpSettings, *, trace: Callable[[str], None] = lambda _: None) -> None:
        self.settings = settings
        self._trace = trace
        self._login = asyncio.Lock()
        self._refusal: ServerRefused | None = None
        self._context: ssl.SSLContext | None = None
        self._abilities = Abilities()

    async def open(self) -> Connection:
        """Open a connection that is ready for messages.

        Raises:
            ServerRefused: it will not work like this.
            TransportError: it did not work this time.
        """
        settings = self.settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            timeout=settings.timeout,
            use_tls=settings.tls == "implicit",
            start_tls=False,
            tls_context=self._trusted() if settings.tls != "none" else None,
            local_hostname=settings.local_hostname or "localhost",
        )
        try:
            return await self._opened(client)
        except BaseException as error:
            client.close()
            if isinstance(error, aiosmtplib.SMTPException | OSError | ValueError):
                # Once there is a password, the cause could quote it.
                raise self._explained(error) from (error if settings.password is None else None)
            raise

    async def _opened(self, client: aiosmtplib.SMTP) -> Connection:
        settings = self.settings
        await client.connect()
        is_local = _is_loopback(client)
        if settings.tls == "none" and not (is_local or settings.insecure):
            raise ServerRefused(
                f"{settings.server} is not on this machine, and without TLS everybody on the way could read along",
                hint="set smtp.tls to starttls or implicit in newsletter.yaml",
            )
        await self._greet(client)
        if settings.tls == "starttls":
            if not client.supports_extension("starttls"):
                raise ServerRefused(
                    f"{settings.server} does not offer STARTTLS, or something on the way hides it",
                    hint="for a server that begins with TLS (port 465) set smtp.tls to implicit",
                )
            await client.starttls()
            await self._greet(client)
        if settings.username is not None:
            await self._log_in(client, settings.username)
        transport = client.transport
        if not isinstance(transport, asyncio.Transport) or transport.is_closing():
            raise TransportError(f"{settings.server} closed the connection")
        return Connection(
            Conversation(transport),
            extensions=client.esmtp_extensions,
            is_local=is_local,
            timeout=settings.timeout,
            after_dot=settings.after_dot,
            window=settings.window,
            abilities=self._abilities,
            trace=self._trace,
            certified_until=certified_until(transport.get_extra_info("peercert")),
        )

    async def _greet(self, client: aiosmtplib.SMTP) -> None:
        name = self.settings.local_hostname or _address_literal(client)
        try:
            await client.ehlo(hostname=name)
        except SMTPHeloError:
            if not client.is_connected:
                raise
            await client.helo(hostname=name)

    async def _log_in(self, client: aiosmtplib.SMTP, username: str) -> None:
        async with self._login:
            if self._refusal is not None:
                raise self._refusal
            try:
                await self._authenticate(client, username)
            except SMTPAuthenticationError as error:
                if error.code // 100 == _PERMANENT:
                    self._refusal = self._login_refusal(f"{error.code} {self._shown(error.message)}")
                    raise self._refusal from None  # the cause could quote what was sent
                raise TransportError(
                    f"{self.settings.server} cannot check the login now: {error.code} {self._shown(error.message)}"
                ) from None

    async def _authenticate(self, client: aiosmtplib.SMTP, username: str) -> None:
        settings = self.settings
        password = settings.password.reveal() if settings.password is not None else ""
        offered = client.server_auth_methods
        ways = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
        # In clear, rather the way that does not show the password.
        order = ("plain", "login", "cram-md5") if settings.tls != "none" else ("cram-md5", "plain", "login")
        usable = [ways[name] for name in order if name in offered]
        if not usable:
            said = f"only {', '.join(offered)}" if offered else "no way to log in"
            raise self._login_refusal(f"it offers {one_line(said, 100)}")
        for number, authenticate in enumerate(usable, 1):
            try:
                await authenticate(username, password)
            except SMTPAuthenticationError as error:
                if error.code not in _OTHER_MECHANISM or number == len(usable):
                    raise
            else:
                return

    def _login_refusal(self, reason: str) -> ServerRefused:
        return ServerRefused(
            f"could not log in to {self.settings.server} as {self.settings.username}: {reason}",
            hint="check smtp.username in newsletter.yaml and the password (NEWSLETTER_SMTP_PASSWORD)",
        )

    def _trusted(self) -> ssl.SSLContext:
        if self._context is None:
            context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
            if self.settings.ca_file is not None:
                try:
                    context.load_verify_locations(cafile=self.settings.ca_file)
                except (OSError, ssl.SSLError) as error:
                    raise TransportError(f"the certificates in {self.settings.ca_file} cannot be read") from error
            self._context = context
        return self._context

    # ------------------------------------------------------------------- in words

    def _explained(self, error: Exception) -> TransportError:
        """What went wrong, as one of ours."""
        server = self.settings.server
        if (certificate := _cause(error, ssl.SSLCertVerificationError)) is not None:
            return ServerRefused(
                f"the certificate of {server} cannot be trusted: {one_line(certificate.verify_message, 200)}",
                hint="check smtp.host: it must be the name in the server's certificate",
            )
        if isinstance(error, SMTPResponseException):
            text = f"{error.code} {self._shown(error.message)}" if error.code > 0 else self._shown(error.message)
            kind = ServerRefused if error.code // 100 == _PERMANENT else TransportError
            return kind(f"{server} turned us away: {text}")
        if (handshake := _cause(error, ssl.SSLError)) is not None and not isinstance(handshake, ssl.SSLEOFError):
            return ServerRefused(
                f"{server} does not speak TLS as we do: {handshake.reason or 'handshake failed'}",
                hint="smtp.tls is starttls for port 587 and implicit for port 465",
            )
        if isinstance(error, TimeoutError):
            return TransportError(f"{server} did not answer within {self.settings.timeout:g} s")
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        reason = (isinstance(cause, OSError) and cause.strerror) or str(cause)
        return TransportError(
            f"{server} cannot be reached: {self._shown(reason)}",
            hint="check smtp.host and smtp.port in newsletter.yaml, and that the server is up",
        )

    def _shown(self, text: str) -> str:
        """A server's words for people; a server that quotes the password does not get it shown."""
        settings = self.settings
        if settings.password is not None and (password := settings.password.reveal()):
            plain = f"\0{settings.username}\0{password}"
            for secret in (b64encode(plain.encode()).decode(), b64encode(password.encode()).decode(), password):
                text = text.replace(secret, "…")
        return one_line(text, _REPLY_LIMIT)


def certified_until(certificate: object) -> datetime | None:
    """When a certificate ends, as `ssl` describes it; None where it does not say."""
    ends = certificate.get("notAfter") if isinstance(certificate, dict) else None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None


def _cause(error: BaseException, kind: type[_Kind]) -> _Kind | None:
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kind):
        seen = seen.__cause__
    return seen


def _is_loopback(client: aiosmtplib.SMTP) -> bool:
    with suppress(ValueError, IndexError, TypeError):
        address = ip_address(client.get_transport_info("peername")[0].partition("%")[0])
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        return (mapped or address).is_loopback
    return False


def _address_literal(client: aiosmtplib.SMTP) -> str:
    """Our address as EHLO wants it from somebody without a name (RFC 5321 §4.1.3, §4.1.4)."""
    ours = str(client.get_transport_info("sockname")[0]).partition("%")[0]
    return f"[IPv6:{ours}]" if ":" in ours else f"[{ours}]"

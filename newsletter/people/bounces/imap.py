"""A folder on an IMAP server (RFC 9051; what is used of it is older): read without touching, over TLS.

A message's name is the folder's UIDVALIDITY and its UID, which no server gives
twice (RFC 9051 §2.3.1.1).  Nothing is marked before it is recorded, and a
report that a broken connection left unmarked is known by its fingerprint.
"""

import imaplib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

from newsletter.people.bounces.letter import LIMIT
from newsletter.people.bounces.mailbox import Mail, MailboxError
from newsletter.text import one_line

T = TypeVar("T")

#: What a server may send at once; we ask for `LIMIT` at most.
_LARGEST: Final = 2 * LIMIT
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")
_UID = re.compile(rb"UID (\d{1,10})")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapSettings:
    """A folder, and how to get there; `password` is called once, when it is needed."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]
    username: str
    password: Callable[[], str]
    folder: str = "INBOX"
    timeout: float = 60.0
    delete: bool = False
    ca_file: str | None = None


class ImapFolder:
    """An IMAP folder; use it as a context manager.

    Args:
        settings: where it is.
        read_only: nothing will be marked.
    """

    def __init__(self, settings: ImapSettings, *, read_only: bool = False) -> None:
        self._settings = settings
        self._read_only = read_only
        self.name = f"imap:{settings.username}@{settings.host}/{settings.folder}"
        self._client: imaplib.IMAP4 | None = None
        self._validity = ""
        self._can_expunge_one = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.logout()
            except (imaplib.IMAP4.error, OSError):
                client.shutdown()

    def names(self) -> list[str]:
        """Every message of the folder, in the order in which they came.

        Raises:
            MailboxError: no connection, no login, no folder.
        """
        client = self._client or self._opened()
        self._client = client

        def ask() -> list[str]:
            _must(
                client.select(_quoted(self._settings.folder), readonly=self._read_only), "the folder cannot be opened"
            )
            self._validity = _text((client.response("UIDVALIDITY")[1] or [b"0"])[0])
            found = _must(client.uid("FETCH", "1:*", "(UID)"), "its messages cannot be listed")
            uids = {int(match.group(1)) for line in found if isinstance(line, bytes) and (match := _UID.search(line))}
            return [f"{self._validity}.{uid}" for uid in sorted(uids)]

        return self._told(ask)

    def read(self, name: str) -> Mail | None:
        """The beginning of one message, without marking it as seen; None where it is gone."""

        def ask() -> Mail | None:
            found = _must(
                self._connection().uid("FETCH", name.rpartition(".")[2], f"(RFC822.SIZE BODY.PEEK[]<0.{LIMIT}>)"),
                "a message cannot be read",
            )
            for item in found:
                if isinstance(item, tuple) and len(item) == 2 and isinstance(item[1], bytes):  # noqa: PLR2004
                    size = _SIZE.search(
                        b" ".join(part if isinstance(part, bytes) else part[0] for part in found if part)
                    )
                    return Mail(raw=item[1][:LIMIT], size=max(len(item[1]), int(size.group(1)) if size else 0))
            return None

        return self._told(ask)

    def done(self, name: str) -> None:
        """Mark a report as seen; or remove it, where the project wants that."""
        uid = name.rpartition(".")[2]

        def ask() -> None:
            flags = r"(\Seen \Deleted)" if self._settings.delete else r"(\Seen)"
            _must(self._connection().uid("STORE", uid, "+FLAGS.SILENT", flags), "a message cannot be marked")
            # Only this one, where the server can (RFC 4315): what others have marked is their business.
            if self._settings.delete and self._can_expunge_one:
                _must(self._connection().uid("EXPUNGE", uid), "a message cannot be removed")

        self._told(ask)

    # ---------------------------------------------------------------- the connection

    def _connection(self) -> imaplib.IMAP4:
        if self._client is None:
            raise MailboxError(f"{self.name} is not open")
        return self._client

    def _opened(self) -> imaplib.IMAP4:
        settings = self._settings
        # Before anything is dialled: a password that is not there is no fault of the server.
        password = settings.password()

        def connect() -> imaplib.IMAP4:
            context = None
            if settings.tls != "none":
                context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.ca_file)
            if settings.tls == "implicit":
                client: imaplib.IMAP4 = _TlsClient(
                    settings.host, settings.port, ssl_context=context, timeout=settings.timeout
                )
            else:
                client = _Client(settings.host, settings.port, timeout=settings.timeout)
            try:
                if settings.tls == "starttls":
                    client.starttls(ssl_context=context)
                self._log_in(client, password)
                # What it can do may depend on who asks.
                self._can_expunge_one = b"UIDPLUS" in b" ".join(filter(None, client.capability()[1])).upper().split()
            except BaseException:
                client.shutdown()
                raise
            return client

        return self._told(
            connect,
            words=f"the mailbox {self.name} cannot be reached",
            hint="check bounces.imap.host, port and tls in newsletter.yaml, and that the server is up",
        )

    def _log_in(self, client: imaplib.IMAP4, password: str) -> None:
        settings = self._settings
        try:
            client.login(settings.username, _quotable(password))
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            said = one_line(str(error).removeprefix("b'").rstrip("'"), 200).replace(password, "…")
            # The cause could quote what was sent.
            raise MailboxError(
                f"could not log in to {settings.host} as {settings.username}: {said}",
                hint="check bounces.imap.username in newsletter.yaml and its password",
            ) from None

    def _told(
        self,
        ask: Callable[[], T],
        *,
        words: str = "",
        hint: str = "what was read is recorded: newsletter bounce scan goes on from there",
    ) -> T:
        """Ask the server; whatever goes wrong becomes one of ours."""
        settings = self._settings
        server = f"{settings.host}:{settings.port}"
        try:
            return ask()
        except MailboxError:
            raise
        except ssl.SSLCertVerificationError as error:
            raise MailboxError(
                f"the certificate of {server} cannot be trusted: {one_line(error.verify_message, 200)}",
                hint="check bounces.imap.host: it must be the name in the server's certificate",
            ) from error
        except (imaplib.IMAP4.error, OSError, ValueError, EOFError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise MailboxError(
                f"{words or f'the mailbox {self.name} went away'}: {one_line(str(reason), 200)}", hint=hint
            ) from error


class _Bounded:
    """Reads no more at once than we ask for."""

    def read(self, size: int) -> bytes:
        """So many bytes of the connection."""
        if size > _LARGEST:
            raise imaplib.IMAP4.abort(f"the server wants to send {size:,} bytes at once")
        found: bytes = super().read(size)  # type: ignore[misc]
        return found


class _Client(_Bounded, imaplib.IMAP4):
    """A connection in clear, or one that STARTTLS will secure."""


class _TlsClient(_Bounded, imaplib.IMAP4_SSL):
    """A connection that begins with TLS."""


def _must(answer: tuple[str, list[Any]], words: str) -> list[Any]:
    """The data of an answer that is OK."""
    status, data = answer
    if status != "OK":
        raise imaplib.IMAP4.error(f"{words}: {_text(data[0] if data else b'')}")
    return data


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _quoted(folder: str) -> str:
    """A folder's name as a quoted string, non-ASCII in modified UTF-7 (RFC 3501 §5.1.3)."""
    encoded = re.sub(
        r"[^\x20-\x7e]+",
        lambda m: "&" + m.group().encode("utf-7").decode("ascii")[1:].rstrip("-").replace("/", ",") + "-",
        folder.replace("&", "&-"),
    )
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _quotable(password: str) -> str:
    """A password that `login` can quote; it does so itself."""
    if not password.isascii():
        raise MailboxError("the IMAP password is not plain ASCII, which LOGIN cannot carry")
    return password

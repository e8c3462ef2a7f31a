"""Takes the place of a mail server: accepts every message, delivers none, keeps each as a file.

It exists so that `newsletter demo` and the tests can send for real, over SMTP
and through the whole outbox, while nobody can be mailed by mistake.  It listens
on loopback only and refuses nothing but what it cannot write down.
"""

import asyncio
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from weakref import WeakSet

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from newsletter.errors import NewsletterError
from newsletter.text import slug

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """One message as it arrived: its envelope, and the file that holds its bytes."""

    sender: str
    recipients: tuple[str, ...]
    path: Path


class _Controller(Controller):
    """aiosmtpd's server thread, on a socket that is already bound, leaving no connection behind.

    Binding first gives the true port (0 asks for a free one) and an immediate
    error where it is taken, instead of a time-out.
    """

    def __init__(self, handler: "Catcher", listener: socket.socket) -> None:
        super().__init__(
            handler,
            hostname=_HOST,
            port=listener.getsockname()[1],
            ident="newsletter demo",
            server_hostname="localhost",
        )
        self._listener = listener
        self._sessions: WeakSet[SMTP] = WeakSet()

    def factory(self) -> SMTP:
        session = SMTP(self.handler, **self.SMTP_kwargs)
        self._sessions.add(session)
        return session

    def stop(self, no_assert: bool = False) -> None:  # noqa: FBT001, FBT002
        # The base class forgets open connections; from Python 3.12 on a server waits for them.
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result()
        super().stop(no_assert)

    def _create_server(self) -> Coroutine[None, None, asyncio.AbstractServer]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)

    async def _hang_up(self) -> None:
        for session in list(self._sessions):
            if session.transport is not None:
                session.transport.close()
        # One turn of the loop closes the sockets, the next ends the tasks that read from them.
        for _ in range(2):
            await asyncio.sleep(0)


class Catcher:
    """An SMTP server for as long as the `with` block lasts, in a thread of its own.

    Args:
        folder: where messages are written as `0001-ada-example-com.eml`, exactly
            as received; made if missing, numbered on from what it holds.
        port: where to listen on 127.0.0.1; 0 takes a free one.

    Raises:
        NewsletterError: on entering, where the port is taken or the folder
            cannot be made.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.host = _HOST
        #: Where it listens; known once the block is entered.
        self.port = port
        #: What has arrived in this block, in order.
        self.caught: list[Caught] = []
        self._number = 0
        self._controller: _Controller | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who was sent something in this block, in order, as the envelopes named them."""
        return tuple(recipient for caught in self.caught for recipient in caught.recipients)

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            listener = socket.create_server((_HOST, self.port))
        except OSError as error:
            raise NewsletterError(
                f"messages cannot be caught at {_HOST}:{self.port} in {self.folder}: {error.strerror or error}",
                hint="end the program that listens there, or choose another port or folder",
            ) from error
        self.port = listener.getsockname()[1]
        self._number = max((_number_of(path) for path in self.folder.glob("*.eml")), default=0)
        self._controller = _Controller(self, listener)
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802
        """Write a message down, then say 250; called by aiosmtpd."""
        recipients = tuple(envelope.rcpt_tos)
        self._number += 1
        path = self.folder / f"{self._number:04}-{slug(recipients[0]) or 'nobody'}.eml"
        try:
            with path.open("xb") as file:
                file.write(envelope.original_content or b"")
        except OSError as problem:
            return f"452 4.3.1 the message cannot be written: {problem.strerror}"
        self.caught.append(Caught(sender=envelope.mail_from or "", recipients=recipients, path=path))
        return f"250 2.0.0 caught as {path.name}"


def _number_of(path: Path) -> int:
    head = path.name.partition("-")[0]
    return int(head) if head.isascii() and head.isdigit() else 0

"""A mail server for the commands' tests that refuses whom a test tells it to."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller


class Moody:
    """What the server says: `replies` at RCPT, by address; everybody else is accepted and written down."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.replies: dict[str, str] = {}
        self.taken: list[str] = []
        self.ids: list[str] = []
        self.subjects: list[str] = []

    @property
    def smtp(self) -> str:
        """The setting that leads here."""
        return f"{{host: 127.0.0.1, port: {self.port}, tls: none}}"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd calls it so
        self, server: object, session: object, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.replies:
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        self.taken += envelope.rcpt_tos
        content = envelope.content.decode("utf-8", "replace")
        self.ids += re.findall(r"(?m)^Message-ID: <(\S+)>", content)
        self.subjects += re.findall(r"(?m)^Subject: (.*?)\r?$", content)
        return "250 taken"


@contextmanager
def moody_server() -> Iterator[Moody]:
    """The server, for as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        server = Moody(free.getsockname()[1])
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()

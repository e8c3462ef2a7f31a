"""The lines between this program and a PostgreSQL server: how each end notices that the other is gone without a word.

A network that fails sends no message, and a process that is frozen says nothing
either.  Whoever waits must give up after a while, so that somebody else can
take over (docs/adr/0030-shards.md).
"""

import os
import socket
import threading
from contextlib import suppress
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy.engine import URL

#: How long a transaction waits for another process before it gives up, in seconds.
PATIENCE: Final = 10.0
#: What libpq is told (https://www.postgresql.org/docs/current/libpq-connect.html); over a Unix socket it means nothing.
_WATCHED: Final = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
#: What the server is told.  Somebody frozen in the middle of a transaction would keep its locks: nobody could take over
#: what was theirs, and nobody could leave the list.
_SETTINGS: Final = {
    "lock_timeout": f"{PATIENCE:.0f}s",
    "idle_in_transaction_session_timeout": "30s",
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    # A commit that has returned is on disk, whatever the server's default says.
    "synchronous_commit": "on",
}


def watched(url: URL) -> URL:
    """The address of a server whose silence is noticed; what the address says itself counts more."""
    return url.update_query_dict({key: value for key, value in _WATCHED.items() if key not in url.query})


class Lines:
    """All connections of a process with a server, so that all can be given up at once."""

    #: What every session runs with.
    settings: Final = _SETTINGS

    def __init__(self) -> None:
        self._open: WeakSet[Any] = WeakSet()
        self._turn = threading.Lock()

    def add(self, connection: Any) -> None:
        """Have one more, of the driver's."""
        with self._turn:
            self._open.add(connection)

    def configure(self, connection: Any, record: object) -> None:  # noqa: ARG002
        """Have one more, and give its session the settings that every session runs with."""
        settings = {"TimeZone": "UTC", **_SETTINGS}
        with connection.cursor() as cursor:
            cursor.execute("; ".join(f"SET {name} = '{value}'" for name, value in settings.items()))
        connection.commit()
        self.add(connection)

    def cut(self) -> None:
        """End all of them, from any thread: whoever waits for an answer learns that none comes."""
        with self._turn:
            lines = list(self._open)
        for line in lines:
            # One that is closed has no number any more; one that is broken cannot be shut down.
            with suppress(Exception), socket.socket(fileno=os.dup(line.fileno())) as ours:
                ours.shutdown(socket.SHUT_RDWR)

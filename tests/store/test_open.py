"""Which databases are opened, which are refused, and what is said then."""

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from newsletter.errors import SchemaError, StoreError
from newsletter.model import DeliveryState, Settlement, SuppressionReason
from newsletter.store import Store
from newsletter.store.connect import Database, SqliteFile, connect, locate
from newsletter.store.schema import REVISIONS, VERSION_TABLE, _upgrade
from newsletter.store.tables import metadata
from tests.conftest import FakeClock, counting_ids
from tests.postgresql import Server
from tests.store.samples import entry, freeze, in_threads, people, record, titles

Opener = Callable[..., Store]


def execute(path: Path | str, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


# ----------------------------------------------------------------------- a new database


def test_a_new_database_and_its_folder_belong_to_their_owner_alone(open_store: Opener, tmp_path: Path) -> None:
    path = tmp_path / "new" / ".newsletter" / "newsletter.db"
    before = os.umask(0)
    try:
        store = open_store(str(path))
        record(store, entry("1"))
    finally:
        os.umask(before)

    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)
    assert {"newsletter.db", "newsletter.db-wal", "newsletter.db-shm"} == {one.name for one in path.parent.iterdir()}
    assert {0o600} == {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}


def test_what_was_stored_is_there_when_it_is_opened_again(open_store: Opener, url: str) -> None:
    with open_store(url) as store:
        record(store, entry("1"))
        secret = store.secret("links")

    again = open_store(url, create=False)
    assert ["Title of 1"] == titles(again)
    assert secret == again.secret("links")


def test_an_empty_postgresql_database_gets_its_tables(open_store: Opener, empty_postgres_url: str) -> None:
    with pytest.raises(StoreError, match="is empty") as caught:
        open_store(empty_postgres_url, create=False)
    assert caught.value.hint

    record(open_store(empty_postgres_url), entry("1"))
    assert ["Title of 1"] == titles(open_store(empty_postgres_url))


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}", "sqlite+pysqlite:///{}"])
def test_a_file_may_be_named_by_path_or_address_whatever_its_name(
    open_store: Opener, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "100%; 'quoted' #1 ü.db"
    record(open_store(form.format(path)), entry("1"))

    assert path.exists()
    assert ["Title of 1"] == titles(open_store(str(path)))


def test_every_sqlite_connection_is_durable(open_store: Opener, sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    with store._database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "cache_size")
        }

    full = 2
    assert {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 10_000,
        "cache_size": -4096,
    } == found


def test_every_postgresql_connection_is_durable(open_store: Opener, postgres: Server, postgres_url: str) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    postgres.run(
        f"ALTER DATABASE {name} SET synchronous_commit = off", f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'"
    )
    store = open_store(postgres_url)
    with store._database.read() as connection:
        found = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("synchronous_commit", "timezone", "lock_timeout")
        ]

    assert ["on", "UTC", "10s"] == found


def test_several_that_make_the_database_at_once_make_one(open_store: Opener, tmp_path: Path) -> None:
    path = tmp_path / "state" / "newsletter.db"
    secrets: list[bytes] = []
    raised = in_threads(*(lambda: secrets.append(open_store(str(path)).secret("links")) for _ in range(4)))

    assert [None] * 4 == raised
    assert 1 == len(set(secrets))
    assert ["newsletter.db"] == [one.name for one in path.parent.iterdir() if not one.name.endswith(("-wal", "-shm"))]


def test_opening_a_database_that_is_up_to_date_does_not_load_alembic(sqlite_url: str) -> None:
    program = f"""
import sys
from newsletter.clock import Ids, SystemClock
from newsletter.store import Store
with Store.open({sqlite_url!r}, clock=SystemClock(), ids=Ids()) as store:
    store.check()
    store.scratch().close()
    store.issues()
print([name for name in ("alembic", "mako", "psycopg") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


# ------------------------------------------------------------------------------- schema


def test_the_revisions_named_are_those_there_are() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    import newsletter.store

    config = Config()
    config.set_main_option("script_location", str(Path(newsletter.store.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)

    assert list(REVISIONS) == [script.revision for script in scripts.walk_revisions()][::-1]


@pytest.fixture(params=["sqlite", "postgresql"])
def upgraded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database that all migrations have been over."""
    is_sqlite = request.param == "sqlite"
    database: Database = (
        SqliteFile(tmp_path / "empty.db")
        if is_sqlite
        else connect(locate(request.getfixturevalue("empty_postgres_url")))
    )
    with database.write() as connection:
        _upgrade(connection)
    yield database
    database.close()


def test_the_migrations_build_the_tables_the_program_uses(upgraded: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    def is_here(one: Any, _name: object, kind: str, is_reflected: bool, _other: object) -> bool:
        # On PostgreSQL deliveries have no foreign keys, which Alembic does not know of `ddl_if`.
        return is_reflected or upgraded.is_sqlite or kind != "foreign_key_constraint" or one.table.name != "deliveries"

    options = {"version_table": VERSION_TABLE, "compare_type": True, "include_object": is_here}
    with upgraded.read() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert [] == compare_metadata(context, metadata)


def test_the_migrations_build_the_same_tables_as_making_them_at_once(
    upgraded: Database, request: pytest.FixtureRequest
) -> None:
    def described(database: Database) -> dict[str, object]:
        import sqlalchemy as sa

        with database.read() as connection:
            found = sa.inspect(connection)
            return {
                name: (
                    found.get_pk_constraint(name),
                    sorted(map(repr, found.get_foreign_keys(name))),
                    sorted(map(repr, found.get_unique_constraints(name))),
                    sorted(map(repr, found.get_check_constraints(name))),
                    sorted(
                        (
                            one["name"],
                            one["column_names"],
                            one["unique"],
                            sorted(map(str, one["dialect_options"].values())),
                        )
                        for one in found.get_indexes(name)
                    ),
                    sorted(
                        (column["name"], column["nullable"], repr(column["type"])) for column in found.get_columns(name)
                    ),
                    connection.execute(sa.select(sa.func.count()).select_from(metadata.tables[name])).scalar(),
                )
                for name in metadata.tables
            }

    made = connect(locate(request.getfixturevalue("sqlite_url" if upgraded.is_sqlite else "postgres_url")))
    assert described(upgraded) == described(made)
    made.close()


def test_a_newer_database_is_refused(open_store: Opener, url: str) -> None:
    store = open_store(url)
    _set_revision(store, "9999")

    with pytest.raises(SchemaError, match=r"written by a newer version of the program \(schema 9999\)") as caught:
        store.check()
    assert "upgrade" in (caught.value.hint or "")
    with pytest.raises(SchemaError, match="newer version"):
        open_store(url)


def test_an_older_database_is_refused_until_it_is_migrated(
    open_store: Opener, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older is what the list of revisions says; here the list has one more than the database."""
    from newsletter.store import schema

    monkeypatch.setattr(schema, "REVISIONS", (*REVISIONS, "9999"))

    with pytest.raises(SchemaError, match="older version of the program") as caught:
        open_store(url)
    assert caught.value.hint == "newsletter db migrate"

    migrated: list[str] = []
    monkeypatch.setattr(schema, "_upgrade", lambda connection: migrated.append("once"))
    open_store(url, migrate=True)
    assert ["once"] == migrated


def test_migrating_a_database_that_is_up_to_date_changes_nothing(store: Store) -> None:
    record(store, entry("1"))
    store.migrate()

    assert ["Title of 1"] == titles(store)
    assert REVISIONS[-1] == store.info().schema
    freeze(store)


def _set_revision(store: Store, revision: str) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")


def test_a_migration_that_fails_leaves_the_old_database(
    open_store: Opener, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlalchemy as sa

    from newsletter.store import schema

    def halfway(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        connection.exec_driver_sql("DROP TABLE secrets")
        connection.exec_driver_sql("CREATE TABLE feeds (id INTEGER)")

    record(open_store(url), entry("1"))
    monkeypatch.setattr(schema, "REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr(schema, "_upgrade", halfway)
    with pytest.raises(StoreError, match="already exists"):
        open_store(url, migrate=True)

    monkeypatch.undo()
    store = open_store(url)
    assert ["Title of 1"] == titles(store)
    with store._database.read() as connection:
        tables = set(sa.inspect(connection).get_table_names())
    assert {*metadata.tables, VERSION_TABLE} == tables


def test_info_says_what_a_database_is_and_holds(store: Store, url: str) -> None:
    record(store, entry("1"), entry("2"))
    info = store.info()

    assert (REVISIONS[-1], 2, 1, 0) == (
        info.schema,
        info.counts["entries"],
        info.counts["feeds"],
        info.counts["deliveries"],
    )
    assert info.size > 50_000
    assert info.url_masked.startswith(url.partition("?")[0].partition("://")[0])


# ----------------------------------------------------------------------- what is refused


def refused(path: Path | str, words: str, *, create: bool = True) -> None:
    """Opening says one sentence with a hint, and leaves the file as it was."""
    before = Path(path).read_bytes() if Path(path).is_file() else None
    with pytest.raises(StoreError, match=words) as caught:
        Store.open(str(path), clock=FakeClock(), ids=counting_ids(), create=create)

    sentence = str(caught.value)
    assert caught.value.hint
    assert "\n" not in sentence
    assert not sentence.endswith(".")
    assert before == (Path(path).read_bytes() if Path(path).is_file() else None)


def test_a_missing_database_is_not_made_unasked(tmp_path: Path) -> None:
    refused(tmp_path / "no" / "newsletter.db", "there is no database at", create=False)
    assert not (tmp_path / "no").exists()


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("title: The Morning Wire\n" * 99)
    (tmp_path / "empty.db").touch()
    (tmp_path / "folder.db").mkdir()
    execute(tmp_path / "other.db", "CREATE TABLE recipes (id INTEGER)")

    refused(tmp_path / "text.db", "text.db is not a database")
    refused(tmp_path / "empty.db", r"empty.db is damaged \(it is empty\)")
    refused(tmp_path / "folder.db", "folder.db is a folder")
    refused(tmp_path / "other.db", "other.db belongs to another program")
    refused(tmp_path / "text.db" / "newsletter.db", "cannot be made")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://wire:s3cret@db.example/wire", "a store cannot be mysql"),
        ("sqlite://", "a store cannot be sqlite without a file"),
        ("sqlite:///:memory:", "a store cannot be sqlite"),
        ("://s3cret", "the address of the store cannot be read"),
        ("postgresql://wire:s3cret@db.example:port/wire", "the address of the store cannot be read"),
    ],
)
def test_what_is_no_address_is_refused_without_showing_it(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        Store.open(url, clock=FakeClock(), ids=counting_ids())

    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "postgresql://" in (caught.value.hint or "")


def test_a_server_that_does_not_answer_is_named_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Store.open(f"postgresql://wire:s3cret@/wire?host={tmp_path}", clock=FakeClock(), ids=counting_ids())

    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "wire:***@" in str(caught.value)


def test_a_server_without_that_database_or_user_is_told_apart(postgres: Server) -> None:
    with pytest.raises(StoreError, match="does not exist") as caught:
        Store.open(postgres.url("nowhere"), clock=FakeClock(), ids=counting_ids())
    assert "createdb" in (caught.value.hint or "")
    with pytest.raises(StoreError, match=r"refuses the user or the password|does not exist"):
        Store.open(postgres.url("empty").replace("postgres:@", "nobody:s3cret@"), clock=FakeClock(), ids=counting_ids())


def test_a_read_only_postgresql_is_refused(open_store: Opener, postgres: Server, postgres_url: str) -> None:
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    store = open_store(postgres_url)

    with pytest.raises(StoreError, match="is read-only") as caught:
        record(store, entry("1"))
    assert "primary" in (caught.value.hint or "")


#: As somebody who is not root: root may write everything.
_AS_NOBODY = """
import os, sys
sys.path.insert(0, {root!r})
from newsletter.clock import Ids, SystemClock
from newsletter.errors import StoreError
from newsletter.store import Store
from sqlalchemy.dialects.sqlite import pysqlite
from alembic import command
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for path in {paths!r}:
    try:
        Store.open(path, clock=SystemClock(), ids=Ids()).close()
    except StoreError as error:
        print(f"{{error}} | {{error.hint}}")
    else:
        print("opened", path)
"""


def test_a_read_only_file_or_folder_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        locked = folder / "locked"
        for path in (folder / "file" / "newsletter.db", locked / "newsletter.db"):
            path.parent.mkdir()
            shutil.copyfile(sqlite_url, path)
        (folder / "file").chmod(0o777)
        (folder / "file" / "newsletter.db").chmod(0o444)
        (locked / "newsletter.db").chmod(0o666)
        locked.chmod(0o555)
        paths = [str(folder / "file" / "newsletter.db"), str(locked / "newsletter.db"), str(locked / "new.db")]
        program = _AS_NOBODY.format(root=str(Path(__file__).resolve().parents[2]), paths=paths)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        locked.chmod(0o755)

    assert "" == done.stderr
    assert [
        f"the database {paths[0]} is read-only | chmod u+rw {paths[0]}",
        f"the folder {locked} is read-only, and the database writes its journal there | chmod u+rwx {locked}",
        f"the database {paths[2]} cannot be made: Permission denied | give yourself the right to {locked}",
    ] == done.stdout.splitlines()


# ------------------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def populated(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database in the middle of its third issue."""
    path = tmp_path_factory.mktemp("populated") / "newsletter.db"
    shutil.copyfile(sqlite_template, path)
    with Store.open(str(path), clock=FakeClock(), ids=counting_ids()) as store:
        for number in range(3):
            record(store, *(entry(f"{number}-{n}") for n in range(30)), digests=["daily", "weekly"])
            freeze(store, deliveries=people(100))
        store.suppress("reader7@example.com", "reader7@example.com", SuppressionReason.bounced)
        with store.outbox_writer() as writer:
            for row in store.due(3, limit=60):
                writer.intend(row.id)
                writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent, code=250, reply="2.0.0 queued"))
    return path.read_bytes()


def flip(data: bytearray, chance: random.Random) -> None:
    """Twenty bytes anywhere."""
    for _ in range(20):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)


def blank_sector(data: bytearray, chance: random.Random) -> None:
    start = 512 * chance.randrange(len(data) // 512)
    data[start : start + 512] = bytes(512)


def blank_page(data: bytearray, chance: random.Random) -> None:
    start = 4096 * chance.randrange(len(data) // 4096)
    data[start : start + 4096] = bytes(4096)


def misplace_page(data: bytearray, chance: random.Random) -> None:
    first, second = (4096 * page for page in chance.sample(range(len(data) // 4096), 2))
    data[first : first + 4096] = data[second : second + 4096]


def cut_short(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


@pytest.mark.parametrize("damage", [flip, blank_sector, blank_page, misplace_page, cut_short])
def test_a_damaged_database_is_refused_or_truly_whole(
    populated: bytes, tmp_path: Path, damage: Callable[[bytearray, random.Random], None]
) -> None:
    whole = contents(populated, tmp_path)
    chance = random.Random(20260302)
    wrong = []
    for number in range(12):
        data = bytearray(populated)
        damage(data, chance)
        try:
            found = contents(bytes(data), tmp_path)
        except StoreError as error:
            if error.hint is None:
                wrong.append(f"{number}: no hint: {error}")
        else:
            if found != whole:
                wrong.append(f"{number}: accepted, and not what was written")

    assert [] == wrong


def test_a_changed_letter_is_noticed_or_read_as_written_and_never_a_foreign_error(
    populated: bytes, tmp_path: Path
) -> None:
    """Another letter inside a text is the one thing SQLite cannot notice."""
    chance = random.Random(20260303)
    refusals = 0
    for _ in range(20):
        data = bytearray(populated)
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        try:
            contents(bytes(data), tmp_path)
        except StoreError:
            refusals += 1

    assert refusals > 3


def contents(data: bytes, folder: Path) -> list[object]:
    """All a store can tell of a file it accepts before a send."""
    path = folder / "newsletter.db"
    path.write_bytes(data)
    path.chmod(0o600)
    try:
        with Store.open(str(path), clock=FakeClock(), ids=counting_ids()) as store:
            store.check()
            return list(_all_of(store))
    finally:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _all_of(store: Store) -> Iterator[object]:
    feeds = [one.url for one in store.feed_health()]
    yield store.feed_health(), store.memories(feeds), store.suppressions(), store.info()
    for digest in ("daily", "weekly"):
        yield store.waiting(digest, feeds), store.edited(digest, feeds)
    for issue in store.issues():
        yield issue, store.renderings(issue.id), store.issue_entries(issue.id), store.deliveries(issue.id)
    with store._database.read() as connection:
        for table in metadata.tables.values():
            yield sorted(map(repr, connection.execute(table.select())))

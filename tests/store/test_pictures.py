"""An issue's pictures are frozen with it, and a database from before there were any learns to keep them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.errors import SchemaError, StoreError
from newsletter.model import EVERY_DIGEST, Consumed, Disposition, Picture, SuppressionReason
from newsletter.store import Store, schema
from newsletter.store.connect import connect, locate
from newsletter.store.tables import metadata
from tests.store.samples import entry, freeze, people, person, record, titles

Opener = Callable[..., Store]


def picture(name: str, data: bytes = b"\0\xff\r\n'\\") -> Picture:
    return Picture(cid=f"{name}@example.com", media_type="image/png", data=data, width=1072, height=603)


def test_pictures_come_back_byte_for_byte_and_in_order(store: Store) -> None:
    given = [picture("z", bytes(range(256)) * 600), picture("a"), picture("m", b"")]
    issue = freeze(store, person(1), pictures=given)

    assert given == store.pictures(issue.id)
    assert [] == store.pictures(freeze(store, person(1)).id)
    assert [] == store.pictures(99)


def test_two_issues_may_carry_the_same_picture(store: Store) -> None:
    issues = [freeze(store, person(1), digest=digest, pictures=[picture("a")]) for digest in ("daily", "weekly")]

    assert [[picture("a")]] * 2 == [store.pictures(issue.id) for issue in issues]


def test_a_freeze_that_fails_keeps_no_picture(store: Store) -> None:
    record(store, entry("1"))
    with pytest.raises(StoreError):
        freeze(store, pictures=[picture("a")], consumed=[Consumed(entry_id=99, disposition=Disposition.shown)])
    with pytest.raises(StoreError):
        freeze(store, pictures=[picture("a"), picture("a")])

    assert (0, 0) == (store.info().counts["pictures"], store.info().counts["issues"])
    assert ["Title of 1"] == titles(store)


def test_a_scratch_copy_leaves_them_behind_and_takes_its_own(store: Store) -> None:
    freeze(store, person(1), pictures=[picture("a")])
    with store.scratch() as scratch:
        assert 0 == scratch.info().counts["pictures"]
        issue = freeze(scratch, person(1), pictures=[picture("b")])
        assert [picture("b")] == scratch.pictures(issue.id)

    assert 1 == store.info().counts["pictures"]


def test_a_database_of_the_first_version_is_brought_up_with_all_it_holds(
    open_store: Opener, url: str, tmp_path: Path
) -> None:
    """Taken back to what 0001 made, with an issue in it; the upgrade is the real one."""
    old = open_store(url)
    record(old, entry("1"))
    issue = freeze(old, *people(2))
    old.suppress("ada@example.com", "Ada@example.com", SuppressionReason.complained, "a note")
    old.suppress("bob@example.com", "bob@example.com", SuppressionReason.erased)
    old.close()
    database = connect(locate(url))
    when = "TEXT" if database.is_sqlite else "TIMESTAMP WITH TIME ZONE"
    with database.write() as connection:
        people_said = ("links", "consents", "signups", "pauses")
        lives = ("entry_notes", "sent_elsewhere", "outages")
        others = ("people", "people_home", "server_limits", "schedules", "ticks", "recipes", "template_texts")
        for table in ("bounces", "reports", "scanned", "answers", "pictures", *people_said, *others, *lives, "polls"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
        rows = connection.exec_driver_sql("SELECT key, email, reason, since, note FROM suppressions").all()
        connection.exec_driver_sql("DROP TABLE suppressions")
        connection.exec_driver_sql(
            "CREATE TABLE suppressions (key TEXT NOT NULL, email TEXT NOT NULL, reason TEXT NOT NULL, "
            f"since {when} NOT NULL, note TEXT NOT NULL, CONSTRAINT suppressions_pk PRIMARY KEY (key))"
        )
        connection.exec_driver_sql("CREATE INDEX suppressions_erased ON suppressions (key) WHERE reason = 'erased'")
        for row in rows:
            values = dict(zip(("key", "email", "reason", "since", "note"), row, strict=True))
            connection.execute(
                sa.text("INSERT INTO suppressions VALUES (:key, :email, :reason, :since, :note)"), values
            )
        connection.exec_driver_sql("ALTER TABLE issues DROP COLUMN note")
        connection.exec_driver_sql("ALTER TABLE issues DROP COLUMN canary")
        connection.exec_driver_sql("ALTER TABLE deliveries DROP COLUMN doubtful")
        connection.exec_driver_sql("ALTER TABLE entries DROP COLUMN last_seen_at")
        connection.exec_driver_sql("ALTER TABLE issue_entries DROP COLUMN shortened")
        connection.exec_driver_sql("ALTER TABLE entries DROP COLUMN item_hash")
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '0001'")
    database.close()

    with pytest.raises(SchemaError, match="older version"):
        open_store(url)
    store = open_store(url, migrate=True)

    assert [issue] == store.issues()
    assert [] == store.pictures(issue.id)
    complained, erased = store.suppression("ada@example.com"), store.suppression("bob@example.com")
    assert complained is not None
    assert ("Ada@example.com", "a note", EVERY_DIGEST) == (complained.email, complained.note, complained.digest)
    assert erased is not None
    assert SuppressionReason.erased is erased.reason
    later = freeze(store, person(1), digest="weekly", pictures=[picture("a")])
    assert [picture("a")] == store.pictures(later.id)
    with store._database.read() as connection:
        assert {*metadata.tables, schema.VERSION_TABLE} == set(sa.inspect(connection).get_table_names())

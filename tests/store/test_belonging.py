"""A database that was copied, or is older than what went out, sends nothing until somebody decides."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from newsletter.errors import StoreError
from newsletter.model import Bar, DeliveryState, Place, Settlement
from newsletter.store import Store
from newsletter.store.backup import put_back
from tests.conftest import FakeClock, counting_ids
from tests.store.samples import entry, freeze, people, record, titles

Opener = Callable[..., Store]
MINE, OTHER = "0123456789abcdef", "fedcba9876543210"


def send(url: Path | str, machine: str = MINE, *, follow: bool = False) -> None:
    with Store.open(str(url), clock=FakeClock(), ids=counting_ids()) as store, store.sending(machine, follow=follow):
        pass


def bar(url: Path | str, machine: str = MINE) -> Bar | None:
    with Store.open(str(url), clock=FakeClock(), ids=counting_ids()) as store:
        found = store.barred(machine)
    return None if found is None else found.bar


def copied(source: str, folder: Path) -> Path:
    """The whole state folder, as `cp -r` and rsync copy it."""
    shutil.copytree(Path(source).parent, folder)
    return folder / Path(source).name


def test_a_copied_state_folder_sends_nothing_until_it_is_adopted(sqlite_url: str, tmp_path: Path) -> None:
    send(sqlite_url)
    copy = copied(sqlite_url, tmp_path / "copy")

    with pytest.raises(StoreError, match="was copied here from") as caught:
        send(copy)

    assert str(caught.value).startswith(f"nothing is sent: the database {copy} was copied here from {sqlite_url}")
    assert "newsletter db adopt" in (caught.value.hint or "")
    send(sqlite_url)
    send(copy, follow=True)
    with Store.open(str(copied(sqlite_url, tmp_path / "third")), clock=FakeClock(), ids=counting_ids()) as third:
        assert [] == third.issues()
        third.adopt(MINE, sent=None)
    send(tmp_path / "third" / "newsletter.db")


def test_a_state_folder_that_was_moved_goes_on(sqlite_url: str, tmp_path: Path) -> None:
    send(sqlite_url)
    moved = tmp_path / "elsewhere"
    Path(sqlite_url).parent.rename(moved)

    send(moved / "newsletter.db")

    # And its new place is its home: a copy at the old one is a copy.
    shutil.copytree(moved, Path(sqlite_url).parent)
    assert [None, Bar.elsewhere] == [bar(moved / "newsletter.db"), bar(sqlite_url)]


def test_the_same_path_on_another_machine_is_another_place(sqlite_url: str) -> None:
    send(sqlite_url)

    assert [None, None, Bar.elsewhere] == [bar(sqlite_url, machine) for machine in (MINE, "", OTHER)]
    with pytest.raises(StoreError, match=r"copied here from .* on another machine"):
        send(sqlite_url, OTHER)


def test_a_container_whose_names_change_is_at_home_and_a_second_home_is_remembered() -> None:
    host = Place(machine=MINE, path="/srv/wire/newsletter.db", file=7)
    inside = Place(machine="", path="/wire/newsletter.db", file=7)
    unsteady = Place(machine="", path="/wire/newsletter.db", file=8)

    assert inside.is_home([host])
    assert not unsteady.is_home([host])
    assert unsteady.is_home([host, inside])
    assert not Place(machine=OTHER, path="/srv/wire/newsletter.db", file=7).is_home([host])
    assert not Place(machine=MINE, path="/srv/copy/newsletter.db", file=0).is_home(
        [Place(machine=MINE, path="/x", file=0)]
    )


def test_adopting_keeps_the_homes_that_were_known(open_store: Opener, sqlite_url: str, tmp_path: Path) -> None:
    send(sqlite_url)
    copy = open_store(str(copied(sqlite_url, tmp_path / "copy")))
    copy.adopt(MINE, sent=None)

    found = copy.belonging()
    assert found is not None
    assert [str(tmp_path / "copy" / "newsletter.db"), sqlite_url] == [place.path for place in found.places]
    for _ in range(20):
        copy.adopt(MINE, sent=None)
    assert 2 == len((copy.belonging() or found).places)


def mid_issue(store: Store) -> None:
    """One issue that is done, entries that wait, and a second issue of which half is sent."""
    record(store, entry("1"))
    freeze(store)
    record(store, entry("1"), entry("2"))
    issue = freeze(store, deliveries=people(6))
    with store.outbox_writer() as writer:
        for row in store.due(1, limit=3) + store.due(issue.id, limit=3):
            assert writer.intend(row.id).result()
            writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result()
    record(store, entry("1"), entry("2"), entry("3"))


@pytest.mark.parametrize("way", ["backup", "file"])
def test_an_older_database_that_was_put_back_sends_nothing_until_somebody_says_what_went_out(
    open_store: Opener, sqlite_url: str, tmp_path: Path, way: str
) -> None:
    """Our own backup says of itself that it is one; of any other older file its lock's number tells."""
    old = tmp_path / "old.db"
    with open_store(sqlite_url) as store:
        with store.sending(MINE):
            mid_issue(store)
        if way == "backup":
            store.back_up(old)
        else:
            store._database.engine.dispose()
            shutil.copyfile(sqlite_url, old)
    with open_store(sqlite_url) as store, store.sending(MINE):
        with store.outbox_writer() as writer:
            for row in store.due(2, limit=3):
                writer.intend(row.id).result()
                writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result()
        freeze(store, deliveries=people(6))
        known = {row.message_id for row in store.deliveries(3)}
    if way == "backup":
        aside = put_back(old, Path(sqlite_url), counting_ids(), now=FakeClock().now())
        assert aside is not None
        with open_store(str(aside)) as left, pytest.raises(StoreError, match="has moved to another database"):
            record(left, entry("9"))
    else:
        shutil.copyfile(old, sqlite_url)

    assert (Bar.held if way == "backup" else Bar.older) is bar(sqlite_url)
    with pytest.raises(
        StoreError, match=r"nothing is sent: .* (is a backup of 2026-03-02 07:00 UTC|is older than)"
    ) as caught:
        send(sqlite_url)
    assert "--sent" in (caught.value.hint or "")

    with open_store(sqlite_url) as store:
        found = store.adopt(MINE, sent=True)
        assert (3, 1) == (found.held, found.skipped)
        assert [DeliveryState.sent] * 3 + [DeliveryState.held] * 3 == [one.state for one in store.deliveries(2)]
        assert [] == titles(store)
        assert [] == store.unfinished()
        # The next issue may have a number that was used: nobody's mailbox must take it for that one.
        record(store, entry("4"))
        freeze(store, deliveries=people(6))
        assert set() == known & {row.message_id for row in store.deliveries(3)}
    send(sqlite_url)


def test_an_older_database_of_which_nothing_went_out_since_goes_on_where_it_was(
    open_store: Opener, sqlite_url: str, tmp_path: Path
) -> None:
    with open_store(sqlite_url) as store:
        with store.sending(MINE):
            mid_issue(store)
        store.back_up(tmp_path / "old.db")
    Path(sqlite_url).unlink()
    assert None is put_back(tmp_path / "old.db", Path(sqlite_url), counting_ids(), now=FakeClock().now())

    with open_store(sqlite_url) as store:
        store.adopt(MINE, sent=False)
        assert [2] == [one.id for one in store.unfinished()]
        assert ["Title of 3"] == titles(store)
        with store.sending(MINE):
            assert 3 == len(store.due(2, limit=10))


# --------------------------------------------------------------------------- backups


def test_a_backup_is_one_whole_file_for_its_owner_alone(open_store: Opener, url: str, tmp_path: Path) -> None:
    store = open_store(url)
    mid_issue(store)
    before = os.umask(0)
    try:
        size = store.back_up(tmp_path / "kept" / "wire.db")
    finally:
        os.umask(before)

    path = tmp_path / "kept" / "wire.db"
    assert ["wire.db"] == [one.name for one in path.parent.iterdir()]
    assert (0o600, 0o700, size) == (
        path.stat().st_mode & 0o777,
        path.parent.stat().st_mode & 0o777,
        path.stat().st_size,
    )
    with open_store(str(path)) as copy:
        copy.check()
        assert {**store.info().counts} | {"belonging": 1} == copy.info().counts
        assert store.deliveries() == copy.deliveries()
        assert Bar.held is getattr(copy.barred(MINE), "bar", None)


def test_a_backup_is_of_one_moment_though_a_send_runs(open_store: Opener, sqlite_url: str, tmp_path: Path) -> None:
    store = open_store(sqlite_url)
    freeze(store, deliveries=people(50))
    with store.outbox_writer() as writer:
        for number, row in enumerate(store.due(1, limit=50)):
            writer.intend(row.id).result()
            writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result()
            if number == 20:
                store.back_up(tmp_path / "wire.db")

    with open_store(str(tmp_path / "wire.db")) as copy:
        assert {DeliveryState.queued: 29, DeliveryState.sent: 21} == copy.counts(1)
    assert {DeliveryState.sent: 50} == store.counts(1)


def test_a_backup_that_fails_leaves_the_one_of_before(
    open_store: Opener, sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(sqlite_url)
    store.back_up(tmp_path / "wire.db")
    before = (tmp_path / "wire.db").read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=r"wire\.db cannot be written: No space left on device"):
        store.back_up(tmp_path / "wire.db")

    assert before == (tmp_path / "wire.db").read_bytes()
    assert {"state", "wire.db"} == {one.name for one in tmp_path.iterdir()}


def test_what_is_no_backup_is_not_put_back(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but long enough to look like one\n" * 99)

    (tmp_path / "newsletter.db").write_text("what is there stays")

    with pytest.raises(StoreError, match="text is not a database"):
        put_back(tmp_path / "text", tmp_path / "newsletter.db", counting_ids(), now=FakeClock().now())

    assert {"text", "newsletter.db", "newsletter.db.send.lock"} == {one.name for one in tmp_path.iterdir()}
    assert "what is there stays" == (tmp_path / "newsletter.db").read_text()

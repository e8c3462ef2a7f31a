"""A disk that is full or fails: the freeze changes nothing, the gate stays shut, what was written stays."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.errors import StoreError
from newsletter.model import DeliveryState, Settlement
from newsletter.store import Store
from tests.conftest import ROOT
from tests.store.samples import entry, freeze, people, record, titles

Opener = Callable[..., Store]


def no_room(store: Store, pages: int = 0) -> None:
    """From now on the database may grow by so many pages."""

    def limit(connection: sa.Connection) -> None:
        count = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {count + pages}").close()

    sa.event.listen(store._database.engine, "begin", limit)


def room(store: Store) -> None:
    """The disk has been cleared."""
    dispatch = store._database.engine.dispatch.begin
    for listener in [one for one in dispatch if one.__name__ == "limit"]:
        sa.event.remove(store._database.engine, "begin", listener)

    def free(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1073741823").close()

    sa.event.listen(store._database.engine, "begin", free)


@pytest.mark.parametrize("pages", [0, 1, 5, 20, 60])
def test_a_freeze_on_a_full_disk_changes_nothing(open_store: Opener, sqlite_url: str, pages: int) -> None:
    store = open_store(sqlite_url)
    record(store, entry("1"), entry("2"))
    no_room(store, pages)

    with pytest.raises(StoreError, match="the disk is full") as caught:
        freeze(store, deliveries=people(3000))

    assert "nothing is lost" in (caught.value.hint or "")
    room(store)
    store.check()
    assert [] == store.issues()
    assert ["Title of 1", "Title of 2"] == titles(store)
    assert {DeliveryState.queued: 3000} == store.counts(freeze(store, deliveries=people(3000)).id)


def test_a_full_disk_shuts_the_gate_and_what_was_written_stays(open_store: Opener, sqlite_url: str) -> None:
    store = open_store(sqlite_url)
    issue = freeze(store, deliveries=people(100))
    written = []
    with store.outbox_writer() as writer:
        for row in store.due(issue.id, limit=50):
            assert writer.intend(row.id).result()
            writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent, reply="ok " * 330)).result()
            written.append(row.id)
    no_room(store)
    with store.outbox_writer() as writer:
        try:
            for row in store.due(issue.id, limit=50):
                assert writer.intend(row.id).result()
                writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent, reply="ok " * 330)).result()
                written.append(row.id)
        except StoreError as error:
            refusal = error
        with pytest.raises(StoreError, match="the disk is full"):
            writer.intend(100).result()

    assert "the disk is full" in str(refusal)
    room(store)
    store.check()
    assert written == [one.id for one in store.deliveries(state=DeliveryState.sent)]
    assert len(store.deliveries(state=DeliveryState.sending)) <= 1


_LIMITED = """
import json, resource, signal, sys
from newsletter.clock import Ids, SystemClock
from newsletter.errors import StoreError
from newsletter.model import DeliveryState, Settlement
from newsletter.store import Store
from tests.store.samples import freeze, people

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for path, room in json.loads(sys.argv[1]):
    sent, refusals, frozen = [], [], False
    with Store.open(path, clock=SystemClock(), ids=Ids()) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        try:
            issue = freeze(store, deliveries=people(200))
            frozen = True
            with store.outbox_writer() as writer:
                for row in store.due(issue.id, limit=200):
                    assert writer.intend(row.id).result()
                    writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result()
                    sent.append(row.id)
        except StoreError as error:
            refusals.append(str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(json.dumps([path, frozen, sent, refusals]))
"""


def test_a_file_that_can_no_longer_be_written_loses_nothing(
    open_store: Opener, sqlite_url: str, tmp_path: Path
) -> None:
    """Every write past a limit fails, at limits from "at once" to "near the end"."""
    limits = []
    for kilobytes in (4, 60, 250, 400, 800):
        path = tmp_path / f"{kilobytes}.db"
        path.write_bytes(Path(sqlite_url).read_bytes())
        limits.append((str(path), kilobytes * 1024))
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, json.dumps(limits)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr

    outcomes = set()
    for path, frozen, sent, refusals in map(json.loads, done.stdout.splitlines()):
        with open_store(path) as store:
            store.check()
            assert [path, frozen] == [path, bool(store.issues())]
            if frozen:
                rows = store.deliveries(1)
                assert 200 == len(rows)
                settled = [one.id for one in rows if one.state is DeliveryState.sent]
                # The last commit may be on disk though its answer was an error.
                assert settled[: len(sent)] == sent
                assert len(settled) <= len(sent) + 1
                assert sum(one.state is DeliveryState.sending for one in rows) <= 1
        outcomes.add((frozen, bool(refusals)))

    assert {(False, True), (True, True)} <= outcomes

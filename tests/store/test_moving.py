"""A project taken to another database in the middle of an issue: nobody missed, nobody twice, in both directions."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.errors import BusyError, StoreError
from newsletter.model import Bar, DeliveryState, OnUnknown, Settlement, SuppressionReason
from newsletter.store import Store
from newsletter.store.tables import metadata
from tests.conftest import FakeClock
from tests.store.samples import entry, freeze, people, record, titles

Opener = Callable[..., Store]

_STATES = (DeliveryState.sent, DeliveryState.unknown, DeliveryState.deferred, DeliveryState.failed)


@pytest.fixture
def urls(request: pytest.FixtureRequest, sqlite_url: str, postgres_url: str) -> tuple[str, str]:
    """From where to where."""
    return (sqlite_url, postgres_url) if request.param == "there" else (postgres_url, sqlite_url)


both_ways = pytest.mark.parametrize("urls", ["there", "back"], indirect=True)


def midway(store: Store, clock: FakeClock, size: int = 60) -> dict[str, DeliveryState]:
    """Freeze an issue and let a run die in its middle; says what became of whom."""
    record(store, entry("1", title="Grüße 🗞", published_at=clock.now()), entry("2"), digests=["daily", "weekly"])
    issue = freeze(store, deliveries=people(size))
    record(store, entry("1", title="Edited"), entry("2"), entry("3"), digests=["daily", "weekly"])
    store.suppress("reader7@example.com", "reader7@example.com", SuppressionReason.unsubscribed)
    with store.outbox_writer() as writer:
        for number, row in enumerate(store.due(issue.id, limit=size // 2)):
            allowed = writer.intend(row.id).result()
            if allowed and number % 5 < len(_STATES):
                state = _STATES[number % 5]
                later = clock.now() + timedelta(hours=1) if state is DeliveryState.deferred else None
                writer.settle(Settlement(delivery_id=row.id, state=state, reply="ok", next_attempt_at=later)).result()
    return {row.key: row.state for row in store.deliveries(issue.id)}


def contents(store: Store) -> dict[str, list[str]]:
    """Everything a database holds, but whose it is."""
    with store._database.read() as connection:
        return {
            name: sorted(map(repr, connection.execute(sa.select(table)).all()))
            for name, table in metadata.tables.items()
            if name != "belonging"
        }


def finish(store: Store, clock: FakeClock) -> list[str]:
    """Send what is left of issue 1 as a run does; whom a message went to."""
    clock.advance(timedelta(hours=2))
    with store.sending("a machine"):
        store.recover(1, OnUnknown.hold)
        went = []
        with store.outbox_writer() as writer:
            for row in store.due(1, limit=1000):
                if writer.intend(row.id).result():
                    went.append(row.key)
                    writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result()
    return went


@both_ways
def test_a_project_moves_in_the_middle_of_an_issue_and_finishes_on_the_other_side(
    open_store: Opener, urls: tuple[str, str], clock: FakeClock
) -> None:
    source, target = map(open_store, urls)
    before = midway(source, clock)
    all_of_it = contents(source)

    moved = source.move_to(target, machine="a machine")

    assert all_of_it == contents(target)
    assert sum(map(len, all_of_it.values())) == moved.total
    assert {DeliveryState.sending, *_STATES, DeliveryState.queued, DeliveryState.suppressed} == set(before.values())
    # Whoever may have got it is not asked again (`on_unknown: hold`); all others are, once.
    open_to = {key for key, state in before.items() if state in (DeliveryState.queued, DeliveryState.deferred)}
    went = finish(target, clock)
    assert sorted(open_to) == sorted(went)
    assert ["Edited", "Title of 2", "Title of 3"] == titles(target, "weekly")
    # New rows follow the old ones.
    record(target, entry("4"), digests=["daily"])
    assert 2 == freeze(target, deliveries=people(3)).id
    assert 63 == len(target.deliveries())


@both_ways
def test_the_database_that_was_left_neither_sends_nor_takes_anything(
    open_store: Opener, urls: tuple[str, str], clock: FakeClock
) -> None:
    source, target = map(open_store, urls)
    running = open_store(urls[0])  # the public pages, say: open before, and still
    midway(source, clock, 5)
    source.move_to(target, machine="a machine")

    with pytest.raises(StoreError, match="has moved to") as refused, source.sending("a machine"):
        pass
    assert "newsletter.yaml" in (refused.value.hint or "")
    with pytest.raises(StoreError, match="has moved to another database"):
        running.suppress("reader1@example.com", "reader1@example.com", SuppressionReason.unsubscribed)
    with pytest.raises(StoreError, match="has moved to another database"):
        record(running, entry("9"))
    assert 5 == len(running.deliveries())

    source.adopt("a machine", sent=None)
    record(source, entry("9"))
    with source.sending("a machine"):
        pass


@both_ways
def test_a_move_that_breaks_off_leaves_one_that_may_send_at_most(
    open_store: Opener, urls: tuple[str, str], clock: FakeClock
) -> None:
    source, target = map(open_store, urls)
    midway(source, clock, 5)

    def stop(at: str) -> Callable[[str], None]:
        def trace(step: str) -> None:
            if step == at:
                raise StoreError(f"died after {at}")

        return trace

    with pytest.raises(StoreError, match="died"):
        source.move_to(target, trace=stop("copied"))
    assert [None, Bar.held] == [_bar(source), _bar(target)]

    with pytest.raises(StoreError, match="died"):
        source.move_to(target, replacing=True, trace=stop("moved"))
    assert [Bar.moved, Bar.held] == [_bar(source), _bar(target)]

    source.adopt("", sent=None)
    source.move_to(target, replacing=True)
    assert [Bar.moved, None] == [_bar(source), _bar(target)]


def _bar(store: Store) -> Bar | None:
    found = store.barred("")
    return None if found is None else found.bar


def test_a_move_there_and_back_ends_where_it_began(
    open_store: Opener, sqlite_url: str, postgres_url: str, clock: FakeClock
) -> None:
    here, there = open_store(sqlite_url), open_store(postgres_url)
    midway(here, clock)
    before = contents(here)

    here.move_to(there)
    there.move_to(here, replacing=True)

    assert before == contents(here)
    assert [None, Bar.moved] == [_bar(here), _bar(there)]
    record(here, entry("5"))


def test_what_is_in_the_way_is_not_lost_unasked(
    open_store: Opener, url: str, sqlite_template: Path, tmp_path: Path, clock: FakeClock
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "source.db")
    source, target = open_store(str(tmp_path / "source.db")), open_store(url)
    midway(source, clock, 5)
    record(target, entry("mine"))
    before = contents(target)

    with pytest.raises(StoreError, match="is not empty: it has") as caught:
        source.move_to(target)

    assert "--replace" in (caught.value.hint or "")
    assert before == contents(target)
    assert None is _bar(source)
    source.move_to(target, replacing=True)
    assert contents(source) == contents(target)


def test_a_row_that_arrives_otherwise_is_noticed_and_nothing_changes(
    open_store: Opener, url: str, sqlite_template: Path, tmp_path: Path, clock: FakeClock
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "source.db")
    source, target = open_store(str(tmp_path / "source.db")), open_store(url)
    midway(source, clock, 5)
    seen = 0

    def meddle(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        nonlocal seen
        if statement.startswith("INSERT INTO offers"):
            seen += 1
            cursor.execute("UPDATE entries SET title = 'another' WHERE id = 1")

    sa.event.listen(target._database.engine, "after_cursor_execute", meddle)
    with pytest.raises(StoreError, match="the copy of entries is not what was copied"):
        source.move_to(target)

    assert 1 == seen
    assert None is _bar(source)
    with target._database.read() as connection:
        assert 0 == connection.execute(sa.select(sa.func.count()).select_from(metadata.tables["entries"])).scalar_one()


def test_nothing_is_copied_while_a_send_runs(open_store: Opener, sqlite_url: str, postgres_url: str) -> None:
    source, target = open_store(sqlite_url), open_store(postgres_url)
    with open_store(sqlite_url).sending(), pytest.raises(BusyError):
        source.move_to(target)
    with open_store(postgres_url).sending(), pytest.raises(BusyError):
        source.move_to(target)

    assert [None, None] == [_bar(source), _bar(target)]


@pytest.mark.soak
@both_ways
def test_a_hundred_thousand_deliveries_move_in_little_memory(
    open_store: Opener, urls: tuple[str, str], clock: FakeClock
) -> None:
    source, target = map(open_store, urls)
    midway(source, clock, 100_000)
    # From now on the kernel notes anew how much this process has at most (proc(5)).
    Path("/proc/self/clear_refs").write_text("5")
    before = _kilobytes("VmRSS")

    moved = source.move_to(target)

    assert 100_000 == moved.rows["deliveries"]
    assert _kilobytes("VmHWM") - before < 60_000


def _kilobytes(what: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))

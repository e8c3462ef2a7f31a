"""What is over is let go, a little at a time, and nobody can tell from the counts."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from newsletter.errors import UsageError
from newsletter.model import (
    BounceKind,
    BounceRules,
    DeliveryState,
    Keep,
    NewBounce,
    NewReport,
    Picture,
    Proof,
    Settlement,
    SuppressionReason,
    Tick,
    TickOutcome,
    Tidied,
)
from newsletter.store import Store, tidying
from newsletter.store import tables as t
from tests.conftest import START, FakeClock
from tests.store.samples import FEED, entry, freeze, people, person, record, titles

Opener = Callable[..., Store]
DAY = timedelta(days=1)
KEEP = Keep()


def issue(store: Store, *names: str, size: int = 4, left: int = 0, **changes: Any) -> int:
    """One more issue, sent but for the last `left` of its messages."""
    record(store, *(entry(name) for name in names))
    frozen = freeze(store, deliveries=people(size), **changes)
    with store.outbox_writer() as writer:
        for number, row in enumerate(store.due(frozen.id, limit=size - left)):
            writer.intend(row.id).result()
            state = DeliveryState.failed if number == 1 else DeliveryState.sent
            writer.settle(Settlement(delivery_id=row.id, state=state)).result()
    return frozen.id


def rows(store: Store, table: sa.Table) -> int:
    with store._database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_old_deliveries_become_numbers_and_all_counts_stay(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "_STEP", 3)
    for name in ("1", "2", "3"):
        issue(store, name, size=4)
        clock.advance(DAY)
    before = [store.counts(id_) for id_ in (1, 2, 3)], store.recipients(10)
    clock.advance(399 * DAY)

    assert Tidied(deliveries=8, issues=2) == store.untidy(KEEP)
    assert Tidied(deliveries=8, issues=2) == store.tidy(KEEP)

    assert 4 == rows(store, t.deliveries)
    assert before == ([store.counts(id_) for id_ in (1, 2, 3)], store.recipients(10))
    assert [] == store.unfinished()
    assert Tidied() == store.untidy(KEEP) == store.tidy(KEEP)


def test_tidying_may_end_at_any_step_and_the_counts_are_right(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "_STEP", 2)
    issue(store, "1", size=7)
    issue(store, "2")
    before = store.counts(1)
    clock.advance(500 * DAY)

    for _ in range(3):
        found = store.tidy(KEEP, enough=lambda: True)
        assert (2, False) == (found.deliveries, found.is_done)
        assert before == store.counts(1)
    assert 1 == store.tidy(KEEP).deliveries
    assert before == store.counts(1)


def test_what_is_not_over_stays_however_old(store: Store, clock: FakeClock) -> None:
    issue(store, "1", left=1)
    held = issue(store, "2", left=1)
    with store.outbox_writer() as writer:
        [row] = store.due(held, limit=9)
        writer.intend(row.id).result()
        writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.held)).result()
    issue(store, "3")
    clock.advance(3000 * DAY)

    assert (0, 0) == ((found := store.tidy(KEEP)).deliveries, found.pictures)
    assert [1] == [one.id for one in store.unfinished()]


def test_an_issue_whose_rows_are_gone_is_never_given_back_or_sent_again_unasked(store: Store, clock: FakeClock) -> None:
    first = issue(store, "1")
    issue(store, "2")
    clock.advance(500 * DAY)
    store.tidy(KEEP)

    with pytest.raises(UsageError, match="who got issue 1 of daily is not known any more") as caught:
        store.readdress(first, person(1))
    assert "--force" in (caught.value.hint or "")
    assert store.cancel(first) is False
    assert [] == titles(store)


def test_ids_of_deliveries_are_never_given_twice(store: Store, clock: FakeClock) -> None:
    """Reports of bounces name them."""
    first = issue(store, "1")
    issue(store, "2")
    late, _ = store.readdress(first, person(99))
    with store.outbox_writer() as writer:
        writer.intend(late).result()
        writer.settle(Settlement(delivery_id=late, state=DeliveryState.sent)).result()
    clock.advance(500 * DAY)
    store.tidy(KEEP)

    third = issue(store, "3")

    assert min(row.id for row in store.deliveries(third)) > late
    assert {DeliveryState.sent: 4, DeliveryState.failed: 1} == store.counts(first)


def test_entries_that_nobody_was_sent_are_forgotten_two_years_after_their_feed_dropped_them(
    store: Store, clock: FakeClock
) -> None:
    record(store, *(entry(str(number)) for number in range(5)), first_run=2)
    freeze(store)
    clock.advance(DAY)
    record(store, entry("new"))
    freeze(store)
    clock.advance(730 * DAY)
    assert 0 == store.tidy(KEEP).entries

    clock.advance(2 * DAY)
    assert 3 == store.untidy(KEEP).entries
    assert 3 == store.tidy(KEEP).entries

    # What an issue carried can still be read there, and is known when it comes back.
    assert ["Title of 0", "Title of 1"] == [one.entry.title for one, _ in store.issue_entries(1)]
    record(store, entry("0"), entry("new"))
    assert [] == titles(store)
    assert rows(store, t.entry_texts) == rows(store, t.entries) == 3


def test_what_waits_or_stands_in_the_feed_is_not_forgotten(store: Store, clock: FakeClock) -> None:
    record(store, entry("waits"), entry("stays"))
    record(store, entry("stays"))
    clock.advance(5000 * DAY)

    assert 0 == store.tidy(KEEP).entries
    assert ["Title of stays", "Title of waits"] == sorted(titles(store))


def test_pictures_reports_and_ticks_have_their_time(store: Store, clock: FakeClock) -> None:
    picture = Picture(cid="a", media_type="image/png", data=b"png", width=1, height=1)
    issue(store, "1", pictures=[picture])
    store.scheduled_since("daily", "daily 07:00", "UTC")
    store.record_ticks(
        [Tick(digest="daily", slot="2026-03-02 07:00", due_at=START, outcome=TickOutcome.nothing, at=START)]
    )
    report = NewReport(
        fingerprint="f", mailbox="m", name="n", kind=BounceKind.hard, sender="s", subject="s", size=3, raw=b"raw"
    )
    bounce = NewBounce(
        delivery_id=1,
        key="reader1@example.com",
        email="reader1@example.com",
        kind=BounceKind.hard,
        status="5.1.1",
        words="no such user",
        proof=Proof.message_id,
        happened_at=START,
    )
    store.record_report(report, [bounce], BounceRules())
    clock.advance(91 * DAY)
    assert Tidied(pictures=1) == store.tidy(KEEP)
    clock.advance(310 * DAY)
    assert 1 == store.tidy(KEEP).ticks
    clock.advance(400 * DAY)
    assert 2 == store.tidy(KEEP).reports

    # What it led to stays, and no slot of before is taken for one that was missed.
    found = store.suppression("reader1@example.com", "daily")
    assert found is not None
    assert SuppressionReason.bounced is found.reason
    assert store.scheduled_since("daily", "daily 07:00", "UTC") > START + 300 * DAY


def test_only_the_newest_reports_are_kept_as_they_came(
    store: Store, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tidying, "RAW", 60)
    for number in range(6):
        store.record_report(
            NewReport(
                fingerprint=str(number),
                mailbox="m",
                name=str(number),
                kind=BounceKind.other,
                sender="s",
                subject="s",
                size=3,
                raw=bytes([number]) * 3,
            ),
            [],
            BounceRules(),
        )
    store.tidy(KEEP)

    with store._database.read() as connection:
        kept = connection.execute(sa.select(t.reports.c.id).where(sa.func.length(t.reports.c.raw) > 0)).scalars().all()
    assert [2, 3, 4, 5, 6] == sorted(kept)


def test_always_keeps_it_for_good(store: Store, clock: FakeClock) -> None:
    issue(store, "1")
    issue(store, "2")
    clock.advance(9000 * DAY)

    nothing = Keep(deliveries=None, entries=None, pictures=None, ticks=None, reports=None)
    assert Tidied() == store.untidy(nothing) == store.tidy(nothing)


def test_it_is_due_once_a_day_and_a_clock_that_jumps_gets_a_day(store: Store, clock: FakeClock) -> None:
    assert not store.tidy_is_due()
    with store.sending():
        pass
    assert not store.tidy_is_due()
    clock.advance(DAY)
    assert store.tidy_is_due()
    store.tidy(KEEP)
    assert not store.tidy_is_due()
    clock.advance(2000 * DAY)
    assert not store.tidy_is_due()
    clock.advance(-2000 * DAY)
    assert not store.tidy_is_due()
    clock.advance(DAY)
    assert store.tidy_is_due()


def test_a_vacuum_gives_the_room_back(store: Store, clock: FakeClock) -> None:
    issue(store, "1", size=3000, left=0)
    issue(store, "2")
    before = store.info().size
    clock.advance(500 * DAY)
    store.tidy(KEEP)
    store.vacuum()

    if store._database.is_sqlite:
        assert store.info().size < before
    store.check()
    assert 3000 == sum(store.counts(1).values())
    assert FEED.url

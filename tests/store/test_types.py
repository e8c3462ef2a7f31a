"""Times, words and records are the same on both databases, and damage in them is called damage."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.errors import StoreError
from newsletter.store import Store
from newsletter.store import tables as t
from newsletter.store.types import storable
from tests.store.samples import entry, envelope, freeze, record

Opener = Callable[..., Store]

MOMENTS = st.datetimes(
    min_value=datetime(1000, 1, 2),  # noqa: DTZ001 - Hypothesis adds the zone
    max_value=datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=11, minutes=30))]),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(MOMENTS, min_size=2, max_size=6, unique=True))
def test_times_sort_and_compare_in_the_database_as_they_do_in_time(store: Store, moments: list[datetime]) -> None:
    column = t.secrets.c.created_at
    with store._database.write() as connection:
        connection.execute(sa.delete(t.secrets))
        connection.execute(
            sa.insert(t.secrets),
            [{"name": str(place), "value": b"", "created_at": moment} for place, moment in enumerate(moments)],
        )
        ordered = connection.execute(sa.select(column).order_by(column)).scalars().all()
        until = connection.execute(sa.select(sa.func.count()).where(column <= moments[0])).scalar()
        first = connection.execute(sa.select(sa.func.min(column))).scalar()

    assert sorted(moments) == ordered
    assert all(one.tzinfo is UTC for one in ordered)
    assert sum(one <= moments[0] for one in moments) == until
    assert min(moments) == first


def test_a_time_without_a_zone_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="has no time zone"):
        record(store, entry("1", published_at=datetime(2026, 3, 2, 7, 0)))  # noqa: DTZ001 - that is the point

    assert [] == store.feed_health()


@settings(max_examples=200)
@given(text=st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, exclude_categories=()), max_size=20))
def test_what_can_be_stored_is_left_alone_and_the_rest_made_storable(text: str) -> None:
    stored = storable(text)

    assert stored == storable(stored)
    assert len(text) == len(stored)
    assert stored.encode().decode() == stored
    assert "\0" not in stored
    if "\0" not in text and text.isprintable():
        assert text == stored


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE deliveries SET state = 'qveued'", "'qveued' where a DeliveryState belongs"),
        ("UPDATE deliveries SET queued_at = 'yesterday'", "'yesterday' where a time belongs"),
        ("UPDATE deliveries SET queued_at = 7", "'7' where a time belongs"),
        ("UPDATE deliveries SET merge = '{'", "'{' where a record belongs"),
        ("UPDATE deliveries SET merge = x'ff'", "where a record belongs"),
        ("UPDATE deliveries SET email = CAST(x'ff' AS TEXT)", "is damaged"),
        ("UPDATE issues SET envelope = '{}'", "envelope of issue 1 cannot be read"),
        ("UPDATE issues SET envelope = '[]'", "envelope of issue 1 cannot be read"),
        ("UPDATE entry_versions SET entry = '{}'", "a replaced version of an entry cannot be read"),
    ],
)
def test_a_value_nobody_wrote_is_called_damage(open_store: Opener, sqlite_url: str, damage: str, words: str) -> None:
    store = open_store(sqlite_url)
    record(store, entry("1"))
    freeze(store)
    record(store, entry("1", title="Edited"))
    with store._database.write() as connection:
        assert connection.exec_driver_sql(damage).rowcount > 0

    with pytest.raises(StoreError, match=words) as caught:
        assert [store.deliveries(1), store.issues(), store.issue_entries(1)]
    assert "damaged" in str(caught.value)


def test_an_envelope_comes_back_whatever_it_says(store: Store) -> None:
    odd = envelope(datetime(2026, 3, 2, 7, 0, 0, 123456, tzinfo=UTC))

    assert odd == freeze(store, envelope=odd).envelope

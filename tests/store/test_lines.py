"""A server that is gone without a word is noticed, and so is a program that is frozen."""

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from newsletter.errors import StoreError
from newsletter.store.connect import Postgresql
from newsletter.store.lines import watched


@pytest.fixture
def database(postgres_url: str) -> Iterator[Postgresql]:
    database = Postgresql(make_url(postgres_url))
    yield database
    database.close()


def shown(database: Postgresql, *names: str) -> list[str]:
    with database.read() as connection:
        return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]


def test_the_server_ends_a_transaction_whose_program_is_frozen(database: Postgresql) -> None:
    """Its locks would keep others from taking over, and readers from leaving the list."""

    assert ["30s", "10s", "on", "UTC"] == shown(
        database, "idle_in_transaction_session_timeout", "lock_timeout", "synchronous_commit", "TimeZone"
    )


def test_whoever_hands_out_what_is_read_may_take_time(database: Postgresql) -> None:
    with database.read() as connection:
        database.take_time(connection)
        setting = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one()

    assert "0" == setting
    assert ["30s"] == shown(database, "idle_in_transaction_session_timeout")


def test_a_server_that_says_nothing_is_given_up_unless_the_address_says_otherwise() -> None:
    query = watched(make_url("postgresql://ada@db.example/wire?connect_timeout=60&tcp_user_timeout=0")).query

    assert ("60", "0", "10") == (query["connect_timeout"], query["tcp_user_timeout"], query["keepalives_idle"])


def test_who_waits_for_an_answer_learns_that_none_comes(database: Postgresql) -> None:
    told: list[StoreError] = []

    def wait() -> None:
        try:
            with database.read() as connection:
                connection.exec_driver_sql("SELECT pg_sleep(60)")
        except StoreError as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    give_up = time.monotonic() + 30
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%%pg_sleep(60)'"
    while time.monotonic() < give_up:
        with database.read() as connection:
            if connection.exec_driver_sql(asleep).scalar_one():
                break

    database.lines.cut()
    waiting.join(timeout=30)

    assert not waiting.is_alive()
    assert ["cannot be reached"] == ["cannot be reached" for error in told if "cannot be reached" in str(error)]
    assert ["30s"] == shown(database, "idle_in_transaction_session_timeout")

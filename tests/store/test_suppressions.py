"""Whom we must not mail, secrets, and locks between processes."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from newsletter.errors import BusyError, StoreError
from newsletter.model import NewSuppression, Suppression, SuppressionReason
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.store.samples import in_threads

Opener = Callable[..., Store]
ADA = ("ada@example.com", "Ada@example.com")


def test_a_suppression_says_who_why_and_since_when(store: Store) -> None:
    store.suppress(*ADA, SuppressionReason.bounced, "5.1.1 no such user")

    expected = Suppression(
        key=ADA[0], email=ADA[1], reason=SuppressionReason.bounced, since=START, note="5.1.1 no such user"
    )
    assert expected == store.suppression(ADA[0])
    assert [expected] == store.suppressions()
    assert store.suppression("grace@example.com") is None


def test_suppressing_again_changes_nothing(store: Store, clock: FakeClock) -> None:
    store.suppress(*ADA, SuppressionReason.unsubscribed)
    clock.advance(60.0)
    store.suppress(*ADA, SuppressionReason.unsubscribed, "again")

    assert [(START, "")] == [(one.since, one.note) for one in store.suppressions()]


def test_what_a_person_asked_for_outlives_what_a_server_said(store: Store) -> None:
    strength = [
        SuppressionReason.bounced,
        SuppressionReason.manual,
        SuppressionReason.unsubscribed,
        SuppressionReason.complained,
        SuppressionReason.erased,
    ]
    for weaker, stronger in itertools.combinations(strength, 2):
        for first, second in ((weaker, stronger), (stronger, weaker)):
            store.suppress(*ADA, first)
            store.suppress(*ADA, second)
            assert [stronger] == [one.reason for one in store.suppressions()]
            assert store.unsuppress(ADA[0])


def test_lifting_a_suppression_says_whether_there_was_one(store: Store) -> None:
    store.suppress(*ADA, SuppressionReason.manual)

    assert store.unsuppress(ADA[0])
    assert not store.unsuppress(ADA[0])
    assert [] == store.suppressions()


def test_of_an_erased_person_only_a_keyed_hash_stays(store: Store, url: str) -> None:
    store.suppress(*ADA, SuppressionReason.bounced, "Ada's mailbox is full")
    store.suppress(*ADA, SuppressionReason.erased, "asked by letter from Ada")

    [left] = store.suppressions()
    assert ("", "", SuppressionReason.erased) == (left.email, left.note, left.reason)
    assert "ada" not in left.key.lower()
    found = store.suppression(ADA[0])
    assert found is not None
    assert SuppressionReason.erased is found.reason
    assert store.unsuppress(ADA[0])
    assert store.suppression(ADA[0]) is None


def test_people_suppressed_at_once_are_all_suppressed(store: Store) -> None:
    jobs = [
        lambda number=number: store.suppress(f"{number % 3}@example.com", "x", SuppressionReason.manual)
        for number in range(9)
    ]

    assert [None] * 9 == in_threads(*jobs)
    assert 3 == len(store.suppressions())


def test_a_text_no_database_can_hold_is_still_a_key(store: Store) -> None:
    store.suppress("a\0b\ud800@example.com", "a\0b", SuppressionReason.manual)

    assert store.suppression("a\0b\ud800@example.com") is not None


# ------------------------------------------------------------------------------ secrets


def test_a_secret_is_made_once_and_stays(open_store: Opener, url: str) -> None:
    first, second = open_store(url), open_store(url)
    found: list[bytes] = []
    raised = in_threads(*(lambda one=one: found.append(one.secret("links")) for one in (first, second) * 3))

    assert [None] * 6 == raised
    assert 1 == len(set(found))
    assert 32 == len(found[0])
    assert found[0] != first.secret("another")


# -------------------------------------------------------------------------------- locks

_HOLDER = """
import sys
from newsletter.clock import Ids, SystemClock
from newsletter.store import Store
with Store.open(sys.argv[1], clock=SystemClock(), ids=Ids()) as store, store.lock(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(url: str, name: str = "send") -> "subprocess.Popen[str]":
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, url, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert "held\n" == holder.stdout.readline()
    return holder


def test_a_second_process_is_turned_away_at_once_until_the_first_is_dead(store: Store, url: str) -> None:
    with hold(url) as holder:
        try:
            with pytest.raises(BusyError, match="at work on this project") as caught, store.lock():
                raise AssertionError("two at once")
            assert 75 == caught.value.exit_code
            assert caught.value.hint
            if store._database.is_sqlite:
                assert str(caught.value).startswith(f"process {holder.pid} ")
            with store.lock("upkeep"):
                pass
        finally:
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()

    if not store._database.is_sqlite:
        _until_free(store)
    with store.lock():
        pass


def _until_free(store: Store) -> None:
    """The server needs a moment to see that its client is gone."""
    from threading import Event

    for _ in range(200):
        try:
            with store.lock():
                return
        except BusyError:
            Event().wait(0.05)


def test_a_lock_is_free_again_when_the_work_is_done_or_failed(store: Store) -> None:
    for _ in range(3):
        with store.lock(), pytest.raises(BusyError), store.lock():
            raise AssertionError("two at once")
    with pytest.raises(StoreError, match="the work failed"), store.lock():
        raise StoreError("the work failed")
    with store.lock():
        pass


def test_one_database_is_one_lock_by_whatever_link_it_is_reached(
    open_store: Opener, sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "link.db").symlink_to(sqlite_url)
    (tmp_path / "folder").symlink_to(Path(sqlite_url).parent)
    direct = open_store(sqlite_url)

    for other in (tmp_path / "link.db", tmp_path / "folder" / "newsletter.db"):
        with direct.lock(), pytest.raises(BusyError), open_store(str(other)).lock():
            raise AssertionError("two at once")


def test_two_databases_in_one_folder_do_not_wait_for_each_other(open_store: Opener, tmp_path: Path) -> None:
    with open_store(str(tmp_path / "a.db")).lock(), open_store(str(tmp_path / "b.db")).lock():
        pass


# ------------------------------------------------------------------------- many at once


def new(email: str, reason: SuppressionReason, note: str = "") -> NewSuppression:
    return NewSuppression(key=email.lower(), email=email, reason=reason, note=note)


def test_many_are_suppressed_in_one_go_and_only_what_is_news_counts(store: Store) -> None:
    store.suppress(*ADA, SuppressionReason.bounced)
    store.suppress("mary@example.com", "mary@example.com", SuppressionReason.complained, "before")
    store.suppress("gone@example.com", "gone@example.com", SuppressionReason.erased)
    people = [
        new("Ada@example.com", SuppressionReason.unsubscribed, "list.csv:2"),
        new("mary@example.com", SuppressionReason.unsubscribed, "list.csv:3"),
        new("gone@example.com", SuppressionReason.complained, "list.csv:4"),
        *(new(f"p{n}@example.com", SuppressionReason.manual) for n in range(2500)),
        new("p7@example.com", SuppressionReason.complained, "stronger"),
    ]

    assert 2502 == store.suppress_all(iter(people))
    assert 0 == store.suppress_all(people)
    found = {one.email: (one.reason, one.note) for one in store.suppressions()}
    assert (SuppressionReason.unsubscribed, "list.csv:2") == found["Ada@example.com"]
    assert (SuppressionReason.complained, "before") == found["mary@example.com"]
    assert (SuppressionReason.complained, "stronger") == found["p7@example.com"]
    assert "gone@example.com" not in found
    assert 2503 == len(found)


def test_many_are_suppressed_all_or_none(store: Store) -> None:
    def people() -> Iterator[NewSuppression]:
        yield from (new(f"p{n}@example.com", SuppressionReason.manual) for n in range(1500))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.suppress_all(people())
    assert [] == store.suppressions()


def test_the_reasons_of_many_are_told_at_once_and_the_erased_are_known(store: Store) -> None:
    assert {} == store.reasons([ADA[0]])
    store.suppress(*ADA, SuppressionReason.bounced)
    store.suppress("gone@example.com", "gone@example.com", SuppressionReason.erased)

    keys = ["gone@example.com", *(f"p{n}@example.com" for n in range(1200)), ADA[0], "a\0b@example.com"]
    assert {
        ADA[0]: SuppressionReason.bounced,
        "gone@example.com": SuppressionReason.erased,
    } == store.reasons(iter(keys))

"""A large file is read once: what it says is kept in the store until its bytes are others."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from newsletter.errors import ConfigError
from newsletter.model import Subscriber
from newsletter.people.entry import Details
from newsletter.people.file import FileRoster
from newsletter.store import Store
from tests.conftest import FakeClock, counting_ids

PEOPLE = "- ada@example.com\n# a remark\n- {email: grace@example.com, digests: [weekly]}\n"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.in_memory(clock=FakeClock(), ids=counting_ids()) as made:
        yield made


@pytest.fixture
def roster(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> FileRoster:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.yaml").write_text(PEOPLE)
    return FileRoster(tmp_path / "people.yaml", ["daily", "weekly"], store=lambda: store, kept_from=0)


def lines(people: Iterator[Subscriber]) -> list[tuple[str, int | None]]:
    return [(person.email, person.line) for person in people]


def test_a_file_that_is_the_same_is_not_read_again(roster: FileRoster, store: Store) -> None:
    expected = lines(FileRoster(roster.path, ["daily", "weekly"]).people())
    assert expected == lines(roster.people())
    # What is kept answers, not the file: seen by changing what is kept.
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE people SET name = 'kept'")

    assert ["kept", "kept"] == [person.name for person in roster.people()]
    assert (2, 1, 2) == (roster.count(), roster.count("daily"), roster.count("weekly"))
    assert ["ada@example.com"] == list(roster.keys("daily"))
    found = roster.find("GRACE@example.com")
    assert found is not None
    assert ("kept", 3, ("weekly",)) == (found.name, found.line, found.digests)
    assert "people.yaml:3" == roster.place_of(found)


def test_another_byte_is_another_file_whatever_its_size_and_time(roster: FileRoster) -> None:
    assert ["ada@example.com", "grace@example.com"] == [person.email for person in roster.people()]
    before = roster.path.stat()

    roster.path.write_text(PEOPLE.replace("ada@", "eda@"))
    os.utime(roster.path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert before.st_size == roster.path.stat().st_size
    assert ["eda@example.com", "grace@example.com"] == [person.email for person in roster.people()]


def test_a_file_with_a_mistake_is_told_of_every_time_and_never_kept(roster: FileRoster, store: Store) -> None:
    assert 2 == roster.count()
    kept = store.people_home()
    roster.path.write_text(PEOPLE + "- bad@\n- ada@example.com\n")

    for _ in range(2):
        people: list[Subscriber] = []
        with pytest.raises(ConfigError) as caught:
            people.extend(roster.people())
        assert [4, 5] == [problem.line for problem in caught.value.problems]
        assert kept == store.people_home()


def test_a_digest_that_is_no_more_is_a_mistake_at_once(roster: FileRoster, store: Store) -> None:
    assert 2 == roster.count()
    fewer = FileRoster(roster.path, ["daily"], store=lambda: store, kept_from=0)

    with pytest.raises(ConfigError, match="there is no digest weekly"):
        fewer.count()


def test_a_person_taken_out_is_kept_nowhere(roster: FileRoster, store: Store) -> None:
    assert 2 == roster.count()
    roster.remove("ada@example.com")

    assert ["grace@example.com"] == [person.email for person in store.people()]
    assert ["grace@example.com"] == [person.email for person in roster.people()]


def test_who_is_added_is_there_at_once(roster: FileRoster) -> None:
    assert 2 == roster.count()
    added = roster.add("mary@example.com", Details(name="Mary"))

    assert added == roster.find("mary@example.com")
    assert 3 == roster.count()


def test_a_small_file_leaves_the_store_alone(roster: FileRoster, store: Store) -> None:
    small = FileRoster(roster.path, ["daily", "weekly"], store=lambda: store)

    assert 2 == small.count()
    assert store.people_home() is None

"""The table of people: the list itself, or what its file says; never the one over the other."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter.errors import BusyError, ConfigError, Problem, StoreError
from newsletter.model import Format, Home, PeopleHome, Subscriber
from newsletter.store import Store

Opener = Callable[..., Store]


def person(number: int, **more: object) -> Subscriber:
    email = f"Reader{number}@example.com"
    values: dict[str, object] = {"email": email, "wire_email": email, "key": email.lower(), **more}
    return Subscriber(**values)  # type: ignore[arg-type]


GRACE = Subscriber(
    email="konrad@bücher.example",
    wire_email="konrad@xn--bcher-kva.example",
    key="konrad@xn--bcher-kva.example",
    name="O'\"Neil, é\u2028\\",
    digests=("weekly", "a_b"),
    language="de-AT",
    format=Format.text,
    timezone="Europe/Vienna",
    tags=("vip", "z", "a"),
    attributes={"z": "one", "a": "two\nlines", "{": '"'},
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
words = st.lists(texts, max_size=3).map(tuple)
anybody = st.builds(
    Subscriber,
    email=texts,
    wire_email=texts,
    key=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8),
    name=texts,
    digests=words,
    language=st.none() | texts,
    format=st.sampled_from(Format),
    timezone=st.none() | texts,
    tags=words,
    attributes=st.dictionaries(texts, texts, max_size=3),
)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(anybody, max_size=5, unique_by=lambda one: one.key))
def test_people_come_back_as_they_went_in_and_in_their_order(store: Store, people: list[Subscriber]) -> None:
    for one in list(store.people()):
        store.remove_person(one.key)

    assert len(people) == store.add_people(people)
    assert people == list(store.people())
    assert sorted(one.key for one in people) == sorted(store.people_keys())
    assert {one.key: one for one in people} == store.people_by_key([*(one.key for one in people), "nobody"])


def test_nobody_stands_there_twice(store: Store) -> None:
    assert 2 == store.add_people([person(1), person(2), person(1, name="again")])
    assert 0 == store.add_people([person(2, name="again")])

    assert [person(1), person(2)] == list(store.people())


def test_who_gets_a_digest_is_found_and_counted(store: Store) -> None:
    store.add_people([person(1), GRACE, person(2, digests=("daily",)), person(3, digests=("axb",))])

    for digest, expected in [
        ("daily", [1, 3]),
        ("weekly", [1, 2]),
        ("a_b", [1, 2]),
        ("axb", [1, 4]),
        ("week", [1]),
        (None, [1, 2, 3, 4]),
    ]:
        found = list(store.people(digest))
        everybody = list(store.people())
        assert [everybody[number - 1] for number in expected] == found, digest
        assert len(expected) == store.count_people(digest)
        assert {one.key for one in found} == set(store.people_keys(digest))


def test_a_person_is_changed_in_their_place_and_no_other(store: Store) -> None:
    store.add_people([person(1), person(2), person(3)])
    moved = person(9, name="Moved", tags=("new",))

    store.change_people([("reader2@example.com", moved)])

    assert [person(1), moved, person(3)] == list(store.people())
    with pytest.raises(StoreError, match="there already"):
        store.change_people([("reader1@example.com", person(3))])
    assert moved == store.remove_person("reader9@example.com")
    assert store.remove_person("reader9@example.com") is None
    assert [person(1), person(3)] == list(store.people())


def test_many_people_are_one_stream_of_one_moment(open_store: Opener, url: str) -> None:
    """Somebody is added, and somebody taken off, while it is read."""
    store, other = open_store(url), open_store(url)
    store.add_people(person(number) for number in range(2500))

    stream = store.people()
    first = next(stream)
    other.remove_person("reader2400@example.com")
    other.add_people([person(9999)])
    rest = list(stream)

    assert [person(number) for number in range(2500)] == [first, *rest]
    assert 2500 == len(list(store.people_keys()))


def test_a_stream_that_is_left_holds_nothing(store: Store) -> None:
    store.add_people(person(number) for number in range(2500))
    for _ in range(40):
        assert person(0) == next(store.people())

    store.add_people([person(9999)])


# ------------------------------------------------------------------ what a file says


def test_what_a_file_says_is_kept_until_it_says_otherwise(store: Store) -> None:
    assert store.people_home() is None
    assert store.remember_people([person(1, line=3), person(2)], "people.yaml", lambda: "one")
    assert [person(1, line=3), person(2)] == list(store.people())
    assert PeopleHome(home=Home.file, file="people.yaml", fingerprint="one", is_exact=True) == store.people_home()

    assert store.remember_people([person(3)], "people.yaml", lambda: "two")
    assert [person(3)] == list(store.people())


def test_a_file_with_mistakes_is_never_kept(store: Store) -> None:
    store.remember_people([person(1)], "people.yaml", lambda: "one")
    before = store.people_home()

    def wrong() -> Iterator[Subscriber]:
        yield person(2)
        raise ConfigError([Problem(path="people.yaml", line=2, key="", text="wrong")])

    with pytest.raises(ConfigError):
        store.remember_people(wrong(), "people.yaml", lambda: "two")

    assert ([person(1)], before) == (list(store.people()), store.people_home())


def test_a_list_in_a_file_is_not_changed_here(store: Store) -> None:
    store.remember_people([person(1)], "people.yaml", lambda: "one")

    for change in (
        lambda: store.add_people([person(2)]),
        lambda: store.remove_person("reader1@example.com"),
        lambda: store.change_people([("reader1@example.com", person(2))]),
    ):
        with pytest.raises(BusyError, match=r"at home in people\.yaml"):
            change()
    assert [person(1)] == list(store.people())


def test_people_who_are_only_here_are_not_written_over(store: Store) -> None:
    store.add_people([person(1)])

    assert not store.remember_people([person(2)], "people.yaml", lambda: "one")
    assert [person(1)] == list(store.people())


def test_the_first_change_makes_a_list_that_moves_one_that_is_here(store: Store) -> None:
    store.remember_people([person(1)], "people.yaml", lambda: "one", home=Home.moving)
    store.add_people([person(2)])

    assert PeopleHome(home=Home.database, file="people.yaml", fingerprint="one") == store.people_home()
    assert not store.remember_people([], "people.yaml", lambda: "two")


def test_what_is_settled_is_settled_once(store: Store) -> None:
    store.add_people([person(1)])
    here = store.people_home()
    there = PeopleHome(home=Home.file, file="x", fingerprint="y", is_exact=True)

    with pytest.raises(BusyError, match="changed meanwhile"):
        store.settle_people(there, expected=None)

    def fail() -> None:
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        store.settle_people(there, expected=here, before=fail)
    assert here == store.people_home()
    store.settle_people(there, expected=here)
    assert there == store.people_home()


def test_what_is_kept_waits_for_nobody(open_store: Opener, url: str) -> None:
    """A freeze writes, and reads people in the same breath: keeping what a file says must not stand in its way."""
    store, other = open_store(url), open_store(url)
    with other._database.write() as connection:
        other._insert(connection, [person(7)])

        kept = store.remember_people([person(1)], "people.yaml", lambda: "one")

    assert not kept
    assert [person(7)] == list(store.people())


def test_of_an_erased_person_nothing_is_kept(store: Store) -> None:
    store.remember_people([person(1), person(2)], "people.yaml", lambda: "one")
    store.erase("reader1@example.com")

    assert [person(2)] == list(store.people())
    home = store.people_home()
    assert home is not None
    assert not home.is_exact
    store.forget_kept("reader2@example.com")
    assert [] == list(store.people())


def test_an_issue_is_frozen_for_a_list_that_is_here(store: Store) -> None:
    from tests.store import samples

    store.add_people(person(number) for number in range(1200))
    stream = (
        samples.person(number, email=one.email, wire_email=one.wire_email, key=one.key)
        for number, one in enumerate(store.people("daily"))
    )
    samples.record(store, samples.entry("1"))

    issue = samples.freeze(store, *stream)

    assert 1200 == sum(store.counts(issue.id).values())

"""An issue's pictures are frozen with it, and a database from before there were any learns to keep them."""

from collections.abc import Callable

import pytest

from newsletter.errors import StoreError
from newsletter.model import Consumed, Disposition, Picture
from newsletter.store import Store
from tests.store.samples import entry, freeze, person, record, titles

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

"""What waits for its hours, as both databases see it."""

from datetime import datetime, timedelta

from newsletter.model import DeliveryState, Issue
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.store.samples import freeze, person
from tests.store.test_deliveries import settle

S = DeliveryState
SOON, LATER = START + timedelta(hours=1), START + timedelta(hours=9)


def mixed(store: Store) -> Issue:
    """Two who may go, two who wait."""
    return freeze(
        store,
        person(1),
        person(2, timezone="Asia/Tokyo"),
        person(3, timezone="Europe/London", not_before=SOON),
        person(4, timezone="America/New_York", not_before=LATER),
        hours="some rule",
    )


def due(store: Store, issue: Issue) -> list[str]:
    return [one.key for one in store.due(issue.id, limit=10)]


def keys(*numbers: int) -> list[str]:
    return [person(number).key for number in numbers]


def test_who_waits_is_due_when_their_hours_open(store: Store, clock: FakeClock) -> None:
    issue = mixed(store)

    assert "some rule" == issue.hours
    assert (2, SOON) == store.postponed(issue.id)
    assert keys(1, 2) == due(store, issue)
    assert [one.id for one in store.due(issue.id, limit=10)] == [
        one.id for one in store.only(range(99)).due(issue.id, limit=10)
    ]
    clock.advance(timedelta(hours=1))
    assert keys(1, 2, 3) == due(store, issue)
    assert (1, LATER) == store.postponed(issue.id)
    assert [LATER] == [one.queued_at for one in store.deliveries(issue.id) if one.key == person(4).key]


def test_an_issue_of_which_all_wait_is_unfinished_but_not_ready(store: Store, clock: FakeClock) -> None:
    issue = freeze(store, person(3, not_before=SOON))

    assert ([issue.id], []) == ([one.id for one in store.unfinished()], store.unfinished(ready=True))
    clock.advance(timedelta(hours=1))
    assert [issue.id] == [one.id for one in store.unfinished(ready=True)]
    [row] = store.due(issue.id, limit=10)
    settle(store, S.deferred, row.id, next_attempt_at=LATER)
    assert [] == store.unfinished(ready=True)
    assert (0, None) == store.postponed(issue.id)


def test_people_of_some_zones_are_put_off_and_those_who_wait_longer_stay(store: Store) -> None:
    issue = mixed(store)
    night = START + timedelta(hours=8)

    assert 3 == store.postpone(
        issue.id, {None: SOON, "Asia/Tokyo": night, "Europe/London": night, "America/New_York": SOON}
    )
    assert [SOON, night, night, LATER] == [one.next_attempt_at for one in store.deliveries(issue.id)]
    assert 4 == store.postpone(issue.id, LATER + timedelta(hours=1))
    assert 0 == store.postpone(issue.id, SOON)


def test_another_rule_is_followed_by_all_that_has_not_gone(store: Store) -> None:
    issue = mixed(store)
    first = store.due(issue.id, limit=1)[0]
    settle(store, S.sent, first.id)

    begin: dict[str | None, datetime | None] = {"Asia/Tokyo": LATER, "Europe/London": None, "America/New_York": SOON}

    store.change_hours(issue.id, "another", begin.__getitem__)

    assert [None, LATER, None, SOON] == [one.next_attempt_at for one in store.deliveries(issue.id)]
    assert ["another"] == [one.hours for one in store.unfinished()]
    store.change_hours(issue.id, "", lambda _: None)
    assert keys(2, 3, 4) == due(store, issue)

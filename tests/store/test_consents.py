"""What people have said: leaving, coming back, pausing, signing up, being forgotten."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from newsletter.model import EVERY_DIGEST, Consent, ConsentEvent, DeliveryState, Format, OnUnknown, SuppressionReason
from newsletter.store import Store
from newsletter.store.erasing import Erased
from newsletter.store.tables import metadata
from tests.conftest import START, FakeClock
from tests.store.samples import freeze, people, person

ADA, BOB = ("ada@example.com", "Ada@example.com"), ("bob@example.com", "Bob@example.com")
PAGE = "the page of an issue"


def events(store: Store, key: str) -> list[tuple[str, str]]:
    return [(one.event.value, one.digest) for one in store.consents_of(key)]


# ------------------------------------------------------------------------- one digest or all


def test_who_leaves_one_digest_gets_the_others(store: Store) -> None:
    store.leave(*ADA, digest="weekly", source=PAGE)

    assert store.suppression(ADA[0]) is None
    assert store.suppression(ADA[0], "daily") is None
    found = store.suppression(ADA[0], "weekly")
    assert found is not None
    assert ("weekly", SuppressionReason.unsubscribed, PAGE) == (found.digest, found.reason, found.note)


def test_what_holds_for_all_digests_holds_for_each(store: Store) -> None:
    store.leave(*ADA, digest="weekly", source=PAGE)
    store.suppress(*ADA, SuppressionReason.complained)

    assert ["", "weekly"] == [one.digest for one in store.suppressions_of(ADA[0])]
    for digest in ("", "daily", "weekly"):
        found = store.suppression(ADA[0], digest)
        assert found is not None
        assert EVERY_DIGEST == found.digest


def test_lifting_the_suppression_of_one_digest_leaves_the_others(store: Store) -> None:
    for digest in ("", "daily", "weekly"):
        store.suppress(*ADA, SuppressionReason.manual, digest=digest)

    assert store.unsuppress(ADA[0], "daily")
    assert not store.unsuppress(ADA[0], "daily")
    assert ["", "weekly"] == [one.digest for one in store.suppressions_of(ADA[0])]
    assert store.unsuppress(ADA[0])
    assert [] == store.suppressions_of(ADA[0])


def test_an_issue_skips_who_left_its_digest_and_nobody_else(store: Store) -> None:
    store.suppress(person(0).key, person(0).email, SuppressionReason.unsubscribed, digest="daily")
    store.suppress(person(1).key, person(1).email, SuppressionReason.unsubscribed, digest="weekly")
    store.suppress(person(2).key, person(2).email, SuppressionReason.unsubscribed)

    issue = freeze(store, deliveries=people(4))

    expected = [DeliveryState.suppressed, DeliveryState.queued, DeliveryState.suppressed, DeliveryState.queued]
    assert expected == [row.state for row in store.deliveries(issue.id)]


def test_who_leaves_a_digest_while_it_is_sent_gets_no_intent(store: Store) -> None:
    issue = freeze(store, deliveries=people(4))
    rows = store.deliveries(issue.id)
    for number, digest in ((0, "daily"), (1, "weekly"), (2, "")):
        store.leave(rows[number].key, rows[number].email, digest=digest, source=PAGE)
    # Two suppressions are as good as one.
    store.leave(rows[2].key, rows[2].email, digest="daily", source=PAGE)

    with store.outbox_writer(lambda _: None) as writer:
        allowed = [writer.intend(row.id).result() for row in rows]

    assert [False, True, False, True] == allowed


def test_an_erased_person_gets_no_digest(store: Store) -> None:
    issue = freeze(store, deliveries=people(2))
    store.suppress(person(0).key, person(0).email, SuppressionReason.erased, digest="weekly")
    rows = store.deliveries(issue.id)

    with store.outbox_writer(lambda _: None) as writer:
        allowed = [writer.intend(row.id).result() for row in rows]

    assert [False, True] == allowed


# --------------------------------------------------------------------- the record of consent


def test_leaving_twice_is_recorded_once(store: Store, clock: FakeClock) -> None:
    assert store.leave(*ADA, digest="daily", source=PAGE)
    clock.advance(60)
    assert not store.leave(*ADA, digest="daily", source="another page")

    expected = Consent(key=ADA[0], email=ADA[1], event=ConsentEvent.left, at=START, source=PAGE, digest="daily")
    assert [expected] == store.consents_of(ADA[0])


def test_who_comes_back_lifts_only_what_they_asked_for(store: Store) -> None:
    store.leave(*ADA, digest="daily", source=PAGE)
    store.suppress(*BOB, SuppressionReason.complained, digest="daily")

    assert store.come_back(*ADA, digest="daily", source=PAGE)
    assert not store.come_back(*ADA, digest="daily", source=PAGE)
    assert not store.come_back(*BOB, digest="daily", source=PAGE)
    assert store.suppression(ADA[0], "daily") is None
    assert store.suppression(BOB[0], "daily") is not None
    assert [("left", "daily"), ("returned", "daily")] == events(store, ADA[0])
    assert [] == events(store, BOB[0])


def test_the_record_is_read_in_the_order_in_which_it_was_written(store: Store) -> None:
    lines = [
        Consent(
            key=f"{n}@example.com",
            email=f"{n}@example.com",
            event=ConsentEvent.imported,
            at=START - timedelta(days=n),
            source=f"list.csv:{n}",
        )
        for n in range(2_500)
    ]

    store.record_consents(iter(lines))

    assert lines == list(store.consents())
    assert [lines[7]] == store.consents_of("7@example.com")


# ----------------------------------------------------------------------------------- a pause


def test_who_pauses_is_skipped_until_the_pause_is_over(store: Store, clock: FakeClock) -> None:
    store.pause_until(*ADA, START + timedelta(weeks=2), digest="daily", source=PAGE)
    store.pause_until(*BOB, START + timedelta(weeks=2), digest="weekly", source=PAGE)
    everybody = [person(0, email=ADA[1], key=ADA[0]), person(1, email=BOB[1], key=BOB[0])]

    during = freeze(store, deliveries=everybody)
    clock.advance(timedelta(weeks=2))
    after = freeze(store, deliveries=everybody)

    rows = store.deliveries(during.id)
    assert [DeliveryState.suppressed, DeliveryState.queued] == [row.state for row in rows]
    assert f"paused until {START + timedelta(weeks=2):%Y-%m-%d}" == rows[0].last_reply
    assert {DeliveryState.queued} == {row.state for row in store.deliveries(after.id)}
    assert [] == store.pauses_of(ADA[0])


def test_a_pause_can_be_changed_and_ended(store: Store) -> None:
    for weeks in (2, 5, None):
        until = None if weeks is None else START + timedelta(weeks=weeks)
        store.pause_until(*ADA, until, source=PAGE)
        assert ([] if until is None else [until]) == [one.until for one in store.pauses_of(ADA[0])]

    assert [("paused", ""), ("paused", ""), ("resumed", "")] == events(store, ADA[0])


# --------------------------------------------------------------------------------- signing up


def test_a_sign_up_is_confirmed_once_and_lets_the_person_back_in(store: Store, clock: FakeClock) -> None:
    store.leave(*ADA, digest="daily", source=PAGE)
    store.leave(*ADA, digest="weekly", source=PAGE)
    store.suppress(*ADA, SuppressionReason.complained, digest="monthly")
    asked = store.sign_up(*ADA, name="Ada", digests=["daily", "monthly"], language="de", source="the form")
    clock.advance(3600)

    assert asked == store.signup(asked.token)
    assert store.signup("0" * 32) is None
    assert store.confirm(asked, source="the mail")
    assert not store.confirm(asked, source="the mail")
    found = store.signup(asked.token)
    assert found is not None
    assert START + timedelta(hours=1) == found.confirmed_at
    assert ["monthly", "weekly"] == [one.digest for one in store.suppressions_of(ADA[0])]
    lines = store.consents_of(ADA[0])[-2:]
    assert [("asked", "the form"), ("confirmed", "the mail")] == [(one.event.value, one.source) for one in lines]
    assert "daily, monthly" == lines[0].note


@pytest.mark.parametrize("reason", list(SuppressionReason))
def test_confirming_lifts_what_it_disproves_and_no_more(store: Store, reason: SuppressionReason) -> None:
    """The address works and its owner wants to be back; a complaint and the keeper's decision are another matter."""
    store.suppress(*ADA, reason)

    store.confirm(store.sign_up(*ADA, digests=["daily"], source="x"), source="x")

    stays = reason in (SuppressionReason.complained, SuppressionReason.manual)
    assert stays == (store.suppression(ADA[0], "daily") is not None)


def test_asking_is_counted_for_all_and_for_one(store: Store, clock: FakeClock) -> None:
    store.sign_up(*ADA, source="x")
    clock.advance(100)
    store.sign_up(*BOB, source="x", format_=Format.text)
    store.sign_up(*ADA, source="x")

    assert 3 == store.signups_since(START)
    assert 2 == store.signups_since(START + timedelta(seconds=50))
    assert 1 == store.signups_since(START + timedelta(seconds=50), ADA[0])


def test_whoever_did_not_confirm_is_forgotten(store: Store, clock: FakeClock) -> None:
    confirmed = store.sign_up(*ADA, source="x")
    store.confirm(confirmed, source="x")
    silent = store.sign_up(*BOB, source="x")
    clock.advance(60)
    late = store.sign_up(*BOB, source="y")

    assert 1 == store.forget_signups(START + timedelta(seconds=30))
    assert 0 == store.forget_signups(START + timedelta(seconds=30))
    assert store.signup(silent.token) is None
    assert store.signup(confirmed.token) is not None
    assert store.signup(late.token) is not None
    assert ["y"] == [one.source for one in store.consents_of(BOB[0])]
    assert 2 == len(store.consents_of(ADA[0]))


# ---------------------------------------------------------------------------------- the links


def test_a_link_is_known_from_the_freeze_on_and_only_in_its_digest(store: Store) -> None:
    everybody = [person(n) for n in range(3)]

    freeze(store, deliveries=everybody, link_of=lambda key: f"token of {key}")
    freeze(store, deliveries=everybody, link_of=lambda key: f"token of {key}")

    for one in everybody:
        assert one.key == store.whose("daily", f"token of {one.key}")
    assert store.whose("weekly", f"token of {everybody[0].key}") is None
    assert store.whose("daily", "nobody's") is None


def test_a_new_secret_leaves_old_links_known_unless_they_are_revoked(store: Store) -> None:
    first = store.secret(store.links_secret())
    freeze(store, deliveries=people(3), link_of=lambda key: f"token of {key}")

    assert ("links-2", 0) == ((found := store.rotate_links(revoke=False)).secret, found.forgotten)
    assert "links-2" == store.links_secret()
    assert first != store.secret("links-2")
    assert first == store.secret("links")
    assert store.whose("daily", f"token of {person(0).key}") is not None

    assert ("links-3", 3) == ((found := store.rotate_links(revoke=True)).secret, found.forgotten)
    assert store.whose("daily", f"token of {person(0).key}") is None


def test_whom_a_message_is_on_its_way_to_is_known(store: Store) -> None:
    issue = freeze(store, deliveries=people(2))
    ada, bob = store.deliveries(issue.id)
    with store.outbox_writer(lambda _: None) as writer:
        assert writer.intend(ada.id).result()

    assert (True, False) == (store.is_sending_to(ada.key), store.is_sending_to(bob.key))
    assert (ada.email, None) == (store.last_address(ada.key), store.last_address("nobody@example.com"))


# ---------------------------------------------------------------------------------- forgotten


def test_an_erased_person_leaves_sums_and_a_keyed_hash(store: Store, url: str) -> None:
    issue = freeze(store, deliveries=people(3), link_of=lambda key: f"token of {key}")
    ada, bob = store.deliveries(issue.id)[:2]
    store.leave(ada.key, ada.email, digest="daily", source=PAGE)
    store.pause_until(ada.key, ada.email, START + timedelta(weeks=1), source=PAGE)
    store.sign_up(ada.key, ada.email, name=ada.name, source=PAGE)

    gone = store.erase(ada.key)

    assert Erased(deliveries=1, rows=6) == gone
    assert [] == store.consents_of(ada.key)
    assert [] == store.pauses_of(ada.key)
    assert store.whose("daily", f"token of {ada.key}") is None
    blank, other = store.deliveries(issue.id)[:2]
    assert ("", "", "", {}) == (blank.email, blank.wire_email, blank.name, dict(blank.merge))
    assert DeliveryState.suppressed is blank.state
    assert bob == other
    assert 3 == sum(store.counts(issue.id).values())
    found = store.suppression(ada.key)
    assert found is not None
    assert SuppressionReason.erased is found.reason
    assert ada.email.encode() not in everything(store)


def everything(store: Store) -> bytes:
    """Every value of every table."""
    with store._database.read() as connection:
        rows = [connection.execute(sa.select(table)).all() for table in metadata.tables.values()]
    return repr(rows).encode()


def test_erasing_again_or_somebody_unknown_is_nothing_new(store: Store) -> None:
    store.erase(ADA[0])

    assert Erased(deliveries=0, rows=0) == store.erase(ADA[0])
    assert 1 == len(store.suppressions())


def test_a_message_on_its_way_to_an_erased_person_is_not_sent_again(store: Store) -> None:
    issue = freeze(store, deliveries=people(2))
    ada, bob = store.deliveries(issue.id)
    with store.outbox_writer(lambda _: None) as writer:
        for row in (ada, bob):
            assert writer.intend(row.id).result()
    store.erase(ada.key)

    store.recover(issue.id, OnUnknown.resend)

    assert [bob.id] == [row.id for row in store.due(issue.id, limit=10)]

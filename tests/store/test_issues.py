"""The freeze is all or nothing; what may happen to an issue afterwards."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from newsletter.errors import StoreError
from newsletter.model import (
    Consumed,
    DeliveryState,
    Disposition,
    Format,
    IssueState,
    NewDelivery,
    OnUnknown,
    Settlement,
    SuppressionReason,
)
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.store.samples import (
    FEED,
    entry,
    envelope,
    freeze,
    in_threads,
    people,
    person,
    record,
    rendering,
    titles,
)


def consumed(store: Store, *dispositions: Disposition) -> list[Consumed]:
    waiting = store.waiting("daily", [FEED.url])
    return [
        Consumed(entry_id=one.id, disposition=disposition, why=f"because {disposition}")
        for one, disposition in zip(waiting, dispositions, strict=True)
    ]


def everything(store: Store) -> str:
    """All rows of all tables, but for secrets."""
    from newsletter.store.tables import metadata

    with store._database.read() as connection:
        tables = {
            name: sorted(map(repr, connection.execute(table.select())))
            for name, table in metadata.tables.items()
            if name != "secrets"
        }
    return json.dumps(tables)


# ------------------------------------------------------------------------------- freeze


def test_a_frozen_issue_comes_back_as_it_was_given(store: Store) -> None:
    record(store, *(entry(str(n)) for n in range(4)))
    used = consumed(store, *Disposition)
    german = replace(rendering("de"), language="de", subject="Drei Geschichten")
    issue = freeze(store, slot="2026-03-02", consumed=used, renderings=[rendering(), german], subject="Grüße 🗞")

    assert [issue] == store.issues()
    assert issue == store.issue(1, "daily")
    assert ("daily", 1, "2026-03-02", IssueState.open, "", "Grüße 🗞", 2, START) == (
        issue.digest,
        issue.number,
        issue.slot,
        issue.state,
        issue.state_reason,
        issue.subject,
        issue.entries,
        issue.frozen_at,
    )
    assert envelope() == issue.envelope
    assert [german, rendering()] == store.renderings(issue.id)
    assert german == store.rendering(issue.id, "de")
    assert used == [why for _, why in store.issue_entries(issue.id)]
    assert [one.entry_id for one in used] == [stored.id for stored, _ in store.issue_entries(issue.id)]


def test_a_delivery_holds_all_that_a_message_needs(store: Store) -> None:
    ada = person(
        1,
        email="ada@bücher.example",
        wire_email="ada@xn--bcher-kva.example",
        key="ada@xn--bcher-kva.example",
        name="Ada 'Countess' Lovelace 🗞",
        format=Format.text,
        merge={"subscriber.name": "Ada", "subscriber.attributes.city": "Ockham\u0000"},
    )
    issue = freeze(store, ada)

    [row] = store.deliveries(issue.id)
    assert ada == NewDelivery(
        email=row.email,
        wire_email=row.wire_email,
        key=row.key,
        name=row.name,
        format=row.format,
        rendering=row.rendering,
        merge=row.merge,
    )
    assert (issue.id, DeliveryState.queued, 0, None, "", START, None, None) == (
        row.issue_id,
        row.state,
        row.attempts,
        row.last_code,
        row.last_reply,
        row.queued_at,
        row.next_attempt_at,
        row.settled_at,
    )


def test_a_message_id_is_one_persons_in_one_issue_and_tells_nothing(store: Store) -> None:
    first = freeze(store, person(1), person(2))
    second = freeze(store, person(1), person(2))
    other = freeze(store, person(1), digest="weekly")

    ids = [row.message_id for issue in (first, second, other) for row in store.deliveries(issue.id)]
    assert 5 == len(set(ids))
    for id_ in ids:
        left, _, right = id_.partition("@")
        assert (32, "example.com") == (len(left), right)
        assert int(left, 16) > 0


def test_a_senders_domain_in_any_script_gives_an_ascii_message_id(store: Store) -> None:
    issue = freeze(store, person(1), envelope=replace(envelope(), from_email="wire@Bücher.example"))

    assert store.deliveries(issue.id)[0].message_id.endswith("@xn--bcher-kva.example")


def test_of_two_rows_for_one_mailbox_the_first_counts(store: Store) -> None:
    issue = freeze(store, person(1, name="first"), person(2), person(1, name="second"), *people(3))

    assert ["first", "Reader 2", "Reader 0"] == [row.name for row in store.deliveries(issue.id)]


def test_suppressed_people_get_a_row_and_no_mail(store: Store) -> None:
    store.suppress(person(1).key, person(1).email, SuppressionReason.unsubscribed)
    store.suppress(person(2).key, person(2).email, SuppressionReason.erased)
    issue = freeze(store, *people(4))

    assert {DeliveryState.queued: 2, DeliveryState.suppressed: 2} == store.counts(issue.id)
    assert [person(0).key, person(3).key] == [row.key for row in store.due(issue.id, limit=9)]
    assert START == store.deliveries(issue.id)[1].settled_at


def test_an_issue_may_have_no_readers_and_no_entries(store: Store) -> None:
    issue = freeze(store, deliveries=iter(()))

    assert (0, {}) == (issue.entries, store.counts(issue.id))
    assert [] == store.unfinished()


def test_deliveries_are_read_as_a_stream(store: Store) -> None:
    """However many there are, no more than a chunk of them is in memory."""
    alive = 0
    most = 0

    class Counted(NewDelivery):
        __slots__ = ()

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def stream() -> Iterator[NewDelivery]:
        nonlocal alive, most
        for number in range(5000):
            alive += 1
            most = max(most, alive)
            plain = person(number)
            yield Counted(**{name: getattr(plain, name) for name in NewDelivery.__slots__})

    issue = freeze(store, deliveries=stream())

    assert {DeliveryState.queued: 5000} == store.counts(issue.id)
    assert most <= 2001


class WhateverError(Exception):
    """Not ours."""


def breaking(after: int) -> Iterator[NewDelivery]:
    yield from people(after)
    raise WhateverError


@pytest.mark.parametrize("after", [0, 1, 1500])
def test_a_stream_that_breaks_leaves_everything_as_it_was(store: Store, after: int) -> None:
    record(store, entry("1"), entry("2"))
    before = everything(store)

    with pytest.raises(WhateverError):
        freeze(store, deliveries=breaking(after))

    assert before == everything(store)
    assert 2 == freeze(store).entries


def test_a_wrong_freeze_changes_nothing_and_says_what_is_wrong(store: Store) -> None:
    record(store, entry("1"), entry("2"))
    freeze(store, slot="monday")
    record(store, entry("1"), entry("2"), entry("3"))
    [used, _] = [stored.id for stored, _ in store.issue_entries(1)]
    [waiting] = store.waiting("daily", [FEED.url])
    shown = Disposition.shown
    before = everything(store)

    wrong: dict[str, dict[str, Any]] = {
        "issue 1 has its slot monday": {"slot": "monday"},
        "issue 1 has its number": {"number": 1},
        "no longer waiting": {"consumed": [Consumed(entry_id=used, disposition=shown)]},
        "does not have": {"consumed": [Consumed(entry_id=4711, disposition=shown)]},
        "twice": {"consumed": [Consumed(entry_id=waiting.id, disposition=shown)] * 2},
        "rendering 'fr'": {"deliveries": [person(1), person(2, rendering="fr")]},
        "no domain": {"envelope": replace(envelope(), from_email="wire@-ü-")},
    }
    for words, changes in wrong.items():
        with pytest.raises(StoreError, match=words):
            freeze(store, **changes)

    assert before == everything(store)


def test_an_entry_skipped_for_a_digest_cannot_be_used_by_it(store: Store) -> None:
    record(store, entry("1"), entry("2"), first_run=1)
    skipped = store.waiting("daily", [FEED.url])[0].id + 1

    with pytest.raises(StoreError, match="no longer waiting"):
        freeze(store, consumed=[Consumed(entry_id=skipped, disposition=Disposition.shown)])


def test_two_freezes_of_one_slot_at_once_make_one_issue(store: Store) -> None:
    record(store, *(entry(str(n)) for n in range(50)))
    used = consumed(store, *[Disposition.shown] * 50)
    raised = in_threads(*(lambda: freeze(store, number=1, slot="monday", consumed=used) for _ in range(4)))

    assert 1 == raised.count(None)
    assert all(isinstance(error, StoreError) for error in raised if error is not None)
    assert 1 == len(store.issues())
    assert [] == titles(store)


def test_the_freeze_names_its_durable_steps(store: Store) -> None:
    steps: list[tuple[str, int]] = []

    freeze(store, trace=lambda step: steps.append((step, len(store.issues()))))

    assert [("freeze:before-commit", 0), ("freeze:after-commit", 1)] == steps


# -------------------------------------------------------------------------- afterwards


def test_issues_are_listed_newest_first_and_numbered_by_digest(store: Store) -> None:
    for digest in ("daily", "weekly", "daily"):
        freeze(store, digest=digest)

    assert [("daily", 2), ("weekly", 1), ("daily", 1)] == [(one.digest, one.number) for one in store.issues()]
    assert [2, 1] == [one.number for one in store.issues("daily")]
    assert [2] == [one.number for one in store.issues(limit=1)]
    assert (3, 2, 1) == tuple(store.next_number(digest) for digest in ("daily", "weekly", "monthly"))
    assert store.issue(3, "daily") is None
    with pytest.raises(StoreError, match="no rendering 'fr'"):
        store.rendering(1, "fr")


def test_an_issue_is_unfinished_until_its_last_delivery_is_settled(store: Store) -> None:
    first = freeze(store, person(1), person(2))
    second = freeze(store, person(1))
    assert [first, second] == store.unfinished()

    with store.outbox_writer() as writer:
        for row in store.due(first.id, limit=9):
            assert writer.intend(row.id).result()
            assert [first, second] == store.unfinished()
            writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result()

    assert [second] == store.unfinished()


def test_a_paused_issue_rests_and_goes_on(store: Store) -> None:
    issue = freeze(store)
    store.pause(issue.id, "the server refuses our password")

    [paused] = store.unfinished()
    assert (IssueState.paused, "the server refuses our password") == (paused.state, paused.state_reason)

    store.resume(issue.id)
    assert [issue] == store.unfinished()


def test_an_issue_cancelled_before_anybody_got_it_gives_its_entries_back(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"), entry("2"))
    issue = freeze(store)

    assert store.cancel(issue.id)
    assert store.cancel(issue.id)

    assert {DeliveryState.cancelled: 3} == store.counts(issue.id)
    assert ["Title of 1", "Title of 2"] == titles(store)
    assert [] == store.unfinished()
    assert 2 == store.next_number("daily")
    assert 2 == len(store.issue_entries(issue.id)), "what it was can still be shown"
    again = freeze(store)
    assert (2, 2) == (again.number, again.entries)


@pytest.mark.parametrize(
    "reached", [DeliveryState.sent, DeliveryState.unknown, DeliveryState.held, DeliveryState.sending]
)
def test_an_issue_that_somebody_may_have_got_keeps_its_entries(store: Store, reached: DeliveryState) -> None:
    record(store, entry("1"))
    issue = freeze(store)
    with store.outbox_writer() as writer:
        assert writer.intend(1).result()
        if reached is not DeliveryState.sending:
            writer.settle(Settlement(delivery_id=1, state=reached)).result()

    assert not store.cancel(issue.id)
    assert not store.cancel(issue.id)

    over = reached in (DeliveryState.sent, DeliveryState.held)
    assert ({reached: 1, DeliveryState.cancelled: 2} if over else {DeliveryState.cancelled: 3}) == store.counts(
        issue.id
    )
    assert [] == titles(store)


@pytest.mark.parametrize("later", [None, DeliveryState.deferred, DeliveryState.failed])
@pytest.mark.parametrize("how", ["no answer", "a dead run", "sent again"])
def test_who_may_have_got_an_issue_may_have_whatever_comes_later(
    store: Store, how: str, later: DeliveryState | None
) -> None:
    """`on_unknown: resend` queues the message again, a second try is refused, and still it may have arrived."""
    record(store, entry("1"))
    issue = freeze(store, person(1), person(2))
    with store.outbox_writer() as writer:
        assert writer.intend(1).result()
        if how == "no answer":
            writer.settle(Settlement(delivery_id=1, state=DeliveryState.queued, doubtful=True)).result()
        elif how == "sent again":
            writer.settle(Settlement(delivery_id=1, state=DeliveryState.sent)).result()
            store.readdress(issue.id, person(1), force=True)
    if how == "a dead run":
        store.recover(issue.id, OnUnknown.resend)
    if later is not None:
        with store.outbox_writer() as writer:
            assert writer.intend(1).result()
            writer.settle(Settlement(delivery_id=1, state=later, next_attempt_at=START)).result()

    assert not store.cancel(issue.id)
    assert [] == titles(store)


def test_a_refused_recipient_has_not_got_it(store: Store) -> None:
    record(store, entry("1"))
    issue = freeze(store)
    with store.outbox_writer() as writer:
        assert writer.intend(1).result()
        writer.settle(Settlement(delivery_id=1, state=DeliveryState.failed, code=550)).result()

    assert store.cancel(issue.id)
    assert ["Title of 1"] == titles(store)


def test_a_cancelled_issue_forgets_what_it_would_have_mentioned(store: Store) -> None:
    record(store, entry("1"))
    freeze(store)
    record(store, entry("1", title="first edit"))
    [edited] = store.edited("daily", [FEED.url])
    told = freeze(store, mentioned=[edited.id])
    record(store, entry("1", title="second edit"))
    untold = freeze(store, mentioned=[edited.id])
    assert [] == store.edited("daily", [FEED.url])

    store.cancel(untold.id)
    assert ["second edit"] == [one.entry.title for one in store.edited("daily", [FEED.url])]

    store.cancel(told.id)
    assert ["second edit"] == [one.entry.title for one in store.edited("daily", [FEED.url])]
    record(store, entry("1"))
    assert ["Title of 1"] == [one.entry.title for one in store.edited("daily", [FEED.url])]


def test_a_cancelled_issue_is_over(store: Store) -> None:
    issue = freeze(store)
    store.cancel(issue.id)

    with pytest.raises(StoreError, match="issue 1 of daily is cancelled"):
        store.resume(issue.id)
    with pytest.raises(StoreError, match="issue 1 of daily is cancelled"):
        store.pause(issue.id, "why")
    assert 0 == store.recover(issue.id, OnUnknown.resend)


def test_an_issue_that_is_not_there_is_named(store: Store) -> None:
    with pytest.raises(StoreError, match="no issue with the id 9"):
        store.resume(9)
    with pytest.raises(StoreError, match="no issue with the id 9"):
        store.pause(9, "why")
    with pytest.raises(StoreError, match="no issue with the id 9"):
        store.cancel(9)

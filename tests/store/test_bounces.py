"""What came back: remembered once, judged and acted on in the same transaction, on both databases."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from newsletter.model import (
    BounceKind,
    BounceRules,
    DeliveryState,
    Issue,
    NewBounce,
    NewReport,
    Proof,
    Settlement,
    SuppressionReason,
)
from newsletter.people.bounces.failures import judge_failures
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.store.samples import freeze, in_threads, people, person

RULES = BounceRules()
READER = "reader0@example.com"


def report(number: int = 1, *, kind: BounceKind = BounceKind.hard, raw: bytes = b"the report") -> NewReport:
    return NewReport(
        fingerprint=f"print {number}",
        mailbox="maildir:/reports",
        name=f"mail {number}",
        kind=kind,
        sender="MAILER-DAEMON@mx.example.net",
        subject="Undelivered",
        size=len(raw),
        raw=raw,
    )


def bounce(kind: BounceKind = BounceKind.hard, *, at: datetime = START, **changes: object) -> NewBounce:
    usual = NewBounce(
        key=READER,
        email="Reader0@example.com",
        kind=kind,
        status="5.1.1",
        words="User unknown",
        happened_at=at,
        delivery_id=1,
        proof=Proof.message_id,
    )
    return replace(usual, **changes)  # type: ignore[arg-type]


def reasons(store: Store) -> dict[str, str]:
    return {one.key: one.reason.value for one in store.suppressions()}


def settle(store: Store, issue: Issue, state: DeliveryState, code: int, reply: str, *emails: str) -> None:
    """Attempt every message that is due, or those to these people, with this result."""
    with store.outbox_writer() as writer:
        for one in store.due(issue.id, limit=1000):
            if (not emails or one.email in emails) and writer.intend(one.id).result():
                writer.settle(Settlement(delivery_id=one.id, state=state, code=code, reply=reply)).result()


# ------------------------------------------------------------------------- remembering


def test_a_report_is_remembered_with_what_it_says_and_its_bytes(store: Store) -> None:
    recorded = store.record_report(report(), [bounce()], RULES)

    assert (True, {READER: SuppressionReason.bounced}) == (recorded.is_new, recorded.stopped)
    assert recorded.report_id is not None
    found = store.report(recorded.report_id)
    assert found is not None
    assert (b"the report", 10, BounceKind.hard, START) == (found.raw, found.size, found.kind, found.recorded_at)
    [one] = found.bounces
    assert (READER, "User unknown", Proof.message_id, recorded.report_id) == (
        one.key,
        one.words,
        one.proof,
        one.report_id,
    )
    assert [found.id] == [row.id for row in store.reports()]
    assert [one] == store.bounces_of(READER)
    assert "5.1.1 User unknown (report 1)" == store.suppressions()[0].note
    assert {"mail 1"} == store.scanned("maildir:/reports")


def test_the_same_report_under_another_name_counts_once(store: Store) -> None:
    rules = BounceRules(hard=2)
    first = store.record_report(report(), [bounce()], rules)
    again = store.record_report(replace(report(), name="copy"), [bounce(delivery_id=2)], rules)

    assert (False, first.report_id, {}) == (again.is_new, again.report_id, again.stopped)
    assert {"mail 1", "copy"} == store.scanned("maildir:/reports")
    assert 1 == len(store.bounces_of(READER))
    assert {} == reasons(store)


def test_two_scans_at_once_count_a_report_once(store: Store) -> None:
    jobs = [lambda: store.record_report(report(), [bounce()], RULES)] * 4

    assert [None] * 4 == in_threads(*jobs)
    assert 1 == len(store.bounces_of(READER))


def test_what_is_no_report_is_only_noted_as_read(store: Store) -> None:
    store.record_report(report(kind=BounceKind.other), [], RULES, keep=False)

    assert ([], {"mail 1"}) == (store.reports(), store.scanned("maildir:/reports"))
    store.forget_scanned("maildir:/reports", ["mail 1"])
    assert set() == store.scanned("maildir:/reports")


def test_of_a_large_report_the_beginning_is_kept_and_after_a_while_nothing(store: Store, clock: FakeClock) -> None:
    store.record_report(report(raw=b"x" * 1_000_000), [bounce()], RULES)
    clock.advance(timedelta(days=10))
    kept = store.report(1)
    store.forget_raw(clock.now() - timedelta(days=5))
    left = store.report(1)

    assert kept is not None
    assert left is not None
    assert (65_536, 1_000_000) == (len(kept.raw), kept.size)
    assert (b"", 1) == (left.raw, len(left.bounces))


# ------------------------------------------------------------------------------ judging


def test_a_complaint_stops_mail_at_once_and_is_stronger_than_a_bounce(store: Store) -> None:
    store.record_report(report(1), [bounce()], RULES)
    stopped = store.record_report(report(2), [bounce(BounceKind.complaint, words="abuse")], RULES).stopped

    assert {READER: SuppressionReason.complained} == stopped
    assert {READER: "complained"} == reasons(store)


@pytest.mark.parametrize("kind", [BounceKind.policy, BounceKind.delay])
def test_what_blames_nobody_stops_nothing_however_often(store: Store, kind: BounceKind) -> None:
    for number in range(10):
        store.record_report(report(number), [bounce(kind, delivery_id=number)], BounceRules(hard=1, soft=1))

    assert {} == reasons(store)


@pytest.mark.parametrize("kind", [BounceKind.hard, BounceKind.complaint])
def test_without_proof_nothing_counts(store: Store, kind: BounceKind) -> None:
    store.record_report(report(), [bounce(kind, proof=None, delivery_id=None)], RULES)

    assert {} == reasons(store)
    assert [1] == [one.id for one in store.reports(unproven=True)]
    assert 1 == store.bounce_counts(START).unproven


def test_hard_bounces_may_need_a_second_message(store: Store) -> None:
    rules = BounceRules(hard=2)
    store.record_report(report(1), [bounce()], rules)
    store.record_report(report(2), [bounce()], rules)
    assert {} == reasons(store)  # two reports of one message

    store.record_report(report(3), [bounce(delivery_id=2)], rules)
    assert {READER: "bounced"} == reasons(store)
    assert "2 times within 30 days, at last: 5.1.1 User unknown (report 3)" == store.suppressions()[0].note


def soft(store: Store, clock: FakeClock, days: int, *, first: int = 1) -> None:
    """A soft bounce of another message on each of so many days."""
    for number in range(first, first + days):
        store.record_report(
            report(number), [bounce(BounceKind.soft, at=clock.now(), delivery_id=number + 100, words="full")], RULES
        )
        clock.advance(timedelta(days=1))


def test_the_fifth_soft_bounce_within_thirty_days_stops_mail(store: Store, clock: FakeClock) -> None:
    soft(store, clock, 4)
    assert {} == reasons(store)

    soft(store, clock, 1, first=5)
    assert {READER: "bounced"} == reasons(store)
    assert store.suppressions()[0].note.startswith("5 soft bounces within 30 days, at last: 5.1.1 full")


def test_soft_bounces_of_one_day_are_one(store: Store) -> None:
    for number in range(10):
        store.record_report(report(number), [bounce(BounceKind.soft, delivery_id=number)], RULES)

    assert {} == reasons(store)


def test_soft_bounces_are_over_after_thirty_days(store: Store, clock: FakeClock) -> None:
    soft(store, clock, 4)
    clock.advance(timedelta(days=30))
    soft(store, clock, 1, first=5)

    assert {} == reasons(store)


def test_a_message_that_got_through_ends_a_row_of_soft_bounces(store: Store, clock: FakeClock) -> None:
    soft(store, clock, 4)
    issue = freeze(store, *people(1))
    settle(store, issue, DeliveryState.sent, 250, "taken")
    clock.advance(timedelta(days=6))
    soft(store, clock, 1, first=5)
    assert {} == reasons(store)

    soft(store, clock, 4, first=6)
    assert {READER: "bounced"} == reasons(store)


def test_a_message_that_came_back_after_it_was_taken_got_through_to_nobody(store: Store, clock: FakeClock) -> None:
    soft(store, clock, 4)
    issue = freeze(store, *people(1))
    settle(store, issue, DeliveryState.sent, 250, "taken")
    [row] = store.deliveries(issue.id)
    store.record_report(report(90), [bounce(BounceKind.delay, at=clock.now(), delivery_id=row.id)], RULES)
    clock.advance(timedelta(days=6))
    soft(store, clock, 1, first=5)

    assert {READER: "bounced"} == reasons(store)


def test_a_person_who_is_let_back_begins_anew(store: Store, clock: FakeClock) -> None:
    rules = BounceRules(hard=2)
    store.record_report(report(1), [bounce()], rules)
    store.record_report(report(2), [bounce(delivery_id=2)], rules)
    assert store.unsuppress(READER)
    store.record_report(report(3), [bounce(delivery_id=3)], rules)

    assert {} == reasons(store)
    assert [True, True, False] == [one.forgiven for one in store.bounces_of(READER)]


def test_what_a_person_asked_for_outlives_a_bounce(store: Store) -> None:
    store.suppress(READER, READER, SuppressionReason.unsubscribed)

    assert {} == store.record_report(report(), [bounce()], RULES).stopped
    assert {READER: "unsubscribed"} == reasons(store)


def test_rules_of_nought_stop_no_mail(store: Store) -> None:
    store.record_report(report(), [bounce()], BounceRules(hard=0, soft=0))

    assert {} == reasons(store)


def test_of_an_erased_person_nothing_is_kept_that_comes_back(store: Store) -> None:
    store.record_report(report(1), [bounce(BounceKind.soft)], RULES)
    store.erase(READER)
    store.record_report(report(2), [bounce()], RULES)

    assert [] == store.bounces_of(READER)
    assert [b"", b""] == [one.raw for number in (1, 2) if (one := store.report(number)) is not None]


# ----------------------------------------------------------------- while we were sending


def test_a_person_who_is_not_there_gets_no_further_issue(store: Store, clock: FakeClock) -> None:
    issue = freeze(store)
    settle(store, issue, DeliveryState.failed, 550, "5.1.1 User unknown", READER)
    settle(store, issue, DeliveryState.failed, 554, "5.7.1 rejected for policy", "reader1@example.com")
    settle(store, issue, DeliveryState.failed, 552, "5.2.2 mailbox full", "reader2@example.com")

    assert {READER: SuppressionReason.bounced} == judge_failures(store, RULES, clock=clock)
    assert {} == judge_failures(store, RULES, clock=clock)  # each once
    kinds = {number: store.bounces_of(f"reader{number}@example.com")[0].kind.value for number in range(3)}
    assert {0: "hard", 1: "policy", 2: "soft"} == kinds
    assert {DeliveryState.suppressed: 1, DeliveryState.queued: 2} == store.counts(freeze(store).id)


def test_a_message_that_is_brought_back_and_fails_again_counts_as_the_same(store: Store, clock: FakeClock) -> None:
    from newsletter.store.repeating import Which

    rules = BounceRules(hard=2)
    issue = freeze(store, *people(1))
    for _ in range(2):
        settle(store, issue, DeliveryState.failed, 550, "5.1.1 User unknown")
        assert {} == judge_failures(store, rules, clock=clock)
        store.repeat(Which(issue_id=issue.id))
        clock.advance(60.0)

    assert 2 == len(store.bounces_of(READER))


def test_a_server_that_suddenly_knows_nobody_is_not_believed(store: Store, clock: FakeClock) -> None:
    at = [person(n, email=f"r{n}@mail.test", wire_email=f"r{n}@mail.test", key=f"r{n}@mail.test") for n in range(20)]
    issue = freeze(store, *at, *people(2))
    settle(store, issue, DeliveryState.failed, 550, "5.1.1 no such user", *(one.email for one in at[:15]), READER)
    settle(store, issue, DeliveryState.sent, 250, "taken")

    assert {READER: SuppressionReason.bounced} == judge_failures(store, RULES, clock=clock)
    assert BounceKind.soft is store.bounces_of("r3@mail.test")[0].kind


def test_refusals_of_an_erased_person_end_the_judging(store: Store, clock: FakeClock) -> None:
    issue = freeze(store, *people(1))
    settle(store, issue, DeliveryState.failed, 550, "5.1.1 User unknown")
    store.suppress(READER, READER, SuppressionReason.erased)

    assert {} == judge_failures(store, RULES, clock=clock)
    assert [] == store.bounces_of(READER)


# -------------------------------------------------------------------------- looking up


def test_messages_are_found_by_their_person_and_by_their_message_id(store: Store, clock: FakeClock) -> None:
    issue = freeze(store)
    settle(store, issue, DeliveryState.sent, 250, "taken", READER)
    row = store.deliveries(issue.id, email_key=READER)[0]
    since = START - timedelta(days=1)

    assert [row.id] == [one.id for one in store.written_to([READER, "reader1@example.com"], since)]
    assert [row.id] == [one.id for one in store.with_message_ids([row.message_id, "else@example.com"], since)]
    assert row == store.delivery(row.id)
    assert store.delivery(4711) is None
    clock.advance(timedelta(days=40))
    assert [] == store.written_to([READER], clock.now() - timedelta(days=30))


# ------------------------------------------------------------------- answers by machine


def test_one_answer_a_day_to_each_and_not_too_many_to_all(store: Store, clock: FakeClock) -> None:
    day = timedelta(days=1)

    assert store.may_answer("a", within=day, at_most=2)
    assert not store.may_answer("a", within=day, at_most=2)
    assert store.may_answer("b", within=day, at_most=2)
    assert not store.may_answer("c", within=day, at_most=2)
    clock.advance(day)
    assert store.may_answer("a", within=day, at_most=2)

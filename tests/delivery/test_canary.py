"""A few get the issue first, and the others only when it is known that servers take it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from newsletter.delivery.canary import deliver_in_turn
from newsletter.model import Canary, DeliveryState, Issue, OnUnknown, SendReport, SuppressionReason
from tests.delivery.conftest import Office
from tests.delivery.samples import people, settings
from tests.delivery.sink import Script, Sink

S = DeliveryState
USUAL = Canary(first=5, wait=600.0, stop_at=0.25)


class Watched:
    """A send with a canary: its report, what its watcher was told, and how long it slept."""

    def __init__(self, office: Office, issue: Issue) -> None:
        self.office = office
        self.issue = issue
        self.told: list[tuple[datetime, int]] = []
        self.slept: list[float] = []
        self.sent: list[str] = []
        self.connections = 0
        self.at_each_sleep: Callable[[], object] = lambda: None
        self.stop: asyncio.Event | None = None

    def __call__(self, script: Script = lambda _: None, **other: Any) -> SendReport:
        return asyncio.run(self._go(script, **other))

    async def _go(self, script: Script, **other: Any) -> SendReport:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.office.clock.advance(seconds)
            self.at_each_sleep()
            await asyncio.sleep(0)

        self.stop = asyncio.Event()
        issue = self.now
        async with Sink(script) as sink:
            try:
                return await deliver_in_turn(
                    issue,
                    self.office.store,
                    settings(sink),
                    clock=self.office.clock,
                    on_watch=lambda until, first: self.told.append((until, first)),
                    sleep=sleep,
                    stop=self.stop,
                    **other,
                )
            finally:
                self.sent += [one.recipient for one in sink.accepted]
                self.connections += sink.connections

    @property
    def now(self) -> Issue:
        """The issue as the store has it."""
        found = self.office.store.issue(self.issue.number, self.issue.digest)
        assert found is not None
        return found


def begin(office: Office, count: int = 40, canary: Canary = USUAL) -> Watched:
    return Watched(office, office.freeze(people(count), canary=canary))


def first_of(watched: Watched) -> list[str]:
    """Who goes first."""
    store = watched.office.store
    ids = set(store.ahead(watched.issue.id, USUAL.first).ids)
    return sorted(row.email for row in store.deliveries(watched.issue.id) if row.id in ids)


def refuse(*emails: str) -> Script:
    return lambda step: "550 5.1.1 no such person" if step.name == "rcpt" and step.recipient in emails else None


def test_the_first_are_watched_and_then_everybody_gets_it_once(office: Office) -> None:
    watched = begin(office)
    first, began = first_of(watched), office.clock.now()

    report = watched()

    assert sorted(people(40)) == sorted(watched.sent)
    assert first == sorted(watched.sent[:5])
    assert [(began + timedelta(seconds=600), 5)] == watched.told
    assert 600 == sum(watched.slept)
    assert ({S.sent: 40}, 40, None) == (report.counts, report.sent_now, report.stopped)
    assert 600 <= report.seconds
    assert None is watched.now.canary


def test_too_many_refusals_pause_the_issue_and_touch_nobody_else(office: Office) -> None:
    watched = begin(office)
    first = first_of(watched)

    report = watched(refuse(*first[:2]))

    assert {S.sent: 3, S.failed: 2, S.queued: 35} == report.counts
    assert report.stopped == (
        "the canary stopped it: 2 of the first 5 were refused (40%, more than 25%); the last: 550 5.1.1 no such person"
    )
    assert f"newsletter issue resume {watched.issue.number} sends it to the others" in (report.hint or "")
    assert (report.stopped, True) == (office.reason(watched.issue), watched.now.waits_for_a_person)
    assert set(watched.sent) < set(first)


def test_a_person_lets_a_stopped_issue_go_to_the_others(office: Office) -> None:
    watched = begin(office)
    first = first_of(watched)
    watched(refuse(*first[:2]))

    office.store.resume(watched.issue.id)
    report = watched()

    assert (None, {S.sent: 38, S.failed: 2}) == (report.stopped, report.counts)
    assert sorted(set(people(40)) - set(first[:2])) == sorted(watched.sent)


def test_as_many_refusals_as_allowed_stop_nothing(office: Office) -> None:
    watched = begin(office, canary=replace(USUAL, stop_at=0.2))

    report = watched(refuse(first_of(watched)[0]))

    assert (None, {S.sent: 39, S.failed: 1}) == (report.stopped, report.counts)


@pytest.mark.parametrize("after", [1, 3, 7])
def test_a_run_that_dies_while_watching_loses_and_repeats_nothing(office: Office, after: int) -> None:
    """The next one waits for what is left of the time, and mails the first no second time."""
    watched = begin(office)
    left = after

    def die() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    watched.at_each_sleep = die
    with pytest.raises(KeyboardInterrupt):
        watched()
    assert (5, True) == (len(watched.sent), watched.now.canary is not None)
    office.clock.advance(100)
    watched.at_each_sleep = lambda: None

    report = watched()

    assert sorted(people(40)) == sorted(watched.sent)
    assert 600 == sum(watched.slept) + 100
    assert {S.sent: 40} == report.counts


def test_a_run_that_dies_before_the_first_are_through_goes_on_with_them(office: Office) -> None:
    watched = begin(office)
    first = first_of(watched)
    with office.store.outbox_writer() as writer:
        row = office.row(watched.issue, first[0])
        assert writer.intend(row.id).result()
    assert {S.queued: 39, S.sending: 1} == office.store.counts(watched.issue.id)
    office.store.recover(watched.issue.id, OnUnknown.resend)

    watched()

    assert first == sorted(watched.sent[:5])
    assert sorted(people(40)) == sorted(watched.sent)


def test_when_the_time_is_over_before_anybody_looks_the_rest_goes_at_once(office: Office) -> None:
    watched = begin(office)

    def ask_to_stop() -> None:
        assert watched.stop is not None
        watched.stop.set()

    watched.at_each_sleep = ask_to_stop
    stopped = watched()
    assert "stopped when asked to, while the canary was watched" in (stopped.stopped or "")
    office.clock.advance(timedelta(days=1))
    watched.at_each_sleep = lambda: None
    watched.slept.clear()

    report = watched()

    assert ([], {S.sent: 40}) == (watched.slept, report.counts)
    assert 35 == report.sent_now


def test_the_server_refusing_us_pauses_the_issue_with_its_reason(office: Office) -> None:
    watched = begin(office)

    report = watched(lambda step: "550 5.7.1 relaying denied" if step.name == "mail" else None)

    assert ("the mail server refused us: 550 5.7.1 relaying denied", []) == (report.stopped, watched.sent)
    assert (report.stopped, False) == (office.reason(watched.issue), watched.now.waits_for_a_person)
    assert watched.now.canary == USUAL
    office.store.resume(watched.issue.id)
    assert {S.sent: 40} == watched().counts
    assert 40 == len(watched.sent)


def test_who_is_deferred_is_tried_again_while_the_others_are_watched(office: Office) -> None:
    watched = begin(office)
    late = first_of(watched)[0]

    report = watched(
        lambda step: "451 4.7.1 later" if (step.name, step.recipient, step.attempt) == ("rcpt", late, 1) else None
    )

    assert {S.sent: 40} == report.counts
    assert late in watched.sent[:5]
    assert 600 == sum(watched.slept)


def test_where_all_of_the_first_are_deferred_the_next_send_goes_on_with_them(office: Office) -> None:
    watched = begin(office)
    first = first_of(watched)

    report = watched(lambda step: "451 4.7.1 later" if step.name == "rcpt" else None)

    assert ({S.queued: 35, S.deferred: 5}, None, []) == (report.counts, report.stopped, watched.slept)
    assert office.clock.now() + timedelta(seconds=300) == report.next_attempt_at
    office.clock.advance(301)
    watched()
    assert first == sorted(watched.sent[:5])
    assert 40 == len(watched.sent)


@pytest.mark.parametrize("what", ["pause", "cancel"])
def test_pause_and_cancel_are_heeded_while_it_watches(office: Office, what: str) -> None:
    watched = begin(office)
    store, issue = office.store, watched.issue
    watched.at_each_sleep = lambda: store.pause(issue.id, "") if what == "pause" else store.cancel(issue.id)

    report = watched()

    assert (1, 5) == (len(watched.slept), len(watched.sent))
    assert f"issue {issue.number} of daily was paused or cancelled meanwhile" == report.stopped


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(office: Office) -> None:
    watched = begin(office)
    turned = False

    def turn_back() -> None:
        nonlocal turned
        if not turned:
            office.clock.time -= timedelta(days=1)
            turned = True

    watched.at_each_sleep = turn_back

    report = watched()

    assert {S.sent: 40} == report.counts
    assert 600 == sum(watched.slept)
    office.clock.time += timedelta(days=1)


def test_nobody_who_is_suppressed_takes_a_place_among_the_first(office: Office) -> None:
    watched = begin(office)
    gone = first_of(watched)[0]
    office.store.suppress(gone, gone, SuppressionReason.unsubscribed)

    watched()

    assert gone not in watched.sent
    assert 39 == len(watched.sent)
    office.store.unsuppress(gone)


def test_the_first_are_drawn_the_same_at_every_look_and_not_in_the_order_of_the_list(office: Office) -> None:
    drawn = [first_of(begin(office)) for _ in range(6)]
    again = begin(office)

    assert first_of(again) == first_of(again)
    assert len({tuple(one) for one in drawn}) > 1
    assert any(one != sorted(people(5)) for one in drawn)

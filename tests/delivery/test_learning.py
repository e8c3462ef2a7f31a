"""A server's refusals teach us its limits: kept within the run, and in the next ones."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import pytest

from newsletter.delivery.attempt import Outcome
from newsletter.delivery.deliver import deliver
from newsletter.delivery.learning import Learner, is_about_connections, is_about_rate
from newsletter.delivery.limits import Rate
from newsletter.delivery.replies import Phase, Verdict
from newsletter.model import DeliveryState, Issue, SendReport, ServerLimits
from tests.conftest import FakeClock
from tests.delivery.conftest import Office
from tests.delivery.samples import people, settings
from tests.delivery.sink import CHUNKING, Sink, Step

sent = DeliveryState.sent


@pytest.fixture(autouse=True)
def nothing_is_known(office: Office) -> None:
    office.store.forget_limits()


# ----------------------------------------------------------------------------- what replies mean


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (450, "4.7.1 Error: too much mail from 192.0.2.7", True),
        (421, "4.7.28 Our system has detected an unusual rate; the rate limit was exceeded", True),
        (451, "4.7.0 Sending rate exceeds the limit, slow down", True),
        (452, "4.5.3 Your message quota exceeded for today: daily limit reached", True),
        (421, "Too many messages, try again later", True),
        (450, "4.7.1 Throttling failure: maximum sending rate exceeded", True),
        (421, "4.7.0 too many messages in this connection", False),
        (421, "4.3.2 message limit per session exceeded", False),
        (450, "4.2.0 Greylisted, see https://example.com/greylist; try again in 300 seconds", False),
        (452, "4.2.2 the mailbox is over quota", False),
        (452, "4.3.1 insufficient storage", False),
        (451, "4.3.0 try again later", False),
        (550, "5.7.1 rate limit exceeded", False),
        (None, "too many messages", False),
    ],
)
def test_only_words_about_our_pace_slow_us_down(code: int | None, text: str, *, expected: bool) -> None:
    outcome = Outcome(verdict=Verdict.deferred, phase=Phase.rcpt, code=code, text=text)

    assert expected == is_about_rate(outcome)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("turned us away: 421 4.7.0 Too many concurrent SMTP connections", True),
        ("turned us away: 421 too many connections from your address", True),
        ("turned us away: 421 4.3.2 service shutting down", False),
        ("cannot be reached: connection refused", False),
    ],
)
def test_a_server_that_has_enough_connections_says_so(text: str, *, expected: bool) -> None:
    assert expected == is_about_connections(text)


# -------------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize(("window", "wait"), [(60.0, 60.0), (3_600.0, 3_000.0), (86_400.0, 20_000.0)])
def test_how_long_it_took_tells_what_the_number_belongs_to(window: float, wait: float) -> None:
    clock = FakeClock()
    learner = Learner(ServerLimits(), clock=clock)
    for _ in range(50):
        assert learner.accepted() is None
        clock.advance(0.5)
    assert 60.0 == learner.held_back(clock.monotonic())
    clock.advance(wait)

    assert Rate(count=50, seconds=window) == learner.accepted()
    assert ((50, window),) == learner.limits.rates


def test_waits_grow_and_answers_to_earlier_messages_count_once() -> None:
    clock = FakeClock()
    learner = Learner(ServerLimits(), clock=clock)
    learner.accepted()
    clock.advance(1)
    begun = clock.monotonic()
    assert [60.0, None, None] == [learner.held_back(begun) for _ in range(3)]
    waits: list[float] = []
    while not learner.has_waited_enough:
        clock.advance(waits[-1] if waits else 60.0)
        wait = learner.held_back(clock.monotonic())
        assert wait is not None
        waits.append(wait)

    assert [120.0, 240.0, 480.0, 900.0, 900.0] == waits


def test_a_server_that_had_taken_nothing_teaches_nothing() -> None:
    clock = FakeClock()
    learner = Learner(ServerLimits(), clock=clock)
    learner.held_back(clock.monotonic())
    clock.advance(60)

    assert learner.accepted() is None


def test_two_connections_must_agree() -> None:
    learner = Learner(ServerLimits(), clock=FakeClock())

    said = [learner.connection_ended(taken) for taken in (3, 5, 4, 4, 4, 7, 7, 0, 0)]

    assert [None, None, None, 4, None, None, 7, None, None] == said
    assert 7 == learner.limits.per_connection


# ------------------------------------------------------------------------------ from a real server


def sends(
    office: Office,
    sink: Sink,
    *issues: Issue,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    **other: object,
) -> list[SendReport]:
    """Deliver issues one after the other to one server."""

    async def go() -> list[SendReport]:
        async with sink:
            smtp = settings(sink, **other)
            return [await deliver(issue, office.store, smtp, clock=office.clock, sleep=sleep) for issue in issues]

    return asyncio.run(go())


def test_so_many_messages_over_one_connection(office: Office) -> None:
    turned_away: list[int] = []

    def script(at: Step) -> str | None:
        if at.name != "mail" or at.message <= 5:
            return None
        turned_away.append(at.connection)
        return "421 4.3.2 that is enough for one session"

    issues = [office.freeze(people(40)) for _ in range(2)]
    sink = Sink(script)
    first, second = sends(office, sink, *issues, connections=1)

    assert dict.fromkeys(people(40), 2) == sink.copies()
    assert [("5 messages over one connection",), ()] == [first.learned, second.learned]
    # Twice it had to say so; known, it is kept to.
    assert [1, 2] == turned_away
    assert {1} == {row.attempts for row in office.store.deliveries(issues[1].id)}


@pytest.mark.parametrize("window", [1, 4])
def test_so_many_messages_over_one_connection_with_a_window(office: Office, window: int) -> None:
    issue = office.freeze(people(60))

    ran = office.send(
        issue,
        lambda at: "421 4.3.2 enough" if at.name == "mail" and at.message > 10 else None,
        connections=2,
        window=window,
        extensions=CHUNKING,
    )

    assert dict.fromkeys(people(60), 1) == ran.sink.copies()
    assert ("10 messages over one connection",) == ran.report.learned


def test_so_many_connections(office: Office) -> None:
    sink = Sink()

    def script(at: Step) -> str | None:
        if at.name == "banner" and sink.open_now > 2:
            turned_away.append(at.connection)
            return "421 4.7.0 too many connections from you"
        return "wait 0.005" if at.name == "message" else None

    turned_away: list[int] = []
    sink.script = script
    first, second = sends(office, sink, *(office.freeze(people(60)) for _ in range(2)), connections=6)

    assert [{sent: 60}] * 2 == [first.counts, second.counts]
    assert dict.fromkeys(people(60), 2) == sink.copies()
    assert [("2 connections at a time",), ()] == [first.learned, second.learned]
    # Each of the four others asked once, and in the second run nobody did.
    assert [3, 4, 5, 6] == sorted(turned_away)


class Quota:
    """So many messages in so many seconds of the test's clock, and then a refusal."""

    def __init__(self, clock: FakeClock, count: int, seconds: float) -> None:
        self.clock, self.count, self.seconds = clock, count, seconds
        self.taken: deque[float] = deque()
        self.refused = 0

    def __call__(self, at: Step) -> str | None:
        if at.name != "rcpt":
            return None
        now = self.clock.monotonic()
        while self.taken and now - self.taken[0] >= self.seconds:
            self.taken.popleft()
        if len(self.taken) >= self.count:
            self.refused += 1
            return "450 4.7.1 Error: too much mail from 127.0.0.1"
        self.taken.append(now)
        return None


@pytest.fixture
def sleep(office: Office) -> Callable[[float], Awaitable[None]]:
    """Waiting moves the test's clock."""

    async def wait(seconds: float) -> None:
        until = office.clock.ticks + seconds
        await asyncio.sleep(0.002)
        office.clock.advance(max(until - office.clock.ticks, 0.0))

    return wait


def test_so_many_messages_in_a_minute(office: Office, sleep: Callable[[float], Awaitable[None]]) -> None:
    quota = Quota(office.clock, 10, 60)
    issues = [office.freeze(people(60)) for _ in range(2)]
    sink = Sink(quota)

    first, second, rest = sends(office, sink, *issues, issues[0], sleep=sleep, connections=1)

    assert [("10 messages in a minute",), (), ()] == [first.learned, second.learned, rest.learned]
    # Known, it is kept to: only the first run was refused anything, of which one message had been announced already.
    assert 1 <= quota.refused <= 2
    assert {sent: 60} == second.counts == rest.counts
    assert dict.fromkeys(people(60), 2) == sink.copies()


def test_a_server_that_lets_nothing_through_ends_the_run_and_loses_nothing(
    office: Office, sleep: Callable[[float], Awaitable[None]]
) -> None:
    issue = office.freeze(people(30))
    quota = Quota(office.clock, 5, 86_400)

    [report] = sends(office, Sink(quota), issue, sleep=sleep, connections=2)

    assert (report.stopped or "").startswith("the mail server takes no more for now: 450 4.7.1 Error: too much mail")
    assert 5 == report.counts[sent]
    assert office.reason(issue) is None
    assert quota.refused < 12
    office.clock.advance(86_400)
    [rest] = sends(office, Sink(), issue, sleep=sleep, connections=2)
    assert {sent: 30} == rest.counts


def test_what_was_learned_is_forgotten_after_a_month_or_when_asked(office: Office) -> None:
    limits = ServerLimits(per_connection=7, connections=2, rates=((10, 60.0),))
    office.store.learn_limits("mail.example.com:25", limits)

    found = office.store.server_limits("mail.example.com:25")
    assert (7, 2, ((10, 60.0),)) == (found.per_connection, found.connections, found.rates)
    assert ServerLimits() == office.store.server_limits("mail.example.com:587")
    office.clock.advance(31 * 86_400)
    assert ServerLimits() == office.store.server_limits("mail.example.com:25")
    office.store.learn_limits("mail.example.com:25", limits)
    assert 1 == office.store.forget_limits()
    assert {} == office.store.all_server_limits()

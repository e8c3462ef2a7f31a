"""Several machines on one database: together they keep to the rates, as the server sees it."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from newsletter.clock import Ids, SystemClock
from newsletter.delivery.deliver import deliver
from newsletter.delivery.limits import OTHERS, Rate
from newsletter.delivery.sharing import SharedPacers
from newsletter.model import Allowed, DeliveryState, Issue, Need, SendReport
from newsletter.store import Store
from tests.delivery.samples import freeze, settings
from tests.delivery.sink import Script, Sink, Step


class Seen:
    """A server on a thread of its own, and when which message came to it."""

    def __init__(self) -> None:
        self.starts: list[tuple[float, str]] = []
        self.answer: Script = lambda _: None
        self.sink = Sink(self._script)

    def _script(self, at: Step) -> str | None:
        if at.name == "rcpt":
            self.starts.append((time.monotonic(), at.recipient.partition("@")[2]))
        return self.answer(at)

    @contextmanager
    def serving(self) -> Iterator[None]:
        ready, over = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def serve() -> None:
            async with self.sink:
                ready.set()
                await over.wait()

        thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
        thread.start()
        ready.wait()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()


#: The server shares its processor with those who send, and sees some of what comes later than it came.
LATE = 0.3


def most_within(starts: Sequence[float], seconds: float) -> int:
    """How many of these moments lie in one window of that length, at most."""
    late = LATE * min(seconds, 1.0)
    return max(sum(first <= one < first + seconds - late for one in starts) for first in starts)


@pytest.fixture
def seen() -> Iterator[Seen]:
    server = Seen()
    with server.serving():
        yield server


def opened(url: str) -> Store:
    return Store.open(url, clock=SystemClock(), ids=Ids(), check=False)


def send_together(
    url: str, seen: Seen, audiences: Sequence[Sequence[str]], *, first: int = 1, **rates: object
) -> list[SendReport]:
    """Deliver an issue for each audience, each from a machine of its own, all at once."""
    with opened(url) as store:
        issues = [freeze(store, emails, number=first + at) for at, emails in enumerate(audiences)]

    def machine(issue: Issue) -> SendReport:
        with opened(url) as store:
            return asyncio.run(deliver(issue, store, settings(seen.sink, **rates), clock=SystemClock()))

    with ThreadPoolExecutor(len(issues)) as machines:
        return list(machines.map(machine, issues))


def audiences(machines: int, each: int, domains: int = 1) -> list[list[str]]:
    return [
        [f"m{machine}n{number}@d{number % domains}.example.com" for number in range(each)]
        for machine in range(machines)
    ]


def most_to(seen: Seen, domain: str, seconds: float) -> int:
    return most_within([at for at, where in seen.starts if where == domain], seconds)


def test_four_machines_together_keep_to_a_rate_and_use_it(
    postgres_url: str, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[float] = []
    begin = SharedPacers.begin

    def noted(self: SharedPacers, domain: str) -> None:
        begun.append(time.monotonic())
        begin(self, domain)

    monkeypatch.setattr(SharedPacers, "begin", noted)

    reports = send_together(postgres_url, seen, audiences(4, 15), rates=(Rate(count=20, seconds=1),))

    assert [{DeliveryState.sent: 15}] * 4 == [report.counts for report in reports]
    assert 8 <= most_within([at for at, _ in seen.starts], 1.0) <= 20
    # Who sends sees when it begins, to the moment: nothing is late there.
    assert 20 >= max(sum(first <= one < first + 1.0 for one in begun) for first in begun)


@pytest.mark.soak
@pytest.mark.parametrize(
    "rate",
    [Rate(count=20, seconds=1), Rate(count=50, seconds=1), Rate(count=30, seconds=3)],
    ids=lambda rate: f"{rate.count} in {rate.seconds} s",
)
@pytest.mark.parametrize("machines", [1, 2, 4])
def test_machines_that_have_enough_to_send_use_most_of_a_rate(
    postgres_url: str, seen: Seen, machines: int, rate: Rate
) -> None:
    send_together(postgres_url, seen, audiences(machines, 6 * rate.count // machines), rates=(rate,))

    starts = sorted(at for at, _ in seen.starts)
    assert rate.count >= most_within(starts, rate.seconds)
    # They do not begin together: the first window counts for nothing.
    used = starts[2 * rate.count : 5 * rate.count]
    assert used[-1] - used[0] < 3 * rate.seconds / 0.7


def test_rates_for_all_and_for_each_domain_hold_together(postgres_url: str, seen: Seen) -> None:
    own = {"d0.example.com": (Rate(count=2, seconds=1),), OTHERS: (Rate(count=4, seconds=1), Rate(count=9, seconds=3))}
    rates = (Rate(count=12, seconds=1), Rate(count=30, seconds=3))

    reports = send_together(postgres_url, seen, audiences(3, 12, 6), rates=rates, per_domain=own)

    assert {0} == {report.counts[DeliveryState.sent] - 12 for report in reports}
    starts = [at for at, _ in seen.starts]
    assert (True, True) == (most_within(starts, 1.0) <= 12, most_within(starts, 3.0) <= 30)
    assert 2 >= most_to(seen, "d0.example.com", 1.0)
    assert 4 >= max(most_to(seen, f"d{number}.example.com", 1.0) for number in range(1, 6))


def test_a_permission_that_has_lapsed_while_a_message_waited_for_its_turn_is_asked_for_again(
    postgres_url: str, seen: Seen
) -> None:
    """The server takes three times as long over each as a permission holds; the next one has its turn meanwhile."""
    seen.answer = lambda at: "wait 0.3" if at.name == "rcpt" else None

    send_together(postgres_url, seen, audiences(3, 6), rates=(Rate(count=5, seconds=0.5),))

    assert 18 == len(seen.starts)
    assert 5 >= most_within([at for at, _ in seen.starts], 0.5)


def test_what_was_sent_before_there_was_a_rate_counts(postgres_url: str, seen: Seen) -> None:
    send_together(postgres_url, seen, audiences(1, 6))
    before = len(seen.starts)

    send_together(postgres_url, seen, audiences(1, 6), first=9, rates=(Rate(count=6, seconds=3),))

    assert 6 == before
    assert 6 >= most_within([at for at, _ in seen.starts], 3.0)


@dataclass
class Counted:
    """An outbox, and how often it was asked for permissions."""

    store: Store
    #: Seconds that its answers take on their way.
    takes: float = 0.0
    asked: int = 0

    def allow(self, *given: Any, **named: Any) -> Allowed:
        self.asked += 1
        time.sleep(self.takes)
        return self.store.allow(*given, **named)

    def settled_since(self, moment: datetime, limit: int) -> list[tuple[datetime, str]]:
        return self.store.settled_since(moment, limit)


def test_nobody_is_asked_while_there_is_something_in_stock_nor_before_there_can_be_more(postgres_url: str) -> None:
    async def go(store: Store) -> tuple[int, int, bool]:
        counted, clock = Counted(store), SystemClock()
        rates, own = [Rate(count=80, seconds=60)], {OTHERS: [Rate(count=8, seconds=60)]}
        pacers = SharedPacers(rates, own, server="mail.example.com:25", shared=counted, clock=clock)

        async def begun(domain: str, wanted: int) -> int:
            number = 0
            while number < wanted and (not pacers.wait(domain) or pacers.lacks({domain: wanted})):
                await pacers.ask(pacers.lacks({domain: wanted}))
                while number < wanted and not pacers.wait(domain):
                    pacers.begin(domain)
                    number += 1
            return number

        got = await begun("one.example", 20)
        # Eight for the domain, two at a time; and the answer that there are no more.  Once, what was sent before.
        first = counted.asked
        waits = [pacers.wait("one.example") for _ in range(100)]
        return got, first, min(waits) > 4 and not pacers.lacks({"one.example": 1}) and counted.asked == first

    with opened(postgres_url) as store:
        got, asked, is_quiet = asyncio.run(go(store))

    assert 8 == got
    assert asked <= 6
    assert is_quiet


def test_where_an_answer_takes_longer_than_a_permission_holds_it_holds_for_longer(postgres_url: str) -> None:
    async def go(store: Store) -> int:
        far = Counted(store, takes=0.05)
        rates, clock = [Rate(count=100, seconds=0.2)], SystemClock()
        pacers = SharedPacers(rates, {}, server="mail.example.com:25", shared=far, clock=clock)
        while pacers.wait("one.example"):
            await pacers.ask({"one.example": 9})
        return far.asked

    with opened(postgres_url) as store:
        # Once without knowing what was sent before, once to hear how long it takes.
        assert 3 == asyncio.run(go(store))


def test_a_turn_whose_permission_has_lapsed_is_none_until_there_is_another(postgres_url: str) -> None:
    async def go(store: Store) -> tuple[bool, dict[str, int], bool]:
        shared, clock = Counted(store), SystemClock()
        pacers = SharedPacers([Rate(count=8, seconds=1)], {}, server="mail.example.com:25", shared=shared, clock=clock)
        while pacers.wait("one.example"):
            await pacers.ask({"one.example": 1})
        pacers.reserve("one.example")
        had = pacers.holds("one.example")
        while pacers.holds("one.example"):
            time.sleep(0.02)  # noqa: ASYNC251 - nothing else runs on this loop
        lacking = dict(pacers.lacks({"one.example": 1}))
        while not pacers.holds("one.example"):
            await pacers.ask({"one.example": 1})
        return had, lacking, pacers.holds("one.example")

    with opened(postgres_url) as store:
        assert (True, {"one.example": 1}, True) == asyncio.run(go(store))


def test_what_is_left_at_the_end_of_a_run_is_given_back(postgres_url: str, seen: Seen) -> None:
    rates = (Rate(count=40, seconds=60),)
    send_together(postgres_url, seen, audiences(1, 7), rates=rates)

    with opened(postgres_url) as store:
        need = Need(scope="", number=99, rates=((40, 60.0),), lasts=0.2)
        allowed = store.allow(f"127.0.0.1:{seen.sink.port}", [need], past=())

    assert 33 == allowed.grants[""].number


def test_a_run_says_that_the_server_is_down_and_one_that_ended_otherwise_does_not(
    postgres_url: str, seen: Seen
) -> None:
    answers = {
        "down": lambda at: "drop" if at.name == "mail" else None,
        "refused": lambda at: "554 5.7.1 not you" if at.name == "banner" else None,
        "sender": lambda at: "550 5.7.1 not from here" if at.name == "mail" else None,
        "fine": lambda _: None,
    }
    found = {}
    for first, (name, answer) in enumerate(answers.items(), 1):
        seen.answer = answer
        [report] = send_together(postgres_url, seen, audiences(1, 2), first=first)
        found[name] = report.is_server_down

    assert {"down": True, "refused": True, "sender": False, "fine": False} == found


def test_all_hear_that_a_server_wants_less_and_that_one_works_again(postgres_url: str, seen: Seen) -> None:
    server = f"127.0.0.1:{seen.sink.port}"
    with opened(postgres_url) as store:
        store.server_failed(server, "somebody", "gone")
        send_together(postgres_url, seen, audiences(1, 2))
        closed = store.open_circuits()

        seen.answer = lambda at: "450 4.7.1 too many messages" if at.name == "rcpt" else None
        issue = freeze(store, ["a@example.com", "b@example.com"], number=5)

        async def held() -> SendReport:
            stop = asyncio.Event()

            async def sleep(seconds: float) -> None:
                if seconds >= 60:
                    stop.set()
                await asyncio.sleep(5)

            return await deliver(issue, store, settings(seen.sink), clock=SystemClock(), sleep=sleep, stop=stop)

        asyncio.run(held())
        [circuit] = store.open_circuits()

    assert [] == closed
    assert (server, 0, "450 4.7.1 too many messages") == (circuit.server, circuit.failures, circuit.reason)
    assert 50 < circuit.seconds <= 60

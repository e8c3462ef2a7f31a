"""Who leaves while mail goes out gets nothing that had not begun: an unsubscribe at any moment, and what it can know."""

import asyncio
import random
import re
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from newsletter.clock import Ids, SystemClock
from newsletter.delivery.deliver import deliver
from newsletter.delivery.lane import _FRESH
from newsletter.delivery.limits import Rate
from newsletter.model import DeliveryState, Issue, SuppressionReason
from newsletter.store import Store
from tests.delivery.conftest import Office
from tests.delivery.samples import freeze, people, settings
from tests.delivery.sink import CHUNKING, EXTENSIONS, Sink, Step

S = DeliveryState
ONE_BY_ONE = tuple(one for one in EXTENSIONS if one != "PIPELINING")
#: How a server takes messages: the extensions it offers, and our window.
WAYS = pytest.mark.parametrize(
    ("extensions", "window"),
    [(ONE_BY_ONE, 1), (EXTENSIONS, 1), (CHUNKING, 4)],
    ids=["one by one", "pipelined", "chunks"],
)


def leaves(office: Office, issue: Issue, *emails: str) -> None:
    """These people unsubscribe once their messages are on the wire, as far as anybody can know."""
    end = time.monotonic() + 20
    while any(office.row(issue, email).state is not S.sending for email in emails):
        assert time.monotonic() < end
        time.sleep(0.002)
    for email in emails:
        office.store.suppress(email, email, SuppressionReason.unsubscribed)
        assert 1 == office.store.on_the_way(email)


# ------------------------------------------------------------- what waits looks again


@WAYS
@pytest.mark.parametrize("where", ["rcpt", "data"])
def test_who_leaves_while_the_server_is_slow_gets_nothing(
    office: Office, extensions: tuple[str, ...], window: int, where: str
) -> None:
    """It takes its time over the recipient, or over letting the message come; a chunk may have come by then."""
    ada, grace = (f"{name}.{len(extensions)}.{where}@example.com" for name in ("ada", "grace"))
    issue = office.freeze([ada, grace])
    step_of_chunks = {"rcpt": "rcpt", "data": "chunk"}

    def script(step: Step) -> str | None:
        if step.recipient == ada and step.name == (where if extensions is not CHUNKING else step_of_chunks[where]):
            leaves(office, issue, ada)
            return "wait 0.05"
        return None

    ran = office.send(issue, script, extensions=extensions, window=window, connections=1)

    assert {grace: 1} == ran.sink.copies()
    assert {ada: S.suppressed, grace: S.sent} == office.states(issue)
    assert ran.report.stopped is None
    assert 0 == office.store.on_the_way(ada)
    # Out of DATA there is no way but to hang up; a chunk is taken back.
    assert (1 if extensions is CHUNKING else 2) == ran.sink.connections or extensions is ONE_BY_ONE


def test_who_leaves_while_another_connection_is_made_gets_nothing(office: Office) -> None:
    """The intents were on disk when the connection broke before their messages; the next one takes its time."""
    everybody = [f"late{number}@example.com" for number in range(8)]
    issue = office.freeze(everybody)
    gone: list[str] = []

    def script(step: Step) -> str | None:
        if step.name == "mail" and step.connection == 1 and step.message == 3:
            return "drop"
        if step.name == "banner" and step.connection == 2:
            gone.extend(email for email, state in office.states(issue).items() if state is S.sending)
            leaves(office, issue, *gone)
            return "wait 0.05"
        return None

    ran = office.send(issue, script, extensions=CHUNKING, window=4, connections=1)

    assert gone
    assert dict.fromkeys(set(everybody) - set(gone), 1) == ran.sink.copies()
    assert {one: S.suppressed if one in gone else S.sent for one in everybody} == office.states(issue)


@WAYS
def test_an_issue_that_is_paused_while_the_server_is_slow_begins_no_message(
    office: Office, extensions: tuple[str, ...], window: int
) -> None:
    issue = office.freeze(["ada@example.com"])

    def script(step: Step) -> str | None:
        if step.name == "rcpt":
            while office.row(issue, "ada@example.com").state is not S.sending:
                time.sleep(0.002)
            office.store.pause(issue.id, "by hand")
            return "wait 0.05"
        return None

    ran = office.send(issue, script, extensions=extensions, window=window, connections=1)

    assert (0, "by hand") == (len(ran.sink.accepted), office.reason(issue))
    assert {"ada@example.com": S.queued} == office.states(issue)

    office.store.resume(issue.id)
    assert {"ada@example.com": 1} == office.send(issue).sink.copies()


class Counting:
    """An outbox that counts how often it is looked at again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.looks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def may_go(self, delivery_id: int) -> bool:
        self.looks += 1
        return self._store.may_go(delivery_id)


def test_a_message_that_has_not_waited_is_not_looked_at_twice(office: Office) -> None:
    """A look costs; a server that answers at once must not cost one for every message."""
    issue = office.freeze([f"quick{number}@example.com" for number in range(200)])
    outbox = Counting(office.store)

    async def go() -> None:
        async with Sink() as sink:
            await deliver(issue, outbox, settings(sink, connections=1), clock=office.clock)

    asyncio.run(go())

    assert {S.sent: 200} == office.store.counts(issue.id)
    assert outbox.looks <= 20


# ------------------------------------------------------------------------- at any moment


class Slow:
    """A server in a thread of its own that is slow, greylists and breaks off, and a wire to it that keeps the time.

    The wire takes everything in at once, so that what it has not got had not been written.
    """

    def __init__(self, seed: int, extensions: tuple[str, ...], share: float) -> None:
        self.random = random.Random(seed)
        self.extensions = extensions
        self.share = share
        #: By address, when the first byte of a message to it came, each time.
        self.begun: defaultdict[str, list[float]] = defaultdict(list)
        self.port = 0
        self._is_up, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_up.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def script(self, step: Step) -> str | None:
        """One step in so many is slow; some others are worse."""
        lot = self.random.random()
        if lot < self.share and step.name in {"banner", "mail", "rcpt", "data", "chunk", "message"}:
            return f"wait {self.random.uniform(0.4, 0.7)}"
        bad = {"rcpt": "450 4.2.0 later", "mail": "drop", "message": "take drop", "data": "421 4.3.2 closing"}
        return bad.get(step.name) if lot > 1 - self.share / 2 else None

    async def _serve(self) -> None:
        async with Sink(self.script, self.extensions) as self.sink:
            wire = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
            self.port = wire.sockets[0].getsockname()[1]
            self._is_up.set()
            await asyncio.to_thread(self._is_over.wait)
            wire.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_sink = await asyncio.open_connection("127.0.0.1", self.sink.port)

        async def up() -> None:
            seen = b""
            while data := await reader.read(2**20):
                now = time.monotonic()
                seen += data
                for found in re.finditer(rb"\nTo: [^\r\n]*?([a-z0-9]+@example\.com)>?\r", seen):
                    self.begun[found[1].decode()].append(now)
                    seen = seen[found.end() :]
                seen = seen[-200:]
                to_sink.write(data)

        async def down() -> None:
            while data := await there.read(2**20):
                writer.write(data)

        tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for end in (writer, to_sink):
            end.transport.abort()


class Lag:
    """How late a loop has been at worst: what no promise in milliseconds can be kept better than."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.005)
            self.worst = max(self.worst, time.monotonic() - began - 0.005)


def unsubscribe(
    store: Store, issue: Issue, seed: int, count: int, over: threading.Event
) -> dict[str, tuple[float, float, int]]:
    """Suppress people at random, mostly those whose messages are on the way; when that was done, and what was known then."""
    lots = random.Random(seed)
    done: dict[str, tuple[float, float, int]] = {}
    while not over.wait(lots.uniform(0.0, 0.02)):
        sending = store.deliveries(issue.id, S.sending, limit=100)
        likely = bool(sending) and lots.random() < 0.8
        email = lots.choice(sending).email if likely else f"reader{lots.randint(1, count)}@example.com"
        if email in done:
            continue
        store.suppress(email, email, SuppressionReason.unsubscribed)
        acknowledged = time.monotonic()
        on_the_way = store.on_the_way(email)
        done[email] = (acknowledged, time.monotonic(), on_the_way)
    return done


def check_leaving(
    folder: Path, seed: int, extensions: tuple[str, ...], window: int, *, count: int, share: float
) -> tuple[int, int]:
    """One run in which people leave all the time; how many did, and how many while their message was on the way."""
    lag, over = Lag(), threading.Event()
    with (
        Store.open(str(folder / "newsletter.db"), clock=SystemClock(), ids=Ids()) as store,
        Slow(seed, extensions, share) as slow,
    ):
        issue = freeze(store, people(count))
        gone: dict[str, tuple[float, float, int]] = {}
        leaving = threading.Thread(target=lambda: gone.update(unsubscribe(store, issue, seed, count, over)))

        async def send() -> None:
            watch = asyncio.create_task(lag.watch())
            smtp = settings(slow.sink, port=slow.port, window=window, connections=4, patience=999)
            smtp = replace(smtp, rates=(Rate.parse("400/s"),), timeout=30.0, after_dot=30.0)
            await deliver(issue, store, smtp, clock=SystemClock())
            watch.cancel()

        leaving.start()
        try:
            asyncio.run(send())
        finally:
            over.set()
            leaving.join()
        states = {row.email: row.state for row in store.deliveries(issue.id, limit=100_000)}

    # What is asked of a thread or of the wire may take as long as the loop did at worst, a few times over.
    grace = _FRESH + 0.1 + 4 * lag.worst
    for email, (acknowledged, known, on_the_way) in gone.items():
        latest = max(slow.begun[email], default=0.0)
        assert latest <= acknowledged + grace, (email, latest - acknowledged, grace)
        if not on_the_way:
            # Nothing was, so nothing comes.
            assert latest <= known, (email, latest - known)
    assert {S.sent, S.suppressed, S.deferred, S.queued} >= set(states.values())
    return len(gone), sum(on_the_way for _, _, on_the_way in gone.values())


@WAYS
def test_who_has_left_gets_nothing_that_had_not_begun(tmp_path: Path, extensions: tuple[str, ...], window: int) -> None:
    left, on_the_way = check_leaving(tmp_path, 1, extensions, window, count=100, share=0.05)

    assert left > on_the_way > 2


@pytest.mark.soak
@WAYS
@pytest.mark.parametrize("seed", range(4))
def test_at_ten_thousand_moments_who_has_left_gets_nothing_that_had_not_begun(
    tmp_path: Path, extensions: tuple[str, ...], window: int, seed: int
) -> None:
    left, on_the_way = check_leaving(tmp_path, seed, extensions, window, count=3_000, share=0.03)

    assert left > 500
    assert on_the_way > 50
    print(left, on_the_way)

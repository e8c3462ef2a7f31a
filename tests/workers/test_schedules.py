"""Schedules, feeds and jobs of several workers: each slot once, no host asked by two at once, nothing left lying."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep

import pytest

from newsletter.app import App
from newsletter.app.due import Looks, send_due
from newsletter.app.send import Watcher
from newsletter.errors import BusyError
from newsletter.model import FetchResult, TickOutcome
from tests.conftest import FakeClock
from tests.workers.crew import FEED, Plant, until


def test_each_slot_goes_out_once_however_many_look(plant: Plant) -> None:
    """Workers look together; one does it, the others hear that somebody is at it, or that it is done."""
    plant.configure(more='digests: {daily: {schedule: "daily 07:30"}}\n')
    clock = FakeClock()
    found: list[Looks] = []

    def look() -> None:
        app = App.open(plant.folder, clock=clock)
        try:
            with suppress(BusyError):
                found.append(asyncio.run(send_due(app, None, watch=Watcher(), stop=asyncio.Event(), enqueue=True)))
        finally:
            app.close()

    look()
    for day in range(3):
        clock.time = clock.time.replace(hour=7, minute=31)
        (plant.folder / "one.xml").write_text(FEED.replace(">1<", f">{day}<").replace("/1<", f"/{day}<"))
        for _ in range(2):
            threads = [threading.Thread(target=look) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        clock.advance(timedelta(days=1))

    ticks = [one.tick for looks in found for one in looks.looked if one.tick is not None]
    assert [TickOutcome.sent] * 3 == [tick.outcome for tick in ticks]
    assert [1, 2, 3] == sorted(tick.number for tick in ticks if tick.number)
    assert 3 == len({tick.slot for tick in ticks}) == len(plant.store.issues())


class Hosts:
    """A web server under several names, slow, that counts who asks at the same time."""

    def __init__(self) -> None:
        self.most: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        open_now: Counter[str] = Counter()
        turn = threading.Lock()
        hosts = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = self.headers["Host"].partition(":")[0]
                with turn:
                    open_now[host] += 1
                    hosts.most[host] = max(hosts.most[host], open_now[host])
                    hosts.asked[self.path] += 1
                sleep(0.3)
                body = FEED.encode()
                with turn:
                    open_now[host] -= 1
                self.send_response(200)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("", 0), Handler)
        self.port = self.server.server_address[1]


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    hosts = Hosts()
    thread = threading.Thread(target=hosts.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hosts
    finally:
        hosts.server.shutdown()
        hosts.server.server_close()


def host_of(result: FetchResult) -> str:
    return result.feed.url.split("/")[3]


@pytest.mark.soak  # The chores come once a minute.
def test_every_feed_is_asked_and_no_host_by_two_workers_at_once(plant: Plant, hosts: Hosts) -> None:
    names = [f"127.0.0.{number}" for number in range(1, 5)]
    paths = [f"/{name}/{number}" for name in names for number in range(4)]
    feeds = [f"{{url: 'http://{path.split('/')[1]}:{hosts.port}{path}', allow_private: true}}" for path in paths]
    plant.configure(more=f"feeds: [{', '.join(feeds)}]\n")
    hands = [plant.hand(until_idle=False) for _ in range(3)]
    until(lambda: set(hosts.asked) == set(paths), "all feeds are asked", 180)
    for hand in hands:
        hand.stop()
    for hand in hands:
        hand.end()

    assert [] == [str(error) for hand in hands for error in hand.heard.troubles]
    assert {1} == set(hosts.asked.values())
    # One worker asks a host for two documents at once (`FetchLimits.per_host`), and all of a host's are one worker's.
    assert max(hosts.most.values()) <= 2
    assert [4] * 4 == sorted(Counter(host_of(one) for hand in hands for one in hand.heard.polls).values())
    assert 4 == sum(len({host_of(one) for one in hand.heard.polls}) for hand in hands)


@pytest.mark.soak  # A slot of the next minute.
def test_workers_keep_a_schedule_together(plant: Plant) -> None:
    plant.configure(more='digests: {daily: {schedule: "* * * * *"}}\n')
    hands = [plant.hand(until_idle=False) for _ in range(3)]
    until(lambda: plant.mail.taken >= 40, "the first issue is sent", 200)
    (plant.folder / "one.xml").write_text(FEED.replace(">1<", ">2<").replace("/1<", "/2<"))
    until(lambda: plant.mail.taken >= 80, "the second issue is sent", 200)
    for hand in hands:
        hand.stop()
    for hand in hands:
        hand.end()

    slots = [tick.slot for tick in plant.store.ticks("daily", limit=100)]
    assert [] == [str(error) for hand in hands for error in hand.heard.troubles]
    assert {2} == set(plant.mail.copies.values())
    assert 2 == len(plant.store.issues())
    assert len(slots) == len(set(slots)) >= 2


def queue_of(plant: Plant) -> str:
    (schema,), *_ = plant.sql("SELECT schemaname FROM pg_tables WHERE tablename = 'procrastinate_jobs'")
    return str(schema)


def test_jobs_of_a_worker_that_died_are_let_go(plant: Plant) -> None:
    plant.hand().end()
    schema = queue_of(plant)
    plant.sql(
        f"INSERT INTO {schema}.procrastinate_workers (last_heartbeat) VALUES (now() - interval '2 minutes')",
        f"INSERT INTO {schema}.procrastinate_jobs (queue_name, task_name, lock, status, worker_id, args) "
        f"SELECT 'chores', 'newsletter.' || name, name, 'doing', max(id), '{{}}' "
        f"FROM {schema}.procrastinate_workers, (VALUES ('due'), ('poll_due')) AS names(name) GROUP BY name",
        f"INSERT INTO {schema}.procrastinate_jobs (queue_name, task_name, status, worker_id, args) "
        f"SELECT 'chores', 'newsletter.sweep', 'doing', max(id), '{{}}' FROM {schema}.procrastinate_workers",
    )
    issue = plant.freeze()
    hand = plant.hand(until_idle=False)
    until(lambda: plant.mail.taken == 40, "all is sent", 90)
    until(lambda: not plant.store.senders(), "it is done")
    left = f"SELECT count(*) FROM {schema}.procrastinate_jobs WHERE status = 'doing' AND worker_id <= 1"
    until(lambda: [(0,)] == plant.sql(left), "the jobs of the dead are gone")
    hand.stop()

    assert issue.number == 1
    assert [] == hand.end().heard.troubles
    assert plant.each_got_one(40)


def test_an_issue_whose_jobs_are_all_deleted_is_sent(plant: Plant) -> None:
    plant.hand().end()
    hand = plant.hand(until_idle=False)
    until(plant.store.workers, "it is at work")
    hand.stop()
    hand.end()
    plant.freeze()
    plant.sql(f"DELETE FROM {queue_of(plant)}.procrastinate_jobs")
    for one in plant.hands(2):
        one.end()

    assert plant.each_got_one(40)

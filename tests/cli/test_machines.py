"""What is shown of several machines at one project: `status`, figures for monitors, and `check`; on real PostgreSQL."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from newsletter import __version__
from newsletter.app import App
from newsletter.app.check import Finding, Level
from newsletter.app.check.machines import machines
from newsletter.app.due import Looks
from newsletter.app.figures import figures
from newsletter.app.send import Watcher
from newsletter.app.working import work
from newsletter.errors import NewsletterError
from newsletter.model import FetchResult, OnUnknown, SendReport, Shard
from newsletter.store import tables as t
from newsletter.web.monitor import exposition
from tests.cli.conftest import Wire

PEOPLE = "".join(f"- p{number}@example.com\n" for number in range(4))


@pytest.fixture
def shared(wire: Wire, postgres_url: str) -> Wire:
    """A project that several machines may share, with an issue for four people that nobody has begun."""
    store = postgres_url.replace("postgres:@", "postgres@")
    smtp = f"{{host: 127.0.0.1, port: {wire.mail.port}, tls: none, rate: 100/s, per_domain: {{slow.example: 5/m}}}}"
    wire.configure(wire.web.feed("/rss", "First"), people=PEOPLE, more=f"store: {store}\n", smtp=smtp)
    assert 0 == wire("send", "-y", "--enqueue").code
    return wire


@pytest.fixture
def app(shared: Wire) -> Iterator[App]:
    with closing(App.open(shared.folder)) as opened:
        yield opened


def begin(app: App, *, ago: float = 30.0) -> None:
    """Have a worker lease the only shard, so many seconds ago, and settle two of its messages since."""
    assert app.store.lease_shard(1, 1, "ada", OnUnknown.resend) is not None
    with app.store._database.write() as connection:
        connection.execute(sa.update(t.shards).values(token=t.shards.c.token - int(ago * 1_000_000)))
        moment = app.clock.now() - timedelta(seconds=ago / 2)
        two = sa.select(t.deliveries.c.id).order_by(t.deliveries.c.id).limit(2).scalar_subquery()
        connection.execute(
            sa.update(t.deliveries).where(t.deliveries.c.id.in_(two)).values(state="sent", settled_at=moment)
        )


def change(app: App, who: str, **values: object) -> None:
    with app.store._database.write() as connection:
        connection.execute(sa.update(t.workers).where(t.workers.c.id == who).values(**values))


def leave_alone(app: App) -> None:
    with app.store._database.write() as connection:
        until = sa.cast(sa.func.clock_timestamp() + timedelta(seconds=90), t.circuits.c.open_until.type)
        connection.execute(
            sa.insert(t.circuits).values(server="mx.example:25", failures=2, open_until=until, reason="421 too busy")
        )


def at_work(app: App, who: str, version: str = __version__) -> Any:
    return app.store.at_work(who, host=f"{who}.example", pid=77, version=version, concurrency=2)


def said(findings: list[Finding]) -> list[tuple[Level, str, str]]:
    return [(one.level, one.what, one.text) for one in findings]


def test_status_shows_who_works_and_how_long_it_takes(shared: Wire, app: App) -> None:
    with at_work(app, "ada"), at_work(app, "bob", "0.0.9"):
        begin(app)
        now = app.clock.now()
        change(app, "bob", clock_off=-12.0, seen_at=now - timedelta(seconds=40), concurrency=0)
        leave_alone(app)
        done, data = shared("status"), shared("status", "--json").data["spread"]

    assert re.search(r"^ada.example +77 +\S+ +\S+ \S+ +1$", done.out, re.MULTILINE)
    assert re.search(r" 0 +older version, silent for 4\d s, clock 12 s behind, stopping$", done.out, re.MULTILINE)
    assert re.search(r"^daily 1 +2 +1 +1 +0 +0\.\d/s, .+ left$", done.out, re.MULTILINE)
    assert re.search(r"^100/s +everybody +0\n5/m +slow.example +0$", done.out, re.MULTILINE)
    assert re.search(r"^mx.example:25 +(8\d|90) s +421 too busy$", done.out, re.MULTILINE)
    assert "nobody is sending" not in done.err
    [share] = data["shares"]
    assert (4, 2, 0, 1) == (share["messages"], share["backlog"], share["waiting"], share["sending"])
    assert 0 < share["rate"] < 0.2
    assert 28 < share["seconds_left"] < 70
    assert [("ada.example", 1, []), ("bob.example", 0, 4)] == [
        (one["host"], one["shards"], one["notes"] if one["host"][0] == "a" else len(one["notes"]))
        for one in data["workers"]
    ]


def test_status_says_that_nobody_sends_what_may_go(shared: Wire) -> None:
    done = shared("status")

    assert re.search(r"^daily 1 +4 +1 +0 +1 +not begun yet$", done.out, re.MULTILINE)
    assert "nobody is sending" in done.err

    shared("issue", "pause", "1")
    done = shared("status")

    assert re.search(r"^daily 1 +4 +1 +0 +1 +paused$", done.out, re.MULTILINE)
    assert "nobody is sending" not in done.err


def test_one_machine_and_a_file_see_nothing_of_it(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    wire("send", "-y")

    done, data = wire("status"), wire("status", "--json").data["spread"]
    with closing(App.open(wire.folder)) as app:
        names = {metric.name for metric in figures(app)}
        findings = list(machines(app))

    assert ([], [], [], [], False) == tuple(
        data[name] for name in ("workers", "shares", "rates", "servers", "nobody_sends")
    )
    assert not re.search("worker|shard", done.out)
    assert "newsletter_workers" not in names
    assert [] == findings


def test_figures_count_workers_and_name_none(app: App) -> None:
    with at_work(app, "ada"), at_work(app, "bob", "0.0.9"):
        begin(app)
        leave_alone(app)
        change(app, "bob", clock_off=-12.0)
        text = exposition(figures(app))

    for line in (
        f'newsletter_workers{{version="{__version__}"}} 1',
        'newsletter_workers{version="0.0.9"} 1',
        "newsletter_worker_clock_off_seconds 12",
        'newsletter_shards{state="sending"} 1',
        'newsletter_shards{state="left"} 0',
        'newsletter_shards{state="done"} 0',
        'newsletter_backlog_messages{digest="daily"} 2',
        "newsletter_servers_left_alone 1",
    ):
        assert f"{line}\n" in text
    assert re.search(r'^newsletter_send_rate\{digest="daily"\} 0\.0\d+$', text, re.MULTILINE)
    assert re.search(r'^newsletter_seconds_left\{digest="daily"\} \d\d(\.\d)?$', text, re.MULTILINE)
    assert not re.search(r"example\.com|ada|mx\.example", text)


def test_a_monitor_is_told_that_nobody_works(app: App) -> None:
    text = exposition(figures(app))

    assert "newsletter_workers 0\n" in text
    assert "newsletter_seconds_left" not in text


def test_check_says_what_several_machines_do_not_agree_on(app: App) -> None:
    alone = said(list(machines(app)))
    with at_work(app, "ada"), at_work(app, "bob", "0.0.9"):
        change(app, "ada", clock_off=7.0)
        change(app, "bob", clock_off=-90.0)
        leave_alone(app)
        together = said(list(machines(app)))

    assert [
        (
            Level.warning,
            "workers",
            "4 messages are to come of issue 1 of daily, some of which may go now, and nobody is sending",
        )
    ] == alone
    assert [
        (Level.warning, "workers", "the mail server mx.example:25 is left alone by all for now: 421 too busy"),
        (Level.ok, "workers", "2 processes at work for the project"),
        (Level.warning, "workers", f"versions differ: {__version__} here, 0.0.9 at work"),
        (Level.warning, "clock", "the clock of ada.example is 7 s ahead of the database's"),
        (Level.error, "clock", "the clock of bob.example is 90 s behind the database's: it sends nothing"),
    ] == together


class _Asking:
    """Listens to a worker, and keeps where monitors are answered."""

    address = ""

    def began(self, app: App, who: str) -> None: ...
    def delivered(self, shard: Shard, report: SendReport) -> None: ...
    def looked(self, found: Looks) -> None: ...
    def polled(self, results: list[FetchResult]) -> None: ...
    def recovered(self) -> None: ...

    def troubled(self, error: NewsletterError) -> None:
        raise error

    def monitored(self, address: str) -> None:
        self.address = address


async def _ask(wire: Wire) -> tuple[int, str]:
    """Have a worker at work, and ask it until it has sent everything."""
    stop, listener = asyncio.Event(), _Asking()
    working = asyncio.ensure_future(
        work(
            wire.folder,
            concurrency=1,
            until_idle=False,
            watch=Watcher(),
            listener=listener,
            stop=stop,
            listen=("127.0.0.1", 0),
        )
    )
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:
            text = ""
            while 'newsletter_last_issue_deliveries{digest="daily",state="sent"} 4\n' not in text:
                await asyncio.sleep(0.3)
                if listener.address:
                    async with session.get(f"{listener.address}/metrics") as answer:
                        text = await answer.text()
            async with session.get(f"{listener.address}/healthz") as answer:
                return answer.status, text
    finally:
        stop.set()
        await working


def test_a_worker_answers_monitors_as_run_does(shared: Wire) -> None:
    status, text = asyncio.run(_ask(shared))

    assert 200 == status
    for line in ("newsletter_up 1", f'newsletter_workers{{version="{__version__}"}} 1'):
        assert f"{line}\n" in text
    assert 4 == len(shared.inbox())

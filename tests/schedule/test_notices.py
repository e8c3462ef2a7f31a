"""The owner hears what needs them: once when it begins, once when it ends, and nothing else."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.due import send_due
from newsletter.app.notices import tell
from newsletter.app.send import Watcher
from tests.cli.conftest import Wire, a_wire
from tests.conftest import FakeClock

#: A Monday in Berlin, 06:50; the slot is at 07:00.
MORNING = datetime(2026, 3, 2, 5, 50, tzinfo=UTC)
HOUR = timedelta(hours=1)
OWNER = "owner@example.com"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MORNING)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


def configure(wire: Wire, *, digest: str = "", more: str = "", smtp: str | None = None) -> None:
    wire.configure(
        wire.web.url + "/rss",
        more=f"owner: {OWNER}\nfailing_after: 2\n{more}digests:\n  daily: {{schedule: 'daily 07:00'{digest}}}\n",
        smtp=smtp,
    )


def look(wire: Wire, clock: FakeClock) -> tuple[str, ...]:
    """Look once; why the owner could not be told, if so."""
    with closing(App.open(wire.folder, clock=clock)) as app:
        return asyncio.run(send_due(app, None, watch=Watcher(), stop=asyncio.Event())).telling.errors


def heard(wire: Wire) -> list[str]:
    """What the owner got so far, subject and text."""
    found = [
        message_from_bytes(one.path.read_bytes(), policy=default) for one in wire.mail.caught if OWNER in one.recipients
    ]
    return [f"{one['Subject']}\n{one.get_content()}" for one in found]


def day(wire: Wire, clock: FakeClock) -> None:
    """One day later, looked at twice."""
    clock.advance(24 * HOUR)
    look(wire, clock)
    look(wire, clock)


def test_a_feed_is_told_of_when_it_dies_and_when_it_is_well_again(wire: Wire, clock: FakeClock) -> None:
    wire.web.feed("/rss", "First")
    configure(wire)
    clock.advance(HOUR / 4)
    look(wire, clock)
    assert [] == heard(wire)
    wire.web.pages["/rss"] = (500, b"broken")
    day(wire, clock)
    day(wire, clock)
    clock.advance(HOUR / 4)
    look(wire, clock)

    [died] = [one for one in heard(wire) if "\n* News: 127.0.0.1 answers 'internal server error' (500)" in one]

    assert died.startswith("The Morning Wire: News: 127.0.0.1 answers")
    told = len(heard(wire))
    day(wire, clock)
    assert told == len(heard(wire))
    wire.web.feed("/rss", "Second", "First")
    day(wire, clock)
    assert "* News: can be read again" in heard(wire)[-1]
    told = len(heard(wire))
    day(wire, clock)
    assert told == len(heard(wire))


def test_what_could_not_be_told_is_told_later_and_stops_nothing(wire: Wire, clock: FakeClock) -> None:
    wire.web.feed("/rss", "First")
    configure(wire, digest=", approve: 2h", smtp="{host: 127.0.0.1, port: 1, tls: none, timeout: 1}")

    errors = look(wire, clock)

    assert ["127.0.0.1:1 cannot be reached" in one for one in errors] == [True]
    assert () == look(wire, clock)
    configure(wire, digest=", approve: 2h")
    clock.advance(HOUR / 4)
    look(wire, clock)
    look(wire, clock)
    [told] = heard(wire)
    assert "the draft of issue 1 of daily, for 2026-03-02 07:00, waits for your approval" in told
    assert "### [First](<https://news.example.com/First>)" in told
    assert "newsletter issue approve 1 --digest daily" in told


def test_a_slot_that_was_missed_and_a_digest_that_is_overdue_are_told_of_until_it_goes_out_again(
    wire: Wire, clock: FakeClock
) -> None:
    wire.web.feed("/rss", "First")
    configure(wire)
    clock.advance(HOUR / 4)
    look(wire, clock)
    clock.advance(40 * HOUR)

    look(wire, clock)

    [missed] = heard(wire)
    assert "daily, 2026-03-03 07:00: nothing went out: nobody looked within 6 h" in missed
    assert "daily is overdue: last went out, or had nothing to send, 2026-03-02 07:05" in missed
    wire.web.feed("/rss", "Second", "First")
    clock.advance(8 * HOUR)
    look(wire, clock)
    clock.advance(HOUR)
    look(wire, clock)
    assert 2 == len(heard(wire))
    assert 2 == heard(wire)[1].count("* daily goes out again")


def test_an_issue_that_the_server_refuses_is_told_of(wire: Wire, clock: FakeClock) -> None:
    wire.web.feed("/rss", "First")
    configure(wire)
    with closing(App.open(wire.folder, clock=clock)) as app:
        from newsletter import pipeline
        from tests.store.samples import freeze

        asyncio.run(pipeline.fetch(app.parts(), app.config.feeds))
        issue = freeze(app.store)
        app.store.pause(issue.id, "the mail server refuses the sender")
        asyncio.run(tell(app))
        asyncio.run(tell(app))
        [told] = heard(wire)
        assert "issue 1 of daily is paused: the mail server refuses the sender" in told
        app.store.resume(issue.id)
        asyncio.run(tell(app))
        assert "issue 1 of daily is not paused any more" in heard(wire)[1]
        # A person who pauses it knows that.
        app.store.pause(issue.id, "")
        asyncio.run(tell(app))
        assert 2 == len(heard(wire))


def test_messages_that_fail_are_told_of_above_a_share(wire: Wire, clock: FakeClock) -> None:
    wire.web.feed("/rss", "First")
    configure(wire, more="notify: {failures: 40%}\n")
    with closing(App.open(wire.folder, clock=clock)) as app:
        from newsletter.model import DeliveryState
        from tests.store.samples import freeze, people, rendering
        from tests.store.test_deliveries import settle

        issue = freeze(app.store, *people(4), consumed=[], renderings=[rendering()])
        rows = app.store.deliveries(issue.id)
        settle(app.store, DeliveryState.failed, rows[0].id)
        asyncio.run(tell(app))
        assert [] == heard(wire)
        settle(app.store, DeliveryState.failed, rows[1].id)
        asyncio.run(tell(app))
        asyncio.run(tell(app))
        [told] = heard(wire)
        assert "issue 1 of daily: 2 of 4 messages failed (50%)" in told


def test_a_day_has_a_bounded_number_of_mails(wire: Wire, clock: FakeClock) -> None:
    wire.web.feed("/rss", "First")
    configure(wire, more="notify: {per_day: 1}\n")
    with closing(App.open(wire.folder, clock=clock)) as app:
        from tests.store.samples import freeze

        for number in (1, 2, 3):
            issue = freeze(app.store, consumed=[])
            app.store.pause(issue.id, f"reason {number}")
            asyncio.run(tell(app))
        assert 1 == len(heard(wire))
        clock.advance(25 * HOUR)
        asyncio.run(tell(app))
        assert 2 == len(heard(wire))
        assert ("reason 2" in heard(wire)[1], "reason 3" in heard(wire)[1]) == (True, True)


class Service(BaseHTTPRequestHandler):
    """Takes what Apprise's `json://` sends."""

    taken: list[dict[str, str]]

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_any_service_of_apprise_is_told_too(wire: Wire, clock: FakeClock) -> None:
    pytest.importorskip("apprise")
    wire.web.feed("/rss", "First")
    wire.configure(
        wire.web.url + "/rss",
        more="notify: {apprise_file: services}\ndigests:\n  daily: {schedule: 'daily 07:00', approve: 2h}\n",
    )
    Service.taken = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        for address in ("nonsense://key-of-mine", f"json://127.0.0.1:{server.server_address[1]}"):
            (wire.folder / "services").write_text(address + "\n")
            (wire.folder / "services").chmod(0o600)
            errors = look(wire, clock)
            clock.advance(HOUR / 4)
            assert [] == [error for error in errors if "key-of-mine" in error]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    [taken] = Service.taken
    assert taken["title"].startswith("The Morning Wire: the draft of issue 1 of daily")
    assert "First" in taken["message"]


def test_a_monitor_asks_whether_digests_go_out(wire: Wire, clock: FakeClock) -> None:
    wire.web.feed("/rss", "First")
    configure(wire)

    never = wire("check", "--max-age", "26h")
    assert (1, True) == (never.code, "nobody has looked at its schedule yet" in never.out)
    wire.configure(wire.web.url + "/rss", more="digests:\n  daily: {schedule: every 30m}\n")
    assert 0 == wire("send", "--due").code

    fine = wire("check", "--max-age", "26h", "--json")
    wrong = wire("check", "--max-age", "soon")

    assert (0, ["daily"], [False]) == (
        fine.code,
        [one["digest"] for one in fine.data],
        [one["is_late"] for one in fine.data],
    )
    assert (2, True) == (wrong.code, "must be a time such as 30m" in wrong.err)

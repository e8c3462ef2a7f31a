"""Reports from a real IMAP server, over TLS, and from one that behaves badly."""

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from newsletter.clock import Ids
from newsletter.model import BounceRules, Delivery
from newsletter.people.bounces.imap import ImapFolder, ImapSettings
from newsletter.people.bounces.judging import Judge
from newsletter.people.bounces.letter import LIMIT
from newsletter.people.bounces.mailbox import MailboxError
from newsletter.people.bounces.scan import Scan, Scanned, scan_all
from newsletter.store import Store
from tests.conftest import FakeClock
from tests.people.dovecot import PASSWORD, USER, Dovecot, dovecot
from tests.people.reports import absence, letter
from tests.people.test_bounce_scan import about, sent, stopped, store

__all__ = ["sent", "store"]  # fixtures

RULES = BounceRules()


@pytest.fixture(scope="module")
def running() -> Iterator[Dovecot]:
    # Not pytest's own folder: helpers run as other users and must reach their sockets.
    with tempfile.TemporaryDirectory(prefix="nl-imap-") as name:
        Path(name).chmod(0o755)
        with dovecot(Path(name)) as server:
            yield server


@pytest.fixture
def server(running: Dovecot) -> Dovecot:
    for folder in ("new", "cur"):
        for path in (running.mail / folder).glob("*"):
            path.unlink()
    return running


def settings(server: Dovecot, **changes: object) -> ImapSettings:
    values: dict[str, object] = {
        "host": "127.0.0.1",
        "port": server.tls,
        "tls": "implicit",
        "username": USER,
        "password": lambda: PASSWORD,
        "ca_file": server.ca_file,
        "timeout": 10.0,
    }
    return ImapSettings(**{**values, **changes})  # type: ignore[arg-type]


def scan(store: Store, imap: ImapSettings, clock: FakeClock, *, dry_run: bool = False) -> Scanned:
    with ImapFolder(imap, read_only=dry_run) as mailbox:
        judge = Judge(store, RULES)
        return scan_all(Scan(mailbox=mailbox, store=store, judge=judge, rules=RULES, clock=clock, dry_run=dry_run))


def flags(server: Dovecot) -> list[str]:
    return sorted(path.name.partition(":2,")[2] for path in (server.mail / "cur").glob("*"))


def test_reports_are_read_counted_and_marked_as_seen_and_letters_are_left_alone(
    store: Store, sent: list[Delivery], server: Dovecot, clock: FakeClock
) -> None:
    server.put(about(sent[0]), letter("hello"), absence())

    first = scan(store, settings(server), clock)
    assert (3, None) == (len(first.seen), first.error)
    assert {sent[0].key: "bounced"} == stopped(store)
    assert ["", "S", "S"] == flags(server)
    server.put(about(sent[1], number=2))
    assert 1 == len(scan(store, settings(server), clock).seen)
    assert {sent[0].key, sent[1].key} == stopped(store).keys()


def test_a_dry_run_leaves_no_mark_on_the_server(
    store: Store, sent: list[Delivery], server: Dovecot, clock: FakeClock
) -> None:
    server.put(about(sent[0]))
    scan(store, settings(server), clock, dry_run=True)

    assert ({}, [], []) == (stopped(store), store.reports(), [one for one in flags(server) if one])


def test_reports_are_removed_where_the_project_wants_it(
    store: Store, sent: list[Delivery], server: Dovecot, clock: FakeClock
) -> None:
    server.put(about(sent[0]), letter("hello"))
    scan(store, settings(server, delete=True), clock)

    assert 1 == sum(1 for folder in ("new", "cur") for _ in (server.mail / folder).glob("*"))


def test_starttls_works_too_and_of_a_huge_report_the_beginning_is_fetched(
    store: Store, sent: list[Delivery], server: Dovecot, clock: FakeClock
) -> None:
    server.put(about(sent[0]) + b"x" * 3_000_000)
    scan(store, settings(server, tls="starttls", port=server.plain), clock)

    [report] = store.reports()
    assert report.size > 3_000_000 > LIMIT
    assert {sent[0].key: "bounced"} == stopped(store)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"password": lambda: "wrong"}, "could not log in to 127.0.0.1 as wire@example.com", "bounces.imap.username"),
        ({"ca_file": None}, "the certificate of 127.0.0.1", "bounces.imap.host"),
        ({"folder": "No such"}, "the folder cannot be opened", "goes on from there"),
        ({"folder": 'Ent"würfe\\&'}, "the folder cannot be opened", "goes on from there"),
    ],
)
def test_what_is_wrong_is_said_and_no_password(
    store: Store, server: Dovecot, clock: FakeClock, *, changes: dict[str, object], message: str, hint: str
) -> None:
    error = scan(store, settings(server, **changes), clock).error

    assert error is not None
    assert message in str(error)
    assert hint in (error.hint or "")
    assert PASSWORD not in str(error)


@contextmanager
def between(port: int, cut_after: Callable[[bytes], bool]) -> Iterator[int]:
    """Stands between client and server, and hangs up once a command of the client is too many."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def pump(source: socket.socket, target: socket.socket, *, watch: bool) -> None:
        try:
            while data := source.recv(65_536):
                if watch and cut_after(data):
                    break
                target.sendall(data)
        except OSError:
            pass
        for one in (source, target):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def serve() -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        upstream = socket.create_connection(("127.0.0.1", port))
        pair = [
            threading.Thread(target=pump, args=(client, upstream), kwargs={"watch": True}),
            threading.Thread(target=pump, args=(upstream, client), kwargs={"watch": False}),
        ]
        for one in pair:
            one.start()
        for one in pair:
            one.join()
        client.close()
        upstream.close()

    threads.append(threading.Thread(target=serve))
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        threads[0].join(10)


def test_a_connection_that_breaks_in_the_middle_loses_nothing(
    store: Store, sent: list[Delivery], server: Dovecot, clock: FakeClock
) -> None:
    server.put(*(about(one, number=one.id) for one in sent))
    asked = 0

    def third(data: bytes) -> bool:
        nonlocal asked
        asked += b"BODY.PEEK" in data
        return asked == 3

    # In clear on loopback, so that the one in between can count what is asked for.
    with between(server.plain, third) as port:
        broken = scan(store, settings(server, tls="none", port=port), clock)
    assert broken.error is not None
    assert "went away" in str(broken.error)
    assert (2, 2) == (len(broken.seen), len(stopped(store)))

    whole = scan(store, settings(server, tls="none", port=server.plain), clock)
    assert (3, None, 5) == (len(whole.seen), whole.error, len(stopped(store)))


def test_a_connection_that_breaks_before_the_mark_counts_once(
    store: Store, sent: list[Delivery], server: Dovecot, clock: FakeClock
) -> None:
    server.put(about(sent[0]))
    with between(server.plain, lambda data: b"STORE" in data) as port:
        broken = scan(store, settings(server, tls="none", port=port), clock)
    again = scan(store, settings(server, tls="none", port=server.plain), clock)

    assert broken.error is not None
    assert ({sent[0].key: "bounced"}, ()) == (stopped(store), again.seen)
    assert 1 == len(store.bounces_of(sent[0].key))


@pytest.mark.parametrize(
    "says",
    [
        b"* OK hello\r\n* FETCH {999999999}\r\n",
        b"* OK hello\r\n" + b"x" * 2_000_000,
        b"garbage\r\n",
        b"",
        b"* BYE go away\r\n",
    ],
)
def test_a_server_of_any_kind_is_one_clear_error(store: Store, clock: FakeClock, says: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        try:
            client.sendall(says)
            client.recv(1000)
        except OSError:
            pass
        client.close()

    thread = threading.Thread(target=serve)
    thread.start()
    imap = ImapSettings(
        host="127.0.0.1",
        port=listener.getsockname()[1],
        tls="none",
        username="a",
        password=lambda: "b",
        timeout=1.0,
    )
    error = scan(store, imap, clock).error
    thread.join(10)
    listener.close()

    assert isinstance(error, MailboxError)


def test_nobody_there_is_said_plainly(store: Store, clock: FakeClock, ids: Ids, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    imap = ImapSettings(host="127.0.0.1", port=port, tls="none", username="a", password=lambda: "b")
    error = scan(store, imap, clock).error

    assert error is not None
    assert "Connection refused" in str(error)

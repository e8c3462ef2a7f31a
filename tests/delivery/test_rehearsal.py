"""The rehearsal: faults that repeat, a server that counts, and a verdict that can say no."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.clock import Ids, SystemClock
from newsletter.delivery.deliver import deliver
from newsletter.delivery.limits import Rate
from newsletter.delivery.rehearsal.faults import Faults, Moment
from newsletter.delivery.rehearsal.rehearse import Stage, Verdict, _predicted, _Rehearsal, rehearse
from newsletter.delivery.rehearsal.sink import Sink
from newsletter.delivery.rehearsal.tally import Tally
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import NewsletterError, UsageError
from newsletter.model import Canary, DeliveryState, Issue, OnUnknown, Settlement, SuppressionReason
from newsletter.store import Store
from tests.delivery.samples import freeze, people

S = DeliveryState
STAGE = Stage(connections=3, per_connection=20, rates=(), on_unknown=OnUnknown.resend, server_time=0.05, silence=2.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "rehearsal"
    folder.mkdir(mode=0o700)
    with Store.open(str(folder / "newsletter.db"), clock=SystemClock(), ids=Ids()) as opened:
        yield opened


def run(store: Store, issue: Issue, faults: str, stage: Stage = STAGE, *, recipients: int, seed: int = 1) -> Verdict:
    """Rehearse an issue of this store."""
    folder = Path(store.info().url_masked).parent
    return asyncio.run(
        rehearse(
            folder,
            store,
            issue,
            stage,
            recipients=recipients,
            faults=Faults.parse(faults),
            seed=seed,
            clock=SystemClock(),
        )
    )


# ----------------------------------------------------------------------------- faults


def test_faults_are_read_and_written_alike() -> None:
    text = "421@5%,450@1%,451@2%,550@1%,552@1%,drop@0.5%,silent@0.1%,garbage@0.1%,kill,kill@100,kill@900"

    assert text == str(Faults.parse(text))
    assert (100, 900) == Faults.parse("kill@900, kill@100").kills
    assert Faults.parse("silent@2%") == Faults.parse("silence@2%")
    assert Faults() == Faults.parse("") == Faults.parse(" , ")


@pytest.mark.parametrize(
    ("text", "recipients", "expected"),
    [("kill", 90, [45]), ("kill", 1, [1]), ("kill@80,kill,kill@20", 90, [20, 45, 80]), ("", 90, [])],
)
def test_a_kill_without_a_number_comes_when_half_have_got_it(text: str, recipients: int, expected: list[int]) -> None:
    assert expected == Faults.parse(text).kills_among(recipients)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("explode@5%", "there is no fault explode"),
        ("550@101%", "at most 100%"),
        ("550@60%,drop@50%", "110% of the messages, which is more than all"),
        ("550@5", "must be a percentage"),
        ("550", "is no fault with a share"),
        ("550@-5%", "is no fault with a share"),
        ("250@5%", "250 is no reply that refuses"),
        ("535@5%", "refuses us and no message"),
        ("550@1%,550@2%", "550 is there twice"),
        ("silent@1%,silence@2%", "silent is there twice"),
        ("kills", "is no fault with a share"),
        ("kill@5%", "kill@100 kills when 100 messages"),
        ("kill@0", "kill@100 kills when 100 messages"),
        ("drop@nan%", "is no fault with a share"),
    ],
)
def test_faults_that_cannot_be_are_named(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        Faults.parse(text)

    assert words in str(raised.value)
    assert "421@5%,451@2%" in (raised.value.hint or "")


@given(st.integers(min_value=0, max_value=2**32), st.text(max_size=20), st.integers(min_value=1, max_value=9))
def test_what_befalls_an_attempt_is_the_same_every_time(seed: int, recipient: str, attempt: int) -> None:
    faults = Faults.parse("421@30%,drop@30%,silent@20%")

    assert faults.drawn(seed, recipient, attempt) == faults.drawn(seed, recipient, attempt)


def test_each_fault_befalls_its_share_at_each_of_its_moments() -> None:
    faults = Faults.parse("451@10%,drop@20%")

    drawn = Counter(
        (found[0].name, found[1]) if (found := faults.drawn(7, f"reader{number}", 1)) else None
        for number in range(10_000)
    )

    assert 6_800 < drawn[None] < 7_200
    for moment, share in (
        (("451", Moment.rcpt), 500),
        (("451", Moment.dot), 500),
        (("drop", Moment.rcpt), 667),
        (("drop", Moment.data), 667),
        (("drop", Moment.taken), 667),
    ):
        assert 0.8 * share < drawn[moment] < 1.2 * share
    assert 6 == len(drawn)


# -------------------------------------------------------------------------- the server


@dataclass(frozen=True)
class Taken:
    """What a server has counted: its `taken`, by Message-ID, and the rest."""

    copies: dict[str, int]
    doubtful: int
    untold: int
    changed: int


def send(store: Store, issue: Issue, faults: str, *, window: int = 1) -> Taken:
    """One run of the real delivery against the server, in this process."""

    async def go() -> Taken:
        async with Sink(Faults.parse(faults), 1, clock=SystemClock(), window=window) as sink:
            settings = SmtpSettings(
                host="127.0.0.1",
                port=sink.port,
                tls="none",
                connections=2,
                window=window,
                after_dot=0.3,
                back_off=0.01,
                patience=99,
            )
            await deliver(issue, store, settings, clock=SystemClock())
            ids = [row.message_id for row in store.deliveries(issue.id)]
            return Taken(sink.taken.copies(ids), sink.doubtful, sink.untold, sink.taken.changed)

    return asyncio.run(go())


WINDOWS = pytest.mark.parametrize("window", [1, 4], ids=["dots", "chunks"])


@WINDOWS
def test_the_server_counts_every_message_by_its_id(store: Store, window: int) -> None:
    issue = freeze(store, people(30))

    taken = send(store, issue, "", window=window)

    assert {row.message_id: 1 for row in store.deliveries(issue.id)} == taken.copies
    assert (0, 0, 0) == (taken.doubtful, taken.untold, taken.changed)


@WINDOWS
@pytest.mark.parametrize(
    ("faults", "state", "codes"),
    [
        ("550@100%", S.failed, {550}),
        ("552@100%", S.failed, {552}),
        ("450@100%", S.deferred, {450}),
        ("451@100%", S.deferred, {451}),
        ("421@100%", S.deferred, {421}),
        ("garbage@100%", S.deferred, {None}),
    ],
)
def test_a_refusal_reaches_everybody_it_is_meant_for(
    store: Store, faults: str, state: DeliveryState, codes: set[int | None], window: int
) -> None:
    """At RCPT or after the whole message; of what was answered with garbage after it, nobody knows, and it comes again."""
    issue = freeze(store, people(3))

    taken = send(store, issue, faults, window=window)

    rows = store.deliveries(issue.id)
    if state is S.failed or None not in codes:
        assert ({state}, codes, {}) == ({row.state for row in rows}, {row.last_code for row in rows}, taken.copies)
    else:
        assert {S.deferred, S.queued} >= {row.state for row in rows}
        assert codes == {row.last_code for row in rows}
        assert taken.untold > 0


@WINDOWS
def test_a_message_taken_without_an_answer_comes_again_and_is_counted_twice(store: Store, window: int) -> None:
    """A drop after the final dot: the copies are the same message, and the bound grows by each."""
    issue = freeze(store, people(40))

    taken = send(store, issue, "drop@30%", window=window)

    assert 0 < taken.untold <= taken.doubtful
    assert sum(number - 1 for number in taken.copies.values()) <= taken.doubtful
    assert max(taken.copies.values()) > 1
    assert 0 == taken.changed


def said(*lines: bytes) -> list[bytes]:
    """The codes that the server answers to these, its greeting first."""

    async def go() -> list[bytes]:
        async with Sink(Faults(), 1, clock=SystemClock()) as sink:
            reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
            writer.write(b"\r\n".join([*lines, b"QUIT", b""]))
            replies = [line async for line in reader]
            writer.close()
            return [reply[:3] for reply in replies if reply[3:4] != b"-"]

    return asyncio.run(go())


def test_the_server_is_strict_with_transactions_and_chunks() -> None:
    """RFC 3030: a chunk is read whatever is said of it, and what was refused must be taken back."""
    mail, rcpt = b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.com>"

    assert [b"220", b"250", b"503", b"250", b"250", b"221"] == said(mail, mail, b"RSET", mail)
    assert [b"220", b"503", b"221"] == said(b"BDAT 6 LAST\r\nRCPT")
    assert [b"220", b"250", b"250", b"250", b"250", b"250", b"221"] == said(
        mail, rcpt, b"BDAT 6\r\nab\r\n", b"BDAT 4 LAST\r\ncd", mail
    )
    assert [b"220", b"500", b"221"] == said(b"BDAT six LAST")


def test_the_server_answers_nonsense_and_goes_on() -> None:
    async def go() -> list[bytes]:
        async with Sink(Faults(), 1, clock=SystemClock()) as sink:
            reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
            writer.write(b"NONSENSE\r\nRCPT TO:<a@example.com>\r\nHELO x\r\nMAIL FROM:<a@example.com>\r\nDATA\r\n")
            writer.write(b"NOOP\r\nRSET\r\nQUIT\r\n")
            replies = [line async for line in reader]
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
            writer.write(b"x" * 10_000)
            await reader.readline()
            with suppress(ConnectionError):
                assert b"" == await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return replies

    codes = [reply[:3] for reply in asyncio.run(go())]
    assert [b"220", b"500", b"503", b"250", b"250", b"503", b"250", b"250", b"221"] == codes


# ------------------------------------------------------------------- the whole of it


def test_with_every_fault_and_a_kill_everybody_is_dealt_with_and_nobody_lost(store: Store) -> None:
    issue = freeze(store, people(90))

    verdict = run(store, issue, "421@5%,451@5%,550@5%,drop@6%,silent@1%,kill@40", recipients=90, seed=3)

    assert verdict.is_good, verdict
    assert (90, 90, 0, 0) == (verdict.recipients, verdict.sent + verdict.failed, verdict.waiting, verdict.lost)
    assert (1, True) == (verdict.kills, verdict.failed > 0)
    assert 0 <= verdict.duplicates <= verdict.bound
    assert verdict.runs >= 3  # the first, the one after the kill, and one for those who were asked to come later
    assert verdict.injected["550"] == verdict.failed
    assert verdict.rate > 0


def test_with_a_window_a_kill_may_cost_as_many_copies_as_are_on_the_way(store: Store) -> None:
    issue = freeze(store, people(200))
    stage = replace(STAGE, window=4, per_connection=None)

    verdict = run(store, issue, "421@2%,552@2%,drop@2%,garbage@1%,kill", stage, recipients=200, seed=4)

    assert verdict.is_good, verdict
    assert (200, 0, 0) == (verdict.sent + verdict.failed, verdict.waiting, verdict.lost)
    assert 1 == verdict.kills
    assert verdict.bound >= 3 * 4
    assert {"421", "552", "drop", "garbage"} == set(verdict.injected)


def test_a_canary_goes_first_and_nobody_sits_through_its_watch(store: Store) -> None:
    """Ten minutes of watching, and a kill among the others: it is all over at once."""
    issue = freeze(store, people(60), canary=Canary(first=6, wait=600.0, stop_at=0.5))

    verdict = run(store, issue, "kill@30", recipients=60, seed=2)

    assert verdict.is_good, verdict
    assert (60, 6, None, 1) == (verdict.sent, verdict.canary, verdict.canary_stopped, verdict.kills)
    assert verdict.predicted_seconds >= 600.0


def test_a_canary_that_would_stop_the_send_is_said_and_the_others_are_rehearsed_all_the_same(store: Store) -> None:
    issue = freeze(store, people(60), canary=Canary(first=6, wait=600.0, stop_at=0.1))

    verdict = run(store, issue, "550@60%", recipients=60, seed=1)

    assert verdict.is_good, verdict
    assert (60, 0) == (verdict.sent + verdict.failed, verdict.waiting)
    assert "of the first 6 were refused" in str(verdict.canary_stopped)
    assert None is verdict.stopped


def test_without_faults_one_run_is_enough_and_nothing_comes_twice(store: Store) -> None:
    issue = freeze(store, people(50))

    verdict = run(store, issue, "", recipients=50)

    assert (1, 50, 0, 0, 0, {}) == (
        verdict.runs,
        verdict.sent,
        verdict.duplicates,
        verdict.bound,
        verdict.unknown,
        verdict.injected,
    )


def test_where_what_may_have_arrived_is_held_nothing_comes_twice(store: Store) -> None:
    issue = freeze(store, people(60))
    stage = replace(STAGE, on_unknown=OnUnknown.hold)

    verdict = run(store, issue, "drop@20%,kill@15", stage, recipients=60)

    assert verdict.is_good
    assert (0, 0) == (verdict.duplicates, verdict.bound)
    assert verdict.held > 0
    assert 60 == verdict.sent + verdict.held


def test_a_dispatch_that_cannot_begin_is_an_error_and_no_verdict(store: Store) -> None:
    issue = freeze(store, people(3))

    with pytest.raises(NewsletterError, match="there is no issue 77 of daily to rehearse"):
        run(store, replace(issue, number=77), "", recipients=3)


# ------------------------------------------------------------------------- the verdict


def judge(store: Store, issue: Issue, sink: Sink, recipients: int, stage: Stage = STAGE) -> Verdict:
    rehearsal = _Rehearsal(Path(), store, issue, stage, Faults(), SystemClock(), lambda _: None)
    return rehearsal.verdict(sink, recipients)


def settled(store: Store, *ids: int, state: DeliveryState = S.sent) -> None:
    with store.outbox_writer() as writer:
        for id_ in ids:
            assert writer.intend(id_).result()
            writer.settle(Settlement(delivery_id=id_, state=state, code=250)).result()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A server that nobody has talked to."""
    empty = Sink(Faults(), 1, clock=SystemClock())
    yield empty
    empty.taken.close()


def message(message_id: str, text: str = "") -> bytes:
    return f"Subject: x\r\nMessage-ID: <{message_id}>\r\n\r\n{text}\r\n".encode()


def test_the_verdict_finds_who_is_lost(store: Store, sink: Sink) -> None:
    """The ledger says sent and the server took nothing; or the ledger does not know somebody."""
    issue = freeze(store, people(4))
    settled(store, 1, 2)
    sink.take(message(store.deliveries(issue.id)[0].message_id), told=True)

    assert (1, False) == ((found := judge(store, issue, sink, 4)).lost, found.is_good)
    assert 3 == judge(store, issue, sink, 6).lost


def test_the_verdict_finds_copies_that_should_not_be(store: Store, sink: Sink) -> None:
    issue = freeze(store, people(3))
    settled(store, 1, 2, 3)
    ids = [row.message_id for row in store.deliveries(issue.id)]
    for id_ in ids:
        sink.take(message(id_), told=True)
    assert judge(store, issue, sink, 3).is_good

    sink.take(message(ids[0]), told=True)
    assert (1, 0, False) == ((found := judge(store, issue, sink, 3)).duplicates, found.bound, found.is_good)

    sink.take(message(ids[1]), told=False)
    sink.take(message(ids[2]), told=False)
    assert (3, 2, False) == ((found := judge(store, issue, sink, 3)).duplicates, found.bound, found.is_good)
    sink.take(message(ids[2]), told=False)
    sink.doubtful += 1
    assert judge(store, issue, sink, 3).is_good

    sink.take(message(ids[2], "another text"), told=False)
    assert (1, False) == ((found := judge(store, issue, sink, 3)).changed, found.is_good)
    held = replace(STAGE, on_unknown=OnUnknown.hold)
    assert 0 == judge(store, issue, sink, 3, held).bound


def test_the_verdict_finds_mail_to_people_who_are_suppressed(store: Store, sink: Sink) -> None:
    store.suppress("reader1@example.com", "reader1@example.com", SuppressionReason.manual)
    issue = freeze(store, people(1))
    sink.take(message(store.deliveries(issue.id)[0].message_id), told=True)

    assert (1, False) == ((found := judge(store, issue, sink, 1)).unwanted, found.is_good)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([b"x", b"y"])), max_size=20))
def test_the_tally_counts_as_one_would_by_hand(letters: list[tuple[str, bytes]]) -> None:
    tally = Tally()
    first: dict[str, bytes] = {}
    for id_, text in letters:
        tally.take(id_, text)
        first.setdefault(id_, text)
    times = [tally.visit(id_) for id_, _ in letters]

    counted = Counter(id_ for id_, _ in letters)
    assert counted == tally.copies(["a", "b", "c", "d"])
    assert (len(letters), len(counted)) == (tally.total, tally.distinct)
    assert len(letters) - len(counted) == tally.duplicates
    assert sum(first[id_] != text for id_, text in letters) == tally.changed
    assert [sum(other == id_ for other, _ in letters[: at + 1]) for at, (id_, _) in enumerate(letters)] == times
    tally.close()


@pytest.mark.parametrize(
    ("rate", "limit", "server_time", "seconds", "by"),
    [
        (1000.0, None, 0.05, 100.0, "4 connections"),
        (50.0, None, 0.05, 160.0, "this machine"),
        (1000.0, "20/s", 0.05, 400.0, "the rate 20/s"),
        (1000.0, "3600/h", 0.05, 8000.0, "the rate 3600/h"),
        (1000.0, None, 0.0, 8.0, "this machine"),
    ],
)
def test_the_prediction_names_what_is_slowest(
    rate: float, limit: str | None, server_time: float, seconds: float, by: str
) -> None:
    stage = Stage(
        connections=4,
        per_connection=None,
        rates=(Rate.parse(limit),) if limit else (),
        on_unknown=OnUnknown.resend,
        server_time=server_time,
    )

    assert (seconds, by) == _predicted(8000, rate, stage)


def test_the_prediction_counts_what_is_on_the_way_at_once() -> None:
    stage = Stage(connections=4, window=4, per_connection=None, rates=(), on_unknown=OnUnknown.resend, server_time=0.05)

    assert (25.0, "4 connections of 4 messages") == _predicted(8000, 1000.0, stage)

"""A mailbox is read to its end: what is proven counts, what is forged does not, and nothing is lost on the way."""

import os
import random
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.clock import Ids
from newsletter.delivery.returnpath import ReturnPath
from newsletter.model import BounceKind, BounceRules, Delivery, DeliveryState, Proof, Settlement
from newsletter.people.bounces.judging import Judge
from newsletter.people.bounces.mailbox import Mail, MailboxError
from newsletter.people.bounces.maildir import Maildir
from newsletter.people.bounces.scan import Scan, Scanned, scan_all
from newsletter.store import Store
from tests.conftest import START, FakeClock
from tests.people.reports import absence, complaint, dsn, letter
from tests.people.test_bounce_reading import mutated
from tests.store.samples import freeze, people

RULES = BounceRules()
PATH = ReturnPath("bounces@example.com", b"s" * 32)


@pytest.fixture
def store(clock: FakeClock, ids: Ids, tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "n.db"), clock=clock, ids=ids) as opened:
        yield opened


@pytest.fixture
def sent(store: Store) -> list[Delivery]:
    """Five readers who got an issue."""
    issue = freeze(store, *people(5))
    with store.outbox_writer() as writer:
        for one in store.due(issue.id, limit=10):
            assert writer.intend(one.id).result()
            writer.settle(Settlement(delivery_id=one.id, state=DeliveryState.sent, code=250, reply="ok")).result()
    return store.deliveries(issue.id)


class Box:
    """A maildir that tests put mail into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for folder in ("new", "cur", "tmp"):
            (path / folder).mkdir(parents=True)

    def put(self, *mails: bytes, folder: str = "new", name: str | None = None) -> None:
        for mail in mails:
            number = sum(1 for one in ("new", "cur") for _ in (self.path / one).iterdir())
            (self.path / folder / (name or f"{1000 + number}.host")).write_bytes(mail)

    @property
    def files(self) -> list[str]:
        return sorted(f"{folder}/{path.name}" for folder in ("new", "cur") for path in (self.path / folder).iterdir())


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "reports")


def scan(
    store: Store,
    box: Box,
    clock: FakeClock,
    rules: BounceRules = RULES,
    *,
    delete: bool = False,
    dry_run: bool = False,
    again: bool = False,
) -> Scanned:
    judge = Judge(store, rules, returned_to=PATH.deliveries_in)
    mailbox = Maildir(box.path, delete=delete)
    return scan_all(
        Scan(mailbox=mailbox, store=store, judge=judge, rules=rules, clock=clock, dry_run=dry_run, again=again)
    )


def stopped(store: Store) -> dict[str, str]:
    return {one.key: one.reason.value for one in store.suppressions()}


def about(one: Delivery, **changes: object) -> bytes:
    return dsn(one.email, message_id=one.message_id, **changes)  # type: ignore[arg-type]


# -------------------------------------------------------------------------------- proof


def test_a_report_that_returns_our_message_stops_mail_to_its_person(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(about(sent[0]))

    [seen] = scan(store, box, clock).seen
    assert (BounceKind.hard, True) == (seen.kind, seen.is_new)
    assert {sent[0].key: "bounced"} == stopped(store)
    [bounce] = store.bounces_of(sent[0].key)
    assert (Proof.message_id, sent[0].id) == (bounce.proof, bounce.delivery_id)


@pytest.mark.parametrize("claimed", ["0123456789abcdef0123456789abcdef@example.com", "x@other-list.test", ""])
def test_a_forged_report_stops_no_mail_and_is_shown_to_the_keeper(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock, claimed: str
) -> None:
    box.put(dsn(sent[0].email, message_id=claimed), complaint(claimed, to=sent[0].email))

    found = scan(store, box, clock)
    assert [None, None] == [bounce.proof for seen in found.seen for bounce in seen.bounces]
    assert {} == stopped(store)
    assert 2 == len(store.reports(unproven=True))


def test_whoever_knows_only_their_own_message_can_hurt_only_themselves(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    """Reader 1 writes a report that names reader 0, and returns the message that reader 1 got."""
    box.put(dsn(sent[0].email, message_id=sent[1].message_id))
    both = about(sent[1]).replace(
        b"Diagnostic-Code",
        b"X-Other: 1\n\nFinal-Recipient: rfc822; " + sent[0].email.encode() + b"\nAction: failed\n"
        b"Status: 5.1.1\nDiagnostic-Code",
        1,
    )
    box.put(both.replace(b"report-1@", b"report-2@"))
    scan(store, box, clock)

    assert {sent[1].key} == stopped(store).keys()


def test_a_project_may_believe_reports_without_proof_about_people_it_wrote_to(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(dsn(sent[0].email, message_id="x@y.test"), dsn("stranger@example.com", message_id="z@y.test", number=2))
    scan(store, box, clock, BounceRules(trust_unproven=True))

    assert {sent[0].key: "bounced"} == stopped(store)
    assert [Proof.assumed] == [one.proof for one in store.bounces_of(sent[0].key)]
    assert [None] == [one.proof for one in store.bounces_of("stranger@example.com")]


def test_the_return_path_tells_whose_a_report_is_that_names_nobody(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    bare = f"Return-Path: <>\nFrom: MAILER-DAEMON@old.test\nTo: <{PATH.of(sent[2].id).upper()}>\nSubject: failure notice\n\n"
    box.put(f"{bare}Hi. This is the gateway. 550 5.1.1 no such user\n".encode())
    # Of the right form, and one letter wrong.
    true = PATH.of(sent[3].id)
    forged = true[:-13] + ("a" if true[-13] != "a" else "b") + true[-12:]
    box.put(dsn("x@example.com", to=forged, message_id="", number=7))
    scan(store, box, clock)

    assert {sent[2].key: "bounced"} == stopped(store)


def test_a_complaint_without_a_recipient_is_known_by_the_message(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(complaint(sent[4].message_id))
    scan(store, box, clock)

    assert {sent[4].key: "complained"} == stopped(store)


def test_a_person_whose_mail_is_forwarded_is_the_person(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(dsn("elsewhere@forward.test", message_id=sent[0].message_id))
    scan(store, box, clock)

    assert {sent[0].key: "bounced"} == stopped(store)


def test_an_address_that_stands_for_several_is_not_gone_while_one_of_them_is_there(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    more = b"\n\nFinal-Recipient: rfc822; other@forward.test\nAction: delayed\nStatus: 4.2.2\n"
    report = dsn("gone@forward.test", message_id=sent[0].message_id)
    box.put(report.replace(b"\n\n--cut\nContent-Type: text/rfc822", more + b"\n--cut\nContent-Type: text/rfc822"))
    scan(store, box, clock)

    assert {} == stopped(store)
    assert BounceKind.delay is store.bounces_of(sent[0].key)[0].kind


def test_a_notice_of_absence_stops_nothing(store: Store, sent: list[Delivery], box: Box, clock: FakeClock) -> None:
    box.put(absence(sent[0].message_id, sender=sent[0].email))

    assert BounceKind.reply is scan(store, box, clock).seen[0].kind
    assert ({}, []) == (stopped(store), store.bounces_of(sent[0].key))


def test_the_whole_corpus_suppresses_nobody_who_is_there(
    store: Store, box: Box, clock: FakeClock, corpus: Path
) -> None:
    """Every recipient of the corpus is a reader who got an issue yesterday, and reports without proof count."""
    from tests.people.test_bounce_reading import index
    from tests.store.samples import person

    rows = index(corpus)
    named = sorted({email.lower() for row in rows for email in row[4].split() if email[0] != "@"})
    readers = [person(n, email=e, wire_email=e, key=e) for n, e in enumerate(named)]
    issue = freeze(store, *readers)
    with store.outbox_writer() as writer:
        for one in store.due(issue.id, limit=200):
            writer.intend(one.id).result()
            writer.settle(Settlement(delivery_id=one.id, state=DeliveryState.sent, code=250)).result()
    for row in rows:
        raw = (corpus / "bounces" / row[0]).read_bytes()
        # At its own dates, decades ago, nothing of it would count any more.
        box.put(re.sub(rb"(?mi)^Date:", b"X-Date:", raw), name=row[0])
    scan(store, box, clock, BounceRules(trust_unproven=True))

    may_stop = {
        email.lower()
        for row in rows
        for email in row[4].split()
        if row[6] == "failed" and ("/" not in row[7] or any(one.endswith("/1") for one in row[7].split(";")))
    }
    assert set() == stopped(store).keys() - may_stop
    assert len(stopped(store)) >= 5


# ------------------------------------------------------------------ nothing lost, nothing twice


def test_a_second_scan_finds_nothing_new_and_marks_what_it_knows(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(about(sent[0]), letter("hello"), absence())

    assert 3 == len(scan(store, box, clock).seen)
    assert ["cur/1000.host:2,S", "cur/1002.host:2,S", "new/1001.host"] == box.files
    assert () == scan(store, box, clock).seen
    assert [False] == [seen.is_new for seen in scan(store, box, clock, again=True).seen if seen.kind is BounceKind.hard]
    box.put(about(sent[0]).replace(b"\n", b"\r\n"), name="copy")
    assert [False] == [seen.is_new for seen in scan(store, box, clock).seen]
    assert 1 == len(store.bounces_of(sent[0].key))


def test_what_somebody_has_read_before_us_is_read_all_the_same(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(about(sent[0]), folder="cur", name="1.host:2,RS")
    scan(store, box, clock)

    assert {sent[0].key: "bounced"} == stopped(store)
    assert ["cur/1.host:2,RS"] == box.files


def test_reports_are_removed_where_the_project_wants_it_and_letters_never(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(about(sent[0]), letter("hello"))
    scan(store, box, clock, delete=True)

    assert ["new/1001.host"] == box.files


def test_a_dry_run_changes_nothing(store: Store, sent: list[Delivery], box: Box, clock: FakeClock) -> None:
    box.put(about(sent[0]))

    [seen] = scan(store, box, clock, dry_run=True).seen
    assert [Proof.message_id] == [one.proof for one in seen.bounces]
    assert ({}, [], ["new/1000.host"]) == (stopped(store), store.reports(), box.files)
    assert set() == store.scanned(f"maildir:{box.path}")


def test_a_mailbox_that_vanishes_in_the_middle_loses_nothing(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock, tmp_path: Path
) -> None:
    box.put(*(about(one, number=one.id) for one in sent))
    judge = Judge(store, BounceRules())
    run = Scan(mailbox=Maildir(box.path), store=store, judge=judge, rules=BounceRules(), clock=clock).run()
    next(run)
    next(run)
    box.path.rename(tmp_path / "away")
    with pytest.raises(MailboxError, match="cannot be used: no such file"):
        next(run)
    assert 2 == len(stopped(store))

    (tmp_path / "away").rename(box.path)
    assert 3 == len(scan(store, box, clock).seen)
    assert 5 == len(stopped(store))


class Crashing(Maildir):
    """Ends the program where a report would be marked as read: after its record."""

    def done(self, name: str) -> None:
        raise KeyboardInterrupt


def test_a_crash_between_record_and_mark_counts_a_report_once(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    box.put(about(sent[0]))
    rules = BounceRules(hard=2)
    with pytest.raises(KeyboardInterrupt):
        scan_all(Scan(mailbox=Crashing(box.path), store=store, judge=Judge(store, rules), rules=rules, clock=clock))
    scan(store, box, clock, rules)

    assert 1 == len(store.bounces_of(sent[0].key))


def test_links_pipes_and_folders_in_a_maildir_are_not_mail(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(about(sent[0]))
    (box.path / "new" / "link").symlink_to(tmp_path / "secret")
    (box.path / "new" / "folder").mkdir()
    os.mkfifo(box.path / "new" / "pipe")
    (box.path / "new" / os.fsdecode(b"caf\xe9")).write_bytes(about(sent[1]))
    scan(store, box, clock)

    assert {sent[1].key: "bounced"} == stopped(store)
    assert () == scan(store, box, clock).seen


def test_a_folder_that_is_no_maildir_says_so(store: Store, clock: FakeClock, tmp_path: Path) -> None:
    with pytest.raises(MailboxError, match="cannot be used") as raised:
        Maildir(tmp_path).names()

    assert "`new` and `cur`" in str(raised.value.hint)


def test_what_an_old_mailbox_tells_counts_at_its_own_date(
    store: Store, sent: list[Delivery], box: Box, clock: FakeClock
) -> None:
    clock.advance(timedelta(days=60))
    box.put(about(sent[0], date=START + timedelta(days=1)), about(sent[1], date=START + timedelta(days=900), number=2))
    scan(store, box, clock)

    assert {sent[1].key: "bounced"} == stopped(store)  # a date in the future is no date
    assert START + timedelta(days=1) == store.bounces_of(sent[0].key)[0].happened_at


class Mangled:
    """A mailbox of reports of the corpus with a few things gone wrong."""

    name = "mangled"

    def __init__(self, mails: list[bytes]) -> None:
        self._mails = mails

    def names(self) -> list[str]:
        return [str(number) for number in range(len(self._mails))]

    def read(self, name: str) -> Mail | None:
        return Mail(raw=self._mails[int(name)], size=len(self._mails[int(name)]))

    def done(self, name: str) -> None:
        """Nothing to mark."""


def test_however_a_report_is_mangled_nobody_is_stopped_without_proof(
    store: Store, sent: list[Delivery], clock: FakeClock
) -> None:
    random_ = random.Random(3)
    true = [about(sent[0]), complaint(sent[0].message_id), dsn(sent[0].email, to=PATH.of(sent[0].id))]
    lies = [dsn(one.email) for one in sent[1:]]
    mails = [mutated(random_.choice(true + lies), random_) for _ in range(120)]
    judge = Judge(store, BounceRules(), returned_to=PATH.deliveries_in)
    scan_all(Scan(mailbox=Mangled(mails), store=store, judge=judge, rules=BounceRules(), clock=clock))

    assert {sent[0].key} == stopped(store).keys()

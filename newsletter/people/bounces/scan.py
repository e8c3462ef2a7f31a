"""A mailbox, from its first unread message to the last: read, judge, record, and only then mark as read.

A crash or a lost connection at any point loses nothing and counts nothing
twice: a message is noted as read in the transaction that acts on it, and a copy
of a report is known by its fingerprint.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from newsletter.clock import Clock
from newsletter.errors import NewsletterError
from newsletter.model import BounceKind, BounceRules, NewBounce, NewReport, SuppressionReason
from newsletter.people.bounces.judging import Judge
from newsletter.people.bounces.mailbox import Mailbox, MailboxError
from newsletter.people.bounces.reading import Report, read_report
from newsletter.store import Store
from newsletter.text import one_line

#: Kinds that leave a report behind; the others are nobody's concern and stay as they are.
_KEPT: Final = frozenset(BounceKind) - {BounceKind.other}
_HEADER: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One message of the mailbox, and what came of it.

    `report_id` is None for what is no report, and in a dry run; `command` is
    what a mail that asks for something led to, in words.
    """

    name: str
    kind: BounceKind
    sender: str
    subject: str
    bounces: tuple[NewBounce, ...] = ()
    report_id: int | None = None
    is_new: bool = True
    stopped: Mapping[str, SuppressionReason] = field(default_factory=dict[str, SuppressionReason])
    command: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A mailbox, and what to do with what is in it.

    Args:
        mailbox: where reports come to.
        store: where they are remembered.
        judge: tells whose they are.
        rules: when they stop mail.
        clock: what time it is.
        command: takes a message that is no report and does what it asks for; None: it asks for nothing.
        dry_run: change nothing, neither in the store nor in the mailbox.
        again: read also what was read before; what is known stays counted once.
    """

    mailbox: Mailbox
    store: Store
    judge: Judge
    rules: BounceRules
    clock: Clock
    command: Callable[[Report], str | None] = lambda _: None
    dry_run: bool = False
    again: bool = False

    def run(self) -> Iterator[Seen]:
        """Go through the mailbox; each message is told of when its record is on disk.

        Raises:
            MailboxError: the mailbox cannot be read, or went away; what was told of is recorded.
            StoreError: the store cannot be written; the message stays unread.
        """
        names = self.mailbox.names()
        known = self.store.scanned(self.mailbox.name)
        if not self.dry_run:
            self.store.forget_scanned(self.mailbox.name, known - set(names))
        for name in names:
            if name in known and not self.again:
                continue
            mail = self.mailbox.read(name)
            if mail is not None:
                yield self._one(name, read_report(mail.raw, size=mail.size), mail.raw)

    def _one(self, name: str, report: Report, raw: bytes) -> Seen:
        bounces = tuple(self.judge.bounces(report, self.clock.now()))
        seen = Seen(
            name=name,
            kind=report.kind,
            sender=one_line(report.sender, _HEADER),
            subject=one_line(report.subject, _HEADER),
            bounces=bounces,
        )
        if self.dry_run:
            return seen
        command = None
        # A mailbox that gives its messages new names must not make anybody leave a second time.
        if report.kind in (BounceKind.other, BounceKind.reply) and not self.store.has_report(report.fingerprint):
            try:
                command = self.command(report)
            except NewsletterError as error:
                # Not noted as read: the next scan tries again.
                return replace(seen, command=f"not done this time: {error}")
        recorded = self.store.record_report(
            NewReport(
                fingerprint=report.fingerprint,
                mailbox=self.mailbox.name,
                name=name,
                # What people write, and their machines about their holidays, is not ours to keep.
                kind=report.kind if command is None else BounceKind.other,
                sender=seen.sender if command is None else "",
                subject=seen.subject if command is None else "",
                size=report.size,
                raw=b"" if report.kind in (BounceKind.reply, BounceKind.other) else raw,
            ),
            bounces,
            self.rules,
            keep=report.kind in _KEPT or command is not None,
        )
        if report.kind in _KEPT or command is not None:
            self.mailbox.done(name)
        return replace(
            seen,
            report_id=recorded.report_id,
            is_new=recorded.is_new,
            stopped=recorded.stopped,
            command=command,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What a whole scan came to; `error` is why it ended before the mailbox did."""

    mailbox: str
    seen: tuple[Seen, ...]
    error: MailboxError | None = None

    @property
    def kinds(self) -> Counter[BounceKind]:
        """How many messages of each kind are new."""
        return Counter(one.kind for one in self.seen if one.is_new or one.kind is BounceKind.other)


def scan_all(scan: Scan, on_seen: Callable[[Seen], None] = lambda _: None) -> Scanned:
    """Go through a mailbox to its end, or as far as it lets us.

    Raises:
        StoreError: the store cannot be written; what was told of is recorded.
    """
    seen: list[Seen] = []
    try:
        for one in scan.run():
            seen.append(one)
            on_seen(one)
    except MailboxError as error:
        return Scanned(mailbox=scan.mailbox.name, seen=tuple(seen), error=error)
    return Scanned(mailbox=scan.mailbox.name, seen=tuple(seen))

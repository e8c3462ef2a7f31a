"""What came back, and what it led to: a report is remembered, judged and acted on in one transaction.

So a report that is known has been acted on, and one that a crash interrupted is
found again by the next scan of the mailbox.
"""

import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import (
    Bounce,
    BounceKind,
    BounceReport,
    BounceRules,
    Delivery,
    DeliveryState,
    NewBounce,
    NewReport,
    Proof,
    Suppression,
    SuppressionReason,
)
from newsletter.store import tables as t
from newsletter.store.rows import DELIVERY, Row, delivery_of, in_chunks
from newsletter.store.suppressions import Suppressions, erased_among
from newsletter.store.verdicts import verdict

#: As much of a report as is kept, in bytes before compression.
KEPT: Final = 65_536
_JUDGED = (BounceKind.hard, BounceKind.soft, BounceKind.complaint)
#: Would count, and does not for want of proof.
_UNPROVEN: Final = t.bounces.c.proof.is_(None) & ~t.bounces.c.forgiven & t.bounces.c.kind.in_(_JUDGED)
_BOUNCE = tuple(field.name for field in fields(Bounce))
#: States of a message that has left for its recipient, or may have.
_WENT_OUT = (DeliveryState.sent, DeliveryState.failed, DeliveryState.held, DeliveryState.unknown, DeliveryState.sending)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What `record_report` did: the report's id, whether it is new, and whom it stopped mail to (key → reason)."""

    report_id: int | None
    is_new: bool
    stopped: Mapping[str, SuppressionReason]


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceCounts:
    """How many bounces there are since a moment, by kind, and how many in all would count and have no proof."""

    kinds: Mapping[BounceKind, int]
    unproven: int


class Bounces(Suppressions):
    """Reports, bounces and their consequences."""

    # ------------------------------------------------------------------- a mailbox

    def scanned(self, mailbox: str) -> set[str]:
        """The names of what has been read in a mailbox.

        Transaction: one read.
        """
        with self._database.read() as connection:
            return set(connection.execute(sa.select(t.scanned.c.name).where(t.scanned.c.mailbox == mailbox)).scalars())

    def forget_scanned(self, mailbox: str, names: Iterable[str]) -> None:
        """What is no longer in a mailbox need not be remembered as read.

        Transaction: one write.
        """
        with self._database.write() as connection:
            for chunk in in_chunks(names):
                connection.execute(
                    sa.delete(t.scanned).where(t.scanned.c.mailbox == mailbox, t.scanned.c.name.in_(chunk))
                )

    def record_report(
        self, report: NewReport, bounces: Sequence[NewBounce], rules: BounceRules, *, keep: bool = True
    ) -> Recorded:
        """Remember a report and act on it; one that is known under any name is only noted as read.

        Of people who were erased nothing is kept.

        Args:
            report: what was found.
            bounces: what it says, of whom.
            rules: when that stops mail.
            keep: False only notes its name: it is no report at all.

        Transaction: one write.
        """
        secret = self._erased_secret()
        with self._database.write() as connection:
            connection.execute(
                self._database.insert(t.scanned)
                .values(mailbox=report.mailbox, name=report.name)
                .on_conflict_do_nothing(index_elements=["mailbox", "name"])
            )
            if not keep:
                return Recorded(report_id=None, is_new=False, stopped={})
            gone = erased_among(connection, [one.key for one in bounces], secret)
            values = {
                "fingerprint": report.fingerprint,
                "mailbox": report.mailbox,
                "name": report.name,
                "kind": report.kind,
                "sender": report.sender,
                "subject": report.subject,
                "size": report.size,
                "raw": b"" if gone else zlib.compress(report.raw[:KEPT], 6),
                "recorded_at": self._clock.now(),
            }
            new = connection.execute(
                self._database.insert(t.reports)
                .values(values)
                .on_conflict_do_nothing(index_elements=["fingerprint"])
                .returning(t.reports.c.id)
            ).scalar()
            if new is None:
                known = connection.execute(
                    sa.select(t.reports.c.id).where(t.reports.c.fingerprint == report.fingerprint)
                ).scalar()
                return Recorded(report_id=known, is_new=False, stopped={})
            stopped = self._take(connection, [one for one in bounces if one.key not in gone], rules, secret, new)
            return Recorded(report_id=new, is_new=True, stopped=stopped)

    # ------------------------------------------------------- what servers said while we were sending

    def failures(self, since: datetime, *, after_id: int = 0, limit: int = 1000) -> list[Delivery]:
        """Deliveries that a server refused for good since then, and that have not been judged, in the order of their ids.

        Transaction: one read.
        """
        row, bounce = t.deliveries.c, t.bounces.c
        judged = sa.exists().where(
            bounce.delivery_id == row.id, bounce.report_id.is_(None), bounce.happened_at == row.settled_at
        )
        wanted = (
            DELIVERY.where(
                row.issue_id.in_(_issues_since(since)),
                row.state == DeliveryState.failed,
                row.last_code.is_not(None),
                row.settled_at >= since,
                row.id > after_id,
                ~judged,
            )
            .order_by(row.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [delivery_of(one) for one in connection.execute(wanted)]

    def record_failures(self, bounces: Sequence[NewBounce], rules: BounceRules) -> dict[str, SuppressionReason]:
        """Remember what servers said of people, and act on it; tells whom it stopped mail to.

        Transaction: one write.
        """
        secret = self._erased_secret()
        with self._database.write() as connection:
            gone = erased_among(connection, [one.key for one in bounces], secret)
            return self._take(connection, [one for one in bounces if one.key not in gone], rules, secret, None)

    def messages_to(self, issue_id: int, domain: str) -> int:
        """How many messages of an issue a server of this domain has answered for.

        Transaction: one read.
        """
        row = t.deliveries.c
        with self._database.read() as connection:
            return connection.execute(
                sa.select(sa.func.count()).where(
                    row.issue_id == issue_id,
                    row.state.in_(_WENT_OUT),
                    sa.func.lower(row.wire_email).endswith(f"@{domain.lower()}", autoescape=True),
                )
            ).scalar_one()

    # -------------------------------------------------------------- whose a report is

    def written_to(self, keys: Collection[str], since: datetime) -> list[Delivery]:
        """Messages to these people that went out in issues since then, newest first.

        Transaction: one read.
        """
        row = t.deliveries.c
        with self._database.read() as connection:
            wanted = (
                DELIVERY.where(
                    row.issue_id.in_(_issues_since(since)), row.key.in_(list(keys)), row.state.in_(_WENT_OUT)
                )
                .order_by(row.id.desc())
                .limit(1000)
            )
            return [delivery_of(one) for one in connection.execute(wanted)]

    def with_message_ids(self, message_ids: Collection[str], since: datetime) -> list[Delivery]:
        """Messages with one of these Message-IDs in issues since then: a walk over the rows, the latest issue first.

        No index leads there: a send would pay for it with every message, and
        almost every report names its recipient.

        Transaction: one read.
        """
        row, left = t.deliveries.c, set(message_ids)
        found: list[Delivery] = []
        with self._database.read() as connection:
            for issue_id in connection.execute(_issues_since(since).order_by(t.issues.c.id.desc())).scalars().all():
                wanted = DELIVERY.where(row.issue_id == issue_id, row.message_id.in_(sorted(left)))
                found += [delivery_of(one) for one in connection.execute(wanted)]
                left -= {one.message_id for one in found}
                if not left:
                    break
        return found

    def delivery(self, delivery_id: int) -> Delivery | None:
        """One row of the outbox.

        Transaction: one read.
        """
        with self._database.read() as connection:
            row = connection.execute(DELIVERY.where(t.deliveries.c.id == delivery_id)).first()
        return None if row is None else delivery_of(row)

    # ------------------------------------------------------------------ what is known

    def bounces_of(self, key: str) -> list[Bounce]:
        """Everything that came back for a person, the oldest first, with and without proof.

        Transaction: one read.
        """
        wanted = sa.select(t.bounces).where(t.bounces.c.key == key)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(t.bounces.c.happened_at, t.bounces.c.id)).all()
        return [_bounce_of(row) for row in rows]

    def has_report(self, fingerprint: str) -> bool:
        """Whether this message has been dealt with before, in whatever mailbox and under whatever name.

        Transaction: one read.
        """
        with self._database.read() as connection:
            known = sa.select(t.reports.c.id).where(t.reports.c.fingerprint == fingerprint)
            return connection.execute(known).first() is not None

    def refusals(self, limit: int) -> list[Bounce]:
        """What mail servers said of people while we were sending, the newest first.

        Transaction: one read.
        """
        wanted = sa.select(t.bounces).where(t.bounces.c.report_id.is_(None)).order_by(t.bounces.c.id.desc())
        with self._database.read() as connection:
            return [_bounce_of(row) for row in connection.execute(wanted.limit(limit))]

    def reports(self, *, unproven: bool = False, limit: int | None = None) -> list[BounceReport]:
        """Reports, the newest first, without their bytes; or those of which something would count and has no proof.

        Transaction: one read.
        """
        columns = [column for column in t.reports.columns if column.name != "raw"]
        wanted = sa.select(*columns).order_by(t.reports.c.id.desc()).limit(limit)
        # Of letters that asked for something only that they were dealt with is known.
        wanted = wanted.where(t.reports.c.kind != BounceKind.other)
        if unproven:
            bounce = t.bounces.c
            theirs = bounce.report_id == t.reports.c.id
            wanted = wanted.where(
                sa.exists().where(theirs, _UNPROVEN) | (t.reports.c.kind.in_(_JUDGED) & ~sa.exists().where(theirs))
            )
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
            said = _said(connection, [row.id for row in rows])
        return [_report_of(row, said.get(row.id, []), b"") for row in rows]

    def report(self, report_id: int) -> BounceReport | None:
        """One report, with its bytes as far as they are kept.

        Transaction: one read.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.reports).where(t.reports.c.id == report_id)).first()
            said = _said(connection, [report_id])
        if row is None:
            return None
        raw = zlib.decompressobj().decompress(row.raw, KEPT) if row.raw else b""
        return _report_of(row, said.get(row.id, []), raw)

    def bounce_counts(self, since: datetime) -> BounceCounts:
        """How many bounces were recorded since then.

        Transaction: one read.
        """
        bounce = t.bounces.c
        with self._database.read() as connection:
            recent = sa.select(bounce.kind, sa.func.count()).where(bounce.recorded_at >= since).group_by(bounce.kind)
            kinds = {row[0]: row[1] for row in connection.execute(recent)}
            unproven = connection.execute(sa.select(sa.func.count()).where(_UNPROVEN)).scalar_one()
        return BounceCounts(kinds=kinds, unproven=unproven)

    # ----------------------------------------------------------------------- forgetting

    def forget_raw(self, before: datetime) -> None:
        """Let the bytes of older reports go; what they said stays.

        Transaction: one write.
        """
        with self._database.write() as connection:
            old = (t.reports.c.recorded_at < before) & (sa.func.length(t.reports.c.raw) > 0)
            connection.execute(sa.update(t.reports).where(old).values(raw=b""))

    # ------------------------------------------------------------------- mail by machine

    def may_answer(self, key: str, *, within: timedelta, at_most: int) -> bool:
        """Take the right to write one mail to somebody who wrote to us; False if there was one lately, or too many.

        Args:
            key: whom.
            within: so long one answer is enough.
            at_most: to all people together in that time.

        Transaction: one write.
        """
        now = self._clock.now()
        answer = t.answers.c
        with self._database.write() as connection:
            self._database.lock_table(connection, t.answers, "SHARE ROW EXCLUSIVE")
            connection.execute(sa.delete(t.answers).where(answer.answered_at <= now - within))
            known = connection.execute(sa.select(answer.key).where(answer.key == key)).first()
            count = connection.execute(sa.select(sa.func.count()).select_from(t.answers)).scalar_one()
            if known is not None or count >= at_most:
                return False
            connection.execute(sa.insert(t.answers).values(key=key, answered_at=now))
        return True

    def not_answered(self, key: str) -> None:
        """Give the right of `may_answer` back: the mail could not be sent.

        Transaction: one write.
        """
        with self._database.write() as connection:
            connection.execute(sa.delete(t.answers).where(t.answers.c.key == key))

    # ------------------------------------------------------------------------- judging

    def _take(
        self,
        connection: Connection,
        bounces: Sequence[NewBounce],
        rules: BounceRules,
        secret: bytes,
        report_id: int | None,
    ) -> dict[str, SuppressionReason]:
        """Write bounces down and judge each person they are about."""
        if not bounces:
            return {}
        if any(one.proof is not None and one.kind in _JUDGED for one in bounces):
            # First of all, in the order in which the outbox takes its locks.
            self._database.lock_table(connection, t.suppressions, "SHARE ROW EXCLUSIVE")
        now = self._clock.now()
        connection.execute(
            sa.insert(t.bounces),
            [
                {field.name: getattr(one, field.name) for field in fields(NewBounce)}
                | {"report_id": report_id, "recorded_at": now, "forgiven": False}
                for one in bounces
            ],
        )
        stopped: dict[str, SuppressionReason] = {}
        for one in bounces:
            if one.proof is None or one.kind not in _JUDGED:
                continue
            found = verdict(connection, one, rules, now)
            if found is None:
                continue
            reason, note = found
            where = "" if report_id is None else f" (report {report_id})"
            new = Suppression(key=one.key, email=one.email, reason=reason, since=now, note=note + where)
            if self._suppress(connection, secret, new):
                stopped[one.key] = reason
        return stopped


def blank_reports(connection: Connection, key: str) -> None:
    """Let go of the bytes of every report that names a person who is erased, within a transaction that writes."""
    bounce = t.bounces.c
    theirs = sa.select(bounce.report_id).where(bounce.key == key, bounce.report_id.is_not(None))
    connection.execute(sa.update(t.reports).where(t.reports.c.id.in_(theirs)).values(raw=b"", subject="", sender=""))


def _issues_since(since: datetime) -> "sa.Select[tuple[Any]]":
    return sa.select(t.issues.c.id).where(t.issues.c.frozen_at >= since)


def _said(connection: Connection, report_ids: Sequence[int]) -> dict[int, list[Bounce]]:
    found: dict[int, list[Bounce]] = {}
    for chunk in in_chunks(report_ids):
        rows = connection.execute(sa.select(t.bounces).where(t.bounces.c.report_id.in_(chunk)).order_by(t.bounces.c.id))
        for row in rows:
            found.setdefault(row.report_id, []).append(_bounce_of(row))
    return found


def _bounce_of(row: Row) -> Bounce:
    return Bounce(**{name: getattr(row, name) for name in _BOUNCE})


def _report_of(row: Row, said: Sequence[Bounce], raw: bytes) -> BounceReport:
    return BounceReport(
        id=row.id,
        fingerprint=row.fingerprint,
        mailbox=row.mailbox,
        name=row.name,
        kind=row.kind,
        sender=row.sender,
        subject=row.subject,
        size=row.size,
        raw=raw,
        recorded_at=row.recorded_at,
        bounces=tuple(said),
    )


#: Kinds of proof in words, for those who show bounces.
PROOFS: Final[Mapping[Proof, str]] = {
    Proof.message_id: "it returned our Message-ID",
    Proof.return_path: "it came to the address that only this message had",
    Proof.smtp: "the mail server said so while we were sending",
    Proof.assumed: "we had written there (unproven: count)",
}

"""The delivery of an issue by whoever has a hand free: alone, or shard by shard beside others.

On SQLite one process sends, under the project's lock.  On PostgreSQL an issue is cut
into shards, and `send`, `run` and any number of workers each lease one after the
other; a process that dies leaves its shard to the others (docs/adr/0030-shards.md).
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from newsletter.delivery.canary import deliver_in_turn
from newsletter.delivery.deliver import deliver
from newsletter.delivery.kept import KeptTransport
from newsletter.delivery.known import know_links
from newsletter.delivery.ports import Progress
from newsletter.delivery.smtp import SmtpSettings, SmtpTransport
from newsletter.errors import BusyError, TransportError
from newsletter.keeper import Identity, Keeper, at_work, clock_words
from newsletter.model import UNSETTLED, Issue, IssueState, SendReport, Shard
from newsletter.people.bounces.failures import judge_failures
from newsletter.stages import Parts, Watch

#: Seconds between two looks at what others do with the last shards of an issue.
_LOOK: Final = 0.5
#: So many looks are waited for a shard that somebody else has.
_PATIENCE: Final = 40
#: Whether a server that is left alone may be used again is asked after so many seconds at the latest.
_ASK: Final = 15.0
_ASKED_AGAIN: Final = "one message tries it out when its pause is over; newsletter status says when"


class Hand:
    """A process that sends shards, over connections that it keeps from one to the next.

    Args:
        parts: what to work with.
        keeper: gives its signs of life.
        smtp: how it reaches the mail server; so many connections has each shard that is sent at once.
    """

    def __init__(self, parts: Parts, keeper: Keeper, smtp: SmtpSettings) -> None:
        self.parts = parts
        self.keeper = keeper
        self.smtp = smtp
        self.transport = KeptTransport(SmtpTransport(smtp), smtp.per_connection)
        #: Until when the server need not be asked about, on the loop's clock, and why.
        self._resting_until = 0.0
        self._resting_why = ""

    async def deliver(
        self,
        shard: Shard,
        stop: asyncio.Event,
        *,
        on_progress: Callable[[Progress], None],
        on_watch: Callable[[datetime, int], None] = lambda _, __: None,
    ) -> SendReport | None:
        """Send a shard; None where it is somebody else's, or has become so.

        Raises:
            SchemaError, StoreError: this process must send no more, or the database does not answer.
            MessageError: a rendering cannot be made into messages.
            TransportError: the mail server is left alone for now, by all.
        """
        parts, store, loop = self.parts, self.parts.store, asyncio.get_running_loop()
        if self.keeper.is_clock_off:
            return None
        if loop.time() < self._resting_until:
            raise TransportError(self._resting_why, hint=_ASKED_AGAIN)
        lease = store.lease_shard(shard.issue_id, shard.number, self.keeper.who, parts.on_unknown)
        if lease is None:
            return None
        # A name for each shard: of those that are sent at once here, one tries the server out.
        who = f"{self.keeper.who}/{shard.issue_id}/{shard.number}"
        ending = asyncio.Event()
        follow = asyncio.ensure_future(_following(stop, ending))
        try:
            with self.keeper.holding(lease, lambda: _set(loop, ending)):
                self._ask(who)
                issue = store.issue_by_id(shard.issue_id)
                report = await deliver_in_turn(
                    issue,
                    store.leased(lease),
                    self.smtp,
                    clock=parts.clock,
                    on_unknown=parts.on_unknown,
                    on_progress=on_progress,
                    on_watch=on_watch,
                    stop=ending,
                    hours=parts.hours.get(issue.digest),
                    transport=self.transport,
                )
        finally:
            follow.cancel()
        if report.is_server_down:
            store.server_failed(self.smtp.server, who, report.stopped or "")
        if issue.canary is not None and store.issue_by_id(issue.id).canary is None:
            # The others need not wait for the next sweep.
            hand_on(parts, issue)
        return None if ending.is_set() and not stop.is_set() else report

    def _ask(self, who: str) -> None:
        """Make sure that the mail server may be used.

        Raises:
            TransportError: it has failed, or wants less, and the others have heard of it.
        """
        store, server = self.parts.store, self.smtp.server
        if not (wait := store.ask_server(server, who)):
            return
        reason = next((one.reason for one in store.open_circuits() if one.server == server), "")
        self._resting_until = asyncio.get_running_loop().time() + min(wait, _ASK)
        self._resting_why = f"the mail server {server} is left alone for now: {reason}"
        raise TransportError(self._resting_why, hint=_ASKED_AGAIN)


async def _following(stop: asyncio.Event, ending: asyncio.Event) -> None:
    await stop.wait()
    ending.set()


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    # A loop that is closed has nobody left to stop.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(event.set)


async def share(
    parts: Parts, issues: Sequence[Issue], smtp: SmtpSettings, *, me: Identity, watch: Watch, stop: asyncio.Event
) -> list[SendReport]:
    """Send our share of issues that were handed out, until nothing of them is left that may go now.

    Who else sends them does so meanwhile; what others leave when they die is ours as well.

    Raises:
        StoreError, MessageError: as `deliver`; what is left stays with whoever sends.
    """
    with at_work(parts, me, concurrency=1) as keeper:
        hand = Hand(parts, keeper, smtp)
        try:
            reports = [await _Share(hand, issue, watch, stop).all() for issue in issues]
        finally:
            await hand.transport.close()
    judge(parts)
    return reports


async def share_one(
    parts: Parts,
    issue: Issue,
    row: int,
    smtp: SmtpSettings,
    *,
    me: Identity,
    on_progress: Callable[[Progress], None],
    stop: asyncio.Event,
) -> SendReport:
    """Deliver one row, that waits, of an issue that others may be sending; `SendReport.counts` is of that row alone.

    While somebody else has its shard it is theirs: then it is told how it stands, after a while.
    """
    store = parts.store
    store.share_out(issue.id)
    shard = store.shard_of(issue.id, row)
    with at_work(parts, me, concurrency=1) as keeper:
        for _ in range(_PATIENCE):
            lease = (
                None
                if shard is None or keeper.is_clock_off
                else store.lease_shard(issue.id, shard.number, me.who, parts.on_unknown)
            )
            if lease is not None:
                with keeper.holding(lease, lambda: None):
                    return await deliver(
                        issue,
                        store.leased(lease).only([row]),
                        smtp,
                        clock=parts.clock,
                        on_unknown=parts.on_unknown,
                        on_progress=on_progress,
                        stop=stop,
                    )
            if stop.is_set() or store.only([row]).counts(issue.id).keys().isdisjoint(UNSETTLED):
                break
            await _rest(stop)
    return SendReport(
        issue=issue, counts=store.only([row]).counts(issue.id), sent_now=0, seconds=0.0, is_handed_out=True
    )


async def _rest(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LOOK):
            await stop.wait()


async def alone(parts: Parts, issue: Issue, smtp: SmtpSettings, watch: Watch, stop: asyncio.Event) -> SendReport:
    """Deliver an issue as the one process that may; the caller holds the store's lock and has recovered the issue."""
    know_links(issue, parts.store)
    report = await deliver_in_turn(
        issue,
        parts.store,
        smtp,
        clock=parts.clock,
        on_unknown=parts.on_unknown,
        on_progress=watch.delivered,
        on_watch=watch.watching,
        stop=stop,
        hours=parts.hours.get(issue.digest),
    )
    judge_failures(parts.store, parts.bounce_rules, clock=parts.clock)
    return report


def hand_out(parts: Parts, issue: Issue) -> SendReport:
    """Leave an issue to whoever sends (`share`), and say how it stands."""
    store = parts.store
    know_links(issue, store)
    store.share_out(issue.id)
    waiting, opens_at = store.postponed(issue.id)
    return SendReport(
        issue=issue,
        counts=store.counts(issue.id),
        sent_now=0,
        seconds=0.0,
        next_attempt_at=store.next_attempt(issue.id),
        waiting=waiting,
        opens_at=opens_at,
        is_handed_out=True,
    )


def hand_on(parts: Parts, issue: Issue) -> None:
    """Tell workers of what may go by now of an issue: its canary is over, or a person has let it go on."""
    store = parts.store
    if not store.is_shared or not store.workers():
        return
    store.share_out(issue.id)
    if ready := store.ready_shards(issue.id):
        store.hand_out(parts.hand_out, ready)


def judge(parts: Parts) -> None:
    """Judge what servers have refused, unless somebody is at it."""
    with suppress(BusyError), parts.store.lock("judging"):
        judge_failures(parts.store, parts.bounce_rules, clock=parts.clock)


class _Share:
    """Our share of one issue."""

    def __init__(self, hand: Hand, issue: Issue, watch: Watch, stop: asyncio.Event) -> None:
        self._hand = hand
        self._store = hand.parts.store
        self._clock = hand.parts.clock
        self._issue = issue
        self._watch = watch
        self._stop = stop
        self._began = self._clock.monotonic()
        self._learned: list[str] = []
        self._progress = Progress(total=self._left())

    async def all(self) -> SendReport:
        if self._hand.keeper.is_clock_off:
            words = clock_words(self._hand.keeper.clock_off)
            return self._report(f"{words}: nothing is sent from here", "set it (NTP), or send from another machine")
        while not self._stop.is_set():
            self._store.share_out(self._issue.id)
            try:
                report = await self._next()
            except TransportError as error:
                return self._report(str(error), error.hint)
            if report is not None and report.stopped and not self._stop.is_set():
                return self._report(report.stopped, report.hint)
            if report is None and not self._store.is_being_sent(self._issue.id):
                return self._report(self._interrupted())
            if report is None:
                await _rest(self._stop)
        return self._report("stopped when asked to; what is left waits in the outbox")

    async def _next(self) -> SendReport | None:
        """Send one shard, whichever we get; None where there is none for us now."""
        was = self._progress

        def progressed(now: Progress) -> None:
            self._progress = Progress(
                total=max(was.total, was.settled + now.settled),
                sent=was.sent + now.sent,
                deferred=was.deferred + now.deferred,
                failed=was.failed + now.failed,
                held=was.held + now.held,
                suppressed=was.suppressed + now.suppressed,
            )
            self._watch.delivered(self._progress)

        for shard in self._store.ready_shards(self._issue.id, limit=20):
            report = await self._hand.deliver(shard, self._stop, on_progress=progressed, on_watch=self._watch.watching)
            if report is not None:
                self._learned += report.learned
                return report
        return None

    def _left(self) -> int:
        return sum(self._store.counts(self._issue.id).get(state, 0) for state in UNSETTLED)

    def _interrupted(self) -> str | None:
        now = self._store.issue(self._issue.number, self._issue.digest)
        if now is not None and now.state is IssueState.open:
            return None
        name = f"issue {self._issue.number} of {self._issue.digest}"
        return (now.state_reason if now else "") or f"{name} was paused or cancelled meanwhile"

    def _report(self, stopped: str | None, hint: str | None = None) -> SendReport:
        store, issue = self._store, self._issue
        counts = store.counts(issue.id)
        waiting, opens_at = store.postponed(issue.id)
        return SendReport(
            issue=issue,
            counts=counts,
            sent_now=self._progress.sent,
            seconds=self._clock.monotonic() - self._began,
            next_attempt_at=store.next_attempt(issue.id),
            waiting=waiting,
            opens_at=opens_at,
            stopped=stopped if any(counts.get(state) for state in UNSETTLED) else None,
            hint=hint,
            learned=tuple(dict.fromkeys(self._learned)),
        )

"""A few get the issue first; the others wait until it is known that servers take it.

    go ahead    the first rows, drawn by lot (`Store.ahead`), go out as always
    watch       until `wait` has passed since they were settled; who was deferred is tried again meanwhile
    judge       too many refused: the issue is paused with the reason, until a person decides
    go on       else the canary is over, durably, and everybody else gets the issue

How far it has come is read from the rows at every step, so a run that dies
anywhere in between is taken up by the next one where it was: nobody is mailed
twice, and the waiting time goes on and does not begin anew.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from newsletter.clock import Clock
from newsletter.delivery.deliver import deliver
from newsletter.delivery.files import FilesTransport
from newsletter.delivery.ports import Outbox, Progress, Transport
from newsletter.delivery.smtp import SmtpSettings
from newsletter.hours import Hours
from newsletter.model import Ahead, Canary, CanaryRule, DeliveryState, Issue, IssueState, OnUnknown, SendReport

#: Seconds between two looks at whether the watch is to go on.
_LOOK: Final = 5.0


class CanaryOutbox(Outbox, Protocol):
    """What a canary needs of the store beside the outbox."""

    def ahead(self, issue_id: int, first: int) -> Ahead:
        """The rows that go first, and what has come of them."""
        ...

    def only(self, delivery_ids: Iterable[int]) -> Outbox:
        """An outbox that has these deliveries and no others."""
        ...

    def end_canary(self, issue_id: int) -> None:
        """Let the others have the issue."""
        ...

    def stop_canary(self, issue_id: int, reason: str) -> bool:
        """Pause the issue until a person decides."""
        ...


def canary_for(rule: CanaryRule | None, recipients: int) -> Canary | None:
    """How many go first; none where that would be everybody."""
    if rule is None:
        return None
    first = rule.first if isinstance(rule.first, int) else math.ceil(rule.first * recipients)
    return None if first >= recipients else Canary(first=first, wait=rule.wait, stop_at=rule.stop_at)


async def deliver_in_turn(
    issue: Issue,
    outbox: CanaryOutbox,
    settings: SmtpSettings | FilesTransport,
    *,
    clock: Clock,
    on_unknown: OnUnknown = OnUnknown.resend,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_watch: Callable[[datetime, int], None] = lambda _, __: None,
    stop: asyncio.Event | None = None,
    hours: Hours | None = None,
    transport: Transport | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> SendReport:
    """Deliver an issue, to its canary first if it still has one (see `deliver`).

    Args:
        issue: frozen and open.
        outbox: the store.
        settings: the mail server, or a folder.
        clock: what time it is.
        on_unknown: what becomes of a message of which nobody knows whether it arrived.
        on_progress: told after every message.
        on_watch: told until when the first are watched, and how many they are.
        stop: when set, what is in flight is finished and nothing else begun.
        hours: when messages may begin.
        transport: as for `deliver`.
        sleep: waits for seconds.

    Raises:
        StoreError, MessageError: as `deliver`.
    """
    stop = stop or asyncio.Event()
    began, sent_first = clock.monotonic(), 0

    async def run(outbox: Outbox) -> SendReport:
        return await deliver(
            issue,
            outbox,
            settings,
            clock=clock,
            on_unknown=on_unknown,
            on_progress=on_progress,
            stop=stop,
            hours=hours,
            transport=transport,
            sleep=sleep,
        )

    if issue.canary is not None:
        watch = _Watch(issue, issue.canary, outbox, clock=clock, stop=stop, sleep=sleep, on_watch=on_watch)
        report = await watch.all(run)
        sent_first = watch.sent
        if report is not None:
            waiting, opens_at = outbox.postponed(issue.id)
            return replace(
                report,
                counts=outbox.counts(issue.id),
                waiting=waiting,
                opens_at=opens_at,
                next_attempt_at=outbox.next_attempt(issue.id),
                sent_now=sent_first,
                seconds=clock.monotonic() - began,
            )
    report = await run(outbox)
    return replace(report, sent_now=sent_first + report.sent_now, seconds=clock.monotonic() - began)


class _Watch:
    """One canary, from its first message to its verdict."""

    def __init__(
        self,
        issue: Issue,
        canary: Canary,
        outbox: CanaryOutbox,
        *,
        clock: Clock,
        stop: asyncio.Event,
        sleep: Callable[[float], Awaitable[None]],
        on_watch: Callable[[datetime, int], None],
    ) -> None:
        self.sent = 0
        self._issue = issue
        self._canary = canary
        self._outbox = outbox
        self._clock = clock
        self._stop = stop
        self._sleep = sleep
        self._on_watch = on_watch
        self._waited = 0.0

    async def all(self, run: Callable[[Outbox], Awaitable[SendReport]]) -> SendReport | None:
        """Send to the first, watch, judge; a report where the others do not get it now, None where they do."""
        issue, canary = self._issue, self._canary
        while True:
            ahead = self._outbox.ahead(issue.id, canary.first)
            report = await run(self._outbox.only(ahead.ids))
            self.sent += report.sent_now
            if report.stopped:
                return report
            ahead = self._outbox.ahead(issue.id, canary.first)
            if (why := self._interrupted()) is not None:
                return replace(report, stopped=why)
            if ahead.watched_from is None:
                if ahead.ids:
                    # The server asks all of them to come later, and nothing is known yet.
                    return report
                break
            until = ahead.watched_from + timedelta(seconds=canary.wait)
            if self._clock.now() >= until or self._waited >= canary.wait:
                break
            self._on_watch(until, len(ahead.ids))
            await self._rest(min(until, ahead.next_attempt_at or until))
            if (why := self._interrupted()) is not None:
                return replace(report, stopped=why)
        return self._judged(report, ahead)

    def _judged(self, report: SendReport, ahead: Ahead) -> SendReport | None:
        number, refused = len(ahead.ids), ahead.counts.get(DeliveryState.failed, 0)
        if not number or refused / number <= self._canary.stop_at:
            self._outbox.end_canary(self._issue.id)
            return None
        reason = (
            f"the canary stopped it: {refused:,} of the first {number:,} were refused "
            f"({refused / number:.0%}, more than {self._canary.stop_at:.0%}); the last: {ahead.last_refusal}"
        )
        if not self._outbox.stop_canary(self._issue.id, reason):
            reason = self._interrupted() or reason
        name = self._issue.number
        hint = f"newsletter issue resume {name} sends it to the others, newsletter issue cancel {name} never does"
        return replace(report, stopped=reason, hint=hint)

    async def _rest(self, until: datetime) -> None:
        """Wait, but no longer than the whole watch, whatever the clock on the wall does."""
        while not self._stop.is_set():
            left = min((until - self._clock.now()).total_seconds(), self._canary.wait - self._waited)
            if left <= 0 or self._state() is not IssueState.open:
                return
            began = self._clock.monotonic()
            stopped = asyncio.ensure_future(self._stop.wait())
            slept = asyncio.ensure_future(self._sleep(min(left, _LOOK)))
            try:
                await asyncio.wait((stopped, slept), return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (stopped, slept):
                    task.cancel()
                await asyncio.gather(stopped, slept, return_exceptions=True)
            self._waited += self._clock.monotonic() - began

    def _interrupted(self) -> str | None:
        """Why the watch cannot go on; None if it can."""
        if self._stop.is_set():
            return "stopped when asked to, while the canary was watched; the others wait in the outbox"
        now = self._outbox.issue(self._issue.number, self._issue.digest)
        if now is not None and now.state is IssueState.open:
            return None
        name = f"issue {self._issue.number} of {self._issue.digest}"
        return (now.state_reason if now else "") or f"{name} was paused or cancelled meanwhile"

    def _state(self) -> IssueState | None:
        now = self._outbox.issue(self._issue.number, self._issue.digest)
        return None if now is None else now.state

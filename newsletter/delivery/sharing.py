"""The rates of a run that is one of many: permissions to begin are fetched a few at a time from where all fetch them.

A permission holds for a short time (`lasts`) after which it lapses, and counts
for a window as if it had been used at its end, until its holder says at the
next request when it was, or that it was not.  So no window of a rate's length
sees more than it allows, over all machines, whatever their clocks say; what is
in the hands of somebody who is killed is lost for one window.  Of a rate, at
most `lasts` in each window stays unused while many ask for little; who sends
without a break loses a twentieth of a window, at most 50 ms, by which windows
are kept longer than they are (`store.allowances`).
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Final

from newsletter.clock import Clock
from newsletter.delivery.limits import OTHERS, Pacers, Rate, longest_window
from newsletter.delivery.ports import Outbox, Shared
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import StoreError
from newsletter.model import Allowed, Grant, Need, ServerLimits, Spent

#: A permission holds for this share of a rate's shortest window, and for so many seconds at most; but for so many times
#: as long as it takes to get one, up to so many seconds: one that has lapsed on its way is none.
_LASTS: Final = (0.2, 1.0)
_ON_ITS_WAY: Final = (3.0, 30.0)
#: Nobody fetches more than this share of a rate at once, nor, of usual rates, so many.
_SHARE: Final = 4
_MOST: Final = 50
#: Before it is known how fast we are.
_FIRST: Final = 5
#: So many domains are asked for at once.
_DOMAINS: Final = 20
#: Somebody may give something back: it is asked again after this share of a window, between so many seconds.
_AGAIN: Final = (0.1, 0.5, 5.0)
#: And not before this share of the time for which a permission holds: by then there are more than one.
_SOONEST: Final = 0.5
#: Seconds below which nothing is measured.
_TINY: Final = 0.001


def pacers_for(smtp: SmtpSettings, outbox: Outbox, clock: Clock, learned: ServerLimits) -> "Pacers | SharedPacers":
    """The rates of a run, which know what earlier runs sent: the publisher's, and those the server has taught us."""
    of_all = (*smtp.rates, *(Rate(count=count, seconds=seconds) for count, seconds in learned.rates))
    if outbox.is_shared:
        return SharedPacers(of_all, smtp.per_domain, server=smtp.server, shared=outbox, clock=clock)
    rates = [*of_all, *(rate for rates in smtp.per_domain.values() for rate in rates)]
    if not rates:
        return Pacers(clock=clock)
    since = clock.now() - timedelta(seconds=longest_window(rates))
    past = outbox.settled_since(since, sum(rate.count for rate in rates))
    return Pacers(of_all, smtp.per_domain, clock=clock, past=past)


@dataclass(slots=True)
class _Held:
    """A grant in our hands; times are those of the clock that never jumps."""

    id: int
    #: How many may still begin.
    left: int
    #: How many did; the last at `last`.
    begun: int
    #: Just before it was asked for, which is not after it was granted.
    asked_at: float
    last: float
    lasts: float
    #: On the database's clock.
    until: datetime

    def is_fresh(self, now: float) -> bool:
        return now < self.asked_at + self.lasts

    def spent(self) -> Spent:
        """What has become of it; its last message began so much before its end, or earlier."""
        early = self.lasts - (self.last - self.asked_at)
        return Spent(grant=self.id, number=self.begun, until=self.until - timedelta(seconds=early))


class _Stock:
    """The permissions of one scope that we have."""

    def __init__(self, rates: Sequence[Rate]) -> None:
        self.held: list[_Held] = []
        #: Messages that have their turn, and did not begin yet.
        self.reserved = 0
        #: Messages that began without a permission: second tries.
        self.owed = 0
        #: Until when there is nothing to be had.
        self.nothing_until = 0.0
        #: How many we could use while they hold, by what we used last.
        self.pace = _FIRST
        self.set_rates(rates)

    def set_rates(self, rates: Sequence[Rate]) -> None:
        """Keep to these."""
        self.rates = tuple(rates)
        share, longest = _LASTS
        self.lasts = min(longest, share * min(rate.seconds for rate in rates))
        # A fast rate would have to be asked for too often, a few at a time.
        fast = min(int(rate.count * self.lasts / rate.seconds) for rate in rates) // _SHARE
        part, soonest, latest = _AGAIN
        self.again = min(max(part * longest_window(rates), soonest), latest)
        self.most = max(1, min(max(_MOST, fast), *(rate.count // _SHARE for rate in rates)))

    def fresh(self, now: float) -> int:
        """How many may begin now."""
        return sum(one.left for one in self.held if one.is_fresh(now))

    def lacks(self, now: float) -> bool:
        """Whether there is none for another one."""
        return self.fresh(now) <= self.reserved

    def wait(self, now: float) -> float:
        """Seconds until another one may have its turn, as far as we know."""
        return max(self.nothing_until - now, _TINY) if self.lacks(now) else 0.0

    def use(self, now: float) -> None:
        """One begins now."""
        found = next((one for one in self.held if one.left and one.is_fresh(now)), None)
        if found is None:
            self.owed += 1
            return
        found.left -= 1
        found.begun += 1
        found.last = now

    def over(self, now: float) -> list[_Held]:
        """What is used up or has lapsed, which is ours no more."""
        gone = [one for one in self.held if not one.left or not one.is_fresh(now)]
        self.held = [one for one in self.held if one.left and one.is_fresh(now)]
        for one in gone:
            if one.left:
                self.pace = one.begun + 1
            else:
                self.pace = int(one.begun * one.lasts / max(one.last - one.asked_at, _TINY)) + 1
        return gone

    def need(self, scope: str, wanted: int, now: float, took: float = 0.0) -> Need:
        """What to ask for, where so many wait; the last answer took so many seconds."""
        times, longest = _ON_ITS_WAY
        lasts = max(self.lasts, min(times * took, longest))
        lost = max(self.reserved - self.fresh(now), 0)
        rates = tuple((rate.count, rate.seconds) for rate in self.rates)
        number = min(wanted, self.most) + lost
        return Need(scope=scope, number=number, rates=rates, lasts=lasts, owed=self.owed)

    def take(self, grant: Grant, need: Need, asked_at: float) -> None:
        """Have what was granted; what was owed had begun before."""
        self.owed -= need.owed
        self.held.append(
            _Held(
                id=grant.id,
                left=grant.number,
                begun=need.owed,
                asked_at=asked_at,
                last=asked_at,
                lasts=need.lasts,
                until=grant.until,
            )
        )


class SharedPacers:
    """The rates of a run that is one of many; used like `limits.Pacers`.

    Nothing is asked while there is something in stock, and of a domain that has
    had enough nothing before its time.

    Args:
        rates: for all messages together.
        per_domain: by domain (A-labels, lower case), or `OTHERS`.
        server: "host:port"; what is sent to others does not count.
        shared: where all fetch their permissions, and find what was sent before.
        clock: for the seconds that never jump.
    """

    def __init__(
        self,
        rates: Sequence[Rate],
        per_domain: Mapping[str, Sequence[Rate]],
        *,
        server: str,
        shared: Shared,
        clock: Clock,
    ) -> None:
        self._server = server
        self._shared = shared
        self._clock = clock
        self._all = _Stock(rates) if rates else None
        self._per_domain = per_domain
        self._domains: dict[str, _Stock | None] = {}
        #: Of which something is in our hands.
        self._in_use: dict[str, _Stock] = {}
        self._asking = Counter[str]()
        self._turn = asyncio.Lock()
        self._paused_until = 0.0
        #: Seconds that an answer took, of late at most.
        self._took = 0.0

    def slow_down(self, rate: Rate, began: float) -> None:  # noqa: ARG002
        """Keep to another rate for all messages: one that the server has taught us.

        All that was sent before counts, as it does for others.
        """
        others = () if self._all is None else (one for one in self._all.rates if one.seconds != rate.seconds)
        self._keep_to((*others, rate))

    def wait(self, domain: str) -> float:
        """Seconds until a message to this domain may start, as far as we know; 0.0 for at once."""
        now = self._clock.monotonic()
        return max(self._paused_until - now, 0.0, *(stock.wait(now) for _, stock in self._stocks(domain)))

    def lacks(self, domains: Mapping[str, int]) -> Mapping[str, int]:
        """For which domains others must be asked, and may be, now; the first few, with how many messages wait."""
        now = self._clock.monotonic()
        if now < self._paused_until:
            return {}
        asked = (domain for domain in domains if self._is_to_ask(domain, now))
        return {domain: domains[domain] for domain in islice(asked, _DOMAINS)}

    async def ask(self, domains: Mapping[str, int]) -> None:
        """Fetch permissions for messages to these domains, and say what has come of earlier ones.

        Raises:
            StoreError: nobody answers.
        """
        self._asking.update(domains)
        try:
            async with self._turn:
                # Whoever stood before us may have asked for us too.
                if any(self._is_to_ask(domain, self._clock.monotonic()) for domain in domains):
                    await self._fetch()
        finally:
            self._asking.subtract(domains)
            self._asking += Counter[str]()

    def holds(self, domain: str) -> bool:
        """Whether a message that has its turn may start now: it is not too late for what was granted."""
        now = self._clock.monotonic()
        return all(stock.fresh(now) for _, stock in self._stocks(domain))

    def reserve(self, domain: str) -> None:
        """A message to this domain will start as soon as it can."""
        for _, stock in self._stocks(domain):
            stock.reserved += 1

    def release(self, domain: str) -> None:
        """One for which there was a place has started, or will not after all."""
        for _, stock in self._stocks(domain):
            stock.reserved = max(stock.reserved - 1, 0)

    def begin(self, domain: str) -> None:
        """A message to this domain starts now."""
        now = self._clock.monotonic()
        for scope, stock in self._stocks(domain):
            stock.use(now)
            self._in_use[scope] = stock

    async def close(self) -> None:
        """Give back what is not needed any more; where nobody takes it, it lapses."""
        async with self._turn:
            now = self._clock.monotonic()
            spent = [one.spent() for stock in self._in_use.values() for one in stock.held]
            needs = [stock.need(scope, 0, now) for scope, stock in self._in_use.items() if stock.owed]
            if spent or needs:
                with suppress(StoreError):
                    await asyncio.to_thread(self._shared.allow, self._server, needs, spent, rules=self._rules())
            self._in_use.clear()

    def _stocks(self, domain: str) -> Iterator[tuple[str, _Stock]]:
        if self._all is not None:
            yield "", self._all
        if self._per_domain and (own := self._own(domain)) is not None:
            yield domain, own

    def _own(self, domain: str) -> _Stock | None:
        if domain not in self._domains:
            rates = self._per_domain.get(domain, self._per_domain.get(OTHERS, ()))
            self._domains[domain] = _Stock(rates) if rates else None
        return self._domains[domain]

    def _is_to_ask(self, domain: str, now: float) -> bool:
        lacking = [stock for _, stock in self._stocks(domain) if stock.lacks(now)]
        return bool(lacking) and all(stock.nothing_until <= now for stock in lacking)

    def _keep_to(self, rates: Sequence[Rate]) -> None:
        if self._all is None:
            self._all = _Stock(rates)
        else:
            self._all.set_rates(rates)

    async def _fetch(self) -> None:
        now = self._clock.monotonic()
        needs = self._needs(now)
        over = [one.spent() for stock in self._in_use.values() for one in stock.over(now)]
        allowed = await asyncio.to_thread(self._allowed, needs, over)
        after = self._clock.monotonic()
        self._took = max(after - now, self._took / 2)
        for need in needs:
            stock = self._all if not need.scope else self._own(need.scope)
            assert stock is not None
            if (grant := allowed.grants.get(need.scope)) is not None:
                stock.take(grant, need, now)
                self._in_use[need.scope] = stock
            if (wait := allowed.waits.get(need.scope)) is not None:
                stock.nothing_until = after + min(max(wait, _SOONEST * need.lasts), stock.again)
        for scope in [scope for scope, stock in self._in_use.items() if not stock.held]:
            del self._in_use[scope]
        if allowed.pause > 0:
            self._paused_until = after + min(allowed.pause, _AGAIN[-1])
        known = () if self._all is None else self._all.rates
        learned = [Rate(count=count, seconds=seconds) for count, seconds in allowed.rates]
        if new := [rate for rate in learned if rate not in known]:
            self._keep_to((*known, *new))

    def _needs(self, now: float) -> list[Need]:
        """What to ask for all who wait; for all messages first."""
        domains = [domain for domain in self._asking if self._is_to_ask(domain, now)]
        needs = []
        if self._all is not None and self._all.lacks(now):
            waiting = sum(self._asking[domain] for domain in domains)
            needs.append(self._all.need("", max(waiting, self._all.pace), now, self._took))
        for domain in domains if self._per_domain else ():
            own = self._own(domain)
            if own is not None and own.lacks(now):
                needs.append(own.need(domain, self._asking[domain], now, self._took))
        return needs

    def _allowed(self, needs: Sequence[Need], spent: Sequence[Spent]) -> Allowed:
        """Ask; on a thread of its own."""
        rules = self._rules()
        allowed = self._shared.allow(self._server, needs, spent, rules=rules)
        if not allowed.is_known:
            allowed = self._shared.allow(self._server, needs, spent, rules=rules, past=self._past())
        return allowed

    def _past(self) -> list[tuple[float, str]]:
        """How many seconds ago messages were answered for that our rates count, by scope."""
        of_all = () if self._all is None else self._all.rates
        rates = [*of_all, *(rate for rates in self._per_domain.values() for rate in rates)]
        now = self._clock.now()
        settled = self._shared.settled_since(
            now - timedelta(seconds=longest_window(rates)), sum(rate.count for rate in rates)
        )
        found = []
        for moment, domain in settled:
            age = max((now - moment).total_seconds(), 0.0)
            if of_all:
                found.append((age, ""))
            if self._per_domain.get(domain, self._per_domain.get(OTHERS)):
                found.append((age, domain))
        return found

    def _rules(self) -> str:
        """Stands for all the rates."""
        of_all = () if self._all is None else self._all.rates
        rules = {"": of_all, **self._per_domain}
        said = sorted((scope, sorted((rate.count, rate.seconds) for rate in rates)) for scope, rates in rules.items())
        return sha256(repr(said).encode()).hexdigest()[:12]

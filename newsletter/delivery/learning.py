"""What a server's refusals say about its limits: learned while we send, and remembered.

Three limits are told apart.  How many messages it takes over one connection: it
ends connections after the same number of them.  How many connections: it turns
one away while others work.  How many messages in a time: it defers with words
about rate or quota; then we wait, ask with one message at a time, and know from
how long it took which window the number belongs to.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from newsletter.clock import Clock
from newsletter.delivery.attempt import Outcome
from newsletter.delivery.limits import Rate
from newsletter.model import ServerLimits

#: Windows in which servers count, and until how long a wait means that it was this one.
_WINDOWS: Final = ((60.0, 90.0), (3_600.0, 5_400.0), (86_400.0, float("inf")))
#: Seconds of the first wait, and of the longest.
_FIRST_WAIT: Final = 60.0
_LONGEST_WAIT: Final = 900.0
#: After so many seconds of waiting in a row the run ends; the next one goes on.
_ENOUGH: Final = 1_800.0
#: So many connections must end after the same number of messages.
_AGREEING: Final = 2

_ABOUT_RATE: Final = re.compile(
    r"(?i)rate.?limit|throttl|slow down|too (?:fast|quickly|frequent)"
    r"|too (?:many|much) (?:[a-z]+ ){0,2}(?:messages?|e?-?mails?|recipients|connections|requests|sessions)"
    r"|(?:hourly|daily|sending|message|send|outgoing|connection) (?:rate |message )?(?:limit|quota)"
    r"|(?:rate|limit|quota) (?:has been |was |is )?(?:exceeded|reached)|exceed\w* .{0,40}(?:rate|limit|quota)"
)
#: The recipient's mailbox or the server's disk, not our pace (RFC 3463 X.2.2, X.3.1).
_ABOUT_ROOM: Final = re.compile(r"(?i)\b[45]\.(?:2\.2|3\.1)\b|mailbox|disk|storage|over ?quota")
#: What holds for one connection is over with it, and waiting would not help.
_ABOUT_THIS_CONNECTION: Final = re.compile(r"(?i)(?:this|per|one|single|each) (?:smtp )?(?:connection|session)")
_ABOUT_CONNECTIONS: Final = re.compile(
    r"(?i)too many (?:[a-z]+ ){0,3}(?:connections|sessions)|connection (?:limit|rate)"
)
_TEMPORARY: Final = 4


def is_about_rate(outcome: Outcome) -> bool:
    """Whether a temporary refusal says that we send too much, and not that somebody's mailbox is full or greylisted."""
    if outcome.code is None or outcome.code // 100 != _TEMPORARY:
        return False
    if _ABOUT_ROOM.search(outcome.text) or _ABOUT_THIS_CONNECTION.search(outcome.text):
        return False
    return _ABOUT_RATE.search(outcome.text) is not None


def is_about_connections(text: str) -> bool:
    """Whether a server that turned a connection away says that it has enough of them."""
    return bool(_ABOUT_CONNECTIONS.search(text))


class Learner:
    """What one run learns of one server.

    Args:
        known: what earlier runs have learned.
        clock: for the seconds that never jump.
        taken: says how many messages the server has taken of all who send, in so many seconds up to now.
    """

    def __init__(self, known: ServerLimits, *, clock: Clock, taken: Callable[[float], int] | None = None) -> None:
        self.limits = known
        self._taken = taken
        self._clock = clock
        self._accepted = _Counts()
        self._ended_after: deque[int] = deque(maxlen=_AGREEING)
        #: When the server began to hold us back, when it said so last, and how many it had taken before, by window.
        self._since: float | None = None
        self._said_at = 0.0
        self._before: Mapping[float, int] = {}
        self._wait = 0.0

    @property
    def has_waited_enough(self) -> bool:
        """Whether the server has held us back for so long that this run had better end."""
        return self._since is not None and self._said_at - self._since >= _ENOUGH

    def accepted(self) -> Rate | None:
        """A message was taken; the rate that is now known, if the server had held us back before."""
        now = self._clock.monotonic()
        learned = None if self._since is None else self._rate_after(now - self._since)
        self._since, self._wait = None, 0.0
        self._accepted.add(now)
        if learned is not None:
            others = tuple(one for one in self.limits.rates if one[1] != learned.seconds)
            self.limits = replace(self.limits, rates=(*others, (learned.count, learned.seconds)))
        return learned

    def held_back(self, began: float) -> float | None:
        """The server said that we send too much; seconds to wait before one message asks again.

        Args:
            began: when the message began that it said so to; one that had begun before the
                last such answer says nothing new, and the result is None.
        """
        if self._since is not None and began <= self._said_at:
            return None
        now = self._clock.monotonic()
        if self._since is None:
            self._since = now
            self._before = {seconds: self._accepted_within(seconds, now) for seconds, _ in _WINDOWS}
        self._said_at = now
        self._wait = min(max(2 * self._wait, _FIRST_WAIT), _LONGEST_WAIT)
        return self._wait

    def connection_ended(self, taken: int) -> int | None:
        """A connection would carry no more after so many messages; the limit that is now known, if it is new."""
        self._ended_after.append(taken)
        agree = len(self._ended_after) == _AGREEING and len(set(self._ended_after)) == 1
        if not taken or not agree or taken == self.limits.per_connection:
            return None
        self.limits = replace(self.limits, per_connection=taken)
        return taken

    def connections_refused(self, most: int) -> int | None:
        """Connections were turned away in a run that had so many at a time; the limit that is now known, if it is new."""
        if not most or (self.limits.connections is not None and self.limits.connections <= most):
            return None
        self.limits = replace(self.limits, connections=most)
        return most

    def _accepted_within(self, seconds: float, now: float) -> int:
        # Results of our own may not be on disk yet.
        ours = self._accepted.since(now - seconds)
        return ours if self._taken is None else max(ours, self._taken(seconds))

    def _rate_after(self, waited: float) -> Rate | None:
        """What the server allows, if it takes messages again after so many seconds."""
        seconds = next(seconds for seconds, longest in _WINDOWS if waited <= longest)
        count = self._before.get(seconds, 0)
        return Rate(count=count, seconds=seconds) if count else None


class _Counts:
    """How many messages were taken in the last seconds, for a day, in bounded memory."""

    def __init__(self) -> None:
        self._by_second: deque[list[float]] = deque()

    def add(self, now: float) -> None:
        """Another one."""
        if self._by_second and now - self._by_second[-1][0] < 1.0:
            self._by_second[-1][1] += 1
        else:
            self._by_second.append([now, 1])
            while now - self._by_second[0][0] > _WINDOWS[-1][0]:
                self._by_second.popleft()

    def since(self, moment: float) -> int:
        """How many from then on."""
        return int(sum(count for second, count in self._by_second if second >= moment))

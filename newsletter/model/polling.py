"""When feeds are asked, what their servers wish for, and what is remembered of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What a document says about how often to ask for it; kept until the next document.

    `ttl` is in seconds; `hours` (0 to 23, UTC) and `weekdays` (0 is Monday) are
    those in which not to ask.
    """

    ttl: int | None = None
    hours: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """When a server wants to be asked again, within what we grant.

    `retry_at` is its plain request to be left alone until then (Retry-After),
    `fresh_until` how long its answer holds (Cache-Control, Expires).
    """

    retry_at: datetime | None = None
    fresh_until: datetime | None = None


class Round(StrEnum):
    """Why feeds are asked, hence which of them.

    `named`: a person named them, so all are.  `every`: all but those that are
    paused or whose server asks to be left alone.  `wanted`, for a digest: nor
    those that have just answered and said how long that holds.  `due`: of `every`,
    those whose time has come.
    """

    named = "named"
    every = "every"
    wanted = "wanted"
    due = "due"


class Trouble(StrEnum):
    """What somebody should know about a feed, beside whether it can be read.

    `lost`: entries may have come and gone between two fetches.  `tight`: that is
    about to happen.  `silent`: it used to bring more.  `moved`: it has a new
    address for good.
    """

    failing = "failing"
    paused = "paused"
    lost = "lost"
    tight = "tight"
    silent = "silent"
    moved = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """On which of the last days a feed brought how many entries; the past of its silence detector.

    `days` are (day, entries), oldest first, days without any left out; `pause` is
    the longest time, in days, between two of those that are not remembered any
    more, and `pause_on` when it ended.  A day is its ordinal (`date.toordinal`), UTC.
    """

    days: tuple[tuple[int, int], ...] = ()
    pause: int = 0
    pause_on: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """What is remembered about asking a feed.

    `failures` is how often in a row it could not be read.  `next_at` is when it is
    due, `interval` (seconds) what was learned of its pace, `window` (seconds) how
    long an entry stays in its document, as last measured; `answered_at` is when its
    server last gave a good answer.  `wish` and `hints` are what server and document
    asked for.  `moved_to` is where it is now for good.  `paused` is why it is not
    asked, where it is not.  `gap` is `lost` or `tight`, with the moment it was
    noticed and a sentence.  `silent` is a sentence where the feed is quiet for
    longer than its past explains, `silent_from` the day (ordinal) on which it will
    be.  `told` are the troubles that the last send has told of.
    """

    url: str
    failures: int = 0
    next_at: datetime | None = None
    interval: float | None = None
    window: float | None = None
    answered_at: datetime | None = None
    wish: Wish = Wish()
    hints: Hints = Hints()
    moved_to: str | None = None
    paused: str | None = None
    gap: Trouble | None = None
    gap_at: datetime | None = None
    gap_words: str | None = None
    silent: str | None = None
    silent_from: int | None = None
    told: tuple[Trouble, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedNews:
    """Something about a feed that has changed and that somebody should know.

    `trouble` is what began (or, with `over`, ended); `words` say it, `hint` what
    to do.
    """

    url: str
    title: str | None
    trouble: Trouble
    words: str
    hint: str | None = None
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchProgress:
    """How far a round of fetching is: `waiting_for` is the feed that was asked first of those that still owe an answer."""

    done: int
    total: int
    failed: int
    waiting_for: str | None = None
    waiting: int = 0

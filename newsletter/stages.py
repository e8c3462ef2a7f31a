"""What the stages of the pipeline are given, and whom they tell."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from newsletter.clock import Clock, Ids
from newsletter.delivery.ports import Progress
from newsletter.feeds.asking import FetchLimits, Secret
from newsletter.feeds.workers import Here, Reader
from newsletter.hours import Hours
from newsletter.issues.digest import DigestRules
from newsletter.issues.render import Masthead, Templates
from newsletter.model import (
    BounceRules,
    CanaryRule,
    Draft,
    Feed,
    FeedNews,
    FetchProgress,
    FetchResult,
    Issue,
    OnUnknown,
    SendReport,
    StoredDraft,
    Subscriber,
)
from newsletter.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """A digest as the stages need it: what goes in, how it looks, who signs it.

    `note` is the editor's, as Markdown; one that the last issue had is left out,
    unless `repeat_note` says that it is meant again.  `hidden` are ids of
    entries that the editor leaves out.
    """

    rules: DigestRules
    feeds: tuple[Feed, ...]
    masthead: Masthead
    templates: Templates
    from_name: str
    from_email: str
    reply_to: str | None
    list_id: str
    unsubscribe_email: str
    mention_edits: bool = False
    note: str = ""
    repeat_note: bool = False
    canary: CanaryRule | None = None
    hidden: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHome:
    """The list is at home in the store: `people` yields who is in its table, perhaps `without_reserved` domains."""

    without_reserved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The concrete parts that `app` picked for this run.

    `digests_of` names, per feed address, the digests that have the feed;
    `people` yields the subscribers of a digest, streaming, as often as asked, and
    `count` says how many they are, where that can be known without reading them;
    `reader` reads documents: here, unless somebody picks processes for it;
    `bounce_rules` say which refusals stop mail to a person.  `secrets` are, by
    feed address, what fetches the headers that hold its password; `failing_after`
    is after how many failures in a row a feed is in trouble; `hours` are, by digest,
    those in which it may be mailed, None for always; `hand_out` tells workers of new
    shards, within the transaction that makes them (`Store.freeze`); `listed` says whom of the
    store's own table `people` yields, None where they come from elsewhere.
    """

    store: Store
    digests_of: Mapping[str, tuple[str, ...]]
    people: Callable[[str], Iterable[Subscriber]]
    limits: FetchLimits
    first_run: int | None
    on_unknown: OnUnknown
    clock: Clock
    ids: Ids
    reader: Reader = field(default_factory=Here)
    bounce_rules: BounceRules = field(default_factory=BounceRules)
    secrets: Mapping[str, Secret] = field(default_factory=dict[str, Secret], repr=False)
    failing_after: int = 3
    count: Callable[[str], int] | None = None
    hours: Mapping[str, Hours | None] = field(default_factory=dict[str, "Hours | None"])
    hand_out: Callable[[Any, Sequence[tuple[int, int]]], object] = lambda _, __: None
    listed: AtHome | None = None

    def recipients(self, digest: str) -> int:
        """How many people get a digest."""
        return sum(1 for _ in self.people(digest)) if self.count is None else self.count(digest)


class Watch(Protocol):
    """Somebody who wants to see a send happen, and may say no to it."""

    def fetching(self, progress: FetchProgress) -> None:
        """A feed is being asked, or has answered."""

    def fetched(self, result: FetchResult) -> None:
        """One feed has been polled, and what it held is recorded."""

    def heard(self, items: Sequence[FeedNews]) -> None:
        """All feeds have been polled; what has changed about them since the last send."""

    def finishing(self, issue: Issue) -> None:
        """An issue that an earlier run left unfinished is taken up again."""

    def illustrated(self, draft: Draft) -> None:
        """The letter has its pictures; `Draft.missing_pictures` names those it could not get."""

    def agrees(self, draft: Draft, recipients: int) -> bool:
        """Whether this draft may become an issue and go to that many people."""
        ...

    def frozen(self, issue: Issue) -> None:
        """The issue is durable; delivery begins."""

    def delivered(self, progress: Progress) -> None:
        """Another message is settled."""

    def watching(self, until: datetime, first: int) -> None:
        """So many have got the issue before the others; what servers say of it is watched until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a run of `send` did.

    `news` is what has changed about the feeds; `finished` are older issues it completed; `draft` is None where the run was
    stopped before building; `recipients` is None where nothing was new, and 0
    where there was nobody to mail; `report` is None where nothing was sent;
    `kept` is the draft that now waits for an editor.
    """

    finished: tuple[SendReport, ...] = ()
    fetched: tuple[FetchResult, ...] = ()
    news: tuple[FeedNews, ...] = ()
    draft: Draft | None = None
    recipients: int | None = None
    declined: bool = False
    report: SendReport | None = None
    kept: StoredDraft | None = None

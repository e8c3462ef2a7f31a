"""Feed histories: whatever a feed does, every story it showed us is in exactly one issue.

Hypothesis writes the lives of two feeds (new, late, undated and future-dated
stories, edits, changed guids, a move to another host, stories that vanish and
come back, fetches and freezes that fail, cancelled issues, entries that settle), the real program
reads them from real files into a real database, and the test counts.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from newsletter import pipeline
from newsletter.errors import StoreError
from newsletter.model import Disposition, Feed
from tests.conftest import FakeClock, counting_ids
from tests.pipeline.parts import parts_for, publication_for

FIRST_RUN = 3


@dataclass(frozen=True)
class Form:
    """All by which a page could be known."""

    host: str
    guid: str | None
    title: str
    text: str
    date: datetime | None


@dataclass
class Story:
    """What a publisher means by one entry, whatever its feed calls it today."""

    number: int
    guid: str | None
    path: str | None
    title: str
    text: str
    date: datetime | None
    shown: bool = True
    #: As the last document had it that had it at all, of those somebody has read.
    seen: Form | None = None
    #: Whether a document was read since then that did not have it.
    missed: bool = False


@dataclass
class Site:
    """One feed as its publisher runs it."""

    path: Path
    host: str
    stories: list[Story] = field(default_factory=list)
    fetched: bool = False
    #: Stories that a successful fetch has seen after the first, or that the first one offered.
    owed: set[int] = field(default_factory=set)
    #: Stories that the first fetch saw and did not offer.
    baseline: set[int] = field(default_factory=set)

    def write(self) -> None:
        """Publish the document as it stands."""
        items = []
        for story in self.visible():
            lines = [f"<title>{escape(story.title)}</title>", f"<description>{escape(story.text)}</description>"]
            if story.guid:
                lines.append(f'<guid isPermaLink="false">{escape(story.guid)}</guid>')
            if story.path:
                lines.append(f"<link>https://{self.host}/{story.path}</link>")
            if story.date:
                lines.append(f"<pubDate>{format_datetime(story.date)}</pubDate>")
            items.append(f"<item>{''.join(lines)}</item>")
        self.path.write_text(
            '<?xml version="1.0"?><rss version="2.0"><channel>'
            f"<title>{self.host}</title><link>https://{self.host}/</link><description/>{''.join(items)}</channel></rss>",
            encoding="utf-8",
        )

    def visible(self) -> list[Story]:
        return [story for story in reversed(self.stories) if story.shown]

    def form(self, story: Story) -> Form:
        return Form(host=self.host, guid=story.guid, title=story.title, text=story.text, date=story.date)

    def be_read(self) -> None:
        """Note what somebody has just seen of each story."""
        for story in self.stories:
            if story.shown:
                story.seen, story.missed = self.form(story), False
            elif story.seen:
                story.missed = True

    def is_beyond_recognition(self, story: Story) -> bool:
        """Whether a page that is away, or was, has nothing left to be known by (see `FeedLives.move`)."""
        then, now = story.seen, self.form(story)
        if then is None or not story.path or (story.shown and not story.missed):
            return False
        agreements = (then.title == now.title) + (then.text == now.text) + (then.date == now.date is not None)
        return then.host != now.host and (now.guid is None or now.guid != then.guid) and agreements <= 1

    @contextmanager
    def change(self) -> Iterator[None]:
        """Publish what the block does, or leave all of it undone if it makes a page unrecognisable."""
        before = self.host, deepcopy(self.stories)
        yield
        if any(map(self.is_beyond_recognition, self.stories)):
            self.host, self.stories = before
        self.write()


class FeedLives(RuleBasedStateMachine):
    """The rules by which feeds live, and the sum that must come out."""

    @initialize(settle=st.sampled_from([0.0, 0.0, 3_600.0, 48 * 3_600.0]))
    def begin(self, settle: float) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="newsletter-lives-")
        root = Path(self.folder.name)
        self.clock = FakeClock()
        self.sites = [Site(path=root / f"{name}.xml", host=f"{name}.example.com") for name in ("north", "south")]
        publication = publication_for(self.sites)
        self.publication = replace(publication, feeds=tuple(replace(f, settle=settle) for f in publication.feeds))
        self.parts = parts_for(root, self.sites, clock=self.clock, ids=counting_ids(), first_run=FIRST_RUN)
        self.numbers = 0
        self.slots = 0
        for site in self.sites:
            site.write()

    def teardown(self) -> None:
        if not hasattr(self, "parts"):
            return
        for site in self.sites:
            for story in site.stories:
                story.shown = True
            site.write()
        self._fetch(self.sites)
        for site in self.sites:
            # What the flood guard holds waits for a person, who has now looked.
            self.parts.store.release_held(str(site.path), ["daily"], discard=False)
        # Longer than anything may settle.
        self.clock.advance(timedelta(days=9))
        self._freeze()
        self._judge(final=True)
        self.parts.store.close()
        self.folder.cleanup()

    # ------------------------------------------------------- what publishers do

    @rule(
        which=st.integers(0, 1),
        dates=st.lists(st.sampled_from(["now", "late", "very late", "future", "none"]), min_size=1, max_size=4),
        identity=st.sampled_from(["guid and link", "guid", "link", "neither"]),
    )
    def publish(self, which: int, dates: list[str], identity: str) -> None:
        site = self.sites[which]
        for kind in dates:
            self.numbers += 1
            ages = {"now": 0, "late": 3, "very late": 400, "future": -9}
            site.stories.append(
                Story(
                    number=self.numbers,
                    guid=f"tag:{self.numbers}" if "guid" in identity else None,
                    path=f"story/{self.numbers}" if "link" in identity else None,
                    title=f"Story number {self.numbers}",
                    text=f"What happened, part {self.numbers}.",
                    date=None if kind == "none" else self.clock.now() - timedelta(days=ages[kind]),
                )
            )
        site.write()

    @rule(which=st.integers(0, 1), pick=st.integers(0, 30), more=st.booleans())
    def edit(self, which: int, pick: int, more: bool) -> None:
        """The text changes, and perhaps the title or the date.

        Only a story with a guid or a link can be known again.  Text, title
        *and* date all new under a new guid would be another story at a reused
        address, so one story never gets all three.
        """
        site = self.sites[which]
        known = [story for story in site.stories if story.guid or story.path]
        if known:
            with site.change():
                story = known[pick % len(known)]
                story.text += " Corrected."
                if more and story.number % 2:
                    story.title += " (updated)"
                elif more and story.date:
                    story.date = self.clock.now()

    @rule(which=st.integers(0, 1), pick=st.integers(0, 30))
    def change_guid(self, which: int, pick: int) -> None:
        site = self.sites[which]
        linked = [story for story in site.stories if story.path]
        if linked:
            with site.change():
                story = linked[pick % len(linked)]
                story.guid = f"{story.guid}+" if story.guid else f"new:{story.number}"

    @rule(which=st.integers(0, 1), guids=st.booleans())
    def move(self, which: int, guids: bool) -> None:
        """The site moves to another host; perhaps the guids of its pages change with it.

        A page is then known by its path, and by title, text or date.  While the
        pages beside it move from one document to the next, one of the three is
        enough.  A page that is out of the feed meanwhile needs two: when it is
        back at another address, under another guid or none, and of title, text
        and date no more than one is the same, it looks exactly like another
        page.  A site in two languages has such pages (one path, one date, two
        hosts, all words different), so have two blogs in one feed (`/about`,
        "About"); whoever took them for one would lose a story.  Nothing decides
        that, so here no page does it (`Site.change`); anything less it may do.
        """
        site = self.sites[which]
        with site.change():
            site.host = f"moved{len(site.host)}.{site.host}"
            for story in site.stories:
                before = story.guid
                if guids and story.guid and story.path:
                    story.guid = f"https://{site.host}/?p={story.number}"
                    if site.is_beyond_recognition(story):
                        story.guid = before

    @rule(which=st.integers(0, 1), pick=st.integers(0, 30), shown=st.booleans())
    def vanish_or_return(self, which: int, pick: int, shown: bool) -> None:
        site = self.sites[which]
        if site.stories:
            with site.change():
                site.stories[pick % len(site.stories)].shown = shown

    @rule(hours=st.sampled_from([1, 24, 24 * 40]))
    def wait(self, hours: int) -> None:
        self.clock.advance(timedelta(hours=hours))

    # -------------------------------------------------------- what the program does

    @rule(which=st.sets(st.integers(0, 1), min_size=1))
    def fetch(self, which: set[int]) -> None:
        self._fetch([self.sites[i] for i in which])

    @rule(which=st.integers(0, 1), how=st.sampled_from(["gone", "html", "cut"]))
    def fetch_in_vain(self, which: int, how: str) -> None:
        site = self.sites[which]
        if how == "gone":
            site.path.unlink()
        else:
            site.path.write_text("<html><title>Log in</title></html>" if how == "html" else "", encoding="utf-8")
        results = asyncio.run(pipeline.fetch(self.parts, [self._feed(site)]))
        assert [bool(result.error) for result in results] == [True]
        site.write()

    @rule(which=st.sampled_from([{0, 1}, {0}, {1}, set[int]()]))
    def send(self, which: set[int]) -> None:
        """What `newsletter send` does on a day: the feeds that answer, then an issue."""
        self._fetch([self.sites[i] for i in sorted(which)])
        self._freeze()

    @rule()
    def send_in_vain(self) -> None:
        """The freeze dies before its commit: nothing may have changed."""
        draft = pipeline.build(self.parts, self.publication)
        if draft.total == 0:
            return

        def die(step: str) -> None:
            if step == "freeze:before-commit":
                raise StoreError("the power went")

        with pytest.raises(StoreError):
            pipeline.freeze(self.parts, self.publication, draft, slot=self._slot(), trace=die)

    @precondition(lambda self: self.slots > 0)
    @rule()
    def cancel_the_last(self) -> None:
        """A cancelled issue of which nothing went out gives its entries back."""
        issues = self.parts.store.issues("daily", 1)
        if issues:
            self.parts.store.cancel(issues[0].id)

    @invariant()
    def nobody_gets_it_twice(self) -> None:
        if hasattr(self, "parts"):
            self._judge(final=False)

    # ---------------------------------------------------------------------- help

    def _feed(self, site: Site) -> Feed:
        return Feed(url=str(site.path))

    def _slot(self) -> str:
        self.slots += 1
        return f"slot {self.slots}"

    def _fetch(self, sites: list[Site]) -> None:
        results = asyncio.run(pipeline.fetch(self.parts, [self._feed(site) for site in sites]))
        for site, result in zip(sites, results, strict=True):
            assert result.error is None
            site.be_read()
            seen = [story.number for story in site.visible()]
            if site.fetched:
                site.owed.update(set(seen) - site.baseline)
                continue
            site.fetched = True
            assert result.offered == min(FIRST_RUN, len(seen))
            waiting = self.parts.store.waiting("daily", [str(site.path)])
            offered = {int(stored.entry.title.split()[2]) for stored in waiting}
            site.owed.update(offered)
            site.baseline.update(set(seen) - offered)

    def _freeze(self) -> None:
        draft = pipeline.build(self.parts, self.publication)
        if draft.total:
            pipeline.freeze(self.parts, self.publication, draft, slot=self._slot())
        self.clock.advance(60)

    def _judge(self, *, final: bool) -> None:
        printed: Counter[int] = Counter()
        for issue in self.parts.store.issues("daily"):
            if issue.state == "cancelled":
                continue
            for stored, consumed in self.parts.store.issue_entries(issue.id):
                assert consumed.disposition in (Disposition.shown, Disposition.headline)
                printed[int(stored.entry.title.split()[2])] += 1
        assert [n for n, times in printed.items() if times > 1] == [], "sent twice"
        owed = set().union(*(site.owed for site in self.sites))
        assert set(printed) - owed == set(), "sent, though never owed"
        if final:
            assert owed - set(printed) == set(), "never sent"


TestFeedLives = FeedLives.TestCase
TestFeedLives.settings = settings(max_examples=40, stateful_step_count=25, deadline=None, print_blob=True)


@pytest.mark.soak
def test_many_more_lives() -> None:
    """The same, long enough to find what a short run misses."""
    run_state_machine_as_test(FeedLives, settings=settings(max_examples=2_000, stateful_step_count=40, deadline=None))

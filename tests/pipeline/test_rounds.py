"""Rounds of fetching on a real server, with a clock that can be turned: whom they ask, and what they learn."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from newsletter import pipeline
from newsletter.clock import Ids
from newsletter.feeds.polling import GONE
from newsletter.model import Feed, FeedStatus, FetchProgress, FetchResult, Round, Trouble
from newsletter.rounds import news
from newsletter.stages import Parts
from tests.conftest import FakeClock
from tests.feeds.site import serving
from tests.pipeline.parts import parts_for

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass
class Paper:
    """A feed of a news site: its entries, newest first, with their dates; the document has the first `window`."""

    clock: FakeClock
    window: int = 10
    entries: list[tuple[int, datetime]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    about: str = ""
    paged: str = ""
    moved: tuple[int, str] | None = None
    body: bytes | None = None
    asked: list[str] = field(default_factory=list)
    dated: bool = True
    slow_pages: float = 0.0

    def write(self, number: int = 1) -> None:
        for _ in range(number):
            self.entries.insert(0, (len(self.entries) + 1, self.clock.now()))

    def document(self, page: int = 0) -> bytes:
        shown = self.entries[page * self.window : (page + 1) * self.window]
        items = "".join(
            f"<item><guid>n{number}</guid><title>Story {number} of the day</title>"
            f"<link>https://paper.example/{number}</link>"
            + (f"<pubDate>{format_datetime(when, usegmt=True)}</pubDate>" if self.dated else "")
            + "</item>"
            for number, when in shown
        )
        older = ""
        if self.paged and (page + 1) * self.window < len(self.entries):
            older = f'<atom:link rel="{self.paged}" href="/feed?page={page + 1}"/>'
        return (
            '<?xml version="1.0"?><rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel>'
            f"<title>Paper</title><link>https://paper.example/</link>{older}{self.about}{items}</channel></rss>"
        ).encode()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path_qs)
        if self.moved and request.path == "/feed":
            return web.Response(status=self.moved[0], headers={"Location": self.moved[1]})
        if "page" in request.query:
            await asyncio.sleep(self.slow_pages)
        body = self.body if self.body is not None else self.document(int(request.query.get("page", 0)))
        return web.Response(status=self.status, headers=self.headers, body=body if self.status == 200 else b"no")


@dataclass
class Desk:
    """Parts of a project with one feed, and a short way to fetch it."""

    parts: Parts
    clock: FakeClock
    paper: Paper
    feed: Feed

    async def fetch(self, kind: Round = Round.every) -> FetchResult | None:
        results = await pipeline.fetch(self.parts, [self.feed], kind=kind)
        return results[0] if results else None

    @property
    def poll(self) -> Any:
        return self.parts.store.polls([self.feed.url])[self.feed.url]

    @property
    def waiting(self) -> list[str]:
        return [one.entry.guid for one in self.parts.store.waiting("daily", [self.feed.url])]


@pytest.fixture
def run(tmp_path: Path, clock: FakeClock, ids: Ids) -> Callable[[Callable[[Desk], Awaitable[None]]], None]:
    """Run a scenario with a desk whose paper is on a server."""

    def runner(scenario: Callable[[Desk], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with AsyncExitStack() as stack:
                paper = Paper(clock)
                base = await stack.enter_async_context(serving(paper.handle))
                parts = parts_for(tmp_path, [], clock=clock, ids=ids, first_run=3)
                feed = Feed(url=f"{base}/feed", allow_private=True)
                parts = replace(parts, digests_of={feed.url: ("daily",)})
                stack.callback(parts.store.close)
                await scenario(Desk(parts, clock, paper, feed))

        asyncio.run(whole())

    return runner


Run = Callable[[Callable[[Desk], Awaitable[None]]], None]

# ------------------------------------------------------------------------- whom a round asks


def test_a_due_round_asks_when_the_time_has_come_and_a_named_one_always(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(3)
        await desk.fetch(Round.due)
        assert await desk.fetch(Round.due) is None
        desk.clock.advance(timedelta(minutes=50))
        assert await desk.fetch(Round.due) is None
        desk.clock.advance(timedelta(minutes=10))
        assert await desk.fetch(Round.due) is not None
        assert await desk.fetch(Round.every) is not None
        assert await desk.fetch(Round.wanted) is not None
        assert await desk.fetch(Round.named) is not None

        assert 5 == len(desk.paper.asked)

    run(scenario)


@pytest.mark.parametrize(
    ("headers", "about", "wait"),
    [
        ({"Cache-Control": "max-age=14400"}, "", 4 * HOUR),
        ({"Cache-Control": "max-age=31536000"}, "", 12 * HOUR),
        ({}, "<ttl>300</ttl>", 5 * HOUR),
        ({}, "<ttl>99999</ttl>", 12 * HOUR),
        ({"Retry-After": "86400"}, "", DAY),
        # It is seven in the morning, on a Monday.
        ({}, "<skipHours><hour>7</hour><hour>8</hour><hour>9</hour></skipHours>", 3 * HOUR),
        ({}, "<skipDays><day>Monday</day></skipDays>", 17 * HOUR),
    ],
)
def test_what_server_and_document_ask_for_comes_first(
    run: Run, headers: dict[str, str], about: str, wait: timedelta
) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.headers, desk.paper.about = headers, about
        desk.paper.write(3)
        await desk.fetch()

        assert desk.clock.now() + wait == desk.poll.next_at

    run(scenario)


def test_hints_of_a_document_hold_while_it_is_unchanged(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.about, desk.paper.headers = "<ttl>300</ttl>", {"ETag": '"1"'}
        desk.paper.write(3)
        await desk.fetch()
        desk.clock.advance(6 * HOUR)
        desk.paper.status = 304
        result = await desk.fetch()

        assert result is not None
        assert result.unchanged
        assert desk.clock.now() + 5 * HOUR == desk.poll.next_at

    run(scenario)


def test_a_digest_takes_an_answer_for_fresh_only_just_now_and_only_if_the_server_says_so(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(3)
        await desk.fetch()
        assert (await desk.fetch(Round.wanted)).spared is None  # type: ignore[union-attr]
        desk.paper.headers = {"Cache-Control": "max-age=7200"}
        await desk.fetch()
        desk.clock.advance(timedelta(minutes=14))
        spared = await desk.fetch(Round.wanted)
        assert spared is not None
        assert "the answer holds" in (spared.spared or "")
        assert (None, None) == ((await desk.fetch(Round.every)).spared, (await desk.fetch(Round.named)).spared)  # type: ignore[union-attr]
        desk.clock.advance(timedelta(minutes=16))
        assert (await desk.fetch(Round.wanted)).spared is None  # type: ignore[union-attr]

    run(scenario)


def test_a_digest_new_to_a_feed_that_is_not_asked_gets_its_first_entries(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.headers = {"Cache-Control": "max-age=7200"}
        desk.paper.write(5)
        await desk.fetch()
        desk.parts = replace(desk.parts, digests_of={desk.feed.url: ("daily", "weekly")})
        result = await desk.fetch(Round.wanted)

        assert result is not None
        assert (1, 3) == (len(desk.paper.asked), result.offered)
        assert 3 == len(desk.parts.store.waiting("weekly", [desk.feed.url]))

    run(scenario)


@pytest.mark.parametrize("status", [429, 503, 200])
def test_a_server_that_asks_for_rest_is_left_alone_but_by_who_names_its_feed(run: Run, status: int) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(3)
        desk.paper.status, desk.paper.headers = status, {"Retry-After": "7200"}
        await desk.fetch()
        desk.paper.status, desk.paper.headers = 200, {}
        desk.clock.advance(timedelta(minutes=119))
        for kind in (Round.every, Round.wanted):
            spared = await desk.fetch(kind)
            assert spared is not None
            assert spared.spared == "its server asks to be left alone for 1 minute"
        assert await desk.fetch(Round.due) is None
        assert 1 == len(desk.paper.asked)
        desk.clock.advance(timedelta(minutes=1))
        assert (await desk.fetch(Round.wanted)).spared is None  # type: ignore[union-attr]

    run(scenario)


def test_a_daily_digest_is_not_a_day_late_because_a_good_answer_asked_for_a_day_of_rest(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(3)
        desk.paper.headers = {"Retry-After": "86400"}
        await desk.fetch(Round.wanted)
        desk.clock.advance(DAY - timedelta(seconds=20))
        assert await desk.fetch(Round.due) is None
        assert (await desk.fetch(Round.wanted)).spared is None  # type: ignore[union-attr]
        desk.clock.advance(11 * HOUR)
        assert (await desk.fetch(Round.wanted)).spared is not None  # type: ignore[union-attr]

    run(scenario)


def test_a_clock_that_was_wrong_silences_no_feed(run: Run) -> None:
    """A fetch in the year 2036, by mistake, and then it is 2026 again."""

    async def scenario(desk: Desk) -> None:
        desk.paper.headers = {"Cache-Control": "max-age=7200", "Retry-After": "3600"}
        desk.paper.write(3)
        desk.clock.advance(3650 * DAY)
        await desk.fetch()
        desk.clock.advance(-3650 * DAY)
        for kind in Round:
            result = await desk.fetch(kind)
            assert result is not None
            assert result.spared is None
            desk.clock.advance(2 * HOUR)

    run(scenario)


def test_a_failing_feed_is_asked_less_and_less_and_then_as_before(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(3)
        await desk.fetch()
        desk.paper.status = 500
        waits = []
        for _ in range(8):
            await desk.fetch()
            waits.append((desk.poll.next_at - desk.clock.now()).total_seconds() / 3600)
        assert waits == sorted(waits)
        assert (0.9 <= waits[0] <= 1, 11.9 <= waits[-1] <= 12) == (True, True)
        desk.paper.status = 200
        await desk.fetch()
        assert desk.poll.next_at - desk.clock.now() <= HOUR

    run(scenario)


def test_a_feed_that_is_gone_is_paused_and_asked_when_somebody_says_so(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(3)
        await desk.fetch()
        desk.paper.status = 410
        result = await desk.fetch()
        assert result is not None
        assert ("it is not asked any more",) == result.notes
        [health] = desk.parts.store.feed_health([desk.feed.url])
        assert (FeedStatus.paused, GONE) == (health.status, health.paused)
        for kind in (Round.every, Round.wanted):
            assert (await desk.fetch(kind)).spared == f"paused: {GONE}"  # type: ignore[union-attr]
        desk.clock.advance(30 * DAY)
        assert await desk.fetch(Round.due) is None
        assert 2 == len(desk.paper.asked)
        # What waits goes out all the same, and one that is back is polled again.
        assert 3 == len(desk.waiting)
        desk.paper.status = 200
        assert (await desk.fetch(Round.named)).error is None  # type: ignore[union-attr]
        assert None is desk.poll.paused

    run(scenario)


def test_what_a_person_has_paused_waits_for_that_person(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        assert desk.parts.store.pause_feed(desk.feed.url, "by hand")
        assert not desk.parts.store.pause_feed(desk.feed.url, "by hand")
        desk.paper.write(3)
        assert (await desk.fetch(Round.wanted)).spared == "paused: by hand"  # type: ignore[union-attr]
        await desk.fetch(Round.named)
        assert "by hand" == desk.poll.paused
        assert desk.parts.store.pause_feed(desk.feed.url, None)
        assert (await desk.fetch(Round.due)).spared is None  # type: ignore[union-attr]

    run(scenario)


# ------------------------------------------------------------------------- its own pace


async def live(desk: Desk, days: float, *, each: timedelta) -> None:
    """Let days pass: a story every so often, and cron every quarter of an hour, which asks when the feed is due."""
    step = timedelta(minutes=15)
    end, written = desk.clock.now() + days * DAY, desk.clock.now()
    while desk.clock.now() < end:
        while written + each <= desk.clock.now():
            written += each
            moment = desk.clock.time
            desk.clock.time = written
            desk.paper.write()
            desk.clock.time = moment
        assert await desk.fetch(Round.due) is not None
        wait = max(desk.poll.next_at - desk.clock.now(), step)
        desk.clock.advance(-(-wait // step) * step)


def test_a_feed_is_asked_at_its_own_pace(run: Run) -> None:
    """Something every four hours: asked every two (more kinds in tests/feeds/test_feeds_polling.py)."""

    async def scenario(desk: Desk) -> None:
        desk.paper.window = 20
        desk.paper.write(3)
        await live(desk, 2, each=4 * HOUR)
        del desk.paper.asked[:]
        await live(desk, 1, each=4 * HOUR)

        assert 10 <= len(desk.paper.asked) <= 14
        assert None is desk.poll.gap

    run(scenario)


def test_the_project_may_say_how_often(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.feed = replace(desk.feed, poll=6 * 3600.0)
        desk.paper.write(3)
        await live(desk, 2, each=HOUR)

        assert len(desk.paper.asked) in (8, 9)

    run(scenario)


# ------------------------------------------------------------------------------- gaps


def test_stories_that_came_and_went_are_told_of_once_and_the_feed_is_asked_more_often(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(10)
        await desk.fetch()
        notes = []
        for _ in range(3):
            # Twenty-four stories a day, and a document of ten, fetched once a day.
            for _ in range(24):
                desk.clock.advance(HOUR)
                desk.paper.write()
            result = await desk.fetch()
            assert result is not None
            notes.append(result.notes)

        assert Trouble.lost is desk.poll.gap
        assert notes[0] == ("none of its 10 entries was there 1 day ago: others may have come and gone meanwhile",)
        assert (desk.poll.next_at - desk.clock.now()) <= 6 * HOUR
        items = news(desk.parts, [desk.feed])
        assert [Trouble.lost] == [one.trouble for one in items]
        assert "newsletter fetch --due" in (items[0].hint or "")
        assert () == news(desk.parts, [desk.feed])

    run(scenario)


def test_a_document_that_is_nearly_all_new_is_a_warning_and_one_fetched_in_time_is_none(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(10)
        await desk.fetch()
        desk.clock.advance(DAY)
        desk.paper.write(8)
        await desk.fetch()
        assert Trouble.tight is desk.poll.gap
        assert desk.poll.gap_words == "8 of its 10 entries are new after 1 day: soon some may come and go unseen"
        desk.clock.advance(8 * DAY)
        desk.paper.write(1)
        await desk.fetch()
        assert None is desk.poll.gap

    run(scenario)


def test_an_outage_of_weeks_says_that_something_may_be_lost_and_a_quiet_feed_does_not(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        await live(desk, 6, each=DAY / 2)
        for weeks, gap in ((3, Trouble.lost), (0, Trouble.lost)):
            desk.clock.advance(weeks * 7 * DAY)
            desk.paper.write(weeks * 14)
            await desk.fetch()
            assert gap is desk.poll.gap
        # A week later the story is old.
        desk.clock.advance(8 * DAY)
        await desk.fetch()
        assert None is desk.poll.gap

    run(scenario)


@pytest.mark.parametrize("relation", ["prev-archive", "next"])
@pytest.mark.parametrize("dated", [True, False])
def test_what_has_gone_from_the_document_comes_from_its_older_pages_once(
    run: Run, relation: str, *, dated: bool
) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.paged, desk.paper.dated = relation, dated
        desk.paper.write(10)
        await desk.fetch()
        before = set(desk.waiting)
        for _ in range(24):
            desk.clock.advance(HOUR)
            desk.paper.write()
        result = await desk.fetch()

        assert result is not None
        assert (24, 24, 0, None) == (result.new, result.offered, result.held, result.error)
        assert [f"n{number}" for number in range(11, 35)] == sorted(
            set(desk.waiting) - before, key=lambda g: int(g[1:])
        )
        assert ["/feed", "/feed", "/feed?page=1", "/feed?page=2"] == desk.paper.asked
        assert "14 entries had gone from it" in desk.poll.gap_words
        # The same document again, and a day's next: nothing comes twice.
        desk.clock.advance(HOUR)
        desk.paper.write()
        again = await desk.fetch()
        assert again is not None
        assert 1 == again.new
        assert 5 == len(desk.paper.asked)

    run(scenario)


def test_the_past_of_a_feed_is_not_dug_up_without_end(run: Run) -> None:
    """Nothing on any page is known: what pages have is left, never mailed as news."""

    async def scenario(desk: Desk) -> None:
        desk.paper.paged = "next"
        desk.paper.write(4)
        await desk.fetch()
        desk.clock.advance(30 * DAY)
        desk.paper.entries = []
        desk.paper.window = 10
        for number in range(5000, 5400):
            desk.paper.entries.append((number, desk.clock.now() - timedelta(hours=number - 5000)))
        result = await desk.fetch()

        assert result is not None
        assert len(desk.paper.asked) <= 12
        assert (10, 0) == (result.new, result.older)
        assert len(desk.waiting) <= 13
        assert Trouble.lost is desk.poll.gap

    run(scenario)


def test_pages_that_lead_in_a_circle_or_nowhere_end(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        for href in ("/feed", "/feed?page=0", "javascript:x", "file:///etc/passwd", "http://[", "/missing"):
            desk.paper.about = f'<atom:link rel="next" href="{href}"/>'
            desk.clock.advance(30 * DAY)
            desk.paper.write(12)
            del desk.paper.asked[:]
            await desk.fetch()
            assert len(desk.paper.asked) <= 3

    run(scenario)


def test_slow_pages_cost_one_deadline_together(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.parts = replace(desk.parts, limits=replace(desk.parts.limits, deadline=0.5))
        desk.paper.paged = "next"
        desk.paper.write(10)
        await desk.fetch()
        desk.clock.advance(30 * DAY)
        desk.paper.write(200)
        desk.paper.slow_pages = 0.15
        result = await desk.fetch()

        assert result is not None
        assert (10, 0, None) == (result.new, result.older, result.error)
        assert len(desk.paper.asked) < 8

    run(scenario)


# ---------------------------------------------------------------------------- silence


def test_a_feed_that_falls_silent_is_told_of_and_when_it_speaks_again(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        async def days(count: int, number: int) -> list[str]:
            found: list[str] = []
            for _ in range(count):
                desk.clock.advance(DAY)
                desk.paper.write(number)
                result = await desk.fetch()
                assert result is not None
                found += result.notes
            return found

        desk.paper.write(2)
        await desk.fetch()
        assert [] == await days(22, 3)
        assert ["usually 3 a day, none for 5 days"] == await days(9, 0)
        [health] = desk.parts.store.feed_health([desk.feed.url])
        assert "usually 3 a day, none for 9 days" == health.silent
        items = news(desk.parts, [desk.feed])
        assert [Trouble.silent] == [one.trouble for one in items]
        await days(1, 1)
        [over] = news(desk.parts, [desk.feed])
        assert (True, "brings something again") == (over.over, over.words)
        assert () == news(desk.parts, [desk.feed])

    run(scenario)


def test_the_dates_of_a_first_document_are_a_past_too(run: Run) -> None:
    """A feed that was daily for a month, and stopped a month ago, is noticed on the first day."""

    async def scenario(desk: Desk) -> None:
        desk.paper.window = 30
        for _ in range(30):
            desk.clock.advance(DAY)
            desk.paper.write()
        desk.clock.advance(30 * DAY)
        result = await desk.fetch()

        assert result is not None
        assert ("usually 1 a day, none for 30 days",) == result.notes

    run(scenario)


def test_a_break_of_ours_is_no_silence_of_theirs(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.window = 40
        for days, fetched in ((24, True), (25, False), (1, True)):
            for _ in range(days):
                desk.clock.advance(DAY)
                desk.paper.write()
                if fetched:
                    await desk.fetch()

        assert None is desk.poll.silent
        rhythm = desk.parts.store.rhythms([desk.feed.url])[desk.feed.url]
        known = [day for day, _ in rhythm.days]
        # The days we did not look are known by the dates of what came on them.
        assert max(later - earlier for earlier, later in pairwise(known)) <= 1

    run(scenario)


# ------------------------------------------------------------------------------- moves


def test_a_feed_that_has_moved_keeps_its_past_when_its_address_is_written_down(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(5)
        await desk.fetch()
        waiting = desk.waiting
        old, new = desk.feed.url, desk.feed.url.replace("/feed", "/new")
        desk.paper.moved = (301, "/new")
        result = await desk.fetch()
        assert result is not None
        assert (f"has moved for good to {new}",) == result.notes
        assert new == desk.poll.moved_to
        del desk.paper.asked[:]
        desk.clock.advance(DAY)
        await desk.fetch()
        assert ["/new"] == desk.paper.asked

        # Somebody changes newsletter.yaml, by hand or with `feed update-addresses`.
        desk.feed = replace(desk.feed, url=new)
        desk.parts = replace(desk.parts, digests_of={new: ("daily",)})
        desk.paper.write(1)
        again = await desk.fetch()
        assert again is not None
        assert (1, 1) == (again.new, again.offered)
        assert {*waiting, "n6"} == set(desk.waiting)
        assert [new] == [one.url for one in desk.parts.store.feed_health()]
        assert old != new

    run(scenario)


def test_where_a_feed_has_moved_to_is_no_feed_the_old_address_is_asked_again(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(5)
        await desk.fetch()
        desk.paper.moved = (301, "/new")
        await desk.fetch()
        desk.paper.body = b"<html><title>Domain for sale</title></html>"
        await desk.fetch()
        desk.paper.body, desk.paper.moved = None, None
        del desk.paper.asked[:]
        await desk.fetch()

        assert ["/feed"] == desk.paper.asked
        assert None is desk.poll.moved_to

    run(scenario)


def test_a_login_page_behind_a_permanent_redirect_is_not_where_a_feed_has_moved_to(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.write(5)
        await desk.fetch()
        desk.paper.moved, desk.paper.body = (301, "/login"), b"<html><title>Log in</title><form></form></html>"
        await desk.fetch()

        assert None is desk.poll.moved_to

    run(scenario)


def test_two_feeds_that_move_to_one_place_keep_their_pasts_apart(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        other = replace(desk.feed, url=desk.feed.url + "?also")
        desk.parts = replace(desk.parts, digests_of={desk.feed.url: ("daily",), other.url: ("daily",)})
        desk.paper.write(3)
        desk.paper.moved = (301, "/new")
        await pipeline.fetch(desk.parts, [desk.feed, other])
        new = desk.feed.url.replace("/feed", "/new")

        assert {} == desk.parts.store.adopt_moved([new])
        assert {} == desk.parts.store.adopt_moved([new, desk.feed.url, other.url])
        assert {new: desk.feed.url} == desk.parts.store.adopt_moved([new, other.url])

    run(scenario)


# ----------------------------------------------------------------------------- trouble


def test_a_hiccup_is_no_trouble_until_it_lasts(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        def states() -> tuple[FeedStatus, list[tuple[Trouble, bool]]]:
            items = news(desk.parts, [desk.feed])
            [health] = desk.parts.store.feed_health([desk.feed.url], failing_after=3)
            return health.status, [(one.trouble, one.over) for one in items]

        desk.paper.write(3)
        await desk.fetch()
        assert (FeedStatus.ok, []) == states()
        desk.paper.status = 500
        found = []
        for _ in range(5):
            await desk.fetch()
            found.append(states())
        desk.paper.status = 200
        await desk.fetch()
        found.append(states())
        await desk.fetch()
        found.append(states())

        assert [
            (FeedStatus.hiccup, []),
            (FeedStatus.hiccup, []),
            (FeedStatus.failing, [(Trouble.failing, False)]),
            (FeedStatus.failing, []),
            (FeedStatus.failing, []),
            (FeedStatus.ok, [(Trouble.failing, True)]),
            (FeedStatus.ok, []),
        ] == found

    run(scenario)


def test_a_feed_that_was_never_well_is_in_trouble_at_once(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        desk.paper.status = 404
        await desk.fetch()

        assert [Trouble.failing] == [one.trouble for one in news(desk.parts, [desk.feed])]

    run(scenario)


def test_progress_says_who_is_waited_for(run: Run) -> None:
    async def scenario(desk: Desk) -> None:
        shown: list[FetchProgress] = []
        await pipeline.fetch(desk.parts, [replace(desk.feed, title="The Paper")], on_progress=shown.append)

        assert [
            FetchProgress(done=0, total=1, failed=0, waiting_for="The Paper", waiting=1),
            FetchProgress(done=1, total=1, failed=0),
        ] == shown

    run(scenario)

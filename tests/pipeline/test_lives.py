"""Scripted lives of feeds, as feeds really live: every story is in exactly the issue it belongs in.

`tests/pipeline/test_histories.py` invents lives by the hundred; here each has a
name, and says for every story in which issue it must be.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import START
from tests.pipeline.life import LETTER, Item, Life, Press

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(scope="module")
def press() -> Iterator[Press]:
    press = Press()
    yield press
    press.close()


@pytest.fixture
def life(tmp_path: Path, press: Press) -> Iterator[Life]:
    press.documents.clear()
    press.answers.clear()
    life = Life(tmp_path, press)
    yield life
    life.close()


def story(number: int, host: str = "https://news.example.com", **changes: object) -> Item:
    """A story with everything: guid, link, title, text and date."""
    item = Item(
        title=f"Story {number} of the week",
        guid=f"tag:news.example.com,2026:{number}",
        link=f"{host}/2026/story-{number}",
        date=START - DAY * 8 + HOUR * number,
        text=f"What happened in part {number}.",
    )
    return replace(item, **changes)  # type: ignore[arg-type]


def stories(*numbers: int, **changes: object) -> list[Item]:
    return [story(number, **changes) for number in numbers]  # type: ignore[arg-type]


OLD = (5, 4, 3, 2, 1)


def expected(first: tuple[int, ...], *later: tuple[int, int]) -> dict[str, list[int]]:
    """Stories of the first issue, then (story, issue) of the others."""
    pairs = [*((number, 1) for number in first), *later]
    return {f"Story {number} of the week": [issue] for number, issue in pairs}


def test_a_feed_that_gives_all_its_stories_new_guids(life: Life) -> None:
    renamed = [replace(one, guid=f"https://news.example.com/?p={one.title}") for one in stories(6, *OLD)]
    life.days(stories(*OLD), renamed, [replace(story(7), guid="https://news.example.com/?p=7"), *renamed])

    assert expected(OLD, (6, 2), (7, 3)) == life.issues


def test_a_site_that_moves_to_https_and_takes_its_links_for_guids(life: Life) -> None:
    def at(scheme: str, number: int) -> Item:
        link = f"{scheme}://news.example.com/2026/story-{number}"
        return story(number, link=link, guid=link)

    life.days([at("http", n) for n in OLD], [at("https", n) for n in (6, *OLD)], [at("https", n) for n in (7, 6, *OLD)])

    assert expected(OLD, (6, 2), (7, 3)) == life.issues


def test_a_site_that_moves_to_another_host_with_new_guids(life: Life) -> None:
    def there(number: int) -> Item:
        return story(number, "https://journal.example.org", guid=f"https://journal.example.org/?p={number}")

    life.days(stories(*OLD), [there(n) for n in (6, *OLD)], [there(n) for n in (7, 6, *OLD)])

    assert expected(OLD, (6, 2), (7, 3)) == life.issues


def test_a_feed_that_is_dated_anew_as_a_whole(life: Life) -> None:
    """Some systems give every story the moment of the last build."""
    now = [replace(one, date=START + DAY) for one in stories(*OLD)]
    later = [replace(one, date=START + 2 * DAY) for one in stories(6, *OLD)]
    life.days(stories(*OLD), now, later)

    assert expected(OLD, (6, 2)) == life.issues


def test_a_feed_that_orders_its_stories_anew(life: Life) -> None:
    life.days(stories(*OLD), stories(1, 2, 3, 4, 5), stories(3, 1, 6, 5, 2, 4), stories(6, 5, 4, 3, 2, 1))

    assert expected(OLD, (6, 2)) == life.issues


def test_a_short_feed_that_scrolls_between_two_sends(life: Life) -> None:
    """Three places, a new story every two hours, an issue a day: polling each hour loses none."""
    life.publish(stories(3, 2, 1))
    life.send(hours=1)
    for number in range(4, 16):
        life.publish(stories(number, number - 1, number - 2))
        life.poll()
        life.poll()
    life.send()

    assert expected((3, 2, 1), *((number, 2) for number in range(4, 16))) == life.issues


def test_a_feed_that_uses_one_guid_for_every_story(life: Life) -> None:
    def only(number: int) -> Item:
        return story(number, guid="urn:news:latest")

    life.days([only(1)], [only(2)], [only(3)], [only(3)], [only(4), only(3)])

    assert expected((1,), (2, 2), (3, 3), (4, 4)) == life.issues


def test_a_feed_whose_stories_all_lead_to_the_same_page(life: Life) -> None:
    page = "https://news.example.com/changelog"
    documents = [stories(*numbers, link=page) for numbers in ((2, 1), (3, 2, 1), (3, 2, 1), (5, 4, 3))]
    life.days(*documents)

    assert expected((2, 1), (3, 2), (5, 3), (4, 3)) == life.issues


def test_two_stories_of_one_page_and_one_of_its_own(life: Life) -> None:
    page = "https://news.example.com/live"
    both = [story(3, link=page), story(2, link=page), story(1)]
    life.days(both, [story(4, link=page), *both], [story(4, link=page), *both])

    assert expected((3, 2, 1), (4, 2)) == life.issues


def test_a_story_whose_title_and_text_are_corrected(life: Life) -> None:
    corrected = story(5, title="Story 5, corrected", text="It was otherwise.")
    life.days(stories(*OLD), [corrected, *stories(4, 3, 2, 1)], [story(6), corrected, *stories(4, 3, 2)])

    assert expected(OLD, (6, 2)) == life.issues


def test_a_feed_that_is_emptied_and_filled_again(life: Life) -> None:
    life.days(stories(*OLD), [], [], stories(*OLD), stories(6, *OLD))

    assert expected(OLD, (6, 2)) == life.issues


def test_stories_that_come_back_after_many_months(life: Life) -> None:
    """Twenty months later the archive is in the feed again: nothing of it is news."""
    life.days(stories(*OLD), stories(9, 8, 7))
    life.clock.advance(20 * 30 * DAY)
    life.days(stories(9, *OLD), stories(10, 9, *OLD))

    assert expected(OLD, (9, 2), (8, 2), (7, 2), (10, 3)) == life.issues


def test_a_late_story_with_an_old_date_goes_out_once(life: Life) -> None:
    late = story(6, date=START - 400 * DAY)
    life.days(stories(*OLD), [*stories(*OLD), late], [*stories(*OLD), late], [story(7), *stories(*OLD), late])

    assert expected(OLD, (6, 2), (7, 3)) == life.issues


def test_a_story_that_stands_in_the_document_twice(life: Life) -> None:
    tracked = story(2, link="https://news.example.com/2026/story-2?utm_source=rss")
    life.days([story(2), story(2), story(1)], [story(3), story(3), story(2), tracked, story(1)], stories(3, 2, 1))

    assert expected((2, 1), (3, 2)) == life.issues


def test_a_feed_that_adds_parameters_to_its_links(life: Life) -> None:
    """For tracking, then for the language; there are no guids."""

    def with_query(query: str, *numbers: int) -> list[Item]:
        return [story(n, guid="", link=f"https://news.example.com/2026/story-{n}{query}") for n in numbers]

    life.days(
        with_query("", *OLD),
        with_query("?utm_source=rss&utm_medium=feed", 6, *OLD),
        with_query("?utm_source=x", 6, *OLD),
        with_query("?hl=en", 7, 6, *OLD),
        with_query("?hl=en&fbclid=123", 7, 6, *OLD),
    )

    assert expected(OLD, (6, 2), (7, 3)) == life.issues


def test_a_server_that_answers_304_for_days_and_then_has_news(life: Life) -> None:
    life.publish(stories(*OLD))
    for _ in range(8):
        life.send()
    life.publish(stories(6, *OLD))
    life.send()

    assert [200, *[304] * 7, 200] == life.press.answers
    assert expected(OLD, (6, 2)) == life.issues


def test_a_server_that_fails_for_days_loses_nothing_that_is_still_there(life: Life) -> None:
    life.days(stories(*OLD))
    life.fail()
    for _ in range(5):
        life.send()
    life.days(stories(8, 7, 6, 5, 4))

    assert expected(OLD, (8, 2), (7, 2), (6, 2)) == life.issues
    [outage] = life.parts.store.outages(life.feed.url)
    assert (5, START + DAY, START + 6 * DAY) == (outage.times, outage.since, outage.ended_at)


def test_a_feed_whose_address_is_written_otherwise_goes_on(tmp_path: Path, press: Press) -> None:
    """The project's file gets the address with a final slash, as with https or without www; it is no new feed."""
    life = Life(tmp_path, press, first_run=3)
    life.days(stories(3, 2, 1))
    life.path = "/feed/"
    life.move_to(f"{life.press.url}/feed/")
    life.days(stories(9, 8, 7, 6, 5, 3))
    issues = life.issues
    life.close()

    assert expected((3, 2, 1), (9, 2), (8, 2), (7, 2), (6, 2), (5, 2)) == issues


def test_a_page_that_carries_one_story_after_the_other(life: Life) -> None:
    """A reused link with guid, date, title and text all new is another story; the same in a new coat is not."""
    page = "https://news.example.com/today"
    life.days([story(1, link=page)], [story(2, link=page)], [story(2, link=page, guid="other")], [story(3, link=page)])

    assert expected((1,), (2, 2), (3, 3)) == life.issues


def test_stories_without_guid_link_and_date_are_known_by_their_words(life: Life) -> None:
    def bare(*numbers: int) -> list[Item]:
        return [Item(title=f"Story {n} of the week", text=f"What happened in part {n}.") for n in numbers]

    life.days(bare(2, 1), bare(3, 2, 1), bare(1, 2, 3), bare(4, 3, 2))

    assert expected((2, 1), (3, 2), (4, 3)) == life.issues


def test_a_new_feed_with_a_hundred_stories_sends_three(tmp_path: Path, press: Press) -> None:
    life = Life(tmp_path, press, first_run=3)
    life.days(stories(*range(100, 0, -1)), stories(*range(101, 60, -1)))
    issues = life.issues
    life.close()

    assert expected((100, 99, 98), (101, 2)) == issues


def test_what_the_size_budget_shortened_is_written_down(life: Life) -> None:
    """The letter shows all of a story; of thirty long ones there is room for some."""
    text = "A long story. " * 700
    life.letter.write_text(
        LETTER.replace(
            "{{ entry.title }}</p>{% endfor %}\n{% for s",
            "{{ entry.title }}</p>{{ entry.content or entry.summary }}{% endfor %}\n{% for s",
        ),
        encoding="utf-8",
    )
    life.days([replace(one, text=f"{text}{one.title}") for one in stories(*range(1, 31))])
    [issue] = life.parts.store.issues("daily")
    found = life.parts.store.shortened(issue.id)

    assert 20 < len(found) < 30
    assert {"as a short excerpt: the HTML part would be too large"} == set(found.values())


def test_a_site_of_which_nothing_can_be_known_again_is_held_for_a_person(life: Life) -> None:
    """New host, paths, guids, dates and titles at once: neither sent nor lost before somebody has looked."""
    life.days(stories(*range(12, 0, -1)))
    other = [
        Item(title=f"Headline {n}", guid=f"n{n}", link=f"https://else.example.org/{n}", date=START - 30 * DAY)
        for n in range(12)
    ]
    life.days(other, other)

    assert expected(tuple(range(1, 13))) == life.issues
    assert 12 == life.results[1].held
    assert "feed release" in str(life.results[1].warning)
    life.parts.store.release_held(life.feed.url, ["daily"], discard=False)
    life.days(other)
    assert {f"Headline {n}": [2] for n in range(12)} == {
        title: found for title, found in life.issues.items() if title.startswith("Headline")
    }

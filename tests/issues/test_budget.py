"""The size budget: mail programs show the whole letter, and what has no room in it is in the other parts."""

import random
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html

from newsletter.issues.budget import HTML_LIMIT, SizeReport
from newsletter.issues.inline import inline
from newsletter.issues.markdown import link
from newsletter.issues.merge import fill, write
from newsletter.issues.render import Masthead, Renderings, Templates
from newsletter.model import Draft, DraftEntry, Enclosure, Feed, Rendering, StoredEntry
from tests.issues.samples import (
    FEEDS,
    GARDEN,
    GAZETTE,
    HEBREW,
    MASTHEAD,
    TOKEN,
    Shape,
    draft_of,
    entry,
    project,
    reader,
    squeezed,
)

TEMPLATES = Templates()
THEMES = {name: Templates(theme=name) for name in ("default", "compact", "plain")}
WITHOUT_WEB = replace(MASTHEAD, base_url=None)
LONGEST = {
    "subscriber.email": "&" * 64 + "@" + "example." * 23 + "org",
    "unsubscribe_url": "https://wire.example.com/u/daily/" + "x" * 22,
    "preferences_url": "https://wire.example.com/p/daily/" + "x" * 22,
    "view_url": "https://wire.example.com/i/daily/12",
}


def render(
    draft: Draft, masthead: Masthead = MASTHEAD, templates: Templates = TEMPLATES
) -> tuple[Rendering, SizeReport]:
    """The letter with the longest values filled in, and what the budget did to it."""
    renderings = Renderings(draft, masthead, templates, token=TOKEN)
    found = renderings.for_everybody()
    parts: dict[str, Any] = {name: fill(getattr(found, name), TOKEN, LONGEST) for name in ("html", "text", "markdown")}
    return replace(found, **parts), renderings.sizes[found.key]


def plain_entry(number: int, feed: str = GAZETTE, **fields: Any) -> StoredEntry:
    """An entry as they mostly are: some sentences and a picture."""
    fields.setdefault("summary", "<p>" + "Some words here and there now. " * 12 + "</p>")
    fields.setdefault("image", f"https://gazette.example/{number}.jpg")
    return entry(number, feed, **fields)


def many(number: int) -> Draft:
    """That many ordinary entries of three feeds."""
    return draft_of([plain_entry(n, (GAZETTE, GARDEN, HEBREW)[n % 3]) for n in range(1, number + 1)])


def nasty_draft(seed: int, number: int) -> Draft:
    """Entries of all sizes and directions: long titles and addresses, many files, deep nesting, and updated ones."""
    chance = random.Random(seed)
    feeds = [
        Feed(url=f"https://feed{n}.example/rss", max_entries=chance.choice((None, 3)))
        for n in range(1, chance.choice((2, 9, 500)))
    ]
    words = chance.choice(("Words & <b>more</b> here. ", "גשם קל בצפון. ", "日本語の記事です。", "x" * 80 + " "))
    size = chance.choice((1, 10, 100))
    waiting = [
        entry(
            n,
            chance.choice(feeds).url,
            title=f"{n} " + chance.choice(("Plain", "שלום & <i>", "🎈\u202e\"'", "long " * 50)),
            url=f"https://x.example/{n}-" + "u" * chance.choice((1, 20, 300, 20_000 if chance.random() < 0.02 else 1)),
            summary=chance.choice(("", words * size, "<div>" * 300 + words, f"<p>{words}</p>" * size)),
            author=chance.choice((None, "Ines", "&" * 120)),
            image=chance.choice((None, f"https://x.example/{n}.jpg")),
            enclosures=tuple(
                Enclosure(url=f"https://x.example/{n}/{k}" + "m" * 200, media_type="audio/mpeg", length=k)
                for k in range(chance.choice((0, 0, 1, 40)))
            ),
        )
        for n in range(1, number + 1)
    ]
    updated = [entry(1000 + n, title=f"Updated {n}") for n in range(chance.choice((0, 0, 7, 300)))]
    draft = draft_of(waiting, feeds=feeds, edited=updated)

    def longer(found: DraftEntry) -> DraftEntry:
        return replace(found, title=f"{found.title} {'ש &' * 3_300}") if chance.random() < 0.02 else found

    sections = (
        replace(s, entries=tuple(map(longer, s.entries)), more=tuple(map(longer, s.more))) for s in draft.sections
    )
    return replace(draft, sections=tuple(sections))


def entries_of(draft: Draft) -> list[DraftEntry]:
    return [e for s in draft.sections for e in (*s.entries, *s.more)]


NASTY = {
    "seed": st.integers(0, 10_000),
    "number": st.sampled_from((0, 1, 7, 60, 120, 250, 500)),
    "on_the_web": st.booleans(),
    "theme": st.sampled_from(sorted(THEMES)),
}


@settings(max_examples=5, deadline=None)
@given(**NASTY)
def test_any_issue_stays_under_the_limit_and_loses_nothing(
    seed: int, number: int, on_the_web: bool, theme: str
) -> None:
    check_nasty(seed, number, on_the_web, theme)


@pytest.mark.soak
@settings(max_examples=100, deadline=None)
@given(**NASTY)
def test_many_more_issues_do(seed: int, number: int, on_the_web: bool, theme: str) -> None:
    check_nasty(seed, number, on_the_web, theme)


def check_nasty(seed: int, number: int, on_the_web: bool, theme: str) -> None:
    draft = nasty_draft(seed, number)
    masthead = MASTHEAD if on_the_web else WITHOUT_WEB

    letter, report = render(draft, masthead, THEMES[theme])

    assert len(letter.html.encode()) < HTML_LIMIT
    assert draft.total == report.full + report.short + report.headlines + report.counted
    for found in (*entries_of(draft), *draft.updated):
        assert f"{found.title}\n{found.url}\n" in letter.text
        assert link(found.title, found.url) in letter.markdown
    # What is shown is shown in the issue's order, with as many links as the report says.
    shown = [e for e in entries_of(draft) if f'href="{write(e.url or "", "u")}"' in letter.html]
    assert draft.total - report.counted == len(shown)
    hrefs = Shape(letter.html).links
    _check_order(draft, list(dict.fromkeys(url for url in hrefs if url in {e.url for e in shown})))
    foot = squeezed(re.sub("<[^>]*>", "", letter.html))
    assert "1 Example Street, Berlin" in foot
    assert "No. 12 · made with newsletter" in foot.replace("\u2068", "").replace("\u2069", "")
    assert LONGEST["unsubscribe_url"] in hrefs
    assert letter.html.rstrip().endswith("</html>")


def _check_order(draft: Draft, urls: list[str]) -> None:
    """Sections follow one another as in the draft; within one, entries do, and the headlines after them."""
    places = {e.url: (n, k) for n, s in enumerate(draft.sections) for k, e in enumerate((*s.entries, *s.more))}
    found = [places[url] for url in urls]
    assert [section for section, _ in found] == sorted(section for section, _ in found)
    for section in {section for section, _ in found}:
        inside = [place for number, place in found if number == section]
        assert sum(1 for before, after in pairwise(inside) if after < before) <= 1


@pytest.mark.parametrize("number", [100, 500])
def test_a_large_issue_uses_its_room_and_inlines_no_more_than_three_times(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inlined: list[int] = []

    def counting(html: str, token: str) -> str:
        inlined.append(len(html))
        return inline(html, token)

    monkeypatch.setattr("newsletter.issues.render.inline", counting)

    letter, report = render(many(number))

    assert HTML_LIMIT * 0.95 < report.bytes_after < HTML_LIMIT
    assert len(letter.html.encode()) <= report.bytes_after
    assert len(inlined) <= 3
    assert max(inlined) < HTML_LIMIT


def test_a_small_issue_is_left_as_its_theme_shows_it() -> None:
    _, report = render(many(20))

    assert (20, 0, 0, 0) == (report.full, report.short, report.headlines, report.counted)
    assert not report.is_reduced
    assert report.bytes_before == report.bytes_after


def test_the_same_issue_is_shortened_the_same_way_each_time() -> None:
    assert render(many(150)) == render(many(150), templates=Templates())


def test_the_first_stories_stay_whole_and_every_source_keeps_its_first() -> None:
    chatty = [plain_entry(n) for n in range(1, 500)]
    quiet = [plain_entry(900, GARDEN, title="Quiet one"), plain_entry(901, HEBREW, title="Quiet two")]

    letter, report = render(draft_of([*chatty, *quiet]))

    page = lxml_html.fromstring(letter.html)
    own_heading = [h3.text_content() for h3 in page.xpath("//h3[a]")]
    assert ["Title number 1", "Title number 2", "Title number 3", "Quiet one", "Quiet two"] == own_heading
    assert 5 == len(page.xpath("//img"))
    assert 5 == report.full
    assert report.counted > 0
    assert f"and {report.counted} more" in squeezed(page.text_content())


def test_one_enormous_entry_does_not_crowd_out_the_others() -> None:
    files = tuple(Enclosure(url=f"https://x.example/{k}" + "m" * 500, media_type=None, length=None) for k in range(200))
    enormous = plain_entry(0, title="Enormous", enclosures=files)
    others = [plain_entry(n) for n in range(1, 31)]

    letter, report = render(draft_of([enormous, *others]))

    assert (30, 0, 1, 0) == (report.full, report.short, report.headlines, report.counted)
    assert "Enormous" in letter.html
    assert all(found.url in letter.text for found in files)


def test_what_is_left_out_is_linked_to_where_it_is() -> None:
    with_web, report = render(many(520))
    without_web, _ = render(many(520), WITHOUT_WEB)

    note = lxml_html.fromstring(with_web.html).xpath("//p[@class='after'][a[text()='Read on the web']]")[0]
    assert note.text_content().startswith(f"and {report.counted} more")
    assert LONGEST["view_url"] == note.find("a").get("href")
    assert "more · in the plain text of this message" in squeezed(re.sub("<[^>]*>", "", without_web.html))


def test_updated_entries_are_counted_before_new_ones_are() -> None:
    updated = [entry(1000 + n, title=f"Updated {n}") for n in range(300)]

    letter, report = render(draft_of([plain_entry(n) for n in range(1, 301)], edited=updated))

    assert 0 == report.counted
    assert report.updated_counted > 0
    assert all(f"Updated {n}\n" in letter.text for n in range(300))


def test_room_is_kept_for_the_longest_values_of_merge_fields(tmp_path: Path) -> None:
    greeting = (
        '{% extends "default/issue.html.j2" %}'
        "{% block preheader %}<p>{{ subscriber.attributes.motto }}</p>{{ super() }}{% endblock %}"
    )
    renderings = Renderings(many(200), MASTHEAD, project(tmp_path, issue_html=greeting), token=TOKEN)

    found = renderings.for_everybody()

    motto = {"subscriber.attributes.motto": "<" * 2_000}
    assert len(fill(found.html, TOKEN, {**LONGEST, **motto}).encode()) < HTML_LIMIT
    assert len(found.html.encode()) < HTML_LIMIT - 7_000


def test_templates_that_decide_on_the_reader_keep_to_the_limit_too(tmp_path: Path) -> None:
    asking = (
        '{% extends "default/issue.html.j2" %}'
        '{% block preheader %}{% if subscriber.attributes.city == "Bergen" %}<p>Rain.</p>{% endif %}{% endblock %}'
    )
    renderings = Renderings(many(110), MASTHEAD, project(tmp_path, issue_html=asking), token=TOKEN)

    found = [renderings.for_subscriber(reader(city=city)) for city in ("Bergen", "Oslo", "Bergen")]

    assert found[0] is found[2]
    assert ["Rain." in each.html for each in found] == [True, False, True]
    assert {each.key for each in found} == set(renderings.sizes)
    assert all(report.fits and report.is_reduced for report in renderings.sizes.values())


def test_rules_by_position_do_not_break_the_limit(tmp_path: Path) -> None:
    odd = (
        '{% extends "default/issue.html.j2" %}'
        "{% block styles %}{{ super() }}"
        "h3 + p {border-left: 3px solid #123456; padding-left: 10px; background-color: #fefefe;}"
        "ul.plain li:nth-child(even) {color: #333333; background-color: #eeeeee; padding: 3px 5px 7px 9px;}"
        "{% endblock %}"
    )

    _, report = render(many(400), templates=project(tmp_path, issue_html=odd))

    assert report.fits
    assert report.is_reduced


def test_a_template_too_large_by_itself_is_reported_and_nothing_is_left_out(tmp_path: Path) -> None:
    huge = (
        '{% extends "default/issue.html.j2" %}{% block footer %}{{ super() }}'
        + "<p>Small print.</p>" * 6_000
        + "{% endblock %}"
    )

    letter, report = render(many(10), templates=project(tmp_path, issue_html=huge))

    assert not report.fits
    assert 10 == report.full
    assert "its template cannot be made to fit" in report.words
    assert letter.html.count("Small print.") == 6_000


def test_the_report_says_it_in_one_line() -> None:
    report = SizeReport(bytes_before=623_000, bytes_after=88_123, full=5, short=2, headlines=400, counted=93)

    assert (
        "HTML part: 88,123 of 90,000 bytes, 623,000 if nothing were shortened; of the entries 5 whole, "
        "2 as short excerpts, 400 as headlines, 93 in the text part only"
    ) == report.words


def test_sections_that_vanish_are_not_in_the_contents_but_are_counted() -> None:
    feeds = [Feed(url=f"https://feed{n}.example/rss", title=f"Feed {n}") for n in range(1, 501)]
    draft = draft_of([plain_entry(n, feed.url) for n, feed in enumerate(feeds, 1)], feeds=feeds)

    letter, report = render(draft)

    page = lxml_html.fromstring(letter.html)
    contents = page.xpath("//p[@class='contents']/bdi")
    assert "500 sources" in squeezed(page.text_content())
    assert 0 < len(contents) == len(page.xpath("//h2")) == 500 - report.counted
    assert "Feed 1" == contents[0].text
    assert len(FEEDS) == 3


def test_a_template_that_needs_its_first_entry_is_not_asked_to_do_without(tmp_path: Path) -> None:
    needy = (
        '{% extends "default/issue.html.j2" %}'
        "{% block preheader %}<p>{{ sections[0].entries[0].title }}</p>{% endblock %}"
    )

    letter, report = render(many(300), templates=project(tmp_path, issue_html=needy))

    assert report.is_reduced
    assert "<p>Title number 3</p>" in re.sub(' style="[^"]*"', "", letter.html)

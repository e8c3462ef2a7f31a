"""The lists of an archive with many issues, and a digest that the project no longer has."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.shelf import write_archive
from newsletter.model import Issue
from newsletter.web.copies import PER_PAGE
from newsletter.web.still.tree import shown_address
from tests.conftest import FakeClock, counting_ids
from tests.delivery.samples import ENVELOPE, RENDERING

CONFIG = """\
title: The Morning Wire
from: The Morning Wire <wire@example.com>
timezone: Europe/Berlin
digests: {daily: {}, weekly: {}}
"""


@pytest.fixture
def project(tmp_path: Path, clock: FakeClock) -> Iterator[App]:
    (tmp_path / "newsletter.yaml").write_text(CONFIG)
    app = App.open(tmp_path, clock=clock, ids=counting_ids())
    yield app
    app.close()


def freeze(app: App, digest: str = "daily", subject: str = "Good morning") -> Issue:
    number = app.store.next_number(digest)
    rendering = replace(
        RENDERING, html="<html><head></head><body><p>Hello</p></body></html>", text="x", markdown="x", fields=()
    )
    return app.store.freeze(
        digest=digest,
        number=number,
        slot=f"slot {number}",
        subject=subject,
        envelope=replace(ENVELOPE, date=app.clock.now()),
        renderings=[rendering],
        consumed=[],
        mentioned=[],
        deliveries=[],
    )


def written(app: App) -> Path:
    folder, _ = write_archive(app, app.config.folder / "out", on_file=lambda *_: None)
    return folder / "i"


def test_many_issues_stand_by_the_year_they_went_out_where_their_readers_are(project: App, clock: FakeClock) -> None:
    clock.time = clock.time.replace(year=2024, month=12, day=31, hour=23, minute=30)
    for _ in range(PER_PAGE + 1):
        freeze(project)
        clock.advance(timedelta(days=15))

    daily = written(project) / "daily"

    pages = {path.name: path.read_text() for path in daily.glob("i*.html")}
    assert {"index.html", "in-2026.html", "in-2025.html"} == pages.keys()
    first = [number for number in range(1, PER_PAGE + 2) if f'href="{number}.html"' in pages["in-2025.html"]]
    # Half past eleven in the evening in Greenwich is next year in Berlin.
    assert list(range(1, 26)) == first
    assert '<a href="in-2026.html">2026</a>' in pages["index.html"]
    assert '<span aria-current="page">2027</span>' in pages["index.html"]


def test_fewer_stand_on_one_page(project: App) -> None:
    for _ in range(3):
        freeze(project)

    daily = written(project) / "daily"

    assert ["index.html"] == [path.name for path in daily.glob("in*.html")]
    assert "years" not in (daily / "index.html").read_text()


def test_a_digest_that_is_no_more_keeps_its_pages_and_one_without_issues_says_so(project: App) -> None:
    freeze(project, "gone", "Fare <well>")

    folder = written(project)

    assert "Fare &lt;well&gt;" in (folder / "gone" / "index.html").read_text()
    assert "There are none yet." in (folder / "weekly" / "index.html").read_text()
    assert "The Morning Wire: gone" in (folder.parent / "index.html").read_text()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example/feed?tag=x&page=2", "https://a.example/feed?tag=x&page=2"),
        ("https://ada:pw@a.example:81/feed", "https://a.example:81/feed"),
        ("https://a.example/f?Access_Token=s3cret&x=1", "https://a.example/f?Access_Token=…&x=1"),
        ("https://a.example/f?x=1&apikey=s3cret", "https://a.example/f?x=1&apikey=…"),
        ("/home/ada/feeds/news.xml", "news.xml"),
    ],
)
def test_a_feed_s_address_is_shown_without_what_is_not_for_everybody(url: str, shown: str) -> None:
    assert shown == shown_address(url)

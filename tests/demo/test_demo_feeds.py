"""The sample feeds: served as a publisher would, and fit to be shown to strangers."""

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp
import feedparser
import pytest

from newsletter.address import is_reserved
from newsletter.demo.feeds import SAMPLES, Sample, SampleFeeds
from newsletter.errors import NewsletterError

BY_NAME = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)

#: Names of formats, not of places: every feed of the form carries them.
NAMESPACES = (
    "http://www.w3.org/2005/Atom",
    "http://www.w3.org/1999/xhtml",
    "http://purl.org/rss/1.0/modules/content/",
    "http://purl.org/dc/elements/1.1/",
    "https://jsonfeed.org/version/1.1",
)


async def get(base: str, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    async with aiohttp.ClientSession(trust_env=False) as session, session.get(base + path, headers=headers) as answer:
        return answer.status, answer.headers, await answer.read()


@BY_NAME
def test_a_sample_arrives_whole_and_says_what_it_is(sample: Sample) -> None:
    async def run() -> tuple[int, Mapping[str, str], bytes]:
        async with SampleFeeds() as base:
            return await get(base, f"/{sample.name}")

    status, headers, body = asyncio.run(run())

    assert (200, sample.body) == (status, body)
    assert f"{sample.media_type}; charset=utf-8" == headers["Content-Type"]


@BY_NAME
def test_a_second_poll_with_the_etag_of_the_first_costs_no_body(sample: Sample) -> None:
    async def run() -> tuple[str, list[tuple[int, str, bytes]], list[tuple[str, int]]]:
        feeds = SampleFeeds()
        async with feeds as base:
            _, first, _ = await get(base, f"/{sample.name}")
            etag = first["ETag"]
            told = []
            for known in (etag, f"W/{etag}", f'"another", {etag}', "*", '"another"'):
                status, headers, body = await get(base, f"/{sample.name}", **{"If-None-Match": known})
                told.append((status, headers["ETag"], body))
            return etag, told, feeds.answers

    etag, told, answers = asyncio.run(run())

    unchanged, changed = (304, etag, b""), (200, etag, sample.body)
    assert [unchanged] * 4 + [changed] == told
    assert [(f"/{sample.name}", status) for status in (200, 304, 304, 304, 304, 200)] == answers


def test_an_unchanged_sample_has_the_same_etag_on_another_day() -> None:
    async def etags() -> list[str]:
        async with SampleFeeds() as base:
            return [(await get(base, f"/{sample.name}"))[1]["ETag"] for sample in SAMPLES]

    first, second = asyncio.run(etags()), asyncio.run(etags())

    assert first == second
    assert len(SAMPLES) == len(set(first))


def test_nothing_else_is_served() -> None:
    async def run() -> list[int]:
        async with SampleFeeds() as base:
            return [(await get(base, path))[0] for path in ("/", "/feeds.py", "/..%2ffeeds.py", "/samples/sky.atom")]

    assert [404] * 4 == asyncio.run(run())


def test_the_feeds_listen_on_loopback_and_stop_with_their_block() -> None:
    async def run() -> str:
        async with SampleFeeds() as base:
            return base

    base = asyncio.run(run())

    assert "127.0.0.1" == urlsplit(base).hostname
    with pytest.raises(aiohttp.ClientConnectionError):
        asyncio.run(get(base, "/"))


def test_a_given_port_is_kept_and_a_taken_one_is_named() -> None:
    async def run() -> tuple[str, str, NewsletterError]:
        async with SampleFeeds() as first:
            port = urlsplit(first).port
            assert port
            with pytest.raises(NewsletterError) as refused:
                async with SampleFeeds(port):
                    pass
        async with SampleFeeds(port) as again:
            return first, again, refused.value

    first, again, error = asyncio.run(run())

    assert first == again
    assert f"127.0.0.1:{urlsplit(first).port}" in str(error)
    assert error.hint


@BY_NAME
def test_a_sample_is_well_formed_in_the_form_it_claims(sample: Sample) -> None:
    if sample.form.startswith("JSON"):
        found = json.loads(sample.body)
        assert "https://jsonfeed.org/version/1.1" == found["version"]
        entries, ids = found["items"], [item["id"] for item in found["items"]]
    else:
        parsed = feedparser.parse(sample.body)
        assert (False, {"RSS 2.0": "rss20", "Atom 1.0": "atom10"}[sample.form]) == (bool(parsed.bozo), parsed.version)
        entries, ids = parsed.entries, [entry.id for entry in parsed.entries]

    assert 4 <= len(entries) <= 6
    assert len(ids) == len(set(ids))


@BY_NAME
def test_every_address_in_a_sample_belongs_to_nobody(sample: Sample) -> None:
    text = sample.body.decode()
    for namespace in NAMESPACES:
        text = text.replace(f'"{namespace}"', '""')
    hosts = set(re.findall(r"https?://([^/\"'\s<>&]+)", text))
    mailboxes = set(re.findall(r"[\w.+-]+@([\w.-]+)", text))
    tags = set(re.findall(r"tag:([^,]+),", text))

    assert hosts
    assert [] == [domain for domain in hosts | mailboxes | tags if not is_reserved(domain)]


@BY_NAME
def test_a_sample_asks_a_reader_to_load_nothing(sample: Sample) -> None:
    assert [] == re.findall(r"(?i)(?:<|&lt;)(?:img|script|iframe|link\s+rel=.stylesheet)|data:", sample.body.decode())


@BY_NAME
def test_a_sample_stays_in_the_past_whatever_the_day(sample: Sample) -> None:
    text = sample.body.decode()
    dates = [datetime.fromisoformat(date) for date in re.findall(r"\d{4}-\d\d-\d\dT[\d:]+(?:Z|[+-]\d\d:\d\d)", text)]
    dates += [parsedate_to_datetime(date) for date in re.findall(r"<pubDate>(.*?)</pubDate>", text)]

    assert len(dates) >= 4
    assert [] == [
        date for date in dates if not datetime(2026, 2, 1, tzinfo=UTC) < date < datetime(2026, 4, 1, tzinfo=UTC)
    ]


def test_together_the_samples_show_what_feeds_can_do() -> None:
    """An enclosure, a text from right to left, an entry without a title, and one story in two feeds."""
    texts = {sample.name: sample.body.decode() for sample in SAMPLES}
    shelf = json.loads(texts["shelf.json"])

    assert '<enclosure url="https://' in texts["courier.xml"]
    assert ["ar", "de"] == [item["language"] for item in shelf["items"] if "language" in item]
    assert 1 == sum("title" not in item for item in shelf["items"])
    story = "2026/03/comet-over-the-bay"
    assert f"https://sky.example.org/{story}?utm_source" in texts["courier.xml"]
    assert f'href="{story}"' in texts["sky.atom"]

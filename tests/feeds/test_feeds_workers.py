"""Parsing happens where it can be killed: whatever a feed does to its process, the others are read."""

import asyncio
import json
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter import pipeline
from newsletter.clock import Ids
from newsletter.errors import ParseError
from newsletter.feeds.parse import parse
from newsletter.feeds.wire import Job, UnreadableAnswerError, unpack_answer
from newsletter.feeds.workers import Here, ParseLimits, Workers
from newsletter.model import Document, Feed
from tests.conftest import FakeClock
from tests.pipeline.parts import parts_for

URL = "https://feeds.example.com/feed"
GOOD = (
    b'<rss version="2.0"><channel><title>Good</title><link>https://news.example.com/</link>'
    b"<item><title>One</title><link>https://news.example.com/1</link><description>Text.</description></item>"
    b"</channel></rss>"
)


def slow(size: int = 64_000) -> bytes:
    """An author feedparser looks for an address in: 64 KB take it 20 s."""
    author = "a" * size + "@" + "a" * size
    return (
        f"<rss version='2.0'><channel><title>x</title><item><author>{author}</author></item></channel></rss>".encode()
    )


def job(body: bytes) -> Job:
    return Job(body=body, url=URL, content_type=None, known={})


def read_now(workers: Workers, wanted: Job) -> Document:
    return asyncio.run(workers.read(wanted))


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    found = Workers(ParseLimits(cpu_seconds=1, seconds=20.0), count=2)
    yield found
    found.close()


def test_a_document_comes_back_as_it_was_parsed(workers: Workers) -> None:
    assert parse(GOOD, url=URL, content_type=None) == read_now(workers, job(GOOD))


def test_what_is_wrong_with_a_document_comes_back_in_its_words(workers: Workers) -> None:
    body = b"<html><link rel='alternate' type='application/rss+xml' href='/feed.xml'></html>"
    with pytest.raises(ParseError) as here:
        parse(body, url=URL, content_type=None)
    with pytest.raises(ParseError) as there:
        read_now(workers, job(body))

    assert (str(here.value), here.value.hint) == (str(there.value), there.value.hint)


def test_a_feed_that_takes_too_long_is_named_and_its_process_replaced(workers: Workers) -> None:
    with pytest.raises(ParseError, match="takes more than 1 s of computing"):
        read_now(workers, job(slow()))

    assert "Good" == read_now(workers, job(GOOD)).title


def test_a_feed_that_takes_too_much_memory_is_named() -> None:
    few = Workers(ParseLimits(memory=70_000_000), count=1)
    try:
        with pytest.raises(ParseError, match="memory"):
            read_now(few, job(GOOD.replace(b"Text.", b"&lt;p>" * 2_000_000)))
        assert "Good" == read_now(few, job(GOOD)).title
    finally:
        few.close()


def test_a_process_that_dies_at_work_costs_only_its_feed() -> None:
    one = Workers(ParseLimits(cpu_seconds=30), count=1)
    read_now(one, job(GOOD))
    [process] = one._free
    killer = threading.Timer(0.3, lambda: os.kill(process._process.pid, signal.SIGKILL))
    killer.start()
    try:
        with pytest.raises(ParseError, match=r"breaks the parser \(signal 9"):
            read_now(one, job(slow()))
        assert "Good" == read_now(one, job(GOOD)).title
    finally:
        killer.join()
        one.close()


def test_a_process_that_has_gone_home_is_not_missed() -> None:
    one = Workers(ParseLimits(idle=0.05), count=1)
    read_now(one, job(GOOD))
    [process] = one._free
    process._process.wait(10)
    try:
        assert "Good" == read_now(one, job(GOOD)).title
    finally:
        one.close()


def test_a_hang_by_the_clock_is_ended_too() -> None:
    one = Workers(ParseLimits(seconds=5.0), count=1)
    read_now(one, job(GOOD))
    [process] = one._free
    os.kill(process._process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ParseError, match=r"longer than 5 s"):
            read_now(one, job(GOOD))
        assert "Good" == read_now(one, job(GOOD)).title
    finally:
        one.close()


def test_a_fetch_that_is_called_off_leaves_no_process_at_work() -> None:
    one = Workers(ParseLimits(cpu_seconds=60), count=1)

    async def impatient() -> None:
        async with asyncio.timeout(0.5):
            await one.read(job(slow()))

    try:
        with pytest.raises(TimeoutError):
            asyncio.run(impatient())
        assert "Good" == read_now(one, job(GOOD)).title
    finally:
        one.close()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows a process's environment")
def test_the_processes_know_none_of_our_secrets(workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "hunter2")
    read_now(workers, job(GOOD))

    for process in workers._free:
        folder = Path(f"/proc/{process._process.pid}")
        assert b"" == (folder / "environ").read_bytes()
        # Its line to us, and nowhere else to write to.
        assert {"0", "1", "2"} == {path.name for path in (folder / "fd").iterdir()}


def test_a_feed_that_hangs_delays_only_itself(tmp_path: Path, clock: FakeClock, ids: Ids, workers: Workers) -> None:
    names = ["a", "hangs", "b"]
    for name in names:
        (tmp_path / name).write_bytes(slow() if name == "hangs" else GOOD)
    parts = replace(parts_for(tmp_path, [], clock=clock, ids=ids), reader=workers)

    results = asyncio.run(pipeline.fetch(parts, [Feed(url=str(tmp_path / name)) for name in names]))

    assert [1, 0, 1] == [result.entries for result in results]
    assert [False, True, False] == [bool(result.error) for result in results]
    assert "takes more than 1 s of computing" in (results[1].error or "")
    parts.store.close()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["title", "home", "language", "entries", "error", "hint"]), JSON) | JSON)
def test_no_answer_is_taken_for_more_than_it_is(answer: object) -> None:
    try:
        found = unpack_answer(json.dumps(answer).encode(), {})
    except (ParseError, UnreadableAnswerError):
        return

    assert isinstance(found, Document)


@given(place=st.integers(0, 15), value=JSON)
def test_no_field_is_taken_for_another(place: int, value: object) -> None:
    hashes = ["0" * 64, "0" * 32]
    keys = ["t:1", "h:1", "a:1"]
    row: list[object] = ["g", None, "t", None, None, None, "", "", None, None, None, [], [], *hashes, keys]
    head = {"title": None, "home": None, "language": None}
    assert 1 == len(unpack_answer(json.dumps({**head, "entries": [row]}).encode(), {}).entries)
    row[place] = value
    try:
        [entry] = unpack_answer(json.dumps({**head, "entries": [row]}).encode(), {}).entries
    except UnreadableAnswerError:
        return

    assert isinstance(entry.title, str)
    assert entry.url is None or entry.url.startswith(("http:", "https:", "mailto:", "file:")) or ":" not in entry.url


# ------------------------------------------------------------------------------ fuzz

SEEDS = (
    GOOD,
    (
        b'<?xml version="1.0" encoding="iso-8859-1"?><rss version="0.91"><channel><title>\xe9t\xe9</title><item>'
        b"<title>A &amp; B</title><author>ada@example.com (Ada)</author><description>&lt;p>x</description></item></channel></rss>"
    ),
    (
        b'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"><title type="html">&lt;b>T</title><entry><id>urn:1</id>'
        b'<link href="/a"/><updated>2026-01-01T00:00:00Z</updated><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">'
        b"<p>x</p></div></content></entry><entry><id>urn:2</id><summary>y</summary></entry></feed>"
    ),
    (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" '
        b'xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="x"><title>R</title></channel>'
        b'<item rdf:about="https://e.example/1"><title>i</title><dc:date>2026-01-01</dc:date></item></rdf:RDF>'
    ),
    b'{"version":"https://jsonfeed.org/version/1.1","title":"J","items":[{"id":"1","content_html":"<p>x</p>","tags":["a"]}]}',
    (
        b'<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd">'
        b'<channel><title>P</title><image><url>u</url></image><item><media:group><media:content url="a.jpg" width="9"/></media:group>'
        b'<itunes:image href="b.jpg"/><itunes:owner><itunes:email>a@b.c</itunes:email></itunes:owner>'
        b'<enclosure url="c.mp3" length="1" type="audio/mpeg"/></item></channel></rss>'
    ),
)
PIECES = (
    *(
        b"<",
        b">",
        b"&",
        b"]]>",
        b"<![CDATA[",
        b"<!--",
        b"</item>",
        b"<item>",
        b"</channel>",
        b"<entry>",
        b"<svg>",
        b"<div>",
    ),
    *(
        b'xml:base="http://["',
        b"<textInput><name>",
        b"<image>",
        b"&#0;",
        b"&#xFFFF;",
        b"\x00",
        b"\xff\xfe",
        b"\xed\xa0\x80",
    ),
    *(
        b'xmlns:a="b"',
        b"<category/>",
        b"<source>",
        b"<title>",
        b"<content type='base64'>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    ),
    *(
        b"<pubDate>Thu, 99 Xyz 9999999 99:99:99 +9999</pubDate>",
        b"<width>9e9</width>",
        b"<link/>",
        b"<georss:where>",
        b"1e999",
    ),
)


def mutant(dice: random.Random) -> bytes:
    """A feed with a few things wrong."""
    body = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(body) + 1)
        match dice.randrange(5):
            case 0:
                body[at:at] = dice.choice(PIECES)
            case 1:
                del body[at : at + dice.randint(1, 40)]
            case 2:
                body[at:at] = body[at : at + dice.randint(1, 200)]
            case 3:
                body[at : at + 1] = bytes([dice.randrange(256)])
            case _:
                body[at : at + dice.randint(1, 30)] = dice.choice(PIECES)
    return bytes(body)


def fuzz(count: int, seed: int) -> None:
    pool = Workers(ParseLimits(cpu_seconds=5), count=2)
    dice = random.Random(seed)
    good = parse(GOOD, url=URL, content_type=None)

    async def one(body: bytes) -> str:
        try:
            await pool.read(job(body))
        except ParseError as error:
            return str(error)
        return ""

    async def all_of_them() -> None:
        for _ in range(count // 100):
            bodies = [mutant(dice) for _ in range(100)]
            said = await asyncio.gather(*map(one, bodies))
            broken = [
                (text, body) for text, body in zip(said, bodies, strict=True) if "breaks" in text or "takes" in text
            ]

            assert [] == broken
            assert good == await pool.read(job(GOOD))

    try:
        asyncio.run(all_of_them())
    finally:
        pool.close()


def test_fuzzed_feeds_are_feeds_or_reasons_and_the_neighbours_are_read() -> None:
    fuzz(5_000, seed=1)


@pytest.mark.soak
def test_a_hundred_thousand_fuzzed_feeds() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    fuzz(100_000, seed=2)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{after.ru_utime - before.ru_utime:.0f} s of CPU, {time.monotonic() - started:.0f} s, {after.ru_maxrss} KB")


def test_reading_here_is_the_same() -> None:
    assert parse(GOOD, url=URL, content_type=None) == asyncio.run(Here().read(job(GOOD)))

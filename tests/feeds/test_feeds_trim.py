"""What is known is not read again, what is usual is read quickly, and neither changes anything."""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter import pipeline
from newsletter.errors import ParseError
from newsletter.feeds.identity import keys_of, text_hash
from newsletter.feeds.parse import parse
from newsletter.feeds.scan import scan
from newsletter.feeds.trim import read
from newsletter.feeds.wire import Job
from newsletter.feeds.workers import Here
from newsletter.model import Document, Feed
from newsletter.stages import Parts
from newsletter.store import tables as t
from tests.conftest import FakeClock, counting_ids
from tests.feeds.test_feeds_corpus import documents
from tests.pipeline.parts import parts_for

URL = "https://feeds.example.com/feed"


def whole(body: bytes) -> Document | str:
    try:
        return parse(body, url=URL, content_type=None)
    except ParseError as error:
        return str(error)


def swiftly(body: bytes, known: frozenset[str] = frozenset()) -> Document | str:
    try:
        return read(body, url=URL, content_type=None, known=known)
    except ParseError as error:
        return str(error)


def same_but_for_what_is_known(body: bytes, dice: random.Random) -> int:
    """Compare a document with itself, some of its items known; returns of how many items that could be."""
    expected, first = whole(body), swiftly(body)

    assert expected == first
    if isinstance(first, str) or isinstance(expected, str):
        return 0
    hashes = [entry.mark.item_hash for entry in first.entries if entry.mark and entry.mark.item_hash]
    for share in (0.5, 1.0):
        known = frozenset(item_hash for item_hash in hashes if dice.random() < share)
        again = swiftly(body, known)
        assert isinstance(again, Document)
        assert (expected.title, expected.home_url, expected.language) == (again.title, again.home_url, again.language)
        for before, now in zip(expected.entries, again.entries, strict=True):
            assert before.position == now.position
            assert now.mark is not None
            assert (now.mark.known_id is not None) == (now.mark.item_hash in known)
            assert now.mark.known_id is not None or before == now
    return len(hashes)


def test_the_whole_corpus_reads_the_same(corpus: Path) -> None:
    dice = random.Random(1)
    counts = [same_but_for_what_is_known(path.read_bytes(), dice) for path in documents(corpus)]

    # Enough of it can be cut, so that this test means something.
    assert sum(1 for count in counts if count) >= 120
    assert sum(counts) >= 700


def test_enough_of_the_corpus_is_usual(corpus: Path) -> None:
    """And so read here; were it none, the test above would compare feedparser with itself."""
    scans = [found for path in documents(corpus) if (found := scan(path.read_bytes().partition(b"?>")[2])) is not None]

    assert sum(item.fields is not None for found in scans for item in found.items) >= 100
    assert sum(found.head is not None for found in scans) >= 30


# -------------------------------------------------------------- made-up documents

WORDS_LIST = [
    *("", " ", "News", "  two  words ", "Tom & Jerry", "AT&amp;T", "a < b", "<b>bold</b>", "it&#8217;s", "&nosuch;"),
    *("Zürich", "ZÃ¼rich", "\x85", "\x93quoted\x94", "日本", "ada@example.com", "ada@example.com (Ada)", "]]", "a\nb"),
]
WORDS = st.sampled_from(WORDS_LIST)
HTML_LIST = [
    "<p>Hello <a href='/x?a=1&amp;b=2'>there</a></p>",
    "plain",
    "",
    "<p>&ndash;</p>",
    "&lt;i>",
    "<div>x</div>",
    "Ünï",
]
HTML = st.sampled_from(HTML_LIST)
ADDRESSES_LIST = [
    *("https://news.example.com/1", "https://news.example.com/2?a=1&b=2", "https://news.example.com/?a;b&c;", "/3"),
    *(
        " https://news.example.com/4 ",
        "http:///odd",
        "mailto:a@example.com",
        "",
        "tag:5",
        "https://feeds.example.com/feed",
    ),
    *("https://news.example.com/zürich", "https://news.example.com/a/../b", "HTTP://NEWS.EXAMPLE.COM/6"),
]
ADDRESSES = st.sampled_from(ADDRESSES_LIST)
DATES_LIST = [
    *("Thu, 26 Nov 2026 07:00:00 GMT", "Thu, 26 Nov 2026 07:00:00 +0530", "26 Nov 26 07:00 EST", "yesterday", ""),
    *(
        "2026-11-26T07:00:00Z",
        "2026-11-26T07:00:00.5+01:00",
        "2026-11-26",
        "2026-13-26T07:00:00Z",
        "2026-11-26T25:00:00Z",
    ),
    *("Mon, 31 Feb 2026 07:00:00 GMT", "Thu, 26 Nov 2026 07:00:00 -1299", "Thu, 26 Nov 1026 07:00:00 GMT"),
    *("Thu, 01 Jan 9999 00:00:00 -0800", "Thu, 26 Nov 2026 24:00:00 GMT", "Thu, 26 Nov 2026 07:00:60 GMT"),
]
DATES = st.sampled_from(DATES_LIST)


RSS = (
    '<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>T</title>{}</channel></rss>'
)
RSS_ITEM = "<title>{}</title><link>{}</link><guid>{}</guid><pubDate>{}</pubDate><description>{}</description>"
RSS_MORE = "<content:encoded>{}</content:encoded><category>{}</category><dc:creator>{}</dc:creator>"
FEED = '<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de"><title>T</title>{}</feed>'
FEED_ITEM = '<title type="html">{}</title><id>{}</id><published>{}</published><updated>{}</updated><content type="html">{}</content>'
FEED_MORE = "<summary>{}</summary><category>{}</category><author><name>{}</name></author>"


@pytest.mark.parametrize(("frame", "item"), [(RSS, RSS_ITEM + RSS_MORE), (FEED, FEED_ITEM + FEED_MORE)])
@pytest.mark.parametrize("as_cdata", [False, True])
def test_each_oddity_by_itself_reads_the_same(frame: str, item: str, as_cdata: bool) -> None:
    """Items that are usual but for one text in one place, so that nothing else sends them to feedparser."""
    usual = [
        "News",
        "https://news.example.com/1",
        "g",
        "Thu, 26 Nov 2026 07:00:00 GMT",
        "<p>x</p>",
        "<p>y</p>",
        "c",
        "Ada",
    ]
    if frame is FEED:
        usual = ["News", "urn:1", "2026-11-26T07:00:00Z", "2026-11-26T08:00:00Z", "<p>x</p>", "y", "", "Ada"]
    items = []
    for place in range(len(usual)):
        for odd in (*WORDS_LIST, *HTML_LIST, *ADDRESSES_LIST, *DATES_LIST):
            texts = [*usual[:place], odd, *usual[place + 1 :]]
            written = [f"<![CDATA[{text}]]>" if as_cdata and "]]" not in text else escaped(text) for text in texts]
            items.append(item.format(*written))
    name = "entry" if frame is FEED else "item"
    body = frame.format("".join(f"<{name}>{one}</{name}>" for one in items)).encode()
    found = scan(body)
    assert found is not None
    assert sum(one.fields is not None for one in found.items) > len(items) / 4

    assert whole(body) == swiftly(body)


@pytest.mark.parametrize(
    ("name", "element"),
    [
        *(("item", f'<guid isPermaLink="{said}">https://news.example.com/5</guid>') for said in ("true", "false", "True")),
        *(("item", f'<enclosure url="https://e.example.com/{n}" {kind}/>') for n, kind in enumerate(('type="A/B"', 'length="x"', 'uri="y"'))),
        *(("item", f"<category{domain}>c</category><category>c</category>") for domain in ("", ' domain="d"', ' domain=""')),
        *(("entry", f'<link rel="{rel}" type="{kind}" href="https://e.example.com/x"/>')
          for rel in ("alternate", "self", "enclosure", "Related", "") for kind in ("text/html", "HTML", "xhtml", "audio/mpeg", "")),
        *(("entry", f"<{tag} type='{kind}'>&lt;b&gt;x&amp;amp;</{tag}>")
          for tag in ("title", "summary", "content") for kind in ("text", "html", "HTML", "text/plain", "xhtml", "image/png", "")),
        *(("entry", f"<category {said}/>") for said in ('term="a"', 'label="b"', 'term="a" scheme="s" label="b"', 'term=""')),
        *(("entry", f"<author>{said}</author>") for said in ("", "x", "<name/>", "<name>A</name><email>a@b.example</email>", "<email>a@b.example</email>")),
    ],
)  # fmt: skip
def test_each_attribute_by_itself_reads_the_same(name: str, element: str) -> None:
    items = f"<{name}>{element}</{name}><{name}><title>t</title>{element}<id>urn:x</id></{name}>"
    body = (FEED if name == "entry" else RSS).format(items).encode()

    same_but_for_what_is_known(body, random.Random(1))


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\x85", "&#x85;")


@st.composite
def fields(draw: st.DrawFn, *, is_atom: bool) -> str:
    """One element of an item, as it is, as CDATA, or a little odd."""

    def one(values: st.SearchStrategy[str]) -> str:
        # Mostly plain: an item with several oddities is left to feedparser for the first of them.
        plain = {ADDRESSES: "https://news.example.com/9", DATES: "Thu, 26 Nov 2026 07:00:00 GMT", HTML: "<p>Hello</p>"}
        return draw(values) if draw(st.integers(0, 2)) == 0 else plain.get(values, "News")

    def text(values: st.SearchStrategy[str]) -> str:
        value = one(values)
        if draw(st.integers(0, 3)) == 0 and "]]" not in value:
            return f"<![CDATA[{value}]]>"
        return escaped(value)

    def attribute(values: st.SearchStrategy[str]) -> str:
        return escaped(one(values)).replace('"', "&quot;").replace("\n", " ")

    kind = draw(
        st.sampled_from(
            ["", "", "", "", "", ' type="html"', ' type="text"', ' type="xhtml"', ' TYPE="HTML"', ' type="image/png"']
        )
    )
    odd = draw(st.integers(0, 60))
    if odd == 0:
        return draw(
            st.sampled_from(
                [
                    *(
                        '<media:thumbnail xmlns:media="http://search.yahoo.com/mrss/" url="t.jpg"/>',
                        "<unknown>x</unknown>",
                    ),
                    *('<title xml:lang="fr">Oui</title>', "<description><div>raw</div></description>", "stray text"),
                    *('<summary xml:base="https://base.example.com/">x</summary>', "<image><title>i</title></image>"),
                    *(
                        '<post-id xmlns="com-wordpress:feed-additions:1">7</post-id>',
                        "<!-- comment -->",
                        "<source>s</source>",
                    ),
                    *('<x:svg xmlns:x="http://www.w3.org/2000/svg"/>', '<unknown a="b"/>', "<content>twice</content>"),
                ]
            )
        )
    if is_atom:
        return draw(
            st.sampled_from(
                [
                    f"<title{kind}>{text(WORDS)}</title>",
                    f'<link href="{attribute(ADDRESSES)}"/>',
                    (
                        f'<link rel="{draw(st.sampled_from(["alternate", "self", "enclosure", "Related"]))}" href="{attribute(ADDRESSES)}"'
                        f' type="{draw(st.sampled_from(["text/html", "HTML", "audio/mpeg", ""]))}" length="12"/>'
                    ),
                    f"<id>{text(ADDRESSES)}</id>",
                    f"<published>{text(DATES)}</published>",
                    f"<updated>{text(DATES)}</updated>",
                    f"<author><name>{text(WORDS)}</name><uri>u</uri></author>",
                    f'<category term="{attribute(WORDS)}" label="{attribute(WORDS)}"/>',
                    f"<category>{text(WORDS)}</category>",
                    f"<summary{kind}>{text(HTML)}</summary>",
                    f"<content{kind}>{text(HTML)}</content>",
                ]
            )
        )
    return draw(
        st.sampled_from(
            [
                f"<title>{text(WORDS)}</title>",
                f"<link>{text(ADDRESSES)}</link>",
                f'<atom:link href="{attribute(ADDRESSES)}"/>',
                f"<guid>{text(ADDRESSES)}</guid>",
                f'<guid isPermaLink="{draw(st.sampled_from(["true", "false", "True"]))}">{text(ADDRESSES)}</guid>',
                f"<pubDate>{text(DATES)}</pubDate>",
                f"<description>{text(HTML)}</description>",
                f"<content:encoded>{text(HTML)}</content:encoded>",
                f"<category>{text(WORDS)}</category>",
                f'<category domain="d">{text(WORDS)}</category>',
                f"<dc:creator>{text(WORDS)}</dc:creator>",
                f"<author>{text(WORDS)}</author>",
                f"<comments>{text(ADDRESSES)}</comments>",
                f'<enclosure url="{attribute(ADDRESSES)}" length="9" type="Audio/MPEG"/>',
                "<slash:comments>3</slash:comments>",
            ]
        )
    )


def _element(text: str) -> str:
    """What mostly stands once in an item; now and then twice all the same."""
    return text.partition(">")[0].partition(" ")[0] if len(text) % 7 else text


@st.composite
def made_up(draw: st.DrawFn) -> bytes:
    """A feed in RSS or Atom, mostly as usual."""
    is_atom = draw(st.booleans())
    name = "entry" if is_atom else "item"
    items = "\n".join(
        f"<{name}>{''.join(draw(st.lists(fields(is_atom=is_atom), max_size=6, unique_by=_element)))}</{name}>"
        for _ in range(draw(st.integers(1, 6)))
    )
    head = "".join(draw(st.lists(fields(is_atom=is_atom), max_size=3)))
    if is_atom:
        root = draw(st.sampled_from(["", ' xml:lang="de_DE"', ' xml:base="https://base.example.com/"', ' lang="en"']))
        text = f'<feed xmlns="http://www.w3.org/2005/Atom"{root}>{head}{items}</feed>'
    else:
        root = draw(
            st.sampled_from(["", ' xml:lang="de"', ' xmlns="http://purl.org/rss/1.0/"', ' xmlns:dc="urn:other"'])
        )
        spaces = (
            'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:slash="http://purl.org/rss/1.0/modules/slash/"'
            ' xmlns:atom="http://www.w3.org/2005/Atom"'
        ) + ("" if "xmlns:dc" in root else ' xmlns:dc="http://purl.org/dc/elements/1.1/"')
        extra = draw(
            st.sampled_from(["", "<language>en_US</language>", "<image><title>t</title><link>l</link></image>"])
        )
        text = f'<rss version="2.0" {spaces}{root}><channel>{head}{extra}{items}</channel></rss>'
    return text.encode()


@settings(max_examples=40)
@given(body=made_up(), seed=st.integers(0, 1_000))
def test_made_up_feeds_read_the_same(body: bytes, seed: int) -> None:
    same_but_for_what_is_known(body, random.Random(seed))


@pytest.mark.soak
@settings(max_examples=20_000)
@given(body=made_up(), seed=st.integers(0, 1_000))
def test_many_made_up_feeds_read_the_same(body: bytes, seed: int) -> None:
    same_but_for_what_is_known(body, random.Random(seed))


@settings(max_examples=25)
@given(body=made_up())
def test_marks_say_what_identity_would_say(body: bytes) -> None:
    found = swiftly(body)
    if isinstance(found, str):
        return
    for entry in asyncio.run(Here().read(Job(body=body, url=URL, content_type=None, known={}))).entries:
        plain = replace(entry, mark=None)
        assert entry.mark is not None
        assert (text_hash(plain), keys_of(plain, found)) == (entry.mark.text_hash, entry.mark.keys)


# ------------------------------------------------------------------------ histories


class Whole:
    """Reads every document whole, whatever is known."""

    async def read(self, job: Job) -> Document:
        return await Here().read(replace(job, known={}))


STORIES = st.lists(
    st.tuples(
        st.integers(0, 6),  # which story
        st.sampled_from(
            ["", "", "", "edited", "retitled", "moved", "new guid", "its neighbour's guid", "its neighbour's link"]
        ),
        st.integers(0, 2),  # how often edited
    ),
    max_size=8,
)


def written(stories: list[tuple[int, str, int]], *, is_usual: bool) -> bytes:
    items = []
    for number, change, times in stories:
        other = number ^ 1
        guid = {"new guid": f"g{number}.{times}", "its neighbour's guid": f"g{other}"}.get(change, f"g{number}")
        page = {"moved": f"moved/{number}", "its neighbour's link": str(other)}.get(change, str(number))
        title = f"Story {number}" + f", again {times}" * (change == "retitled")
        text = f"Text {number}" + f", mended {times}" * (change == "edited")
        items.append(
            f"<item><title>{title}</title><link>https://news.example.com/{page}</link>"
            f'<guid isPermaLink="false">{guid}</guid><description>{text}</description>'
            + ("" if is_usual else "<thing>x</thing>")
            + f"<pubDate>Thu, {number + 1:02} Nov 2026 07:00:00 GMT</pubDate></item>"
        )
    return (
        '<rss version="2.0"><channel><title>News</title><link>https://news.example.com/</link>'
        f"<lastBuildDate>{len(items)}</lastBuildDate>{''.join(items)}</channel></rss>"
    ).encode()


def remembered(parts: Parts) -> list[list[Any]]:
    tables = (t.feeds, t.entries, t.entry_texts, t.entry_keys, t.entry_versions, t.offers, t.digest_feeds)
    with parts.store._database.read() as connection:
        return [sorted(map(repr, connection.execute(sa.select(table)).all())) for table in tables]


def lives(folder: Path, days: list[list[tuple[int, str, int]]], *, is_usual: bool) -> Iterator[list[list[Any]]]:
    for name, reader in (("trimmed", Here()), ("whole", Whole())):
        path = folder / "feed.xml"
        home = folder / name
        home.mkdir()
        clock = FakeClock()
        parts = replace(parts_for(home, [], clock=clock, ids=counting_ids()), reader=reader)
        parts = replace(parts, digests_of={str(path): ("daily",)})
        for stories in days:
            path.write_bytes(written(stories, is_usual=is_usual))
            asyncio.run(pipeline.fetch(parts, [Feed(url=str(path))]))
            clock.advance(timedelta(days=1))
        yield remembered(parts)
        parts.store.close()


@settings(max_examples=15)
@given(days=st.lists(STORIES, min_size=2, max_size=6), is_usual=st.booleans())
def test_what_is_remembered_is_the_same_whether_known_items_are_read_or_not(
    days: list[list[tuple[int, str, int]]], is_usual: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trimmed, read_whole = lives(Path(folder), days, is_usual=is_usual)

    assert read_whole == trimmed


@pytest.mark.soak
@settings(max_examples=3_000)
@given(days=st.lists(STORIES, min_size=2, max_size=8), is_usual=st.booleans())
def test_many_lives_are_remembered_the_same(days: list[list[tuple[int, str, int]]], is_usual: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trimmed, read_whole = lives(Path(folder), days, is_usual=is_usual)

    assert read_whole == trimmed


def test_a_known_item_is_not_read_again(tmp_path: Path) -> None:
    """Ten stories, one of them new: nine are known by their bytes."""
    asked: list[tuple[int, int]] = []

    class Counting:
        async def read(self, job: Job) -> Document:
            found = await Here().read(job)
            light = sum(entry.mark is not None and entry.mark.known_id is not None for entry in found.entries)
            asked.append((len(found.entries), light))
            return found

    path = tmp_path / "feed.xml"
    parts = replace(parts_for(tmp_path, [], clock=FakeClock(), ids=counting_ids()), reader=Counting())
    for count in (9, 10, 10):
        path.write_bytes(written([(number, "", 0) for number in range(count)], is_usual=True))
        results = asyncio.run(pipeline.fetch(parts, [Feed(url=str(path))]))
    parts.store.close()

    # The third time the bytes are those of the second, and nobody reads them.
    assert [(9, 0), (10, 9)] == asked
    assert [True] == [result.unchanged for result in results]

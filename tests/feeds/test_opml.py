"""OPML: lists of feeds from any program, nearly XML or hostile, and ours, which says the same when it is read again."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import ParseError
from newsletter.feeds.opml import MAX_BYTES, Subscription, read_opml, write_opml
from newsletter.model import Feed

#: Files that name no feed: outlines of other things, or with the address left out.
WITHOUT_FEEDS = {
    "feedvalidator__clean_category.opml",
    "feedvalidator__clean_states.opml",
    "feedvalidator__errors_invalidCharacters.opml",
    "feedvalidator__errors_missingUrlAttribute.opml",
    "listparser__opportunities_opml-htmlUrl.xml",
    "node-opmlparser__opml_categories.opml",
    "node-opmlparser__opml_no-outlines.opml",
    "node-opmlparser__opml_outline.opml",
}


def opml(body: str) -> bytes:
    return f'<?xml version="1.0"?>\n<opml version="2.0">\n<body>\n{body}\n</body>\n</opml>\n'.encode()


def read(body: str) -> tuple[Subscription, ...]:
    return read_opml(opml(body)).feeds


def test_every_list_of_the_corpus_is_read(corpus: Path) -> None:
    files = sorted((corpus / "opml").glob("*.opml")) + sorted((corpus / "opml").glob("*.xml"))
    found = {path.name: read_opml(path.read_bytes()) for path in files}

    assert len(files) > 20
    assert {name for name, outline in found.items() if not outline.feeds} == WITHOUT_FEEDS
    for name, outline in found.items():
        written = (corpus / "opml" / name).read_text(encoding="utf-8", errors="replace").lower().count("xmlurl=")
        assert len(outline.feeds) <= written
    real = found["NetNewsWire__Resources_Subs.opml"]
    assert (207, ()) == (len(real.feeds), real.remarks)
    assert {"Weblogs", "Writers"} <= {tag for feed in real.feeds for tag in feed.tags}


def test_groups_and_categories_become_tags_the_outermost_first() -> None:
    feeds = read(
        '<outline text="Tech"><outline text="Python" category="/Work/Daily,extra">'
        '<outline text="One" xmlUrl="https://one.example.com/rss" category="/Work/Daily,extra"/></outline>'
        '<outline title="Two" xmlUrl="https://two.example.com/rss"/></outline>'
        '<outline text="Three" xmlUrl="https://three.example.com/rss"/>'
    )

    assert [
        ("One", ("Tech", "Python", "Work", "Daily", "extra")),
        ("Two", ("Tech",)),
        ("Three", ()),
    ] == [(feed.title, feed.tags) for feed in feeds]


def test_a_feed_in_two_groups_is_one_feed_with_both_tags() -> None:
    one = '<outline text="One" xmlUrl="https://one.example.com/rss"/>'

    assert (Subscription(url="https://one.example.com/rss", title="One", tags=("A", "B"), line=4),) == read(
        f'<outline text="A">{one}</outline><outline text="B">{one}</outline>'
    )


def test_attributes_are_read_however_they_are_spelled() -> None:
    feeds = read('<OUTLINE TEXT="One" XMLURL="feed:https://one.example.com/rss" Type="rss"/>')

    assert ["https://one.example.com/rss"] == [feed.url for feed in feeds]


def test_addresses_with_a_bare_ampersand_are_read_and_that_is_said() -> None:
    found = read_opml(
        opml('<outline text="R&D &eacute;t&eacute; &amp; more" xmlUrl="https://one.example.com/?a=1&b=2"/>')
    )

    assert [("R&D été & more", "https://one.example.com/?a=1&b=2")] == [(feed.title, feed.url) for feed in found.feeds]
    assert ["2 bare & or unknown entities were taken as they stand"] == [remark.text for remark in found.remarks]


def test_what_is_not_well_formed_is_named_with_its_line_and_the_rest_is_read() -> None:
    found = read_opml(opml('<outline text="One" xmlUrl="https://one.example.com/rss">\n<b>\n</outline>'))

    assert ["https://one.example.com/rss"] == [feed.url for feed in found.feeds]
    assert [6] == sorted({remark.line for remark in found.remarks if remark.line})[:1]
    assert "is not well-formed" in found.remarks[0].text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_a_list_is_read_in_any_encoding_it_names(encoding: str) -> None:
    name = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{name}"?><opml><body><outline text="Émile" xmlUrl="https://e.example.com/"/></body></opml>'

    assert ["Émile"] == [feed.title for feed in read_opml(text.encode(encoding)).feeds]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is no OPML"),
        (b"\x00\x01\x02", "is no OPML"),
        (b"just words", "is no OPML"),
        (b"<html><body><p>Log in</p></body></html>", "a web page"),
        (b"<rss version='2.0'><channel/></rss>", "a feed itself"),
        (b"<feed xmlns='http://www.w3.org/2005/Atom'/>", "a feed itself"),
        (b"<plist/>", "begins with <plist>"),
        (b" " * (MAX_BYTES + 1), "is larger than"),
    ],
)
def test_what_is_no_list_of_feeds_is_refused_in_one_sentence(body: bytes, words: str) -> None:
    with pytest.raises(ParseError) as caught:
        read_opml(body)

    assert words in caught.value.message


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
OUTLINE = '<opml><body><outline text="&l9;" xmlUrl="https://one.example.com/"/></body></opml>'


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE opml [<!ENTITY l0 "lol">{LAUGHS}]>{OUTLINE}',
        f'<!DOCTYPE opml [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>{OUTLINE}',
        f'<!DOCTYPE opml [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]>{OUTLINE}',
        f'<!DOCTYPE opml [<!entity l9 "{"A" * 50_000}">]>{OUTLINE}',
        f'<!DOCTYPE opml [<!ATTLIST outline xmlUrl CDATA "https://evil.example.com/">]>{OUTLINE}',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_a_list_that_declares_entities_is_refused_in_any_encoding(text: str, encoding: str) -> None:
    with pytest.raises(ParseError, match=r"declares entities|document type"):
        read_opml(text.encode(encoding))


def test_an_ordinary_document_type_is_ignored_and_nothing_is_fetched() -> None:
    text = f'<?xml version="1.0"?>\n<!DOCTYPE opml SYSTEM "http://127.0.0.1:9/opml.dtd">\n{OUTLINE}'

    assert [("&l9;", 3)] == [(feed.title, feed.line) for feed in read_opml(text.encode()).feeds]


@pytest.mark.parametrize("depth", [60, 5_000])
def test_groups_that_go_deeper_than_anybody_s_are_refused(depth: int) -> None:
    deep = '<outline text="g">' * depth + '<outline xmlUrl="https://one.example.com/"/>' + "</outline>" * depth

    with pytest.raises(ParseError, match=r"deep|no OPML"):
        read_opml(opml(deep))


def test_twenty_thousand_feeds_are_plenty() -> None:
    with pytest.raises(ParseError, match="more than 20,000 feeds"):
        read_opml(opml("".join(f'<outline xmlUrl="https://example.com/{n}"/>' for n in range(20_001))))


def test_titles_and_tags_are_single_lines_without_control_characters() -> None:
    [feed] = read(
        '<outline text="A\n\tb\x07\u202e"><outline text="x&#10;y\x85z" xmlUrl="https://one.example.com/"/></outline>'
    )

    assert ("x yz", ("A b",)) == (feed.title, feed.tags)


NAMES = (
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]), min_size=1, max_size=12)
    .map(lambda text: " ".join(text.split()))
    .filter(bool)
)
FEEDS = st.lists(
    st.builds(
        Feed,
        url=st.integers(0, 999).map(lambda n: f"https://example.com/{n}?a=1&b=<{n}>"),
        title=st.none() | NAMES,
        tags=st.lists(NAMES, max_size=3, unique=True).map(tuple),
    ),
    max_size=8,
    unique_by=lambda feed: feed.url,
)


@settings(max_examples=40)
@given(FEEDS, NAMES)
def test_what_is_written_says_the_same_when_it_is_read(feeds: list[Feed], title: str) -> None:
    text = write_opml(title, feeds, titles={}, pages={})
    found = read_opml(text.encode())

    assert () == found.remarks
    assert [(feed.url, feed.title or feed.url, feed.tags) for feed in feeds] == [
        (one.url, one.title, one.tags) for one in found.feeds
    ]


@settings(max_examples=60)
@given(st.binary(max_size=300))
def test_whatever_bytes_there_are_it_is_a_list_or_an_error(noise: bytes) -> None:
    for body in (noise, b"<opml><body>" + noise, b"<opml><body><outline xmlUrl='" + noise + b"'/></body></opml>"):
        with suppress(ParseError):
            read_opml(body)

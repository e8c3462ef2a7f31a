"""Documents of every kind become entries, or words for why they are none."""

from contextlib import suppress
from datetime import UTC, datetime
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import ParseError
from newsletter.feeds.parse import parse
from newsletter.feeds.plain import MAX_ENTRIES, date, html_from_text, title_text
from newsletter.model import Document, Enclosure, Entry

URL = "https://feeds.example.com/wire/rss.xml"


def read(text: str | bytes, *, url: str = URL, content_type: str | None = None) -> Document:
    body = text.encode() if isinstance(text, str) else text
    return parse(body, url=url, content_type=content_type)


def rss(item: str = "", channel: str = "", attributes: str = "") -> str:
    return (
        f'<?xml version="1.0"?><rss version="2.0" {attributes}><channel><title>Wire</title>'
        f"<link>https://example.com/</link>{channel}<item>{item}</item></channel></rss>"
    )


def atom(entry: str, attributes: str = "") -> str:
    return (
        f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" {attributes}><title>Wire</title>'
        f"<id>urn:x</id><entry><id>1</id>{entry}</entry></feed>"
    )


def only(text: str | bytes, *, url: str = URL, content_type: str | None = None) -> Entry:
    [entry] = read(text, url=url, content_type=content_type).entries
    return entry


# ------------------------------------------------------------------------ formats


def test_rss_2_in_full() -> None:
    document = read(
        dedent("""\
        <?xml version="1.0" encoding="utf-8"?>
        <rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"
             xmlns:content="http://purl.org/rss/1.0/modules/content/">
        <channel><title>The Wire &amp; more</title><link>/</link><language>en-us</language>
        <item>
          <title>Rain &amp; wind</title><link>../2026/rain?a=1&amp;b=2</link><guid isPermaLink="false">tag:1</guid>
          <dc:creator>Ada Example</dc:creator><category>weather</category><category> News </category><category>weather</category>
          <pubDate>Mon, 02 Mar 2026 08:00:00 +0100</pubDate>
          <description>It &lt;b&gt;rains&lt;/b&gt;</description>
          <content:encoded><![CDATA[<p>It <b>rains</b> &amp; blows. <img src="a.png"></p>]]></content:encoded>
          <enclosure url="/rain.mp3" type="audio/mpeg" length="1234"/>
          <media:thumbnail url="small.jpg" width="75"/><media:content url="big.jpg" medium="image" width="800"/>
        </item></channel></rss>""")
    )

    assert ("The Wire & more", "https://feeds.example.com/", "en-us") == (
        document.title,
        document.home_url,
        document.language,
    )
    assert (
        Entry(
            guid="tag:1",
            url="https://feeds.example.com/2026/rain?a=1&b=2",
            title="Rain & wind",
            author="Ada Example",
            published_at=datetime(2026, 3, 2, 7, 0, tzinfo=UTC),
            summary="It <b>rains</b>",
            content='<p>It <b>rains</b> &amp; blows. <img src="a.png"></p>',
            base_url="https://feeds.example.com/2026/rain?a=1&b=2",
            image="https://feeds.example.com/wire/big.jpg",
            enclosures=(Enclosure(url="https://feeds.example.com/rain.mp3", media_type="audio/mpeg", length=1234),),
            tags=("weather", "News"),
        ),
    ) == document.entries


def test_atom_in_full() -> None:
    document = read(
        dedent("""\
        <feed xmlns="http://www.w3.org/2005/Atom" xml:lang="de" xml:base="https://example.org/blog/">
        <title type="html">Die &lt;em&gt;Post&lt;/em&gt;</title><link href="./"/><link rel="self" href="feed.atom"/>
        <entry xml:lang="fr-CA">
          <title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">5 &lt; 6 &amp; <b>7</b></div></title>
          <id>urn:uuid:1</id><link href="2026/eins"/><link rel="enclosure" href="/e.pdf" type="application/pdf"/>
          <author><name>Bo</name></author><author><name>Cy</name></author>
          <published>2026-03-01T12:00:00.125Z</published><updated>2026-03-01T13:00:00+01:00</updated>
          <summary>a &lt; b &amp; c</summary>
          <content type="html">&lt;p&gt;&lt;a href="zwei"&gt;two&lt;/a&gt;, at more length than above&lt;/p&gt;</content>
        </entry></feed>""")
    )
    [entry] = document.entries

    assert ("Die Post", "https://example.org/blog/", "de") == (document.title, document.home_url, document.language)
    assert ("urn:uuid:1", "https://example.org/blog/2026/eins") == (entry.guid, entry.url)
    assert ("5 < 6 & 7", "Bo, Cy", "fr-CA") == (entry.title, entry.author, entry.language)
    assert datetime(2026, 3, 1, 12, 0, 0, 125_000, tzinfo=UTC) == entry.published_at
    assert datetime(2026, 3, 1, 12, 0, tzinfo=UTC) == entry.updated_at
    assert "a &lt; b &amp; c" == entry.summary
    assert '<p><a href="zwei">two</a>, at more length than above</p>' == entry.content
    assert "https://example.org/blog/" == entry.base_url
    assert (Enclosure(url="https://example.org/e.pdf", media_type="application/pdf"),) == entry.enclosures


def test_older_formats() -> None:
    rdf = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"'
        ' xmlns:dc="http://purl.org/dc/elements/1.1/"><channel rdf:about="x"><title>Old</title></channel>'
        '<item rdf:about="https://example.com/a"><title>A</title><link>https://example.com/a</link>'
        "<dc:date>2004-05-06</dc:date></item></rdf:RDF>"
    )
    atom03 = (
        '<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>Old</title><entry><title>A</title>'
        '<link rel="alternate" type="text/html" href="https://example.com/a"/><id>https://example.com/a</id>'
        "<issued>2004-05-06T00:00:00Z</issued></entry></feed>"
    )
    rss091 = (
        '<rss version="0.91"><channel><title>Old</title><item><title>A</title><link>https://example.com/a</link>'
        "<pubDate>Thu, 06 May 04 00:00:00 GMT</pubDate></item></channel></rss>"
    )

    for text in (rdf, atom03, rss091):
        document = read(text)
        assert ("Old", "A") == (document.title, document.entries[0].title)
        assert "https://example.com/a" == document.entries[0].url
        assert datetime(2004, 5, 6, tzinfo=UTC) == document.entries[0].published_at


def test_a_feed_without_entries_is_a_feed() -> None:
    assert () == read("<rss version='2.0'><channel><title>Wire</title></channel></rss>").entries


# ------------------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Tom &amp;amp; Jerry: 5 &amp;lt; 6 &amp;lt;b&amp;gt;", "Tom & Jerry: 5 < 6 <b>"),
        ("AT&amp;T 1 &lt; 2", "AT&T 1 < 2"),
        ("Plain &lt;b&gt;bold&lt;/b&gt; and CO&lt;sub&gt;2&lt;/sub&gt;", "Plain bold and CO2"),
        ("<![CDATA[A<br/>B<p>C</p>D]]>", "A B C D"),
        ("  line\n\n  ends\t and \u00a0 blanks ", "line ends and blanks"),
        ("left \u202eto right\u202c \u200emark", "left to right mark"),
        ("no\x00NUL\x07bell", "no\ufffdNUL\ufffdbell"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<script>alert(1)</script>"),
        ("{{ 7*7 }} {% raw %}", "{{ 7*7 }} {% raw %}"),
        ("=?utf-8?q?hi=0D=0ABcc=3A_evil=40example.com?=", "=?utf-8?q?hi=0D=0ABcc=3A_evil=40example.com?="),
        ("Fran\u00e7ois \U0001f600", "Fran\u00e7ois \U0001f600"),
        ("", ""),
    ],
)
def test_a_title_is_one_line_of_text(written: str, title: str) -> None:
    assert title == only(rss(f"<title>{written}</title>")).title


def test_a_title_has_an_end() -> None:
    assert len(only(rss(f"<title>{'word ' * 50_000}</title>")).title) <= 10_000


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://example.com/a", "https://example.com/a"),
        ("//example.org/a", "https://example.org/a"),
        ("a b", "https://feeds.example.com/wire/a%20b"),
        ("?p=1", "https://feeds.example.com/wire/rss.xml?p=1"),
        ("javascript:alert(1)", None),
        (" jAvAsCrIpT:alert(1)", None),
        ("data:text/html,hello", None),
        ("file:///etc/passwd", None),
        ("http://[::1", None),
        ("https://", None),
        ("", None),
        ("https://example.com/" + "x" * 5_000, None),
    ],
)
def test_a_link_is_absolute_and_safe_or_none(link: str, url: str | None) -> None:
    assert url == only(rss(f"<title>x</title><link>{link}</link>")).url


def test_a_guid_that_is_an_address_is_the_link_where_there_is_no_other() -> None:
    assert "https://example.com/1" == only(rss("<guid>https://example.com/1</guid>")).url
    assert None is only(rss("<guid isPermaLink='false'>https://example.com/1</guid>")).url
    assert (
        "https://example.com/2" == only(rss("<guid>https://example.com/1</guid><link>https://example.com/2</link>")).url
    )


def test_a_link_to_the_feed_itself_is_the_address_of_no_story() -> None:
    assert None is only(rss(f"<title>x</title><link>{URL}</link>")).url


def test_a_guid_too_long_to_keep_is_still_told_from_another() -> None:
    one, other = (only(rss(f"<guid isPermaLink='false'>{'x' * 5000}{end}</guid>")).guid for end in "ab")

    assert one != other
    assert one.startswith("sha256:")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Mon, 02 Mar 2026 08:00:00 +0100", datetime(2026, 3, 2, 7, tzinfo=UTC)),
        ("Mon, 02 Mar 2026 08:00:00 EST", datetime(2026, 3, 2, 13, tzinfo=UTC)),
        ("2 Mar 2026 08:00", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("2026-03-02T08:00:00.5+01:00", datetime(2026, 3, 2, 7, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-03-02 08:00:00", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("2026-03-02", datetime(2026, 3, 2, tzinfo=UTC)),
        ("Mon, 02 Mar 2099 08:00:00 GMT", datetime(2099, 3, 2, 8, tzinfo=UTC)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("Sun, 31 Dec 1989 23:59:59 GMT", None),
        ("Mon, 01 Jan 1990 00:00:00 GMT", datetime(1990, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("2026-03-02T08:00:00+99:99", datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ("1" * 5000, None),
        ("", None),
    ],
)
def test_a_date_is_kept_where_it_says_something(written: str, expected: datetime | None) -> None:
    published = only(rss(f"<title>x</title><pubDate>{written}</pubDate>")).published_at

    if "+99:99" in written:  # nonsense may be read or not, but harms nobody
        assert published is None or published.tzinfo is UTC
    else:
        assert expected == published


def test_an_undated_entry_has_no_date() -> None:
    entry = only(rss("<title>x</title>"))

    assert (None, None) == (entry.published_at, entry.updated_at)


def test_an_entry_with_only_an_updated_date_was_published_then() -> None:
    entry = only(atom("<title>x</title><updated>2026-03-01T12:00:00Z</updated>"))

    assert entry.published_at == entry.updated_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_html_comes_through_as_it_was_written() -> None:
    """Cleaning is the sanitiser's business, once, for what is sent."""
    html = (
        """<p onclick='x()'>a &amp; b &lt; c &nbsp; <script>alert("1")</script><img src="/a.png"> {{ x }} \u202e</p>"""
    )
    cdata = only(rss(f"<description><![CDATA[{html}]]></description>"))
    escaped = html.replace("&", "&amp;").replace("<", "&lt;")

    assert html == cdata.summary
    assert html == only(rss(f"<description>{escaped}</description>")).summary
    assert html == only(atom(f"<content type='html'>{escaped}</content>")).content


def test_plain_text_becomes_html_that_shows_the_same() -> None:
    assert "a &lt;b&gt; &amp; c" == only(atom("<summary>a &lt;b> &amp; c</summary>")).summary
    assert "a &lt;b&gt;" == only(atom("<content type='text'>a &lt;b></content>")).content
    assert "<p>one<br>\ntwo</p>\n<p>three &lt;3</p>" == html_from_text("one\r\ntwo\n\n\n\nthree <3\n")
    assert "one line" == html_from_text(" one line ")


def test_content_without_summary_is_not_told_twice() -> None:
    entry = only(atom("<content type='html'>&lt;p&gt;x&lt;/p&gt;</content>"))

    assert ("", "<p>x</p>") == (entry.summary, entry.content)


def test_the_caption_of_a_picture_does_not_replace_the_article() -> None:
    entry = only(
        rss(
            "<description>A long article about rain and wind</description>"
            "<media:content url='a.jpg' type='image/jpeg'><media:description>Rain</media:description></media:content>",
            attributes='xmlns:media="http://search.yahoo.com/mrss/"',
        )
    )

    assert ("A long article about rain and wind", "") == (entry.summary, entry.content)


def test_text_has_an_end() -> None:
    entry = only(rss(f"<description>{'x' * 700_000}</description>"))

    assert 500_000 == len(entry.summary)


def test_a_document_keeps_its_newest_five_thousand_entries() -> None:
    """Oldest first in the document: the first ones are those to go."""
    items = "".join(
        f"<item><guid>{number}</guid><pubDate>{'Mon, 02 Mar 2026' if number >= 100 else 'Sun, 01 Mar 2026'}"
        " 08:00:00 GMT</pubDate></item>"
        for number in range(MAX_ENTRIES + 100)
    )
    entries = read(f"<rss version='2.0'><channel>{items}</channel></rss>").entries

    assert MAX_ENTRIES == len(entries)
    assert ("100", str(MAX_ENTRIES + 99)) == (entries[0].guid, entries[-1].guid)
    assert list(range(MAX_ENTRIES)) == [entry.position for entry in entries]


def test_tags_and_enclosures_have_an_end() -> None:
    entry = only(
        rss("".join(f"<category>{n}</category><enclosure url='/{n}.mp3' type='audio/mpeg'/>" for n in range(500)))
    )

    assert (50, 20) == (len(entry.tags), len(entry.enclosures))


@pytest.mark.parametrize(
    ("written", "language"),
    [
        ("en-us", "en-us"),
        ("pt_BR", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant-TW"),
        ("None\r\nBcc: x", None),
        ("e" * 99, None),
        ("", None),
    ],
)
def test_a_language_is_a_tag_or_none(written: str, language: str | None) -> None:
    assert language == read(rss(channel=f"<language>{written}</language>")).language


def test_an_image_may_be_an_enclosure_or_a_cover() -> None:
    cover = rss(
        "<itunes:image href='/cover.jpg'/>", attributes='xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'
    )

    assert "https://feeds.example.com/p.jpg" == only(rss("<enclosure url='/p.jpg' type='image/jpeg'/>")).image
    assert "https://feeds.example.com/cover.jpg" == only(cover).image
    assert None is only(rss("<enclosure url='javascript:x' type='image/png'/>")).image


# ----------------------------------------------------------------------- charset

GRUESS = "Grüße aus Łódź, Αθήνα und 東京"


@pytest.mark.parametrize(
    ("encoding", "declared", "content_type"),
    [
        ("utf-8", None, None),
        ("utf-8", "utf-8", "text/xml"),
        ("utf-8", "utf-8", "text/xml; charset=iso-8859-1"),  # the default of a server that does not know
        ("utf-8", "iso-8859-1", None),
        ("utf-8", "windows-1252", 'application/xml; charset="us-ascii"'),
        ("utf-8-sig", "utf-16", "text/xml; charset=latin1"),
        ("utf-16", "utf-16", None),
        ("utf-16-le", None, "text/xml; charset=utf-8"),
        ("utf-16-be", "utf-16", None),
        ("utf-32", "utf-32", None),
        ("gb18030", "gb18030", None),
        ("gb18030", "gb2312", None),
    ],
)
def test_characters_survive_a_wrong_label(encoding: str, declared: str | None, content_type: str | None) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    body = f"{declaration}<rss version='2.0'><channel><item><title>{GRUESS}</title></item></channel></rss>".encode(
        encoding
    )

    assert GRUESS == only(body, content_type=content_type).title


@pytest.mark.parametrize(
    ("encoding", "text", "label"),
    [
        ("cp1252", "Grüße – „€“", "iso-8859-1"),
        ("cp1252", "Grüße – „€“", None),
        ("cp1251", "Привет, мир", "windows-1251"),
        ("koi8-r", "Привет, мир", "koi8-r"),
        ("iso2022_jp", "日本語", "iso-2022-jp"),
        ("cp932", "日本語①", "shift_jis"),
        ("cp949", "한국어", "euc-kr"),
        ("iso8859-2", "Łódź", "iso-8859-2"),
    ],
)
@pytest.mark.parametrize("where", ["header", "declaration"])
def test_other_encodings_are_read_as_labelled(encoding: str, text: str, label: str | None, where: str) -> None:
    declaration = f'<?xml version="1.0" encoding="{label}"?>' if label and where == "declaration" else ""
    body = f"{declaration}<rss version='2.0'><channel><item><title>{text}</title></item></channel></rss>".encode(
        encoding
    )
    content_type = f"text/xml; charset={label}" if label and where == "header" else None

    assert text == only(body, content_type=content_type).title


@pytest.mark.parametrize(
    "label", ["punycode", "idna", "unicode_escape", "utf-7", "rot13", "zip", "hex", "mbcs", "aliases", "x" * 99]
)
def test_encodings_that_are_traps_are_not_used(label: str) -> None:
    body = (
        f'<?xml version="1.0" encoding="{label}"?><rss version="2.0"><channel><item><title>a\\x41+AEE-</title>'.encode()
    )

    assert "a\\x41+AEE-" == only(body + b"</item></channel></rss>", content_type=f"text/xml; charset={label}").title


def test_one_broken_character_does_not_spoil_the_others() -> None:
    text = f"<rss version='2.0'><channel><item><title>{GRUESS * 3} \udcff</title></item></channel></rss>"

    assert f"{GRUESS * 3} \ufffd" == only(text.encode("utf-8", "surrogateescape")).title


# ------------------------------------------------------------- what is not a feed


def refusal(body: str | bytes, content_type: str | None = None) -> ParseError:
    with pytest.raises(ParseError) as caught:
        read(body, content_type=content_type)
    assert caught.value.message == caught.value.message.strip().rstrip(".")
    return caught.value


@pytest.mark.parametrize("body", ["", " \n\t ", "\ufeff", "\0\0\0\0"])
def test_an_empty_answer_is_called_empty(body: str) -> None:
    assert "the answer is empty" == refusal(body).message


PAGE = """<!-- saved --><!DOCTYPE html><html><head><title>News</title>
<link rel="stylesheet" href="/style.css"><link rel="alternate" hreflang="de" href="/de">
<link rel='alternate' type='application/rss+xml' title='x' href='/feed?a=1&amp;b=2'>
<LINK TYPE="application/atom+xml; charset=utf-8" HREF=atom.xml REL="alternate home">
<link rel="alternate" type="application/feed+json" href="javascript:alert(1)">
</head><body><rss version="2.0"></rss></body></html>"""


def test_a_web_page_is_named_with_the_feeds_it_names() -> None:
    error = refusal(PAGE, "application/rss+xml")

    assert "this is a web page, not a feed" == error.message
    assert (
        "it names these feeds: https://feeds.example.com/feed?a=1&b=2, https://feeds.example.com/wire/atom.xml"
        == error.hint
    )


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>Log in</body></html>",
        "<?xml version='1.0'?><!DOCTYPE html PUBLIC 'x'><html xmlns='http://www.w3.org/1999/xhtml'/>",
        "<!doctype html><title>Moved</title><p>Go away",
        "<head><title>Moved</title></head>",
        PAGE.replace("alternate", "other"),
    ],
)
def test_a_web_page_without_feeds_is_named(body: str) -> None:
    assert "this is a web page, not a feed, and it names none" == refusal(body).message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x1f\x8b\x08\x00", "this is a compressed file, not a feed"),
        (b"%PDF-1.7", "this is no text, and so no feed"),
        (b"\x89PNG\r\n", "this is no text, and so no feed"),
        ("Just a moment...", "this is text, but not a feed: it starts with 'Just a moment...'"),
        ("a < b", "this is text, but not a feed: it starts with 'a < b'"),
        ("<!-- only a comment", "this is text, but not a feed: it starts with '<!-- only a comment'"),
        ("{}", "this is JSON, but not a JSON Feed"),
        ('{"version": "2.0", "items": []}', "this is JSON, but not a JSON Feed"),
        ("[1, 2]", "this is JSON, but not a JSON Feed"),
        ("{nonsense", "this looks like JSON, but is damaged and cannot be read"),
        ("<opml version='2.0'><body/></opml>", "this is a list of feeds (OPML), not a feed"),
        ("<catalog><book/></catalog>", "this is XML, but not a feed: its first element is <catalog>"),
        ("<sitemapindex/>", "this is XML, but not a feed: its first element is <sitemapindex>"),
    ],
)
def test_what_else_it_is_is_said(body: str | bytes, message: str) -> None:
    assert message == refusal(body).message


# -------------------------------------------------------------------- hostile input


def test_nothing_is_ever_opened(tmp_path: object) -> None:
    """feedparser takes text for an address or a file name; it must never see text."""
    for text in ("/etc/hostname", "http://127.0.0.1:9/", "file:///etc/hostname", __file__):
        assert refusal(text).message.startswith("this is text, but not a feed")


def test_entities_from_outside_are_not_read() -> None:
    body = '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + rss("<title>a&x;b</title>").partition("?>")[2]

    assert only(body).title in ("a&x;b", "ab")


def test_entities_that_multiply_are_not_multiplied() -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE rss [<!ENTITY l0 "ha">{entities}]>' + rss("<title>&l9;</title>").partition("?>")[2]
    with suppress(ParseError):
        assert len(only(body).title) < 1000


@pytest.mark.parametrize(
    "text",
    [
        "&#xZZ; &#; &#x;",
        "&#99999999999999999999; &#xFFFFFFFFFFFF;",
        "&#" + "9" * 5000 + ";",
        "&#xD800; &#x0; &#11; &#1114112;",
        "&bogus; &nbsp &copy",
        "<b><i></b></i>",
    ],
)
def test_references_that_name_nothing_cost_no_more_than_themselves(text: str) -> None:
    for broken in ("", "</oops>"):  # the second makes feedparser take its forgiving road
        document = read(rss(f"<title>before {text} after</title><guid>1</guid>{broken}"))

        assert document.entries[0].title.startswith("before")


@pytest.mark.parametrize(
    "body",
    [
        b"<rss version='2.0'><channel><item><category>&#1114112000000000000;</category></x:item></channel></rss>",
        b"<rss><channel><item><tags>a,b</tags></item><x:y></channel></rss>",
        b'<?xml encoding="\xff"?><rss/>',
        b'<rss xmlns:a="b"><a:channel><c:item/></a:channel></rss>',
        b"<feed><entry><content mode='base64'>!!!</content></entry></feed>",
        b"<rss><channel><image><width>x</width></image><validity/><dcterms:valid>start</dcterms:valid></channel></rss>",
        b"<rss><channel><media:credit/><item></media:credit></media:player></media:thumbnail></item></channel></rss>",
        b"<rss><channel></itunes:explicit></dcterms:valid></tags></media:keywords></itunes:keywords></channel></rss>",
        b"<rss><channel>" + b"<item>" * 3000,
        b"<rss><channel><item>" + b"<div>" * 3000,
    ],
)
def test_input_that_breaks_feedparser_breaks_nothing_else(body: bytes) -> None:
    with suppress(ParseError):
        assert isinstance(read(body), Document)


FRAGMENTS = [
    *("<rss version='2.0'>", "<channel>", "<item>", "</item>", "<title>", "</title>", "<link>", "</link>", "<guid>"),
    *("<feed xmlns='http://www.w3.org/2005/Atom'>", "<entry>", "</entry>", "<content type='xhtml'>", "</content>"),
    *("<content mode='base64'>", "<author>", "</author>", "<x:y>", "</x:y>", "<description>", "<![CDATA[", "]]>"),
    *("&#x", "&#", "&amp;", "&bogus;", "&#xD800;", "&#99999999999;", "<!--", "-->", "<!ENTITY a 'b'>", "<?xml", "?>"),
    *(
        "<media:thumbnail url='x'/>",
        "</media:credit>",
        "<tags>",
        "</tags>",
        "<category>",
        "</category>",
        "<svg>",
        "\x00",
    ),
    *(
        "<dcterms:valid>",
        "</dcterms:valid>",
        "<pubDate>",
        "</pubDate>",
        "2026-99-99",
        "xml:base='http://['",
        "<",
        ">",
        '"',
    ),
    *(
        "<itunes:image href='http://[x'/>",
        "\ufffe",
        "\u202e",
        "é",
        "<source url='x'>",
        "</source>",
        "<textinput>",
        "</name>",
    ),
]


@settings(max_examples=250)
@given(
    st.sampled_from(
        ["", "<rss version='2.0'><channel><item>", "<feed xmlns='http://www.w3.org/2005/Atom'><entry>", "{"]
    ),
    st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=25),
    st.sampled_from(["utf-8", "utf-16", "cp1252", "iso2022_jp"]),
)
def test_whatever_comes_is_a_document_or_a_reason(start: str, pieces: list[str], encoding: str) -> None:
    body = (start + "".join(pieces)).encode(encoding, "replace")
    try:
        document = read(body)
    except ParseError:
        return
    for entry in document.entries:
        texts = [
            entry.guid,
            entry.title,
            entry.summary,
            entry.content,
            entry.url or "",
            entry.author or "",
            *entry.tags,
        ]
        "".join(texts).encode()  # no surrogates
        assert "\x00" not in "".join(texts)
        assert not set(entry.title) & set("\r\n\t\x00\u202e")


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_a_document_or_a_reason(body: bytes) -> None:
    with suppress(ParseError):
        assert isinstance(read(body), Document)


@given(st.text(max_size=60) | st.from_regex(r"[ A-Z,a-z+:0-9-]{0,40}", fullmatch=True) | st.datetimes().map(str))
def test_any_date_is_read_or_not(text: str) -> None:
    found = date(text)

    assert found is None or (found.tzinfo is UTC and 1990 <= found.year < 2999)


@given(st.text(max_size=300), st.booleans())
def test_a_title_is_always_one_clean_line(text: str, is_html: bool) -> None:
    title = title_text(text, is_html=is_html)

    assert title == " ".join(title.split())
    assert title.isprintable() or not set(title) & set("\r\n\x00\u2028\u202e")
    title.encode()

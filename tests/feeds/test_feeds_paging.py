"""Where a document says that its older entries are (RFC 5005), whatever else it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.feeds.paging import older_page
from newsletter.feeds.parse import parse

BASE = "https://paper.example/feeds/news"
ATOM = '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{}<entry><title>a</title><id>1</id>{}</entry>{}</feed>'


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ('<link rel="prev-archive" href="https://paper.example/2025"/>', "https://paper.example/2025"),
        ("<link href='/2025' rel='next'/>", "https://paper.example/2025"),
        (
            '<atom:link rel="next" type="application/rss+xml" href="?page=2&amp;x=1"/>',
            "https://paper.example/feeds/news?page=2&x=1",
        ),
        ('<link\n  rel="NEXT"\n  href="older"\n/>', "https://paper.example/feeds/older"),
        ('<link rel="next" href="/n"/><link rel="prev-archive" href="/p"/>', "https://paper.example/p"),
        ('<link rel="alternate next" href="/n"/>', "https://paper.example/n"),
        ('<link rel="next"/>', None),
        ('<link rel="self" href="/x"/>', None),
        ('<link rel="prev" href="/newer"/>', None),
        ('<link rel="next" href="file:///etc/passwd"/>', None),
        ('<link rel="next" href="javascript:alert(1)"/>', None),
        ('<link rel="next" href="mailto:ada@example.com"/>', None),
        ('<link rel="next" href="http://["/>', None),
        ("", None),
    ],
)
def test_an_xml_feed_links_to_its_older_page_at_its_head_or_foot(link: str, found: str | None) -> None:
    assert found == older_page(ATOM.format(link, "", "").encode(), BASE)
    assert found == older_page(ATOM.format("", "", link).encode(), BASE)


def test_a_link_of_an_entry_is_not_the_feeds() -> None:
    assert None is older_page(ATOM.format("", '<link rel="next" href="/x"/>', "").encode(), BASE)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"next_url": "https://paper.example/2.json", "items": []}', "https://paper.example/2.json"),
        ('\ufeff {"items": [], "next_url" : "2.json\\u0026x"}', "https://paper.example/feeds/2.json&x"),
        ('{"next_url": "file:///etc/passwd"}', None),
        ('{"next_url": 5}', None),
        ('{"next_url": "\\ud800"}', None),
        ("{}", None),
    ],
)
def test_a_json_feed_names_it(text: str, found: str | None) -> None:
    assert found == older_page(text.encode("utf-8", "surrogatepass"), BASE)


@given(st.binary(max_size=300))
def test_any_bytes_may_stand_there(body: bytes) -> None:
    for whole in (
        body,
        b"{" + body,
        b"<rss><link " + body,
        b'{"next_url": "' + body + b'"}',
        b'<feed><link rel="next" href="' + body + b'"/>',
    ):
        found = older_page(whole, BASE)
        assert found is None or found.startswith(("http://", "https://"))


def test_the_documents_of_these_tests_are_feeds() -> None:
    assert 1 == len(parse(ATOM.format("", "", "").encode(), url=BASE, content_type=None).entries)

"""From the address a person has to the address of a feed."""

import pytest

from newsletter.feeds.discover import address_of, choices

YOUTUBE = "https://www.youtube.com/feeds/videos.xml"
CHANNEL = "UC" + "x" * 22


@pytest.mark.parametrize(
    ("page", "feed"),
    [
        (f"https://www.youtube.com/channel/{CHANNEL}", f"{YOUTUBE}?channel_id={CHANNEL}"),
        (f"https://m.youtube.com/channel/{CHANNEL}/videos", f"{YOUTUBE}?channel_id={CHANNEL}"),
        ("https://www.youtube.com/playlist?list=PL0123456789abcdef", f"{YOUTUBE}?playlist_id=PL0123456789abcdef"),
        ("https://youtube.com/user/example", f"{YOUTUBE}?user=example"),
        ("https://www.reddit.com/r/python", "https://www.reddit.com/r/python/.rss"),
        ("https://old.reddit.com/r/python/top/?t=week", "https://www.reddit.com/r/python/top/.rss?t=week"),
        ("https://reddit.com/user/example/", "https://www.reddit.com/user/example/.rss"),
        ("https://www.reddit.com/r/a/comments/1x/title/", "https://www.reddit.com/r/a/comments/1x/title/.rss"),
        ("https://github.com/example/news/releases", "https://github.com/example/news/releases.atom"),
        ("https://github.com/example/news/tags/", "https://github.com/example/news/tags.atom"),
        ("https://github.com/example/news/commits", "https://github.com/example/news/commits.atom"),
        ("https://github.com/example/news/commits/main/docs", "https://github.com/example/news/commits/main/docs.atom"),
    ],
)
def test_a_site_with_a_rule_is_not_asked(page: str, feed: str) -> None:
    assert feed == address_of(page)


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/@example",  # its page names the channel
        "https://www.youtube.com/watch?v=x",
        "https://www.youtube.com/channel/short",
        "https://www.youtube.com/playlist?list=<script>",
        "https://www.reddit.com/",
        "https://www.reddit.com/r/python/.rss",
        "https://github.com/example/news",
        "https://github.com/example/news/releases/tag/v1",
        "https://github.example.com/example/news/releases",
        "https://social.example.com/@ada",  # a Mastodon profile: its page names the feed
        "https://notyoutube.com/user/example",
        "feeds/reddit.com/r/python",
        "https://[::1",
        "",
    ],
)
def test_all_other_addresses_stay_what_they_are(url: str) -> None:
    assert address_of(url) is None


def page(*links: str) -> bytes:
    return f"<!doctype html><html><head>{''.join(links)}</head></html>".encode()


def named(href: str, title: str = "", kind: str = "application/rss+xml") -> str:
    return f'<link rel="alternate" type="{kind}" title="{title}" href="{href}">'


def test_a_page_names_its_feeds_with_their_titles() -> None:
    body = page(
        named("/feed", "News &amp; more"),
        named("atom.xml", kind="application/atom+xml"),
        named("/style", kind="text/css"),
    )

    assert {"https://example.com/feed": "News & more", "https://example.com/a/atom.xml": ""} == choices(
        body, url="https://example.com/a/", content_type=None
    )


@pytest.mark.parametrize(
    ("href", "title"),
    [("/comments/feed/", ""), ("/c.xml", "Example » Comments Feed"), ("/k", "Beispiel » Kommentar-Feed, Kommentare")],
)
def test_comments_are_chosen_only_where_there_is_nothing_else(href: str, title: str) -> None:
    news, comments = named("/feed/", "Example » Feed"), named(href, title)
    url = "https://example.com/"

    assert ["https://example.com/feed/"] == list(choices(page(news, comments), url=url, content_type=None))
    assert ["https://example.com" + href] == list(choices(page(comments), url=url, content_type=None))


def test_a_feed_that_is_named_twice_is_one_choice() -> None:
    assert 1 == len(
        choices(page(named("/feed"), named("/feed", "again")), url="https://example.com/", content_type=None)
    )


def test_addresses_that_lead_elsewhere_than_the_web_are_no_choice() -> None:
    body = page(named("javascript:alert(1)"), named("file:///etc/passwd"), named("feed:x"))

    assert {} == choices(body, url="https://example.com/", content_type=None)

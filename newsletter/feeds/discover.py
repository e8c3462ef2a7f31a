"""From the address a person has to the address of a feed.

Some sites have a rule for it, which is applied without asking anybody
(`address_of`); of all others the page is read, and the feeds it names are the
only ones that are tried (`choices`).
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from newsletter.feeds.charset import decode
from newsletter.feeds.parse import alternates

_YOUTUBE: Final = frozenset({"youtube.com", "m.youtube.com"})
_REDDIT: Final = frozenset({"reddit.com", "old.reddit.com", "new.reddit.com"})
_CHANNEL: Final = re.compile(r"/channel/(UC[\w-]{22})(?:/.*)?")
_USER: Final = re.compile(r"/user/([\w.-]+)/?")
_LIST: Final = re.compile(r"[\w-]{10,60}")
_SUBREDDIT: Final = re.compile(r"(/(?:r|u|user)/[\w-]+(?:/(?:new|hot|top|rising|comments/\w+(?:/[^/]*)?))?)/?")
_GITHUB: Final = re.compile(r"/([\w.-]+)/([\w.-]+)/(releases|tags|commits)(?:/(.+?))?/?")
_COMMENTS: Final = re.compile(
    r"\bcomments?\b|\bkommentare?\b|\bcommentaires\b|\bcomentarios\b|\breplies\b", re.IGNORECASE
)


def address_of(url: str) -> str | None:
    """The feed of a page whose site has a rule for it; None for all other addresses.

    YouTube: channels and playlists, and users of old; those called @name are
    found through their page.  Reddit: what has posts.  GitHub: releases, tags
    and commits.  Mastodon names the feed of a profile in its page.
    """
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    if parts.scheme.lower() not in ("http", "https"):
        return None
    if host in _YOUTUBE:
        return _youtube(parts.path, parts.query)
    if host in _REDDIT and (match := _SUBREDDIT.fullmatch(parts.path)):
        return urlunsplit(("https", "www.reddit.com", f"{match[1]}/.rss", parts.query, ""))
    if host == "github.com" and (match := _GITHUB.fullmatch(parts.path)):
        return _github(*match.groups())
    return None


def _youtube(path: str, query: str) -> str | None:
    feed = "https://www.youtube.com/feeds/videos.xml"
    if match := _CHANNEL.fullmatch(path):
        return f"{feed}?channel_id={match[1]}"
    if match := _USER.fullmatch(path):
        return f"{feed}?user={match[1]}"
    [name] = parse_qs(query).get("list", [""])[:1]
    if path.rstrip("/") == "/playlist" and _LIST.fullmatch(name):
        return f"{feed}?playlist_id={name}"
    return None


def _github(owner: str, project: str, what: str, rest: str | None) -> str | None:
    if what == "commits":
        return f"https://github.com/{owner}/{project}/commits{f'/{quote(rest)}' if rest else ''}.atom"
    # A single release is no feed.
    return None if rest else f"https://github.com/{owner}/{project}/{what}.atom"


def choices(body: bytes, *, url: str, content_type: str | None) -> Mapping[str, str]:
    """The feeds that a page names, with their titles; those of comments only if there is no other.

    Args:
        body: the page.
        url: where it came from, after redirects.
        content_type: the field of the HTTP answer.
    """
    found = alternates(decode(body, content_type), url)
    stories = {
        address: title
        for address, title in found.items()
        if not _COMMENTS.search(title) and "/comments/" not in urlsplit(address).path
    }
    return stories or found

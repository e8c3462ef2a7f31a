"""A feed's older entries, from the pages that its document links to (RFC 5005).

Archived feeds link with `prev-archive` (§4), paged ones with `next` (§3), JSON
Feed with `next_url`.  Followed only where entries may have been missed, and only
so far.
"""

import html
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from newsletter.feeds.manners import envelope_of
from newsletter.model import Fetched, FetchOutcome
from newsletter.urls import safe_url

#: So many pages are looked at, and so many bytes.
MOST_PAGES: Final = 10
MOST_BYTES: Final = 20_000_000
_LINK: Final = re.compile(rb"<(?:\w{1,20}:)?link\b([^<>]{1,4000}?)/?>")
_ATTRIBUTE: Final = re.compile(r"""([\w:-]{1,40})\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_NEXT_URL: Final = re.compile(rb'"next_url"\s*:\s*("(?:[^"\\]|\\.){1,2000}")')
_RELATIONS: Final = ("prev-archive", "next")


def older_page(body: bytes, base: str) -> str | None:
    """Where a document says that its older entries are; None where it says nothing.

    Args:
        body: the document.
        base: where it came from, for relative addresses.
    """
    links: dict[str, str] = {}
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        if found := _NEXT_URL.search(body):
            try:
                # Half a surrogate pair is no part of an address.
                links["next"] = json.loads(found[1]).encode("utf-8", "ignore").decode()
            except ValueError:
                return None
    else:
        for link in _LINK.finditer(envelope_of(body)):
            parts = _ATTRIBUTE.findall(link[1].decode("utf-8", "replace"))
            known = {name.lower(): html.unescape(one or other) for name, one, other in parts}
            for relation in known.get("rel", "").lower().split():
                links.setdefault(relation, known.get("href", ""))
    href = next((links[relation] for relation in _RELATIONS if links.get(relation)), None)
    url = safe_url(href, base) if href else None
    return url if url and url.startswith(("http://", "https://")) else None


async def older_pages(first: Fetched, ask: Callable[[str], Awaitable[FetchOutcome]]) -> AsyncIterator[Fetched]:
    """Yield the pages behind a document, newest first; ends where one cannot be read, or at the limits.

    Args:
        first: the feed's document.
        ask: fetches an address the way the feed itself is fetched.
    """
    page, seen, size = first, {first.final_url, first.feed.url}, 0
    for _ in range(MOST_PAGES):
        url = older_page(page.body, page.final_url)
        if url is None or url in seen:
            return
        seen.add(url)
        outcome = await ask(url)
        if not isinstance(outcome, Fetched):
            return
        page, size = outcome, size + len(outcome.body)
        if size > MOST_BYTES or page.final_url in seen - {url}:
            return
        seen.add(page.final_url)
        yield page

"""The links: each leads somewhere, says where, and does not pretend to lead elsewhere."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from newsletter.issues.check.finding import Finding, error, warning
from newsletter.issues.check.reading import Element, Letter, words

_SCHEMES = frozenset(("http", "https", "mailto", "tel"))
#: Text that a reader takes for an address: with a scheme, or with "www.", or a bare host with a path.
_LOOKS_LIKE = re.compile(r"(?:https?://|www\.)[^\s/?#]+\S*|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}/\S*", re.IGNORECASE)
_SHORTENERS = frozenset(
    [
        "bit.ly",
        "tinyurl.com",
        "t.co",
        "goo.gl",
        "ow.ly",
        "is.gd",
        "buff.ly",
        "rebrand.ly",
        "cutt.ly",
        "tiny.cc",
        "rb.gy",
        "t.ly",
        "shorturl.at",
    ]
)
_IP_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")


def check_links(letter: Letter) -> Iterator[Finding]:
    """Judge every link of the HTML part."""
    for link in letter.tags("a"):
        if link in letter.hidden or (link.get("href") is None and link.get("name")):
            continue
        yield from _link(letter, link)


def _link(letter: Letter, link: Element) -> Iterator[Finding]:
    where, text, url = letter.place(link), words(link, 80), (link.get("href") or "").strip()
    said = text or (link.get("aria-label") or "").strip() or " ".join(i.get("alt") or "" for i in link.iter("img"))
    if not said.strip():
        yield error(
            "empty-link",
            f"a link without words, to {url or 'nowhere'}",
            where=where,
            why="readers cannot see it and screen readers read out the address (WCAG 2.4.4)",
            fix="give it words, or its picture an alt text",
        )
    if not url:
        yield error(
            "dead-link",
            f"the link “{said}” leads nowhere",
            where=where,
            why="nothing happens when a reader taps it",
            fix="leave the link out where there is no address: {% if entry.url %}",
        )
        return
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        parts, host = urlsplit(""), ""
    scheme = parts.scheme.lower()
    if url.startswith("#"):
        yield error(
            "relative-link",
            f"the link “{said}” leads to a place inside the letter",
            where=where,
            why="Gmail, Yahoo and others do not follow such links",
            fix="leave it out",
        )
    elif not scheme or (scheme in {"http", "https"} and not host):
        yield error(
            "relative-link",
            f"the link “{said}” has no full address: {url}",
            where=where,
            why="in a mailbox there is nothing it could be relative to",
            fix="write it with https:// and the host",
        )
    elif scheme not in _SCHEMES:
        yield error(
            "link-scheme",
            f"the link “{said}” has the scheme {scheme}:",
            where=where,
            why="clients take such links out or warn of them",
            fix="use https, http, mailto or tel",
        )
    shown = _host_shown(text)
    if shown and host and shown != host.removeprefix("www."):
        yield warning(
            "other-address",
            f"the link shows {shown} and leads to {host}",
            where=where,
            why="this is what phishing looks like, to filters and to readers",
            fix="let the words say what is there, not an address",
        )
    if host in _SHORTENERS:
        yield warning(
            "shortener",
            f"a link through {host}",
            where=where,
            why="spammers hide behind shorteners, so their addresses are on block lists",
            fix="link to the page itself",
        )
    if _IP_ADDRESS.fullmatch(host):
        yield warning(
            "address-of-numbers",
            f"a link to the bare address {host}",
            where=where,
            why="filters take it for a hijacked machine",
            fix="link to a host with a name",
        )


def _host_shown(text: str) -> str:
    """The host that a link's words show, where they look like an address; else ""."""
    if not _LOOKS_LIKE.fullmatch(text):
        return ""
    try:
        host = urlsplit(text if "://" in text else f"https://{text}").hostname or ""
    except ValueError:
        return ""
    # A text that was cut short shows no whole host.
    return "" if "…" in host else host.lower().removeprefix("www.")

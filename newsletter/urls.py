"""Addresses of pages: which are safe to write, and which two are the same story."""

import re
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

#: Schemes a reader's client may be handed.
SAFE_SCHEMES = frozenset({"http", "https", "mailto"})
_TRACKING = re.compile(
    r"^(utm_\w+|fbclid|gclid|dclid|msclkid|yclid|mc_cid|mc_eid|igshid|_hsenc|_hsmi|oly_enc_id|oly_anon_id)$"
)
_JUNK = re.compile("[\x00-\x20\x7f-\x9f\u2028\u2029]")
#: Nearly all addresses: nothing in them is resolved, escaped, or spelt in two ways.
_PLAIN_URL = re.compile(
    r"https?://([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)((?:/[A-Za-z0-9_.~%!$'()*+,:=@&-]*)+)(\?[A-Za-z0-9_.~%!$'()*+,:=@&/-]+)?"
)
_HOST_PART = re.compile(r"^[^/?#]*/?")
#: Everything RFC 3986 allows in an address, and "%": left as it is.
_KEEP = "%!#$&'()*+,/:;=?@[]~"


def safe_url(url: str | None, base: str | None = None) -> str | None:
    """Resolve `url` against `base` and return it if it is safe to write, else None.

    Safe means: scheme http, https or mailto; no white space or control
    characters; a host where the scheme wants one.  Non-ASCII characters are
    percent-encoded (RFC 3987 §3.1), except in the host.
    """
    if not url:
        return None
    if _PLAIN_URL.fullmatch(url):
        return url
    try:
        joined = urljoin(base, url.strip()) if base else url.strip()
        parts = urlsplit(_JUNK.sub(lambda m: quote(m.group()), joined))
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme.lower() not in SAFE_SCHEMES:
        return None
    if parts.scheme.lower() != "mailto" and not host:
        return None
    return urlunsplit(
        (
            parts.scheme.lower(),
            parts.netloc,
            quote(parts.path, safe=_KEEP),
            quote(parts.query, safe=_KEEP),
            quote(parts.fragment, safe=_KEEP),
        )
    ).translate({ord("<"): "%3C", ord(">"): "%3E", ord('"'): "%22", ord("\\"): "%5C"})


def without_tracking(url: str) -> str:
    """Drop the parameters that only follow readers around (utm_*, fbclid, …)."""
    parts = urlsplit(url)
    if not parts.query or not any(_TRACKING.match(pair.split("=", 1)[0]) for pair in parts.query.split("&")):
        return url
    kept = "&".join(pair for pair in parts.query.split("&") if not _TRACKING.match(pair.split("=", 1)[0]))
    return urlunsplit(parts._replace(query=kept))


def canonical_url(url: str) -> str:
    """What two addresses of one story share; for comparing only, never for following.

    Scheme, "www.", default ports, letter case of the host, tracking parameters,
    the order of the others and a final slash do not count.  A fragment does:
    change logs give every entry the same page and another fragment.
    """
    plain = _PLAIN_URL.fullmatch(url)
    if plain and not plain[3]:
        return f"{plain[1].lower().removeprefix('www.')}{plain[2].rstrip('/')}"
    try:
        parts = urlsplit(url.strip())
        host = (parts.hostname or "").lower().removeprefix("www.").rstrip(".")
        port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    except ValueError:
        return url.strip()
    if parts.scheme.lower() not in ("http", "https"):
        return url.strip()
    query = urlencode(sorted(p for p in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(p[0])))
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{host}{port}{parts.path.rstrip('/')}" + (f"?{query}" if query else "") + fragment


def without_host(canonical: str) -> str:
    """The part of a canonical address that survives a move to another host; the query counts (`/?p=123`)."""
    return _HOST_PART.sub("", canonical, count=1)


def spellings_of(url: str) -> tuple[str, ...]:
    """The addresses that differ from this one only in scheme, "www." and final slash; none for what is no web address."""
    found = re.fullmatch(r"https?://(?:www\.)?([^/?#]+)([^?#]*?)(/?)(\?[^#]*)?", url, re.IGNORECASE)
    if found is None:
        return ()
    host, path, _, query = found.groups()
    return tuple(
        f"{scheme}://{www}{host}{path}{slash}{query or ''}"
        for scheme in ("https", "http")
        for www in ("", "www.")
        for slash in ("", "/")
    )

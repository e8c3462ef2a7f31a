"""Addresses on the web that a project stands at."""

from urllib.parse import urlsplit

from newsletter.config.project import is_loopback
from newsletter.urls import safe_url


def base_url_of(text: str) -> str:
    """The address of pages whose links are personal.

    Raises:
        ValueError: it is none, or everybody on the way could read them.
    """
    url, parts = web_address(text), urlsplit(text.strip())
    if parts.scheme.lower() == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("must begin with https://: the links in it are personal")
    return url


def web_address(text: str) -> str:
    """The address of a folder on the web, without a slash at its end.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(text.strip())
    if parts.scheme.lower() not in ("http", "https") or safe_url(text) is None:
        raise ValueError("must be a web address such as https://wire.example.com")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be a host and a path only, without ?, # or @")
    return (safe_url(text) or text).rstrip("/")

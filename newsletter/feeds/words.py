"""What went wrong with an address, in the words of a person who has to mend it."""

import errno
import socket
import ssl
from datetime import datetime
from http import HTTPStatus

import aiohttp

from newsletter.errors import FetchError, StatusError
from newsletter.feeds.guard import PrivateAddressError
from newsletter.feeds.manners import rest_words
from newsletter.feeds.manners import retry_after as read_retry_after
from newsletter.text import one_line

_LATER = "nothing to do: it is asked again at the next fetch"
_GONE = "look on the site for the feed's new address, or remove it: `newsletter feed remove URL`"
_LOGIN = "if the site wants a login, give the feed a `username` and a `password_env`; some sites refuse programs they do not know"
_HINTS = {
    401: _LOGIN,
    402: _LOGIN,
    403: _LOGIN,
    404: _GONE,
    406: "the site has nothing in a feed format at this address",
    407: _LOGIN,
    410: _GONE,
    451: _LOGIN,
}
_MEANINGS = {
    401: "wants a login",
    403: "forbids it",
    404: "has nothing at this address",
    410: "says the feed is gone for good",
    429: "says it is asked too often",
}
_ERRNO = {
    errno.ECONNREFUSED: "refuses connections",
    errno.EHOSTUNREACH: "cannot be reached",
    errno.ENETUNREACH: "cannot be reached: there is no route to its network",
    errno.ETIMEDOUT: "does not answer",
    errno.ECONNRESET: "broke off the connection",
}


def status_error(host: str, status: int, retry_after: str | None, now: datetime) -> StatusError:
    """Say what an HTTP status other than success means for a feed (RFC 9110 §15).

    Args:
        host: who answered.
        status: the number.
        retry_after: the `Retry-After` field, as it came.
        now: for a `Retry-After` that is a date.
    """
    meaning = _MEANINGS.get(status) or _phrase(status)
    hint = _HINTS.get(status)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        until = read_retry_after(retry_after, now)
        hint = f"it asks to be left alone for {rest_words(until - now)}" if until else _LATER
    return StatusError(f"{host} {meaning} ({status})", hint=hint, status=status)


def _phrase(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase.lower()
    except ValueError:
        phrase = "an unknown status"
    return f"answers {phrase!r}"


def connection_error(host: str, error: Exception) -> FetchError:  # noqa: PLR0911 - one way out for each kind of trouble
    """Turn what aiohttp and the system say about a connection into one sentence.

    Args:
        host: who was asked, after redirects.
        error: what was raised.
    """
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    private = cause if isinstance(cause, PrivateAddressError) else None
    if private or str(PrivateAddressError("")) in str(cause):
        where = f" ({private.address})" if private and private.address != host else ""
        return FetchError(
            f"{host} is not on the public internet{where}",
            hint="if that is meant, write `allow_private: true` at this feed in newsletter.yaml",
        )
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return FetchError(
            f"the certificate of {host} is not valid: {one_line(reason, 120)}",
            hint="its owner has to renew it; check also this machine's clock",
        )
    if isinstance(cause, ssl.SSLError):
        return FetchError(f"no secure connection with {host}: {one_line(cause.reason or 'TLS failed', 80).lower()}")
    if isinstance(cause, socket.gaierror):
        return FetchError(
            f"the name {host} cannot be found",
            hint="check its spelling, and that this machine is online",
        )
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        return FetchError(f"{host or 'this'} is not an address that can be asked", hint="write it as https://host/path")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return FetchError(f"{host} closed the connection without an answer", hint=_LATER)
    if isinstance(error, aiohttp.ClientPayloadError):
        return FetchError(f"the answer of {host} broke off in the middle", hint=_LATER)
    if isinstance(error, aiohttp.ClientResponseError):
        return FetchError(f"{host} answers with something that is not HTTP")
    if isinstance(cause, OSError):
        return FetchError(f"{host} {_ERRNO.get(cause.errno or 0, 'cannot be talked to')}", hint=_LATER)
    return FetchError(f"{host} cannot be read ({type(error).__name__})")

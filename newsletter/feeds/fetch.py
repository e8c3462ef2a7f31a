"""Bytes of feeds, over HTTP or from a file: each within one deadline, one size, and the public internet."""

import asyncio
import os
import socket
import stat
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from newsletter import __version__
from newsletter.clock import Clock
from newsletter.errors import FetchError
from newsletter.feeds.guard import socket_factory
from newsletter.feeds.inflate import Body
from newsletter.feeds.words import connection_error, status_error
from newsletter.model import Failed, Feed, Fetched, FetchOutcome, NotModified, Validators
from newsletter.text import one_line

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, "
    "application/json;q=0.9, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
# A validator is a few dozen bytes; a longer one is somebody's way of storing things with us.
_VALIDATOR_LIMIT = 500
_REASON_LIMIT = 300
# Content-Security-Policy fields of real sites pass aiohttp's 8 KB.
_FIELD_LIMIT = 32_768


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much a feed may ask of us, and we of a feed's server.

    `deadline` is in seconds and covers everything one feed needs, from the
    look-up of the name to the last byte, over all redirects.  `max_bytes`
    counts decoded bytes.  `connections` are open at once, `per_host` of them to
    one host.
    """

    deadline: float = 20.0
    max_bytes: int = 10_000_000
    max_redirects: int = 5
    connections: int = 16
    per_host: int = 2
    user_agent: str = f"newsletter/{__version__} (feed reader)"


def _nothing(_: FetchOutcome) -> None:
    """Report to nobody."""


async def fetch_all(
    feeds: Sequence[Feed],
    validators: Mapping[str, Validators],
    *,
    limits: FetchLimits,
    clock: Clock,
    on_done: Callable[[FetchOutcome], None] = _nothing,
    resolver: AbstractResolver | None = None,
) -> list[FetchOutcome]:
    """Fetch all feeds, several at a time, and return what came of each, in the same order.

    A feed that fails is a `Failed`, never an exception, and delays no other.

    Args:
        feeds: what to fetch; `url` may be http, https, a `file:` URL or a path.
        validators: by feed URL, what the servers gave last time.
        limits: see `FetchLimits`.
        clock: for durations and dates in answers.
        on_done: called with each outcome as it comes.
        resolver: looks up names in place of the system; every address it gives is checked all the same.
    """
    async with _Fetcher(limits, clock, resolver) as fetcher:

        async def one(feed: Feed) -> FetchOutcome:
            outcome = await fetcher.fetch(feed, validators.get(feed.url, Validators()))
            on_done(outcome)
            return outcome

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(feed)) for feed in feeds]
    return [task.result() for task in tasks]


class _Threads(AbstractResolver):
    """Looks names up in threads of its own.

    A look-up cannot be cancelled: a few name servers that never answer would
    otherwise fill the few threads of the event loop and stop every other feed.
    """

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=count, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look `host` up without holding up the loop."""
        infos = await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG),
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, address in infos
        ]

    async def close(self) -> None:
        """Let the threads go; a look-up that still hangs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class _Fetcher:
    """What the fetches of one run share: connections, look-ups, and the limits on both."""

    def __init__(self, limits: FetchLimits, clock: Clock, resolver: AbstractResolver | None) -> None:
        self._limits = limits
        self._clock = clock
        self._resolver = resolver
        self._slots = asyncio.Semaphore(limits.connections)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limits.per_host))
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        resolver = self._resolver
        if resolver is None:
            # More than can be in use at once, for those that hang past their feed's deadline.
            resolver = _Threads(4 * self._limits.connections)
            self._stack.push_async_callback(resolver.close)
        for allow_private in (False, True):
            self._sessions[allow_private] = await self._stack.enter_async_context(
                self._session(allow_private, resolver)
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _session(self, allow_private: bool, resolver: AbstractResolver) -> aiohttp.ClientSession:  # noqa: FBT001
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # counted here, so that waiting for a turn does not use up a feed's deadline
                resolver=resolver,
                socket_factory=socket_factory(allow_private),
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            max_field_size=_FIELD_LIMIT,
            max_line_size=_FIELD_LIMIT,
        )

    async def fetch(self, feed: Feed, validators: Validators) -> FetchOutcome:
        """Fetch one feed when its turn comes."""
        async with self._hosts[_host(feed.url)], self._slots:
            started = self._clock.monotonic()
            try:
                async with asyncio.timeout(self._limits.deadline):
                    outcome = await self._read(feed, validators, started)
            except TimeoutError:
                return self._failed(
                    feed,
                    started,
                    FetchError(
                        f"no complete answer within {self._limits.deadline:g} s",
                        hint="nothing to do if it happens once: it is asked again at the next fetch",
                    ),
                )
            except FetchError as error:
                return self._failed(feed, started, error)
            except Exception as error:  # noqa: BLE001 - whatever one feed does to us, the others are read
                return self._failed(feed, started, FetchError(f"it cannot be read ({type(error).__name__})"))
            return outcome

    def _failed(self, feed: Feed, started: float, error: FetchError) -> Failed:
        # A reason may quote what a server wrote: it has to fit a line of the report and a row of the store.
        return Failed(
            feed=feed,
            reason=one_line(error.message, _REASON_LIMIT),
            hint=one_line(error.hint, _REASON_LIMIT) if error.hint else None,
            seconds=self._clock.monotonic() - started,
        )

    async def _read(self, feed: Feed, validators: Validators, started: float) -> Fetched | NotModified:
        path = _path(feed.url)
        if path is not None:
            body = await asyncio.to_thread(_read_file, path, self._limits.max_bytes)
            return Fetched(
                feed=feed,
                final_url=feed.url,
                body=body,
                content_type=None,
                validators=Validators(),
                seconds=self._clock.monotonic() - started,
            )
        return await self._follow(feed, validators, _address(feed.url), started)

    async def _follow(self, feed: Feed, validators: Validators, first: URL, started: float) -> Fetched | NotModified:
        """Ask `first`, and where it sends us, and so on; every hop is dialled through the guard."""
        asked = {first}
        url = first
        while True:
            try:
                headers = self._headers(feed, validators, first, url)
                async with self._sessions[feed.allow_private].get(
                    url.with_user(None), headers=headers, allow_redirects=False
                ) as answer:
                    if answer.status not in _REDIRECTS:
                        return await self._take(feed, validators, answer, started)
                    url = _next(url, answer)
            except TimeoutError:
                raise
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise connection_error(url.host or "", error) from error
            if url in asked:
                raise FetchError(f"{url.host} redirects in a circle", hint="open the address in a browser to see where")
            asked.add(url)
            if len(asked) > self._limits.max_redirects + 1:
                raise FetchError(f"more than {self._limits.max_redirects} redirects, the last one to {url.host}")

    def _headers(self, feed: Feed, validators: Validators, first: URL, url: URL) -> dict[str, str]:
        headers = {
            "User-Agent": self._limits.user_agent,
            "Accept": _ACCEPT,
            "Accept-Encoding": "gzip, deflate",
        }
        if validators.etag:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified:
            headers["If-Modified-Since"] = validators.last_modified
        # What the project says for this feed may be a password: it goes to the
        # feed's own host only, and never from https back to http.
        upgraded = (
            url.host == first.host and url.scheme == "https" and url.is_default_port() and first.is_default_port()
        )
        if upgraded or url.origin() == first.origin():
            if first.user is not None:
                pair = f"{first.user}:{first.password or ''}".encode()
                headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
            known = {name.lower(): name for name in headers}
            for name, value in feed.headers.items():
                headers.pop(known.get(name.lower(), name), None)
                headers[name] = value
        return headers

    async def _take(
        self, feed: Feed, validators: Validators, answer: aiohttp.ClientResponse, started: float
    ) -> Fetched | NotModified:
        if answer.status == HTTPStatus.NOT_MODIFIED and (validators.etag or validators.last_modified):
            return NotModified(feed=feed, seconds=self._clock.monotonic() - started)
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION):
            raise status_error(
                answer.url.host or "", answer.status, answer.headers.get("Retry-After"), self._clock.now()
            )
        body = Body(answer.headers.getall("Content-Encoding", []), self._limits.max_bytes)
        async for piece in answer.content.iter_any():
            body.feed(piece)
        return Fetched(
            feed=feed,
            final_url=str(answer.url.with_fragment(None)),
            body=body.finish(),
            content_type=one_line((answer.headers.get("Content-Type") or "")[:_REASON_LIMIT]) or None,
            validators=Validators(
                etag=_validator(answer.headers.get("ETag")),
                last_modified=_validator(answer.headers.get("Last-Modified")),
            ),
            seconds=self._clock.monotonic() - started,
        )


def _validator(value: str | None) -> str | None:
    return value if value and len(value) <= _VALIDATOR_LIMIT and value.isascii() and value.isprintable() else None


def _next(url: URL, answer: aiohttp.ClientResponse) -> URL:
    """Where a redirect leads: http or https only, so that it can never name a file of ours."""
    location = answer.headers.get("Location", "").strip()
    if not location:
        raise FetchError(f"{url.host} redirects ({answer.status}), but does not say where")
    try:
        following = url.join(URL(location)).with_fragment(None)
    except ValueError as error:
        raise FetchError(f"{url.host} redirects to something that is not an address") from error
    if following.scheme not in ("http", "https") or not following.host:
        raise FetchError(f"{url.host} redirects to something other than http and https")
    return following


def _address(text: str) -> URL:
    try:
        url = URL(text.strip()).with_fragment(None)
    except ValueError as error:
        raise FetchError("this is not an address", hint="write it as https://host/path") from error
    if url.scheme not in ("http", "https"):
        raise FetchError(
            f"feeds are read over http and https and from files, not over {url.scheme[:20]!r}",
            hint="write it as https://host/path, or as the path of a file",
        )
    if not url.host:
        raise FetchError("the address names no host", hint="write it as https://host/path")
    return url


def _host(text: str) -> str:
    """Whose turn a feed waits for; an address that cannot be read waits for its own."""
    try:
        return (urlsplit(text).hostname or text).lower()
    except ValueError:
        return text


def _path(text: str) -> Path | None:
    """The file a feed is read from; None where it is not one.

    Raises:
        FetchError: for a `file:` URL of another machine.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    if not parts.scheme:
        return Path(text)
    if parts.scheme.lower() != "file":
        return None
    if parts.netloc not in ("", "localhost"):
        raise FetchError("a file: address cannot name another machine", hint="write it as file:///path")
    return Path(unquote(parts.path))


def _read_file(path: Path, limit: int) -> bytes:
    """Read a regular file; a pipe or a device could hold us up for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FetchError(f"{path} is not a file")
            with open(descriptor, "rb", closefd=False) as file:
                body = file.read(limit + 1)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "not a path"
        raise FetchError(f"{path}: {reason}", hint="an address of the web starts with https://") from error
    if len(body) > limit:
        raise FetchError(f"{path} is larger than {limit / 1_000_000:g} MB")
    return body

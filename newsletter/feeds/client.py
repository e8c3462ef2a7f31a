"""Asking the web for something: through the guard, along redirects, bounded in time and bytes.

What feeds and pictures share.  Nothing here knows what is asked for.
"""

import asyncio
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from newsletter.errors import FetchError
from newsletter.feeds.asking import FetchLimits
from newsletter.feeds.guard import socket_factory
from newsletter.feeds.inflate import Body, known_codings
from newsletter.feeds.words import connection_error, status_error

_Taken = TypeVar("_Taken")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
# A host that says "too often" is asked so much more slowly for the rest of the run, in seconds a request.
_SLOW_GAP = 5.0
# So long a rest is waited for; for a longer one the host's other feeds are left for the next run.
_SHORT_REST = 5.0
# Content-Security-Policy fields of real sites pass aiohttp's 8 KB.
_FIELD_LIMIT = 32_768


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


class Client:
    """What the requests of one run share: connections, look-ups, and the limits on both.

    Args:
        limits: see `FetchLimits`.
        resolver: looks up names in place of the system; every address it gives is checked all the same.
    """

    def __init__(self, limits: FetchLimits, resolver: AbstractResolver | None = None) -> None:
        self._limits = limits
        self._resolver = resolver
        self._slots = asyncio.Semaphore(limits.connections)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(limits.per_host))
        self._gaps: dict[str, float] = {}
        self._free_at: dict[str, float] = {}
        self._resting: dict[str, datetime] = {}
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

    @asynccontextmanager
    async def turn(self, url: str, *, paced: bool = False) -> AsyncIterator[None]:
        """Wait for a free connection, and for one to this host; inside the block it is ours.

        With `paced`, requests to one host also keep their distance in time, and
        those to a host that has complained are slow.
        """
        host = _host(url)
        async with self._hosts[host]:
            gap = max(self._gaps.get(host, 0.0), self._limits.host_gap if paced else 0.0)
            if gap:
                now = asyncio.get_running_loop().time()
                mine = max(now, self._free_at.get(host, 0.0))
                self._free_at[host] = mine + gap
                await asyncio.sleep(mine - now)
            async with self._slots:
                yield

    def complained(self, url: str, *, until: datetime | None, now: datetime) -> None:
        """Note that the host of an address has said we ask too often, and perhaps until when it wants no more."""
        host = _host(url)
        rest = (until - now).total_seconds() if until else 0.0
        if until is not None and rest > _SHORT_REST:
            # Its other feeds are not asked at all.
            self._resting[host] = max(until, self._resting.get(host, now))
            return
        self._gaps[host] = _SLOW_GAP
        self._free_at[host] = asyncio.get_running_loop().time() + max(rest, _SLOW_GAP)

    def rests_until(self, url: str, *, now: datetime) -> datetime | None:
        """Until when the host of an address wants to be left alone; None where it does not."""
        until = self._resting.get(_host(url))
        return until if until is not None and until > now else None

    async def ask(
        self,
        first: URL,
        take: Callable[[aiohttp.ClientResponse], Awaitable[_Taken]],
        *,
        headers: Callable[[URL], Mapping[str, str]],
        allow_private: bool,
        on_hop: Callable[[bool], None] = lambda _: None,
    ) -> _Taken:
        """Ask `first`, and where it sends us, and so on; every hop is dialled through the guard.

        Args:
            first: http or https.
            take: what is done with the first answer that is no redirect.
            headers: what is sent to each address on the way; `User-Agent` and `Accept-Encoding` stand already.
            allow_private: let addresses through that are not of the public internet.
            on_hop: told of each redirect, whether it is for good (RFC 9110 §15.4).

        Raises:
            FetchError: in words for a person; what `take` raises of that kind passes.
        """
        asked = {first}
        url = first
        while True:
            try:
                async with self._sessions[allow_private].get(
                    url.with_user(None), headers=self._headers(headers(url)), allow_redirects=False
                ) as answer:
                    if answer.status not in _REDIRECTS:
                        return await take(answer)
                    here, url = url, _next(url, answer)
                    # Nobody moves for good to where everybody can listen.
                    on_hop(answer.status in _PERMANENT and not (here.scheme == "https" and url.scheme == "http"))
            except TimeoutError:
                raise
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise connection_error(url.host or "", error) from error
            if url in asked:
                raise FetchError(f"{url.host} redirects in a circle", hint="open the address in a browser to see where")
            asked.add(url)
            if len(asked) > self._limits.max_redirects + 1:
                raise FetchError(f"more than {self._limits.max_redirects} redirects, the last one to {url.host}")

    def _headers(self, wanted: Mapping[str, str]) -> dict[str, str]:
        headers = {"User-Agent": self._limits.user_agent, "Accept-Encoding": ", ".join(known_codings())}
        known = {name.lower(): name for name in headers}
        for name, value in wanted.items():
            headers.pop(known.get(name.lower(), name), None)
            headers[name] = value
        return headers

    async def body(self, answer: aiohttp.ClientResponse, now: datetime) -> bytes:
        """Read the whole of a good answer, its content coding undone.

        Args:
            answer: as `ask` hands it to `take`.
            now: for answers that name a date to come again.

        Raises:
            FetchError: the status is no success, or there are too many bytes.
        """
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION):
            raise status_error(answer.url.host or "", answer.status, answer.headers.get("Retry-After"), now)
        body = Body(answer.headers.getall("Content-Encoding", []), self._limits.max_bytes)
        async for piece in answer.content.iter_any():
            body.feed(piece)
        return body.finish()


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


def _host(text: str) -> str:
    """Whose turn a request waits for; an address that cannot be read waits for its own."""
    try:
        return (urlsplit(text).hostname or text).lower()
    except ValueError:
        return text

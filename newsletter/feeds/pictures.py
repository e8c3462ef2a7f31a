"""Pictures that are to travel inside the message: fetched like feeds, once per issue, and made small.

They have one deadline together: an issue never waits longer than that for them.
A picture that cannot be had is a reason, never an exception.
"""

import asyncio
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from newsletter.clock import Clock
from newsletter.errors import FetchError
from newsletter.feeds.asking import FetchLimits
from newsletter.feeds.client import Client
from newsletter.feeds.shrink import LARGEST, shrink
from newsletter.model import Picture
from newsletter.text import one_line

_HEADERS: Final = {"Accept": "image/jpeg, image/png, image/webp, image/gif, image/avif, image/*;q=0.5"}
_REASON_LIMIT: Final = 200
#: Hexadecimal characters of a Content-ID: 128 bits.
_CID_LENGTH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLimits:
    """How much the pictures of one issue may ask of us.

    `deadline` is in seconds, for all of them together, `each` for the fetch of
    one; `max_bytes` is what one may have on the way, `largest` in the letter.
    No more than `count` are asked for.
    """

    deadline: float = 30.0
    each: float = 12.0
    count: int = 60
    max_bytes: int = 8_000_000
    largest: int = LARGEST
    connections: int = 8
    per_host: int = 4


async def fetch_pictures(
    wanted: Mapping[str, bool],
    *,
    domain: str,
    limits: FetchLimits,
    clock: Clock,
    pictures: PictureLimits | None = None,
    resolver: AbstractResolver | None = None,
) -> dict[str, Picture | str]:
    """Fetch pictures, several at a time, and make them small.

    Args:
        wanted: addresses, http or https, in the order of the letter; each with whether
            it may be on a private network.
        domain: of the sender, as A-labels; the right side of each Content-ID (RFC 2392).
        limits: how feeds are asked; redirects and user agent hold for pictures too.
        clock: for dates in answers.
        pictures: see `PictureLimits`.
        resolver: looks up names in place of the system; every address it gives is checked all the same.

    Returns:
        by address, the picture, or the reason why there is none.
    """
    own = pictures or PictureLimits()
    asked = list(wanted)[: own.count]
    found: dict[str, Picture | str] = dict.fromkeys(
        wanted, f"it is more than the {own.count} pictures a letter asks for"
    )
    if not asked:
        return found
    asking = replace(
        limits, deadline=own.each, max_bytes=own.max_bytes, connections=own.connections, per_host=own.per_host
    )
    # One at a time: each may need memory for all its pixels.
    workshop = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pictures")
    tasks: dict[str, asyncio.Task[Picture | str]] = {}
    try:
        async with Client(asking, resolver) as client:
            one = _Errand(client=client, pictures=own, clock=clock, workshop=workshop, domain=domain)
            tasks |= {url: asyncio.create_task(one.get(url, allow_private=wanted[url])) for url in asked}
            try:
                await asyncio.wait(tasks.values(), timeout=own.deadline)
            finally:
                late = {url for url, task in tasks.items() if not task.done()}
                for url in late:
                    tasks[url].cancel()
                await asyncio.gather(*tasks.values(), return_exceptions=True)
    finally:
        # A decoder cannot be interrupted: one that is at work ends by itself, and nobody waits for it.
        workshop.shutdown(wait=False, cancel_futures=True)
    for url, task in tasks.items():
        found[url] = f"it took more than {own.deadline:g} s to get it" if url in late else task.result()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errand:
    """How each picture of a letter is got; `workshop` is where it is made small."""

    client: Client
    pictures: PictureLimits
    clock: Clock
    workshop: ThreadPoolExecutor
    domain: str

    async def get(self, url: str, *, allow_private: bool) -> Picture | str:
        """A picture, or why there is none."""
        try:
            # The turn ends when the picture is small: so many bytes are held at most.
            async with self.client.turn(url):
                async with asyncio.timeout(self.pictures.each):
                    body = await self._fetch(url, allow_private=allow_private)
                return await self._made(body)
        except TimeoutError:
            return f"no complete answer within {self.pictures.each:g} s"
        except FetchError as error:
            return one_line(error.message, _REASON_LIMIT)
        except Exception as error:  # noqa: BLE001 - whatever one picture does to us, the letter goes out
            return f"it cannot be read ({type(error).__name__})"

    async def _fetch(self, url: str, *, allow_private: bool) -> bytes:
        async def take(answer: aiohttp.ClientResponse) -> bytes:
            return await self.client.body(answer, self.clock.now())

        # Nothing that the project says for the feed is sent along: it may be a password.
        return await self.client.ask(
            URL(url).with_fragment(None), take, headers=lambda _: _HEADERS, allow_private=allow_private
        )

    async def _made(self, body: bytes) -> Picture:
        loop = asyncio.get_running_loop()
        largest = self.pictures.largest
        made = await loop.run_in_executor(self.workshop, lambda: shrink(body, largest=largest))
        return Picture(
            cid=f"{sha256(made.data).hexdigest()[:_CID_LENGTH]}@{self.domain}",
            media_type=made.media_type,
            data=made.data,
            width=made.width,
            height=made.height,
        )


def to_ask_for(wanted: Iterable[tuple[str, bool]]) -> dict[str, bool]:
    """Each address once, in order; on a private network only if all who name it may be there."""
    asked: dict[str, bool] = {}
    for url, allow_private in wanted:
        asked[url] = asked.get(url, True) and allow_private
    return asked

"""Bytes of feeds, over HTTP or from a file: each within one deadline, one size, and the public internet."""

import asyncio
import os
import stat
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from newsletter.clock import Clock
from newsletter.errors import FetchError, NewsletterError, StatusError
from newsletter.feeds.asking import FetchLimits, Secret
from newsletter.feeds.bundle import MAX_FILES, pack
from newsletter.feeds.client import Client
from newsletter.feeds.manners import ahead_of, hints_of, rest_words, wish_of
from newsletter.model import Failed, Feed, Fetched, FetchOutcome, NotModified, Spared, Validators, Wish
from newsletter.text import one_line

_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, "
    "application/json;q=0.9, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.5"
)
# A validator is a few dozen bytes; a longer one is somebody's way of storing things with us.
_VALIDATOR_LIMIT = 500
_REASON_LIMIT = 300


def _nothing(_: FetchOutcome) -> None:
    """Report to nobody."""


async def fetch_all(
    feeds: Sequence[Feed],
    validators: Mapping[str, Validators],
    *,
    limits: FetchLimits,
    clock: Clock,
    moved: Mapping[str, str] | None = None,
    secrets: Mapping[str, Secret] | None = None,
    on_start: Callable[[Feed], None] = lambda _: None,
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
        moved: by feed URL, where a feed is now for good; it is asked there.
        secrets: by feed URL, what fetches the headers that hold its password; called in a thread.
        on_start: called with each feed when its turn has come.
        on_done: called with each outcome as it comes.
        resolver: looks up names in place of the system; every address it gives is checked all the same.
    """
    found: dict[int, FetchOutcome] = {}

    async def keep(at: int, outcome: FetchOutcome) -> None:
        found[at] = outcome

    await fetch_each(
        feeds,
        validators,
        keep,
        limits=limits,
        clock=clock,
        moved=moved,
        secrets=secrets,
        on_start=on_start,
        on_done=on_done,
        resolver=resolver,
    )
    return [found[at] for at in range(len(feeds))]


async def fetch_each(
    feeds: Sequence[Feed],
    validators: Mapping[str, Validators],
    take: Callable[[int, FetchOutcome], Awaitable[None]],
    *,
    limits: FetchLimits,
    clock: Clock,
    moved: Mapping[str, str] | None = None,
    secrets: Mapping[str, Secret] | None = None,
    on_start: Callable[[Feed], None] = lambda _: None,
    on_done: Callable[[FetchOutcome], None] = _nothing,
    resolver: AbstractResolver | None = None,
) -> None:
    """Fetch all feeds as `fetch_all` does, and hand over what came of each as it comes.

    Args:
        feeds: what to fetch.
        validators: by feed URL, what the servers gave last time.
        take: gets the place of a feed among `feeds`, and its outcome; the next
            feed is asked when it has returned, so that bodies do not pile up.
        limits: see `FetchLimits`.
        clock: for durations and dates in answers.
        moved: as for `fetch_all`.
        secrets: as for `fetch_all`.
        on_start: as for `fetch_all`.
        on_done: called with each outcome, before `take`.
        resolver: as for `fetch_all`.
    """
    async with Client(limits, resolver) as client:
        fetcher = _Fetcher(client, limits, clock, secrets or {}, on_start)

        async def one(at: int, feed: Feed) -> None:
            address = (moved or {}).get(feed.url, feed.url)
            async with client.turn(address, paced=not feed.allow_private):
                outcome = await fetcher.fetch(feed, validators.get(feed.url, Validators()), address)
                on_done(outcome)
                await take(at, outcome)

        async with asyncio.TaskGroup() as group:
            for at, feed in enumerate(feeds):
                group.create_task(one(at, feed))


class _Fetcher:
    """What the fetches of one run share."""

    def __init__(
        self,
        client: Client,
        limits: FetchLimits,
        clock: Clock,
        secrets: Mapping[str, Secret],
        on_start: Callable[[Feed], None],
    ) -> None:
        self._client = client
        self._limits = limits
        self._clock = clock
        self._secrets = secrets
        self._on_start = on_start

    async def fetch(self, feed: Feed, validators: Validators, address: str) -> FetchOutcome:
        """Fetch one feed, whose turn it is, from an address."""
        if until := self._client.rests_until(address, now=self._clock.now()):
            wait = rest_words(until - self._clock.now())
            return Spared(feed=feed, why=f"its server asks to be left alone for {wait}", until=until)
        self._on_start(feed)
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._limits.deadline):
                return await self._read(feed, validators, address, started)
        except TimeoutError:
            return self._failed(
                feed,
                started,
                FetchError(
                    f"no complete answer within {self._limits.deadline:g} s",
                    hint="nothing to do if it happens once: it is asked again at the next fetch",
                ),
            )
        except NewsletterError as error:
            return self._failed(feed, started, error)
        except Exception as error:  # noqa: BLE001 - whatever one feed does to us, the others are read
            return self._failed(feed, started, FetchError(f"it cannot be read ({type(error).__name__})"))

    def _failed(self, feed: Feed, started: float, error: NewsletterError, wish: Wish | None = None) -> Failed:
        # A reason may quote what a server wrote: it has to fit a line of the report and a row of the store.
        return Failed(
            feed=feed,
            reason=one_line(error.message, _REASON_LIMIT),
            hint=one_line(error.hint, _REASON_LIMIT) if error.hint else None,
            seconds=self._clock.monotonic() - started,
            wish=wish or Wish(),
            gone=isinstance(error, StatusError) and error.status == HTTPStatus.GONE,
        )

    async def _read(
        self, feed: Feed, validators: Validators, address: str, started: float
    ) -> Fetched | NotModified | Failed:
        path = _path(address)
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
        own, first = _address(feed.url), _address(address)
        secret = self._secrets.get(feed.url)
        extra = {**feed.headers, **(await asyncio.to_thread(secret) if secret else {})}
        permanent = True

        def hop(for_good: bool) -> None:  # noqa: FBT001 - one question, one answer
            nonlocal permanent
            permanent = permanent and for_good

        async def take(answer: aiohttp.ClientResponse) -> Fetched | NotModified | Failed:
            final = str(answer.url.with_fragment(None))
            moved_to = final if permanent else str(first) if first != own else None
            return await self._take(feed, validators, answer, started, moved_to if moved_to != str(own) else None)

        return await self._client.ask(
            first,
            take,
            headers=lambda url: _headers(extra, validators, own, url),
            allow_private=feed.allow_private,
            on_hop=hop,
        )

    async def _take(
        self,
        feed: Feed,
        validators: Validators,
        answer: aiohttp.ClientResponse,
        started: float,
        moved_to: str | None,
    ) -> Fetched | NotModified | Failed:
        now = self._clock.now()
        wish = wish_of(answer.headers, answer.status, now=now)
        if answer.status == HTTPStatus.NOT_MODIFIED and (validators.etag or validators.last_modified):
            return NotModified(feed=feed, seconds=self._clock.monotonic() - started, wish=wish, moved_to=moved_to)
        try:
            body = await self._client.body(answer, now)
        except StatusError as error:
            # Not only "too often": a server in trouble that says until when means the same.
            if answer.status == HTTPStatus.TOO_MANY_REQUESTS or wish.retry_at:
                self._client.complained(str(answer.url), until=wish.retry_at, now=now)
            return self._failed(feed, started, error, wish)
        return Fetched(
            feed=feed,
            final_url=str(answer.url.with_fragment(None)),
            body=body,
            content_type=one_line((answer.headers.get("Content-Type") or "")[:_REASON_LIMIT]) or None,
            validators=Validators(
                etag=_validator(answer.headers.get("ETag")),
                last_modified=_validator(answer.headers.get("Last-Modified")),
            ),
            seconds=self._clock.monotonic() - started,
            wish=wish,
            hints=hints_of(body),
            moved_to=moved_to,
            ahead=ahead_of(answer.headers, now=now),
        )


def _headers(extra: Mapping[str, str], validators: Validators, first: URL, url: URL) -> dict[str, str]:
    headers = {"Accept": _ACCEPT}
    if validators.etag:
        headers["If-None-Match"] = validators.etag
    if validators.last_modified:
        headers["If-Modified-Since"] = validators.last_modified
    # What the project says for this feed may be a password: it goes to the
    # feed's own host only, and never from https back to http.
    upgraded = url.host == first.host and url.scheme == "https" and url.is_default_port() and first.is_default_port()
    if upgraded or url.origin() == first.origin():
        if first.user is not None:
            pair = f"{first.user}:{first.password or ''}".encode()
            headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
        known = {name.lower(): name for name in headers}
        for name, value in extra.items():
            headers.pop(known.get(name.lower(), name), None)
            headers[name] = value
    return headers


def _validator(value: str | None) -> str | None:
    return value if value and len(value) <= _VALIDATOR_LIMIT and value.isascii() and value.isprintable() else None


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


def _path(text: str) -> Path | None:
    """The file a feed is read from; None where it is not one.

    Raises:
        FetchError: for a `file:` URL of another machine, and for nothing at all.
    """
    if not text.strip():
        # As a path it would be the current folder.
        raise FetchError("there is no address", hint="write it as https://host/path, or as the path of a file")
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
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                return _read_folder(path, limit)
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


def _read_folder(path: Path, limit: int) -> bytes:
    """Read the files of a folder, in the order of their names; folders in it, and what is hidden, are passed over."""
    names = sorted(each.name for each in os.scandir(path) if each.is_file() and not each.name.startswith("."))
    if len(names) > MAX_FILES:
        raise FetchError(f"{path} has {len(names):,} files, more than {MAX_FILES}", hint="name the files one by one")
    files: list[tuple[str, bytes]] = []
    for name in names:
        files.append((name, _read_file(path / name, limit)))
        if sum(len(body) for _, body in files) > limit:
            raise FetchError(f"the files in {path} are larger than {limit / 1_000_000:g} MB together")
    return pack(files)

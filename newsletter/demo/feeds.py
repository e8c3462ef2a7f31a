"""Serves the sample feeds over loopback HTTP, as three publishers would.

It exists so that `newsletter demo` and the tests fetch for real (conditional
requests, content types, redirects that never come) without leaving the
machine.  All people, places and addresses in the samples are invented and
stand at reserved domains (RFC 2606).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from types import TracebackType

from aiohttp import web

from newsletter.errors import NewsletterError

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One bundled feed: its file name (also its path on the server), what it is, and its media type."""

    name: str
    form: str
    media_type: str

    @property
    def body(self) -> bytes:
        """The document, as it stands in the package."""
        return (files("newsletter.demo") / "samples" / self.name).read_bytes()


#: One of each form that feeds come in.
SAMPLES = (
    Sample(name="courier.xml", form="RSS 2.0", media_type="application/rss+xml"),
    Sample(name="sky.atom", form="Atom 1.0", media_type="application/atom+xml"),
    Sample(name="shelf.json", form="JSON Feed 1.1", media_type="application/feed+json"),
)


class SampleFeeds:
    """A server for as long as the `async with` block lasts; entering it gives the base URL.

    Args:
        port: where to listen on 127.0.0.1; 0 takes a free one.  The address of a
            feed is part of what it is known by, so a second run that shall find
            nothing new needs the same port.

    Raises:
        NewsletterError: on entering, where the port is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self._runner: web.AppRunner | None = None
        self._etags = {sample.name: f'"{sha256(sample.body).hexdigest()[:16]}"' for sample in SAMPLES}
        #: (path, status) of every answer, in order: the demo and the tests tell from it what was fetched.
        self.answers: list[tuple[str, int]] = []

    async def __aenter__(self) -> str:
        app = web.Application()
        for sample in SAMPLES:
            app.router.add_get(f"/{sample.name}", self._handler(sample))
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, _HOST, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise NewsletterError(
                f"the sample feeds cannot be served at {_HOST}:{self._port}: {error.strerror or error}",
                hint="end the program that listens there, or choose another port",
            ) from error
        port: int = self._runner.addresses[0][1]
        return f"http://{_HOST}:{port}"

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def _handler(self, sample: Sample) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        etag = self._etags[sample.name]

        async def answer(request: web.Request) -> web.StreamResponse:
            known = {tag.value for tag in request.if_none_match or ()}
            # RFC 9110 §13.1.2: "*" matches whatever there is.
            unchanged = bool(known & {etag.strip('"'), "*"})
            self.answers.append((request.path, 304 if unchanged else 200))
            headers = {"ETag": etag, "Cache-Control": "no-cache"}
            if unchanged:
                return web.Response(status=304, headers=headers)
            return web.Response(body=sample.body, content_type=sample.media_type, charset="utf-8", headers=headers)

        return answer

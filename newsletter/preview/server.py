"""The preview's server: the page, and a desk behind it, on loopback.

Who may talk to it: a browser on this machine that was given the token of this
run.  The token stands in the fragment of the printed address, which browsers
send to nobody, and from then on in a header that no other site can set without
being allowed to (it is not).  Names other than this machine's are refused, so
that a host that resolves to 127.0.0.1 (DNS rebinding) gets nothing.  Letters
are shown by the page in a sandboxed frame; see page/letter.js.
"""

import asyncio
import hmac
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from typing import Any, Final, TypeVar

from aiohttp import web

from newsletter.asjson import as_json
from newsletter.errors import NewsletterError, UsageError
from newsletter.preview.answers import fault_of
from newsletter.preview.choice import Answer, Choice, read_choice
from newsletter.preview.desk import Desk
from newsletter.preview.watching import changes

T = TypeVar("T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST: Final = "127.0.0.1"
TOKEN_HEADER: Final = "X-Newsletter-Token"  # noqa: S105 - a name
_LARGEST_QUESTION: Final = 256 * 1024
_KEEP_ALIVE: Final = 15.0
_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: The letter's frame is a srcdoc and inherits this: letters have style attributes, and pictures elsewhere.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src https: data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page_files() -> dict[str, bytes]:
    """The page's files by name, index.html among them."""
    folder = files("newsletter.preview") / "page"
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name.endswith(tuple(_TYPES))}


class Preview:
    """A desk on the web.

    Args:
        desk: who answers.
        token: who does not know it gets no answer.
    """

    def __init__(self, desk: Desk, token: str) -> None:
        self._desk = desk
        self._token = token
        self._page = page_files()
        # The desk's answers take turns: it has one scratch copy, and SQLite one thread that made it.
        self._turns = ThreadPoolExecutor(max_workers=1, thread_name_prefix="desk")
        self._listeners: set[asyncio.Queue[str]] = set()
        self._stop = asyncio.Event()
        self.port = 0

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[str]:
        """Serve while the block lasts; gives the address to open.

        Args:
            port: 0 takes a free one.

        Raises:
            NewsletterError: the port is taken.
        """
        app = web.Application(middlewares=[self._guarded], client_max_size=_LARGEST_QUESTION)
        app.add_routes(
            [
                web.get("/", self._shell),
                web.get("/api/project", self._answer(lambda _: self._desk.project())),
                web.get("/api/people", self._people),
                web.get("/api/status", self._answer(lambda _: self._desk.status())),
                web.get("/api/events", self._events),
                web.post("/api/letter", self._chosen(lambda choice, _: self._desk.letter(choice))),
                web.post("/api/findings", self._chosen(self._findings)),
                web.post("/api/test", self._chosen(self._test)),
                web.post("/api/config", self._chosen(lambda choice, _: self._desk.snippet(choice))),
                web.post("/api/draft", self._chosen(self._draft)),
                web.post("/api/fetch", self._fetch),
                web.get("/{name}", self._file),
            ]
        )
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            await runner.cleanup()
            raise NewsletterError(
                f"the preview cannot be served at {HOST}:{port}: {os.strerror(error.errno or 0)}",
                hint="end the program that listens there, or leave --port out to take any free one",
            ) from error
        self.port = runner.addresses[0][1]
        watching = asyncio.create_task(self._watch())
        try:
            yield f"http://{HOST}:{self.port}/#{self._token}"
        finally:
            self._stop.set()
            for queue in self._listeners:
                queue.put_nowait("")
            await watching
            await runner.cleanup()
            self._turns.shutdown(cancel_futures=True)

    async def ask(self, question: Callable[[], T]) -> T:
        """Let the desk answer, in its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._turns, question)

    # ------------------------------------------------------------------------ who may

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            self._admit(request)
            response = await handler(request)
        except web.HTTPException as refused:
            response = _refusal(refused.status, refused.text or refused.reason)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    def _admit(self, request: web.Request) -> None:
        """Refuse who does not call us by our name, comes from elsewhere, or does not know the token."""
        ours = {f"{name}:{self.port}" for name in (HOST, "localhost", "[::1]")}
        if request.host not in ours:
            raise web.HTTPForbidden(text="this server answers to its own name only")
        origin = request.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in ours:
            raise web.HTTPForbidden(text="another site may not ask here")
        if request.path.startswith("/api/"):
            given = request.headers.get(TOKEN_HEADER, "")
            if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
                raise web.HTTPForbidden(text="open the address that newsletter preview has printed")

    # -------------------------------------------------------------------------- pages

    async def _shell(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return self._named("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._named(request.match_info["name"])

    def _named(self, name: str) -> web.Response:
        body = self._page.get(name)
        if body is None:
            raise web.HTTPNotFound(text="there is no such page")
        suffix = name[name.rindex(".") :]
        return web.Response(body=body, content_type=_TYPES[suffix], charset="utf-8")

    # ------------------------------------------------------------------------ answers

    def _answer(self, question: Callable[[web.Request], object]) -> _Handler:
        async def answer(request: web.Request) -> web.Response:
            return await self._told(lambda: question(request))

        return answer

    def _chosen(self, question: Callable[[Choice, Mapping[str, Any]], object]) -> _Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                document = json.loads(await request.text() or "{}")
            except (ValueError, RecursionError) as error:
                raise web.HTTPBadRequest(text="that is no JSON") from error
            if not isinstance(document, dict):
                raise web.HTTPBadRequest(text="that is no choice")
            more = {name: document.pop(name, None) for name in ("email", "answer", "fingerprint")}
            return await self._told(lambda: question(read_choice(document), more))

        return answer

    async def _told(self, question: Callable[[], object]) -> web.Response:
        try:
            answer = await self.ask(question)
        except NewsletterError as error:
            return _json({"problem": fault_of(error)}, status=400)
        except Exception as error:  # noqa: BLE001 - the page says it; the preview goes on
            words = f"an unexpected {type(error).__name__}: {error}"
            return _json({"problem": {"kind": "other", "message": words, "hint": None}}, status=500)
        return _json(answer)

    def _findings(self, choice: Choice, _: Mapping[str, Any]) -> object:
        return {"findings": self._desk.findings(choice), "revision": self._desk.revision}

    def _test(self, choice: Choice, more: Mapping[str, Any]) -> object:
        email = more["email"]
        if not isinstance(email, str) or not email.strip():
            raise UsageError("to which address?", hint="give one, such as you@example.com")
        return {"words": self._desk.test(choice, email.strip())}

    def _draft(self, choice: Choice, more: Mapping[str, Any]) -> object:
        try:
            answer = Answer(more["answer"])
        except ValueError as error:
            raise UsageError("a draft is approved, cancelled, or keeps what was changed") from error
        return {"words": self._desk.answer(choice, answer, str(more["fingerprint"] or ""))}

    async def _people(self, request: web.Request) -> web.Response:
        search, digest = request.query.get("q", ""), request.query.get("digest") or None

        def found() -> object:
            total, people = self._desk.people(search, digest)
            return {"total": total, "people": people}

        return await self._told(found)

    async def _fetch(self, request: web.Request) -> web.Response:  # noqa: ARG002
        answer = await self._told(lambda: {"words": self._desk.fetch()})
        self._announce([])
        return answer

    # ------------------------------------------------------------------------- events

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Say that something was saved, for as long as the page listens (HTML §9.2, read with fetch)."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            await response.write(b": listening\n\n")
            while not self._stop.is_set():
                try:
                    event = await asyncio.wait_for(queue.get(), _KEEP_ALIVE)
                except TimeoutError:
                    event = ": still here\n\n"
                await response.write(event.encode())
        except ConnectionError:
            pass
        finally:
            self._listeners.discard(queue)
        return response

    async def _watch(self) -> None:
        """Reload the desk whenever something is saved, and tell every page."""
        with suppress(asyncio.CancelledError):
            async for saved in changes(lambda: self._desk.watched, self._stop):
                await self.ask(self._desk.reload)
                self._announce(saved)

    def _announce(self, saved: list[str]) -> None:
        data = as_json({"revision": self._desk.revision, "paths": saved})
        for queue in self._listeners:
            queue.put_nowait(f"event: changed\ndata: {data}\n\n")


def _json(payload: object, *, status: int = 200) -> web.Response:
    return web.Response(text=as_json(payload), status=status, content_type="application/json")


def _refusal(status: int, words: str) -> web.Response:
    return _json({"problem": {"kind": "other", "message": words, "hint": None}}, status=status)

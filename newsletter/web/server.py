"""The public pages' server: HTTP, behind a proxy that speaks TLS.

Every connection carries one request, which must come in time; there are only so
many of them at once.  What is waiting when the server is asked to end is done first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from newsletter.clock import Clock, Ids
from newsletter.errors import NewsletterError
from newsletter.web.admission import LARGEST, Admission
from newsletter.web.asking import Asking
from newsletter.web.copies import Copies
from newsletter.web.discretion import Told
from newsletter.web.listening import DRAIN, listening
from newsletter.web.members import Members
from newsletter.web.pages import Pages
from newsletter.web.personal import PersonalPages
from newsletter.web.ports import Memory, People, Post
from newsletter.web.public import PublicPages
from newsletter.web.signups import SignUpDesk
from newsletter.web.site import Site
from newsletter.web.stamps import SECRET_NAME, Stamps

#: How often sign-ups that nobody confirmed are forgotten.
_FORGET_EVERY: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where to listen, and whom to believe.

    `behind_proxy` takes the visitor's address from X-Forwarded-For; a port of 0
    takes a free one.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    behind_proxy: bool = False
    connections: int = 500


class PublicServer:
    """The public pages of a project.

    Args:
        site: the project.
        memory: the store.
        people: the list.
        post: who mails.
        clock: what time it is.
        ids: names requests.
        settings: where to listen.
        log: told in one line what happens.
        warn: told in one line what went wrong.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        site: Site,
        memory: Memory,
        people: People,
        post: Post,
        *,
        clock: Clock,
        ids: Ids,
        settings: ServerSettings,
        log: Told,
        warn: Told,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._site = site
        self._memory = memory
        self._clock = clock
        self._settings = settings
        self._warn = warn
        self._ask = Asking()
        pages = Pages(site)
        members = Members(site, memory, people, clock)
        self._admission = Admission(site, pages, clock, behind_proxy=settings.behind_proxy, ids=ids, log=log, warn=warn)
        self._desk = SignUpDesk(site, memory, members, post, pages, clock=clock, ask=self._ask, warn=warn, sleep=sleep)
        stamps = Stamps(memory.secret(SECRET_NAME), clock)
        copies = Copies(site, memory, pages)
        self._personal = PersonalPages(site, members, pages, self._admission, self._ask)
        self._public = PublicPages(
            site=site,
            members=members,
            desk=self._desk,
            copies=copies,
            stamps=stamps,
            pages=pages,
            admission=self._admission,
            asking=self._ask,
            clock=clock,
        )
        self.port = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve while the block lasts; gives the address we listen at.

        Raises:
            NewsletterError: it is taken, or not ours.
        """
        app = web.Application(middlewares=[self._admission.guarded], client_max_size=LARGEST)
        app.add_routes([*self._personal.routes(), *self._public.routes(), *self._small()])
        where = self._settings
        hint = "end the program that listens there, or choose another --port"
        try:
            async with listening(
                app, where.host, where.port, connections=where.connections, what="the pages", hint=hint
            ) as place:
                self.port = place.port
                self._admission.hosts |= place.names
                forgetting = asyncio.create_task(self._forget())
                try:
                    yield f"{place.address}{self._site.prefix}/"
                finally:
                    forgetting.cancel()
                    await asyncio.gather(forgetting, return_exceptions=True)
        finally:
            await self._desk.stop(DRAIN)
            self._ask.close()

    async def _forget(self) -> None:
        while True:
            try:
                await self._ask(lambda: self._memory.forget_signups(self._clock.now() - self._site.patience))
            except NewsletterError as error:
                self._warn(f"old sign-ups could not be forgotten: {error}", event="signups.kept")
            await asyncio.sleep(_FORGET_EVERY)

    # ------------------------------------------------------------------ for programs

    def _small(self) -> list[web.RouteDef]:
        paths = dict.fromkeys(["/healthz", f"{self._site.prefix}/healthz"])
        robots = dict.fromkeys(["/robots.txt", f"{self._site.prefix}/robots.txt"])
        return [
            *(web.get(path, self._health) for path in paths),
            *(web.get(path, self._robots) for path in robots),
        ]

    async def _health(self, request: web.Request) -> web.Response:  # noqa: ARG002
        """Say that we are there and that the memory can be read; a NewsletterError becomes a 503."""
        await self._ask(lambda: self._memory.issues(limit=1))
        return web.Response(text="ok\n", headers={"Cache-Control": "no-store"})

    async def _robots(self, request: web.Request) -> web.Response:  # noqa: ARG002
        prefix = self._site.prefix
        lines = ["User-agent: *", *(f"Disallow: {prefix}/{kind}/" for kind in ("u", "p", "c"))]
        return web.Response(text="\n".join(lines) + "\n", headers={"Cache-Control": "public, max-age=3600"})

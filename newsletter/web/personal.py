"""The pages behind personal links: unsubscribe (RFC 8058) and settings.

The link is the authority.  Looking at a page does nothing, for programs look at
links too; a POST acts, and may come again.
"""

import asyncio
from typing import Final

from aiohttp import web

from newsletter.issues.words import Words, languages
from newsletter.model import EVERY_DIGEST, Format, SuppressionReason
from newsletter.web.admission import Admission, Refusal, form_of, page, refuse_other_sites
from newsletter.web.asking import Asking
from newsletter.web.members import Members, Standing, Wanted
from newsletter.web.pages import Pages
from newsletter.web.site import Site

ONE_CLICK: Final = "one-click"
LEAVING: Final = "the unsubscribe page"
PREFERENCES: Final = "the settings page"
#: Weeks that a break may last.
PAUSES: Final = (1, 2, 4, 8, 12)
#: Seconds that an answer waits for a message that was begun before; no new one can begin meanwhile.
_SETTLING: Final = 2.0
_LOOK: Final = 0.05


class PersonalPages:
    """What the person with the link may do.

    Args:
        site: the project.
        members: does it.
        pages: writes the pages.
        admission: counts what is asked in vain.
        asking: where what blocks is done.
    """

    def __init__(self, site: Site, members: Members, pages: Pages, admission: Admission, asking: Asking) -> None:
        self._site = site
        self._members = members
        self._pages = pages
        self._admission = admission
        self._ask = asking

    def routes(self) -> list[web.RouteDef]:
        """The addresses that stand in messages (`delivery.links`)."""
        prefix = self._site.prefix
        return [
            web.get(f"{prefix}/u/{{digest}}/{{token}}", self.leaving),
            web.post(f"{prefix}/u/{{digest}}/{{token}}", self.leave),
            web.get(f"{prefix}/p/{{digest}}/{{token}}", self.preferences),
            web.post(f"{prefix}/p/{{digest}}/{{token}}", self.save),
        ]

    # ------------------------------------------------------------------------ leaving

    async def leaving(self, request: web.Request) -> web.Response:
        """Show whom and what it is about, and a button."""
        key = await self._key(request)
        standing = await self._ask(lambda: self._members.glimpse(key))
        digest = request.match_info["digest"]
        return self._page(request, "leave.html.j2", standing, title=self._site.title_of(digest))

    async def leave(self, request: web.Request) -> web.Response:
        """Unsubscribe at once, or take that back; answered when nothing more can be sent."""
        digest = request.match_info["digest"]
        key = await self._key(request)
        form = await form_of(request)
        if undo := form.get("undo"):
            return await self._undo(request, key, digest if undo[0] == "this" else EVERY_DIGEST)
        is_all = form.get("from") == ["all"]
        source = ONE_CLICK if form.get("List-Unsubscribe") == ["One-Click"] else LEAVING
        await self._ask(lambda: self._members.leave(key, EVERY_DIGEST if is_all else digest, source))
        await self._settled(key)
        return self._page(
            request,
            "left.html.j2",
            await self._ask(lambda: self._members.glimpse(key)),
            title=self._site.title if is_all else self._site.title_of(digest),
            scope="all" if is_all else "this",
        )

    async def _settled(self, key: str) -> None:
        """Wait until what was begun before has been handed over: then "no more" is true when it is read.

        A message that hangs, or was on its way when a run died, is not waited for for long.
        """
        for _ in range(round(_SETTLING / _LOOK)):
            if not await self._ask(lambda: self._members.is_being_sent_to(key)):
                return
            await asyncio.sleep(_LOOK)

    async def _undo(self, request: web.Request, key: str, digest: str) -> web.Response:
        standing = await self._ask(lambda: self._members.undo(key, digest, LEAVING))
        gets = any(map(standing.gets, self._site.names)) if digest == EVERY_DIGEST else standing.gets(digest)
        title = self._site.title if digest == EVERY_DIGEST else self._site.title_of(digest)
        return self._page(request, "back.html.j2", standing, title=title, gets=gets)

    # -------------------------------------------------------------------- preferences

    async def preferences(self, request: web.Request) -> web.Response:
        """Show what a person gets and how."""
        key = await self._key(request)
        standing = await self._ask(lambda: self._members.standing(key, with_record=True))
        return self._settings(request, standing)

    async def save(self, request: web.Request) -> web.Response:
        """Take over what the page says, all of it at once."""
        refuse_other_sites(request)
        key = await self._key(request)
        form = await form_of(request)
        if not form:
            # Nothing ticked still says a language; an empty form is no form.
            raise Refusal(400, "refused")
        wanted = _wanted(form)
        standing = await self._ask(lambda: self._members.save(key, wanted, PREFERENCES))
        await self._settled(key)
        return self._settings(request, standing, saved=standing.person is not None)

    def _settings(self, request: web.Request, standing: Standing, *, saved: bool = False) -> web.Response:
        person = standing.person
        blocked = any(
            one.digest == EVERY_DIGEST and one.reason is not SuppressionReason.unsubscribed
            for one in standing.suppressions
        )
        return self._page(
            request,
            "preferences.html.j2",
            standing,
            saved=saved,
            is_blocked=blocked,
            given={"format": person.format.value if person else ""},
            choices=self._pages.choices(person.language if person else None),
            pauses=PAUSES,
        )

    # ----------------------------------------------------------------------- in common

    async def _key(self, request: web.Request) -> str:
        digest, token = request.match_info["digest"], request.match_info["token"]
        key = await self._ask(lambda: self._members.whose(digest[:100], token[:100]))
        if key is None:
            self._admission.count_in_vain(request)
            raise Refusal(404, "link")
        return key

    def _words(self, request: web.Request, standing: Standing) -> Words:
        if standing.person is not None and standing.person.language:
            return self._pages.words(standing.person.language)
        return self._pages.accepted(request.headers.get("Accept-Language", ""))

    def _page(self, request: web.Request, name: str, standing: Standing, **values: object) -> web.Response:
        digest, token = request.match_info["digest"], request.match_info["token"]
        prefix = self._site.prefix
        text = self._pages.page(
            name,
            self._words(request, standing),
            standing=standing,
            email=standing.masked,
            preferences=f"{prefix}/p/{digest}/{token}",
            leaving=f"{prefix}/u/{digest}/{token}",
            **values,
        )
        return page(text, self._pages.policy)


def _wanted(form: dict[str, list[str]]) -> Wanted:
    language = form.get("language", [""])[0]
    pause = form.get("pause", [""])[0]
    weeks = int(pause) if pause in {str(number) for number in (0, *PAUSES)} else None
    return Wanted(
        digests=frozenset(form.get("digest", [])),
        language=language if language in languages() else None,
        format=Format(said) if (said := form.get("format", [""])[0]) in ("html", "text") else None,
        pause=weeks,
    )

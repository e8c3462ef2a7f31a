"""The pages for everybody: signing up, confirming, past issues, their feed."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from newsletter.address import Address, mask, parse_address
from newsletter.clock import Clock
from newsletter.errors import AddressError
from newsletter.issues.words import Words, languages
from newsletter.model import Format, SignUp
from newsletter.text import one_line
from newsletter.web.admission import Admission, Handler, Refusal, form_of, page, refuse_other_sites, shared
from newsletter.web.asking import Asking
from newsletter.web.copies import COPY_POLICY, Copies
from newsletter.web.members import Members
from newsletter.web.pages import Pages, offered
from newsletter.web.signups import LINK, Asked, SignUpDesk
from newsletter.web.site import DigestPage, Site
from newsletter.web.stamps import Judged, Stamps
from newsletter.web.syndication import ATOM_TYPE

_LONGEST_NAME: Final = 200
_LONGEST_ADDRESS: Final = 254


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What stands in the form: to begin with, or as it came."""

    email: str
    name: str
    digests: tuple[str, ...]
    language: str
    format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errors:
    """What is wrong with the form, beside the field it is about."""

    email: str = ""
    digests: str = ""


class PublicPages:
    """What anybody may see and do.

    Args:
        site: the project.
        members: who puts people on the list.
        desk: takes sign-ups.
        copies: past issues.
        stamps: tell people from programs.
        pages: writes the pages.
        admission: counts who asks how often.
        asking: where what blocks is done.
        clock: what time it is.
    """

    def __init__(
        self,
        *,
        site: Site,
        members: Members,
        desk: SignUpDesk,
        copies: Copies,
        stamps: Stamps,
        pages: Pages,
        admission: Admission,
        asking: Asking,
        clock: Clock,
    ) -> None:
        self._site = site
        self._members = members
        self._desk = desk
        self._copies = copies
        self._stamps = stamps
        self._pages = pages
        self._admission = admission
        self._ask = asking
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        """Where they are."""
        prefix = self._site.prefix
        shown: list[tuple[str, Handler]] = [(f"{prefix}/", self.form), (f"{prefix}/subscribe", self.form)]
        if prefix:  # nothing here redirects: without its slash it is the same page
            shown.append((prefix, self.form))
        return [
            *(web.get(path, handler) for path, handler in shown),
            web.post(f"{prefix}/subscribe", self.subscribe),
            web.get(f"{prefix}/c/{{token}}", self.confirmation),
            web.post(f"{prefix}/c/{{token}}", self.confirm),
            web.get(f"{prefix}/i/{{digest}}", self.archive),
            web.get(f"{prefix}/i/{{digest}}/atom.xml", self.atom),
            web.get(f"{prefix}/i/{{digest}}/{{number:[0-9]{{1,9}}}}", self.issue),
        ]

    def _words(self, request: web.Request) -> Words:
        return self._pages.accepted(request.headers.get("Accept-Language", ""))

    # -------------------------------------------------------------------- signing up

    async def form(self, request: web.Request) -> web.Response:
        """Show the form."""
        return self._form(self._words(request), self._given(None, self._words(request)))

    def _form(self, words: Words, given: _Given, errors: _Errors = _Errors(), problem: str = "") -> web.Response:
        text = self._pages.page(
            "subscribe.html.j2",
            words,
            given=given,
            errors=errors,
            problem=problem,
            stamp=self._stamps.make(),
            choices=self._pages.choices(given.language),
        )
        return page(text, self._pages.policy, status=422 if problem else 200)

    async def subscribe(self, request: web.Request) -> web.Response:
        """Take the form: the answer is the same for every address."""
        if not self._site.has_form:
            raise Refusal(404, "missing")
        fields = await form_of(request)
        words = self._words(request)
        if any(fields.get("website", [])):
            return self._asked(words)  # a program filled in what nobody sees; it need not know
        given = self._given(fields, words)
        address, errors = self._judged(given, words)
        if address is None or errors != _Errors():
            return self._form(words, given, errors, words.one("Please check what is marked below."))
        if self._stamps.judge(fields.get("stamp", [""])[0]) is not Judged.good:
            return self._form(words, given, problem=words.one("Please press the button once more."))
        if not self._admission.may_sign_up(request):
            raise Refusal(429, "later")
        if self._desk.is_full:
            raise Refusal(503, "later")
        await self._desk.take(
            Asked(
                address=address,
                name=given.name,
                digests=given.digests if len(self._site.digests) > 1 else (),
                language=None if given.language == self._site.language else given.language,
                format=Format(given.format),
            )
        )
        return self._asked(words)

    def _given(self, fields: dict[str, list[str]] | None, words: Words) -> _Given:
        if fields is None:
            return _Given(email="", name="", digests=self._site.names, language=offered(words.language), format="html")
        language = fields.get("language", [""])[0]
        return _Given(
            email=fields.get("email", [""])[0].strip()[: 2 * _LONGEST_ADDRESS],
            name=one_line(fields.get("name", [""])[0][: 2 * _LONGEST_NAME], _LONGEST_NAME),
            digests=tuple(name for name in self._site.names if name in fields.get("digest", [])),
            language=language if language in (*languages(), self._site.language) else self._site.language,
            format="text" if fields.get("format") == ["text"] else "html",
        )

    def _judged(self, given: _Given, words: Words) -> tuple[Address | None, _Errors]:
        address, wrong = None, ""
        try:
            address = parse_address(given.email)
        except AddressError:
            wrong = words.one("This is not an e-mail address.")
        nothing = len(self._site.digests) > 1 and not given.digests
        return address, _Errors(email=wrong, digests=words.one("Please choose at least one.") if nothing else "")

    def _asked(self, words: Words) -> web.Response:
        return page(self._pages.page("asked.html.j2", words), self._pages.policy)

    # -------------------------------------------------------------------- confirming

    async def confirmation(self, request: web.Request) -> web.Response:
        """Show what is to be confirmed, and a button: programs follow links, too."""
        signup = await self._signup(request)
        return self._about(signup, "confirmed.html.j2" if signup.confirmed_at else "confirm.html.j2")

    async def confirm(self, request: web.Request) -> web.Response:
        """Put the person on the list; pressing again changes nothing."""
        refuse_other_sites(request)
        signup = await self._signup(request)
        if signup.confirmed_at is None:
            await self._ask(lambda: self._members.welcome(signup, LINK))
        return self._about(signup, "confirmed.html.j2")

    async def _signup(self, request: web.Request) -> SignUp:
        token = request.match_info["token"][:100]
        signup = await self._ask(lambda: self._members.signup(token))
        if signup is None or (
            signup.confirmed_at is None and signup.asked_at + self._site.patience < self._clock.now()
        ):
            self._admission.count_in_vain(request)
            raise Refusal(404, "link")
        return signup

    def _about(self, signup: SignUp, name: str) -> web.Response:
        asked = [one for one in self._site.digests if not signup.digests or one.name in signup.digests]
        text = self._pages.page(
            name,
            self._pages.words(signup.language),
            email=mask(signup.email),
            titles=self._site.titles(signup.digests),
            digests=asked,
        )
        return page(text, self._pages.policy)

    # -------------------------------------------------------------------- past issues

    def _digest(self, request: web.Request) -> DigestPage:
        name = request.match_info["digest"]
        for one in self._site.digests:
            if one.name == name:
                return one
        self._admission.count_in_vain(request)
        raise Refusal(404, "missing")

    async def archive(self, request: web.Request) -> web.Response:
        """List the past issues of a digest."""
        digest = self._digest(request)
        asked = request.query.get("before", "")
        before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None  # noqa: PLR2004
        words = self._words(request)
        text = await self._ask(lambda: self._copies.listed(digest.name, before, words))
        return shared(text, self._pages.policy)

    async def issue(self, request: web.Request) -> web.Response:
        """Show one issue, as nobody in particular got it."""
        digest, number, words = self._digest(request), int(request.match_info["number"]), self._words(request)
        text = await self._ask(lambda: self._copies.copy(digest.name, number, words))
        if text is None:
            self._admission.count_in_vain(request)
            raise Refusal(404, "missing")
        return shared(text, COPY_POLICY)

    async def atom(self, request: web.Request) -> web.Response:
        """Give the last issues as a feed."""
        digest = self._digest(request)
        text = await self._ask(lambda: self._copies.feed(digest.name))
        return shared(text, "default-src 'none'", content_type=ATOM_TYPE)

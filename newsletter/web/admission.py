"""Who may ask, how often and how much; and what every answer carries.

No cookies are set or read: what a request may do is in its address (a token
that came by mail) or in a stamp.  So there is no session that another site
could ride on.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from newsletter.clock import Clock, Ids
from newsletter.errors import BusyError, NewsletterError
from newsletter.web.discretion import Told, masked_path, request_id, without_addresses
from newsletter.web.limits import Allowance, Limiter, client_key
from newsletter.web.pages import Pages
from newsletter.web.site import Site

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Bytes of a form.
LARGEST: Final = 16 * 1024
#: Seconds that a form may take to arrive, from its first byte to its last.
PATIENCE: Final = 10.0
#: What one client may ask in vain: links that are nobody's, pages that are not there.
IN_VAIN: Final = Allowance(burst=30, every=4.0)
#: How often one client may sign somebody up.
SIGN_UPS: Final = Allowance(burst=6, every=300.0)
#: Requests of one client; mail providers unsubscribe thousands from a few addresses, so those are not counted.
REQUESTS: Final = Allowance(burst=300, every=0.1)

_ALWAYS: Final = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "interest-cohort=()",
    "Server": "newsletter",
}
#: Where nothing is to be shown at all.
_BARE_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_PERSONAL: Final = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex, nofollow"}
_ADDRESS = re.compile(r"[0-9A-Fa-f.:\[\]]{2,60}", re.ASCII)


class Refusal(Exception):  # noqa: N818 - an answer like others
    """The answer is a page that says why not, and what to do.

    `kind` is "link", "missing", "later" or "refused"; see problem.html.j2.
    """

    def __init__(self, status: int, kind: str) -> None:
        super().__init__(kind)
        self.status = status
        self.kind = kind


class Admission:
    """The middleware that all requests pass.

    Args:
        site: the project.
        pages: writes what a refused visitor sees.
        clock: what time it is.
        behind_proxy: whether the last address in X-Forwarded-For is the visitor's, and X-Request-ID is the proxy's.
        ids: names requests.
        log: told each request in one line, without what is secret or personal in it.
        warn: told what went wrong, likewise.
    """

    def __init__(
        self,
        site: Site,
        pages: Pages,
        clock: Clock,
        *,
        behind_proxy: bool,
        ids: Ids,
        log: Told,
        warn: Told,
    ) -> None:
        self._site = site
        self._pages = pages
        self._clock = clock
        self._behind_proxy = behind_proxy
        self._ids = ids
        self._log = log
        self._warn = warn
        self._in_vain = Limiter(IN_VAIN, clock)
        self._sign_ups = Limiter(SIGN_UPS, clock)
        self._requests = Limiter(REQUESTS, clock)
        #: The names by which we may be called; our own address is added when it is known.
        self.hosts = {site.host}

    @web.middleware
    async def guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Admit a request, answer it, and see to the headers; nothing that happens inside gets out as it is."""
        began = self._clock.monotonic()
        said = request.headers.get("X-Request-ID", "") if self._behind_proxy else ""
        name = request_id(said, self._ids.token)
        try:
            self._admit(request)
            response = await handler(request)
        except Refusal as refusal:
            response = self._refused(request, refusal)
        except web.HTTPException as refused:
            kinds = {404: "missing", 405: "refused", 413: "refused"}
            response = self._refused(request, Refusal(refused.status, kinds.get(refused.status, "refused")))
            if "Allow" in refused.headers:
                response.headers["Allow"] = refused.headers["Allow"]
        except NewsletterError as error:
            text = f"a visitor could not be answered: {without_addresses(str(error))}"
            self._warn(text, event="request.failed", request=name)
            response = self._refused(request, Refusal(503, "later"))
            response.headers["Retry-After"] = "10" if isinstance(error, BusyError) else "60"
        except Exception as error:  # noqa: BLE001 - a visitor is told that it is not their fault
            text = f"a fault of the program: {type(error).__name__}: {without_addresses(str(error))}"
            self._warn(text, event="request.failed", request=name)
            response = self._refused(request, Refusal(500, "later"))
        for header, value in (_ALWAYS | {"Content-Security-Policy": _BARE_POLICY, "X-Request-ID": name}).items():
            response.headers.setdefault(header, value)
        # One request a connection: a visitor who is slow or silent holds up nothing but that.
        response.force_close()
        milliseconds = round(1000 * (self._clock.monotonic() - began))
        method, path = request.method[:10], masked_path(request.path)
        self._log(
            f"{response.status} {method} {path} {milliseconds} ms",
            event="request",
            request=name,
            status=response.status,
            method=method,
            path=path,
            milliseconds=milliseconds,
        )
        return response

    def _admit(self, request: web.Request) -> None:
        is_health = request.path.endswith("/healthz")
        if request.host.lower() not in self.hosts and not is_health:
            raise Refusal(421, "refused")
        is_one_click = request.method == "POST" and request.path.startswith(f"{self._site.prefix}/u/")
        if not is_one_click and not is_health and not self._requests.allows(self.client(request)):
            raise Refusal(429, "later")

    def client(self, request: web.Request) -> str:
        """Whom a request counts for."""
        address = request.remote or ""
        if self._behind_proxy:
            # What stands further left was said by the visitor and proves nothing.
            said = ",".join(request.headers.getall("X-Forwarded-For", [])).rpartition(",")[2].strip()
            address = said if _ADDRESS.fullmatch(said) else address
        return client_key(address)

    def count_in_vain(self, request: web.Request) -> None:
        """Note that a client asked for what is not there; Refusal where that happens too often."""
        if not self._in_vain.allows(self.client(request)):
            raise Refusal(429, "later")

    def may_sign_up(self, request: web.Request) -> bool:
        """Whether this client may sign somebody up."""
        return self._sign_ups.allows(self.client(request))

    def _refused(self, request: web.Request, refusal: Refusal) -> web.Response:
        words = self._pages.accepted(request.headers.get("Accept-Language", ""))
        text = self._pages.page("problem.html.j2", words, kind=refusal.kind)
        response = page(text, self._pages.policy, status=refusal.status)
        if refusal.status == 429:  # noqa: PLR2004
            response.headers["Retry-After"] = "60"
        return response


def page(text: str, policy: str, *, status: int = 200) -> web.Response:
    """A page that is for one person, or for the moment."""
    headers = {**_PERSONAL, "Content-Security-Policy": policy}
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8", headers=headers)


def shared(text: str, policy: str, *, content_type: str = "text/html") -> web.Response:
    """A page that is the same for everybody who speaks the same language."""
    headers = {"Cache-Control": "public, max-age=300", "Vary": "Accept-Language", "Content-Security-Policy": policy}
    return web.Response(text=text, content_type=content_type, charset="utf-8", headers=headers)


def refuse_other_sites(request: web.Request) -> None:
    """Refuse a form that a browser says it was sent from another site (Fetch Metadata).

    It could do nothing without the token in its address; but whoever has been
    handed somebody's link should not be able to have the browser press the button.
    """
    if request.headers.get("Sec-Fetch-Site", "none") == "cross-site":
        raise Refusal(403, "refused")


async def form_of(request: web.Request) -> dict[str, list[str]]:
    """The fields of a form in either encoding; nothing where it is none.

    Raises:
        Refusal: it is too large, or does not arrive.
    """
    try:
        async with asyncio.timeout(PATIENCE):
            posted = await request.post()
    except TimeoutError as error:
        raise Refusal(408, "refused") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise Refusal(413, "refused") from error
    except (ValueError, LookupError, AssertionError, RuntimeError, web.HTTPException, ConnectionError):
        return {}
    fields: dict[str, list[str]] = {}
    for name, value in posted.items():
        if isinstance(value, str):
            fields.setdefault(name, []).append(value)
    return fields

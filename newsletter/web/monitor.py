"""What a monitor asks of a program that stays up: whether it does its work (/healthz), and in figures (/metrics)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from newsletter.errors import NewsletterError
from newsletter.web.asking import Asking
from newsletter.web.listening import listening

#: A monitor and somebody's browser; nobody else has anything to ask.
_CONNECTIONS: Final = 20
#: The text format of Prometheus (its exposition format 0.0.4).
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of several kinds; `kind` is `gauge` or `counter`, each of `samples` its labels and its value."""

    name: str
    kind: str
    about: str
    samples: Sequence[tuple[Mapping[str, str], float]]


@asynccontextmanager
async def monitored(
    host: str, port: int, *, trouble: Callable[[], str | None], metrics: Callable[[], Sequence[Metric]]
) -> AsyncIterator[str]:
    """Answer monitors while the block lasts; gives the address we listen at.

    Args:
        host: where to listen.
        port: where; 0 takes a free one.
        trouble: why the program does not do its work, in a sentence; None: it does.  May block.
        metrics: the figures.  May block.

    Raises:
        NewsletterError: the address is taken, or not ours.
    """
    ask, names = Asking(), set[str]()

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        # A page in somebody's browser must not read figures by calling this machine by another name.
        if names and request.host not in names:
            response: web.StreamResponse = web.Response(status=421, text="that is not what we are called here\n")
        else:
            response = await handler(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Server"] = "newsletter"
        return response

    async def health(_: web.Request) -> web.Response:
        wrong = await ask(trouble)
        return web.Response(text=f"{wrong or 'ok'}\n", status=503 if wrong else 200, headers=_NO_STORE)

    async def figures(_: web.Request) -> web.Response:
        try:
            text = exposition(await ask(metrics))
        except NewsletterError as error:
            return web.Response(text=f"{error}\n", status=503, headers=_NO_STORE)
        return web.Response(body=text.encode(), headers={"Content-Type": _TEXT, **_NO_STORE})

    app = web.Application(middlewares=[guarded])
    app.add_routes([web.get("/healthz", health), web.get("/metrics", figures)])
    hint = "end the program that listens there, or choose another --listen"
    try:
        async with listening(app, host, port, connections=_CONNECTIONS, what="monitoring", hint=hint) as place:
            if any(name.startswith("localhost:") for name in place.names):
                names |= place.names
            yield place.address
    finally:
        ask.close()


def exposition(metrics: Sequence[Metric]) -> str:
    """Figures in the text format of Prometheus; those without a sample are left out."""
    lines = []
    for metric in metrics:
        if metric.samples:
            lines += [f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} {metric.kind}"]
        for labels, value in metric.samples:
            inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            lines.append(f"{metric.name}{'{' + inside + '}' if inside else ''} {value:.15g}")
    return "".join(f"{line}\n" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

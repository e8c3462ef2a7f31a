"""The public pages, where every message's links lead."""

import http
from datetime import datetime, timedelta
from typing import Final

from newsletter.app.check.finding import Finding
from newsletter.app.check.mail import certificate
from newsletter.app.project import App
from newsletter.delivery.smtp import certified_until
from newsletter.feeds.manners import ahead_of
from newsletter.issues.check import Level
from newsletter.text import one_line

#: What the public pages say when they are asked how they are.
_WELL: Final = b"ok\n"
_PATIENCE: Final = 15.0


async def pages(app: App) -> tuple[list[Finding], list[timedelta]]:
    """Whether somebody serves the public pages; what was found, and how much later it is there than here."""
    if app.config.base_url is None:
        text = "no base_url: people leave by mail; large mailbox providers want one click of who writes to thousands"
        return [Finding(level=Level.ok, what="pages", text=text)], []
    return await _asked(app.config.base_url, app.limits.user_agent, app.clock.now())


async def _asked(base_url: str, user_agent: str, now: datetime) -> tuple[list[Finding], list[timedelta]]:
    import aiohttp

    wrong, ahead, until = "", None, None
    try:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": user_agent}, trust_env=False) as session,
            session.get(f"{base_url}/healthz", allow_redirects=False) as answer,
        ):
            if answer.connection is not None and answer.connection.transport is not None:
                until = certified_until(answer.connection.transport.get_extra_info("peercert"))
            text = await answer.content.read(len(_WELL) + 1)
            ahead = ahead_of(answer.headers, now=now)
            if answer.status != http.HTTPStatus.OK or text != _WELL:
                wrong = f"something else than newsletter serve answers there ({answer.status})"
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        wrong = f"nobody answers there: {one_line(str(error) or type(error).__name__, 200)}"
    if wrong:
        finding = Finding(
            level=Level.warning,
            what="pages",
            text=f"{base_url} is where unsubscribe links lead, and {wrong}",
            hint="run newsletter serve behind it (docs/serve.md), or leave base_url out to unsubscribe by mail",
        )
    else:
        finding = Finding(level=Level.ok, what="pages", text=f"served at {base_url}")
    found = [finding] if until is None else [finding, certificate(base_url, until, now, what="pages")]
    return found, [] if ahead is None else [ahead]

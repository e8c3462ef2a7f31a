"""A real browser that shows a letter as a mailbox would, and cannot reach any network."""

import re
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from playwright.sync_api import Browser, Page, Route, sync_playwright

from newsletter.app.letters import Letter

WIDTHS = (320, 600, 1024)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
Scheme = Literal["light", "dark"]

_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]
#: What Gmail takes out of the head for readers with another provider's account.
_STYLE = re.compile(r'<style\b.*?</style>|<meta name="(supported-)?color-schemes?"[^>]*>', re.DOTALL)


def chromium() -> str | None:
    """The system's Chromium, or None."""
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, for as long as the block lasts."""
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium(), args=_ARGUMENTS)
        try:
            yield running
        finally:
            running.close()


@dataclass
class Shown:
    """A letter in the browser, and what it asked for: (kind of resource, address)."""

    page: Page
    asked: list[tuple[str, str]] = field(default_factory=list)

    def windows(self, *widths: int) -> Iterator[tuple[int, Scheme]]:
        """Show it in these widths, or all, and in every scheme, one after the other."""
        for width in widths or WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 1000})
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                yield width, scheme


@contextmanager
def shown(
    running: Browser,
    letter: Letter,
    *,
    width: int = 600,
    scheme: Scheme = "light",
    pictures: bool = False,
    styled: bool = True,
) -> Iterator[Shown]:
    """Show a letter's HTML part.

    Args:
        running: the browser.
        letter: what to show.
        width: of the window, in pixels.
        scheme: light or dark.
        pictures: give a wide picture for every picture asked for, or none.
        styled: keep the style sheet; some clients take it out.
    """
    page = running.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    view = Shown(page)

    def answer(route: Route) -> None:
        kind = route.request.resource_type
        view.asked.append((kind, route.request.url))
        if pictures and kind == "image":
            route.fulfill(body=PICTURE, content_type="image/png")
        else:
            route.abort()

    page.route("**/*", answer)
    try:
        page.set_content(letter.html if styled else _STYLE.sub("", letter.html), wait_until="load")
        yield view
    finally:
        page.close()


def picture(width: int, height: int) -> bytes:
    """A PNG of one grey (RFC 2083)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x80" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


#: Wider than any letter.
PICTURE = picture(1120, 400)

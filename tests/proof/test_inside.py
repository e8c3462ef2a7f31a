"""Pictures inside the message show in a real browser: in the message's own related part, and in the page of a preview."""

from dataclasses import replace
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from newsletter.delivery.compose import Skeleton
from newsletter.delivery.related import picture_parts
from newsletter.feeds.shrink import shrink
from newsletter.issues.illustrate import illustrated, standalone
from newsletter.issues.render import Templates, render_issue
from newsletter.model import Format, Picture
from tests.delivery.samples import ISSUE, MERGE_TOKEN, SECRET, delivery
from tests.issues.samples import MASTHEAD, RULES, draft_of, entry
from tests.painted import drawing, encoded, jpeg

pytestmark = pytest.mark.xdist_group("proof")

HOST = "https://pictures.example/"
SIZES = "() => [...document.images].map(i => [i.naturalWidth, Math.round(i.getBoundingClientRect().width)])"


def picture(number: int, body: bytes) -> Picture:
    made = shrink(body)
    return Picture(
        cid=f"{number:032x}@example.com",
        media_type=made.media_type,
        data=made.data,
        width=made.width,
        height=made.height,
    )


PICTURES: dict[str, Picture | str] = {
    HOST + "wide": picture(1, jpeg((2000, 1000))),
    HOST + "small": picture(2, encoded(drawing((90, 60)), "PNG")),
}


@pytest.fixture(scope="module")
def letter() -> tuple[bytes, str]:
    """A message with a wide picture and a small one, and the page a preview makes of it."""
    waiting = [entry(number, image=url) for number, url in enumerate(PICTURES, 1)]
    draft = illustrated(draft_of(waiting, rules=replace(RULES, pictures="cid")), PICTURES)
    rendering = render_issue(draft, MASTHEAD, Templates(), token=MERGE_TOKEN)
    skeleton = Skeleton.build(ISSUE, rendering, Format.html, secret=SECRET, pictures=picture_parts(draft.pictures))
    reader: Any = delivery(merge=dict.fromkeys(rendering.fields, "x"))
    return skeleton.message(reader), standalone(skeleton.html(reader), draft.pictures)


def test_the_related_part_shows_its_pictures(browser: Browser, letter: tuple[bytes, str], tmp_path: Path) -> None:
    """Chromium reads a multipart/related as an archived page (RFC 2557), and resolves `cid:` in it."""
    related = next(
        part for part in message_from_bytes(letter[0]).walk() if part.get_content_type() == "multipart/related"
    )
    assert isinstance(related, Message)
    archive = tmp_path / "letter.mhtml"
    archive.write_bytes(b"MIME-Version: 1.0\r\n" + related.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    page = browser.new_page(viewport={"width": 800, "height": 900})
    try:
        page.goto(archive.as_uri())
        assert [[1072, 536], [90, 90]] == page.evaluate(SIZES)
    finally:
        page.close()


@pytest.mark.parametrize(("width", "expected"), [(800, [[1072, 536], [90, 90]]), (320, [[1072, 280], [90, 90]])])
def test_a_previewed_page_shows_them_and_asks_nobody(
    browser: Browser, letter: tuple[bytes, str], width: int, expected: list[list[int]]
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.set_content(letter[1], wait_until="load")
        assert expected == page.evaluate(SIZES)
    finally:
        page.close()

    assert [] == [url for url in asked if not url.startswith("data:")]

"""The archive in a real browser, from the disk: axe finds nothing, its style is there, nothing is too wide."""

import contextlib
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from newsletter import pipeline
from newsletter.app import App
from newsletter.app.shelf import write_archive
from tests.conftest import FakeClock, counting_ids
from tests.proof.browser import SCHEMES
from tests.proof.test_axe import axe, violations
from tests.store.samples import FEED, entry, record

__all__ = ["axe"]
pytestmark = pytest.mark.xdist_group("proof")


CONFIG = f"""\
title: The Morning Wire
from: The Morning Wire <wire@example.com>
feeds: ['{FEED.url}']
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of three issues in two languages."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "newsletter.yaml").write_text(CONFIG)
    (folder / "subscribers.yaml").write_text("- {email: zoe@example.com, language: de}\n- bob@example.com\n")
    with contextlib.closing(App.open(folder, clock=FakeClock(), ids=counting_ids())) as app:
        for number in range(3):
            record(app.store, *(entry(f"{number}.{one}") for one in range(3)))
            parts, publication = app.parts(), app.publication("daily")
            pipeline.freeze(parts, publication, pipeline.build(parts, publication), slot=str(number))
        write_archive(app, folder / "out", on_file=lambda *_: None)
    return folder / "out"


@pytest.mark.parametrize("name", ["index.html", "i/daily/2.html"])
def test_pages_of_the_archive_are_fine_from_the_disk(browser: Browser, site: Path, axe: str, name: str) -> None:
    with browser.new_page(bypass_csp=True) as page:
        for width in (1280, 360):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto((site / name).as_uri())

            assert width == page.evaluate("document.documentElement.scrollWidth")
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)

            assert [] == violations(page, axe)


def test_a_page_s_policy_lets_its_style_through_and_no_script(browser: Browser, site: Path, tmp_path: Path) -> None:
    said: list[str] = []
    hostile = tmp_path / "copy.html"
    with browser.new_page() as page:
        page.on("console", lambda message: said.append(message.text))
        page.goto((site / "index.html").as_uri())
        style = page.evaluate("getComputedStyle(document.querySelector('ol.issues')).listStyleType")
        clean = list(said)
        hostile.write_text(
            (site / "i/daily/2.html").read_text().replace("</body>", "<script>document.title = 'x'</script>")
        )
        page.goto(hostile.as_uri())

        assert ("none", []) == (style, clean)
        assert "x" != page.title()
        assert any("Content Security Policy" in text for text in said)

"""The letters and the browser, made once."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from newsletter.app.letters import Letter
from tests.proof.browser import browser as a_browser
from tests.proof.browser import chromium
from tests.proof.letters import nasty_letter, sample_letter


@pytest.fixture(scope="session")
def letters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Letter]:
    """Each letter by its name."""
    folder = tmp_path_factory.mktemp("letters")
    return {
        "sample": sample_letter(folder / "sample"),
        "nasty": nasty_letter(folder / "nasty"),
        **{theme: nasty_letter(folder / theme, theme) for theme in ("compact", "plain")},
    }


@pytest.fixture(scope="module")
def browser(letters: dict[str, Letter]) -> Iterator[Browser]:
    """One browser per file: while it runs, so does its event loop, and the letters need one of their own."""
    assert letters
    if chromium() is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with a_browser() as running:
        yield running

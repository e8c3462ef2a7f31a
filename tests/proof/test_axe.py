"""axe-core, the accessibility rules that auditors use, on the letter in a real browser."""

from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from newsletter.app.letters import Letter
from tests.proof.browser import shown

pytestmark = pytest.mark.xdist_group("proof")

#: A letter is a part of somebody's page: it has no landmarks of its own.  And what scrolls in it is a feed's table,
#: which browsers let the keyboard reach by themselves.
_NOT_OURS = ("landmark-one-main", "region", "scrollable-region-focusable")
_OPTIONS = {
    "runOnly": {
        "type": "tag",
        "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    },
    "rules": {rule: {"enabled": False} for rule in _NOT_OURS},
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="session")
def axe() -> str:
    """axe-core's source, from the package that carries it."""
    try:
        return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    except (ModuleNotFoundError, OSError):
        pytest.skip("no axe-core: the package axe-playwright-python is not installed")


def violations(page: Page, axe: str) -> list[str]:
    """What axe finds, as `rule: the element's HTML`."""
    page.evaluate(axe)
    result: dict[str, Any] = page.evaluate("options => axe.run(document, options)", _OPTIONS)
    return [f"{v['id']}: {node['html'][:160]}" for v in result["violations"] for node in v["nodes"]]


@pytest.mark.parametrize("name", ["sample", "nasty", "compact", pytest.param("plain", marks=pytest.mark.soak)])
def test_axe_finds_nothing(browser: Browser, letters: dict[str, Letter], axe: str, name: str) -> None:
    """In every width and scheme; the other themes, which differ little by width, in one."""
    widths = () if name in {"sample", "nasty"} else (320,)
    with shown(browser, letters[name], pictures=True) as view:
        found = {window: violations(view.page, axe) for window in view.windows(*widths)}

    assert {} == {window: faults for window, faults in found.items() if faults}


FAULTS = {
    "image-alt": '<img src="https://x.example/i.png">',
    "color-contrast": '<p style="color: #999999; background-color: #ffffff">pale</p>',
    "heading-order": "<h4>too deep</h4>",
    "link-name": '<a href="https://x.example/"></a>',
}


def test_axe_notices_faults(browser: Browser, letters: dict[str, Letter], axe: str) -> None:
    with shown(browser, letters["sample"]) as view:
        view.page.set_content(letters["sample"].html.replace("</h1>", f"</h1>{''.join(FAULTS.values())}"))

        assert sorted(FAULTS) == sorted({found.partition(":")[0] for found in violations(view.page, axe)})

"""The letter in a real browser, in every width, scheme and state that mailboxes show it in."""

import pytest
from playwright.sync_api import Browser, Page

from newsletter.app.letters import Letter
from tests.proof.browser import shown

# One worker starts the browser, once.
pytestmark = pytest.mark.xdist_group("proof")

LETTERS = ("sample", "nasty", "compact", "plain")

#: Every text that can be seen with too little contrast to what is behind it, as the browser has computed both.
POOR = """() => {
  const rgb = text => { const n = text.match(/[\\d.]+/g).map(Number); return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3) };
  const light = c => { const l = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                       return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2] };
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c) return c }
                        return [255, 255, 255] };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !e.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => x - y);
    const ratio = (b + 0.05) / (a + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${walker.currentNode.data.trim().slice(0, 40)}`);
  }
  return poor;
}"""

#: Elements that stand out to the right; what scrolls inside its own box does not count.
WIDE = """() => {
  const root = document.documentElement, out = [];
  if (root.scrollWidth > root.clientWidth) out.push(`the page: ${root.scrollWidth} in ${root.clientWidth}`);
  const scrolls = e => { for (e = e.parentElement; e; e = e.parentElement)
                           if (['auto', 'scroll'].includes(getComputedStyle(e).overflowX)) return true; return false };
  for (const e of document.body.querySelectorAll('*')) {
    const box = e.getBoundingClientRect();
    if ((box.right > root.clientWidth + 1 || box.left < -1) && !scrolls(e)) out.push(`${e.tagName} ${box.left} ${box.right}`);
  }
  return out.slice(0, 5);
}"""


def problems(page: Page) -> dict[str, object]:
    """What is wrong with what is shown; nothing at all is {}."""
    found = {"too wide": page.evaluate(WIDE), "too pale": page.evaluate(POOR)}
    return {what: where for what, where in found.items() if where}


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("pictures", [False, True], ids=["blocked", "loaded"])
@pytest.mark.parametrize("styled", [True, False], ids=["styled", "unstyled"])
def test_nothing_overflows_and_all_can_be_read(
    browser: Browser, letters: dict[str, Letter], name: str, pictures: bool, styled: bool
) -> None:
    """In every width and scheme; with pictures blocked and loaded, with its style sheet and without."""
    wrong = {}
    with shown(browser, letters[name], pictures=pictures, styled=styled) as view:
        for window in view.windows():
            if found := problems(view.page):
                wrong[window] = found

    assert {} == wrong


@pytest.mark.parametrize("name", ["nasty", "plain"])
def test_a_wide_table_has_all_its_words_on_a_telephone_without_a_style_sheet(
    browser: Browser, letters: dict[str, Letter], name: str
) -> None:
    """Each word on one line, not a letter of the alphabet a line; what overflows is looked for above."""
    with shown(browser, letters[name], width=320, styled=False) as view:
        links = view.page.locator("a", has_text="Harbour")
        boxes = [link.bounding_box() for link in links.all()]
        rows = view.page.locator("p", has_text="Year 13").all_inner_texts()

    assert 14 == len(boxes)
    assert all(box and box["width"] > 40 and box["height"] < 40 for box in boxes)
    assert [
        " · ".join(f"Year {n}: 1,{n}34" for n in range(14)),
        " · ".join(f"Year {n}: Harbour" for n in range(14)),
    ] == rows


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("styled", [True, False])
def test_the_preheader_is_not_seen(browser: Browser, letters: dict[str, Letter], name: str, styled: bool) -> None:
    with shown(browser, letters[name], width=600, scheme="light", styled=styled) as view:
        boxes = view.page.evaluate(
            "() => [...document.querySelectorAll('.preheader')].map(e => e.getClientRects().length)"
        )

    assert boxes
    assert {0} == set(boxes)


@pytest.mark.parametrize("name", LETTERS)
def test_opening_a_letter_asks_for_nothing_but_its_pictures(
    browser: Browser, letters: dict[str, Letter], name: str
) -> None:
    with shown(browser, letters[name], width=600, scheme="dark", pictures=True) as view:
        view.page.mouse.move(100, 300)
        view.page.wait_for_load_state("networkidle")

    assert {"image"} >= {kind for kind, _ in view.asked}, view.asked
    assert [] == [url for _, url in view.asked if "evil" in url]


def test_pictures_that_load_keep_their_proportions(browser: Browser, letters: dict[str, Letter]) -> None:
    with shown(browser, letters["nasty"], width=320, scheme="light", pictures=True) as view:
        sizes = view.page.evaluate(
            "() => [...document.images].map(i => [i.getBoundingClientRect(), i.naturalWidth / i.naturalHeight])"
            ".map(([b, p]) => [b.width, b.width / b.height / p])"
        )

    assert sizes
    for width, distortion in sizes:
        assert width <= 320
        assert 1 == pytest.approx(distortion, abs=0.02)


def test_blocked_pictures_show_their_words(browser: Browser, letters: dict[str, Letter]) -> None:
    with shown(browser, letters["nasty"], width=600, scheme="light") as view:
        words = view.page.evaluate("() => [...document.images].map(i => i.alt)")

    assert words
    assert all(words)


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ('<p style="color: #999999; background-color: #ffffff">pale</p>', "too pale"),
        ('<div style="width: 700px">wide</div>', "too wide"),
    ],
)
def test_the_proof_itself_notices_a_fault(browser: Browser, letters: dict[str, Letter], fault: str, what: str) -> None:
    with shown(browser, letters["sample"], width=320, scheme="light") as view:
        view.page.set_content(letters["sample"].html.replace("</h1>", f"</h1>{fault}"))

        assert [what] == list(problems(view.page))
